//! Which field of the index each value of a record goes to.
//!
//! Nothing is ever refused: what has no place of its own (a long string, a name beyond the limit) is found by its
//! words in `text`.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::document::Scratch;
use super::streams::TEXT_MARK;
use crate::record::time::parse_rfc3339;
use crate::record::{Field, PATH_SEPARATOR, Record, Role, Value};

/// A longer string is no keyword: it is indexed by its words. Bytes.
pub const KEYWORD_BYTES_MAX: usize = 1024;

/// Fills `doc` with a record's content. `admit` says whether the shard indexes a field name. `covers_line`: the
/// words of the line are all in its fields, so that the line itself need not be tokenised.
pub fn fill(doc: &mut Scratch, record: &Record<'_>, covers_line: bool, mut admit: impl FnMut(&str) -> bool) {
    let event = record.event;
    let covers_line = covers_line && record.grammar.is_some();
    doc.ts = event.timestamp;
    doc.offset = event.offset;
    doc.mark = event.mark;
    doc.template = record.template;
    if let Some(message) = event.message {
        doc.set_line(message);
        if !covers_line {
            doc.text(message);
        }
    }
    // Words of a value are in the line's unless the line is not indexed, or spells them otherwise (`\n`, `\u00e9`).
    let words_in_line = event.message.is_some() && !covers_line;
    let mut filler = Filler { doc, admit: &mut admit, words_in_line, covers_line, marked: String::new() };
    for field in record.fields.iter() {
        filler.field(field);
    }
    if let Some(extra) = event.extra {
        filler.doc.set_extra(extra);
        (filler.words_in_line, filler.covers_line) = (false, false);
        // The decoder wrote it; were it no JSON object, it would still be stored, and found by its words.
        match serde_json::from_str::<Map<String, Json>>(extra) {
            Ok(object) => filler.object(&mut String::new(), &object),
            Err(_) => filler.doc.text(extra),
        }
    }
}

struct Filler<'f> {
    doc: &'f mut Scratch,
    admit: &'f mut dyn FnMut(&str) -> bool,
    words_in_line: bool,
    /// The grammar tells which of its fields are texts.
    covers_line: bool,
    marked: String,
}

impl Filler<'_> {
    fn field(&mut self, field: &Field<'_>) {
        let name = &*field.name;
        match &field.value {
            Value::Str(text) => self.text(name, field.role, text, matches!(text, Cow::Borrowed(_))),
            Value::U64(n) => self.number(name, *n, Scratch::u64),
            Value::I64(n) => self.number(name, *n, Scratch::i64),
            Value::F64(n) => self.number(name, *n, Scratch::f64),
            Value::Bool(b) => self.bool(name, *b),
            Value::Json(json) => self.json(&mut name.to_owned(), json),
        }
    }

    /// `as_in_line`: the text stands in the line, letter by letter.
    fn text(&mut self, name: &str, role: Role, text: &str, as_in_line: bool) {
        let words_in_line = self.words_in_line && as_in_line;
        let short = text.len() <= KEYWORD_BYTES_MAX;
        match role {
            Role::Stamp if short && (self.admit)(name) => match read_stamp(text) {
                Some(number) => self.doc.stamp(name, number),
                None => _ = self.doc.kw_str(name, text),
            },
            Role::Keyword if short && (self.admit)(name) => _ = self.doc.kw_str(name, text),
            Role::Path if short && (self.admit)(name) => {
                let value = self.doc.kw_str(name, text);
                if !words_in_line {
                    self.doc.index_span(value);
                }
            }
            Role::Id if short && (self.admit)(name) => self.doc.ident(name, text),
            _ => {
                if !(self.covers_line && role == Role::Text) {
                    self.mark(name);
                }
                if !words_in_line {
                    self.doc.text(text);
                }
            }
        }
    }

    /// Remembers that this name has a value in `text` alone.
    fn mark(&mut self, name: &str) {
        self.marked.clear();
        self.marked.push(TEXT_MARK);
        self.marked.push_str(name);
        (self.admit)(&self.marked);
    }

    fn number<N: ToString + Copy>(&mut self, name: &str, n: N, put: fn(&mut Scratch, &str, N)) {
        if (self.admit)(name) {
            put(self.doc, name, n);
        } else if !self.words_in_line {
            self.doc.text(&n.to_string());
        }
    }

    fn bool(&mut self, name: &str, value: bool) {
        if (self.admit)(name) {
            self.doc.kw_bool(name, value);
        } else if !self.words_in_line {
            self.doc.text(if value { "true" } else { "false" });
        }
    }

    fn object(&mut self, path: &mut String, object: &Map<String, Json>) {
        let parent = path.len();
        for (key, value) in object {
            if parent > 0 {
                path.push(PATH_SEPARATOR);
            }
            path.push_str(key);
            self.json(path, value);
            path.truncate(parent);
        }
    }

    /// The elements of an array are values of the same name.
    fn json(&mut self, path: &mut String, value: &Json) {
        match value {
            Json::Null => {}
            Json::Bool(b) => self.bool(path, *b),
            Json::Number(n) => {
                if let Some(n) = n.as_u64() {
                    self.number(path, n, Scratch::u64);
                } else if let Some(n) = n.as_i64() {
                    self.number(path, n, Scratch::i64);
                } else if let Some(n) = n.as_f64() {
                    self.number(path, n, Scratch::f64);
                }
            }
            Json::String(text) => self.text(path, Role::Keyword, text, false),
            Json::Array(values) => values.iter().for_each(|value| self.json(path, value)),
            Json::Object(object) => self.object(path, object),
        }
    }
}

/// A stamp as a number that gives its text back: `HH:MM:SS.ffffff` in microseconds of the day, RFC 3339 in UTC with a
/// `Z` and 0, 3, 6 or 9 fraction digits in Unix nanoseconds. `None` for whatever else a format prints.
pub fn read_stamp(text: &str) -> Option<i64> {
    if text.len() == 15 { time_of_day(text.as_bytes()) } else { instant(text) }
}

fn time_of_day(b: &[u8]) -> Option<i64> {
    if b[2] != b':' || b[5] != b':' || b[8] != b'.' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        b[range].iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    let (hour, minute, second, micros) = (number(0..2)?, number(3..5)?, number(6..8)?, number(9..15)?);
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn instant(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let exact = match b.len() {
        20 => b[19] == b'Z',
        24 | 28 | 30 if b[19] != b'.' => false,
        24 => true,
        // More digits than needed would print back as fewer.
        27 => b[19] == b'.' && &b[23..26] != b"000",
        30 => &b[26..29] != b"000",
        _ => false,
    };
    if !exact || b[10] != b'T' || b[b.len() - 1] != b'Z' || &b[17..19] == b"60" {
        return None;
    }
    parse_rfc3339(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::time::format_rfc3339;

    #[test]
    fn stamps_read_exactly_or_not_at_all() {
        for (text, number) in [
            ("00:00:00.000000", Some(0)),
            ("17:51:22.123456", Some(64_282_123_456)),
            ("24:00:00.000000", None),
            ("17:51:22,123456", None),
            ("17:51:2a.123456", None),
            ("2026-03-01T12:00:00.123Z", Some(1_772_366_400_123_000_000)),
            ("2026-03-01T12:00:00Z", Some(1_772_366_400_000_000_000)),
            ("2026-03-01T12:00:00.123456Z", Some(1_772_366_400_123_456_000)),
            ("2026-03-01T12:00:00.123000Z", None),
            ("2026-03-01 12:00:00.123Z", None),
            ("2026-03-01T12:00:60.123Z", None),
            ("2026-03-01T14:00:00+02:00", None),
            ("2026-03-01T12:00:00.1Z", None),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x", None),
            ("", None),
        ] {
            assert_eq!(read_stamp(text), number, "{text}");
        }
        let nanos = read_stamp("2026-03-01T12:00:00.123456789Z").unwrap();
        assert_eq!(format_rfc3339(nanos), "2026-03-01T12:00:00.123456789Z");
    }
}
