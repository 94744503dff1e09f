//! A strict JSON scanner: walks a text once, left to right, and says where things are without building anything.
//!
//! It accepts what `serde_json` accepts, with two differences: containers nest at most [`DEPTH_MAX`] deep, and an
//! escaped surrogate without its partner is let through (and read as U+FFFD). The text is valid UTF-8 already, so
//! strings are not checked again.

use super::marks::Marks;

/// Containers inside containers, the outermost included.
pub const DEPTH_MAX: u32 = 64;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct BadJson {
    pub at: usize,
    pub what: Fault,
}

/// What is wrong where the scanner stands. One byte: it is part of every result on the hottest path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("expected a key in quotes")]
    Key,
    #[error("expected a colon")]
    Colon,
    #[error("expected a comma or a closing brace")]
    Member,
    #[error("expected a comma or a closing bracket")]
    Element,
    #[error("expected a value")]
    Value,
    #[error("text ends too early")]
    Ends,
    #[error("trailing bytes after the value")]
    Trailing,
    #[error("nested deeper than {DEPTH_MAX} levels")]
    Depth,
    #[error("expected true, false or null")]
    Word,
    #[error("expected a digit")]
    Digit,
    #[error("number out of range")]
    Range,
    #[error("control character in a string")]
    Control,
    #[error("unknown escape")]
    Escape,
    #[error("\\u needs four hexadecimal digits")]
    Unicode,
}

/// A string's content, between its quotes. Frames are shorter than 2^31 bytes, so all of it fits into one register:
/// as a struct it goes through memory in parts and comes back whole, which stalls, and costs a third of the decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span(u64);

impl Span {
    #[inline(always)]
    fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self(u64::from(escaped) << 63 | (end as u64 & 0x7fff_ffff) << 32 | start as u64 & 0xffff_ffff)
    }

    #[inline(always)]
    pub fn range(self) -> std::ops::Range<usize> {
        self.0 as u32 as usize..(self.0 >> 32 & 0x7fff_ffff) as usize
    }

    /// Whether it holds a backslash.
    #[inline(always)]
    pub fn is_escaped(self) -> bool {
        self.0 >> 63 != 0
    }

    /// Where the member starts whose key this is: at the key's quote.
    #[inline(always)]
    pub fn member_start(self) -> usize {
        (self.0 as u32 as usize).saturating_sub(1)
    }
}

/// The text is refused; [`Scan::bad`] has the reason. Without content, so that results stay in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// Walks `'a` text with the help of its `'m` marks.
#[derive(Debug, Clone)]
pub struct Scan<'a, 'm> {
    text: &'a str,
    bytes: &'a [u8],
    marks: &'m Marks,
    pub at: usize,
    /// Blanks were seen between tokens.
    pub spaced: bool,
    /// A lone surrogate was seen.
    pub lone: bool,
    fault: Option<Fault>,
}

impl<'a, 'm> Scan<'a, 'm> {
    /// Starts at the beginning of `text`; `marks` is filled with its marks.
    pub fn new(text: &'a str, marks: &'m mut Marks) -> Self {
        marks.fill(text.as_bytes());
        Self { text, bytes: text.as_bytes(), marks, at: 0, spaced: false, lone: false, fault: None }
    }

    /// A part of the text.
    #[inline(always)]
    pub fn bytes(&self, range: std::ops::Range<usize>) -> &'a [u8] {
        &self.bytes[range]
    }

    /// Why the text was refused, and where.
    pub fn bad(&self) -> BadJson {
        BadJson { at: self.at, what: self.fault.unwrap_or(Fault::Value) }
    }

    #[cold]
    fn stop<T>(&mut self, fault: Fault) -> Result<T, Stop> {
        self.fault = Some(fault);
        Err(Stop)
    }

    #[inline(always)]
    fn byte(&self) -> u8 {
        // No token starts with a NUL, so it stands for the end.
        if self.at < self.bytes.len() { self.bytes[self.at] } else { 0 }
    }

    /// The next byte after blanks, not taken; 0 at the end.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' { byte } else { self.peek_after_blanks() }
    }

    #[cold]
    fn peek_after_blanks(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
            self.spaced = true;
        }
        self.byte()
    }

    /// Takes `{`; whether there is a first member.
    #[inline]
    pub fn enter_object(&mut self) -> Result<bool, Stop> {
        debug_assert_eq!(self.byte(), b'{');
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes a member's key and colon. The value is next.
    #[inline]
    pub fn key(&mut self) -> Result<Span, Stop> {
        if self.peek() != b'"' {
            return self.stop(Fault::Key);
        }
        let key = self.string()?;
        if self.peek() != b':' {
            return self.stop(Fault::Colon);
        }
        self.at += 1;
        self.peek();
        Ok(key)
    }

    /// Takes what follows a member: whether there is another one.
    #[inline(always)]
    pub fn next_member(&mut self) -> Result<bool, Stop> {
        match self.peek() {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                Ok(false)
            }
            _ => self.stop(Fault::Member),
        }
    }

    /// Takes members as long as they are compact and their values are strings without escapes, which most members of an
    /// event are, and gives each to `member` as it stands. The scanner stands at a key; whether it still does, or took
    /// the brace that ends the object. The place is kept in a register here, not in `self`: each step waits for it.
    #[inline]
    pub fn plain_members(&mut self, mut member: impl FnMut(&'a [u8])) -> bool {
        let bytes = self.bytes;
        let mut at = self.at;
        loop {
            if bytes.get(at) != Some(&b'"') {
                break;
            }
            let key_end = self.marks.next(at + 1);
            if bytes.get(key_end..key_end + 3) != Some(b"\":\"") {
                break;
            }
            let end = self.marks.next(key_end + 3);
            let Some(&[b'"', after]) = bytes.get(end..end + 2) else { break };
            if after != b',' && after != b'}' {
                break;
            }
            member(&bytes[at..=end]);
            at = end + 2;
            if after == b'}' {
                self.at = at;
                return false;
            }
        }
        self.at = at;
        true
    }

    /// Nothing but blanks may be left.
    pub fn finish(&mut self) -> Result<(), Stop> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { self.stop(Fault::Trailing) }
    }

    /// Takes any value. `depth` is the number of containers around it.
    pub fn value(&mut self, depth: u32) -> Result<(), Stop> {
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'{' => {
                let depth = self.deeper(depth)?;
                let mut more = self.enter_object()?;
                while more {
                    self.key()?;
                    self.value(depth)?;
                    more = self.next_member()?;
                }
                Ok(())
            }
            b'[' => {
                let depth = self.deeper(depth)?;
                self.at += 1;
                if self.peek() == b']' {
                    self.at += 1;
                    return Ok(());
                }
                loop {
                    self.value(depth)?;
                    match self.peek() {
                        b',' => self.at += 1,
                        b']' => break self.at += 1,
                        _ => return self.stop(Fault::Element),
                    }
                }
                Ok(())
            }
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            0 if self.at >= self.bytes.len() => self.stop(Fault::Ends),
            _ => self.stop(Fault::Value),
        }
    }

    /// The depth inside a container that starts here.
    #[inline]
    pub fn deeper(&mut self, depth: u32) -> Result<u32, Stop> {
        if depth >= DEPTH_MAX { self.stop(Fault::Depth) } else { Ok(depth + 1) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.stop(Fault::Word);
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { self.stop(Fault::Digit) } else { Ok(()) }
    }

    /// Takes a number: its text.
    pub fn number(&mut self) -> Result<&'a str, Stop> {
        let start = self.at;
        if self.byte() == b'-' {
            self.at += 1;
        }
        match self.byte() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        let mut may_overflow = self.at - start > 300;
        if matches!(self.byte(), b'e' | b'E') {
            may_overflow = true;
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        // A number beyond f64 is refused, by the one judge of that, so that what passes here can be read later.
        if may_overflow && serde_json::from_str::<serde_json::Number>(text).is_err() {
            return self.stop(Fault::Range);
        }
        Ok(text)
    }

    /// Takes a string; the scanner stands on its opening quote.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Span, Stop> {
        let start = self.at + 1;
        let at = self.marks.next(start);
        if self.bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Ok(Span::new(start, at, false));
        }
        self.string_with_escapes(start, at)
    }

    fn string_with_escapes(&mut self, start: usize, mut at: usize) -> Result<Span, Stop> {
        loop {
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Span::new(start, at, true));
                }
                Some(b'\\') => at = self.escape(at)?.1,
                other => return self.string_error(at, other.is_none()),
            }
            at = self.marks.next(at);
        }
    }

    /// Takes a string and undoes its escapes in the same walk: borrowed when there are none, else in `scratch`.
    pub fn string_decoded<'s>(&mut self, scratch: &'s mut String) -> Result<Decoded<'a, 's>, Stop> {
        let start = self.at + 1;
        let mut run = start;
        let mut at = start;
        scratch.clear();
        loop {
            at = self.marks.next(at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    let last = &self.text[run..at];
                    if run == start {
                        return Ok(Decoded::Borrowed(last));
                    }
                    scratch.push_str(last);
                    return Ok(Decoded::Scratch(scratch));
                }
                Some(b'\\') => {
                    scratch.push_str(&self.text[run..at]);
                    let (c, next) = self.escape(at)?;
                    scratch.push(c);
                    (run, at) = (next, next);
                }
                other => return self.string_error(at, other.is_none()),
            }
        }
    }

    #[cold]
    fn string_error<T>(&mut self, at: usize, end: bool) -> Result<T, Stop> {
        self.at = at;
        self.stop(if end { Fault::Ends } else { Fault::Control })
    }

    /// Reads the escape at `at`: its character, and where it ends.
    #[inline]
    fn escape(&mut self, at: usize) -> Result<(char, usize), Stop> {
        let c = match self.bytes.get(at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(at),
            _ => {
                self.at = at;
                return self.stop(Fault::Escape);
            }
        };
        Ok((c, at + 2))
    }

    fn unicode_escape(&mut self, at: usize) -> Result<(char, usize), Stop> {
        let Some(first) = self.hex4(at + 2) else {
            self.at = at;
            return self.stop(Fault::Unicode);
        };
        let next = at + 6;
        if let Some(c) = char::from_u32(first) {
            return Ok((c, next));
        }
        if first < 0xdc00
            && self.bytes[next..].starts_with(b"\\u")
            && let Some(second @ 0xdc00..=0xdfff) = self.hex4(next + 2)
        {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), next + 6));
        }
        self.lone = true;
        Ok((char::REPLACEMENT_CHARACTER, next))
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |n, &d| Some(n * 16 + char::from(d).to_digit(16)?))
    }
}

/// A string without its escapes.
#[derive(Debug)]
pub enum Decoded<'a, 's> {
    Borrowed(&'a str),
    Scratch(&'s str),
}
