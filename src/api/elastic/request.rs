//! What a search asks for: its body and its parameters, every member known or refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::ElasticError;
use super::indices::records_of;
use super::source::{Asked, Source, names};
use crate::api::{FindRequest, IndexInfo, Sort, TimeRange};
use crate::query::aggregate::{Aggregation, Reader, parse_aggregations};
use crate::query::dsl::{BadQuery, Dsl, take_between};
use crate::query::{Expr, Place, parse_any_at, parse_at};
use crate::record::time::parse_loose;

/// Hits of one answer, those before `from` included.
pub const HITS_MAX: usize = 10_000;
const HITS_DEFAULT: usize = 10;

/// A search, understood.
#[derive(Debug)]
pub struct Search {
    pub find: FindRequest,
    /// Hits left out in front.
    pub from: usize,
    pub source: Source,
    pub fields: Vec<Asked>,
    pub counts: bool,
    /// The keys of the order: what a hit's `sort` says. None where the client asked for no order.
    pub keys: Vec<SortKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// The time: milliseconds, or text.
    Time { text: bool },
    /// A record's place among those of one time.
    Place,
}

/// Members of a body that change nothing here: how to go about it, or what only ranks.
const WITHOUT_EFFECT: [&str; 6] = ["timeout", "terminate_after", "track_scores", "preference", "stats", "highlight"];
/// Members that ask for what is not there, unless they are empty or false.
const ONLY_EMPTY: [&str; 7] =
    ["script_fields", "runtime_mappings", "explain", "profile", "version", "seq_no_primary_term", "indices_boost"];

impl From<BadQuery> for ElasticError {
    fn from(error: BadQuery) -> Self {
        Self::new(axum::http::StatusCode::BAD_REQUEST, error.kind, error.reason)
    }
}

impl Search {
    /// `names` are the indices; `now` in Unix nanoseconds.
    pub fn read(
        names: &str,
        lenient: bool,
        body: &Map<String, Value>,
        params: &BTreeMap<String, String>,
        known: &[IndexInfo],
        now: i64,
        deadline: std::time::Instant,
    ) -> Result<Self, ElasticError> {
        let index = |name: &str| records_of(name, known, true).unwrap_or_else(|_| crate::query::dsl::nothing());
        let dsl = Dsl { now, index: &index };
        let mut parts = vec![records_of(names, known, lenient)?];
        let (mut limit, mut from, mut after) = (HITS_DEFAULT, 0, None);
        let (mut source, mut fields, mut counts) = (Source::default(), Vec::new(), true);
        let (mut keys, mut sort) = (Vec::new(), Sort::Newest);
        let mut aggregations = Vec::new();
        for (name, value) in body {
            match name.as_str() {
                "query" if value.is_null() => {}
                "query" => parts.push(dsl.read(value)?),
                "size" => limit = whole("size", value)?,
                "from" => from = whole("from", value)?,
                "sort" => (keys, sort) = order(value)?,
                "search_after" => after = Some(value),
                "_source" => source = Source::read(value)?,
                "fields" | "docvalue_fields" => fields.extend(Asked::read(name, value)?),
                "stored_fields" => {}
                "track_total_hits" => counts = *value != json!(false),
                "aggs" | "aggregations" => aggregations = aggregations_of(value, &dsl)?,
                name if WITHOUT_EFFECT.contains(&name) => {}
                name if ONLY_EMPTY.contains(&name) && is_empty(value) => {}
                name => {
                    return Err(ElasticError::parsing(format!(
                        "[{name}] of a search is not supported; there are query, size, from, sort, search_after, _source, \
                         fields, docvalue_fields, track_total_hits, aggs"
                    )));
                }
            }
        }
        for (name, value) in params {
            match name.as_str() {
                "q" => parts.push(query_of(value, params, now)?),
                "size" => limit = number("size", value)?,
                "from" => from = number("from", value)?,
                "sort" => {
                    let list = value.split(',').map(|key| match key.split_once(':') {
                        Some((field, direction)) => json!({field: direction}),
                        None => json!(key),
                    });
                    (keys, sort) = order(&Value::Array(list.collect()))?;
                }
                "_source" => {
                    source = match value.as_str() {
                        "true" => Source::default(),
                        "false" => Source::hidden(),
                        list => Source::read(&json!(list))?,
                    };
                }
                "_source_includes" | "_source_excludes" => {
                    let list = |name: &str| params.get(name).and_then(|text| names_of(text)).unwrap_or_default();
                    source = Source::of(list("_source_includes"), list("_source_excludes"));
                }
                "track_total_hits" => counts = value != "false",
                "scroll" => {
                    return Err(ElasticError::illegal(
                        "[scroll] is not supported: page with sort on @timestamp and search_after, which needs no state here",
                    ));
                }
                "typed_keys" if value != "false" => {
                    return Err(ElasticError::illegal(
                        "[typed_keys] is not supported: aggregations have the names given",
                    ));
                }
                _ => {}
            }
        }
        if from + limit > HITS_MAX {
            return Err(ElasticError::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{HITS_MAX}] but was [{}]: page with \
                 search_after",
                from + limit
            )));
        }
        let parts = parts.into_iter().filter(|part| !matches!(part, Expr::All)).collect();
        let (expr, between) = take_between(Expr::and(parts));
        let after = match after {
            None => None,
            Some(_) if from > 0 => {
                return Err(ElasticError::illegal("`from` parameter must be set to 0 when `search_after` is used"));
            }
            Some(_) if keys.is_empty() => {
                return Err(ElasticError::illegal("Sort must contain at least one field when using `search_after`"));
            }
            Some(values) => Some(place_of(values, &keys, sort)?),
        };
        let find = FindRequest {
            expr,
            range: TimeRange { from: between.from, to: between.to },
            limit: from + limit,
            sort,
            after,
            aggregations,
            deadline,
        };
        Ok(Self { find, from, source, fields, counts, keys })
    }

    /// What a hit's `sort` says: a client gives the last one's as `search_after`. A record's place comes last, asked for or
    /// not, so that no page leaves out records of one millisecond.
    pub fn sort_of(&self, place: Place) -> Value {
        let mut values: Vec<Value> = self.keys.iter().map(|key| key.of(place)).collect();
        if !self.keys.contains(&SortKey::Place) {
            values.push(SortKey::Place.of(place));
        }
        Value::Array(values)
    }
}

impl SortKey {
    fn of(self, place: Place) -> Value {
        match self {
            SortKey::Time { text: false } => json!(place.timestamp.div_euclid(1_000_000)),
            SortKey::Time { text: true } => json!(crate::record::time::format_rfc3339(place.timestamp)),
            SortKey::Place => json!(place.to_cursor()),
        }
    }
}

fn names_of(text: &str) -> Option<Vec<String>> {
    names(&json!(text))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn whole(name: &str, value: &Value) -> Result<usize, ElasticError> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    // Far beyond what is allowed, so that sums of two stay numbers.
    let number = number.filter(|number| *number <= u64::from(u32::MAX)).map(|number| number as usize);
    number.ok_or_else(|| ElasticError::illegal(format!("[{name}] is a whole number from 0 to {HITS_MAX}")))
}

fn number(name: &str, text: &str) -> Result<usize, ElasticError> {
    whole(name, &json!(text))
}

/// The query of a search's address: Lucene's words.
pub fn query_of(text: &str, params: &BTreeMap<String, String>, now: i64) -> Result<Expr, ElasticError> {
    let read = match params.get("default_operator").map(|operator| operator.to_ascii_lowercase()).as_deref() {
        Some("and") => parse_at(text, now),
        None | Some("or") => parse_any_at(text, now),
        Some(_) => return Err(ElasticError::illegal("default_operator is OR or AND")),
    };
    read.map_err(|error| {
        ElasticError::new(axum::http::StatusCode::BAD_REQUEST, "query_shard_exception", error.render(text))
    })
}

fn aggregations_of(json: &Value, dsl: &Dsl<'_>) -> Result<Vec<Aggregation>, ElasticError> {
    let query = |json: &Value| dsl.read(json).map_err(|error| error.reason);
    let read = parse_aggregations(json, &Reader { query: &query, now: dsl.now });
    read.map_err(|error| ElasticError::parsing(error.to_string()))
}

/// The keys of an order. Records are in the order of time; what else is asked for only tells those of one time apart.
fn order(json: &Value) -> Result<(Vec<SortKey>, Sort), ElasticError> {
    let list = match json {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let (mut keys, mut sort) = (Vec::new(), Sort::Newest);
    for key in &list {
        let (field, how) = match key {
            Value::String(field) => (field.as_str(), None),
            Value::Object(one) if one.len() == 1 => match one.iter().next() {
                Some((field, how)) => (field.as_str(), Some(how)),
                None => continue,
            },
            _ => return Err(ElasticError::parsing("[sort] lists fields: [{\"@timestamp\": {\"order\": \"desc\"}}]")),
        };
        let direction = match how {
            None => None,
            Some(Value::String(direction)) => Some(direction.as_str()),
            Some(Value::Object(members)) => {
                let known = ["order", "unmapped_type", "format", "missing", "mode", "numeric_type"];
                if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
                    return Err(ElasticError::parsing(format!("[sort] by [{field}] does not support [{name}]")));
                }
                members.get("order").and_then(Value::as_str)
            }
            Some(_) => return Err(ElasticError::parsing(format!("[sort] by [{field}] is asc or desc"))),
        };
        match field {
            "@timestamp" if keys.is_empty() => {
                sort = match direction.unwrap_or("asc") {
                    "asc" => Sort::Oldest,
                    "desc" => Sort::Newest,
                    other => return Err(ElasticError::parsing(format!("[sort] order [{other}] is asc or desc"))),
                };
                let format = how.and_then(|how| how.get("format")).and_then(Value::as_str);
                keys.push(SortKey::Time { text: format.is_some_and(|format| !format.starts_with("epoch")) });
            }
            "_doc" | "_shard_doc" | "event.id" | "_id" => {
                if !keys.contains(&SortKey::Place) {
                    keys.push(SortKey::Place);
                }
            }
            // All have the same.
            "_score" => {}
            other => {
                return Err(ElasticError::illegal(format!(
                    "[sort] by [{other}] is not supported: records are in the order of @timestamp; for the most of a field \
                     use an aggregation (terms, top_metrics, max)"
                )));
            }
        }
    }
    Ok((keys, sort))
}

/// Where a page goes on: the `sort` of the last hit before.
fn place_of(values: &Value, keys: &[SortKey], sort: Sort) -> Result<Place, ElasticError> {
    let Value::Array(values) = values else { return Err(ElasticError::parsing("[search_after] is a list")) };
    // A place says all that the others say.
    if let Some(place) = values.iter().find_map(|value| Place::from_cursor(value.as_str()?)) {
        return Ok(place);
    }
    let unreadable = || {
        ElasticError::illegal(
            "[search_after] is the `sort` of the last hit before, as it is: a time and a record's place",
        )
    };
    if keys.first() == Some(&SortKey::Place) {
        return Err(unreadable());
    }
    let at = values.first().and_then(|value| parse_loose(&value.to_string())).ok_or_else(unreadable)?;
    // Without a place, all records of that millisecond were on the page before.
    Ok(match sort {
        Sort::Newest => Place { timestamp: at, stream: 0, offset: 0, id: 0 },
        Sort::Oldest => {
            Place { timestamp: at.saturating_add(999_999), stream: u64::MAX, offset: u64::MAX, id: u64::MAX }
        }
    })
}
