//! Answers questions over all shards: which records, how many over time, which values, which fields, what stood around.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use tantivy::columnar::DynamicColumn;

use super::ast::Expr;
use super::bits::Bits;
use super::matches::Aliases;
use super::record::{parse_event_id, stream_half};
use super::segment::{Segment, Stop};
use crate::parse::Parser;
use crate::record::time::{NANOS_PER_DAY, day_of};
use crate::record::{PATH_SEPARATOR, Role};
use crate::store::{STAMP_PREFIX, ShardView, Store};

/// Unix nanoseconds, `from` included, `to` not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Between {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// A record's place in the order of answers: by time, then by what makes it different from others of that time. It does
/// not move when segments merge, so a cursor holds while records arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub timestamp: i64,
    pub id: u64,
    pub stream: u64,
}

impl Place {
    /// As a cursor: 48 hex digits.
    pub fn to_cursor(self) -> String {
        format!("{:016x}{:016x}{:016x}", self.timestamp, self.id, self.stream)
    }

    pub fn from_cursor(text: &str) -> Option<Self> {
        if text.len() != 48 || !text.is_ascii() {
            return None;
        }
        let part = |at: usize| u64::from_str_radix(&text[at..at + 16], 16).ok();
        Some(Self { timestamp: part(0)? as i64, id: part(16)?, stream: part(32)? })
    }
}

#[derive(Debug, Clone)]
pub struct Search {
    pub expr: Expr,
    pub between: Between,
    pub limit: usize,
    pub newest_first: bool,
    /// Answers go on behind this place.
    pub after: Option<Place>,
    pub deadline: Instant,
}

#[derive(Debug, Default)]
pub struct Hits {
    /// All that match, on whichever page.
    pub total: u64,
    pub records: Vec<Map<String, Json>>,
    /// The last record's place, when there may be more.
    pub next: Option<Place>,
    /// The deadline came first: these are the hits of the shards that were read.
    pub partial: bool,
}

#[derive(Debug, Default)]
pub struct Histogram {
    /// Nanoseconds.
    pub interval: i64,
    /// Start and count, in order, without gaps.
    pub buckets: Vec<(i64, u64)>,
    pub total: u64,
    pub partial: bool,
}

/// One field's values.
#[derive(Debug, Default)]
pub struct Facet {
    pub field: String,
    /// Most frequent first.
    pub values: Vec<(Json, u64)>,
    pub other: u64,
    pub missing: u64,
}

#[derive(Debug, Default)]
pub struct Facets {
    pub facets: Vec<Facet>,
    pub total: u64,
    pub partial: bool,
}

/// What a field's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldType {
    pub name: String,
    pub kind: &'static str,
    pub aliases: Vec<String>,
}

/// Buckets a histogram has at most.
pub const BUCKETS_MAX: i64 = 10_000;
/// Widths to choose from when none is asked for: seconds.
const WIDTHS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 21_600, 86_400];
const BUCKETS_WANTED: i64 = 60;

pub struct Engine {
    store: Arc<Store>,
    parser: Arc<Parser>,
    aliases: Aliases,
}

impl Engine {
    pub fn new(store: Arc<Store>, parser: Arc<Parser>) -> Self {
        let aliases = Aliases::of(&parser);
        Self { store, parser, aliases }
    }

    pub fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    /// Runs `each` over the matching documents of every segment that may have some; true when the deadline came first.
    fn scan(
        &self,
        expr: &Expr,
        between: Between,
        deadline: Instant,
        newest_first: bool,
        mut each: impl FnMut(&Arc<ShardView>, u32, &Segment<'_>, &Bits) -> Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let mut shards = self.store.shards();
        shards.retain(|s| overlaps(s.day, between));
        if !newest_first {
            shards.reverse();
        }
        let mut scan = || -> Result<(), Stop> {
            for shard in &shards {
                for (ord, reader) in shard.searcher().segment_readers().iter().enumerate() {
                    let segment = Segment::open(shard, reader, &self.parser, &self.aliases, deadline)?;
                    let Some(scope) = scope(&segment, between) else { continue };
                    let docs = segment.matching(expr, &scope)?;
                    if !docs.is_none() {
                        each(shard, ord as u32, &segment, &docs)?;
                    }
                }
            }
            Ok(())
        };
        match scan() {
            Ok(()) => Ok(false),
            Err(Stop::Deadline) => Ok(true),
            Err(stop) => Err(stop),
        }
    }

    pub fn search(&self, search: &Search) -> Result<Hits, Stop> {
        let mut hits = Hits::default();
        // The best so far, the worst of them on top; both orders are the same heap, with places turned round.
        let mut best: BinaryHeap<Ranked> = BinaryHeap::with_capacity(search.limit.min(1024) + 1);
        let mut more = false;
        hits.partial = self.scan(
            &search.expr,
            search.between,
            search.deadline,
            search.newest_first,
            |shard, ord, segment, docs| {
                hits.total += docs.count();
                if search.limit == 0 {
                    return Ok(());
                }
                for doc in docs.iter() {
                    let timestamp = segment.timestamps.first(doc).unwrap_or(0);
                    // Most documents are older than the worst that is kept already; that needs their time alone.
                    if best.len() == search.limit
                        && let Some(worst) = best.peek()
                        && worse_time(timestamp, worst.place.timestamp, search.newest_first)
                    {
                        more = true;
                        continue;
                    }
                    let place = place(segment, doc, timestamp);
                    if search
                        .after
                        .is_some_and(|after| rank(place, search.newest_first) <= rank(after, search.newest_first))
                    {
                        continue;
                    }
                    let address = (Arc::clone(shard), ord, doc);
                    best.push(Ranked { rank: rank(place, search.newest_first), place, address });
                    if best.len() > search.limit {
                        more = true;
                        best.pop();
                    }
                }
                Ok(())
            },
        )?;
        let ranked = best.into_sorted_vec();
        hits.next = if more { ranked.last().map(|r| r.place) } else { None };
        // Only what is returned is rebuilt.
        for Ranked { address: (shard, ord, doc), .. } in &ranked {
            let reader = shard.searcher().segment_reader(*ord);
            let segment = Segment::open(shard, reader, &self.parser, &self.aliases, search.deadline)?;
            hits.records.push(segment.record(*doc)?);
        }
        Ok(hits)
    }

    pub fn histogram(
        &self,
        expr: &Expr,
        between: Between,
        interval: Option<i64>,
        deadline: Instant,
    ) -> Result<Histogram, Stop> {
        let span = self.span(between)?;
        let mut histogram = Histogram { interval: interval.unwrap_or_else(|| width_for(span)), ..Histogram::default() };
        let Some((first, last)) = span else { return Ok(histogram) };
        let width = histogram.interval;
        let start = first.div_euclid(width);
        let count = (last.div_euclid(width) - start + 1).clamp(0, BUCKETS_MAX) as usize;
        let mut counts = vec![0u64; count];
        histogram.partial = self.scan(expr, between, deadline, true, |_, _, segment, docs| {
            for doc in docs.iter() {
                let at = segment.timestamps.first(doc).unwrap_or(0).div_euclid(width) - start;
                if let Some(count) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                    *count += 1;
                    histogram.total += 1;
                }
            }
            Ok(())
        })?;
        histogram.buckets = counts.into_iter().enumerate().map(|(i, n)| ((start + i as i64) * width, n)).collect();
        Ok(histogram)
    }

    /// The time that records within `between` span: first and last instant.
    pub fn span(&self, between: Between) -> Result<Option<(i64, i64)>, Stop> {
        let mut span: Option<(i64, i64)> = None;
        for shard in self.store.shards() {
            if !overlaps(shard.day, between) {
                continue;
            }
            for reader in shard.searcher().segment_readers() {
                let column = reader.fast_fields().i64("ts")?;
                let (low, high) = (column.min_value(), column.max_value());
                let low = between.from.map_or(low, |from| low.max(from));
                let high = between.to.map_or(high, |to| high.min(to - 1));
                if low <= high {
                    span = Some(span.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
                }
            }
        }
        Ok(span)
    }

    pub fn facets(
        &self,
        expr: &Expr,
        between: Between,
        fields: &[String],
        limit: usize,
        deadline: Instant,
    ) -> Result<Facets, Stop> {
        let mut answer = Facets::default();
        let mut counts: Vec<Counts> = fields.iter().map(|_| Counts::default()).collect();
        answer.partial = self.scan(expr, between, deadline, true, |_, _, segment, docs| {
            answer.total += docs.count();
            for (field, counts) in fields.iter().zip(&mut counts) {
                let names: Vec<&str> = self.aliases.names(field).collect();
                count_values(segment, docs, &names, counts)?;
            }
            Ok(())
        })?;
        for (field, counts) in fields.iter().zip(counts) {
            let mut values: Vec<(Key, u64)> = counts.values.into_iter().collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let other = values.iter().skip(limit).map(|(_, n)| n).sum();
            values.truncate(limit);
            let values = values.into_iter().map(|(key, n)| (key.into_json(), n)).collect();
            let missing = answer.total.saturating_sub(counts.docs);
            answer.facets.push(Facet { field: field.clone(), values, other, missing });
        }
        Ok(answer)
    }

    pub fn fields(&self) -> Result<Vec<FieldType>, Stop> {
        let mut kinds: BTreeMap<String, &'static str> = BTreeMap::from([
            ("@timestamp".to_owned(), "date"),
            ("message".to_owned(), "text"),
            ("log.offset".to_owned(), "number"),
            ("grammar".to_owned(), "keyword"),
            ("event.id".to_owned(), "id"),
        ]);
        for shard in self.store.shards() {
            for stream in shard.streams() {
                stream_fields(&stream.fields, "", &mut kinds);
            }
            let segments = shard.searcher().segment_readers();
            for path in shard.paths() {
                let name = path.replace(PATH_SEPARATOR, ".");
                let mut kind = None;
                for reader in segments {
                    let columns = reader.fast_fields();
                    let has = |column: String| -> Result<bool, Stop> {
                        Ok(!columns.dynamic_column_handles(&column)?.is_empty())
                    };
                    if has(format!("num.{name}"))? {
                        kind = Some("number");
                    } else if has(format!("num.{}{name}", STAMP_PREFIX.replace(PATH_SEPARATOR, ".")))? {
                        kind = Some("date");
                    } else if let Some(handle) = columns.dynamic_column_handles(&format!("kw.{name}"))?.first() {
                        kind =
                            Some(if matches!(handle.open()?, DynamicColumn::Bool(_)) { "boolean" } else { "keyword" });
                    }
                    if kind.is_some() {
                        break;
                    }
                }
                if !segments.is_empty() {
                    kinds.entry(name).or_insert(kind.unwrap_or("id"));
                }
            }
        }
        let known = self.parser.grammars().iter().flat_map(|g| g.fields);
        for field in known.filter(|f| f.role == Role::Text) {
            kinds.entry(field.name.to_owned()).or_insert("text");
        }
        let fields = kinds.into_iter();
        Ok(fields.map(|(name, kind)| FieldType { aliases: self.aliases.of_field(&name), name, kind }).collect())
    }

    /// The record of an `event.id` and its neighbours in the file it came from; `None` when it is not there.
    #[expect(clippy::type_complexity, reason = "before, the record, after")]
    pub fn context(
        &self,
        event_id: &str,
        before: usize,
        after: usize,
        deadline: Instant,
    ) -> Result<Option<(Vec<Map<String, Json>>, Map<String, Json>, Vec<Map<String, Json>>)>, Stop> {
        let Some((half, id)) = parse_event_id(event_id) else { return Ok(None) };
        let shards = self.store.shards();
        let mut found: Option<(Arc<ShardView>, FileOrder, Map<String, Json>, Map<String, Json>)> = None;
        'search: for shard in &shards {
            let Some(number) = shard.streams().iter().position(|s| stream_half(s.key) == half) else { continue };
            for reader in shard.searcher().segment_readers() {
                let segment = Segment::open(shard, reader, &self.parser, &self.aliases, deadline)?;
                for doc in 0..segment.docs() {
                    if segment.ids.first(doc) == Some(id) && segment.streams.first(doc) == Some(number as u64) {
                        let file = file_of(&shard.streams()[number].fields);
                        let order = file_order(&segment, doc, &file);
                        found = Some((Arc::clone(shard), order, segment.record(doc)?, file));
                        break 'search;
                    }
                }
            }
        }
        let Some((home, target, record, file)) = found else { return Ok(None) };
        let mut earlier: BinaryHeap<Reverse<(FileOrder, usize, u32, u32)>> = BinaryHeap::new();
        let mut later: BinaryHeap<(FileOrder, usize, u32, u32)> = BinaryHeap::new();
        for (s, shard) in shards.iter().enumerate() {
            // A file's lines are of its own day, or of a neighbouring one.
            if (shard.day - home.day).abs() > 1 {
                continue;
            }
            let same: Vec<bool> = shard.streams().iter().map(|stream| file_of(&stream.fields) == file).collect();
            for (r, reader) in shard.searcher().segment_readers().iter().enumerate() {
                let segment = Segment::open(shard, reader, &self.parser, &self.aliases, deadline)?;
                for doc in 0..segment.docs() {
                    let number = segment.streams.first(doc).unwrap_or(u64::MAX) as usize;
                    if !same.get(number).copied().unwrap_or(false) {
                        continue;
                    }
                    let order = file_order(&segment, doc, &file);
                    let entry = (order, s, r as u32, doc);
                    if order < target {
                        earlier.push(Reverse(entry));
                        if earlier.len() > before {
                            earlier.pop();
                        }
                    } else if order > target {
                        later.push(entry);
                        if later.len() > after {
                            later.pop();
                        }
                    }
                }
            }
        }
        let rebuild = |entries: Vec<(FileOrder, usize, u32, u32)>| -> Result<Vec<Map<String, Json>>, Stop> {
            let mut records = Vec::with_capacity(entries.len());
            for (_, s, r, doc) in entries {
                let shard = &shards[s];
                let reader = shard.searcher().segment_reader(r);
                let segment = Segment::open(shard, reader, &self.parser, &self.aliases, deadline)?;
                records.push(segment.record(doc)?);
            }
            Ok(records)
        };
        let mut earlier: Vec<_> = earlier.into_iter().map(|Reverse(entry)| entry).collect();
        earlier.sort_unstable();
        Ok(Some((rebuild(earlier)?, record, rebuild(later.into_sorted_vec())?)))
    }
}

/// Where a line stands in its file: a file that its fingerprint or inode names is in order of offsets alone; behind a
/// mere path another file may stand tomorrow, so time goes first.
type FileOrder = (i64, u64, i64);

fn file_order(segment: &Segment<'_>, doc: u32, file: &Map<String, Json>) -> FileOrder {
    let at = segment.timestamps.first(doc).unwrap_or(0);
    let offset = segment.offsets.first(doc).unwrap_or(0);
    if file.contains_key("fingerprint") || file.contains_key("inode") { (0, offset, at) } else { (at, offset, 0) }
}

/// What names the file a stream was read from, with the sender's name.
fn file_of(stream: &Map<String, Json>) -> Map<String, Json> {
    let file = crate::record::lookup_path(stream, "log.file").and_then(Json::as_object);
    let mut file = file.cloned().unwrap_or_else(|| stream.clone());
    if let Some(agent) = crate::record::lookup_path(stream, "agent.name") {
        file.insert("agent".into(), agent.clone());
    }
    file
}

struct Ranked {
    /// Smaller is earlier in the answer.
    rank: (bool, i128, u64, u64),
    place: Place,
    /// Shard, segment, document.
    address: (Arc<ShardView>, u32, u32),
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}
impl Eq for Ranked {}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

fn rank(place: Place, newest_first: bool) -> (bool, i128, u64, u64) {
    let at = i128::from(place.timestamp);
    if newest_first {
        (false, -at, u64::MAX - place.id, u64::MAX - place.stream)
    } else {
        (false, at, place.id, place.stream)
    }
}

fn worse_time(timestamp: i64, worst: i64, newest_first: bool) -> bool {
    if newest_first { timestamp < worst } else { timestamp > worst }
}

fn place(segment: &Segment<'_>, doc: u32, timestamp: i64) -> Place {
    let number = segment.streams.first(doc).unwrap_or(u64::MAX) as usize;
    let stream = segment.shard.streams().get(number).map_or(0, |s| stream_half(s.key));
    Place { timestamp, id: segment.ids.first(doc).unwrap_or(0), stream }
}

fn overlaps(day: i32, between: Between) -> bool {
    let start = i64::from(day) * NANOS_PER_DAY;
    between.from.is_none_or(|from| day_of(from) <= day) && between.to.is_none_or(|to| start < to)
}

/// The documents of a segment within `between`; `None` when there are none.
fn scope(segment: &Segment<'_>, between: Between) -> Option<Bits> {
    let (low, high) = (segment.timestamps.min_value(), segment.timestamps.max_value());
    let (from, to) = (between.from.unwrap_or(i64::MIN), between.to.unwrap_or(i64::MAX));
    if segment.docs() == 0 || high < from || low >= to {
        return None;
    }
    if low >= from && high < to {
        return Some(Bits::all(segment.docs()));
    }
    let mut docs = Bits::none(segment.docs());
    for doc in 0..segment.docs() {
        if segment.timestamps.first(doc).is_some_and(|at| (from..to).contains(&at)) {
            docs.set(doc);
        }
    }
    Some(docs)
}

fn width_for(span: Option<(i64, i64)>) -> i64 {
    let seconds = span.map_or(0, |(first, last)| (last - first) / 1_000_000_000);
    let width = WIDTHS.into_iter().find(|w| seconds / w <= BUCKETS_WANTED);
    // Beyond days: whole days.
    width.unwrap_or_else(|| (seconds / BUCKETS_WANTED / 86_400 + 1) * 86_400) * 1_000_000_000
}

#[derive(Debug, Default)]
struct Counts {
    values: HashMap<Key, u64>,
    /// Documents with any value.
    docs: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Bool(bool),
    Int(i128),
    /// Bits of a float, ordered as it is for those above zero.
    Float(u64),
    Text(String),
}

impl Key {
    fn of(value: &Json) -> Option<Self> {
        Some(match value {
            Json::Bool(b) => Key::Bool(*b),
            Json::Number(n) => match (n.as_u64(), n.as_i64()) {
                (Some(n), _) => Key::Int(n.into()),
                (_, Some(n)) => Key::Int(n.into()),
                _ => Key::float(n.as_f64()?),
            },
            Json::String(text) => Key::Text(text.clone()),
            _ => return None,
        })
    }

    fn float(n: f64) -> Self {
        if n.fract() == 0.0 && n.abs() < 9e15 { Key::Int(n as i128) } else { Key::Float(n.to_bits()) }
    }

    fn into_json(self) -> Json {
        match self {
            Key::Bool(b) => Json::Bool(b),
            Key::Int(n) => u64::try_from(n).map(Json::from).unwrap_or_else(|_| Json::from(n as i64)),
            Key::Float(bits) => Json::from(f64::from_bits(bits)),
            Key::Text(text) => Json::String(text),
        }
    }
}

fn count_values(segment: &Segment<'_>, docs: &Bits, names: &[&str], counts: &mut Counts) -> Result<(), Stop> {
    let mut with_value = Bits::none(docs.len());
    for name in names {
        // A stream's fields are counted by the stream's number and folded once.
        let streams = segment.shard.streams();
        let mut by_stream: HashMap<u64, u64> = HashMap::new();
        let values: Vec<Vec<Key>> = streams
            .iter()
            .map(|s| {
                let mut keys = Vec::new();
                super::matches::visit(&s.fields, name, &mut |value| {
                    match value {
                        Json::Array(items) => keys.extend(items.iter().filter_map(Key::of)),
                        value => keys.extend(Key::of(value)),
                    }
                    false
                });
                keys
            })
            .collect();
        if values.iter().any(|keys| !keys.is_empty()) {
            for doc in docs.iter() {
                let number = segment.streams.first(doc).unwrap_or(u64::MAX);
                if values.get(number as usize).is_some_and(|keys| !keys.is_empty()) {
                    *by_stream.entry(number).or_default() += 1;
                    with_value.set(doc);
                }
            }
            for (number, n) in by_stream {
                for key in &values[number as usize] {
                    *counts.values.entry(key.clone()).or_default() += n;
                }
            }
        }
        let columns = segment.reader.fast_fields();
        for field in ["kw", "num"] {
            for handle in columns.dynamic_column_handles(&format!("{field}.{name}"))? {
                match handle.open()? {
                    DynamicColumn::Str(column) => {
                        let mut by_ord: HashMap<u64, u64> = HashMap::new();
                        for doc in docs.iter() {
                            for ord in column.term_ords(doc) {
                                *by_ord.entry(ord).or_default() += 1;
                                with_value.set(doc);
                            }
                        }
                        for (ord, n) in by_ord {
                            let mut text = String::new();
                            column.ord_to_str(ord, &mut text)?;
                            *counts.values.entry(Key::Text(text)).or_default() += n;
                        }
                    }
                    DynamicColumn::Bool(c) => {
                        count_column(docs, &mut with_value, counts, |doc| c.values_for_doc(doc).map(Key::Bool))
                    }
                    DynamicColumn::U64(c) => count_column(docs, &mut with_value, counts, |doc| {
                        c.values_for_doc(doc).map(|n| Key::Int(n.into()))
                    }),
                    DynamicColumn::I64(c) => count_column(docs, &mut with_value, counts, |doc| {
                        c.values_for_doc(doc).map(|n| Key::Int(n.into()))
                    }),
                    DynamicColumn::F64(c) => {
                        count_column(docs, &mut with_value, counts, |doc| c.values_for_doc(doc).map(Key::float))
                    }
                    _ => {}
                }
            }
        }
    }
    counts.docs += with_value.count();
    Ok(())
}

fn count_column<I: Iterator<Item = Key>>(docs: &Bits, with: &mut Bits, counts: &mut Counts, values: impl Fn(u32) -> I) {
    for doc in docs.iter() {
        for key in values(doc) {
            *counts.values.entry(key).or_default() += 1;
            with.set(doc);
        }
    }
}

fn stream_fields(object: &Map<String, Json>, prefix: &str, kinds: &mut BTreeMap<String, &'static str>) {
    for (name, value) in object {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Json::Object(inner) => stream_fields(inner, &name, kinds),
            Json::Number(_) => _ = kinds.entry(name).or_insert("number"),
            Json::Bool(_) => _ = kinds.entry(name).or_insert("boolean"),
            Json::Null => {}
            _ => _ = kinds.entry(name).or_insert("keyword"),
        }
    }
}
