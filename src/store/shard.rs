//! One UTC day: a tantivy index, its stream table, and what readers see of both.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::index::SegmentId;
use tantivy::indexer::IndexWriterOptions;
use tantivy::{
    Index, IndexMeta, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentMeta, TantivyDocument, TantivyError,
};

use super::Options;
use super::error::Error;
use super::home::shard_name;
use super::merge::Tiered;
use super::schema::{self, Fields};
use super::seal::{Pace, Seal};
use super::streams::{Damage, GrammarEntry, Known, Snapshot, StreamEntry, StreamTable, normal_path};
use super::warm::{self, Warm};
use crate::record::{GrammarRef, PATH_SEPARATOR, Stream};

/// What a commit says of itself, in tantivy's `meta.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Payload {
    /// Every record of this day up to this journal position is in the shard.
    position: u64,
    #[serde(flatten)]
    known: Known,
}

fn payload(metas: &IndexMeta) -> tantivy::Result<Payload> {
    match metas.payload.as_deref() {
        None => Ok(Payload::default()),
        Some(json) => serde_json::from_str(json).map_err(|e| TantivyError::InternalError(e.to_string())),
    }
}

/// What the last commit knew of streams and grammars.
pub(super) fn known(metas: &IndexMeta) -> tantivy::Result<Known> {
    payload(metas).map(|payload| payload.known)
}

/// A day being written or served.
pub struct Shard {
    pub day: i32,
    pub fields: Fields,
    pub index: Index,
    dir: PathBuf,
    streams: Mutex<StreamTable>,
    committed: AtomicU64,
    commits: AtomicU64,
    merge: Tiered,
    /// Opened anew when files have moved: tantivy maps a path once as long as any map of it is held.
    reader: Mutex<IndexReader>,
    view: ArcSwap<ShardView>,
    write: Mutex<Write>,
    /// Deleted: nothing is added any more.
    retired: AtomicBool,
    sealed: AtomicBool,
    /// All of its segment files are on the warm volume.
    warm: AtomicBool,
    /// A seal is being made: its merge keeps the writer open.
    sealing: AtomicBool,
}

#[derive(Default)]
struct Write {
    /// Open only while the shard is written: it has two threads and a lock file.
    writer: Option<IndexWriter<TantivyDocument>>,
    /// Finished segments that no commit has taken yet.
    pending: Vec<SegmentMeta>,
    /// `commits` at the last look of [`Shard::idle`], and when that changed last: Unix nanoseconds.
    seen: (u64, i64),
}

impl Shard {
    /// Makes an empty shard; it appears under its name only when it is whole.
    pub fn create(root: &Path, day: i32, fields: Fields, options: &Options) -> Result<Self, Error> {
        let name = shard_name(day);
        let dir = root.join(&name);
        let unfinished = root.join(format!(".new-{name}"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
        }
        fs::create_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
        StreamTable::create(&unfinished).map_err(Error::io(&unfinished))?;
        let (schema, _) = schema::schema();
        MmapDirectory::open(&unfinished)
            .map_err(TantivyError::from)
            .and_then(|directory| {
                Index::builder().schema(schema).settings(schema::settings()).open_or_create(directory)
            })
            .map_err(|source| Error::Read { day: name, source })?;
        fs::rename(&unfinished, &dir).map_err(Error::io(&dir))?;
        sync_dir(root)?;
        Self::open(root, day, fields, options).map(|(shard, _)| shard)
    }

    /// A place beside the shard for what is being made for it; the next start removes what a crash leaves there.
    pub(super) fn unfinished(&self, what: &str) -> PathBuf {
        self.dir.with_file_name(format!(".new-{what}-{}", self.name()))
    }

    /// Opens a shard, removes what a crash left behind, and tells of damage it can live with.
    pub fn open(root: &Path, day: i32, fields: Fields, options: &Options) -> Result<(Self, Option<Damage>), Error> {
        let name = shard_name(day);
        let dir = root.join(&name);
        let read = |source| Error::Read { day: name.clone(), source };
        let mut index = Index::open_in_dir(&dir).map_err(read)?;
        index.set_tokenizers(schema::tokenizers());
        let metas = index.load_metas().map_err(read)?;
        if index.schema() != schema::schema().0 {
            let what = "its fields are not those of this version";
            return Err(read(TantivyError::SchemaError(what.into())));
        }
        let payload = payload(&metas).map_err(read)?;
        remove_orphans(&dir, &metas.list_segment_files())?;
        let (sealed, warm) = match Seal::read(&dir) {
            Ok(Some(seal)) => (true, options.warm.is_some() && warm::is_warm(&dir, &seal)),
            Ok(None) => (false, false),
            // A damaged seal says nothing of the day: it is checked and sealed again.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Seal::remove(&dir)?;
                (false, false)
            }
            Err(error) => return Err(Error::io(&dir)(error)),
        };
        let (streams, damage) = StreamTable::open(&dir, payload.known, options.paths_max).map_err(Error::io(&dir))?;
        let reader = reader(&index).map_err(read)?;
        let view = ShardView {
            day,
            fields,
            dir: dir.clone(),
            searcher: reader.searcher(),
            position: payload.position,
            table: streams.snapshot(),
        };
        let merge = Tiered { docs_max: options.segment_docs_max, rewritten: Arc::default(), held: Arc::default() };
        let shard = Self {
            day,
            fields,
            index,
            dir,
            streams: Mutex::new(streams),
            committed: AtomicU64::new(payload.position),
            commits: AtomicU64::new(0),
            merge,
            reader: Mutex::new(reader),
            view: ArcSwap::from_pointee(view),
            write: Mutex::default(),
            retired: AtomicBool::new(false),
            sealed: AtomicBool::new(sealed),
            warm: AtomicBool::new(warm),
            sealing: AtomicBool::new(false),
        };
        Ok((shard, damage))
    }

    pub fn name(&self) -> String {
        shard_name(self.day)
    }

    /// Every record of this day up to this position is in the shard.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub fn view(&self) -> Arc<ShardView> {
        self.view.load_full()
    }

    pub fn number(&self, stream: &Stream) -> u32 {
        self.streams.lock().number(stream)
    }

    pub fn grammar_number(&self, grammar: GrammarRef<'_>) -> u32 {
        self.streams.lock().grammar_number(grammar)
    }

    pub fn admit_path(&self, path: &str) -> bool {
        self.streams.lock().admit_path(path)
    }

    /// Docs rewritten by merges since this shard was opened.
    pub fn rewritten(&self) -> u64 {
        self.merge.rewritten.load(Ordering::Relaxed)
    }

    /// Hands over finished segments for the next commit.
    pub fn offer(&self, segments: Vec<SegmentMeta>) {
        self.write.lock().pending.extend(segments);
    }

    /// Forgets the segments offered and not committed: their files go with the next garbage collection.
    pub fn forget_pending(&self) {
        self.write.lock().pending.clear();
    }

    /// Commits what was offered, if anything; returns (segments, docs). After an error the segments stay offered.
    pub fn commit(&self, position: u64) -> Result<(usize, u64), Error> {
        let mut write = self.write.lock();
        if write.pending.is_empty() {
            return Ok((0, 0));
        }
        self.unseal()?;
        let known = {
            let mut streams = self.streams.lock();
            streams.save().map_err(Error::io(streams.path()))?;
            streams.known()
        };
        let counts = (write.pending.len(), write.pending.iter().map(|s| u64::from(s.num_docs())).sum());
        if let Err(source) = self.commit_segments(&mut write, &Payload { position, known }) {
            // The writer may hold some of the segments: the next one starts from the disk and takes all of them.
            write.writer = None;
            if !self.is_on_disk(&write.pending) {
                return Err(Error::Commit { day: self.name(), source });
            }
        }
        write.pending.clear();
        self.committed.store(position, Ordering::Release);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.refresh()?;
        Ok(counts)
    }

    fn commit_segments(&self, write: &mut Write, payload: &Payload) -> tantivy::Result<()> {
        let payload = serde_json::to_string(payload).map_err(|e| TantivyError::InternalError(e.to_string()))?;
        let mut writer = match write.writer.take() {
            Some(writer) => writer,
            None => self.open_writer()?,
        };
        for segment in &write.pending {
            writer.add_segment(segment.clone())?;
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        write.writer = Some(writer);
        Ok(())
    }

    fn open_writer(&self) -> tantivy::Result<IndexWriter<TantivyDocument>> {
        let options = IndexWriterOptions::builder().num_worker_threads(1).num_merge_threads(1).build();
        let writer = self.index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(self.merge.clone()));
        Ok(writer)
    }

    /// Whether a commit that reported an error reached the disk all the same.
    fn is_on_disk(&self, segments: &[SegmentMeta]) -> bool {
        let Ok(metas) = self.index.load_metas() else { return false };
        let committed: HashSet<_> = metas.segments.iter().map(SegmentMeta::id).collect();
        segments.iter().all(|segment| committed.contains(&segment.id()))
    }

    /// Shows readers the last commit and the merges since.
    fn refresh(&self) -> Result<(), Error> {
        let searcher = {
            let reader = self.reader.lock();
            reader.reload().map_err(|source| Error::Read { day: self.name(), source })?;
            reader.searcher()
        };
        let old = self.view.load();
        let table = {
            let streams = self.streams.lock();
            if streams.changes == old.table.changes { old.table.clone() } else { streams.snapshot() }
        };
        self.view.store(Arc::new(ShardView {
            day: self.day,
            fields: self.fields,
            dir: self.dir.clone(),
            searcher,
            position: self.committed(),
            table,
        }));
        Ok(())
    }

    /// Closes the writer if no commit came for `after_nanos`; waits for its merges. `now` is in Unix nanoseconds.
    pub fn idle(&self, now: i64, after_nanos: i64) -> Result<(), Error> {
        let mut write = self.write.lock();
        let commits = self.commits.load(Ordering::Relaxed);
        if write.writer.is_none() || !write.pending.is_empty() || self.sealing.load(Ordering::Acquire) {
            return Ok(());
        }
        if write.seen.0 != commits {
            write.seen = (commits, now);
        }
        if now.saturating_sub(write.seen.1) < after_nanos {
            return Ok(());
        }
        self.close(&mut write)
    }

    /// Ends its service: waits for merges, and drops what no commit took.
    pub fn retire(&self) -> Result<(), Error> {
        let mut write = self.write.lock();
        self.close(&mut write)?;
        write.pending.clear();
        self.retired.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether it was deleted.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Waits for merges and closes the writer.
    pub fn finish_merges(&self) -> Result<(), Error> {
        self.close(&mut self.write.lock())
    }

    /// Waits for merges and starts no more until [`Shard::release`]; returns the committed segments, whose files stay as
    /// long as these are held. `None` when the shard is held already.
    pub fn hold(&self) -> Result<Option<Vec<SegmentMeta>>, Error> {
        let mut write = self.write.lock();
        if self.merge.held.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        let held = self.close(&mut write).and_then(|()| {
            let metas = self.index.load_metas().map_err(|source| Error::Read { day: self.name(), source })?;
            self.refresh()?;
            Ok(metas.segments)
        });
        held.inspect_err(|_| self.release()).map(Some)
    }

    /// Lets merges begin again.
    pub fn release(&self) {
        self.merge.held.store(false, Ordering::Release);
    }

    /// Puts `new` segments in the place of `old` ones, of those that [`Shard::hold`] gave, in one commit.
    pub fn replace(&self, old: &[SegmentMeta], new: Vec<SegmentMeta>) -> Result<(), Error> {
        let mut write = self.write.lock();
        self.unseal()?;
        let known = {
            let mut streams = self.streams.lock();
            streams.save().map_err(Error::io(streams.path()))?;
            streams.known()
        };
        let payload = Payload { position: self.committed(), known };
        let replaced = self.replace_segments(&mut write, old, &new, &payload);
        if let Err(source) = replaced {
            // The next writer starts from the disk, which has either all of the old or all of the new.
            write.writer = None;
            if !self.is_on_disk(&new) {
                return Err(Error::Commit { day: self.name(), source });
            }
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.refresh()
    }

    fn replace_segments(
        &self,
        write: &mut Write,
        old: &[SegmentMeta],
        new: &[SegmentMeta],
        payload: &Payload,
    ) -> tantivy::Result<()> {
        let payload = serde_json::to_string(payload).map_err(|e| TantivyError::InternalError(e.to_string()))?;
        let old: HashSet<_> = old.iter().map(SegmentMeta::id).collect();
        let mut metas = self.index.load_metas()?.segments;
        metas.retain(|meta| !old.contains(&meta.id()));
        metas.extend_from_slice(new);
        let mut writer = match write.writer.take() {
            Some(writer) => writer,
            None => self.open_writer()?,
        };
        writer.delete_all_documents()?;
        for segment in metas {
            writer.add_segment(segment)?;
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        write.writer = Some(writer);
        Ok(())
    }

    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Before anything of the shard changes on disk.
    fn unseal(&self) -> Result<(), Error> {
        if self.sealed.load(Ordering::Acquire) {
            Seal::remove(&self.dir)?;
            self.sealed.store(false, Ordering::Release);
            self.warm.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Merges the day and seals it. Commits go on meanwhile: where one came, or the day is being written, or `go_on` said
    /// no, the answer is `false`, nothing is sealed, and what was merged stays merged. Each step leaves a whole shard.
    pub fn seal(&self, docs_max: u64, pace: Pace, go_on: &dyn Fn() -> bool) -> Result<bool, Error> {
        if self.is_sealed() {
            return Ok(true);
        }
        if self.sealing.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        let sealed = self.seal_alone(docs_max, pace, go_on);
        self.sealing.store(false, Ordering::Release);
        sealed
    }

    fn seal_alone(&self, docs_max: u64, pace: Pace, go_on: &dyn Fn() -> bool) -> Result<bool, Error> {
        let failed = |source| Error::Commit { day: self.name(), source };
        let before = self.commits.load(Ordering::Relaxed);
        let merges = {
            let mut write = self.write.lock();
            // One that is open may be merging: `idle` closes it.
            if write.writer.is_some() || !self.is_still(&write, before) {
                return Ok(false);
            }
            let groups = merge_groups(self.index.load_metas().map_err(failed)?.segments, docs_max);
            let mut merges = Vec::new();
            if !groups.is_empty() {
                let mut writer = self.open_writer().map_err(failed)?;
                merges.extend(groups.iter().map(|group| writer.merge(group)));
                write.writer = Some(writer);
            }
            merges
        };
        // Without the lock: a merge of a day takes minutes, and late lines are committed meanwhile.
        for merge in merges {
            merge.wait().map_err(failed)?;
        }
        {
            let mut write = self.write.lock();
            if !self.is_still(&write, before) {
                return Ok(false);
            }
            self.close(&mut write)?;
        }
        // A seal over damaged files would hide the damage.
        if let Some(file) = self.index.validate_checksum().map_err(failed)?.into_iter().min() {
            return Err(Error::Damaged { day: self.name(), file });
        }
        let metas = self.index.load_metas().map_err(failed)?;
        let mut names: Vec<String> = vec!["meta.json".to_owned(), super::streams::FILE.to_owned()];
        // tantivy names files a segment may have; those that are not there were never written.
        let segments = metas.list_segment_files().into_iter().filter(|file| self.dir.join(file).exists());
        names.extend(segments.map(|file| file.to_string_lossy().into_owned()));
        let docs = metas.segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
        let seal = Seal::of(&self.dir, names.iter().map(String::as_str), docs, pace, go_on);
        let Some(seal) = seal.map_err(Error::io(&self.dir))? else { return Ok(false) };
        let write = self.write.lock();
        if write.writer.is_some() || !self.is_still(&write, before) {
            return Ok(false);
        }
        seal.put(&self.dir).map_err(Error::io(&self.dir))?;
        self.sealed.store(true, Ordering::Release);
        Ok(true)
    }

    /// Moves a sealed day to the warm volume. Where a late line took the seal off meanwhile, or `go_on` said no, the answer is
    /// `false` and the day is where it was. Commits wait only for the links.
    pub fn cool(&self, warm: &Warm, pace: Pace, go_on: &dyn Fn() -> bool) -> Result<bool, Error> {
        if self.is_warm() {
            return Ok(true);
        }
        let Some(seal) = Seal::read(&self.dir).map_err(Error::io(&self.dir))? else { return Ok(false) };
        match warm.copy(&self.dir, &seal, pace, go_on) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // A late line began a merge that took files away.
            Err(_) if !self.is_sealed() => return Ok(false),
            Err(error) => return Err(error),
        }
        let write = self.write.lock();
        if !self.is_sealed() || self.is_retired() || write.writer.is_some() {
            return Ok(false);
        }
        // The files are those of this seal: a seal of later files would have been put on by this thread.
        warm.link(&self.dir, &seal)?;
        self.warm.store(true, Ordering::Release);
        let read = |source| Error::Read { day: self.name(), source };
        let mut moved = Index::open_in_dir(&self.dir).map_err(read)?;
        moved.set_tokenizers(schema::tokenizers());
        *self.reader.lock() = reader(&moved).map_err(read)?;
        self.refresh()?;
        Ok(true)
    }

    pub fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Acquire)
    }

    /// Whether nothing was committed since, nothing waits for a commit, and nobody writes the day anew.
    fn is_still(&self, write: &Write, commits: u64) -> bool {
        write.pending.is_empty()
            && self.commits.load(Ordering::Relaxed) == commits
            && !self.merge.held.load(Ordering::Acquire)
    }

    fn close(&self, write: &mut Write) -> Result<(), Error> {
        if let Some(writer) = write.writer.take() {
            writer.wait_merging_threads().map_err(|source| Error::Commit { day: self.name(), source })?;
            self.refresh()?;
        }
        Ok(())
    }
}

/// What a query needs of a shard: the last commit, unchanging.
pub struct ShardView {
    /// UTC day number.
    pub day: i32,
    pub fields: Fields,
    dir: PathBuf,
    searcher: Searcher,
    position: u64,
    table: Snapshot,
}

impl ShardView {
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// The streams by number.
    pub fn streams(&self) -> &[Arc<StreamEntry>] {
        &self.table.streams
    }

    /// The grammars by number.
    pub fn grammars(&self) -> &[Arc<GrammarEntry>] {
        &self.table.grammars
    }

    /// The journal position of the last commit.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn docs(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// Bytes on disk, hot and warm, files of running merges included; looks at the directory.
    pub fn bytes(&self) -> u64 {
        self.count_bytes(|_| true)
    }

    /// Those of them on the warm volume.
    pub fn warm_bytes(&self) -> u64 {
        self.count_bytes(|file| file.is_symlink())
    }

    fn count_bytes(&self, counts: impl Fn(&Path) -> bool) -> u64 {
        let Ok(files) = fs::read_dir(&self.dir) else { return 0 };
        let files = files.flatten().map(|file| file.path()).filter(|file| counts(file));
        files.filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
    }

    /// Field names that `kw`, `ident` and `num` know here, segments joined by `\u{1}`.
    pub fn paths(&self) -> &HashSet<Box<str>> {
        &self.table.paths
    }

    /// Whether records may have this field (dots or `\u{1}` between segments) without it being in `kw`,
    /// `ident` or `num`: the shard had too many names by then. Its words are in `text`; a filter on it has to verify.
    pub fn is_unindexed(&self, path: &str) -> bool {
        self.table.full && !self.table.paths.contains(&*normal_path(path))
    }

    /// Whether records of lines that are tokenised may have values of this name that are in `text` alone: long ones, and
    /// texts; or of names below it. Of lines that their fields cover the grammar says so.
    pub fn may_be_text(&self, path: &str) -> bool {
        let texts = self.table.texts.as_ref().filter(|_| !self.table.full);
        let path = normal_path(path);
        let below = |text: &str| text.strip_prefix(&*path).is_some_and(|rest| rest.starts_with(PATH_SEPARATOR));
        texts.is_none_or(|texts| texts.contains(&*path) || texts.iter().any(|text| below(text)))
    }
}

fn reader(index: &Index) -> tantivy::Result<IndexReader> {
    index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()
}

/// Segments to make one, none with more than `docs_max` records: tantivy counts them in 31 bits, and a merge needs memory.
fn merge_groups(mut segments: Vec<SegmentMeta>, docs_max: u64) -> Vec<Vec<SegmentId>> {
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.num_docs()));
    let mut groups: Vec<(u64, Vec<SegmentId>)> = Vec::new();
    for segment in segments {
        let docs = u64::from(segment.num_docs());
        match groups.iter_mut().find(|(sum, _)| sum + docs <= docs_max) {
            Some((sum, group)) => {
                *sum += docs;
                group.push(segment.id());
            }
            None => groups.push((docs, vec![segment.id()])),
        }
    }
    groups.into_iter().map(|(_, group)| group).filter(|group| group.len() > 1).collect()
}

/// Segment files that no commit names: a crash came between a cut and its commit; and links that were not finished.
fn remove_orphans(dir: &Path, living: &HashSet<PathBuf>) -> Result<(), Error> {
    for file in fs::read_dir(dir).map_err(Error::io(dir))? {
        let file = file.map_err(Error::io(dir))?;
        let name = PathBuf::from(file.file_name());
        if (is_segment_file(&name) && !living.contains(&name)) || warm::is_unfinished(&name) {
            fs::remove_file(file.path()).map_err(Error::io(file.path()))?;
        }
    }
    Ok(())
}

/// tantivy names them `<uuid without dashes>.<component>`.
pub(super) fn is_segment_file(name: &Path) -> bool {
    let Some(name) = name.to_str() else { return false };
    name.split_once('.').is_some_and(|(id, _)| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))
}
