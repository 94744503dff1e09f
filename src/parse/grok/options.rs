//! The options of Logstash's grok filter, as JSON or YAML.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What a [`super::Filter`] is asked to do. Names and defaults are Logstash's; an unknown name is an error.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterOptions {
    /// Which field is matched with which patterns, in this order. `{"message": "…"}`, `{"message": ["…", "…"]}`, or
    /// Logstash's older list of field and pattern by turns.
    #[serde(rename = "match", deserialize_with = "matches")]
    pub matches: Vec<(String, Vec<String>)>,
    /// Directories and files of patterns, later ones win. Whoever reads the options loads them: this room reads no
    /// disk.
    #[serde(default, deserialize_with = "strings")]
    pub patterns_dir: Vec<String>,
    /// Patterns of this filter alone; they win over all others.
    #[serde(default)]
    pub pattern_definitions: BTreeMap<String, String>,
    /// Whether `%{INT}`, without a field's name, captures nothing.
    #[serde(default = "yes")]
    pub named_captures_only: bool,
    /// Whether an empty capture is stored, and one that took no part as null.
    #[serde(default)]
    pub keep_empty_captures: bool,
    /// Whether the first pattern that matches is the last one tried, of all fields.
    #[serde(default = "yes")]
    pub break_on_match: bool,
    /// Fields whose old value gives way to the captured one.
    #[serde(default, deserialize_with = "strings")]
    pub overwrite: Vec<String>,
    /// The field under which captured ones are put.
    #[serde(default)]
    pub target: Option<String>,
    /// Tags of an event that nothing matched.
    #[serde(default = "failure", deserialize_with = "strings")]
    pub tag_on_failure: Vec<String>,
    /// Tag of an event for which a pattern reached its limit of steps.
    #[serde(default = "timeout")]
    pub tag_on_timeout: String,
}

fn yes() -> bool {
    true
}

fn failure() -> Vec<String> {
    vec!["_grokparsefailure".to_owned()]
}

fn timeout() -> String {
    "_groktimeout".to_owned()
}

/// One string, or a list of them.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Strings {
    One(String),
    Many(Vec<String>),
}

impl From<Strings> for Vec<String> {
    fn from(strings: Strings) -> Self {
        match strings {
            Strings::One(one) => vec![one],
            Strings::Many(many) => many,
        }
    }
}

fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Strings::deserialize(deserializer).map(Vec::from)
}

fn matches<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Vec<String>)>, D::Error> {
    deserializer.deserialize_any(Matches)
}

/// Reads the map itself, because its order counts.
struct Matches;

impl<'de> Visitor<'de> for Matches {
    type Value = Vec<(String, Vec<String>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields, each with a pattern or a list of patterns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((field, patterns)) = map.next_entry::<String, Strings>()? {
            all.push((field, patterns.into()));
        }
        Ok(all)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = list.next_element::<String>()? {
            let patterns = list.next_element::<Strings>()?;
            let patterns = patterns.ok_or_else(|| A::Error::custom(format!("no pattern for the field {field}")))?;
            all.push((field, patterns.into()));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_match() {
        let pair = |field: &str, patterns: &[&str]| {
            (field.to_owned(), patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>())
        };
        for (text, expected) in [
            (r#"{"z": "a", "b": ["c", "d"]}"#, vec![pair("z", &["a"]), pair("b", &["c", "d"])]),
            (r#"["z", "a", "b", ["c", "d"]]"#, vec![pair("z", &["a"]), pair("b", &["c", "d"])]),
            ("{}", vec![]),
        ] {
            let options: FilterOptions = serde_json::from_str(&format!(r#"{{"match": {text}}}"#)).unwrap();
            assert_eq!(options.matches, expected, "{text}");
        }
        for wrong in [r#"{"match": 1}"#, r#"{"match": ["a"]}"#, r#"{"match": {}, "macth": {}}"#, "{}"] {
            assert!(serde_json::from_str::<FilterOptions>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_are_logstashs() {
        let options: FilterOptions = serde_json::from_str(r#"{"match": {}}"#).unwrap();
        assert!(options.named_captures_only && options.break_on_match && !options.keep_empty_captures);
        assert_eq!((options.tag_on_failure, options.overwrite), (vec!["_grokparsefailure".to_owned()], vec![]));
    }
}
