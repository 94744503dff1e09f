//! One input: polls, claims, makes durable, for ever. One thread, one batch at a time; librdkafka fetches meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::body::{Part, Writer};
use super::claims::{Claim, Claims};
use super::settings::Settings;
use super::watch::{Watch, place};
use super::{Gauges, KAFKA_SENDER, Keeper};
use crate::journal::Room;
use crate::record::{Batch, Wire};

/// A batch is full at either of these.
const BATCH_BYTES_MAX: usize = 4 << 20;
const BATCH_MESSAGES_MAX: u32 = 16_384;
/// A batch with something in it waits this long for more.
const LINGER: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(100);
/// Room in the journal is waited for in steps, between which the group hears from us.
const ROOM_STEP: Duration = Duration::from_millis(250);
const ASK: Duration = Duration::from_secs(5);
const SEEK: Duration = Duration::from_secs(10);
/// Between two consumers, and between two questions to brokers that do not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// What the journal's entry takes beside the messages, at most for each part.
const PART_BYTES: usize = 512;

/// One input's consumer.
pub struct Input {
    settings: Settings,
    keeper: Arc<dyn Keeper>,
    gauges: Arc<Gauges>,
    closing: CancellationToken,
}

/// Why a consumer is given up and made anew.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    #[error("{0}")]
    Failed(String),
    /// Nothing can be made durable any more: loghound is stopping.
    #[error(transparent)]
    Stopping(#[from] super::SinkError),
}

impl Input {
    pub fn new(settings: Settings, keeper: Arc<dyn Keeper>, gauges: Arc<Gauges>, closing: CancellationToken) -> Self {
        Self { settings, keeper, gauges, closing }
    }

    /// Runs until `closing`. Blocks; give it a thread of its own.
    pub fn run(&self) {
        let mut told = None;
        while !self.closing.is_cancelled() {
            match self.session(&mut told) {
                Ok(()) | Err(Trouble::Stopping(_)) => return,
                Err(trouble) => {
                    let trouble = trouble.to_string();
                    if told.as_ref() != Some(&trouble) {
                        self.gauges.troubles.fetch_add(1, Ordering::Relaxed);
                        error!(input = self.settings.name, "kafka: {trouble}; the input begins anew, nothing is lost");
                        told = Some(trouble);
                    }
                }
            }
            self.pause();
        }
    }

    fn pause(&self) {
        let until = Instant::now() + PAUSE;
        while Instant::now() < until && !self.closing.is_cancelled() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn session(&self, told: &mut Option<String>) -> Result<(), Trouble> {
        let watch = Watch::new(self.settings.name.clone(), Arc::clone(&self.keeper), Arc::clone(&self.gauges));
        let consumer: BaseConsumer<Watch> = self.settings.client().create_with_context(watch)?;
        let watch = Arc::clone(consumer.context());
        self.settle(&consumer)?;
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let mut writer = Writer::default();
        while !self.closing.is_cancelled() {
            self.gather(&consumer, &watch, &mut writer)?;
            if writer.is_empty() {
                continue;
            }
            let Some(room) = self.room(&consumer, &watch, &mut writer)? else { continue };
            self.take(&consumer, &watch, &mut writer, room)?;
            *told = None;
        }
        Ok(())
    }

    /// Polls until there is enough for a batch, or nothing more comes.
    fn gather(&self, consumer: &BaseConsumer<Watch>, watch: &Watch, writer: &mut Writer) -> Result<(), Trouble> {
        let mut until = Instant::now() + POLL;
        while writer.bytes() < BATCH_BYTES_MAX && writer.count() < BATCH_MESSAGES_MAX && !self.closing.is_cancelled() {
            let polled = consumer.poll(until.saturating_duration_since(Instant::now()));
            if let Some(failed) = watch.failed.lock().take() {
                return Err(Trouble::Failed(failed));
            }
            forget(watch, writer);
            match polled {
                None if Instant::now() >= until => break,
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => transient(watch, error)?,
                Some(Ok(message)) => {
                    watch.fine();
                    if writer.is_empty() {
                        until = Instant::now() + LINGER;
                    }
                    self.add(watch, writer, &message);
                }
            }
        }
        Ok(())
    }

    /// Adds a message, unless it is known, or of a partition that went.
    fn add(&self, watch: &Watch, writer: &mut Writer, message: &BorrowedMessage<'_>) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let run = writer.parts().last();
        let follows = run.is_some_and(|part| part.partition == partition && part.topic == topic && part.next == offset);
        if !follows {
            let assigned = watch.assigned.lock();
            match assigned.get(&(topic.to_owned(), partition)) {
                None => return,
                Some(place) if place.next.is_some_and(|next| offset < next) => return,
                Some(_) => {}
            }
        }
        match message.payload() {
            Some(value) => writer.push(topic, partition, offset, message.timestamp().to_millis(), value),
            None => {
                self.gauges.empty.fetch_add(1, Ordering::Relaxed);
                writer.pass(topic, partition, offset);
            }
        }
    }

    /// Room in the journal for the batch. While there is none, partitions are paused and the group hears from us.
    fn room(
        &self,
        consumer: &BaseConsumer<Watch>,
        watch: &Watch,
        writer: &mut Writer,
    ) -> Result<Option<Room>, Trouble> {
        let bytes = (writer.bytes() + (writer.parts().len() + 2) * PART_BYTES + self.settings_bytes()) as u64;
        if let Some(room) = self.keeper.reserve(bytes, ROOM_STEP)? {
            return Ok(Some(room));
        }
        self.gauges.paused.store(1, Ordering::Relaxed);
        info!(input = self.settings.name, "kafka: the journal has no room: partitions are paused");
        let room = loop {
            if self.closing.is_cancelled() {
                break None;
            }
            consumer.pause(&consumer.assignment()?)?;
            match consumer.poll(Duration::ZERO) {
                // Of a partition that came just now: read again when there is room.
                Some(Ok(message)) => {
                    let (topic, partition) = (message.topic().to_owned(), message.partition());
                    consumer.seek(&topic, partition, Offset::Offset(message.offset()), SEEK)?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => transient(watch, error)?,
            }
            if let Some(failed) = watch.failed.lock().take() {
                return Err(Trouble::Failed(failed));
            }
            if let Some(room) = self.keeper.reserve(bytes, ROOM_STEP)? {
                break Some(room);
            }
        };
        self.gauges.paused.store(0, Ordering::Relaxed);
        consumer.resume(&consumer.assignment()?)?;
        info!(input = self.settings.name, "kafka: partitions go on");
        forget(watch, writer);
        if writer.is_empty() { Ok(None) } else { Ok(room) }
    }

    fn settings_bytes(&self) -> usize {
        let lengths = self.settings.time_fields.iter().chain(&self.settings.message_fields).map(String::len);
        lengths.sum::<usize>() + self.settings.name.len() * 8
    }

    /// Claims the batch and makes it durable.
    fn take(
        &self,
        consumer: &BaseConsumer<Watch>,
        watch: &Watch,
        writer: &mut Writer,
        room: Room,
    ) -> Result<(), Trouble> {
        let instance = self.keeper.instance();
        let wanted: Vec<(Part, Claims)> = {
            let assigned = watch.assigned.lock();
            let claimed = |part: &Part| {
                let claims = assigned.get(&(part.topic.clone(), part.partition)).map(|place| place.claims.clone());
                let claim = Claim { instance: instance.to_owned(), first: part.first, next: part.next };
                (part.clone(), claims.unwrap_or_default().with(claim))
            };
            writer.parts().iter().map(claimed).collect()
        };
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (part, claims) in &wanted {
            let mut element = list.add_partition(&part.topic, part.partition);
            element.set_offset(Offset::Offset(part.next))?;
            element.set_metadata(claims.write());
        }
        let landed = match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => wanted,
            Err(error) => {
                watch.trouble(format!("the group did not take a commit: {error}"));
                self.landed(consumer, wanted)?
            }
        };
        let has = |part: &Part| landed.iter().any(|(l, _)| l.partition == part.partition && l.topic == part.topic);
        let lost: Vec<Part> = writer.parts().iter().filter(|part| !has(part)).cloned().collect();
        writer.retain(has);
        if !writer.is_empty() {
            self.keep(writer, room)?;
            let mut assigned = watch.assigned.lock();
            for (part, claims) in landed {
                if let Some(place) = assigned.get_mut(&(part.topic, part.partition)) {
                    *place = super::watch::Place { next: Some(part.next), claims };
                }
            }
        }
        // Not ours, or not yet: who has the partition reads it from where the claim would have begun.
        for part in lost {
            if watch.assigned.lock().contains_key(&(part.topic.clone(), part.partition)) {
                consumer.seek(&part.topic, part.partition, Offset::Offset(part.first), SEEK)?;
            }
        }
        Ok(())
    }

    fn keep(&self, writer: &mut Writer, room: Room) -> Result<(), Trouble> {
        let (body, parts, events) = writer.finish(&self.settings);
        let batch = Batch {
            wire: Wire::Kafka,
            received_at: self.keeper.now(),
            peer: format!("{KAFKA_SENDER}{}", self.settings.name),
            events,
            body,
            inflated: None,
        };
        Ok(self.keeper.keep(room, batch, &self.settings.name, &parts)?)
    }

    /// Which claims stand, of those that the broker did not confirm. Asks until there is an answer.
    fn landed(
        &self,
        consumer: &BaseConsumer<Watch>,
        wanted: Vec<(Part, Claims)>,
    ) -> Result<Vec<(Part, Claims)>, Trouble> {
        let instance = self.keeper.instance();
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (part, _) in &wanted {
            list.add_partition(&part.topic, part.partition);
        }
        loop {
            let answered = consumer.committed_offsets(list.clone(), ASK).and_then(|list| {
                let elements = list.elements();
                let claims = elements
                    .iter()
                    .map(|e| e.error().map(|()| ((e.topic().to_owned(), e.partition()), Claims::read(e.metadata()))));
                claims.collect::<KafkaResult<std::collections::HashMap<_, _>>>()
            });
            match answered {
                Ok(claims) => {
                    let stands = |part: &Part| {
                        let of = claims.get(&(part.topic.clone(), part.partition));
                        let claim = of.and_then(|claims| claims.of(instance));
                        claim.is_some_and(|claim| (claim.first, claim.next) == (part.first, part.next))
                    };
                    return Ok(wanted.into_iter().filter(|(part, _)| stands(part)).collect());
                }
                // What stands is settled at the next start.
                Err(error) if self.closing.is_cancelled() => return Err(error.into()),
                Err(error) => consumer.context().trouble(format!("the group's offsets cannot be read: {error}")),
            }
            self.pause();
        }
    }

    /// Reads what this instance claimed and did not make durable, because it was killed in between.
    fn settle(&self, consumer: &BaseConsumer<Watch>) -> Result<(), Trouble> {
        let watch = consumer.context();
        for part in self.debts(consumer)? {
            info!(
                input = self.settings.name,
                topic = part.topic,
                partition = part.partition,
                first = part.first,
                next = part.next,
                "kafka: messages that were claimed and not stored are read again"
            );
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&part.topic, part.partition, Offset::Offset(part.first))?;
            consumer.assign(&list)?;
            let mut writer = Writer::default();
            loop {
                if self.closing.is_cancelled() {
                    return Ok(());
                }
                match consumer.poll(POLL) {
                    None => {}
                    // A gap at the end: what transactions leave.
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Err(error)) => transient(watch, error)?,
                    Some(Ok(message)) if message.offset() >= part.next => break,
                    Some(Ok(message)) => {
                        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                        match message.payload() {
                            Some(value) => {
                                writer.push(topic, partition, offset, message.timestamp().to_millis(), value);
                            }
                            None => writer.pass(topic, partition, offset),
                        }
                        if offset + 1 == part.next {
                            break;
                        }
                    }
                }
            }
            consumer.unassign()?;
            let found = writer.parts().first().map_or(part.next, |found| found.first);
            if found > part.first {
                error!(
                    input = self.settings.name,
                    topic = part.topic,
                    partition = part.partition,
                    first = part.first,
                    next = found,
                    "kafka: messages that were claimed are no longer in Kafka: keep them there for longer than loghound is away"
                );
            }
            if writer.is_empty() {
                continue;
            }
            let bytes = (writer.bytes() + 3 * PART_BYTES + self.settings_bytes()) as u64;
            let room = loop {
                match self.keeper.reserve(bytes, ROOM_STEP)? {
                    Some(room) => break room,
                    None if self.closing.is_cancelled() => return Ok(()),
                    None => {}
                }
            };
            self.keep(&mut writer, room)?;
        }
        Ok(())
    }

    /// Claims of this instance beyond what is durable here.
    fn debts(&self, consumer: &BaseConsumer<Watch>) -> Result<Vec<Part>, Trouble> {
        let (instance, input) = (self.keeper.instance(), &self.settings.name);
        let patterns: Vec<regex::Regex> = self
            .settings
            .topics
            .iter()
            .filter(|t| t.starts_with('^'))
            .filter_map(|t| regex::Regex::new(t).ok())
            .collect();
        let ours = |topic: &str| {
            self.settings.topics.iter().any(|name| name == topic) || patterns.iter().any(|p| p.is_match(topic))
        };
        let metadata = consumer.fetch_metadata(None, ASK)?;
        let mut list = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| ours(topic.name())) {
            for partition in topic.partitions() {
                list.add_partition(topic.name(), partition.id());
            }
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let mut debts = Vec::new();
        for e in consumer.committed_offsets(list, ASK)?.elements() {
            e.error()?;
            let place = place(&*self.keeper, input, e.topic(), e.partition(), e.offset(), e.metadata());
            let Some(claim) = place.claims.of(instance) else { continue };
            let stored = self.keeper.next(input, e.topic(), e.partition());
            let first = stored.map_or(claim.first, |stored| stored.max(claim.first));
            if first < claim.next {
                debts.push(Part { topic: e.topic().to_owned(), partition: e.partition(), first, next: claim.next });
            }
        }
        Ok(debts)
    }
}

/// Leaves out what is of partitions that went: who has them now reads it again.
fn forget(watch: &Watch, writer: &mut Writer) {
    let gone = watch.take_gone();
    if !gone.is_empty() {
        writer
            .retain(|part| !gone.iter().any(|(topic, partition)| *partition == part.partition && *topic == part.topic));
    }
}

/// An error that librdkafka recovers from is told; one it does not recover from is the end of the consumer.
fn transient(watch: &Watch, error: KafkaError) -> Result<(), Trouble> {
    match error {
        KafkaError::MessageConsumption(code) => {
            watch.trouble(code.to_string());
            Ok(())
        }
        error => Err(error.into()),
    }
}
