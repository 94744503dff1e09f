//! What librdkafka tells an input while it is polled: partitions come and go, brokers go and come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tracing::{debug, info, warn};

use super::claims::Claims;
use super::{Gauges, Keeper};

/// How long the group's offsets are waited for while partitions are assigned.
const COMMITTED_WAIT: Duration = Duration::from_secs(10);

/// Where an assigned partition is.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The least offset that is not taken yet; `None` until the first message where nobody ever committed.
    pub next: Option<i64>,
    pub claims: Claims,
}

pub type Partition = (String, i32);

/// The context of an input's consumer. Its callbacks run on the thread that polls.
pub struct Watch {
    pub input: String,
    pub keeper: Arc<dyn Keeper>,
    pub gauges: Arc<Gauges>,
    pub assigned: Mutex<HashMap<Partition, Place>>,
    /// Partitions that went since this was looked at last; they may be back, and elsewhere in between.
    gone: Mutex<Vec<Partition>>,
    /// Why the consumer must be made anew.
    pub failed: Mutex<Option<String>>,
    /// The trouble that was told last, so that it is told once.
    trouble: Mutex<Option<String>>,
}

impl Watch {
    pub fn new(input: String, keeper: Arc<dyn Keeper>, gauges: Arc<Gauges>) -> Self {
        let (assigned, gone, failed, trouble) = Default::default();
        Self { input, keeper, gauges, assigned, gone, failed, trouble }
    }

    /// Partitions that went since the last call.
    pub fn take_gone(&self) -> Vec<Partition> {
        std::mem::take(&mut *self.gone.lock())
    }

    /// Tells of a trouble, once.
    pub fn trouble(&self, trouble: String) {
        let mut told = self.trouble.lock();
        if told.as_ref() != Some(&trouble) {
            self.gauges.troubles.fetch_add(1, Ordering::Relaxed);
            warn!(input = self.input, "kafka: {trouble}; trying again for as long as it takes");
            *told = Some(trouble);
        }
    }

    pub fn fine(&self) {
        if self.trouble.lock().take().is_some() {
            info!(input = self.input, "kafka: messages come again");
        }
    }

    /// Where partitions begin: behind what is stored here, else where the group is. Sets their offsets.
    fn begin(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        if list.count() == 0 {
            return Ok(());
        }
        let mut places = HashMap::new();
        for element in consumer.committed_offsets(list.clone(), COMMITTED_WAIT)?.elements() {
            element.error()?;
            let place = place(
                &*self.keeper,
                &self.input,
                element.topic(),
                element.partition(),
                element.offset(),
                element.metadata(),
            );
            places.insert((element.topic().to_owned(), element.partition()), place);
        }
        for ((topic, partition), place) in &places {
            let offset = place.next.map_or(Offset::Invalid, Offset::Offset);
            list.set_partition_offset(topic, *partition, offset)?;
        }
        self.assigned.lock().extend(places);
        Ok(())
    }

    fn tell_partitions(&self) {
        self.gauges.partitions.store(self.assigned.lock().len() as i64, Ordering::Relaxed);
        self.gauges.rebalances.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where a partition is, by what is stored here and by the group's commit.
pub fn place(
    keeper: &dyn Keeper,
    input: &str,
    topic: &str,
    partition: i32,
    committed: Offset,
    metadata: &str,
) -> Place {
    let group = match committed {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    // Ours is beyond the group's only where the group was set back or has forgotten.
    Place { next: group.max(keeper.next(input, topic, partition)), claims: Claims::read(metadata) }
}

impl ClientContext for Watch {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What concerns people comes as an error as well.
        debug!(input = self.input, facility, "librdkafka: {message}");
    }

    fn stats(&self, statistics: Statistics) {
        let assigned = self.assigned.lock();
        let lag = assigned.iter().map(|((topic, partition), place)| {
            let seen = statistics.topics.get(topic).and_then(|topic| topic.partitions.get(partition));
            match (seen, place.next) {
                (Some(seen), Some(next)) if seen.ls_offset >= 0 => (seen.ls_offset - next).max(0),
                (Some(seen), None) if seen.ls_offset >= 0 => (seen.ls_offset - seen.lo_offset.max(0)).max(0),
                _ => 0,
            }
        });
        self.gauges.lag.store(lag.sum(), Ordering::Relaxed);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // Comes with each broker that is away, and once more for all.
            Some(RDKafkaErrorCode::BrokerTransportFailure) => debug!(input = self.input, "kafka: {reason}"),
            Some(RDKafkaErrorCode::AllBrokersDown) => self.trouble("no broker can be reached".to_owned()),
            _ => self.trouble(reason.to_owned()),
        }
    }
}

impl ConsumerContext for Watch {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let mut list = list.clone();
            if let Err(error) = self.begin(consumer, &mut list) {
                *self.failed.lock() = Some(format!("the group's offsets cannot be read: {error}"));
                // The rebalance has to be answered; the consumer is made anew right after.
                list = TopicPartitionList::new();
            }
            info!(input = self.input, partitions = %named(&list), "kafka: partitions assigned");
            if cooperative { consumer.incremental_assign(&list) } else { consumer.assign(&list) }
        } else {
            info!(input = self.input, partitions = %named(list), "kafka: partitions revoked");
            let mut assigned = self.assigned.lock();
            let mut gone: Vec<Partition> =
                list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
            if !cooperative {
                gone.extend(assigned.keys().cloned());
            }
            gone.iter().for_each(|partition| drop(assigned.remove(partition)));
            drop(assigned);
            self.gone.lock().extend(gone);
            if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            *self.failed.lock() = Some(format!("partitions cannot be assigned: {error}"));
        }
        self.tell_partitions();
    }
}

/// `topic/partition` of the first few, for the log.
fn named(list: &TopicPartitionList) -> String {
    const NAMED_MAX: usize = 16;
    let elements = list.elements();
    let mut names: Vec<String> =
        elements.iter().take(NAMED_MAX).map(|e| format!("{}/{}", e.topic(), e.partition())).collect();
    if elements.len() > NAMED_MAX {
        names.push(format!("and {} more", elements.len() - NAMED_MAX));
    }
    names.join(" ")
}
