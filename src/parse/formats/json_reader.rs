//! A reader of JSON text that borrows strings from it, by RFC 8259.
//!
//! It is lenient in two points, where a strict one would lose a line: half a surrogate pair reads as U+FFFD, and a
//! number beyond what a float can hold is kept as the text it is.

use std::borrow::Cow;

use serde_json::{Map, Number, Value as Json};

use super::go_quote::hex;

/// Deeper nesting is refused: reading it takes stack.
const DEPTH_MAX: usize = 64;

/// A value that is no flattened object.
pub(super) enum Scalar<'a> {
    Str(Cow<'a, str>),
    U64(u64),
    I64(i64),
    F64(f64),
    Bool(bool),
    /// An array, an object, or null.
    Json(Json),
}

/// A place in a JSON text. Every method passes the blanks after what it reads.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Self { text, at: 0 };
        reader.skip_blanks();
        reader
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn open(&mut self, bracket: u8) -> Option<()> {
        self.close(bracket).then_some(())
    }

    /// Passes that byte if it is next.
    pub(super) fn close(&mut self, bracket: u8) -> bool {
        let here = self.peek() == Some(bracket);
        if here {
            self.at += 1;
            self.skip_blanks();
        }
        here
    }

    pub(super) fn comma(&mut self) -> Option<()> {
        self.open(b',')
    }

    /// A member's key and its colon.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.open(b':')?;
        Some(key)
    }

    /// Whether the object that begins here has no members. Moves nothing.
    pub(super) fn empty_object(&self) -> bool {
        let rest = &self.text.as_bytes()[self.at + 1..];
        rest.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'}')
    }

    pub(super) fn scalar(&mut self, depth: usize) -> Option<Scalar<'a>> {
        Some(match self.peek()? {
            b'"' => Scalar::Str(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true", Scalar::Bool(true))?,
            b'f' => self.word("false", Scalar::Bool(false))?,
            b'n' => self.word("null", Scalar::Json(Json::Null))?,
            b'[' | b'{' => Scalar::Json(self.value(depth + 1)?),
            _ => return None,
        })
    }

    /// Any value, as a tree; of equal keys the last counts.
    pub(super) fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => {
                self.open(b'{')?;
                let mut map = Map::new();
                if self.close(b'}') {
                    return Some(Json::Object(map));
                }
                loop {
                    let key = self.key()?.into_owned();
                    map.insert(key, self.value(depth + 1)?);
                    if self.close(b'}') {
                        return Some(Json::Object(map));
                    }
                    self.comma()?;
                }
            }
            b'[' => {
                self.open(b'[')?;
                let mut items = Vec::new();
                if self.close(b']') {
                    return Some(Json::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if self.close(b']') {
                        return Some(Json::Array(items));
                    }
                    self.comma()?;
                }
            }
            _ => Some(match self.scalar(depth)? {
                Scalar::Str(text) => Json::String(text.into_owned()),
                Scalar::U64(n) => n.into(),
                Scalar::I64(n) => n.into(),
                Scalar::F64(n) => Number::from_f64(n).map_or(Json::Null, Json::Number),
                Scalar::Bool(b) => b.into(),
                Scalar::Json(json) => json,
            }),
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, scalar: Scalar<'a>) -> Option<Scalar<'a>> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        self.skip_blanks();
        Some(scalar)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut end = start + plain_run(&bytes[start..])?;
        let found = if bytes[end] == b'"' {
            Cow::Borrowed(&text[start..end])
        } else {
            let mut out = text[start..end].to_owned();
            while bytes[end] == b'\\' {
                end = escape(bytes, end + 1, &mut out)?;
                let run = plain_run(&bytes[end..])?;
                out.push_str(&text[end..end + run]);
                end += run;
            }
            Cow::Owned(out)
        };
        self.at = end + 1;
        self.skip_blanks();
        Some(found)
    }

    fn number(&mut self) -> Option<Scalar<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let first = start + usize::from(bytes[start] == b'-');
        let mut at = digits(first);
        // A number has digits, and no zero before others.
        if at == first || (bytes[first] == b'0' && at > first + 1) {
            return None;
        }
        let mut whole = true;
        if bytes.get(at) == Some(&b'.') {
            whole = false;
            let end = digits(at + 1);
            if end == at + 1 {
                return None;
            }
            at = end;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            whole = false;
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let end = digits(at + 1 + sign);
            if end == at + 1 + sign {
                return None;
            }
            at = end;
        }
        let text = &self.text[start..at];
        self.at = at;
        self.skip_blanks();
        if whole && text != "-0" {
            if let Ok(n) = text.parse::<u64>() {
                return Some(Scalar::U64(n));
            }
            if let Ok(n) = text.parse::<i64>() {
                return Some(Scalar::I64(n));
            }
        }
        let n: f64 = text.parse().ok()?;
        Some(if n.is_finite() { Scalar::F64(n) } else { Scalar::Str(Cow::Borrowed(text)) })
    }
}

/// Bytes up to the next quote or backslash. `None` if there is none, or a control character before it.
fn plain_run(bytes: &[u8]) -> Option<usize> {
    let len = memchr::memchr2(b'"', b'\\', bytes)?;
    // No early end: the loop becomes a few wide comparisons.
    let control = bytes[..len].iter().fold(false, |control, byte| control | (*byte < 0x20));
    (!control).then_some(len)
}

/// Writes what the escape after a backslash stands for; returns where it ends.
fn escape(bytes: &[u8], at: usize, out: &mut String) -> Option<usize> {
    let letter = match bytes.get(at)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(bytes, at + 1, 4)?;
            if (0xd800..0xdc00).contains(&high)
                && bytes[at + 5..].starts_with(b"\\u")
                && let Some(low @ 0xdc00..0xe000) = hex(bytes, at + 7, 4)
            {
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Some(at + 11);
            }
            out.push(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
            return Some(at + 5);
        }
        _ => return None,
    };
    out.push(letter);
    Some(at + 1)
}
