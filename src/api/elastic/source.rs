//! What of a record a hit shows: `_source` and its filters, `fields`.

use serde_json::{Map, Value, json};

use super::error::ElasticError;
use super::filter_path::fits;
use crate::record::time::parse_rfc3339;

/// Which members of a record are shown.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub hidden: bool,
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl Source {
    /// `true`, `false`, `"a.*"`, `["a", "b"]`, or `{"includes": …, "excludes": …}`.
    pub fn read(json: &Value) -> Result<Self, ElasticError> {
        let unreadable =
            || ElasticError::parsing("[_source] is true, false, names, or {\"includes\": [], \"excludes\": []}");
        match json {
            Value::Null | Value::Bool(true) => Ok(Self::default()),
            Value::Bool(false) => Ok(Self { hidden: true, ..Self::default() }),
            Value::Object(members) => {
                let mut out = Self::default();
                for (name, value) in members {
                    match name.as_str() {
                        "includes" | "include" => out.includes = names(value).ok_or_else(unreadable)?,
                        "excludes" | "exclude" => out.excludes = names(value).ok_or_else(unreadable)?,
                        _ => return Err(unreadable()),
                    }
                }
                Ok(out)
            }
            value => Ok(Self { includes: names(value).ok_or_else(unreadable)?, ..Self::default() }),
        }
    }

    pub fn hidden() -> Self {
        Self { hidden: true, ..Self::default() }
    }

    pub fn of(includes: Vec<String>, excludes: Vec<String>) -> Self {
        Self { hidden: false, includes, excludes }
    }

    /// The record without what belongs to the hit itself.
    pub fn shown(&self, mut record: Map<String, Value>) -> Map<String, Value> {
        record.remove("_id");
        record.remove("_index");
        if self.includes.is_empty() && self.excludes.is_empty() {
            return record;
        }
        self.kept(record, "")
    }

    fn kept(&self, object: Map<String, Value>, above: &str) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, value) in object {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            if self.excludes.iter().any(|pattern| fits(pattern, &path)) {
                continue;
            }
            let whole = self.includes.is_empty() || self.includes.iter().any(|pattern| reaches(pattern, &path));
            match value {
                Value::Object(inner) => {
                    let inner = self.kept(inner, &path);
                    if whole || !inner.is_empty() {
                        out.insert(name, Value::Object(inner));
                    }
                }
                value if whole => _ = out.insert(name, value),
                _ => {}
            }
        }
        out
    }
}

/// Whether a pattern means this path or an object around it.
fn reaches(pattern: &str, path: &str) -> bool {
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| fits(pattern, &path[..end]))
}

pub fn names(json: &Value) -> Option<Vec<String>> {
    match json {
        Value::String(name) => Some(name.split(',').map(str::to_owned).collect()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Fields asked for beside the source: a pattern, and how times are written.
#[derive(Debug, Clone)]
pub struct Asked {
    pattern: String,
    millis: bool,
}

impl Asked {
    /// `["*", {"field": "@timestamp", "format": "epoch_millis"}]`.
    pub fn read(name: &str, json: &Value) -> Result<Vec<Self>, ElasticError> {
        let Value::Array(items) = json else {
            return Err(ElasticError::parsing(format!("[{name}] is a list of fields")));
        };
        let one = |item: &Value| match item {
            Value::String(pattern) => Ok(Self { pattern: pattern.clone(), millis: false }),
            Value::Object(members) => {
                let known = ["field", "format", "include_unmapped"];
                if let Some(unknown) = members.keys().find(|member| !known.contains(&member.as_str())) {
                    return Err(ElasticError::parsing(format!("[{name}] does not support [{unknown}]")));
                }
                let pattern = members.get("field").and_then(Value::as_str);
                let pattern = pattern.ok_or_else(|| ElasticError::parsing(format!("[{name}] needs [field]")))?;
                let millis =
                    members.get("format").and_then(Value::as_str).is_some_and(|format| format == "epoch_millis");
                Ok(Self { pattern: pattern.to_owned(), millis })
            }
            _ => Err(ElasticError::parsing(format!("[{name}] lists names, or objects with a [field]"))),
        };
        items.iter().map(one).collect()
    }
}

/// The fields of a record that are asked for, each with all its values.
pub fn fields(record: &Map<String, Value>, asked: &[Asked]) -> Map<String, Value> {
    let mut out = Map::new();
    flatten(record, "", asked, &mut out);
    out
}

fn flatten(object: &Map<String, Value>, above: &str, asked: &[Asked], out: &mut Map<String, Value>) {
    for (name, value) in object {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        put(value, &path, asked, out);
    }
}

fn put(value: &Value, path: &str, asked: &[Asked], out: &mut Map<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(inner) => flatten(inner, path, asked, out),
        Value::Array(items) => items.iter().for_each(|item| put(item, path, asked, out)),
        value => {
            if matches!(path, "_id" | "_index") {
                return;
            }
            let Some(how) = asked.iter().rev().find(|asked| fits(&asked.pattern, path)) else { return };
            let millis = value.as_str().filter(|_| how.millis).and_then(parse_rfc3339);
            let value = millis.map_or_else(|| value.clone(), |at| json!(at.div_euclid(1_000_000).to_string()));
            if let Value::Array(values) = out.entry(path).or_insert_with(|| json!([])) {
                values.push(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_cut() {
        let record = json!({"_id": "x", "_index": "y", "a": {"b": 1, "c": {"d": 2}}, "e": 3});
        let Value::Object(record) = record else { panic!() };
        for (source, expected) in [
            (json!(true), json!({"a": {"b": 1, "c": {"d": 2}}, "e": 3})),
            (json!("e"), json!({"e": 3})),
            (json!(["a.b", "nothing"]), json!({"a": {"b": 1}})),
            (json!(["a"]), json!({"a": {"b": 1, "c": {"d": 2}}})),
            (json!("a.*"), json!({"a": {"b": 1, "c": {"d": 2}}})),
            (json!({"excludes": ["a.c", "e"]}), json!({"a": {"b": 1}})),
            (json!({"includes": "a", "excludes": "*.d"}), json!({"a": {"b": 1, "c": {}}})),
        ] {
            let shown = Source::read(&source).unwrap().shown(record.clone());
            assert_eq!(Value::Object(shown), expected, "{source}");
        }
        assert!(Source::read(&json!(false)).unwrap().hidden);
        assert!(Source::read(&json!({"include_all": 1})).is_err());
    }

    #[test]
    fn fields_are_lists_of_values() {
        let record = json!({"@timestamp": "2026-03-01T12:00:00.123Z", "a": {"b": [1, 2]}, "n": null});
        let Value::Object(record) = record else { panic!() };
        let asked = Asked::read("fields", &json!(["*", {"field": "@timestamp", "format": "epoch_millis"}])).unwrap();
        let found = Value::Object(fields(&record, &asked));
        assert_eq!(found, json!({"@timestamp": ["1772366400123"], "a.b": [1, 2]}));
        assert!(Asked::read("fields", &json!([{"field": "a", "wat": 1}])).is_err());
    }
}
