//! All records of a segment at once: which values a field has, and how many records have each, from dictionaries and whole
//! columns, without a look at any record.

use tantivy::columnar::{Cardinality, Column, DynamicColumn, StrColumn};

use super::values::{Target, each_scalar};
use crate::query::ast::Test;
use crate::query::matches;
use crate::query::segment::{Segment, Stop};
use crate::record::PATH_SEPARATOR;
use crate::store::STAMP_PREFIX;

/// Values read at once.
const AT_ONCE: usize = 1024;

/// Fields that stand in no column of their own, or are made of several.
const WITH_RECORDS: [&str; 7] =
    ["@timestamp", "event.id", "grammar", "template", "log.offset", "message", "parse.error"];

/// Values, and how many records have each.
pub type Counts<T> = Vec<(T, u64)>;

/// Gives every value of `field` with the number of records that have it. `None` where records have to be looked at: where
/// the field stands in more than one place, so that a record may have a value twice, or where it is not a text.
pub fn whole<G: Target>(segment: &Segment<'_>, field: &str, target: &mut G) -> Result<Option<Counts<G::Out>>, Stop> {
    let mut found = None;
    for name in segment.language.aliases.names(field) {
        match counted(segment, name, target)? {
            Place::Nowhere => {}
            Place::One(counts) if found.is_none() => found = Some(counts),
            _ => return Ok(None),
        }
    }
    Ok(Some(found.unwrap_or_default()))
}

/// How many records have `field`, as `_exists_` has it: an object with something in it is there too. `None` where records have to
/// be looked at.
pub fn having(segment: &Segment<'_>, field: &str) -> Result<Option<u64>, Stop> {
    let names: Vec<&str> = segment.language.aliases.names(field).collect();
    let [name] = names[..] else { return Ok(None) };
    let columns = segment.reader.fast_fields();
    let handles = columns.dynamic_column_handles(&format!("kw.{name}"))?;
    let elsewhere = WITH_RECORDS.contains(&name)
        || !columns.dynamic_column_handles(&format!("num.{name}"))?.is_empty()
        || !columns.dynamic_column_handles(&format!("num.{STAMP_PREFIX}{name}"))?.is_empty()
        || segment.has_identifiers(name)?
        || segment.shard.paths().iter().any(|path| is_below(path, name))
        || segment.shard.streams().iter().any(|stream| matches::field_matches(name, &Test::Exists, &stream.fields))
        || !segment.may_be_in_line(name)?.is_none();
    match &handles[..] {
        _ if elsewhere => Ok(None),
        [] => Ok(Some(0)),
        [handle] => match handle.open()? {
            DynamicColumn::Str(column) if column.ords().get_cardinality() != Cardinality::Multivalued => {
                Ok(Some(u64::from(column.ords().values.num_vals())))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Whether a path of the shard, segments joined by `\u{1}`, is that of something within `name`.
fn is_below(path: &str, name: &str) -> bool {
    path.len() > name.len()
        && path.replace(PATH_SEPARATOR, ".").strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

enum Place<T> {
    Nowhere,
    One(Counts<T>),
    Several,
}

fn counted<G: Target>(segment: &Segment<'_>, name: &str, target: &mut G) -> Result<Place<G::Out>, Stop> {
    if WITH_RECORDS.contains(&name) || !segment.may_be_in_line(name)?.is_none() {
        return Ok(Place::Several);
    }
    let columns = segment.reader.fast_fields();
    if !columns.dynamic_column_handles(&format!("num.{STAMP_PREFIX}{name}"))?.is_empty() {
        return Ok(Place::Several);
    }
    let mut places = Vec::new();
    for field in ["kw", "num"] {
        for handle in columns.dynamic_column_handles(&format!("{field}.{name}"))? {
            match handle.open()? {
                DynamicColumn::Str(column) if column.ords().get_cardinality() != Cardinality::Multivalued => {
                    places.push(words(segment, &column, target)?);
                }
                _ => return Ok(Place::Several),
            }
        }
    }
    let mut identifiers = Vec::new();
    segment.each_identifier_count(name, |text, records| {
        identifiers.extend(target.text(text).map(|value| (value, records)));
    })?;
    let of_streams = match streams(segment, name, target) {
        Place::Nowhere => None,
        Place::One(counts) => Some(counts),
        Place::Several => return Ok(Place::Several),
    };
    places.extend(Some(identifiers).filter(|counts| !counts.is_empty()).into_iter().chain(of_streams));
    Ok(match (places.pop(), places.is_empty()) {
        (None, _) => Place::Nowhere,
        (Some(one), true) => Place::One(one),
        _ => Place::Several,
    })
}

fn words<G: Target>(segment: &Segment<'_>, column: &StrColumn, target: &mut G) -> Result<Vec<(G::Out, u64)>, Stop> {
    let counts = by_number(column.ords(), column.num_terms());
    segment.check()?;
    let used: Vec<u64> = (0u64..).zip(&counts).filter(|(_, records)| **records > 0).map(|(ord, _)| ord).collect();
    let (mut found, mut nth) = (Vec::with_capacity(used.len()), used.iter());
    column.dictionary().sorted_ords_to_term_cb(&used, |bytes| {
        let value = std::str::from_utf8(bytes).ok().and_then(|text| target.text(text));
        if let (Some(&ord), Some(value)) = (nth.next(), value) {
            found.push((value, counts[ord as usize]));
        }
    })?;
    Ok(found)
}

/// What a stream has, all of its records have.
fn streams<G: Target>(segment: &Segment<'_>, name: &str, target: &mut G) -> Place<G::Out> {
    let mut values: Vec<(usize, G::Out)> = Vec::new();
    for (number, stream) in segment.shard.streams().iter().enumerate() {
        matches::visit(&stream.fields, name, &mut |value| {
            each_scalar(value, target, &mut |out| values.push((number, out)));
            false
        });
    }
    if values.is_empty() {
        return Place::Nowhere;
    }
    if values.windows(2).any(|two| two[0].0 == two[1].0) {
        return Place::Several;
    }
    let counts = by_number(&segment.streams, segment.shard.streams().len());
    Place::One(values.into_iter().map(|(number, value)| (value, counts[number])).filter(|(_, n)| *n > 0).collect())
}

/// How often each number below `numbers` stands in a column.
fn by_number(column: &Column<u64>, numbers: usize) -> Vec<u64> {
    let mut counts = vec![0u64; numbers];
    let values = &column.values;
    let mut some = [0u64; AT_ONCE];
    for start in (0..values.num_vals()).step_by(AT_ONCE) {
        let some = &mut some[..AT_ONCE.min((values.num_vals() - start) as usize)];
        values.get_range(u64::from(start), some);
        for number in some {
            if let Some(count) = counts.get_mut(*number as usize) {
                *count += 1;
            }
        }
    }
    counts
}
