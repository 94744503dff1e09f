//! Deleting days: the oldest first, by age and by disk use.
//!
//! A shard is renamed to `.deleted-NAME` and then removed, so that it is there whole or not at all; what a crash leaves
//! under such a name is removed at the next start. Queries under way read on: they have its files open.

use std::fs;
use std::sync::Arc;

use super::catalog::Catalog;
use super::error::Error;
use super::home::{QUARANTINE, oldest_kept, shard_name};
use super::shard::{Shard, sync_dir};

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// UTC days, today included; `None` keeps all.
    pub days: Option<u32>,
    /// Bytes of all shards together; beyond it the oldest days go, never today's. `None` keeps all.
    pub bytes_max: Option<u64>,
}

/// Why a shard is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Age,
    DiskUse,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Age => "age",
            Reason::DiskUse => "disk_use",
        }
    }
}

/// A shard that is, or was, to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub day: i32,
    pub name: String,
    pub records: u64,
    pub bytes: u64,
    pub reason: Reason,
}

impl Retention {
    /// What is to go at `now` (Unix nanoseconds) of `shards`, in this order. The quarantine has no age; where the disk is
    /// short it goes before any day does.
    pub(super) fn plan(&self, shards: &[Arc<Shard>], now: i64) -> Vec<Removal> {
        let mut plan = Vec::new();
        let mut total: u64 = shards.iter().map(|shard| shard.view().bytes()).sum();
        for shard in shards {
            let (view, day) = (shard.view(), shard.day);
            let today = now.div_euclid(crate::record::time::NANOS_PER_DAY);
            let too_old = self.days.is_some_and(|days| i64::from(day) < oldest_kept(now, days));
            let reason = if too_old && day != QUARANTINE {
                Reason::Age
            } else if self.bytes_max.is_some_and(|max| total > max) && i64::from(day) < today {
                Reason::DiskUse
            } else {
                continue;
            };
            total -= view.bytes();
            plan.push(Removal { day, name: shard_name(day), records: view.docs(), bytes: view.bytes(), reason });
        }
        plan
    }
}

impl Catalog {
    /// Takes a shard out of service and deletes it. Records of it that no commit took yet go with it.
    pub(super) fn remove(&self, day: i32) -> Result<(), Error> {
        let name = shard_name(day);
        let (from, to) = (self.root.join(&name), self.root.join(format!("{DELETED}{name}")));
        {
            let _one = self.commit.lock();
            let Some(shard) = self.shards.read().get(&day).cloned() else { return Ok(()) };
            shard.retire()?;
            fs::rename(&from, &to).map_err(Error::io(&from))?;
            self.shards.write().remove(&day);
        }
        sync_dir(&self.root)?;
        fs::remove_dir_all(&to).map_err(Error::io(&to))
    }
}

/// Begins the name of a shard whose deletion was begun.
pub const DELETED: &str = ".deleted-";

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
