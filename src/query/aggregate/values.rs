//! The values of one field over a segment, made into whatever an aggregation works with.
//!
//! A field's values can stand in several places: with the stream, in a dictionary column, as numbers, as an identifier
//! without a column, or only in the line. Each place becomes a part that gives values for a block of documents; what is
//! the same for many documents (a stream's field, a dictionary's entry) is converted once a segment. A record's values of
//! a name are a set: one that stands there twice counts once.

use std::collections::HashMap;
use std::fmt::Debug;

use foldhash::fast::FixedState;
use serde_json::Value as Json;
use tantivy::columnar::{Cardinality, Column, DynamicColumn, StrColumn};

use crate::query::ast::Test;
use crate::query::bits::Bits;
use crate::query::matches;
use crate::query::number::Num;
use crate::query::record::event_id;
use crate::query::segment::{Segment, Stop};
use crate::record::time::{format_rfc3339, parse_rfc3339};
use crate::store::STAMP_PREFIX;

/// What values are made into; `None` leaves a value out.
pub trait Target {
    type Out: Copy + PartialOrd;
    /// Whether converting a number costs no more than looking up the last result.
    const DIRECT: bool;
    fn text(&mut self, text: &str) -> Option<Self::Out>;
    fn number(&mut self, n: Num) -> Option<Self::Out>;
    fn boolean(&mut self, b: bool) -> Option<Self::Out>;
    /// An instant, in Unix nanoseconds.
    fn time(&mut self, nanos: i64) -> Option<Self::Out>;
}

/// One field's values in one segment.
pub struct Values<T> {
    parts: Vec<Part<T>>,
    /// No document has more than one value.
    single: bool,
}

enum Part<T> {
    /// By a dictionary's ordinals.
    Words(Column<u64>, Vec<Option<T>>),
    /// By the number of the stream, or of the grammar.
    Lists(Column<u64>, Vec<Vec<T>>),
    Numbers(Numbers, HashMap<u64, Option<T>, FixedState>),
    Bools(Column<bool>, [Option<T>; 2]),
    Times(Column<i64>),
    /// Document by document, in order.
    Listed(Vec<(u32, T)>),
}

enum Numbers {
    U64(Column<u64>),
    I64(Column<i64>),
    F64(Column<f64>),
}

impl<T: Copy + PartialOrd> Values<T> {
    /// The values of `field` and of what it is an alias for, as far as the documents in `docs` have any.
    pub fn open(
        segment: &Segment<'_>,
        field: &str,
        docs: &Bits,
        target: &mut impl Target<Out = T>,
    ) -> Result<Self, Stop> {
        let mut values = Self { parts: Vec::new(), single: true };
        for name in segment.language.aliases.names(field) {
            values.add(segment, name, docs, target)?;
        }
        values.single = match values.parts.as_slice() {
            [] => true,
            [one] => one.is_single(),
            _ => false,
        };
        Ok(values)
    }

    fn add(
        &mut self,
        segment: &Segment<'_>,
        name: &str,
        docs: &Bits,
        target: &mut impl Target<Out = T>,
    ) -> Result<(), Stop> {
        self.add_stream_fields(segment, name, target);
        match name {
            "@timestamp" => {
                self.parts.push(Part::Times(segment.timestamps.clone()));
                return Ok(());
            }
            "event.id" => {
                let listed = docs.iter().filter_map(|doc| {
                    let stream = segment.shard.streams().get(segment.streams.first(doc)? as usize)?;
                    Some((doc, target.text(&event_id(stream.key, segment.id(doc)?))?))
                });
                self.parts.push(Part::Listed(listed.collect()));
                return Ok(());
            }
            "grammar" => {
                let names = segment.shard.grammars().iter().map(|entry| target.text(&entry.name).into_iter().collect());
                self.parts.push(Part::Lists(segment.grammars.clone(), names.collect()));
                return Ok(());
            }
            "log.offset" => self.parts.push(Part::Numbers(Numbers::U64(segment.offsets.clone()), HashMap::default())),
            "template" => {
                let listed = docs.iter().filter_map(|doc| Some((doc, target.number(Num::U(segment.template(doc)?))?)));
                self.parts.push(Part::Listed(listed.collect()));
            }
            _ => {}
        }
        self.add_columns(segment, name, docs, target)?;
        self.add_identifiers(segment, name, docs, target)?;
        let hidden = segment.may_be_in_line(name)?.and(docs);
        if !hidden.is_none() {
            self.add_rebuilt(segment, name, &hidden, target)?;
        }
        Ok(())
    }

    fn add_stream_fields(&mut self, segment: &Segment<'_>, name: &str, target: &mut impl Target<Out = T>) {
        let mut any = false;
        let lists = segment.shard.streams().iter().map(|stream| {
            let mut list = Vec::new();
            matches::visit(&stream.fields, name, &mut |value| {
                each_scalar(value, target, &mut |out| push_new(&mut list, out));
                false
            });
            any |= !list.is_empty();
            list
        });
        let lists: Vec<Vec<T>> = lists.collect();
        if any {
            self.parts.push(Part::Lists(segment.streams.clone(), lists));
        }
    }

    fn add_columns(
        &mut self,
        segment: &Segment<'_>,
        name: &str,
        docs: &Bits,
        target: &mut impl Target<Out = T>,
    ) -> Result<(), Stop> {
        let columns = segment.reader.fast_fields();
        for field in ["kw", "num"] {
            for handle in columns.dynamic_column_handles(&format!("{field}.{name}"))? {
                match handle.open()? {
                    DynamicColumn::Str(column) => {
                        let words = words(segment, &column, docs, target)?;
                        self.parts.push(Part::Words(column.ords().clone(), words));
                    }
                    DynamicColumn::Bool(c) => {
                        self.parts.push(Part::Bools(c, [target.boolean(false), target.boolean(true)]));
                    }
                    DynamicColumn::U64(c) => self.numbers(Numbers::U64(c)),
                    DynamicColumn::I64(c) => self.numbers(Numbers::I64(c)),
                    DynamicColumn::F64(c) => self.numbers(Numbers::F64(c)),
                    _ => {}
                }
            }
        }
        for handle in columns.dynamic_column_handles(&format!("num.{STAMP_PREFIX}{name}"))? {
            match handle.open()? {
                DynamicColumn::I64(c) => self.add_stamps(docs, |doc| c.first(doc), target),
                DynamicColumn::U64(c) => self.add_stamps(docs, |doc| c.first(doc).map(|n| n as i64), target),
                _ => {}
            }
        }
        Ok(())
    }

    fn numbers(&mut self, numbers: Numbers) {
        self.parts.push(Part::Numbers(numbers, HashMap::default()));
    }

    /// A stamp is an instant, or a time of day, which is a text.
    fn add_stamps(&mut self, docs: &Bits, stamp: impl Fn(u32) -> Option<i64>, target: &mut impl Target<Out = T>) {
        let mut listed = Vec::new();
        for doc in docs.iter() {
            let Some(n) = stamp(doc) else { continue };
            let out = match crate::query::segment::time_of_day(n) {
                Some(text) => target.text(&text),
                None => target.time(n),
            };
            listed.extend(out.map(|out| (doc, out)));
        }
        self.parts.push(Part::Listed(listed));
    }

    /// An identifier has terms and no column: its terms are walked once, each with its few documents.
    fn add_identifiers(
        &mut self,
        segment: &Segment<'_>,
        name: &str,
        docs: &Bits,
        target: &mut impl Target<Out = T>,
    ) -> Result<(), Stop> {
        let mut listed = Vec::new();
        segment.each_identifier(name, |text, postings| {
            let mut out = None;
            for doc in postings {
                if docs.contains(doc) {
                    out = out.or_else(|| target.text(text));
                    listed.extend(out.map(|out| (doc, out)));
                }
            }
        })?;
        if !listed.is_empty() {
            listed.sort_unstable_by_key(|(doc, _)| *doc);
            self.parts.push(Part::Listed(listed));
        }
        Ok(())
    }

    /// What stands in the line alone is read from there.
    fn add_rebuilt(
        &mut self,
        segment: &Segment<'_>,
        name: &str,
        docs: &Bits,
        target: &mut impl Target<Out = T>,
    ) -> Result<(), Stop> {
        let explained = name.starts_with("parse");
        let mut listed = Vec::new();
        for (nth, doc) in docs.iter().enumerate() {
            if nth.is_multiple_of(64) {
                segment.check()?;
            }
            let record = segment.rebuilt(doc, explained)?;
            let start = listed.len();
            matches::visit(&record, name, &mut |value| {
                each_scalar(value, target, &mut |out| {
                    if !listed[start..].iter().any(|(_, have)| *have == out) {
                        listed.push((doc, out));
                    }
                });
                false
            });
        }
        self.parts.push(Part::Listed(listed));
        Ok(())
    }

    /// Appends (place in `docs`, value) for every value that the documents have, by place; `docs` is in order and may
    /// hold a document more than once.
    pub fn read(&mut self, docs: &[u32], target: &mut impl Target<Out = T>, out: &mut Vec<(u32, T)>) {
        let start = out.len();
        for part in &mut self.parts {
            part.read(docs, target, out);
        }
        if !self.single {
            let new = &mut out[start..];
            // Values are never NaN, so that their order is whole.
            new.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal)));
            let mut kept = start;
            for at in start..out.len() {
                if at == start || out[at] != out[kept - 1] {
                    out[kept] = out[at];
                    kept += 1;
                }
            }
            out.truncate(kept);
        }
    }
}

impl<T: Copy + PartialOrd> Part<T> {
    fn is_single(&self) -> bool {
        match self {
            Part::Words(column, _) => is_single(column),
            Part::Lists(_, lists) => lists.iter().all(|list| list.len() < 2),
            Part::Numbers(Numbers::U64(column), _) => is_single(column),
            Part::Numbers(Numbers::I64(column), _) => is_single(column),
            Part::Numbers(Numbers::F64(column), _) => is_single(column),
            Part::Bools(column, _) => is_single(column),
            Part::Times(_) => true,
            Part::Listed(listed) => listed.windows(2).all(|two| two[0].0 != two[1].0),
        }
    }

    fn read(&mut self, docs: &[u32], target: &mut impl Target<Out = T>, out: &mut Vec<(u32, T)>) {
        match self {
            Part::Words(column, words) => each(column, docs, |at, ord| {
                out.extend(words.get(ord as usize).copied().flatten().map(|value| (at, value)));
            }),
            Part::Lists(column, lists) => each(column, docs, |at, number| {
                if let Some(list) = lists.get(number as usize) {
                    out.extend(list.iter().map(|value| (at, *value)));
                }
            }),
            Part::Numbers(numbers, known) => {
                let mut put = |at, bits, n| out.extend(remembered(known, target, bits, n).map(|value| (at, value)));
                match numbers {
                    Numbers::U64(column) => each(column, docs, |at, n| put(at, n, Num::U(n))),
                    Numbers::I64(column) => each(column, docs, |at, n| put(at, n as u64, Num::I(n))),
                    Numbers::F64(column) => each(column, docs, |at, n| put(at, n.to_bits(), Num::F(n))),
                }
            }
            Part::Bools(column, values) => each(column, docs, |at, b| {
                out.extend(values[usize::from(b)].map(|value| (at, value)));
            }),
            Part::Times(column) => each(column, docs, |at, nanos| {
                out.extend(target.time(nanos).map(|value| (at, value)));
            }),
            Part::Listed(listed) => {
                let Some(&first) = docs.first() else { return };
                let mut from = listed.partition_point(|(doc, _)| *doc < first);
                for (at, doc) in docs.iter().enumerate() {
                    while listed.get(from).is_some_and(|(listed, _)| listed < doc) {
                        from += 1;
                    }
                    let same = listed[from..].iter().take_while(|(listed, _)| listed == doc);
                    out.extend(same.map(|(_, value)| (at as u32, *value)));
                }
            }
        }
    }
}

fn remembered<G: Target>(
    known: &mut HashMap<u64, Option<G::Out>, FixedState>,
    target: &mut G,
    bits: u64,
    n: Num,
) -> Option<G::Out> {
    if G::DIRECT {
        return target.number(n);
    }
    *known.entry(bits).or_insert_with(|| target.number(n))
}

fn is_single<V: PartialOrd + Copy + Debug + Send + Sync + 'static>(column: &Column<V>) -> bool {
    column.get_cardinality() != Cardinality::Multivalued
}

/// Documents whose values are fetched at once.
const AT_ONCE: usize = 64;

/// Calls `f` with (place in `docs`, value) for every value of a column.
fn each<V: PartialOrd + Copy + Debug + Send + Sync + 'static>(
    column: &Column<V>,
    docs: &[u32],
    mut f: impl FnMut(u32, V),
) {
    if !is_single(column) {
        for (at, doc) in docs.iter().enumerate() {
            column.values_for_doc(*doc).for_each(|value| f(at as u32, value));
        }
        return;
    }
    let mut values = [None; AT_ONCE];
    for (nth, some) in docs.chunks(AT_ONCE).enumerate() {
        let values = &mut values[..some.len()];
        values.fill(None);
        column.first_vals(some, values);
        for (at, value) in values.iter().enumerate() {
            if let Some(value) = value {
                f((nth * AT_ONCE + at) as u32, *value);
            }
        }
    }
}

/// What the words of a dictionary become: those that `docs` have, in one walk.
fn words<G: Target>(
    segment: &Segment<'_>,
    column: &StrColumn,
    docs: &Bits,
    target: &mut G,
) -> Result<Vec<Option<G::Out>>, Stop> {
    segment.check()?;
    let terms = column.num_terms();
    let mut used = Bits::none(terms as u32);
    let mut block = Vec::with_capacity(1024);
    docs.each_block(&mut block, |block| each(column.ords(), block, |_, ord| used.set(ord as u32)));
    let ords: Vec<u64> = used.iter().map(u64::from).collect();
    let mut words = vec![None; terms];
    let mut nth = ords.iter();
    column.dictionary().sorted_ords_to_term_cb(&ords, |bytes| {
        if let Some(&ord) = nth.next() {
            words[ord as usize] = std::str::from_utf8(bytes).ok().and_then(|text| target.text(text));
        }
    })?;
    Ok(words)
}

/// Calls `put` with what each string, number or bool in a value becomes, an array's elements one by one.
pub fn each_scalar<G: Target>(value: &Json, target: &mut G, put: &mut impl FnMut(G::Out)) {
    let out = match value {
        Json::Bool(b) => target.boolean(*b),
        Json::Number(n) => Num::of(n).and_then(|n| target.number(n)),
        Json::String(text) => target.text(text),
        Json::Array(items) => {
            items.iter().for_each(|item| each_scalar(item, target, put));
            None
        }
        Json::Null | Json::Object(_) => None,
    };
    out.into_iter().for_each(put);
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// A field's values as numbers: a text that spells one or a length of time (in ms) is it, a bool is 0 or 1, an instant its Unix milliseconds.
pub struct AsNumber;

impl Target for AsNumber {
    type Out = f64;
    const DIRECT: bool = true;

    fn text(&mut self, text: &str) -> Option<f64> {
        match Num::parse_measure(text) {
            Some(n) => self.number(n),
            None => parse_rfc3339(text).and_then(|at| self.time(at)),
        }
    }

    fn number(&mut self, n: Num) -> Option<f64> {
        let n = match n {
            Num::U(n) => n as f64,
            Num::I(n) => n as f64,
            Num::F(n) => n,
        };
        n.is_finite().then_some(n)
    }

    fn boolean(&mut self, b: bool) -> Option<f64> {
        Some(f64::from(u8::from(b)))
    }

    fn time(&mut self, nanos: i64) -> Option<f64> {
        Some(nanos as f64 / 1e6)
    }
}

/// A hash of each value, equal where the values are.
pub struct AsHash;

impl AsHash {
    fn of(class: u8, bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(bytes, class.into())
    }
}

impl Target for AsHash {
    type Out = u64;
    const DIRECT: bool = true;

    fn text(&mut self, text: &str) -> Option<u64> {
        Some(Self::of(0, text.as_bytes()))
    }

    fn number(&mut self, n: Num) -> Option<u64> {
        let bits = match super::key::Key::number(n) {
            super::key::Key::Int(n) => n as u64,
            super::key::Key::Unsigned(n) => return Some(Self::of(2, &n.to_le_bytes())),
            super::key::Key::Float(bits) => return Some(Self::of(3, &bits.to_le_bytes())),
            _ => return None,
        };
        Some(Self::of(1, &bits.to_le_bytes()))
    }

    fn boolean(&mut self, b: bool) -> Option<u64> {
        Some(Self::of(4, &[u8::from(b)]))
    }

    fn time(&mut self, nanos: i64) -> Option<u64> {
        Some(Self::of(0, format_rfc3339(nanos).as_bytes()))
    }
}

impl Segment<'_> {
    /// Documents whose value of that name may stand in their line alone.
    pub fn may_be_in_line(&self, name: &str) -> Result<Bits, Stop> {
        match name {
            "log.offset" => Ok(Bits::none(self.docs())),
            "message" => Ok(Bits::all(self.docs())),
            "parse.error" => Ok(Bits::all(self.docs()).minus(&self.parsed())),
            _ => self.only_in_text(name, &Test::Exists),
        }
    }
}
