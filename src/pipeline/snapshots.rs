//! Snapshots: `DATA/snapshots/NAME`, the days and the templates as of one moment, hard-linked. Each is a data directory of
//! its own: to be copied elsewhere, opened, or put back from. Anomalies and incidents (`meta.redb`) are not in it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::Context;
use super::restore::copy_files;
use crate::api::{QueryError, SnapshotDay, SnapshotInfo};
use crate::record::time::format_rfc3339;
use crate::store::shard_name;

const DIRECTORY: &str = "snapshots";
const MANIFEST: &str = "snapshot.json";
const UNFINISHED: &str = ".new-";
const NAME_BYTES_MAX: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    taken_at: String,
    days: Vec<Day>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Day {
    name: String,
    records: u64,
    bytes: u64,
}

/// Takes a snapshot; without a name it is called for the time.
pub fn take(context: &Context, name: Option<&str>) -> Result<SnapshotInfo, QueryError> {
    let taken_at = format_rfc3339(context.clock.now());
    let name = match name {
        Some(name) => checked(name)?.to_owned(),
        None => taken_at[..19].replace(':', ""),
    };
    let all = context.data_dir.join(DIRECTORY);
    let (unfinished, done) = (all.join(format!("{UNFINISHED}{name}")), all.join(&name));
    if done.exists() {
        return Err(QueryError::Conflict(format!(
            "there is a snapshot {name} already: delete it, or choose another name"
        )));
    }
    let took = fill(context, &unfinished, &taken_at).and_then(|days| {
        fs::rename(&unfinished, &done)
            .and_then(|()| fs::File::open(&all)?.sync_all())
            .map_err(|e| failed(&done, &e))?;
        Ok(days)
    });
    let days = took.inspect_err(|_| _ = fs::remove_dir_all(&unfinished))?;
    info!(snapshot = name, days = days.len(), "a snapshot was taken");
    Ok(described(name, Manifest { taken_at, days }))
}

fn fill(context: &Context, to: &Path, taken_at: &str) -> Result<Vec<Day>, QueryError> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(|error| failed(to, &error))?;
    }
    let linked = context.store.snapshot(&to.join("shards"));
    let linked = linked.map_err(|error| QueryError::Conflict(format!("no snapshot was taken: {error}")))?;
    // After the days: what their records refer to is in it.
    let write = || {
        let from = context.data_dir.join("templates");
        if from.exists() { copy_files(&from, &to.join("templates")) } else { Ok(()) }
    };
    write().map_err(|error| failed(to, &error))?;
    let day = |day: crate::store::Linked| Day { name: shard_name(day.day), records: day.records, bytes: day.bytes };
    let days: Vec<Day> = linked.into_iter().map(day).collect();
    let manifest = Manifest { taken_at: taken_at.to_owned(), days };
    let path = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| QueryError::Internal(error.to_string()))?;
    fs::write(&path, text).and_then(|()| fs::File::open(&path)?.sync_all()).map_err(|error| failed(&path, &error))?;
    Ok(manifest.days)
}

/// The snapshots there are, newest first.
pub fn list(context: &Context) -> Result<Vec<SnapshotInfo>, QueryError> {
    let all = context.data_dir.join(DIRECTORY);
    let entries = match fs::read_dir(&all) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&all, &error)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        match fs::read(entry.path().join(MANIFEST)).map_err(|e| e.to_string()).and_then(|text| read(&text)) {
            Ok(manifest) => found.push(described(name, manifest)),
            Err(problem) => warn!(snapshot = name, problem, "is not a snapshot, or damaged; it is left alone"),
        }
    }
    found.sort_by(|a, b| b.taken_at.cmp(&a.taken_at));
    Ok(found)
}

fn read(text: &[u8]) -> Result<Manifest, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Deletes a snapshot; false where there is none of that name.
pub fn delete(context: &Context, name: &str) -> Result<bool, QueryError> {
    let path: PathBuf = context.data_dir.join(DIRECTORY).join(checked(name)?);
    if !path.join(MANIFEST).is_file() {
        return Ok(false);
    }
    // First it is no snapshot any more: a crash leaves none that looks whole.
    let removed = fs::remove_file(path.join(MANIFEST)).and_then(|()| fs::remove_dir_all(&path));
    removed.map_err(|error| failed(&path, &error))?;
    info!(snapshot = name, "a snapshot was deleted");
    Ok(true)
}

/// A name is a directory's: nothing in it leads elsewhere.
fn checked(name: &str) -> Result<&str, QueryError> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_sound =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.') && name.chars().all(sound);
    let text = || format!("{name:?} is no name for a snapshot: up to {NAME_BYTES_MAX} letters, digits, - _ and .");
    is_sound.then_some(name).ok_or_else(|| QueryError::Conflict(text()))
}

fn described(name: String, manifest: Manifest) -> SnapshotInfo {
    let day = |day: Day| SnapshotDay { name: day.name, records: day.records, bytes: day.bytes };
    SnapshotInfo { name, taken_at: manifest.taken_at, days: manifest.days.into_iter().map(day).collect() }
}

fn failed(path: &Path, error: &std::io::Error) -> QueryError {
    QueryError::Conflict(format!("{}: {error}; check the disk and the directory's owner", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["before-upgrade", "2026-11-22T101500", "a.b_c"] {
            assert_eq!(checked(name).ok(), Some(name));
        }
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", &"x".repeat(65)] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
