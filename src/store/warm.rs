//! The warm volume: where the files of sealed days move to when they are old enough.
//!
//! `WARM/2026-11-22/` takes the segment files; in the day's own directory each leaves a symbolic link, and what changes
//! (`meta.json`, `streams.log`, `seal.json`) stays there. So a day is opened, merged, erased and deleted as before, and a late
//! line for it is written to the hot volume: the warm one is only ever written by the thread that moves days.
//!
//! First all files of a day are copied, compared with the seal on the way and synced; then each is replaced by its link in one
//! rename. A crash anywhere leaves a whole day, and the move begins again. Merging and deleting remove links; the files they led
//! to go with the next [`Warm::sweep`]. `WARM/OWNER` names the store that the files belong to, so that no other
//! store sweeps them away.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::home::shard_day;
use super::seal::{Pace, Seal, copy};
use super::shard::{is_segment_file, sync_dir};

const OWNER: &str = "OWNER";
/// Begins the name of a file that is being copied.
const UNFINISHED: &str = ".new-";

/// When days move, and where to.
#[derive(Debug, Clone)]
pub struct WarmOptions {
    /// A directory that is there; its volume is mounted.
    pub dir: PathBuf,
    /// From the end of a day: nanoseconds.
    pub after_nanos: i64,
}

/// The directory on the warm volume.
#[derive(Debug)]
pub(super) struct Warm {
    root: PathBuf,
}

impl Warm {
    /// Takes `dir` for the store at `shards`, or finds that it belongs to it.
    pub fn open(dir: &Path, shards: &Path) -> Result<Self, Error> {
        let root = fs::canonicalize(dir).map_err(|source| Error::NoWarm { path: dir.to_owned(), source })?;
        let ours = fs::canonicalize(shards).map_err(Error::io(shards))?;
        let path = root.join(OWNER);
        match fs::read_to_string(&path) {
            Ok(owner) if Path::new(owner.trim_end_matches('\n')) == ours => {}
            Ok(owner) => return Err(Error::WarmOwner { path, owner: owner.trim().to_owned(), ours }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let unfinished = root.join(".OWNER.new");
                fs::write(&unfinished, format!("{}\n", ours.display())).map_err(Error::io(&unfinished))?;
                File::open(&unfinished).and_then(|file| file.sync_all()).map_err(Error::io(&unfinished))?;
                fs::rename(&unfinished, &path).map_err(Error::io(&path))?;
                sync_dir(&root)?;
            }
            Err(source) => return Err(Error::Io { path, source }),
        }
        Ok(Self { root })
    }

    /// Copies the segment files of a sealed day that are not here yet, each compared with the seal. Nothing of the day changes.
    /// `false` when `go_on`, asked about every MiB, said no.
    pub fn copy(&self, day: &Path, seal: &Seal, pace: Pace, go_on: &dyn Fn() -> bool) -> Result<bool, Error> {
        let name = day.file_name().unwrap_or_default();
        let to = self.root.join(name);
        fs::create_dir_all(&to).map_err(Error::io(&to))?;
        sync_dir(&self.root)?;
        for (file, sealed) in seal.files().filter(|(file, _)| is_segment_file(Path::new(file))) {
            let from = day.join(file);
            if from.is_symlink() {
                continue;
            }
            let unfinished = to.join(format!("{UNFINISHED}{file}"));
            let Some(copied) = copy(&from, &unfinished, pace, go_on).map_err(Error::io(&unfinished))? else {
                return Ok(false);
            };
            if copied != *sealed {
                fs::remove_file(&unfinished).map_err(Error::io(&unfinished))?;
                return Err(Error::Damaged { day: name.to_string_lossy().into_owned(), file: file.into() });
            }
            let finished = to.join(file);
            fs::rename(&unfinished, &finished).map_err(Error::io(&finished))?;
        }
        sync_dir(&to)?;
        Ok(true)
    }

    /// Puts links in the place of the files that [`Warm::copy`] copied. The caller sees to it that the day does not change.
    pub fn link(&self, day: &Path, seal: &Seal) -> Result<(), Error> {
        let to = self.root.join(day.file_name().unwrap_or_default());
        for (file, _) in seal.files().filter(|(file, _)| is_segment_file(Path::new(file))) {
            let from = day.join(file);
            if from.is_symlink() {
                continue;
            }
            let unfinished = day.join(format!("{UNFINISHED}{file}"));
            remove_if_there(&unfinished)?;
            symlink(to.join(file), &unfinished).map_err(Error::io(&unfinished))?;
            fs::rename(&unfinished, &from).map_err(Error::io(&from))?;
        }
        sync_dir(day)
    }

    /// Removes what no directory under `shards` links to: what was merged, deleted, or half copied when a crash came. Only while
    /// nothing is being copied. Returns the bytes removed.
    pub fn sweep(&self, shards: &Path) -> Result<u64, Error> {
        let mut linked = HashSet::new();
        for day in entries(shards)?.into_iter().filter(|path| path.is_dir()) {
            linked.extend(entries(&day)?.into_iter().filter_map(|path| fs::read_link(path).ok()));
        }
        let mut bytes = 0;
        for day in entries(&self.root)? {
            if day.file_name().and_then(|name| shard_day(name.to_str()?)).is_none() {
                continue;
            }
            for path in entries(&day)? {
                let name = Path::new(path.file_name().unwrap_or_default());
                let is_ours = is_segment_file(name) || is_unfinished(name);
                if is_ours && !linked.contains(&path) {
                    bytes += fs::metadata(&path).map_or(0, |file| file.len());
                    remove_if_there(&path)?;
                }
            }
            // Fails, as it should, where something is left.
            let _ = fs::remove_dir(&day);
        }
        Ok(bytes)
    }
}

/// Whether the links of a day lead anywhere. One file that is gone is damage of the day; a whole directory that is gone is a
/// volume that is not mounted, and says nothing of the day.
pub(super) fn check_links(day: &Path) -> Result<(), Error> {
    for path in entries(day)? {
        let Ok(target) = fs::read_link(&path) else { continue };
        let is_away = target.parent().is_some_and(|parent| !parent.is_dir());
        if is_away && is_segment_file(Path::new(path.file_name().unwrap_or_default())) {
            return Err(Error::Away { day: day.to_owned(), target });
        }
    }
    Ok(())
}

/// Whether all segment files of a sealed day are elsewhere.
pub(super) fn is_warm(day: &Path, seal: &Seal) -> bool {
    seal.files().filter(|(file, _)| is_segment_file(Path::new(file))).all(|(file, _)| day.join(file).is_symlink())
}

/// Whether a file's name is one of a link that a crash kept from its place.
pub(super) fn is_unfinished(name: &Path) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    name.is_some_and(|name| is_segment_file(Path::new(name)))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match list() {
        // Deleted meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(Error::io(dir)),
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "warm_tests.rs"]
mod tests;
