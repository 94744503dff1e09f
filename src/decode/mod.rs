//! From the frames of a batch to its events: the stream each belongs to, its identity, and whether it was here
//! before.
//!
//! A Filebeat event is about 1.6 KB, most of it the same for every line of one container. Each event is walked once,
//! byte by byte; the stream's part is only hashed, and found under the hash in [`Streams`]. Nothing is allocated for
//! an event of a known stream. Decode knows no disk, no network and no clock: equal batches give equal events.

mod decoder;
mod dedupe;
mod documents;
mod event;
mod extra;
mod fields;
mod frames;
mod hash;
mod identity;
mod kafka;
mod marks;
mod pairs;
mod path;
mod scan;
mod streams;

pub use decoder::{BadEvent, BadReason, Decoder};
pub use dedupe::{Dedupe, DedupeCounts, DedupeLimits};
pub use fields::STREAM_KEYS;
pub use frames::{DataFrame, DataFrames, Pairs};
pub use kafka::Messages as KafkaMessages;
pub use path::ContainerPath;
pub use scan::{BadJson, Fault};
pub use streams::{HTTP_SENDER, StreamCounts, StreamLimits, Streams};

#[cfg(test)]
mod tests;
