//! Kafka in: one consumer an input, whose messages are made durable in batches and are in the store exactly once.
//!
//! A batch is *claimed* first: its end is committed to the group, with this instance and the batch's beginning as the
//! commit's metadata ([`claims`]); only then is it journalled. The broker takes a commit from a partition's owner alone, so a
//! message is claimed by one instance. A crash between claim and journal leaves a claim without its messages: they are still in
//! Kafka, and the next start of that instance reads them again before anything else. What is journalled is indexed exactly once,
//! as everything is, and an instance knows its own offsets better than the group does: where the group has forgotten them, it
//! goes on from its own.
//!
//! So after `kill -9` no other instance has to guess what the dead one has stored. The price: a claim that was not
//! journalled waits for its instance to come back, as what lies in that instance's journal does.

mod body;
pub mod claims;
#[cfg(feature = "kafka")]
mod consumer;
mod settings;
#[cfg(feature = "kafka")]
mod watch;

use std::time::Duration;

pub use body::{Body, BodyError, Message, Part, Writer};
#[cfg(feature = "kafka")]
pub use consumer::Input;
pub use settings::{Format, Settings, read};

use super::SinkError;
use crate::journal::Room;
use crate::record::Batch;

/// How the names of senders by Kafka begin: their records are told apart by their place in Kafka.
pub const KAFKA_SENDER: &str = "kafka:";

/// Where batches become durable, and what is known of what became durable before.
pub trait Keeper: Send + Sync + 'static {
    /// The name of this data directory: the same for as long as it exists.
    fn instance(&self) -> &str;
    /// The offset behind the last that is durable here; `None` where there is none.
    fn next(&self, input: &str, topic: &str, partition: i32) -> Option<i64>;
    /// Room in the journal; `None` when there is none within `wait`.
    fn reserve(&self, bytes: u64, wait: Duration) -> Result<Option<Room>, SinkError>;
    /// Makes the batch durable; returns when it is.
    fn keep(&self, room: Room, batch: Batch, input: &str, parts: &[Part]) -> Result<(), SinkError>;
    /// Unix nanoseconds.
    fn now(&self) -> i64;
}

/// What an input tells of itself, for metrics.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Messages behind the end of the partitions that are assigned.
    pub lag: std::sync::atomic::AtomicI64,
    pub partitions: std::sync::atomic::AtomicI64,
    /// 1 while partitions are paused because the journal has no room.
    pub paused: std::sync::atomic::AtomicI64,
    pub rebalances: std::sync::atomic::AtomicU64,
    /// Times that the connection, the group or a claim failed.
    pub troubles: std::sync::atomic::AtomicU64,
    /// Messages without a value: nothing to keep.
    pub empty: std::sync::atomic::AtomicU64,
}
