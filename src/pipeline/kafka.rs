//! Reads topics of Kafka as one of a consumer group.
//!
//! A batch of messages is journalled before its offsets are committed, so a crash in between reads it again, and what is
//! read again is known ([`ingest::kafka`](crate::ingest::kafka)): nothing is lost, nothing is there twice. While the
//! journal has no room, partitions are paused and the group is kept.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use tokio::runtime::Handle;
use tracing::{error, info, warn};
use xxhash_rust::xxh3::xxh3_64;

use super::Context;
use crate::ingest::dead_letters::DeadLetter;
use crate::ingest::http::{Declined, Encoding, Options, Request, Source};
use crate::ingest::kafka::{Format, KafkaSettings, Message, Poison, append};
use crate::record::time::format_rfc3339;
use crate::telemetry::Metrics;

/// Messages of one batch, and the bytes after which it is enough.
const BATCH_MESSAGES: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// How long a batch is gathered.
const GATHER: Duration = Duration::from_millis(50);
/// How long the broker is waited for before the flag is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Between two tries to journal a batch.
const RETRY: Duration = Duration::from_millis(250);
/// The same trouble is told once in so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Journal positions stay far below: letters of Kafka have numbers of their own.
const LETTERS_FROM: u64 = 1 << 63;

/// The running thread.
pub struct Kafka {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Kafka {
    /// Joins the group. What is wrong with the settings is an error; a broker that is away is waited for.
    pub fn start(settings: &KafkaSettings, context: Arc<Context>, runtime: Handle) -> Result<Self, KafkaError> {
        let consumer = consumer(settings, Arc::clone(&context.metrics))?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let input = Input {
            consumer,
            format: settings.format,
            context,
            runtime,
            stop: Arc::clone(&stop),
            told: Cell::new(None),
        };
        let spawned = std::thread::Builder::new().name("loghound-kafka".into()).spawn(move || input.run());
        let thread = spawned.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        info!(brokers = settings.brokers, group = settings.group, topics = ?settings.topics, "reading from Kafka");
        Ok(Self { stop, thread })
    }

    /// Ends when what was read is journalled and committed; false where that took too long.
    pub async fn stop(self, deadline: Instant) -> bool {
        self.stop.store(true, Ordering::Release);
        while !self.thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.thread.is_finished()
    }
}

/// Whether a client can be made of the settings; no broker is asked.
pub fn check(settings: &KafkaSettings) -> Result<(), KafkaError> {
    consumer(settings, Arc::new(Metrics::new().map_err(|error| KafkaError::ClientCreation(error.to_string()))?))
        .map(drop)
}

fn consumer(settings: &KafkaSettings, metrics: Arc<Metrics>) -> Result<BaseConsumer<Watch>, KafkaError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("client.id", "loghound")
        .set("auto.offset.reset", "earliest")
        // What a member leaves alone goes on while another one joins.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("queued.max.messages.kbytes", "16384")
        .set("statistics.interval.ms", "5000");
    for (name, value) in &settings.properties {
        config.set(name, value);
    }
    // Not to be set otherwise: it is what makes the promise.
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set_log_level(RDKafkaLogLevel::Warning);
    config.create_with_context(Watch { metrics })
}

/// What the client tells on its way.
struct Watch {
    metrics: Arc<Metrics>,
}

impl ClientContext for Watch {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag: i64 = partitions.map(|partition| partition.consumer_lag.max(0)).sum();
        self.metrics.kafka_lag.set(lag);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        warn!(%error, reason, "Kafka; it is tried again");
    }
}

impl ConsumerContext for Watch {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.metrics.kafka_rebalances.inc();
        match rebalance {
            Rebalance::Assign(partitions) => info!(partitions = partitions.count(), "Kafka gave partitions"),
            Rebalance::Revoke(partitions) => info!(partitions = partitions.count(), "Kafka took partitions"),
            Rebalance::Error(error) => warn!(%error, "Kafka cannot share out partitions"),
        }
    }
}

struct Input {
    consumer: BaseConsumer<Watch>,
    format: Format,
    context: Arc<Context>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    /// When trouble was told last.
    told: Cell<Option<Instant>>,
}

/// Messages that become durable together.
#[derive(Default)]
struct Gathered {
    body: Vec<u8>,
    messages: usize,
    letters: Vec<DeadLetter>,
    /// The offset after the last message of each partition.
    next: HashMap<(String, i32), i64>,
}

impl Input {
    fn run(self) {
        while !self.stop.load(Ordering::Acquire) {
            let gathered = self.gather();
            if gathered.messages > 0 && !self.keep(gathered) {
                break;
            }
        }
        // Leaves the group, so that the others need not wait until it is missed.
        self.consumer.unsubscribe();
    }

    fn gather(&self) -> Gathered {
        let mut gathered = Gathered::default();
        let mut wait = POLL;
        let mut until = None;
        loop {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let payload = message.payload().unwrap_or_default();
                    let read = Message {
                        topic: message.topic(),
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp: message.timestamp().to_millis().map(|ms| ms.saturating_mul(1_000_000)),
                        payload,
                    };
                    gathered.next.insert((read.topic.to_owned(), read.partition), read.offset + 1);
                    gathered.messages += 1;
                    // A tombstone says nothing.
                    if message.payload().is_some()
                        && let Err(poison) = append(&mut gathered.body, &read, self.format)
                    {
                        gathered.letters.push(self.letter(&read, &poison));
                    }
                    if gathered.messages >= BATCH_MESSAGES || gathered.body.len() >= BATCH_BYTES {
                        return gathered;
                    }
                }
                Some(Err(error)) => {
                    self.tell(|| warn!(%error, "cannot read from Kafka; it is tried again"));
                    return gathered;
                }
                None => return gathered,
            }
            let until = *until.get_or_insert_with(|| Instant::now() + GATHER);
            wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return gathered;
            }
        }
    }

    fn letter(&self, message: &Message<'_>, poison: &Poison) -> DeadLetter {
        let name = format!("kafka:{}/{}/{}", message.topic, message.partition, message.offset);
        let redacted = self.context.redactor.as_ref().zip(std::str::from_utf8(message.payload).ok());
        DeadLetter {
            position: LETTERS_FROM | xxh3_64(name.as_bytes()),
            index: message.partition as u32,
            received_at: format_rfc3339(self.context.clock.now()),
            peer: name,
            reason: poison.to_string(),
            body_base64: match redacted {
                Some((redactor, text)) => DeadLetter::encode(redactor.mask(text).as_bytes()),
                None => DeadLetter::encode(message.payload),
            },
        }
    }

    /// Makes a batch durable and says so to the broker; false when loghound is stopping.
    fn keep(&self, gathered: Gathered) -> bool {
        let mut paused = false;
        let body = Bytes::from(gathered.body);
        loop {
            match self.receive(&body, &gathered.letters) {
                Ok(()) => break,
                Err(Trouble::Stopping) => return false,
                Err(Trouble::Later(reason)) => {
                    self.tell(|| warn!(reason, "cannot keep what Kafka sends; partitions wait"));
                    if self.stop.load(Ordering::Acquire) {
                        return false;
                    }
                    if !paused {
                        paused = self.consumer.assignment().and_then(|all| self.consumer.pause(&all)).is_ok();
                    }
                    std::thread::sleep(RETRY);
                    // Who does not poll is taken for dead. Of what a paused partition had ready nothing is given.
                    if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
                        self.read_again(message.topic(), message.partition(), message.offset());
                    }
                }
            }
        }
        if paused {
            let resumed = self.consumer.assignment().and_then(|all| self.consumer.resume(&all));
            if let Err(error) = resumed {
                error!(%error, "cannot go on with Kafka's partitions");
            }
        }
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), next) in &gathered.next {
            // A name that was read is one that can be written.
            let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(*next));
        }
        if let Err(error) = self.consumer.commit(&offsets, CommitMode::Async) {
            self.tell(|| warn!(%error, "cannot commit offsets to Kafka; what is read again is known"));
        }
        self.context.metrics.kafka_messages.inc_by(gathered.messages as u64);
        self.context.metrics.kafka_poison.inc_by(gathered.letters.len() as u64);
        true
    }

    fn receive(&self, body: &Bytes, letters: &[DeadLetter]) -> Result<(), Trouble> {
        if !letters.is_empty() {
            let kept = self.context.dead_letters.lock().append(letters);
            kept.map_err(|error| Trouble::Later(error.to_string()))?;
        }
        if body.is_empty() {
            return Ok(());
        }
        let request = Request {
            source: Source::Bulk,
            encoding: Encoding::Identity,
            options: Options::default(),
            body: body.clone(),
            peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            searchable: false,
        };
        match self.context.documents.receive(&self.context, &self.runtime, request) {
            Ok(_) => Ok(()),
            Err(Declined::Stopping(_)) => Err(Trouble::Stopping),
            Err(declined) => Err(Trouble::Later(declined.to_string())),
        }
    }

    /// Puts a partition back to a message that came at the wrong time.
    fn read_again(&self, topic: &str, partition: i32, offset: i64) {
        if let Err(error) = self.consumer.seek(topic, partition, Offset::Offset(offset), POLL) {
            error!(topic, partition, offset, %error, "cannot go back to a message of Kafka");
        }
    }

    fn tell(&self, tell: impl FnOnce()) {
        if self.told.get().is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            self.told.set(Some(Instant::now()));
            tell();
        }
    }
}

enum Trouble {
    Stopping,
    Later(String),
}
