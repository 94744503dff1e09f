//! Days beside themselves: a snapshot by hard link, a copy that is opened, a day put back.
//!
//! A segment's files never change once they are written, so a link is as good as a copy; `meta.json`, `.managed.json` and
//! `streams.log` do, and are copied. No lock is taken: tantivy deletes a segment's files only after a new `meta.json` is in
//! place, so when that is the same before and after, all it names was there.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::catalog::{self, Store};
use super::error::Error;
use super::home::{shard_day, shard_name};
use super::seal::Seal;
use super::shard::{is_segment_file, sync_dir};
use super::{seal, streams};

pub(super) const META: &str = "meta.json";
const MANAGED: &str = ".managed.json";
/// A day is committed about once a second, and linked in milliseconds.
const ATTEMPTS_MAX: usize = 20;

/// How a file that never changes comes to its second place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The same file under another name; copied where the two places are on two volumes.
    Hard,
    /// A pointer: the other place is only looked at.
    Symbolic,
}

/// A day that was linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// UTC day number.
    pub day: i32,
    pub records: u64,
    /// Of all files; hard links take no room of their own until the day is deleted or merged.
    pub bytes: u64,
}

impl Store {
    /// Links all days as of their last commits into `to`, a directory that must not be there yet. It is a store of its own:
    /// what `Store::open` takes. Commits and merges go on.
    pub fn snapshot(&self, to: &Path) -> Result<Vec<Linked>, Error> {
        let root = &self.catalog.root;
        let days: Vec<i32> = self.committed().into_iter().map(|(day, _)| day).collect();
        link_days(root, &days, to, Link::Hard)
    }
}

/// Links days under `root` into a new store at `to`. A day that is deleted meanwhile is left out.
pub fn link_days(root: &Path, days: &[i32], to: &Path, how: Link) -> Result<Vec<Linked>, Error> {
    fs::create_dir_all(to).map_err(Error::io(to))?;
    let mut linked = Vec::new();
    for &day in days {
        let (from, to) = (root.join(shard_name(day)), to.join(shard_name(day)));
        match link_day(&from, &to, how) {
            Ok((records, bytes)) => linked.push(Linked { day, records, bytes }),
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {
                fs::remove_dir_all(&to).map_err(Error::io(&to))?;
            }
            Err(error) => return Err(Error::io(&from)(error)),
        }
    }
    catalog::write_version(to)?;
    sync_dir(to)?;
    Ok(linked)
}

/// The days under `path`: of a store (`DATA/shards`), of a data directory or a snapshot (`DATA`), or the one day that `path`
/// is itself. With the store's directory.
pub fn days_under(path: &Path) -> Result<(PathBuf, Vec<i32>), Error> {
    let path = fs::canonicalize(path).map_err(Error::io(path))?;
    if path.join(META).is_file() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let day = shard_day(&name).ok_or_else(|| {
            let what = format!("a day's directory is named for it, such as 2026-11-22, not {name:?}: rename it");
            Error::io(&path)(io::Error::new(ErrorKind::InvalidInput, what))
        })?;
        let root = path.parent().unwrap_or(&path).to_owned();
        return Ok((root, vec![day]));
    }
    let root = if path.join("shards").is_dir() { path.join("shards") } else { path };
    let days = catalog::days(&root, false)?;
    if days.is_empty() {
        let what = "there are no days in it: name a data directory, a snapshot, or a day such as shards/2026-11-22";
        return Err(Error::io(&root)(io::Error::new(ErrorKind::NotFound, what)));
    }
    Ok((root, days))
}

/// Puts a day from another store into the one at `root`, which nobody has open, as if all up to the journal's `position` had
/// been committed to it: nothing of the journal is added to it, nor kept from it. A day that stands there is kept as
/// `DAY.replaced-N`, and its new place returned.
pub fn put_back(from: &Path, root: &Path, day: i32, position: u64) -> Result<Option<PathBuf>, Error> {
    let name = shard_name(day);
    let (source, target, unfinished) = (from.join(&name), root.join(&name), root.join(format!(".new-{name}")));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
    }
    fs::create_dir_all(root).map_err(Error::io(root))?;
    catalog::write_version(root)?;
    link_day(&source, &unfinished, Link::Hard).map_err(Error::io(&source))?;
    // The seal speaks of the file that is changed here; the day is sealed again.
    Seal::remove(&unfinished)?;
    set_position(&unfinished.join(META), position).map_err(Error::io(&unfinished))?;
    let mut replaced = None;
    if target.exists() {
        let free = (1..).map(|n| root.join(format!("{name}.replaced-{n}"))).find(|path| !path.exists());
        if let Some(to) = free {
            fs::rename(&target, &to).map_err(Error::io(&target))?;
            replaced = Some(to);
        }
    }
    fs::rename(&unfinished, &target).map_err(Error::io(&target))?;
    sync_dir(root)?;
    Ok(replaced)
}

/// The highest journal position of any commit in the store at `root`, which nobody has open: of days that serve, and of those
/// that were set aside.
pub fn highest_position(root: &Path) -> Result<u64, Error> {
    let mut highest = 0;
    let Ok(entries) = fs::read_dir(root) else { return Ok(0) };
    for entry in entries {
        let path = entry.map_err(Error::io(root))?.path().join(META);
        // What cannot be read says nothing; the journal is asked for more in that case.
        let metas = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok());
        let payload = metas.and_then(|metas| serde_json::from_str::<Json>(metas["payload"].as_str()?).ok());
        highest = highest.max(payload.and_then(|payload| payload["position"].as_u64()).unwrap_or(0));
    }
    Ok(highest)
}

/// Writes another journal position into a commit.
fn set_position(path: &Path, position: u64) -> io::Result<()> {
    let mut metas: Json = serde_json::from_slice(&fs::read(path)?)?;
    let damaged = || io::Error::new(ErrorKind::InvalidData, "meta.json has no payload");
    let mut payload: Json = match metas["payload"].as_str() {
        Some(text) => serde_json::from_str(text)?,
        None => return Err(damaged()),
    };
    *payload.get_mut("position").ok_or_else(damaged)? = position.into();
    metas["payload"] = payload.to_string().into();
    write_synced(path, metas.to_string().as_bytes())
}

/// Records and bytes of the day.
pub(super) fn link_day(from: &Path, to: &Path, how: Link) -> io::Result<(u64, u64)> {
    for _ in 0..ATTEMPTS_MAX {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir_all(to)?;
        let metas = fs::read(from.join(META))?;
        match link_commit(from, to, how, &metas) {
            Ok(linked) if fs::read(from.join(META))? == metas => {
                fs::File::open(to)?.sync_all()?;
                return Ok(linked);
            }
            // A commit or a merge came between.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && from.join(META).exists() => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "the day changes faster than it can be linked: try again"))
}

fn link_commit(from: &Path, to: &Path, how: Link, metas: &[u8]) -> io::Result<(u64, u64)> {
    let parsed: Json = serde_json::from_slice(metas)?;
    let (mut living, mut records) = (HashSet::new(), 0);
    for segment in parsed["segments"].as_array().into_iter().flatten() {
        living.insert(segment["segment_id"].as_str().unwrap_or_default().replace('-', ""));
        records += segment["max_doc"].as_u64().unwrap_or(0);
    }
    let mut bytes = 0;
    for file in fs::read_dir(from)? {
        let file = file?;
        let name = file.file_name();
        let id = name.to_str().and_then(|name| name.split_once('.')).map(|(id, _)| id);
        if !is_segment_file(Path::new(&name)) || !id.is_some_and(|id| living.contains(id)) {
            continue;
        }
        let (old, new) = (file.path(), to.join(&name));
        match how {
            // Of a file on the warm volume, not of the link to it.
            Link::Hard => match fs::hard_link(fs::canonicalize(&old)?, &new) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                    fs::copy(&old, &new)?;
                    fs::File::open(&new)?.sync_all()?;
                }
                other => other?,
            },
            Link::Symbolic => std::os::unix::fs::symlink(&old, &new)?,
        }
        bytes += fs::metadata(&new)?.len();
    }
    write_synced(&to.join(META), metas)?;
    // After the commit that refers to it. What it holds beyond, no commit knows.
    for name in [streams::FILE, MANAGED, seal::FILE] {
        match fs::read(from.join(name)) {
            Ok(content) => write_synced(&to.join(name), &content)?,
            Err(error) if error.kind() == ErrorKind::NotFound && name != streams::FILE => {}
            Err(error) => return Err(error),
        }
    }
    Ok((records, bytes))
}

pub(super) fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
