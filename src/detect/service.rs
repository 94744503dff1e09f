//! One service: its lines, its fields, and its buckets that are still open.

use serde::{Deserialize, Serialize};

use super::common::Moved;
use super::entity::{Entity, NAMESPACE, NODE, POD, TEMPLATE};
use super::field::{FieldKind, FieldState, Tally, hash_of};
use super::finding::{Condition, Finding, Measure};
use super::names::{NameId, Names};
use super::observe::{Datum, Observation, Observations, Part};
use super::sample::{KeptValue, Sample, kept_value};
use super::series::Kind;
use super::watched::{BUCKET_SECONDS, COARSE_SECONDS, Watched, is_high};
use crate::record::time::NANOS_PER_SECOND;

/// Fields that every service has, at these places.
pub const TEMPLATE_PLACE: u16 = 0;
pub const POD_PLACE: u16 = 1;
pub const NODE_PLACE: u16 = 2;
pub const NAMESPACE_PLACE: u16 = 3;
const KEYS: [&str; 4] = [TEMPLATE, POD, NODE, NAMESPACE];
/// Fields of one service beyond this are not watched; how many is told.
const FIELDS_MAX: usize = 96;
/// Open buckets: a watermark waits four minutes at most.
const OPEN_MAX: usize = 6;

/// A stream, as the detector knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamInfo {
    pub service: u32,
    pub source: u32,
    pub key: u128,
    pub entity: Entity,
    /// Hashes of pod, node and namespace.
    pub hashes: [Option<u64>; 3],
}

/// One series, as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    pub service: String,
    pub field: Option<String>,
    pub kind: FieldKind,
    pub measure: Measure,
    pub value: Option<String>,
    pub bucket_seconds: u32,
    /// Buckets learned.
    pub buckets: u32,
    /// Says nothing yet.
    pub learning: bool,
    pub typical: f64,
    pub low: f64,
    pub high: f64,
}

/// What one minute of a service holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// Unix seconds.
    pub start: i64,
    pub lines: u32,
    unparsed: u32,
    /// By the field's place.
    pub tallies: Vec<Tally>,
    pub sample: Sample,
}

impl Bucket {
    pub fn at(start: i64) -> Self {
        Self { start, ..Self::default() }
    }

    #[inline]
    fn tally(&mut self, place: u16) -> &mut Tally {
        let place = place as usize;
        if self.tallies.len() <= place {
            self.tallies.resize_with(place + 1, || Tally::Nothing);
        }
        &mut self.tallies[place]
    }

    fn bytes(&self) -> usize {
        self.tallies.iter().map(|tally| tally.bytes() + size_of::<Tally>()).sum::<usize>() + self.sample.bytes()
    }
}

/// One service.
#[derive(Debug, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub lines: Watched,
    coarse_lines: Watched,
    coarse: Option<(i64, f64)>,
    unparsed: Watched,
    pub fields: Vec<FieldState>,
    /// Place by [`NameId`]; `u16::MAX` for none.
    #[serde(skip)]
    places: Vec<u16>,
    open: Vec<Bucket>,
    /// Buckets that begin before this are closed: Unix seconds.
    pub closed_until: i64,
    /// Shippers it comes from.
    pub sources: Vec<u32>,
    /// Start of its first bucket and of its last one with lines: Unix seconds.
    pub first: i64,
    pub last: i64,
    /// Lines that came after their bucket was closed.
    pub late: u64,
    /// Fields left out because there were too many, counted once a line.
    pub left_out: u64,
    /// Lines of the open bucket when it was looked at last.
    peeked: u32,
    /// The last closed bucket and the last closed coarse one, with what was typical before they were known.
    told: [Option<Told>; 2],
}

/// A closed bucket's lines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Told {
    lines: f64,
    typical: f64,
}

impl Service {
    pub fn new(name: &str, start: i64) -> Self {
        let count = |seconds| Watched::new(Kind::Count, seconds);
        let key = |name: &&str| FieldState::new(name, NameId::default(), Part::Key);
        Self {
            name: name.to_owned(),
            lines: count(BUCKET_SECONDS),
            coarse_lines: count(COARSE_SECONDS),
            coarse: None,
            unparsed: count(BUCKET_SECONDS),
            fields: KEYS.iter().map(key).collect(),
            places: Vec::new(),
            open: Vec::new(),
            closed_until: start,
            sources: Vec::new(),
            first: start,
            last: start,
            late: 0,
            left_out: 0,
            peeked: 0,
            told: [None; 2],
        }
    }

    /// After loading.
    pub fn restore(&mut self, names: &Names) {
        for (place, field) in self.fields.iter_mut().enumerate() {
            field.restore();
            if place >= KEYS.len()
                && let Some(id) = names.id(&field.name)
            {
                field.id = id;
                set_place(&mut self.places, id, place as u16);
            }
        }
    }

    /// Adds a record; false when its bucket is closed.
    #[inline]
    pub fn add(
        &mut self,
        names: &Names,
        batch: &Observations,
        record: &Observation,
        stream: &StreamInfo,
        time: i64,
    ) -> bool {
        let seconds = time.div_euclid(NANOS_PER_SECOND);
        let start = seconds - seconds.rem_euclid(BUCKET_SECONDS);
        if start < self.closed_until {
            self.late += 1;
            return false;
        }
        let at = match self.open.last() {
            Some(last) if last.start == start => self.open.len() - 1,
            _ => match self.open.binary_search_by_key(&start, |bucket| bucket.start) {
                Ok(at) => at,
                Err(at) => {
                    self.open.insert(at, Bucket::at(start));
                    at
                }
            },
        };
        self.last = self.last.max(start);
        let mut weight = 1.0f32;
        for datapoint in batch.fields(record) {
            let Some(place) = self.place(names, datapoint.name, datapoint.part) else { continue };
            let tally = self.open[at].tally(place);
            let field = &mut self.fields[place as usize];
            weight = weight.max(field.count(tally, datapoint.value, start, || batch.text(datapoint.value)));
        }
        let bucket = &mut self.open[at];
        bucket.lines += 1;
        bucket.unparsed += u32::from(!record.parsed);
        let mut keys: [(u16, Option<Datum>, &str); 4] =
            [(TEMPLATE_PLACE, None, ""), (POD_PLACE, None, ""), (NODE_PLACE, None, ""), (NAMESPACE_PLACE, None, "")];
        keys[0].1 = record.template.map(|id| Datum::Number(id as f64));
        let texts = [&stream.entity.pod, &stream.entity.node, &stream.entity.namespace];
        for ((key, hash), text) in keys[1..].iter_mut().zip(stream.hashes).zip(texts) {
            key.1 = hash.map(|hash| Datum::Text { hash, at: 0, len: 0 });
            key.2 = text.as_deref().unwrap_or_default();
        }
        for (place, value, text) in keys {
            if let Some(value) = value {
                let tally = bucket.tally(place);
                weight = weight.max(self.fields[place as usize].count(tally, value, start, || text));
            }
        }
        let (fields, places) = (batch.fields(record), &self.places);
        let key = (stream.key >> 64) as u64;
        bucket.sample.offer(batch, record, key, time, weight, |values| {
            let place_of = |id: NameId| places.get(id.0 as usize).copied().filter(|place| *place != u16::MAX);
            values.extend(fields.iter().filter_map(|d| Some(kept_value(batch, record, place_of(d.name)?, d.value))));
            for (place, value, _) in keys {
                values.extend(value.map(|value| kept_value(batch, record, place, value)));
            }
        });
        true
    }

    #[inline]
    fn place(&mut self, names: &Names, name: NameId, part: Part) -> Option<u16> {
        if let Some(place) = self.places.get(name.0 as usize).copied()
            && place != u16::MAX
        {
            return Some(place);
        }
        if self.fields.len() >= FIELDS_MAX {
            self.left_out += 1;
            return None;
        }
        let place = self.fields.len() as u16;
        self.fields.push(FieldState::new(&names.name(name), name, part));
        set_place(&mut self.places, name, place);
        Some(place)
    }

    /// Closes the next bucket: what was in it, and what of that was out of the ordinary.
    pub fn close(&mut self, findings: &mut Vec<Finding>) -> Bucket {
        let start = self.closed_until;
        let bucket = match self.open.first() {
            Some(first) if first.start == start => self.open.remove(0),
            _ => Bucket::at(start),
        };
        self.closed_until = start + BUCKET_SECONDS;
        self.peeked = 0;
        let lines = f64::from(bucket.lines);
        self.told[0] = self.lines.is_warm().then(|| Told { lines, typical: self.lines.typical(start).typical });
        findings.extend(self.lines.push(start, lines).map(about_lines));
        let unparsed = self.unparsed.push(start, f64::from(bucket.unparsed)).filter(is_high);
        findings.extend(unparsed.map(|finding| Finding {
            measure: Measure::Unparsed,
            condition: Condition::Unparsed,
            ..finding
        }));
        let coarse_start = start - start.rem_euclid(COARSE_SECONDS);
        if let Some((begun, lines)) = self.coarse.take_if(|(begun, _)| *begun < coarse_start) {
            let typical = self.coarse_lines.typical(begun).typical;
            self.told[1] = self.coarse_lines.is_warm().then_some(Told { lines, typical });
            findings.extend(self.coarse_lines.push(begun, lines).map(about_lines));
        }
        self.coarse.get_or_insert((coarse_start, 0.0)).1 += f64::from(bucket.lines);
        for (place, field) in self.fields.iter_mut().enumerate() {
            let tally = bucket.tallies.get(place).unwrap_or(&Tally::Nothing);
            let mut others: Vec<&mut Tally> =
                self.open.iter_mut().filter_map(|other| other.tallies.get_mut(place)).collect();
            field.close(place as u16, start, tally, &mut others, findings);
        }
        bucket
    }

    /// The oldest open bucket, and what is out of the ordinary in it already. None where nothing came since the last look.
    pub fn peek(&mut self, findings: &mut Vec<Finding>) -> Option<&Bucket> {
        let bucket = self.open.first().filter(|bucket| bucket.start == self.closed_until)?;
        if bucket.lines < self.peeked + self.peeked / 8 + 4 {
            return None;
        }
        self.peeked = bucket.lines;
        let lines = self.lines.peek(bucket.start, f64::from(bucket.lines)).filter(is_high);
        findings.extend(lines.map(about_lines));
        for (place, tally) in bucket.tallies.iter().enumerate() {
            self.fields[place].peek(place as u16, bucket.start, tally, findings);
        }
        Some(bucket)
    }

    /// Its lines of the bucket of so many seconds at `start`, or of the one nearest to it that is known, at the time `now`. None
    /// while nothing is typical yet.
    pub fn moved(&self, bucket_seconds: u32, start: i64, now: i64) -> Option<Moved> {
        if i64::from(bucket_seconds) != BUCKET_SECONDS {
            // Not all are done with it at the same time: what is there of it is compared with as much.
            if let Some((begun, lines)) = self.coarse.filter(|(begun, _)| *begun == start) {
                let over = (self.closed_until - begun) as f64 / COARSE_SECONDS as f64;
                let typical = over.min(1.0) * self.coarse_lines.typical(begun).typical;
                return self.coarse_lines.is_warm().then_some(Moved { lines, typical });
            }
            let Told { lines, typical } = self.told[1]?;
            return Some(Moved { lines, typical });
        }
        if self.closed_until > start {
            let Told { lines, typical } = self.told[0]?;
            return Some(Moved { lines, typical });
        }
        let lines = self.open.iter().find(|bucket| bucket.start == start).map_or(0, |bucket| bucket.lines);
        let over = ((now - start) as f64 / BUCKET_SECONDS as f64).clamp(0.0, 1.0);
        let typical = over * self.lines.typical(start).typical;
        self.lines.is_warm().then_some(Moved { lines: f64::from(lines), typical })
    }

    /// How rare its lines are, once a factor that is common to all services is taken off them.
    pub fn apart_from(&self, bucket_seconds: u32, start: i64, lines: f64, factor: f64) -> Option<Finding> {
        let coarse = i64::from(bucket_seconds) != BUCKET_SECONDS;
        let series = if coarse { &self.coarse_lines } else { &self.lines };
        series.peek(start, lines / factor)
    }

    /// Whether more buckets are open than anybody waits for.
    pub fn is_crowded(&self) -> bool {
        self.open.len() > OPEN_MAX
    }

    /// For the lines of all services together: counts one under its node, without its fields.
    #[inline]
    pub fn add_node(&mut self, stream: &StreamInfo, time: i64) {
        let seconds = time.div_euclid(NANOS_PER_SECOND);
        let start = seconds - seconds.rem_euclid(BUCKET_SECONDS);
        if start < self.closed_until {
            return;
        }
        let at = match self.open.binary_search_by_key(&start, |bucket| bucket.start) {
            Ok(at) => at,
            Err(at) => {
                self.open.insert(at, Bucket::at(start));
                at
            }
        };
        let bucket = &mut self.open[at];
        bucket.lines += 1;
        if let (Some(hash), Some(node)) = (stream.hashes[1], &stream.entity.node) {
            let value = Datum::Text { hash, at: 0, len: 0 };
            self.fields[NODE_PLACE as usize].count(bucket.tally(NODE_PLACE), value, start, || node);
        }
    }

    /// Whether a value that is known has not been seen in the last two closed buckets.
    pub fn is_silent(&self, place: u16, value: u64) -> bool {
        let values = self.fields[place as usize].values();
        let entry = values.slot(value).and_then(|slot| values.entries.get(slot as usize));
        entry.is_some_and(|entry| entry.last < self.closed_until - 2 * BUCKET_SECONDS)
    }

    /// Takes the oldest open bucket out for a look; [`Service::put_back`] it.
    pub fn take_first_open(&mut self) -> Option<Bucket> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    pub fn put_back(&mut self, bucket: Bucket) {
        self.open.insert(0, bucket);
    }

    /// Forgets all that was learned and begins at `start`.
    pub fn forget(&mut self, start: i64) {
        let sources = std::mem::take(&mut self.sources);
        *self = Self { sources, ..Self::new(&self.name, start) };
    }

    /// Its series, for people.
    pub fn watches(&self, out: &mut Vec<Watch>) {
        let mut push = |series: &Watched, field: Option<&FieldState>, measure, value: Option<String>| {
            let typical = series.typical(self.closed_until);
            out.push(Watch {
                service: self.name.clone(),
                field: field.map(|field| field.name.to_string()),
                kind: field.map_or(FieldKind::Number, FieldState::kind),
                measure,
                value,
                bucket_seconds: series.bucket_seconds,
                buckets: series.buckets,
                learning: !series.is_warm(),
                typical: typical.typical,
                low: typical.low,
                high: typical.high,
            });
        };
        push(&self.lines, None, Measure::Lines, None);
        push(&self.coarse_lines, None, Measure::Lines, None);
        push(&self.unparsed, None, Measure::Unparsed, None);
        for field in &self.fields {
            for (series, measure, hash) in field.series() {
                let values = field.values();
                let entry = values.slot(hash).and_then(|slot| values.entries.get(slot as usize));
                push(series, Some(field), measure, entry.map(|entry| entry.shown.to_string()));
            }
        }
    }

    /// Goes on at `start` without judging what lies between: nothing was received from anybody then.
    pub fn skip_to(&mut self, start: i64) {
        self.closed_until = self.closed_until.max(start);
    }

    pub fn first_open(&self) -> Option<i64> {
        self.open.first().map(|bucket| bucket.start)
    }

    /// Series, and what is as often right or wrong as a series.
    pub fn series_count(&self) -> usize {
        3 + self.fields.iter().map(FieldState::series_count).sum::<usize>()
    }

    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(FieldState::bytes).sum();
        let lines = self.lines.bytes() + self.coarse_lines.bytes() + self.unparsed.bytes();
        fields + lines + self.open.iter().map(Bucket::bytes).sum::<usize>() + size_of::<Self>()
    }

    /// Forgets the field that was seen longest ago, the largest of these; gives how many series that were, nothing where there
    /// is none to forget.
    pub fn evict_field(&mut self) -> Option<usize> {
        let fields = self.fields.iter().enumerate().skip(KEYS.len());
        let fields = fields.map(|(place, field)| (place, field.last, field.bytes()));
        let (place, ..) = fields
            .filter(|(.., bytes)| *bytes > 2 * EMPTY_FIELD_BYTES)
            .min_by_key(|(_, last, bytes)| (*last, usize::MAX - *bytes))?;
        // It keeps its place, so that nothing else has to move; it begins anew.
        let field = &mut self.fields[place];
        let series = field.series_count();
        *field = FieldState::new(&field.name.clone(), field.id, Part::Any);
        for bucket in &mut self.open {
            if let Some(tally) = bucket.tallies.get_mut(place) {
                *tally = Tally::Nothing;
            }
        }
        Some(series)
    }
}

/// A field that has seen nothing takes about so much.
const EMPTY_FIELD_BYTES: usize = 512;

fn about_lines(finding: Finding) -> Finding {
    let silent = finding.actual == 0.0;
    let measure = if silent { Measure::Silence } else { Measure::Lines };
    Finding { measure, condition: if silent { Condition::None } else { Condition::All }, ..finding }
}

fn set_place(places: &mut Vec<u16>, name: NameId, place: u16) {
    let at = name.0 as usize;
    if places.len() <= at {
        places.resize(at + 1, u16::MAX);
    }
    places[at] = place;
}

/// The values of a kept record that a condition speaks of.
pub fn holds(condition: Condition, values: &[KeptValue], parsed: bool) -> bool {
    let of = |place: u16| values.iter().find(move |value| value.place == place);
    match condition {
        Condition::All => true,
        Condition::None => false,
        Condition::Unparsed => !parsed,
        Condition::Is(place, hash) => of(place).is_some_and(|value| value.hash == hash),
        Condition::Above(place, x) => of(place).and_then(|value| value.number).is_some_and(|n| n > x),
        Condition::Below(place, x) => of(place).and_then(|value| value.number).is_some_and(|n| n < x),
    }
}

/// The hash a text is told apart by.
pub fn text_hash(text: &str) -> u64 {
    hash_of(Datum::Text { hash: xxhash_rust::xxh3::xxh3_64(text.as_bytes()), at: 0, len: 0 })
}
