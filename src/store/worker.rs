//! One indexing thread's part: it builds segments, a cut finishes them, a commit shows them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tantivy::indexer::{AddOperation, SegmentWriter};
use tantivy::{Segment, SegmentMeta, TantivyError};

use super::Options;
use super::catalog::Catalog;
use super::document::{Doc, Scratch};
use super::error::Error;
use super::fill::fill;
use super::home::QUARANTINE;
use super::schema::Fields;
use super::shard::Shard;
use crate::record::{GrammarRef, Record, StreamKey};

/// Records between two looks at the memory in use.
const MEMORY_CHECK_RECORDS: u64 = 256;
/// tantivy sizes its term table by the memory it is promised; this is enough for the first segment of a quiet shard.
const SEGMENT_MEMORY_MIN_BYTES: usize = 4 << 20;

/// Finished segments of all days since the last cut, not visible until [`Store::commit`](super::Store::commit).
#[must_use = "records of a dropped cut are gone from memory"]
pub struct Cut {
    pub(super) parts: Vec<(Arc<Shard>, Vec<SegmentMeta>)>,
    /// Records in it.
    pub records: u64,
}

/// Builds segments. One per indexing thread.
pub struct Worker {
    catalog: Arc<Catalog>,
    options: Options,
    fields: Fields,
    days: Vec<OpenDay>,
    doc: Arc<Scratch>,
    tick: u64,
    records: u64,
    dropped: u64,
    quarantined: u64,
}

struct OpenDay {
    shard: Arc<Shard>,
    open: Option<OpenSegment>,
    finished: Vec<SegmentMeta>,
    /// The shard's numbers and names, seen from here: no lock for what is known.
    streams: HashMap<StreamKey, u32, FixedState>,
    grammars: Vec<((&'static str, u64), u32)>,
    paths: HashMap<Box<str>, bool, FixedState>,
    /// `Worker::tick` of the last record.
    used: u64,
    /// Bytes of the last segment at its end: a hint for the next.
    segment_bytes: usize,
}

struct OpenSegment {
    segment: Segment,
    writer: SegmentWriter,
    /// At the last look.
    bytes: usize,
}

impl Worker {
    pub(super) fn new(catalog: Arc<Catalog>, options: Options, fields: Fields) -> Self {
        let doc = Arc::new(Scratch::new(fields));
        Self { catalog, options, fields, days: Vec::new(), doc, tick: 0, records: 0, dropped: 0, quarantined: 0 }
    }

    /// Adds a record of the batch at `position`, received at `received_at` (Unix nanoseconds), to its shard, unless that
    /// holds it already. `covers_line`: the grammar's fields hold all words of the line. After an error see
    /// [`Error::Segment`].
    pub fn add(
        &mut self,
        position: u64,
        received_at: i64,
        record: &Record<'_>,
        covers_line: bool,
    ) -> Result<(), Error> {
        let day = self.options.believable.home(record.event.timestamp, received_at);
        let at = match self.days.iter().position(|open| open.shard.day == day) {
            // A deleted day's segments go with it.
            Some(at) if self.days[at].shard.is_retired() => {
                self.days.swap_remove(at);
                self.open_day(day)?
            }
            Some(at) => at,
            None => self.open_day(day)?,
        };
        self.quarantined += u64::from(day == QUARANTINE);
        if self.days[at].shard.committed() >= position {
            self.dropped += 1;
            return Ok(());
        }
        self.put_at(at, record, covers_line)
    }

    /// Adds a record to a shard, whatever its time.
    pub(super) fn put(&mut self, shard: &Arc<Shard>, record: &Record<'_>, covers_line: bool) -> Result<(), Error> {
        let at = match self.days.iter().position(|open| open.shard.day == shard.day) {
            Some(at) => at,
            None => self.open_day(shard.day)?,
        };
        self.put_at(at, record, covers_line)
    }

    /// The finished segments of all days.
    pub(super) fn finish(&mut self) -> Result<Vec<SegmentMeta>, Error> {
        Ok(self.cut()?.parts.into_iter().flat_map(|(_, segments)| segments).collect())
    }

    fn put_at(&mut self, at: usize, record: &Record<'_>, covers_line: bool) -> Result<(), Error> {
        self.tick += 1;
        self.days[at].used = self.tick;
        if self.days[at].open.is_none() {
            self.make_room(at)?;
        }
        let open_day = &mut self.days[at];
        if Arc::get_mut(&mut self.doc).is_none() {
            self.doc = Arc::new(Scratch::new(self.fields));
        }
        if let Some(doc) = Arc::get_mut(&mut self.doc) {
            let (shard, paths) = (&open_day.shard, &mut open_day.paths);
            doc.clear();
            doc.stream = u64::from(*open_day.streams.entry(record.event.stream.key).or_insert_with(|| {
                // Under the shard's lock, once for each stream and worker.
                shard.number(&record.event.stream)
            }));
            doc.grammar = record.grammar.map(|grammar| grammar_number(&mut open_day.grammars, shard, grammar).into());
            fill(doc, record, covers_line, |path| match paths.get(path) {
                Some(&admitted) => admitted,
                None => {
                    let admitted = shard.admit_path(path);
                    // Names that are not admitted may be without number.
                    if admitted || paths.len() < 100_000 {
                        paths.insert(path.into(), admitted);
                    }
                    admitted
                }
            });
        }
        let document = Doc(Arc::clone(&self.doc));
        open_day.add(document).map_err(|source| Error::Segment { day: open_day.shard.name(), source })?;
        self.records += 1;
        if self.records.is_multiple_of(MEMORY_CHECK_RECORDS) {
            self.check_memory(at)?;
        }
        Ok(())
    }

    /// Finishes all segments. Cheap when nothing was added.
    pub fn cut(&mut self) -> Result<Cut, Error> {
        let mut parts = Vec::new();
        for open_day in &mut self.days {
            open_day.finish()?;
            if !open_day.finished.is_empty() {
                parts.push((Arc::clone(&open_day.shard), std::mem::take(&mut open_day.finished)));
            }
        }
        let records = std::mem::take(&mut self.records);
        let recent = self.tick.saturating_sub(records);
        self.days.retain(|open_day| open_day.used > recent);
        Ok(Cut { parts, records })
    }

    /// Drops everything since the last cut: before the journal is read again.
    pub fn reset(&mut self) {
        self.days.clear();
        self.records = 0;
    }

    /// Memory of the open segments, as of the last look.
    pub fn memory_bytes(&self) -> usize {
        self.days.iter().filter_map(|open_day| open_day.open.as_ref()).map(|open| open.bytes).sum()
    }

    /// Records that were not added because their shard held them already.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Records put into the quarantine since the last call.
    pub fn take_quarantined(&mut self) -> u64 {
        std::mem::take(&mut self.quarantined)
    }

    fn open_day(&mut self, day: i32) -> Result<usize, Error> {
        let shard = self.catalog.shard(day)?;
        self.days.push(OpenDay {
            shard,
            open: None,
            finished: Vec::new(),
            streams: HashMap::default(),
            grammars: Vec::new(),
            paths: HashMap::default(),
            used: self.tick,
            segment_bytes: 0,
        });
        Ok(self.days.len() - 1)
    }

    /// Opens a segment for a day, finishing the one used longest ago if there are too many.
    fn make_room(&mut self, at: usize) -> Result<(), Error> {
        let open = self.days.iter().filter(|open_day| open_day.open.is_some()).count();
        if open >= self.options.open_days_max.max(1) {
            let oldest = self.days.iter_mut().filter(|open_day| open_day.open.is_some()).min_by_key(|o| o.used);
            oldest.map_or(Ok(()), OpenDay::finish)?;
        }
        let open_day = &mut self.days[at];
        let memory = (open_day.segment_bytes * 4)
            .clamp(SEGMENT_MEMORY_MIN_BYTES, self.options.worker_memory_bytes.max(SEGMENT_MEMORY_MIN_BYTES));
        let segment = open_day.shard.index.new_segment();
        let writer = SegmentWriter::for_segment(memory, segment.clone())
            .map_err(|source| Error::Segment { day: open_day.shard.name(), source })?;
        open_day.open = Some(OpenSegment { segment, writer, bytes: 0 });
        Ok(())
    }

    fn check_memory(&mut self, at: usize) -> Result<(), Error> {
        let open_day = &mut self.days[at];
        if let Some(open) = &mut open_day.open {
            open.bytes = open.writer.mem_usage();
        }
        if self.memory_bytes() > self.options.worker_memory_bytes {
            let largest = self.days.iter_mut().max_by_key(|o| o.open.as_ref().map_or(0, |open| open.bytes));
            largest.map_or(Ok(()), OpenDay::finish)?;
        }
        Ok(())
    }
}

/// Seen from here, else under the shard's lock. A day has a handful of grammars.
fn grammar_number(known: &mut Vec<((&'static str, u64), u32)>, shard: &Shard, grammar: GrammarRef<'_>) -> u32 {
    let key = (grammar.name, grammar.version);
    if let Some((_, number)) = known.iter().find(|(found, _)| *found == key) {
        return *number;
    }
    let number = shard.grammar_number(grammar);
    known.push((key, number));
    number
}

impl OpenDay {
    fn add(&mut self, document: Doc) -> Result<(), TantivyError> {
        match &mut self.open {
            Some(open) => open.writer.add_document(AddOperation { opstamp: 0, document }),
            None => Err(TantivyError::InternalError("no open segment".into())),
        }
    }

    /// Writes the open segment to its files.
    fn finish(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let docs = open.writer.max_doc();
        if docs == 0 {
            return Ok(());
        }
        self.segment_bytes = open.writer.mem_usage();
        open.writer.finalize().map_err(|source| Error::Segment { day: self.shard.name(), source })?;
        let meta = open.segment.with_max_doc(docs).meta().clone();
        meta.untrack_temp_docstore();
        self.finished.push(meta);
        Ok(())
    }
}
