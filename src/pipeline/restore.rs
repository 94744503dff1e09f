//! Puts days of a snapshot, or of another store's copy, back into a data directory that nobody has open.

use std::fs;
use std::path::{Path, PathBuf};

use super::lock::{DataDirLock, LockError};
use crate::journal::{self, Journal};
use crate::store::{self, shard_name};

/// A day that was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub name: String,
    /// Where the day is that stood in its place.
    pub replaced: Option<PathBuf>,
}

/// Why nothing more was put back. Days before the one that failed are in their place.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("{from} has no day {name}: it has {have}", from = from.display())]
    NoSuchDay { from: PathBuf, name: String, have: String },
    #[error("day {name} of {from} is damaged, and was not put back: {problem}", from = from.display())]
    Damaged { from: PathBuf, name: String, problem: String },
    #[error(
        "the journal holds lines that are in no day yet: start loghound, stop it with SIGTERM so that it indexes them, and \
         restore again"
    )]
    NotDrained,
    #[error("cannot copy the templates: {0}")]
    Templates(std::io::Error),
}

/// Takes `only` these days, all without, from `from`: a snapshot, a data directory, its `shards`, or one day's directory.
pub fn restore(data_dir: &Path, from: &Path, only: &[i32]) -> Result<Vec<Restored>, RestoreError> {
    let (source, days) = store::days_under(from)?;
    if let Some(day) = only.iter().find(|day| !days.contains(day)) {
        let have = days.iter().map(|day| shard_name(*day)).collect::<Vec<_>>().join(", ");
        return Err(RestoreError::NoSuchDay { from: from.to_owned(), name: shard_name(*day), have });
    }
    let days: Vec<i32> = days.into_iter().filter(|day| only.is_empty() || only.contains(day)).collect();
    for &day in &days {
        for verified in store::verify(&source, Some(day))? {
            if let Some(problem) = verified.problems.into_iter().next() {
                return Err(RestoreError::Damaged { from: from.to_owned(), name: shard_name(day), problem });
            }
        }
    }
    let _lock = DataDirLock::acquire(data_dir)?;
    let root = data_dir.join("shards");
    let position = drained(data_dir, &root)?;
    let mut restored = Vec::new();
    for day in days {
        let replaced = store::put_back(&source, &root, day, position)?;
        restored.push(Restored { name: shard_name(day), replaced });
    }
    // Where there are none yet: their numbers are those of the days' records.
    let (theirs, ours) = (source.with_file_name("templates"), data_dir.join("templates"));
    if theirs.is_dir() && !ours.exists() {
        copy_files(&theirs, &ours).map_err(RestoreError::Templates)?;
    }
    Ok(restored)
}

/// The journal position up to which everything is in the days; an error where it holds more.
pub(super) fn drained(data_dir: &Path, root: &Path) -> Result<u64, RestoreError> {
    let held = store::highest_position(root)?;
    let dir = data_dir.join("journal");
    if !dir.exists() {
        return Ok(held);
    }
    let options =
        journal::Options { dir, segment_bytes: 64 << 20, bytes_max: 1 << 40, disk_reserve_bytes: 0, observer: None };
    let (_journal, report) = Journal::open(options)?;
    if report.last.0 > held { Err(RestoreError::NotDrained) } else { Ok(held) }
}

/// Copies the files of a directory without those in directories below it.
pub fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}
