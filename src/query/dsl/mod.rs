//! Elasticsearch's query DSL as a query of our own: `{"bool": {"filter": [{"term": {"level": "E"}}]}}`.
//!
//! Each clause becomes the test of the language that means the same, and a clause or a member that has no such meaning is
//! an error that names it. What only ranks (`boost`, `should` beside `must`) is taken and changes nothing, because answers
//! are in the order of time.

mod leaf;
mod range;
mod simple;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json};

use super::ast::{Expr, Leaf, Test};
pub use range::take_between;

/// A clause that cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadQuery {
    /// In Elasticsearch's words: `parsing_exception`, `query_shard_exception`.
    pub kind: &'static str,
    pub reason: String,
}

fn bad(reason: impl Into<String>) -> BadQuery {
    BadQuery { kind: "parsing_exception", reason: reason.into() }
}

/// Reads queries.
pub struct Dsl<'d> {
    /// Unix nanoseconds.
    pub now: i64,
    /// The records of an index's name or pattern.
    pub index: &'d dyn Fn(&str) -> Expr,
}

/// Clauses within each other.
const DEPTH_MAX: usize = 48;
/// Tests in one query: each costs a look into every segment.
const LEAVES_MAX: usize = 1_024;

const KINDS: [&str; 23] = [
    "bool",
    "constant_score",
    "dis_max",
    "exists",
    "ids",
    "match",
    "match_all",
    "match_none",
    "match_phrase",
    "match_phrase_prefix",
    "multi_match",
    "prefix",
    "query_string",
    "range",
    "regexp",
    "simple_query_string",
    "term",
    "terms",
    "wildcard",
    "filter",
    "must",
    "must_not",
    "should",
];

impl Dsl<'_> {
    /// The query of `{"KIND": {…}}`.
    pub fn read(&self, query: &Json) -> Result<Expr, BadQuery> {
        let expr = self.clause(query, DEPTH_MAX)?;
        match leaves(&expr) {
            0..=LEAVES_MAX => Ok(expr),
            count => Err(BadQuery {
                kind: "too_many_clauses",
                reason: format!("the query has {count} tests, more than the {LEAVES_MAX} allowed"),
            }),
        }
    }

    fn clause(&self, query: &Json, depth: usize) -> Result<Expr, BadQuery> {
        let Json::Object(members) = query else {
            return Err(bad("a query is an object with one member: {\"match_all\": {}}"));
        };
        let depth = depth.checked_sub(1).ok_or_else(|| bad(format!("queries are nested deeper than {DEPTH_MAX}")))?;
        let mut members = members.iter();
        // As Elasticsearch has it for an empty query.
        let Some((kind, body)) = members.next() else { return Err(bad("query malformed, empty clause found")) };
        if let Some((second, _)) = members.next() {
            return Err(bad(format!(
                "[{kind}] malformed query, expected [END_OBJECT] but found [{second}]: put both under bool.filter"
            )));
        }
        match kind.as_str() {
            "match_all" => Body::of(kind, body, &["boost", "_name"]).map(|_| Expr::All),
            "match_none" => Ok(nothing()),
            "bool" => self.bool(body, depth),
            "constant_score" => {
                let body = Body::of(kind, body, &["filter", "boost", "_name"])?;
                self.clause(body.required("filter")?, depth)
            }
            "dis_max" => {
                let body = Body::of(kind, body, &["queries", "tie_breaker", "boost", "_name"])?;
                Ok(any(self.clauses(body.required("queries")?, depth)?))
            }
            "exists" => {
                let body = Body::of(kind, body, &["field", "boost", "_name"])?;
                Ok(Expr::leaf(Some(leaf::field(body.text("field")?)), Test::Exists))
            }
            "ids" => {
                let body = Body::of(kind, body, &["values", "type", "boost", "_name"])?;
                let values = leaf::list(body.required("values")?);
                values
                    .into_iter()
                    .map(|value| leaf::scalar("ids", value).map(|id| leaf::id(&id)))
                    .collect::<Result<_, _>>()
                    .map(any)
            }
            "range" => self.range(body),
            "query_string" => self.query_string(body),
            "simple_query_string" => simple::read(body),
            "match"
            | "match_phrase"
            | "match_phrase_prefix"
            | "multi_match"
            | "prefix"
            | "regexp"
            | "term"
            | "terms"
            | "wildcard" => self.leaf(kind, body),
            other => Err(self.unknown(other)),
        }
    }

    fn unknown(&self, kind: &str) -> BadQuery {
        let near = KINDS.iter().map(|known| (crate::config::distance(known, kind), *known)).min();
        let near = near.filter(|(far, _)| *far <= 2).map(|(_, known)| format!(" did you mean [{known}]?"));
        let reason = match near {
            Some(near) => format!("unknown query [{kind}]{near}"),
            None => format!("query [{kind}] is not supported; there are {}", KINDS[..19].join(", ")),
        };
        bad(reason)
    }

    /// A clause, or a list of them.
    fn clauses(&self, json: &Json, depth: usize) -> Result<Vec<Expr>, BadQuery> {
        leaf::list(json).into_iter().map(|clause| self.clause(clause, depth)).collect()
    }

    fn bool(&self, body: &Json, depth: usize) -> Result<Expr, BadQuery> {
        let known =
            ["must", "filter", "should", "must_not", "minimum_should_match", "boost", "_name", "adjust_pure_negative"];
        let body = Body::of("bool", body, &known)?;
        let under = |name: &str| match body.get(name) {
            None => Ok(Vec::new()),
            Some(json) => self.clauses(json, depth),
        };
        let mut all = under("must")?;
        all.extend(under("filter")?);
        let should = under("should")?;
        let least = match body.get("minimum_should_match") {
            Some(json) => leaf::minimum(json, should.len())?,
            None => usize::from(all.is_empty() && !should.is_empty()),
        };
        if least > 0 {
            all.push(at_least(least, should)?);
        }
        all.extend(under("must_not")?.into_iter().map(|expr| Expr::Not(Box::new(expr))));
        Ok(Expr::and(all))
    }

    fn query_string(&self, body: &Json) -> Result<Expr, BadQuery> {
        let known = [
            "query",
            "default_field",
            "fields",
            "default_operator",
            "analyze_wildcard",
            "allow_leading_wildcard",
            "lenient",
            "time_zone",
            "boost",
            "_name",
            "type",
            "enable_position_increments",
            "auto_generate_synonyms_phrase_query",
        ];
        let body = Body::of("query_string", body, &known)?;
        if let Some(zone) = body.get("time_zone") {
            range::utc_only("query_string", zone)?;
        }
        let text = body.text("query")?;
        let read = match body.get("default_operator").map(Json::as_str) {
            None => super::parse_any_at(text, self.now),
            Some(Some(operator)) if operator.eq_ignore_ascii_case("or") => super::parse_any_at(text, self.now),
            Some(Some(operator)) if operator.eq_ignore_ascii_case("and") => super::parse_at(text, self.now),
            Some(_) => return Err(bad("[query_string] default_operator is OR or AND")),
        };
        let expr = read.map_err(|error| BadQuery { kind: "query_shard_exception", reason: error.render(text) })?;
        let mut fields = leaf::fields("query_string", body.get("fields"))?;
        if fields.is_empty()
            && let Some(field) = body.get("default_field")
        {
            fields = leaf::fields("query_string", Some(field))?;
        }
        Ok(on_fields(expr, &fields))
    }
}

/// No record.
pub fn nothing() -> Expr {
    Expr::Not(Box::new(Expr::All))
}

/// One of them; none is no record.
fn any(parts: Vec<Expr>) -> Expr {
    if parts.is_empty() { nothing() } else { Expr::or(parts) }
}

/// So many of them: each way to choose them, where these are few.
fn at_least(least: usize, parts: Vec<Expr>) -> Result<Expr, BadQuery> {
    if least == 1 || parts.is_empty() {
        return Ok(any(parts));
    }
    if least >= parts.len() {
        return Ok(if least > parts.len() { nothing() } else { Expr::and(parts) });
    }
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new()];
    for nth in 0..parts.len() {
        let with = chosen.iter().filter(|have| have.len() < least).map(|have| {
            let mut have = have.clone();
            have.push(nth);
            have
        });
        let with: Vec<_> = with.collect();
        chosen.extend(with);
        if chosen.len() > LEAVES_MAX {
            return Err(bad("minimum_should_match has too many ways to be met: write them out, or ask for 1"));
        }
    }
    let ways = chosen.into_iter().filter(|have| have.len() == least);
    Ok(any(ways.map(|have| Expr::and(have.into_iter().map(|nth| parts[nth].clone()).collect())).collect()))
}

/// What is asked of the whole line, asked of fields instead.
fn on_fields(expr: Expr, fields: &[String]) -> Expr {
    if fields.is_empty() {
        return expr;
    }
    match expr {
        Expr::And(parts) => Expr::And(parts.into_iter().map(|part| on_fields(part, fields)).collect()),
        Expr::Or(parts) => Expr::Or(parts.into_iter().map(|part| on_fields(part, fields)).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(on_fields(*inner, fields))),
        Expr::Leaf(Leaf { field: None, test }) => {
            any(fields.iter().map(|field| Expr::leaf(Some(field.clone()), test.clone())).collect())
        }
        other => other,
    }
}

fn leaves(expr: &Expr) -> usize {
    match expr {
        Expr::All => 0,
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(leaves).sum(),
        Expr::Not(inner) => leaves(inner),
        Expr::Leaf(_) => 1,
    }
}

/// A clause's members, each known.
struct Body<'j> {
    kind: &'j str,
    members: &'j Map<String, Json>,
}

impl<'j> Body<'j> {
    fn of(kind: &'j str, json: &'j Json, known: &[&str]) -> Result<Self, BadQuery> {
        let Json::Object(members) = json else { return Err(bad(format!("[{kind}] query malformed: it is an object"))) };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let takes = known.join(", ");
                Err(bad(format!("[{kind}] query does not support [{name}]; it takes {takes}")))
            }
            None => Ok(Self { kind, members }),
        }
    }

    fn get(&self, name: &str) -> Option<&'j Json> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&'j Json, BadQuery> {
        self.get(name).ok_or_else(|| bad(format!("[{}] query requires [{name}]", self.kind)))
    }

    fn text(&self, name: &str) -> Result<&'j str, BadQuery> {
        self.required(name)?.as_str().ok_or_else(|| bad(format!("[{}] query: [{name}] is a text", self.kind)))
    }

    fn flag(&self, name: &str) -> Result<bool, BadQuery> {
        match self.get(name) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(Json::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(bad(format!("[{}] query: [{name}] is true or false", self.kind))),
        }
    }
}
