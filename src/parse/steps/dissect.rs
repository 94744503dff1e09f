//! Cutting a text at what stands between its pieces: `%{a} %{?skipped} %{+b/2}-%{+b/1} %{&k}=%{*k}`.
//!
//! Each key takes what stands before the next delimiter, the last one the rest. `+` appends to a key that came before,
//! in the order of `/N` where given, the delimiter in front of it between; `?` names what is left out; `*` gives the
//! name and `&` the value of a field; `->` lets the delimiter behind a key come any number of times.
//!
//! Source: `logstash-plugins/logstash-filter-dissect: docs/index.asciidoc`.

use std::borrow::Cow;

use crate::record::{Fields, PATH_SEPARATOR, Role, Value};

/// A compiled dissection.
#[derive(Debug)]
pub struct Dissect {
    /// What the text begins with.
    head: String,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    key: Key,
    /// What ends it; empty for the last.
    delimiter: String,
    padded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Skip,
    Field(String),
    /// With its place among the pieces of that name.
    Append(String, u32),
    /// Names the field that the value of the same key goes to.
    Name(String),
    Value(String),
}

impl Dissect {
    /// Compiles a dissection; an error says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let (head, mut rest) = text.split_once("%{").ok_or("there is no %{key} in it")?;
        let mut pieces: Vec<Piece> = Vec::new();
        loop {
            let (key, behind) = rest.split_once('}').ok_or_else(|| format!("%{{{rest} is not closed"))?;
            let (delimiter, next) = match behind.split_once("%{") {
                Some((delimiter, next)) => (delimiter, Some(next)),
                None => (behind, None),
            };
            if delimiter.is_empty() && next.is_some() {
                return Err(format!("nothing stands between %{{{key}}} and the next key: it could end anywhere"));
            }
            let (key, padded) = key.strip_suffix("->").map_or((key, false), |key| (key, true));
            pieces.push(Piece { key: Key::read(key)?, delimiter: delimiter.to_owned(), padded });
            match next {
                Some(next) => rest = next,
                None => break,
            }
        }
        let has = |wanted: &Key| pieces.iter().any(|piece| piece.key == *wanted);
        for piece in &pieces {
            match &piece.key {
                Key::Name(key) if !has(&Key::Value(key.clone())) => {
                    return Err(format!("%{{*{key}}} needs a %{{&{key}}}"));
                }
                Key::Value(key) if !has(&Key::Name(key.clone())) => {
                    return Err(format!("%{{&{key}}} needs a %{{*{key}}}"));
                }
                _ => {}
            }
        }
        Ok(Self { head: head.to_owned(), pieces })
    }

    /// The fields it always gives.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match &piece.key {
            Key::Field(name) | Key::Append(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether names come from the text.
    pub fn names_itself(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.key, Key::Name(_)))
    }

    /// Appends what a text gives; false, with nothing appended, where a delimiter is missing.
    pub fn run<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> bool {
        let Some(mut rest) = text.strip_prefix(self.head.as_str()) else { return false };
        let mut values: Vec<&'a str> = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            if piece.delimiter.is_empty() {
                values.push(rest);
                continue;
            }
            let Some(end) = memchr::memmem::find(rest.as_bytes(), piece.delimiter.as_bytes()) else { return false };
            values.push(&rest[..end]);
            rest = &rest[end + piece.delimiter.len()..];
            while piece.padded && rest.starts_with(piece.delimiter.as_str()) {
                rest = &rest[piece.delimiter.len()..];
            }
        }
        for (at, (piece, value)) in self.pieces.iter().zip(&values).enumerate() {
            match &piece.key {
                Key::Skip | Key::Name(_) => {}
                Key::Field(name) if self.is_appended_to(name) => self.put_joined(name, at, &values, fields),
                Key::Append(name, _) if self.first_of(name) == Some(at) => self.put_joined(name, at, &values, fields),
                Key::Append(..) => {}
                Key::Field(name) => put(name.clone(), (*value).into(), fields),
                Key::Value(key) => {
                    let named = self.pieces.iter().position(|piece| piece.key == Key::Name(key.clone()));
                    if let Some(name) = named.map(|at| values[at]).filter(|name| !name.is_empty()) {
                        fields.push(name, Role::Keyword, Value::Str((*value).into()));
                    }
                }
            }
        }
        true
    }

    fn is_appended_to(&self, name: &str) -> bool {
        self.pieces.iter().any(|piece| matches!(&piece.key, Key::Append(other, _) if other == name))
    }

    /// Where the name comes first.
    fn first_of(&self, name: &str) -> Option<usize> {
        self.pieces.iter().position(|piece| match &piece.key {
            Key::Field(other) | Key::Append(other, _) => other == name,
            _ => false,
        })
    }

    fn put_joined<'a>(&self, name: &str, at: usize, values: &[&'a str], fields: &mut Fields<'a>) {
        let mut parts: Vec<(u32, usize)> = Vec::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            match &piece.key {
                Key::Field(other) if other == name => parts.push((0, place)),
                Key::Append(other, order) if other == name => parts.push((*order, place)),
                _ => {}
            }
        }
        parts.sort();
        let mut joined = String::new();
        for (nth, (_, place)) in parts.iter().enumerate() {
            if nth > 0 {
                // What stood in front of it in the text, or behind the text's first piece.
                joined += &self.pieces[place.saturating_sub(1)].delimiter;
            }
            joined += values[*place];
        }
        debug_assert!(parts.iter().any(|(_, place)| *place == at));
        put(name.to_owned(), Cow::Owned(joined), fields);
    }
}

fn put<'a>(name: String, value: Cow<'a, str>, fields: &mut Fields<'a>) {
    fields.push(name.replace('.', &PATH_SEPARATOR.to_string()), Role::Keyword, Value::Str(value));
}

impl Key {
    fn read(text: &str) -> Result<Self, String> {
        let (sign, name) = match text.chars().next() {
            Some(sign @ ('+' | '?' | '&' | '*')) => (Some(sign), &text[1..]),
            _ => (None, text),
        };
        let plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || "_-.@".contains(c));
        let (name, order) = match (sign, name.split_once('/')) {
            (Some('+'), Some((name, order))) => {
                (name, order.parse().map_err(|_| format!("%{{{text}}}: behind / stands a number"))?)
            }
            _ => (name, u32::MAX),
        };
        if !plain(name) {
            return Err(format!("%{{{text}}}: a name is letters, digits, _, -, . and @"));
        }
        Ok(match (sign, name) {
            (None, "") | (Some('?'), _) => Self::Skip,
            (Some(_), "") => return Err(format!("%{{{text}}} has no name")),
            (Some('+'), name) => Self::Append(name.to_owned(), order),
            (Some('*'), name) => Self::Name(name.to_owned()),
            (Some(_), name) => Self::Value(name.to_owned()),
            (None, name) => Self::Field(name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut() {
        for (with, text, expected) in [
            ("%{a} %{b}", "one two three", json!({"a": "one", "b": "two three"})),
            ("<%{pri}>%{?skip}: %{}|%{c}", "<34>x: y|z", json!({"pri": "34", "c": "z"})),
            ("%{a->} %{b}", "one    two", json!({"a": "one", "b": "two"})),
            ("%{a} %{+a} %{+a}", "1 2 3", json!({"a": "1 2 3"})),
            ("%{+a/2} %{+a/1} %{b}", "two one x", json!({"a": "one two", "b": "x"})),
            ("%{*k}=%{&k};%{rest}", "port=80;tail", json!({"port": "80", "rest": "tail"})),
            ("[%{a}]", "[x]", json!({"a": "x"})),
            ("%{a.b},%{c}", "1,", json!({"a": {"b": "1"}, "c": ""})),
        ] {
            let mut fields = Fields::new();
            assert!(Dissect::compile(with).unwrap().run(text, &mut fields), "{with}");
            assert_eq!(serde_json::Value::Object(fields.to_json()), expected, "{with}");
        }
        for (with, text) in [("%{a}:%{b}", "no delimiter"), ("x%{a}", "y"), ("[%{a}]", "[x")] {
            let mut fields = Fields::new();
            assert!(!Dissect::compile(with).unwrap().run(text, &mut fields) && fields.is_empty(), "{with}");
        }
        for (with, says) in [
            ("none", "no %{key}"),
            ("%{a", "not closed"),
            ("%{a}%{b}", "nothing stands between"),
            ("%{*k} %{b}", "needs a %{&k}"),
            ("%{+}", "no name"),
            ("%{+a/x}", "a number"),
            ("%{a b}", "letters"),
        ] {
            let error = Dissect::compile(with).unwrap_err();
            assert!(error.contains(says), "{with}: {error}");
        }
    }

    proptest::proptest! {
        /// What is joined by delimiters that the values do not hold comes apart again.
        #[test]
        fn what_is_joined_comes_apart(values in proptest::collection::vec("[a-z0-9]{0,6}", 1..6), delimiter in "[ ,:|=-]{1,3}") {
            let with: Vec<String> = (0..values.len()).map(|n| format!("%{{f{n}}}")).collect();
            let text = values.join(&delimiter);
            let mut fields = Fields::new();
            proptest::prop_assert!(Dissect::compile(&with.join(&delimiter)).unwrap().run(&text, &mut fields));
            let found: Vec<_> = fields.iter().map(|field| field.value.to_json()).collect();
            proptest::prop_assert_eq!(found, values.into_iter().map(serde_json::Value::from).collect::<Vec<_>>());
        }
    }
}
