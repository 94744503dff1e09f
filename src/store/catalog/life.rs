//! The life of a day: open, late (a grace for lines that come after it), ended, sealed, warm.
//!
//! What a day is, is told by the clock and by its directory alone, so there is no state to lose: a crash at any point
//! leaves a day that is taken up again by the next [`Store::seal_ended`]. A late line for a sealed day takes the seal off
//! ([`super::super::seal`]) and the day is sealed again when it is quiet.

use std::collections::HashSet;
use std::path::Path;

use tantivy::Index;

use super::super::error::Error;
use super::super::home::{QUARANTINE, shard_name};
use super::super::schema;
use super::super::seal::{Pace, Seal};
use super::super::shard::{Shard, known};
use super::super::streams::{self, StreamTable};
use super::{Store, days};
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
    /// Sealed, and its files are on the warm volume.
    Warm,
}

impl ShardState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Late => "late",
            Self::Ended => "ended",
            Self::Sealed => "sealed",
            Self::Warm => "warm",
        }
    }
}

impl Store {
    /// Merges and seals the days that have ended and are quiet, oldest first, and names them. `now`: Unix nanoseconds.
    /// `go_on` is asked between steps and while files are read. A day that fails does not keep the others from their
    /// seal: the first error is returned after all had their turn.
    pub fn seal_ended(&self, now: i64, go_on: &dyn Fn() -> bool) -> (Vec<i32>, Option<Error>) {
        let options = &self.catalog.options;
        let (mut sealed, mut failed) = (Vec::new(), None);
        let pace = Pace { bytes_per_second: options.seal_bytes_per_second };
        for shard in self.catalog.all() {
            if !go_on() {
                break;
            }
            if state(&shard, now, options.late_grace_nanos) != ShardState::Ended {
                continue;
            }
            match shard.seal(options.sealed_docs_max, pace, go_on) {
                Ok(true) => sealed.push(shard.day),
                Ok(false) => {}
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        (sealed, failed)
    }

    /// Moves sealed days that are old enough to the warm volume, oldest first, and names them; removes there what no day needs
    /// any more. One thread at a time. Like [`Store::seal_ended`], of which it is the next step.
    pub fn cool_sealed(&self, now: i64, go_on: &dyn Fn() -> bool) -> (Vec<i32>, Option<Error>) {
        let options = &self.catalog.options;
        let (mut moved, mut failed) = (Vec::new(), None);
        let (Some(warm), Some(when)) = (&self.catalog.warm, &options.warm) else { return (moved, failed) };
        let pace = Pace { bytes_per_second: options.seal_bytes_per_second };
        for shard in self.catalog.all() {
            if !go_on() {
                break;
            }
            let is_due = now.saturating_sub(end(shard.day)) >= when.after_nanos;
            if !is_due || state(&shard, now, options.late_grace_nanos) != ShardState::Sealed {
                continue;
            }
            match shard.cool(warm, pace, go_on) {
                Ok(true) => moved.push(shard.day),
                Ok(false) => {}
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        if let Err(error) = warm.sweep(&self.catalog.root) {
            failed.get_or_insert(error);
        }
        (moved, failed)
    }

    /// Where each day is in its life at `now`, newest first: (UTC day, state).
    pub fn states(&self, now: i64) -> Vec<(i32, ShardState)> {
        let grace = self.catalog.options.late_grace_nanos;
        self.catalog.all().iter().rev().map(|shard| (shard.day, state(shard, now, grace))).collect()
    }
}

/// The first moment after a day.
fn end(day: i32) -> i64 {
    (i64::from(day) + 1).saturating_mul(time::NANOS_PER_DAY)
}

fn state(shard: &Shard, now: i64, grace_nanos: i64) -> ShardState {
    // The quarantine has no end.
    if shard.day == QUARANTINE {
        return ShardState::Open;
    }
    if shard.is_warm() {
        return ShardState::Warm;
    }
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
    let dir = root.join(shard_name(day));
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
