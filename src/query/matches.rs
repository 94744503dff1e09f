//! What a query means: the one definition. The plan over the index must find exactly what [`matches`] accepts.
//!
//! - A **bare** word or phrase looks into the line (`message`) and into every parsed or sent value: its words stand
//!   there one after the other, whatever their case. The fields that a whole stream has in common ([`UNSEARCHED`]) are
//!   asked for by name only; else every line of a pod would match the words of the pod's name. A bare text without any
//!   word (`"=>"`) is looked for as it stands.
//! - `field:value` on a string: the whole value, case and all. Texts (`message`, `msg`, and values that are long or
//!   have many blanks, [`is_text`]) match by their words as well.
//! - On a number: equal in value, so `200`, `"200"` and `2e2` all find 200. On a bool: `true` or `false`.
//! - Any element of an array may match; a dotted name walks objects, arrays of objects, and keys that hold dots.
//! - Wildcards stand for a whole value; on texts, and bare, for words one after the other. On numbers, for their digits.
//! - Regular expressions stand for a whole value as in Lucene; on texts, and bare, for any part of it. Case counts.
//! - Ranges compare numbers with numbers and times with times (a bound as coarse as a date covers the whole day); other
//!   strings by their bytes. A length of time is a number of milliseconds, on either side: `duration:>1.5s` finds 1501
//!   and `"1.6s"`. A bound that is a number or a time fits no word: `code:>=500` does not find `"OK"`.
//! - `_exists_` wants a string, a number or a bool, be it inside an object or an array of that name.
//! - `template` is the id that stands for a record's template now; any id that was joined with it asks for the same.
//! - An alias (`log.level`) is asked beside the name itself: either may match.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::ast::{Bound, Expr, Leaf, Test};
use super::glob::Glob;
use super::number::{Num, NumberTest, is_above};
use super::when;
use super::words::{has_patterns, has_phrase};
use crate::parse::Parser;
use crate::parse::template::Ids;

/// Names at the top of a record that bare words do not look into.
pub const UNSEARCHED: [&str; 18] = [
    "@metadata",
    "@timestamp",
    "_id",
    "_index",
    "agent",
    "cloud",
    "container",
    "ecs",
    "event",
    "grammar",
    "host",
    "input",
    "kubernetes",
    "log",
    "orchestrator",
    "parse",
    "stream",
    "template",
];

/// Longer strings, and those with more blanks, are texts: as `parse` has it for JSON.
const TEXT_BYTES: usize = 256;
const TEXT_BLANKS: usize = 4;

/// Other names of fields.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    names: HashMap<String, Vec<String>>,
    templates: Arc<Ids>,
}

impl Aliases {
    /// The aliases of all grammars.
    pub fn of(parser: &Parser) -> Self {
        let mut aliases = Self::default();
        for (alias, field) in parser.grammars().iter().flat_map(|g| &g.aliases) {
            let fields = aliases.names.entry((*alias).to_owned()).or_default();
            if !fields.iter().any(|known| known == field) {
                fields.push((*field).to_owned());
            }
        }
        aliases
    }

    /// Template ids that were joined are other names too.
    pub fn with_templates(self, templates: Arc<Ids>) -> Self {
        Self { templates, ..self }
    }

    /// The id that stands for a template's.
    pub fn template(&self, id: u64) -> u64 {
        self.templates.resolve(id)
    }

    /// The test as it is meant for a field: an id of a template is whichever stands for it now.
    pub fn resolve<'t>(&self, name: &str, test: &'t Test) -> Cow<'t, Test> {
        let id = match test {
            Test::Value { text, .. } if name == "template" => text.parse().ok(),
            _ => None,
        };
        match id.map(|id: u64| (id, self.template(id))) {
            Some((id, now)) if id != now => Cow::Owned(Test::value(now.to_string())),
            _ => Cow::Borrowed(test),
        }
    }

    /// The name itself, then what it is an alias for.
    pub fn names<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::once(name).chain(self.names.get(name).into_iter().flatten().map(String::as_str))
    }

    /// The aliases of a field.
    pub fn of_field(&self, field: &str) -> Vec<String> {
        let mut names: Vec<_> =
            self.names.iter().filter(|(_, to)| to.iter().any(|t| t == field)).map(|(a, _)| a.clone()).collect();
        names.sort();
        names
    }
}

/// Whether a nested record is what the query asks for.
pub fn matches(expr: &Expr, record: &Map<String, Json>, aliases: &Aliases) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(parts) => parts.iter().all(|p| matches(p, record, aliases)),
        Expr::Or(parts) => parts.iter().any(|p| matches(p, record, aliases)),
        Expr::Not(inner) => !matches(inner, record, aliases),
        Expr::Leaf(Leaf { field: None, test }) => bare_matches(test, record),
        Expr::Leaf(Leaf { field: Some(field), test }) => {
            aliases.names(field).any(|name| field_matches(name, &aliases.resolve(name, test), record))
        }
    }
}

/// A bare test over a record's searched values.
pub fn bare_matches(test: &Test, record: &Map<String, Json>) -> bool {
    let searched = record.iter().filter(|(name, _)| !UNSEARCHED.contains(&name.as_str()));
    searched.into_iter().any(|(_, value)| any_leaf(value, &mut |value| bare_fits(test, value)))
}

/// A test on the values of one name, which is no alias.
pub fn field_matches(name: &str, test: &Test, record: &Map<String, Json>) -> bool {
    let number = NumberTest::new(test);
    visit(record, name, &mut |value| value_fits(name, test, &number, value))
}

/// An array's elements are values of its name; an object only exists, by what is in it.
fn value_fits(name: &str, test: &Test, number: &NumberTest<'_>, value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(b) => string_fits(test, name, if *b { "true" } else { "false" }),
        Json::Number(n) => Num::of(n).is_some_and(|n| number.fits(n)),
        Json::String(text) => string_fits(test, name, text),
        Json::Array(items) => items.iter().any(|item| value_fits(name, test, number, item)),
        object => matches!(test, Test::Exists) && any_leaf(object, &mut |_| true),
    }
}

/// Calls `found` with the values at a dotted path until it says yes.
pub fn visit(object: &Map<String, Json>, path: &str, found: &mut dyn FnMut(&Json) -> bool) -> bool {
    if object.get(path).is_some_and(&mut *found) {
        return true;
    }
    let dots = path.match_indices('.').map(|(at, _)| at);
    dots.into_iter().any(|dot| object.get(&path[..dot]).is_some_and(|inner| visit_in(inner, &path[dot + 1..], found)))
}

fn visit_in(value: &Json, path: &str, found: &mut dyn FnMut(&Json) -> bool) -> bool {
    match value {
        Json::Object(inner) => visit(inner, path, found),
        Json::Array(items) => items.iter().any(|item| visit_in(item, path, found)),
        _ => false,
    }
}

/// Whether any string, number or bool in `value` fits.
fn any_leaf(value: &Json, fits: &mut dyn FnMut(&Json) -> bool) -> bool {
    match value {
        Json::Null => false,
        Json::Array(items) => items.iter().any(|item| any_leaf(item, fits)),
        Json::Object(members) => members.values().any(|member| any_leaf(member, fits)),
        leaf => fits(leaf),
    }
}

fn bare_fits(test: &Test, value: &Json) -> bool {
    match value {
        Json::String(text) => bare_fits_str(test, text),
        Json::Bool(b) => bare_fits_str(test, if *b { "true" } else { "false" }),
        Json::Number(n) => Num::of(n).is_some_and(|n| bare_fits_str(test, &n.print())),
        _ => false,
    }
}

/// A bare test on one value.
pub fn bare_fits_str(test: &Test, value: &str) -> bool {
    match test {
        Test::Value { text, words } => has_phrase(value, words, text),
        Test::Wildcard { glob, words } => patterns_fit(value, glob, words),
        Test::Regex(regex) => regex.within.is_match(value),
        Test::Range(_) => false,
        Test::Exists => true,
    }
}

fn patterns_fit(value: &str, glob: &Glob, words: &[Glob]) -> bool {
    if words.is_empty() || words.iter().all(Glob::is_anything) {
        glob.is_match(value)
    } else {
        has_patterns(value, words)
    }
}

/// A test on a string of the field `name`.
pub fn string_fits(test: &Test, name: &str, value: &str) -> bool {
    match test {
        Test::Exists => true,
        Test::Value { text, words } => {
            value == text
                || (name == "@timestamp" && in_span(text, value))
                || (!words.is_empty() && is_text(name, value) && has_phrase(value, words, text))
        }
        Test::Wildcard { glob, words } => {
            glob.is_match(value) || (is_text(name, value) && patterns_fit(value, glob, words))
        }
        Test::Regex(regex) => {
            if is_text(name, value) {
                regex.within.is_match(value)
            } else {
                regex.whole.is_match(value)
            }
        }
        Test::Range(range) => {
            range.low.as_ref().is_none_or(|low| bound_fits(value, low, true))
                && range.high.as_ref().is_none_or(|high| bound_fits(value, high, false))
        }
    }
}

/// Whether a string is searched by its words, not only as a whole.
pub fn is_text(name: &str, value: &str) -> bool {
    matches!(name, "message" | "msg")
        || value.len() > TEXT_BYTES
        || value.bytes().filter(|b| *b == b' ').nth(TEXT_BLANKS).is_some()
}

fn in_span(text: &str, value: &str) -> bool {
    match (when::span(text), when::span(value)) {
        (Some(span), Some(value)) => (span.start..span.end).contains(&value.start),
        _ => false,
    }
}

fn bound_fits(value: &str, bound: &Bound, is_low: bool) -> bool {
    if let Some(limit) = when::span(&bound.text) {
        let Some(at) = when::span(value).map(|value| value.start) else { return false };
        return match (is_low, bound.inclusive) {
            (true, true) => at >= limit.start,
            (true, false) => at >= limit.end,
            (false, true) => at < limit.end,
            (false, false) => at < limit.start,
        };
    }
    let order = match (Num::parse_measure(value), Num::parse_measure(&bound.text)) {
        (Some(value), Some(bound)) => value.cmp(bound),
        (None, Some(_)) => None,
        _ => Some(value.cmp(bound.text.as_str())),
    };
    is_above(if is_low { order } else { order.map(std::cmp::Ordering::reverse) }, bound.inclusive)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::query::parse;

    #[test]
    fn the_language_means() {
        let record = json!({
            "@timestamp": "2026-11-22T10:30:05.123Z",
            "message": "E1122 10:30:05.123456       1 lease.go:223] Resetting endpoints => 007 Größe",
            "level": "E", "filename": "lease.go", "thread_id": 1, "msg": "Resetting endpoints => 007 Größe",
            "code": ["OK", 200], "count": "42", "ratio": 0.5, "elapsed": "2.5s", "ok": true, "none": null, "empty": {}, "kv": {"a.b": "x"},
            "list": [{"n": 1}, {"n": 2}], "agent_text": "one two three four five six",
            "kubernetes": {"pod": {"name": "api-7"}, "namespace": "prod"},
        });
        let Json::Object(record) = record else { panic!() };
        let aliases = Aliases::of(&Parser::builtin());
        for (query, fits) in [
            ("", true),
            ("resetting", true),
            ("RESETTING", true),
            ("reset", false),
            ("reset*", true),
            ("\"endpoints resetting\"", false),
            ("\"resetting endpoints\"", true),
            ("lease.go:223", false),
            ("\"lease.go:223\"", true),
            ("lea*.go", true),
            ("größe", true),
            ("\"=>\"", true),
            ("\"=<\"", false),
            ("007", true),
            ("7", false),
            ("prod", false),
            ("kubernetes.namespace:prod", true),
            ("kubernetes.namespace:Prod", false),
            ("kubernetes.pod.name:api-*", true),
            ("kubernetes.pod:*", true),
            ("level:E", true),
            ("level:e", false),
            ("log.level:E", true),
            ("filename:lease", false),
            ("filename:lease*", true),
            ("msg:resetting", true),
            ("msg:\"Resetting endpoints\"", true),
            ("msg:/lease/", false),
            ("msg:/Reset.*points/", true),
            ("/E[0-9]{4} /", true),
            ("filename:/lease/", false),
            ("filename:/lease.*/", true),
            ("code:200", true),
            ("code:\"2e2\"", true),
            ("code:OK", true),
            ("code:>=500", false),
            ("code:[100 TO 200]", true),
            ("code:[100 TO 200}", false),
            ("code:2*", true),
            ("count:>41", true),
            ("count:42", true),
            ("count:042", false),
            ("ratio:<0.6", true),
            ("code:>=0.2s", true),
            ("code:>0.2s", false),
            ("elapsed:[1s TO 1m]", true),
            ("elapsed:>2500", false),
            ("elapsed:>=2500", true),
            ("level:>1s", false),
            ("ok:true", true),
            ("_exists_:none", false),
            ("_exists_:empty", false),
            ("_exists_:kv.a.b", true),
            ("kv.a.b:x", true),
            ("list.n:2", true),
            ("list.n:3", false),
            ("agent_text:three", true),
            ("agent_text:\"three five\"", false),
            ("@timestamp:2026-11-22", true),
            ("@timestamp:[2026-11-20 TO 2026-11-22]", true),
            ("@timestamp:[2026-11-20 TO 2026-11-22}", false),
            ("@timestamp:>2026-11-22", false),
            ("@timestamp:>=\"2026-11-22T10:30:05Z\"", true),
            ("level:[D TO F]", true),
            ("NOT level:E", false),
            ("level:(W OR E) -foo", true),
            ("nothere:*", false),
        ] {
            let expr = parse(query).unwrap();
            assert_eq!(matches(&expr, &record, &aliases), fits, "{query}");
        }
    }
}
