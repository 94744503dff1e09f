//! All shards: opens them, makes new ones, commits, and sets damaged ones aside.

mod life;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use self::life::{ShardState, Verified, verify};
use super::documents::Documents;
use super::error::Error;
use super::home::{shard_day, shard_name};
use super::retention::{self, Removal, Retention};
use super::rewrite::Rewrite;
use super::schema::{self, Fields};
use super::shard::{Shard, ShardView, sync_dir};
use super::warm::{self, Warm};
use super::worker::{Cut, Worker};
use super::{Options, streams};

const VERSION_FILE: &str = "VERSION";
const LOCK_FILE: &str = "LOCK";
/// Format of the shards directory and of the shards in it.
const VERSION: u32 = 4;

/// The shards of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) catalog: Arc<Catalog>,
}

pub(super) struct Catalog {
    pub(super) root: PathBuf,
    options: Options,
    fields: Fields,
    pub(super) shards: RwLock<BTreeMap<i32, Arc<Shard>>>,
    set_aside: Vec<SetAside>,
    pub(super) warm: Option<Warm>,
    /// One commit at a time.
    pub(super) commit: Mutex<()>,
    /// Holds the directory for this process.
    _lock: File,
}

/// Damage met while opening: a shard taken out of service, or one that serves with a gap.
#[derive(Debug, Clone)]
pub struct SetAside {
    pub day: String,
    /// Where the shard is now; `None` if it serves on.
    pub moved_to: Option<PathBuf>,
    /// What was found, and what to do.
    pub message: String,
}

/// What a commit wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitStats {
    pub shards: usize,
    pub segments: usize,
    pub records: u64,
}

impl Store {
    /// Opens all shards under `root` (`DATA/shards`), making the directory if there is none. A shard that cannot be
    /// read is renamed to `….damaged-N` and told of in [`Store::set_aside`]; the others serve.
    pub fn open(root: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::io(&root))?;
        let lock = lock(&root)?;
        check_version(&root)?;
        let (_, fields) = schema::schema();
        let mut shards = BTreeMap::new();
        let mut set_aside = Vec::new();
        let warm = options.warm.as_ref().map(|warm| Warm::open(&warm.dir, &root)).transpose()?;
        for day in days(&root, true)? {
            warm::check_links(&root.join(shard_name(day)))?;
            match Shard::open(&root, day, fields, &options) {
                Ok((shard, damage)) => {
                    set_aside.extend(damage.map(|damage| gap(&shard, &damage)));
                    shards.insert(day, Arc::new(shard));
                }
                // The disk's refusal says nothing of the shard.
                Err(error @ Error::Io { .. }) if !is_damage(&error) => return Err(error),
                Err(error) => set_aside.push(put_aside(&root, day, &error)?),
            }
        }
        let shards = RwLock::new(shards);
        let catalog = Catalog { root, options, fields, shards, set_aside, warm, commit: Mutex::new(()), _lock: lock };
        Ok(Self { catalog: Arc::new(catalog) })
    }

    /// Damage found at open.
    pub fn set_aside(&self) -> &[SetAside] {
        &self.catalog.set_aside
    }

    pub fn fields(&self) -> Fields {
        self.catalog.fields
    }

    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.catalog), self.catalog.options.clone(), self.catalog.fields)
    }

    /// Makes the segments of all workers' cuts visible; `position` is the journal's at the cut. Shards commit one by
    /// one, each for itself. On an error the failing shards keep their segments for the next commit, and nothing past
    /// [`Store::committed`] before this call may be trimmed from the journal.
    pub fn commit(&self, position: u64, cuts: Vec<Cut>) -> Result<CommitStats, Error> {
        let _one = self.catalog.commit.lock();
        for (shard, segments) in cuts.into_iter().flat_map(|cut| cut.parts) {
            // What was on its way to a day that is deleted goes with it.
            if !shard.is_retired() {
                shard.offer(segments);
            }
        }
        let mut stats = CommitStats::default();
        let mut failed = None;
        for shard in self.catalog.all() {
            match shard.commit(position) {
                Ok((0, _)) => {}
                Ok((segments, records)) => {
                    stats.shards += 1;
                    stats.segments += segments;
                    stats.records += records;
                }
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        failed.map_or(Ok(stats), Err)
    }

    /// Begins to write a day anew; `None` where there is no such day, or somebody is at it already.
    pub fn rewrite(&self, day: i32) -> Result<Option<Rewrite>, Error> {
        let shard = self.catalog.shards.read().get(&day).cloned();
        shard.map_or(Ok(None), |shard| Rewrite::begin(shard, self.worker()))
    }

    /// Drops all finished segments that no commit took: with [`Worker::reset`], before the journal is read again.
    pub fn reset(&self) {
        let _one = self.catalog.commit.lock();
        self.catalog.all().iter().for_each(|shard| shard.forget_pending());
    }

    /// The journal position of each shard's last commit, newest day first: (UTC day, position).
    pub fn committed(&self) -> Vec<(i32, u64)> {
        self.catalog.all().iter().rev().map(|shard| (shard.day, shard.committed())).collect()
    }

    /// The shards, newest day first, as of their last commit.
    pub fn shards(&self) -> Vec<Arc<ShardView>> {
        self.catalog.all().iter().rev().map(|shard| shard.view()).collect()
    }

    /// What the retention deletes at `now` (Unix nanoseconds), in this order.
    pub fn plan(&self, now: i64) -> Vec<Removal> {
        self.catalog.options.retention.plan(&self.catalog.all(), now)
    }

    /// Deletes a day; waits for its merges. Nothing happens where there is none.
    pub fn remove(&self, day: i32) -> Result<(), Error> {
        self.catalog.remove(day)
    }

    /// What is kept.
    pub fn retention(&self) -> Retention {
        self.catalog.options.retention
    }

    /// Closes the writers of shards without recent commits, whose merges it waits for. `now`: Unix nanoseconds.
    pub fn idle(&self, now: i64) -> Result<(), Error> {
        self.catalog.all().iter().try_for_each(|shard| shard.idle(now, self.catalog.options.idle_after_nanos))
    }

    /// Waits for running merges: at shutdown, and where a measurement or a test wants a settled store.
    pub fn finish_merges(&self) -> Result<(), Error> {
        self.catalog.all().iter().try_for_each(|shard| shard.finish_merges())
    }

    /// Records put into merges since open: divided by the records stored, how often each is rewritten.
    pub fn rewritten(&self) -> u64 {
        self.catalog.all().iter().map(|shard| shard.rewritten()).sum()
    }

    /// The highest template id that any record has; 0 where none has one.
    pub fn highest_template(&self) -> Result<u64, Error> {
        let mut highest = 0;
        for shard in self.shards() {
            let read = |source| Error::Read { day: shard_name(shard.day), source };
            for reader in shard.searcher().segment_readers() {
                let column = reader.fast_fields().u64("template").map_err(read)?;
                if column.values.num_vals() > 0 {
                    highest = highest.max(column.max_value());
                }
            }
        }
        Ok(highest)
    }

    /// Calls `f` with the sender and identity of stored events until it breaks. Newest shard first; within one,
    /// segment by segment from the one with the newest event, the last added first.
    pub fn recent_ids(&self, mut f: impl FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), Error> {
        for shard in self.shards() {
            let flow = shard_ids(&shard, &mut f);
            if flow.map_err(|source| Error::Read { day: shard_name(shard.day), source })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn shard_ids(shard: &ShardView, f: &mut impl FnMut(&str, u64) -> ControlFlow<()>) -> tantivy::Result<ControlFlow<()>> {
    let mut segments = Vec::new();
    for reader in shard.searcher().segment_readers() {
        let documents = Documents::open(reader, shard.fields)?;
        segments.push((documents.timestamps.max_value(), documents, reader.max_doc()));
    }
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.0));
    for (_, documents, docs) in segments {
        for doc in (0..docs).rev() {
            let stream = documents.streams.first(doc).and_then(|number| shard.streams().get(number as usize));
            if let (Some(stream), Some(id)) = (stream, documents.id(doc, shard.streams()))
                && f(&stream.sender, id).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

impl Catalog {
    /// Oldest day first.
    fn all(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }

    /// The shard of a day, a new one if there is none.
    pub fn shard(&self, day: i32) -> Result<Arc<Shard>, Error> {
        if let Some(shard) = self.shards.read().get(&day) {
            return Ok(Arc::clone(shard));
        }
        let mut shards = self.shards.write();
        if let Some(shard) = shards.get(&day) {
            return Ok(Arc::clone(shard));
        }
        let shard = Arc::new(Shard::create(&self.root, day, self.fields, &self.options)?);
        shards.insert(day, Arc::clone(&shard));
        Ok(shard)
    }
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(Error::Io { path, source }),
    }
}

fn check_version(root: &Path) -> Result<(), Error> {
    let path = root.join(VERSION_FILE);
    match fs::read_to_string(&path) {
        Ok(found) if found.trim() == VERSION.to_string() => Ok(()),
        Ok(found) => Err(Error::Version { path, found: found.trim().to_owned(), ours: VERSION }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_version(root),
        Err(source) => Err(Error::Io { path, source }),
    }
}

/// Names the format of the days in `root`.
pub(super) fn write_version(root: &Path) -> Result<(), Error> {
    let path = root.join(VERSION_FILE);
    fs::write(&path, format!("{VERSION}\n")).map_err(Error::io(&path))?;
    sync_dir(root)
}

/// Days that have a directory, sorted. `clean` removes shards whose making or deletion was interrupted.
pub(super) fn days(root: &Path, clean: bool) -> Result<Vec<i32>, Error> {
    let mut days = Vec::new();
    for entry in fs::read_dir(root).map_err(Error::io(root))? {
        let entry = entry.map_err(Error::io(root))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".new-") || name.starts_with(retention::DELETED) {
            if !clean {
                continue;
            }
            fs::remove_dir_all(entry.path()).map_err(Error::io(entry.path()))?;
        } else if let Some(day) = shard_day(&name) {
            days.push(day);
        }
    }
    days.sort_unstable();
    Ok(days)
}

fn is_damage(error: &Error) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), InvalidData | NotFound))
}

fn gap(shard: &Shard, damage: &streams::Damage) -> SetAside {
    let error = Error::Streams { day: shard.name(), offset: damage.offset, what: damage.what };
    let advice = "the shard serves on; records of the streams lost there are found by their lines only";
    SetAside { day: shard.name(), moved_to: None, message: format!("{error}; {advice}") }
}

fn put_aside(root: &Path, day: i32, error: &Error) -> Result<SetAside, Error> {
    let name = shard_name(day);
    let from = root.join(&name);
    let mut n = 1;
    while root.join(format!("{name}.damaged-{n}")).exists() {
        n += 1;
    }
    let to = root.join(format!("{name}.damaged-{n}"));
    fs::rename(&from, &to).map_err(Error::io(&from))?;
    sync_dir(root)?;
    let advice = format!(
        "set aside as {}; the other days serve. To put it back once repaired or restored from a backup, stop loghound \
         and rename it to {name}; delete it to give its records up",
        to.display()
    );
    Ok(SetAside { day: name, moved_to: Some(to), message: format!("{error}; {advice}") })
}
