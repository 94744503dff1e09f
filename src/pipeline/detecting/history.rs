//! Stored days, told to a detector as if they came now: in the order of time, hour by hour, parsed by the grammars they have.

use std::sync::Arc;

use tantivy::TantivyError;

use crate::parse::Grammars;
use crate::query::Between;
use crate::record::time::NANOS_PER_DAY;
use crate::record::{Event, Fields, Record, Stream};
use crate::store::{Documents, QUARANTINE, ShardView, Store};

/// Records that a detector is given at once.
const BATCH_RECORDS: usize = 512;
/// Of one day so much is put in order at a time: nanoseconds.
const HOUR: i64 = NANOS_PER_DAY / 24;

/// Who is told of stored records.
pub trait Listener {
    /// A batch of so many records begins; the last has this time (Unix nanoseconds).
    fn begin(&mut self, received_at: i64, records: usize);
    fn record(&mut self, record: &Record<'_>);
    /// The batch is over; false stops.
    fn end(&mut self, records: usize) -> bool;
}

/// A stored day could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot read a stored day: {0}; loghound shards verify says which file is damaged")]
    Read(#[from] TantivyError),
    #[error("it was stopped")]
    Stopped,
}

/// Where the days are.
pub struct History {
    pub store: Arc<Store>,
    pub grammars: Arc<Grammars>,
}

impl History {
    /// Days within a range that there are, oldest first.
    pub fn days(&self, between: Between) -> Vec<i32> {
        let days = self.store.shards().into_iter().map(|shard| shard.day);
        let mut days: Vec<i32> = days.filter(|day| *day != QUARANTINE && between.overlaps(*day)).collect();
        days.sort_unstable();
        days
    }

    /// Tells one day's records within the range.
    pub fn tell(&self, day: i32, between: Between, listener: &mut dyn Listener) -> Result<(), Failure> {
        let Some(view) = self.store.shards().into_iter().find(|shard| shard.day == day) else { return Ok(()) };
        let streams: Vec<Arc<Stream>> = view.streams().iter().map(|entry| stream(entry)).collect();
        let readers = view.searcher().segment_readers();
        let documents: Vec<Documents<'_>> =
            readers.iter().map(|reader| Documents::open(reader, view.fields)).collect::<Result<_, _>>()?;
        let begin = i64::from(day) * NANOS_PER_DAY;
        let mut docs = Vec::new();
        for hour in 0..24 {
            let (from, to) = (begin + hour * HOUR, begin + (hour + 1) * HOUR);
            let mut order: Vec<(i64, u32, u32)> = Vec::new();
            for (segment, (reader, documents)) in readers.iter().zip(&documents).enumerate() {
                docs.clear();
                let all = 0..reader.max_doc();
                documents.timestamps.get_docids_for_value_range(from..=to - 1, all, &mut docs);
                let alive = reader.alive_bitset();
                let place = |doc: &u32| Some((documents.timestamps.first(*doc)?, segment as u32, *doc));
                let meant = docs.iter().filter(|doc| alive.is_none_or(|alive| alive.is_alive(**doc)));
                order.extend(meant.filter_map(place).filter(|(time, ..)| between.holds(*time)));
            }
            order.sort_unstable();
            for batch in order.chunks(BATCH_RECORDS) {
                let received_at = batch.last().map_or(to, |(time, ..)| *time);
                listener.begin(received_at, batch.len());
                for (_, segment, doc) in batch {
                    self.observe(&view, &streams, &documents[*segment as usize], *doc, listener)?;
                }
                if !listener.end(batch.len()) {
                    return Err(Failure::Stopped);
                }
            }
        }
        Ok(())
    }

    fn observe(
        &self,
        view: &ShardView,
        streams: &[Arc<Stream>],
        documents: &Documents<'_>,
        doc: u32,
        listener: &mut dyn Listener,
    ) -> Result<(), Failure> {
        let stored = documents.stored(doc)?;
        let number = documents.streams.first(doc).unwrap_or(u64::MAX) as usize;
        let Some(stream) = streams.get(number) else { return Ok(()) };
        let event = Event {
            stream: Arc::clone(stream),
            timestamp: documents.timestamps.first(doc).unwrap_or(0),
            message: stored.line(),
            offset: documents.offsets.first(doc),
            mark: documents.marks.first(doc).unwrap_or(0),
            positioned: true,
            extra: stored.extra(),
        };
        let entry = documents.grammars.first(doc).and_then(|number| view.grammars().get(number as usize));
        let grammar = entry.and_then(|entry| self.grammars.version(&entry.name, entry.version, &entry.source));
        let mut fields = Fields::new();
        let grammar = grammar.filter(|grammar| stored.line().is_some_and(|line| grammar.parse_line(line, &mut fields)));
        fields.leave_envelope_alone();
        let template = documents.templates.first(doc);
        let grammar = grammar.as_ref().map(|grammar| grammar.key());
        listener.record(&Record { event: &event, grammar, template, fields: &fields });
        Ok(())
    }
}

fn stream(entry: &crate::store::StreamEntry) -> Arc<Stream> {
    Arc::new(Stream {
        key: entry.key,
        fields: entry.fields.clone(),
        canonical: String::new(),
        sender: entry.sender.clone(),
        identity_seed: entry.identity_seed,
        memory: Default::default(),
    })
}
