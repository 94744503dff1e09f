//! Keeps records searchable: a shard a UTC day, each a tantivy index with a table of its streams.
//!
//! `DATA/shards/VERSION` names the format of the directory, `DATA/shards/2026-11-22/` is a shard. Workers build
//! segments ([`Worker`]); a commit makes the segments of all workers visible at once, shard by shard, each with the
//! journal position up to which it is complete ([`Store::commit`]). After a crash the journal is read again from the
//! oldest of those positions and every shard drops what it has: nothing lost, nothing twice.

mod catalog;
mod document;
mod documents;
mod erase;
mod error;
mod fill;
mod home;
mod line;
mod merge;
mod meta;
mod repair;
mod retention;
mod rewrite;
mod schema;
mod seal;
mod shard;
mod snapshot;
mod streams;
mod templates;
mod warm;
pub mod words;
mod worker;

pub use catalog::{CommitStats, SetAside, ShardState, Store, Verified, verify};
pub use documents::{Documents, Stored};
pub use error::Error;
pub use home::{Believable, QUARANTINE, shard_day, shard_name};
pub use meta::Meta;
pub use repair::{Saved, save_day};
pub use retention::{Reason, Removal, Retention};
pub use rewrite::Rewrite;
pub use schema::{Fields, STAMP_PREFIX};
pub use shard::ShardView;
pub use snapshot::{Link, Linked, days_under, highest_position, link_days, put_back};
pub use streams::{GrammarEntry, StreamEntry};
pub use templates::{OpenedRegistry, TemplateRegistry};
// A file of this format is read by a fuzz target; nothing else outside has a use for it.
#[doc(hidden)]
pub use streams::{Known, StreamTable};
pub use warm::WarmOptions;
pub use worker::{Cut, Worker};

/// Limits of the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// A worker finishes its segments early beyond this: bytes.
    pub worker_memory_bytes: usize,
    /// Days a worker builds segments for at the same time; late lines beyond finish the one used longest ago.
    pub open_days_max: usize,
    /// Distinct field names a shard indexes; the values of further ones are found by their words.
    pub paths_max: usize,
    /// Merging makes no segment larger than this: docs.
    pub segment_docs_max: u64,
    /// A shard without commits for so long closes its writer: nanoseconds.
    pub idle_after_nanos: i64,
    /// Sealing makes no segment larger than this: docs.
    pub sealed_docs_max: u64,
    /// How fast the files of a day are read for their checksums; 0 is as fast as the disk gives them.
    pub seal_bytes_per_second: u64,
    /// How long after its end a day waits for late lines before it is sealed: nanoseconds.
    pub late_grace_nanos: i64,
    /// Lines of other times are quarantined.
    pub believable: Believable,
    pub retention: Retention,
    /// Where sealed days move to; `None` keeps them where they are.
    pub warm: Option<WarmOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            worker_memory_bytes: 64 << 20,
            open_days_max: 4,
            paths_max: 2000,
            segment_docs_max: 5_000_000,
            idle_after_nanos: 600 * crate::record::time::NANOS_PER_SECOND,
            sealed_docs_max: 200_000_000,
            seal_bytes_per_second: 64 << 20,
            late_grace_nanos: 3_600 * crate::record::time::NANOS_PER_SECOND,
            believable: Believable { days: None, ahead_nanos: i64::MAX },
            retention: Retention::default(),
            warm: None,
        }
    }
}
