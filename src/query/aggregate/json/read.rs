//! `{"aggs": {"by_host": {"terms": {"field": "host.name"}, "aggs": {…}}}}` to a request, every member known or refused.

use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value as Json};

use super::super::key::Key;
use super::super::request::{Aggregation, Chosen, Direction, Kind, OrderBy, Range, Ranges, Shown, StepsOf, Terms};
use super::super::steps::{Step, Unit};
use crate::config::distance;
use crate::query::ast::Expr;
use crate::query::when;
use crate::record::time::{NANOS_PER_DAY, NANOS_PER_SECOND, format_rfc3339};

/// The query of a filter as `/api/v1/aggregate` takes it: `"level:E"`, `{"query_string": {"query": "level:E"}}`, or
/// `{"match_all": {}}`. `now` in Unix nanoseconds.
pub fn query_of(json: &Json, now: i64) -> Result<Expr, String> {
    let text = match json {
        Json::String(text) => text.as_str(),
        json => match json.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next()) {
            Some((kind, Json::Object(_))) if kind == "match_all" => "",
            Some((kind, Json::Object(body))) if kind == "query_string" => match body.get("query") {
                Some(Json::String(text)) => text,
                _ => return Err("query_string has no query: {\"query_string\": {\"query\": \"level:E\"}}".to_owned()),
            },
            _ => return Err("is a query: {\"query_string\": {\"query\": \"level:E\"}}".to_owned()),
        },
    };
    crate::query::parse_at(text, now).map_err(|err| err.render(text))
}

/// What reading needs to know: what a query inside means, and the time.
pub struct Reader<'r> {
    /// Reads the query of a filter, an object such as `{"query_string": {"query": "level:E"}}`; the error is for people.
    pub query: &'r dyn Fn(&Json) -> Result<Expr, String>,
    /// Unix nanoseconds.
    pub now: i64,
}

/// An aggregation that cannot be worked out as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct BadAggregation {
    /// Where: names and members, separated by dots.
    pub path: String,
    pub message: String,
}

/// Aggregations within each other.
const DEPTH_MAX: usize = 12;
/// Aggregations in one request.
const AGGREGATIONS_MAX: usize = 200;
/// Groups that one level may ask for.
const SIZE_MAX: u64 = 65_536;
/// Records in each group.
const HITS_MAX: u64 = 1_000;
/// Ranges, filters, percents of one aggregation.
const PARTS_MAX: usize = 1_000;

const KINDS: [&str; 19] = [
    "terms",
    "date_histogram",
    "histogram",
    "range",
    "date_range",
    "filter",
    "filters",
    "missing",
    "avg",
    "sum",
    "min",
    "max",
    "stats",
    "extended_stats",
    "value_count",
    "percentiles",
    "cardinality",
    "top_hits",
    "top_metrics",
];

type Bad = BadAggregation;

/// Reads what stands under `aggs`: an object of named aggregations.
pub fn parse_aggregations(aggs: &Json, reader: &Reader<'_>) -> Result<Vec<Aggregation>, Bad> {
    let mut left = AGGREGATIONS_MAX;
    level(aggs, "aggs", DEPTH_MAX, &mut left, reader)
}

fn bad(path: &str, message: impl Into<String>) -> Bad {
    Bad { path: path.to_owned(), message: message.into() }
}

fn level(
    aggs: &Json,
    path: &str,
    depth: usize,
    left: &mut usize,
    reader: &Reader<'_>,
) -> Result<Vec<Aggregation>, Bad> {
    let Json::Object(named) = aggs else {
        return Err(bad(path, "is an object of named aggregations: {\"NAME\": {\"terms\": {…}}}"));
    };
    if depth == 0 {
        return Err(bad(path, format!("aggregations are nested deeper than {DEPTH_MAX}")));
    }
    let mut out = Vec::with_capacity(named.len());
    for (name, body) in named {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| bad(path, format!("more than {AGGREGATIONS_MAX} aggregations in one request")))?;
        let path = format!("{path}.{name}");
        let Json::Object(body) = body else {
            return Err(bad(&path, "is an object: {\"terms\": {\"field\": …}}"));
        };
        let mut kind = None;
        let mut subs = Vec::new();
        for (member, value) in body {
            match member.as_str() {
                "aggs" | "aggregations" => subs = level(value, &format!("{path}.aggs"), depth - 1, left, reader)?,
                "meta" => {}
                other if kind.is_some() => {
                    return Err(bad(&path, format!("has a second kind, {other:?}: give it a name of its own")));
                }
                other => kind = Some(read_kind(other, value, &format!("{path}.{other}"), reader)?),
            }
        }
        let kind = kind.ok_or_else(|| bad(&path, format!("says no kind: one of {}", KINDS.join(", "))))?;
        let is_group = matches!(
            kind,
            Kind::Terms(_) | Kind::Steps(_) | Kind::Ranges(_) | Kind::Filters(_) | Kind::Filter(_) | Kind::Missing(_)
        );
        if !is_group && !subs.is_empty() {
            return Err(bad(&path, "measures have no aggregations below them: put these beside it"));
        }
        check_order(&kind, &subs, &path)?;
        out.push(Aggregation { name: name.clone(), kind, subs });
    }
    Ok(out)
}

fn check_order(kind: &Kind, subs: &[Aggregation], path: &str) -> Result<(), Bad> {
    let Kind::Terms(terms) = kind else { return Ok(()) };
    for (by, _) in &terms.order {
        if let OrderBy::Measure { name, .. } = by
            && !subs.iter().any(|sub| sub.name == *name)
        {
            let near = nearest(name, subs.iter().map(|sub| sub.name.as_str()));
            return Err(bad(path, format!("is ordered by {name:?}, which is no aggregation below it{near}")));
        }
    }
    Ok(())
}

fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    let nearest = known.map(|k| (distance(k, name), k)).min().filter(|(far, _)| *far <= 2);
    nearest.map(|(_, k)| format!("; did you mean {k:?}?")).unwrap_or_default()
}

/// The members of one aggregation's body, each taken once.
struct Body<'j> {
    members: &'j Map<String, Json>,
    path: &'j str,
}

impl<'j> Body<'j> {
    fn of(value: &'j Json, path: &'j str, known: &[&str]) -> Result<Self, Bad> {
        let Json::Object(members) = value else { return Err(bad(path, "is an object")) };
        for name in members.keys() {
            if !known.contains(&name.as_str()) {
                let near = nearest(name, known.iter().copied());
                return Err(bad(path, format!("{name:?} is not supported here{near}; it takes {}", known.join(", "))));
            }
        }
        Ok(Self { members, path })
    }

    fn bad(&self, name: &str, message: impl Into<String>) -> Bad {
        bad(&format!("{}.{name}", self.path), message)
    }

    fn get(&self, name: &str) -> Option<&'j Json> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn field(&self) -> Result<String, Bad> {
        match self.get("field") {
            // Elasticsearch's name for a text's untokenised twin, which every field here has under its own name.
            Some(Json::String(field)) if !field.is_empty() => {
                Ok(field.strip_suffix(".keyword").unwrap_or(field).to_owned())
            }
            _ => Err(self.bad("field", "is missing: the name of a field (see /api/v1/fields)")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&'j str>, Bad> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(name, "is a text")),
        }
    }

    /// A number, or a text that is one.
    fn number(&self, name: &str) -> Result<Option<f64>, Bad> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite());
        number.map(Some).ok_or_else(|| self.bad(name, "is a number"))
    }

    fn whole(&self, name: &str, default: u64, max: u64) -> Result<u64, Bad> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n| *n <= max);
        number.ok_or_else(|| self.bad(name, format!("is a whole number from 0 to {max}")))
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Bad> {
        match self.get(name) {
            None => Ok(default),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(name, "is true or false")),
        }
    }

    /// An array, or one value alone.
    fn list(&self, name: &str) -> Result<Vec<&'j Json>, Bad> {
        let list = match self.get(name) {
            None => Vec::new(),
            Some(Json::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
        };
        if list.len() > PARTS_MAX {
            return Err(self.bad(name, format!("has more than {PARTS_MAX} entries")));
        }
        Ok(list)
    }
}

fn read_kind(kind: &str, value: &Json, path: &str, reader: &Reader<'_>) -> Result<Kind, Bad> {
    let stats = |shown| {
        let body = Body::of(value, path, &["field", "format", "sigma"])?;
        Ok(Kind::Stats(body.field()?, shown))
    };
    match kind {
        "avg" => stats(Shown::Avg),
        "sum" => stats(Shown::Sum),
        "min" => stats(Shown::Min),
        "max" => stats(Shown::Max),
        "stats" => stats(Shown::Stats),
        "extended_stats" => stats(Shown::Extended),
        "terms" => terms(value, path),
        "date_histogram" => date_histogram(value, path, reader),
        "histogram" => histogram(value, path),
        "range" | "date_range" => ranges(value, path, kind == "date_range", reader),
        "filter" => (reader.query)(value).map(Kind::Filter).map_err(|why| bad(path, why)),
        "filters" => filters(value, path, reader),
        "missing" => Ok(Kind::Missing(Body::of(value, path, &["field"])?.field()?)),
        "value_count" => Ok(Kind::ValueCount(Body::of(value, path, &["field"])?.field()?)),
        "cardinality" => {
            let body = Body::of(value, path, &["field", "precision_threshold", "execution_hint", "rehash"])?;
            Ok(Kind::Unique(body.field()?))
        }
        "percentiles" => {
            let body = Body::of(value, path, &["field", "percents", "keyed", "tdigest", "hdr", "format"])?;
            let mut percents = Vec::new();
            for percent in body.list("percents")? {
                let number = percent.as_f64().or_else(|| percent.as_str()?.parse().ok());
                let number = number.filter(|n| (0.0..=100.0).contains(n));
                percents.push(number.ok_or_else(|| body.bad("percents", "are numbers from 0 to 100"))?);
            }
            if percents.is_empty() {
                percents.extend([1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0]);
            }
            Ok(Kind::Percentiles { field: body.field()?, percents, keyed: body.flag("keyed", true)? })
        }
        "top_hits" => {
            let body = Body::of(value, path, &["size", "sort"])?;
            let limit = body.whole("size", 3, HITS_MAX)? as usize;
            Ok(Kind::Hits { limit, newest_first: newest_first(&body)? })
        }
        "top_metrics" => {
            let body = Body::of(value, path, &["metrics", "size", "sort"])?;
            let mut fields = Vec::new();
            for (nth, metric) in body.list("metrics")?.into_iter().enumerate() {
                let path = format!("{path}.metrics[{nth}]");
                fields.push(Body::of(metric, &path, &["field"])?.field()?);
            }
            if fields.is_empty() {
                return Err(body.bad("metrics", "is missing: [{\"field\": …}]"));
            }
            let limit = body.whole("size", 1, HITS_MAX)? as usize;
            Ok(Kind::TopMetrics { fields, limit, newest_first: newest_first(&body)? })
        }
        other => {
            let near = nearest(other, KINDS.into_iter());
            Err(bad(path, format!("there is no aggregation {other:?}{near}; there are {}", KINDS.join(", "))))
        }
    }
}

/// Records are ordered by time alone.
fn newest_first(body: &Body<'_>) -> Result<bool, Bad> {
    let mut newest = true;
    for (nth, sort) in body.list("sort")?.into_iter().enumerate() {
        let (field, direction) = match sort {
            Json::String(field) => (field.as_str(), None),
            Json::Object(one) if one.len() == 1 => match one.iter().next() {
                Some((field, Json::Object(how))) => (field.as_str(), how.get("order").and_then(Json::as_str)),
                Some((field, how)) => (field.as_str(), how.as_str()),
                None => ("", None),
            },
            _ => ("", None),
        };
        match field {
            "@timestamp" if nth == 0 => newest = direction.unwrap_or("asc") != "asc",
            // What Elasticsearch's clients add to make an order whole.
            "_doc" | "_score" => {}
            _ => return Err(body.bad("sort", "is by @timestamp: {\"@timestamp\": {\"order\": \"desc\"}}")),
        }
    }
    Ok(newest)
}

fn terms(value: &Json, path: &str) -> Result<Kind, Bad> {
    let body = Body::of(
        value,
        path,
        &[
            "field",
            "size",
            "order",
            "min_doc_count",
            "missing",
            "include",
            "exclude",
            "shard_size",
            "shard_min_doc_count",
            "show_term_doc_count_error",
            "collect_mode",
            "execution_hint",
            "value_type",
            "format",
        ],
    )?;
    let mut order = Vec::new();
    for entry in body.list("order")? {
        let Json::Object(entry) = entry else {
            return Err(body.bad("order", "is {\"_count\": \"desc\"}, {\"_key\": \"asc\"} or {\"NAME\": \"desc\"}"));
        };
        for (by, direction) in entry {
            let direction = match direction.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("asc") => Direction::Ascending,
                Some("desc") => Direction::Descending,
                _ => return Err(body.bad("order", format!("{by:?} is asc or desc"))),
            };
            order.push((order_by(by), direction));
        }
    }
    if order.is_empty() {
        order.push((OrderBy::Count, Direction::Descending));
    }
    let missing = match body.get("missing") {
        None => None,
        Some(value) => Some(Key::of(value).ok_or_else(|| body.bad("missing", "is a text, a number or a bool"))?),
    };
    Ok(Kind::Terms(Terms {
        field: body.field()?,
        limit: body.whole("size", 10, SIZE_MAX)? as usize,
        order,
        // Values that no matching record has are not known here, so that 0 means 1.
        count_min: body.whole("min_doc_count", 1, u64::MAX)?.max(1),
        missing,
        include: chosen(&body, "include")?,
        exclude: chosen(&body, "exclude")?,
    }))
}

/// `_count`, `_key`, `NAME`, `NAME.max`, `NAME[99]`, `NAME.99.0`.
fn order_by(by: &str) -> OrderBy {
    match by {
        "_count" => OrderBy::Count,
        "_key" | "_term" | "_time" => OrderBy::Key,
        by => {
            let (name, part) = by.split_once(['[', '.']).unwrap_or((by, ""));
            OrderBy::Measure { name: name.to_owned(), part: part.trim_end_matches(']').to_owned() }
        }
    }
}

fn chosen(body: &Body<'_>, name: &str) -> Result<Option<Chosen>, Bad> {
    match body.get(name) {
        None => Ok(None),
        Some(Json::String(pattern)) => {
            let regex = regex::RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(1 << 20).build();
            let regex = regex.map_err(|_| body.bad(name, format!("{pattern:?} is no regular expression")))?;
            Ok(Some(Chosen::Like(Arc::new(regex))))
        }
        Some(Json::Array(values)) if values.len() <= PARTS_MAX => {
            let keys: Option<Vec<Key>> = values.iter().map(Key::of).collect();
            Ok(Some(Chosen::These(keys.ok_or_else(|| body.bad(name, "lists texts, numbers or bools"))?)))
        }
        Some(_) => Err(body.bad(name, format!("is a pattern, or a list of at most {PARTS_MAX} values"))),
    }
}

fn histogram(value: &Json, path: &str) -> Result<Kind, Bad> {
    let known =
        ["field", "interval", "offset", "min_doc_count", "extended_bounds", "hard_bounds", "order", "keyed", "format"];
    let body = Body::of(value, path, &known)?;
    let width = body.number("interval")?.filter(|width| *width > 0.0);
    let width = width.ok_or_else(|| body.bad("interval", "is a number above 0"))?;
    let step = Step::Number { width, offset: body.number("offset")?.unwrap_or(0.0) };
    let bound = |value: &Json| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    steps_of(&body, step, bound)
}

fn date_histogram(value: &Json, path: &str, reader: &Reader<'_>) -> Result<Kind, Bad> {
    let known = [
        "field",
        "fixed_interval",
        "calendar_interval",
        "interval",
        "time_zone",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "order",
        "keyed",
        "format",
    ];
    let body = Body::of(value, path, &known)?;
    let zone = match body.text("time_zone")? {
        None => TimeZone::UTC,
        Some(name) => zone(name)
            .ok_or_else(|| body.bad("time_zone", format!("{name:?} is no time zone: Europe/Berlin, +02:00, or UTC")))?,
    };
    let offset = match body.get("offset") {
        None => 0,
        Some(value) => {
            let read = value.as_str().and_then(signed_duration);
            read.ok_or_else(|| body.bad("offset", "is a length of time: +6h, -1d"))?
        }
    };
    let step = if let Some(text) = body.text("fixed_interval")? {
        fixed(text, &zone, offset)
            .ok_or_else(|| body.bad("fixed_interval", format!("{text:?} is no length of time: 30s, 5m, 1h, 7d")))?
    } else if let Some(text) = body.text("calendar_interval")? {
        let unit = calendar_unit(text).ok_or_else(|| {
            body.bad("calendar_interval", format!("{text:?} is none of minute, hour, day, week, month, quarter, year"))
        })?;
        Step::Calendar { unit, zone, offset }
    } else if let Some(text) = body.text("interval")? {
        let calendar = calendar_unit(text).map(|unit| Step::Calendar { unit, zone: zone.clone(), offset });
        calendar.or_else(|| fixed(text, &zone, offset)).ok_or_else(|| {
            body.bad("interval", format!("{text:?} is neither a length of time (5m) nor a calendar's unit (month)"))
        })?
    } else {
        return Err(body.bad("fixed_interval", "is missing: 30s, 5m, 1h; or a calendar_interval: day, month"));
    };
    steps_of(&body, step, |value| millis(value, reader.now, false))
}

/// In a zone that is not UTC, even fixed steps begin with its day: the calendar's are meant where they are the same.
fn fixed(text: &str, zone: &TimeZone, offset: i64) -> Option<Step> {
    let width = duration(text).filter(|width| *width > 0)?;
    let shift = match zone.to_fixed_offset() {
        Ok(fixed) => i64::from(fixed.seconds()) * NANOS_PER_SECOND,
        Err(_) => match text {
            "1d" | "24h" => return Some(Step::Calendar { unit: Unit::Day, zone: zone.clone(), offset }),
            _ => 0,
        },
    };
    Some(Step::Fixed { width, offset: offset - shift })
}

fn steps_of(body: &Body<'_>, step: Step, bound: impl Fn(&Json) -> Option<f64>) -> Result<Kind, Bad> {
    let bounds = |name: &str| -> Result<Option<(f64, f64)>, Bad> {
        let Some(value) = body.get(name) else { return Ok(None) };
        let low = value.get("min").and_then(&bound);
        let high = value.get("max").and_then(&bound);
        match (low, high) {
            (Some(low), Some(high)) if low <= high => Ok(Some((low, high))),
            _ => Err(body.bad(name, "has a min and a max, the min not above the max")),
        }
    };
    let mut descending = false;
    for entry in body.list("order")? {
        let by = entry.as_object().and_then(|entry| entry.iter().next());
        match by.map(|(by, direction)| (order_by(by), direction.as_str())) {
            Some((OrderBy::Key, Some("asc"))) => descending = false,
            Some((OrderBy::Key, Some("desc"))) => descending = true,
            _ => return Err(body.bad("order", "is {\"_key\": \"asc\"} or {\"_key\": \"desc\"}")),
        }
    }
    Ok(Kind::Steps(StepsOf {
        field: body.field()?,
        step,
        count_min: body.whole("min_doc_count", 0, u64::MAX)?,
        extended: bounds("extended_bounds")?,
        hard: bounds("hard_bounds")?,
        descending,
        keyed: body.flag("keyed", false)?,
    }))
}

fn ranges(value: &Json, path: &str, is_time: bool, reader: &Reader<'_>) -> Result<Kind, Bad> {
    let body = Body::of(value, path, &["field", "ranges", "keyed", "format", "time_zone"])?;
    let mut ranges = Vec::new();
    for (nth, range) in body.list("ranges")?.into_iter().enumerate() {
        let path = format!("{path}.ranges[{nth}]");
        let range = Body::of(range, &path, &["key", "from", "to"])?;
        let bound = |name: &str| match (range.get(name), is_time) {
            (None, _) => Ok(None),
            (Some(value), true) => {
                let at = millis(value, reader.now, name == "to");
                at.map(Some).ok_or_else(|| range.bad(name, "is a time: RFC 3339, now-15m, or Unix milliseconds"))
            }
            (Some(_), false) => range.number(name),
        };
        let (from, to) = (bound("from")?, bound("to")?);
        let shown = |bound: Option<f64>| match bound {
            None => "*".to_owned(),
            Some(at) if is_time => format_rfc3339((at * 1e6) as i64),
            Some(n) => format!("{n:?}"),
        };
        let key = match range.text("key")? {
            Some(key) => key.to_owned(),
            None => format!("{}-{}", shown(from), shown(to)),
        };
        ranges.push(Range { key, from, to });
    }
    if ranges.is_empty() {
        return Err(body.bad("ranges", "is missing: [{\"to\": 100}, {\"from\": 100}]"));
    }
    Ok(Kind::Ranges(Ranges { field: body.field()?, ranges, is_time, keyed: body.flag("keyed", false)? }))
}

fn filters(value: &Json, path: &str, reader: &Reader<'_>) -> Result<Kind, Bad> {
    let body = Body::of(value, path, &["filters"])?;
    let read = |name: Option<&str>, nth: usize, query: &Json| {
        let place = name.map_or_else(|| format!("{path}.filters[{nth}]"), |name| format!("{path}.filters.{name}"));
        let expr = (reader.query)(query).map_err(|why| bad(&place, why))?;
        Ok((name.map(str::to_owned), expr))
    };
    let filters: Vec<_> = match body.get("filters") {
        Some(Json::Object(named)) => named
            .iter()
            .enumerate()
            .map(|(nth, (name, query))| read(Some(name), nth, query))
            .collect::<Result<_, Bad>>()?,
        Some(Json::Array(queries)) => {
            queries.iter().enumerate().map(|(nth, query)| read(None, nth, query)).collect::<Result<_, Bad>>()?
        }
        _ => Vec::new(),
    };
    if filters.is_empty() || filters.len() > PARTS_MAX {
        return Err(body.bad("filters", format!("is an object or a list of 1 to {PARTS_MAX} queries")));
    }
    Ok(Kind::Filters(filters))
}

/// A time as Unix milliseconds; with `end`, the end of what it stands for.
fn millis(value: &Json, now: i64, end: bool) -> Option<f64> {
    if let Some(n) = value.as_f64() {
        return Some(n);
    }
    let text = value.as_str()?;
    if let Ok(n) = text.parse::<f64>() {
        return Some(n);
    }
    let nanos = when::relative(text, now).or_else(|| {
        let span = when::span(text)?;
        Some(if end && text.len() < 19 { span.end } else { span.start })
    })?;
    Some(nanos as f64 / 1e6)
}

fn zone(name: &str) -> Option<TimeZone> {
    if let Some(sign) = name.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let (hours, minutes) = name[1..].split_once(':').unwrap_or((&name[1..], "0"));
        let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
        let seconds = if sign == '-' { -seconds } else { seconds };
        return Offset::from_seconds(seconds).ok().map(Offset::to_time_zone);
    }
    if matches!(name, "UTC" | "Z" | "utc") { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

fn calendar_unit(text: &str) -> Option<Unit> {
    Some(match text {
        "minute" | "1m" => Unit::Minute,
        "hour" | "1h" => Unit::Hour,
        "day" | "1d" => Unit::Day,
        "week" | "1w" => Unit::Week,
        "month" | "1M" => Unit::Month,
        "quarter" | "1q" => Unit::Quarter,
        "year" | "1y" => Unit::Year,
        _ => return None,
    })
}

/// A length of time in nanoseconds: `500ms`, `30s`, `5m`, `1h`, `7d`, `1w`.
pub fn duration(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        "d" => NANOS_PER_DAY,
        "w" => 7 * NANOS_PER_DAY,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit)
}

fn signed_duration(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => duration(rest).map(|nanos| -nanos),
        None => duration(text.strip_prefix('+').unwrap_or(text)),
    }
}
