//! What the detectors are given: the records of one batch, copied once into flat arrays.
//!
//! A record borrows from its batch, and the detector is another thread's; so a worker copies what can be watched:
//! times, numbers, and hashes of strings whose text stays where it stands in the copied line.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::job::Row as JobRow;
use super::names::{NameCache, NameId, Names};
use super::scalars::{Scalar, each_scalar};
use crate::record::{Record, Role, Stream, Value};

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Datum {
    Number(f64),
    /// xxh3 of the text, which stands at `at` in [`Observations::text`].
    Text {
        hash: u64,
        at: u32,
        len: u32,
    },
}

/// How a field takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// What it turns out to be.
    Any,
    /// An identifier by its grammar's word: only how many different ones there are.
    Id,
    /// A category by ours: a template, a pod, a node.
    Key,
}

/// One field of one record.
#[derive(Debug, Clone, Copy)]
pub struct Datapoint {
    pub name: NameId,
    pub part: Part,
    pub value: Datum,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// Index into [`Observations::streams`].
    pub stream: u32,
    /// Unix nanoseconds.
    pub time: i64,
    /// The identity within its sender.
    pub id: u64,
    pub template: Option<u64>,
    /// A grammar knew the line.
    pub parsed: bool,
    line: (u32, u32),
    fields: (u32, u32),
}

/// The records of one batch, in the batch's order.
#[derive(Debug, Default)]
pub struct Observations {
    /// The batch's position in the journal; positions only grow.
    pub position: u64,
    /// Unix nanoseconds.
    pub received_at: i64,
    pub streams: Vec<Arc<Stream>>,
    pub records: Vec<Observation>,
    /// What jobs take, each under its number.
    jobs: Vec<(u64, JobRow)>,
    fields: Vec<Datapoint>,
    text: String,
}

impl Observations {
    pub fn fields(&self, record: &Observation) -> &[Datapoint] {
        &self.fields[record.fields.0 as usize..record.fields.1 as usize]
    }

    /// The record's line; empty where it had none.
    pub fn line(&self, record: &Observation) -> &str {
        &self.text[record.line.0 as usize..record.line.1 as usize]
    }

    /// A text datum's text; empty for a number.
    pub fn text(&self, value: Datum) -> &str {
        match value {
            Datum::Text { at, len, .. } => &self.text[at as usize..(at + len) as usize],
            Datum::Number(_) => "",
        }
    }

    /// Where a text stands in its record's line, and its length: bytes. None where it is no part of it.
    pub fn place_in_line(&self, record: &Observation, value: Datum) -> Option<(u32, u32)> {
        match value {
            Datum::Text { at, len, .. } if at >= record.line.0 && at + len <= record.line.1 => {
                Some((at - record.line.0, len))
            }
            _ => None,
        }
    }

    /// Adds what a job takes of a record.
    pub fn add_job(&mut self, number: u64, row: JobRow) {
        self.jobs.push((number, row));
    }

    /// What jobs take, in the batch's order.
    pub fn take_jobs(&mut self) -> Vec<(u64, JobRow)> {
        std::mem::take(&mut self.jobs)
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.fields.capacity() * size_of::<Datapoint>()
            + self.records.capacity() * size_of::<Observation>()
            + self.jobs.iter().map(|(_, row)| size_of::<JobRow>() + row.example.line.len() + 200).sum::<usize>()
    }
}

/// Lines are kept to this length: they are evidence for a person, and the record itself is in the store. Bytes.
const LINE_BYTES_MAX: usize = 2_048;
/// Fields of one record beyond this are not watched.
const FIELDS_MAX: usize = 64;
/// A longer value is told apart by its hash, and shown cut.
const TEXT_BYTES_MAX: usize = 256;

/// Fills [`Observations`]; one a worker.
pub struct Observer {
    names: Arc<Names>,
    cache: NameCache,
    streams: HashMap<u128, u32, FixedState>,
    last: Option<(u128, u32)>,
    out: Observations,
    /// The name of the member that is looked at.
    path: String,
}

impl Observer {
    pub fn new(names: Arc<Names>) -> Self {
        let (cache, out) = (NameCache::default(), Observations::default());
        Self { names, cache, streams: HashMap::default(), last: None, out, path: String::new() }
    }

    /// Begins a batch of about so many records.
    pub fn begin(&mut self, position: u64, received_at: i64, records: usize) {
        self.streams.clear();
        self.last = None;
        self.out = Observations {
            position,
            received_at,
            streams: Vec::new(),
            jobs: Vec::new(),
            records: Vec::with_capacity(records),
            fields: Vec::with_capacity(records * 12),
            text: String::with_capacity(records * 280),
        };
    }

    /// Adds a record of the batch.
    pub fn add(&mut self, record: &Record<'_>) {
        let event = record.event;
        let stream = self.stream(&event.stream);
        let out = &mut self.out;
        let line = event.message.unwrap_or_default();
        let kept = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
        let line_at = out.text.len() as u32;
        out.text.push_str(kept);
        let fields_at = out.fields.len() as u32;
        for (place, field) in record.fields.iter().enumerate().take(FIELDS_MAX) {
            let part = match field.role {
                Role::Stamp | Role::Text => continue,
                _ if is_incidental(&field.name) => continue,
                Role::Id => Part::Id,
                Role::Keyword | Role::Path => Part::Any,
            };
            let value = match &field.value {
                Value::U64(n) => Datum::Number(*n as f64),
                Value::I64(n) => Datum::Number(*n as f64),
                Value::F64(n) => Datum::Number(*n),
                Value::Bool(flag) => text(&mut out.text, kept, line_at, if *flag { "true" } else { "false" }),
                Value::Str(value) => text(&mut out.text, kept, line_at, value),
                Value::Json(_) => continue,
            };
            if let Some(name) = self.cache.id(&self.names, place, field) {
                out.fields.push(Datapoint { name, part, value });
            }
        }
        if let Some(extra) = event.extra {
            let (names, cache) = (&self.names, &mut self.cache);
            let mut left = FIELDS_MAX.saturating_sub(out.fields.len() - fields_at as usize);
            each_scalar(extra, &mut self.path, &mut |name, scalar| {
                if left == 0 || is_incidental(name) || is_of_the_envelope(name) {
                    return;
                }
                let value = match scalar {
                    Scalar::Number(n) => Datum::Number(n),
                    Scalar::Bool(flag) => text(&mut out.text, kept, line_at, if flag { "true" } else { "false" }),
                    // A text of its own is no value: what it says is in its template, where it is the message.
                    Scalar::Text(value) if value.len() > TEXT_BYTES_MAX || looks_like_a_time(value) => return,
                    Scalar::Text(value) => text(&mut out.text, kept, line_at, value),
                };
                if let Some(name) = cache.named(names, name) {
                    out.fields.push(Datapoint { name, part: Part::Any, value });
                    left -= 1;
                }
            });
        }
        out.records.push(Observation {
            stream,
            time: event.timestamp,
            id: event.id(),
            template: record.template,
            parsed: record.grammar.is_some(),
            line: (line_at, line_at + kept.len() as u32),
            fields: (fields_at, out.fields.len() as u32),
        });
    }

    /// Adds what a job takes of a record of the batch.
    pub fn add_job(&mut self, number: u64, row: JobRow) {
        self.out.add_job(number, row);
    }

    /// The batch, done.
    pub fn finish(&mut self) -> Observations {
        std::mem::take(&mut self.out)
    }

    fn stream(&mut self, stream: &Arc<Stream>) -> u32 {
        let key = stream.key.0;
        if let Some((last, number)) = self.last
            && last == key
        {
            return number;
        }
        let streams = &mut self.out.streams;
        let number = *self.streams.entry(key).or_insert_with(|| {
            streams.push(Arc::clone(stream));
            streams.len() as u32 - 1
        });
        self.last = Some((key, number));
        number
    }
}

/// A text's hash and place: within the line where the value was borrowed from it, else appended.
#[inline]
fn text(out: &mut String, line: &str, line_at: u32, value: &str) -> Datum {
    let hash = xxh3_64(value.as_bytes());
    let value = &value[..value.floor_char_boundary(TEXT_BYTES_MAX)];
    let (base, at) = (line.as_ptr() as usize, value.as_ptr() as usize);
    // The original line and its kept part begin at the same address.
    if at >= base && at + value.len() <= base + line.len() {
        return Datum::Text { hash, at: line_at + (at - base) as u32, len: value.len() as u32 };
    }
    let at = out.len() as u32;
    out.push_str(value);
    Datum::Text { hash, at, len: value.len() as u32 }
}

/// What a clock says is new every day (klog's date), and the numbers of threads and source lines say what the names beside
/// them say.
fn is_incidental(name: &str) -> bool {
    matches!(name, "month" | "day" | "year" | "hour" | "minute" | "second" | "weekday" | "thread_id" | "line_number")
}

/// Which line it is, who sent it and how: not what it says.
fn is_of_the_envelope(name: &str) -> bool {
    let first = name.split_once('.').map_or(name, |(first, _)| first);
    matches!(first, "agent" | "ecs" | "event" | "host" | "input" | "log" | "tags" | "_id" | "@version" | "@timestamp")
}

/// `2026-03-01T…`, `2026-03-01 …`: new in every record.
fn looks_like_a_time(value: &str) -> bool {
    let date = value.as_bytes().first_chunk::<10>();
    date.is_some_and(|d| d[..4].iter().all(u8::is_ascii_digit) && d[4] == b'-' && d[7] == b'-' && d[8].is_ascii_digit())
}
