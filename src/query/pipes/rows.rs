//! Rows, and the stages that work on them one by one or all together.

use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use super::Measure;
use crate::parse::grok::{Captures, Outcome, Pattern};
use crate::query::aggregate::{Direction, Key, Stats};
use crate::query::matches::{self, Aliases};
use crate::record::time::format_rfc3339;

/// A record, or a row of a table: column by column, under its name as it is, dots and all.
pub type Row = Map<String, Json>;

/// The values of a field, an array's elements one by one; nulls and objects are none.
pub fn values_of<'r>(row: &'r Row, field: &str, aliases: &Aliases) -> Vec<&'r Json> {
    let mut values = Vec::new();
    // A column of a table has its name for itself: no walk, no alias.
    if let Some(value) = row.get(field) {
        scalars(value, &mut values);
        if !values.is_empty() {
            return values;
        }
    }
    for name in aliases.names(field) {
        collect(row, name, &mut values);
    }
    values
}

/// What [`matches::visit`] visits, kept.
fn collect<'r>(object: &'r Row, path: &str, values: &mut Vec<&'r Json>) {
    if let Some(value) = object.get(path) {
        scalars(value, values);
    }
    for (dot, _) in path.match_indices('.') {
        if let Some(inner) = object.get(&path[..dot]) {
            collect_in(inner, &path[dot + 1..], values);
        }
    }
}

fn collect_in<'r>(value: &'r Json, path: &str, values: &mut Vec<&'r Json>) {
    match value {
        Json::Object(inner) => collect(inner, path, values),
        Json::Array(items) => items.iter().for_each(|item| collect_in(item, path, values)),
        _ => {}
    }
}

fn scalars<'r>(value: &'r Json, values: &mut Vec<&'r Json>) {
    match value {
        Json::Null | Json::Object(_) => {}
        Json::Array(items) => items.iter().for_each(|item| scalars(item, values)),
        value => values.push(value),
    }
}

/// A row with some of the fields: one value as it is, several as an array, none as null.
pub fn only(row: &Row, fields: &[String], aliases: &Aliases) -> Row {
    let value = |field: &String| {
        let mut values = values_of(row, field, aliases);
        values.dedup();
        match values.as_slice() {
            [] => row.get(field).cloned().unwrap_or_default(),
            [one] => (*one).clone(),
            several => several.iter().map(|value| (*value).clone()).collect(),
        }
    };
    fields.iter().map(|field| (field.clone(), value(field))).collect()
}

/// Orders rows by the first value of each field; rows without one come last, whichever the direction.
pub fn compare(a: &Row, b: &Row, by: &[(String, Direction)], aliases: &Aliases) -> Ordering {
    let first = |row: &Row, field: &str| values_of(row, field, aliases).first().and_then(|value| Key::of(value));
    for (field, direction) in by {
        let order = match (first(a, field), first(b, field)) {
            (Some(a), Some(b)) if *direction == Direction::Ascending => a.cmp(&b),
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Puts what a pattern finds in a row's texts into the row.
pub fn extract(row: &mut Row, pattern: &Pattern, from: &str, captures: &mut Captures, aliases: &Aliases) {
    let found: Vec<(String, Json)> = values_of(row, from, aliases)
        .into_iter()
        .filter_map(Json::as_str)
        .find(|text| pattern.matches(text, captures) == Outcome::Match)
        .map(|text| {
            let values = pattern.values(text, captures);
            values.filter_map(|(group, text)| Some((group.field.path().join("."), group.kind.value(text?)))).collect()
        })
        .unwrap_or_default();
    row.extend(found);
}

/// One of a field's numbers as a table shows it: of times a time, of whole numbers a whole number.
pub fn stat_json(measure: &Measure, stats: &Stats) -> Json {
    let value = match measure {
        Measure::Sum(_) => (stats.count > 0).then(|| stats.sum()),
        Measure::Min(_) => stats.min(),
        Measure::Max(_) => stats.max(),
        _ => stats.avg(),
    };
    let Some(value) = value else { return Json::Null };
    let is_time = measure.field() == Some("@timestamp") && !matches!(measure, Measure::Sum(_));
    if is_time { Json::from(format_rfc3339((value * 1e6) as i64)) } else { number(value) }
}

pub fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 9e15 { Json::from(value as i64) } else { Json::from(value) }
}

/// Whether a row is what a query asks for.
pub fn fits(row: &Row, expr: &crate::query::Expr, aliases: &Aliases) -> bool {
    matches::matches(expr, row, aliases)
}
