//! The life of a day: open, late (a grace for lines that come after it), sealed, deleted.
//!
//! What a day is, is told by the clock and by its directory alone, so there is no state to lose: a crash at any point
//! leaves a day that is taken up again by the next [`Store::tend`]. A late line for a sealed day takes the seal off
//! ([`super::seal`]) and the day is sealed again when it is quiet. A deleted day is renamed first: either it is there
//! whole, or it is gone.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Index;

use super::super::error::Error;
use super::super::schema;
use super::super::seal::{Pace, Seal};
use super::super::shard::{Shard, known, sync_dir};
use super::super::streams::{self, StreamTable};
use super::{GONE_PREFIX, Store, days};
use crate::record::time;

/// Where a day is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardState {
    /// It has not ended.
    Open,
    /// It has ended, and waits for late lines.
    Late,
    /// It is to be merged and sealed as soon as it is quiet.
    Ended,
    /// Merged, and its files have checksums.
    Sealed,
}

impl ShardState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Late => "late",
            Self::Ended => "ended",
            Self::Sealed => "sealed",
        }
    }
}

/// A day, as an operator asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// UTC day number.
    pub day: i32,
    pub state: ShardState,
    pub records: u64,
    pub segments: usize,
    pub bytes: u64,
    /// When its age makes it due for deletion: Unix nanoseconds. `None` while there is no retention.
    pub delete_after: Option<i64>,
}

/// What [`Store::tend`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tended {
    /// UTC day numbers.
    pub sealed: Vec<i32>,
    pub deleted: Vec<Deleted>,
}

/// A day that retention took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// UTC day number.
    pub day: i32,
    pub records: u64,
    pub bytes: u64,
    /// `age` or `size`: the limit that it was over.
    pub limit: &'static str,
}

impl Store {
    /// Takes every day one step further in its life, oldest first: deletes what retention no longer keeps, then seals
    /// what has ended and is quiet. `now`: Unix nanoseconds. `go_on` is asked between steps and while files are read. A
    /// day that fails does not keep the others from their step: the first error is returned after all had theirs.
    pub fn tend(&self, now: i64, go_on: &dyn Fn() -> bool) -> (Tended, Option<Error>) {
        let options = &self.catalog.options;
        let (mut tended, mut failed) = (Tended::default(), None);
        for (day, limit) in self.overdue(now) {
            match self.delete(day, limit) {
                Ok(deleted) => tended.deleted.extend(deleted),
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        let pace = Pace { bytes_per_second: options.seal_bytes_per_second };
        for shard in self.catalog.all() {
            if !go_on() {
                break;
            }
            if state(&shard, now, options.late_grace_nanos) != ShardState::Ended {
                continue;
            }
            match shard.seal(options.sealed_docs_max, pace, go_on) {
                Ok(true) => tended.sealed.push(shard.day),
                Ok(false) => {}
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        (tended, failed)
    }

    /// The days, newest first, as of their last commit; looks at their directories.
    pub fn infos(&self, now: i64) -> Vec<ShardInfo> {
        let options = &self.catalog.options;
        let info = |shard: &Arc<Shard>| {
            let view = shard.view();
            ShardInfo {
                day: shard.day,
                state: state(shard, now, options.late_grace_nanos),
                records: view.docs(),
                segments: view.searcher().segment_readers().len(),
                bytes: view.bytes(),
                delete_after: (options.retention_nanos > 0).then(|| end(shard.day) + options.retention_nanos),
            }
        };
        self.catalog.all().iter().rev().map(info).collect()
    }

    /// Which days retention takes now, and why. The newest is never taken for its size.
    fn overdue(&self, now: i64) -> Vec<(i32, &'static str)> {
        let options = &self.catalog.options;
        let shards = self.catalog.all();
        let aged = |day: i32| options.retention_nanos > 0 && now >= end(day).saturating_add(options.retention_nanos);
        let mut overdue: Vec<_> =
            shards.iter().filter(|shard| aged(shard.day)).map(|shard| (shard.day, "age")).collect();
        if options.bytes_max > 0 {
            let kept: Vec<_> = shards.iter().filter(|shard| !aged(shard.day)).collect();
            let mut bytes: u64 = kept.iter().map(|shard| shard.view().bytes()).sum();
            for shard in &kept[..kept.len().saturating_sub(1)] {
                if bytes <= options.bytes_max {
                    break;
                }
                bytes -= shard.view().bytes();
                overdue.push((shard.day, "size"));
            }
        }
        overdue
    }

    fn delete(&self, day: i32, limit: &'static str) -> Result<Option<Deleted>, Error> {
        let catalog = &self.catalog;
        let (deleted, gone) = {
            // No commit meanwhile: what one would add belongs to a day that is deleted.
            let _one = catalog.commit.lock();
            let mut shards = catalog.shards.write();
            let Some(shard) = shards.get(&day) else { return Ok(None) };
            let (from, gone) = (catalog.root.join(shard.name()), self.gone_path(day));
            let view = shard.view();
            let deleted = Deleted { day, records: view.docs(), bytes: view.bytes(), limit };
            fs::rename(&from, &gone).map_err(Error::io(&from))?;
            shards.remove(&day);
            (deleted, gone)
        };
        sync_dir(&catalog.root)?;
        // Queries under way keep the files they have open.
        fs::remove_dir_all(&gone).map_err(Error::io(&gone))?;
        Ok(Some(deleted))
    }

    fn gone_path(&self, day: i32) -> PathBuf {
        let mut n = 1;
        loop {
            let path = self.catalog.root.join(format!("{GONE_PREFIX}{}-{n}", time::format_day(day)));
            if !path.exists() {
                return path;
            }
            n += 1;
        }
    }
}

/// The first moment after a day.
fn end(day: i32) -> i64 {
    (i64::from(day) + 1).saturating_mul(time::NANOS_PER_DAY)
}

fn state(shard: &Shard, now: i64, grace_nanos: i64) -> ShardState {
    if shard.is_sealed() {
        return ShardState::Sealed;
    }
    match now.saturating_sub(end(shard.day)) {
        past if past < 0 => ShardState::Open,
        past if past < grace_nanos => ShardState::Late,
        _ => ShardState::Ended,
    }
}

/// What [`verify`] found of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// UTC day number.
    pub day: i32,
    pub sealed: bool,
    /// A line for each thing that is damaged; empty when all is well.
    pub problems: Vec<String>,
}

/// Reads every file of every day under `root` (`DATA/shards`), or of one day, against its checksums, and changes
/// nothing. A server may be running: a day that is being written may then show problems that are none, and is to be
/// verified again.
pub fn verify(root: &Path, only: Option<i32>) -> Result<Vec<Verified>, Error> {
    let days = days(root, false)?.into_iter().filter(|day| only.is_none_or(|only| only == *day));
    Ok(days.map(|day| verify_day(root, day)).collect())
}

fn verify_day(root: &Path, day: i32) -> Verified {
    let dir = root.join(time::format_day(day));
    let mut problems = Vec::new();
    let seal = Seal::read(&dir);
    let sealed = matches!(seal, Ok(Some(_)));
    match &seal {
        Ok(Some(seal)) => problems.extend(seal.differences(&dir)),
        Ok(None) => {}
        Err(error) => problems.push(error.to_string()),
    }
    let named: HashSet<String> = problems.iter().filter_map(|p| p.split(' ').next()).map(str::to_owned).collect();
    match checked(&dir) {
        Ok(more) => problems.extend(more.into_iter().filter(|(file, _)| !named.contains(file)).map(|(_, what)| what)),
        Err(error) if problems.is_empty() => problems.push(format!("the index cannot be opened: {error}")),
        Err(_) => {}
    }
    Verified { day, sealed, problems }
}

/// What tantivy's own checksums and the stream table's tell: (file, a line about it).
fn checked(dir: &Path) -> tantivy::Result<Vec<(String, String)>> {
    let mut index = Index::open_in_dir(dir)?;
    index.set_tokenizers(schema::tokenizers());
    let damaged = index.validate_checksum()?;
    let mut problems: Vec<_> = damaged
        .iter()
        .map(|file| file.display().to_string())
        .map(|file| (file.clone(), format!("{file} does not match its checksum")))
        .collect();
    problems.sort();
    if let Some(damage) = StreamTable::check(dir, known(&index.load_metas()?)?)? {
        let file = streams::FILE.to_owned();
        problems.push((file, format!("{} {} at byte {}", streams::FILE, damage.what, damage.offset)));
    }
    Ok(problems)
}
