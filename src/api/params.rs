//! A request's parameters: the query string of a GET, and a JSON object or a form in the body of a POST or PUT, read the
//! same way, each refusal naming the parameter and what it accepts.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value as Json};

use super::error::Problem;
use super::time::{BOUND_FORMS, DURATION_FORMS, Edge, TimeError, parse_bound, parse_duration};
use super::{Sort, TimeRange};
use crate::config::distance;

/// Names and values as given, in order.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

/// Parameters whose value is an object: they are read from its text.
const OBJECTS: [&str; 2] = ["aggs", "job"];
/// Parameters that may be given more than once.
const REPEATABLE: [&str; 3] = ["fields", "matchers", "findings"];

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut pairs = decode_form(request.uri().query().unwrap_or_default());
        if matches!(*request.method(), Method::POST | Method::PUT) {
            let headers = request.headers().clone();
            let body = Bytes::from_request(request, state).await.map_err(|rejection| {
                let status = rejection.status();
                let detail = match status {
                    StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than a query's may be".to_owned(),
                    _ => format!("the body did not arrive whole: {rejection}"),
                };
                Problem::bad_body(status, detail)
            })?;
            pairs.extend(decode_body(&headers, &body)?);
        }
        Ok(Self(pairs))
    }
}

impl Params {
    /// Of a query string alone.
    pub fn of_query(query: &str) -> Self {
        Self(decode_form(query))
    }

    /// Refuses every name that is not in `known`, and names given twice.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let nearest = known.iter().map(|k| (distance(k, name), *k)).min().filter(|(far, _)| *far <= 2);
                let advice = nearest.map(|(_, k)| format!("; did you mean {k:?}?")).unwrap_or_default();
                let detail = format!("there is no parameter {name:?} here{advice}");
                return Err(Problem::bad_parameter(name, detail).accepting(known.iter().copied()));
            }
            if !REPEATABLE.contains(&name.as_str()) && self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_parameter(name, format!("parameter {name:?} is given twice")));
            }
        }
        Ok(())
    }

    /// The value, when given and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether it is given, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    pub fn required(&self, name: &str, what: &str) -> Result<String, Problem> {
        let missing = || Problem::bad_parameter(name, format!("parameter {name:?} is missing: {what}"));
        self.get(name).map(str::to_owned).ok_or_else(missing)
    }

    /// Values given repeatedly; a comma is part of one.
    pub fn each(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.trim());
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// Values separated by commas, or given repeatedly.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(n, _)| n == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    pub fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.trim().parse().ok().filter(|n| *n <= max).ok_or_else(|| {
            let detail = format!("{name} is {text:?}: it is a whole number from 0 to {max}");
            Problem::bad_parameter(name, detail).accepting([format!("0 to {max}")])
        })
    }

    pub fn sort(&self) -> Result<Sort, Problem> {
        match self.get("sort") {
            None | Some("newest") => Ok(Sort::Newest),
            Some("oldest") => Ok(Sort::Oldest),
            Some(other) => {
                let detail = format!("sort is {other:?}: it is newest or oldest");
                Err(Problem::bad_parameter("sort", detail).accepting(["newest", "oldest"]))
            }
        }
    }

    /// `from` and `to`. `now` in Unix nanoseconds.
    pub fn range(&self, now: i64) -> Result<TimeRange, Problem> {
        self.range_named(["from", "to"], now)
    }

    /// The same by other names.
    pub fn range_named(&self, [from, to]: [&str; 2], now: i64) -> Result<TimeRange, Problem> {
        let bound = |name: &str, edge| match self.get(name) {
            None => Ok(None),
            Some(text) => parse_bound(text, edge, now).map(Some).map_err(|err| time_problem(name, &err, BOUND_FORMS)),
        };
        let range = TimeRange { from: bound(from, Edge::From)?, to: bound(to, Edge::To)? };
        match (range.from, range.to) {
            (Some(start), Some(end)) if start > end => {
                let accepted = format!("a time not before {from}");
                Err(Problem::bad_parameter(to, format!("{to} lies before {from}")).accepting([accepted]))
            }
            _ => Ok(range),
        }
    }

    /// A length of time in nanoseconds; `None` when absent or `auto`.
    pub fn interval(&self, name: &str) -> Result<Option<i64>, Problem> {
        match self.get(name) {
            None | Some("auto") => Ok(None),
            Some(text) => parse_duration(text).map(Some).map_err(|err| {
                time_problem(name, &err, DURATION_FORMS).accepting(["auto"].iter().chain(DURATION_FORMS).copied())
            }),
        }
    }
}

fn time_problem(name: &str, err: &TimeError, accepted: &[&str]) -> Problem {
    Problem::bad_parameter(name, err.to_string()).accepting(accepted.iter().copied())
}

fn decode_body(headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // curl -d sends a JSON object as a form unless told otherwise; no form starts with a brace.
    let looks_like_json = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    if kind == "application/json" || (kind == "application/x-www-form-urlencoded" && looks_like_json) {
        return decode_json(body);
    }
    if kind == "application/x-www-form-urlencoded" {
        return Ok(decode_form(&String::from_utf8_lossy(body)));
    }
    let detail = format!("the body is {kind:?}: send application/json or application/x-www-form-urlencoded");
    Err(Problem::bad_body(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

fn decode_json(body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let object: Map<String, Json> = serde_json::from_slice(body).map_err(|err| {
        Problem::bad_body(StatusCode::BAD_REQUEST, format!("the body is not a JSON object of parameters: {err}"))
    })?;
    let mut pairs = Vec::with_capacity(object.len());
    for (name, value) in object {
        let values = match value {
            Json::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            match value {
                Json::Null => {}
                Json::String(text) => pairs.push((name.clone(), text)),
                Json::Number(_) | Json::Bool(_) => pairs.push((name.clone(), value.to_string())),
                Json::Object(_) if OBJECTS.contains(&name.as_str()) => pairs.push((name.clone(), value.to_string())),
                Json::Object(_) | Json::Array(_) => {
                    let detail = format!("parameter {name:?} is an object or a nested list: give text or a number");
                    return Err(Problem::bad_parameter(&name, detail));
                }
            }
        }
    }
    Ok(pairs)
}

/// Reads `a=b&c=d` with `+` for a blank and `%XX` for a byte. A stray `%` stands for itself; bytes that are not UTF-8
/// are replaced: a query is text typed by people, and showing what was understood helps more than refusing it.
fn decode_form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (unescape(n), unescape(v))).collect()
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let step = match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                3
            }
            (b'+', ..) => {
                out.push(b' ');
                1
            }
            (other, ..) => {
                out.push(other);
                1
            }
        };
        at += step;
    }
    String::from_utf8(out).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read() {
        for (text, pairs) in [
            ("", vec![]),
            ("q=a+b&limit=5", vec![("q", "a b"), ("limit", "5")]),
            ("q=response_code:>=500", vec![("q", "response_code:>=500")]),
            ("q=a%26b%3dc%C3%A9", vec![("q", "a&b=cé")]),
            ("q=100%25%&x", vec![("q", "100%%"), ("x", "")]),
            ("q=%zz%4", vec![("q", "%zz%4")]),
            ("&&q=1&", vec![("q", "1")]),
            ("q=%ff", vec![("q", "\u{fffd}")]),
        ] {
            let pairs: Vec<_> = pairs.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert_eq!(decode_form(text), pairs, "{text:?}");
        }
    }
}
