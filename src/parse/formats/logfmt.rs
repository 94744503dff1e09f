//! logfmt: `level=info msg="a b" retry=3 flag`, as Go's services write it.
//!
//! A line is logfmt when all of it is pairs and words, two pairs at least. A word without `=` is true. A value in
//! quotes is Go-quoted; any other ends at a blank and holds no quote. Prose with two equal signs in it would pass as
//! well, so a line whose format is not known has to begin with a pair ([`begins`]).
//!
//! Source: `kr/logfmt: decode.go`; `go-logfmt/logfmt: encode.go`.

use std::borrow::Cow;

use crate::parse::FieldSpec;
use crate::record::{Fields, Role, Value};

use super::{go_quote, text_role};

pub(in crate::parse) const FIELDS: &[FieldSpec] = &[];

pub(in crate::parse) const ALIASES: &[(&str, &str)] =
    &[("log.level", "level"), ("log.logger", "logger"), ("error.message", "err"), ("log.origin.file.name", "caller")];

/// A line with more pairs is taken for something else: names that come twice are looked for one by one.
const PAIRS_MAX: usize = 128;

pub(in crate::parse) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let mark = fields.len();
    let fits = pairs(line, mark, fields).is_some_and(|pairs| pairs >= 2);
    if !fits {
        fields.truncate(mark);
    }
    fits
}

/// Whether a line begins with a pair.
pub(in crate::parse) fn begins(line: &str) -> bool {
    let key = line.bytes().take_while(|byte| is_key(*byte)).count();
    key > 0 && line.as_bytes().get(key) == Some(&b'=')
}

/// The number of pairs; `None` where the line is no logfmt.
fn pairs<'a>(line: &'a str, mark: usize, fields: &mut Fields<'a>) -> Option<usize> {
    let bytes = line.as_bytes();
    let (mut at, mut pairs) = (0, 0);
    while at < bytes.len() {
        let key_end = at + bytes[at..].iter().position(|b| !is_key(*b)).unwrap_or(bytes.len() - at);
        let key = &line[at..key_end];
        if key.is_empty() || fields.len() - mark >= PAIRS_MAX {
            return None;
        }
        at = key_end;
        let value = if bytes.get(at) == Some(&b'=') {
            pairs += 1;
            let (value, end) = value(line, at + 1)?;
            at = end;
            Value::Str(value)
        } else {
            Value::Bool(true)
        };
        put(mark, fields, key, value);
        match bytes.get(at) {
            None => break,
            Some(b' ') => at += 1 + bytes[at + 1..].iter().take_while(|b| **b == b' ').count(),
            Some(_) => return None,
        }
    }
    Some(pairs)
}

fn is_key(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'=' | b'"' | 0x7f | b'{' | b'}' | b'<' | b'>')
}

/// The value at `at`, and where it ends.
fn value(line: &str, at: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = line.as_bytes();
    if bytes.get(at) == Some(&b'"') {
        // An escape that Go does not write stands as it is.
        return go_quote::unquote(line, at).or_else(|| {
            let close = go_quote::closing(bytes, at)?;
            Some((Cow::Borrowed(&line[at + 1..close]), close + 1))
        });
    }
    let end = bytes[at..].iter().position(|b| matches!(b, 0..=b' ' | b'"')).map_or(bytes.len(), |len| at + len);
    Some((Cow::Borrowed(&line[at..end]), end))
}

/// Adds a field; of a name that comes twice the last value counts.
fn put<'a>(mark: usize, fields: &mut Fields<'a>, key: &'a str, value: Value<'a>) {
    let role = match &value {
        Value::Str(text) => text_role(text),
        _ => Role::Keyword,
    };
    match fields.iter_mut().skip(mark).find(|field| field.name == key) {
        Some(field) => (field.role, field.value) = (role, value),
        None => fields.push(key, role, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn lines() {
        let check = |line: &str, expected: Json| {
            let mut fields = Fields::new();
            let fits = parse(line, &mut fields);
            let found = if fits { Json::Object(fields.to_json()) } else { Json::Null };
            assert_eq!(found, expected, "{line:?}");
            assert!(fits || fields.is_empty());
        };
        check("a=1 b=2", json!({"a": "1", "b": "2"}));
        check("a=  b=2", json!({"a": "", "b": "2"}));
        check("a=1 b=2 ", json!({"a": "1", "b": "2"}));
        check(r#"a="x \"y\" \n" b=é flag"#, json!({"a": "x \"y\" \n", "b": "é", "flag": true}));
        check(r#"a="\d" b=1"#, json!({"a": "\\d", "b": "1"}));
        check("a=1 a=2", json!({"a": "2"}));
        check("a.b=1 a-c=x=y", json!({"a.b": "1", "a-c": "x=y"}));
        for no in ["", " ", "a", "a=1", "a=1 b=\"", "a=1 b=x\"y\"", "=1 b=2", "a=\"x\"y b=1", "a=1\tb=2"] {
            check(no, Json::Null);
        }
        check("x | a=1 b=2", json!({"x": true, "|": true, "a": "1", "b": "2"}));
        assert!(begins("a=1 b=2") && !begins("x | a=1 b=2") && !begins("=") && !begins(""));
        let many: String = (0..1000).map(|n| format!("k{n}={n} ")).collect();
        check(&many, Json::Null);
    }
}
