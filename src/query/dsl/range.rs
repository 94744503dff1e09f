//! `range`, and the part of a query that bounds the time.

use serde_json::Value as Json;

use super::{BadQuery, Body, Dsl, bad, leaf};
use crate::query::ast::{Bound, Expr, Leaf, Range, Test};
use crate::query::engine::Between;
use crate::query::when;
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

const TIME: &str = "@timestamp";

/// Times in UTC are the only ones that a bound without a zone can mean.
pub fn utc_only(kind: &str, zone: &Json) -> Result<(), BadQuery> {
    match zone.as_str() {
        Some("UTC" | "Z" | "+00:00" | "-00:00" | "GMT" | "Etc/UTC") => Ok(()),
        _ => Err(bad(format!("[{kind}] query: time_zone is UTC only: write the zone into the times"))),
    }
}

impl Dsl<'_> {
    pub(super) fn range(&self, body: &Json) -> Result<Expr, BadQuery> {
        let Json::Object(members) = body else { return Err(bad("[range] query malformed: it is an object")) };
        let mut named = members.iter().filter(|(name, _)| !matches!(name.as_str(), "boost" | "_name"));
        let (Some((name, value)), None) = (named.next(), named.next()) else {
            return Err(bad("[range] query takes one field: {\"range\": {\"duration\": {\"gte\": 100}}}"));
        };
        let known = [
            "gt",
            "gte",
            "lt",
            "lte",
            "from",
            "to",
            "include_lower",
            "include_upper",
            "format",
            "time_zone",
            "relation",
            "boost",
            "_name",
        ];
        let body = Body::of("range", value, &known)?;
        if let Some(zone) = body.get("time_zone") {
            utc_only("range", zone)?;
        }
        let format = body.get("format").map(|format| format.as_str().unwrap_or_default());
        let field = leaf::field(name);
        let included = |name: &str| body.get(name).and_then(Json::as_bool).unwrap_or(true);
        let bound = |names: [(&str, bool); 3], is_low: bool| -> Result<Option<Bound>, BadQuery> {
            for (name, inclusive) in names {
                if let Some(value) = body.get(name) {
                    let text = self.bound(&field, value, format, is_low, inclusive)?;
                    return Ok(Some(Bound { text, inclusive }));
                }
            }
            Ok(None)
        };
        let low = bound([("gte", true), ("gt", false), ("from", included("include_lower"))], true)?;
        let high = bound([("lte", true), ("lt", false), ("to", included("include_upper"))], false)?;
        let test = if low.is_none() && high.is_none() { Test::Exists } else { Test::Range(Range { low, high }) };
        Ok(Expr::leaf(Some(field), test))
    }

    /// A bound as the language writes it: times as RFC 3339.
    fn bound(
        &self,
        field: &str,
        value: &Json,
        format: Option<&str>,
        is_low: bool,
        inclusive: bool,
    ) -> Result<String, BadQuery> {
        let text = leaf::scalar("range", value)?;
        let is_time =
            field == TIME || format.is_some_and(|format| format.starts_with("epoch") || format.contains("date"));
        if let Some(at) = self.date_math(&text, is_low == inclusive)? {
            return Ok(at);
        }
        if !is_time {
            return Ok(text);
        }
        let Ok(number) = text.parse::<f64>() else {
            return match when::span(&text) {
                Some(_) => Ok(text),
                None => Err(BadQuery {
                    kind: "parse_exception",
                    reason: format!(
                        "failed to parse date field [{text}]: write RFC 3339, a date, now-15m, or milliseconds since 1970"
                    ),
                }),
            };
        };
        let unit = match format {
            Some(format) if format.contains("epoch_second") => NANOS_PER_SECOND,
            _ => 1_000_000,
        };
        let nanos = match text.parse::<i64>() {
            Ok(whole) => whole.checked_mul(unit),
            Err(_) => Some((number * unit as f64) as i64),
        };
        let nanos = nanos.ok_or_else(|| bad(format!("[range] query: [{text}] is beyond the years 1678 to 2261")))?;
        Ok(format_rfc3339(nanos))
    }

    /// `now-15m`, `now/d`, `2026-11-22||+1d/d`; rounding goes to the end of the unit where `down` is false.
    fn date_math(&self, text: &str, down: bool) -> Result<Option<String>, BadQuery> {
        let (from, math) = match text.split_once("||") {
            Some((date, math)) => {
                let span = when::span(date).ok_or_else(|| bad(format!("[range] query: [{date}] is no date")))?;
                (span.start, format!("now{math}"))
            }
            None if text.starts_with("now") => (self.now, text.to_owned()),
            None => return Ok(None),
        };
        let unreadable =
            || bad(format!("[range] query: date math [{text}] is not supported: now-15m, now-1d/d, in s m h d w"));
        let at = when::relative(&math, from).ok_or_else(unreadable)?;
        // Rounded down to a unit that ends later: its last millisecond is meant.
        let unit = math.rsplit_once('/').map(|(_, unit)| unit);
        let at = match unit {
            Some(unit) if !down => {
                let next = when::relative(&format!("now+1{unit}"), at).ok_or_else(unreadable)?;
                next - 1_000_000
            }
            _ => at,
        };
        Ok(Some(format_rfc3339(at)))
    }
}

/// Takes the bounds of time that every match has to keep out of a query, so that days without them are not looked at.
pub fn take_between(expr: Expr) -> (Expr, Between) {
    let mut between = Between::default();
    let rest = take(expr, &mut between);
    (rest, between)
}

fn take(expr: Expr, between: &mut Between) -> Expr {
    match expr {
        Expr::And(parts) => {
            let parts = parts.into_iter().map(|part| take(part, between));
            Expr::and(parts.filter(|part| !matches!(part, Expr::All)).collect())
        }
        Expr::Leaf(Leaf { field: Some(field), test: Test::Range(range) }) if field == TIME => {
            let span = |bound: &Option<Bound>| match bound {
                None => Some(None),
                Some(bound) => when::span(&bound.text).map(|span| Some((span, bound.inclusive))),
            };
            let (Some(low), Some(high)) = (span(&range.low), span(&range.high)) else {
                return Expr::leaf(Some(field), Test::Range(range));
            };
            if let Some((span, inclusive)) = low {
                let from = if inclusive { span.start } else { span.end };
                between.from = Some(between.from.map_or(from, |have| have.max(from)));
            }
            if let Some((span, inclusive)) = high {
                let to = if inclusive { span.end } else { span.start };
                between.to = Some(between.to.map_or(to, |have| have.min(to)));
            }
            Expr::All
        }
        other => other,
    }
}
