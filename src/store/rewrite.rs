//! A day written anew beside itself: readers see all of the old until they see all of the new.
//!
//! [`Store::rewrite`] lets the day's segments stand as they are (no merge) while records are added to new ones;
//! [`Rewrite::finish`] puts those in the place of the old in a single commit, beside whatever was committed since. A crash,
//! or dropping the rewrite, leaves the old: the new segments belong to no commit and go at the next start.

use std::sync::Arc;

use tantivy::SegmentMeta;
use tantivy::index::SegmentId;

use super::error::Error;
use super::shard::{Shard, ShardView};
use super::worker::Worker;
use crate::record::Record;

/// A day being written anew. One at a time for each day.
pub struct Rewrite {
    pub(super) shard: Arc<Shard>,
    view: Arc<ShardView>,
    pub(super) old: Vec<SegmentMeta>,
    worker: Worker,
}

impl Rewrite {
    pub(super) fn begin(shard: Arc<Shard>, worker: Worker) -> Result<Option<Self>, Error> {
        let Some(old) = shard.hold()? else { return Ok(None) };
        Ok(Some(Self { view: shard.view(), shard, old, worker }))
    }

    /// The day as it stands.
    pub fn view(&self) -> &Arc<ShardView> {
        &self.view
    }

    /// Adds a record in the place of an old one. Its stream is one of the day's, and it stays in this day whatever its
    /// time. `covers_line` as for [`Worker::add`].
    pub fn add(&mut self, record: &Record<'_>, covers_line: bool) -> Result<(), Error> {
        self.worker.put(&self.shard, record, covers_line)
    }

    /// Shows the records added instead of those of the segments named; the day's other segments stay.
    pub fn finish(mut self, replaced: &[SegmentId]) -> Result<(), Error> {
        let new = self.worker.finish()?;
        let old: Vec<SegmentMeta> = self.old.iter().filter(|meta| replaced.contains(&meta.id())).cloned().collect();
        self.shard.replace(&old, new)
    }
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        self.shard.release();
    }
}
