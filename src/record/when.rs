//! Which streams something is for: by container, label, path, or whatever else a stream's lines have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Stream;

/// Conditions on a stream's fields: dotted name → values of which it must have one, where `*` stands for any characters.
/// All of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct When(BTreeMap<String, OneOrMore>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl When {
    /// Without conditions it would hold for every stream, which nobody means.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the stream is one of those meant.
    pub fn holds(&self, stream: &Stream) -> bool {
        self.0.iter().all(|(name, values)| {
            let globs = match values {
                OneOrMore::One(glob) => std::slice::from_ref(glob),
                OneOrMore::More(globs) => globs,
            };
            stream.get(name).is_some_and(|value| has(value, globs))
        })
    }
}

fn has(value: &Json, globs: &[String]) -> bool {
    match value {
        Json::Null | Json::Object(_) => false,
        Json::Array(values) => values.iter().any(|value| has(value, globs)),
        Json::String(text) => globs.iter().any(|glob| fits(glob, text)),
        other => globs.iter().any(|glob| fits(glob, &other.to_string())),
    }
}

/// Whether `text` is what `glob` says. Linear in both: a star gives back only to the star before it.
pub fn fits(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == text };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("api", "api", true),
            ("api", "api2", false),
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("web-*", "web-7", true),
            ("web-*", "awe-7", false),
            ("*-proxy", "istio-proxy", true),
            ("*-proxy", "istio-proxy2", false),
            ("/var/log/*/error*.log", "/var/log/nginx/error.1.log", true),
            ("/var/log/*/error*.log", "/var/log/error.1.log", false),
            ("a*b*a", "aba", true),
            ("a*a", "a", false),
            ("*a*", "bab", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(fits(glob, text), expected, "{glob} {text}");
        }
    }
}
