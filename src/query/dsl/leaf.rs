//! Clauses on the values of one field: term, terms, match, prefix, wildcard, regexp.

use serde_json::Value as Json;

use super::{BadQuery, Body, Dsl, any, at_least, bad};
use crate::query::ast::{Expr, RegexTest, Test};
use crate::query::glob::{Glob, Step};
use crate::query::grammar;
use crate::query::words::words_of;

/// A field's name. Elasticsearch's name for a text's untokenised twin is the field here.
pub fn field(name: &str) -> String {
    name.strip_suffix(".keyword").unwrap_or(name).to_owned()
}

pub fn list(json: &Json) -> Vec<&Json> {
    match json {
        Json::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// The text of a value.
pub fn scalar(kind: &str, value: &Json) -> Result<String, BadQuery> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(value.to_string()),
        _ => Err(bad(format!("[{kind}] query: a value is a text, a number or a bool"))),
    }
}

/// A record by its `_id`: the one its sender gave, else ours.
pub fn id(id: &str) -> Expr {
    let by = |field: &str| Expr::leaf(Some(field.to_owned()), Test::value(id));
    Expr::Or(vec![by("event.id"), by("_id")])
}

/// Names of fields, boosts left off; none where every field is meant.
pub fn fields(kind: &str, json: Option<&Json>) -> Result<Vec<String>, BadQuery> {
    let mut out = Vec::new();
    for name in json.map(list).unwrap_or_default() {
        let name = name.as_str().ok_or_else(|| bad(format!("[{kind}] query: fields are texts")))?;
        let name = name.split('^').next().unwrap_or_default();
        if matches!(name, "*" | "_all") {
            return Ok(Vec::new());
        }
        if name.contains('*') {
            return Err(bad(format!("[{kind}] query: the field [{name}] has a wildcard: name the fields, or give *")));
        }
        out.push(field(name));
    }
    Ok(out)
}

/// `minimum_should_match`: a number, one below zero, or per cent of `count`.
pub fn minimum(json: &Json, count: usize) -> Result<usize, BadQuery> {
    let text = match json {
        Json::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let (number, is_share) = text.strip_suffix('%').map_or((text.as_str(), false), |number| (number, true));
    let number: i64 = number
        .parse()
        .map_err(|_| bad(format!("minimum_should_match [{text}] is not supported: a number, or per cent (75%)")))?;
    let count = count as i64;
    let least = if is_share { count * number / 100 } else { number };
    Ok(usize::try_from(if least < 0 { count + least } else { least }).unwrap_or(0))
}

/// A value in any case of letters.
fn regardless_of_case(pattern: &str) -> Result<Test, BadQuery> {
    compiled(&format!("(?i:{pattern})"))
}

fn compiled(source: &str) -> Result<Test, BadQuery> {
    let regex: RegexTest = grammar::compile(source, 0).map_err(|error| bad(format!("[regexp] query: {error}")))?;
    Ok(Test::Regex(regex))
}

/// `*`, `?` and escapes, as Elasticsearch writes wildcards.
pub fn glob(text: &str) -> Glob {
    let mut steps = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '*' => Step::Many,
            '?' => Step::One,
            '\\' => Step::Char(chars.next().unwrap_or('\\')),
            c => Step::Char(c),
        });
    }
    Glob(steps)
}

fn prefixed(text: &str) -> Glob {
    let mut steps: Vec<Step> = text.chars().map(Step::Char).collect();
    steps.push(Step::Many);
    Glob(steps)
}

/// Lucene's regular expressions, which are anchored and have operators that others have not.
fn lucene(source: &str) -> Result<String, BadQuery> {
    let (mut chars, mut out, mut in_class) = (source.chars(), String::new(), false);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next =
                    chars.next().ok_or_else(|| bad("[regexp] query: nothing stands after the last backslash"))?;
                // Any character may be escaped there; here only those that have a meaning.
                if !next.is_alphanumeric() {
                    out.push_str(&regex::escape(&next.to_string()));
                } else if "dDsSwW".contains(next) {
                    out.extend(['\\', next]);
                } else {
                    out.push(next);
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '~' | '&' | '@' | '#' | '<' | '"' if !in_class => {
                return Err(bad(format!(
                    "[regexp] query: Lucene's operator [{c}] is not supported; write \\{c} for the character"
                )));
            }
            // No meaning inside brackets there, and one here.
            '&' | '~' => out.extend(['\\', c]),
            '^' | '$' if !in_class => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    Ok(out)
}

impl Dsl<'_> {
    pub(super) fn leaf(&self, kind: &str, body: &Json) -> Result<Expr, BadQuery> {
        if kind == "multi_match" {
            return multi_match(body);
        }
        let Json::Object(members) = body else { return Err(bad(format!("[{kind}] query malformed: it is an object"))) };
        let mut named = members.iter().filter(|(name, _)| !matches!(name.as_str(), "boost" | "_name"));
        let (Some((name, value)), None) = (named.next(), named.next()) else {
            return Err(bad(format!("[{kind}] query takes one field: {{\"{kind}\": {{\"level\": \"E\"}}}}")));
        };
        let field = field(name);
        match name.as_str() {
            "_index" => return self.index_leaf(kind, value),
            "_id" if matches!(kind, "term" | "terms" | "match") => {
                let values = list(value_of(kind, value)?);
                return values
                    .into_iter()
                    .map(|value| scalar(kind, value).map(|value| id(&value)))
                    .collect::<Result<_, _>>()
                    .map(any);
            }
            _ => {}
        }
        let leaf = |test: Test| Ok(Expr::leaf(Some(field.clone()), test));
        match kind {
            "terms" => {
                let Json::Array(values) = value else {
                    return Err(bad(
                        "[terms] query takes a list of values; looking them up elsewhere is not supported",
                    ));
                };
                let test = |value| scalar(kind, value).map(|text| Expr::leaf(Some(field.clone()), Test::value(text)));
                values.iter().map(test).collect::<Result<_, _>>().map(any)
            }
            "term" => {
                let (text, body) = read(kind, value, &["value"], &["boost", "_name", "case_insensitive"])?;
                match body.is_some_and(|body| body.flag("case_insensitive").unwrap_or(false)) {
                    true => leaf(regardless_of_case(&regex::escape(&text))?),
                    false => leaf(Test::value(text)),
                }
            }
            "prefix" => {
                let (text, body) = read(kind, value, &["value"], &["boost", "_name", "case_insensitive", "rewrite"])?;
                match body.is_some_and(|body| body.flag("case_insensitive").unwrap_or(false)) {
                    true => leaf(regardless_of_case(&format!("{}.*", regex::escape(&text)))?),
                    false => leaf(Test::wildcard(prefixed(&text))),
                }
            }
            "wildcard" => {
                let known = ["boost", "_name", "case_insensitive", "rewrite"];
                let (text, body) = read(kind, value, &["value", "wildcard"], &known)?;
                let glob = glob(&text);
                if body.is_some_and(|body| body.flag("case_insensitive").unwrap_or(false)) {
                    return leaf(regardless_of_case(&pattern_of(&glob))?);
                }
                leaf(if glob.is_anything() { Test::Exists } else { Test::wildcard(glob) })
            }
            "regexp" => {
                let known = ["boost", "_name", "case_insensitive", "rewrite", "flags", "max_determinized_states"];
                let (text, body) = read(kind, value, &["value"], &known)?;
                let pattern = lucene(&text)?;
                match body.is_some_and(|body| body.flag("case_insensitive").unwrap_or(false)) {
                    true => leaf(regardless_of_case(&pattern)?),
                    false => leaf(compiled(&pattern)?),
                }
            }
            "match_phrase" => {
                let known = ["boost", "_name", "analyzer", "slop", "zero_terms_query"];
                let (text, body) = read(kind, value, &["query"], &known)?;
                if body.and_then(|body| body.get("slop")).is_some_and(|slop| slop.as_u64() != Some(0)) {
                    return Err(bad("[match_phrase] query does not support [slop]: the words stand side by side"));
                }
                leaf(Test::value(text))
            }
            "match_phrase_prefix" => {
                let known = ["boost", "_name", "analyzer", "max_expansions"];
                let (text, _) = read(kind, value, &["query"], &known)?;
                leaf(Test::wildcard(prefixed(&text)))
            }
            _ => {
                let known =
                    ["boost", "_name", "operator", "minimum_should_match", "lenient", "zero_terms_query", "analyzer"];
                let (text, body) = read("match", value, &["query"], &known)?;
                words(&[field], &text, body.as_ref())
            }
        }
    }

    /// The records of indices.
    fn index_leaf(&self, kind: &str, value: &Json) -> Result<Expr, BadQuery> {
        let names: Vec<String> =
            list(value_of(kind, value)?).into_iter().map(|value| scalar(kind, value)).collect::<Result<_, _>>()?;
        match kind {
            "term" | "terms" | "match" | "wildcard" => Ok(any(names.iter().map(|name| (self.index)(name)).collect())),
            "prefix" => Ok(any(names.iter().map(|name| (self.index)(&format!("{name}*"))).collect())),
            other => {
                Err(bad(format!("[{other}] query does not support the field [_index]: term, terms, prefix, wildcard")))
            }
        }
    }
}

/// The value of `{"field": value}` or `{"field": {"value": value}}`.
fn value_of<'j>(kind: &str, value: &'j Json) -> Result<&'j Json, BadQuery> {
    match value {
        Json::Object(members) => {
            let found = ["value", "query", "wildcard"].iter().find_map(|name| members.get(*name));
            found.ok_or_else(|| bad(format!("[{kind}] query requires a value")))
        }
        value => Ok(value),
    }
}

/// The text under one of `names`, or alone; and the members beside it, which are all known.
fn read<'j>(
    kind: &'j str,
    value: &'j Json,
    names: &[&str],
    known: &[&str],
) -> Result<(String, Option<Body<'j>>), BadQuery> {
    if !value.is_object() {
        return Ok((scalar(kind, value)?, None));
    }
    let known: Vec<&str> = names.iter().chain(known).copied().collect();
    let body = Body::of(kind, value, &known)?;
    // Checked here, so that asking for it later cannot fail.
    body.flag("case_insensitive")?;
    let found = names.iter().find_map(|name| body.get(name));
    let found = found.ok_or_else(|| bad(format!("[{kind}] query requires [{}]", names[0])))?;
    Ok((scalar(kind, found)?, Some(body)))
}

fn pattern_of(glob: &Glob) -> String {
    let step = |step: &Step| match step {
        Step::Many => ".*".to_owned(),
        Step::One => ".".to_owned(),
        Step::Char(c) => regex::escape(&c.to_string()),
    };
    format!("(?s:{})", glob.0.iter().map(step).collect::<String>())
}

/// Words of a text, any or all of them; a value that is the text as a whole fits as well. No field is the line.
pub fn words(fields: &[String], text: &str, body: Option<&Body<'_>>) -> Result<Expr, BadQuery> {
    let on = |test: Test| match fields {
        [] => Expr::leaf(None, test),
        fields => any(fields.iter().map(|field| Expr::leaf(Some(field.clone()), test.clone())).collect()),
    };
    let words = words_of(text);
    let whole = on(Test::value(text));
    if words.len() < 2 {
        return Ok(whole);
    }
    let parts: Vec<Expr> = words.iter().map(|word| on(Test::value(word.as_str()))).collect();
    let all = match body.and_then(|body| body.get("operator")).map(Json::as_str) {
        None => false,
        Some(Some(operator)) if operator.eq_ignore_ascii_case("or") => false,
        Some(Some(operator)) if operator.eq_ignore_ascii_case("and") => true,
        Some(_) => return Err(bad("[match] query: operator is or, and")),
    };
    let least = match body.and_then(|body| body.get("minimum_should_match")) {
        Some(json) => minimum(json, parts.len())?.max(1),
        None => 1,
    };
    let some = if all { Expr::and(parts) } else { at_least(least, parts)? };
    Ok(Expr::or(vec![whole, some]))
}

fn multi_match(body: &Json) -> Result<Expr, BadQuery> {
    let known = [
        "query",
        "fields",
        "type",
        "operator",
        "minimum_should_match",
        "lenient",
        "tie_breaker",
        "boost",
        "_name",
        "analyzer",
        "zero_terms_query",
    ];
    let body = Body::of("multi_match", body, &known)?;
    let text = scalar("multi_match", body.required("query")?)?;
    let fields = fields("multi_match", body.get("fields"))?;
    let on = |test: Test| match fields.as_slice() {
        [] => Expr::leaf(None, test),
        fields => any(fields.iter().map(|field| Expr::leaf(Some(field.clone()), test.clone())).collect()),
    };
    match body.get("type").map(Json::as_str) {
        Some(Some("phrase")) => Ok(on(Test::value(text))),
        Some(Some("phrase_prefix")) => Ok(on(Test::wildcard(prefixed(&text)))),
        // In one field all words, or spread over them: they differ only where all are asked for.
        Some(Some("cross_fields")) => words(&fields, &text, Some(&body)),
        None | Some(Some("best_fields" | "most_fields")) => match fields.as_slice() {
            [] => words(&[], &text, Some(&body)),
            fields => {
                let each = fields.iter().map(|field| words(std::slice::from_ref(field), &text, Some(&body)));
                each.collect::<Result<_, _>>().map(any)
            }
        },
        Some(other) => {
            let other = other.unwrap_or_default();
            Err(bad(format!("[multi_match] query does not support the type [{other}]")))
        }
    }
}
