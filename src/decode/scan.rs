//! A strict JSON scanner: walks a text once, left to right, and says where things are without building anything.
//!
//! It accepts what `serde_json` accepts, with two differences: containers nest at most [`DEPTH_MAX`] deep, and an
//! escaped surrogate without its partner is let through (and read as U+FFFD). The text is valid UTF-8 already, so
//! strings are not checked again.

/// Containers inside containers, the outermost included.
pub const DEPTH_MAX: u32 = 64;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct BadJson {
    pub at: usize,
    pub what: &'static str,
}

/// A string's content, between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    /// Whether it holds a backslash.
    pub escaped: bool,
}

#[derive(Debug, Clone)]
pub struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
    /// Blanks were seen between tokens.
    pub spaced: bool,
    /// A lone surrogate was seen.
    pub lone: bool,
}

impl<'a> Scan<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, spaced: false, lone: false }
    }

    /// A part of the text.
    #[inline(always)]
    pub fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        &self.bytes[start..end]
    }

    pub fn fail<T>(&self, what: &'static str) -> Result<T, BadJson> {
        Err(BadJson { at: self.at, what })
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
    pub fn enter_object(&mut self) -> Result<bool, BadJson> {
        debug_assert_eq!(self.byte(), b'{');
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes a member's key and colon: where the member starts, and the key. The value is next.
    #[inline]
    pub fn key(&mut self) -> Result<(usize, Span), BadJson> {
        if self.peek() != b'"' {
            return self.fail("expected a key in quotes");
        }
        let start = self.at;
        let key = self.string()?;
        if self.peek() != b':' {
            return self.fail("expected a colon");
        }
        self.at += 1;
        self.peek();
        Ok((start, key))
    }

    /// Takes what follows a member: whether there is another one.
    #[inline(always)]
    pub fn next_member(&mut self) -> Result<bool, BadJson> {
        match self.peek() {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                Ok(false)
            }
            _ => self.fail("expected a comma or a closing brace"),
        }
    }

    /// Nothing but blanks may be left.
    pub fn finish(&mut self) -> Result<(), BadJson> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { self.fail("trailing bytes after the value") }
    }

    /// Takes any value. `depth` is the number of containers around it.
    pub fn value(&mut self, depth: u32) -> Result<(), BadJson> {
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
                        _ => return self.fail("expected a comma or a closing bracket"),
                    }
                }
                Ok(())
            }
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            0 if self.at >= self.bytes.len() => self.fail("ends where a value is expected"),
            _ => self.fail("expected a value"),
        }
    }

    /// The depth inside a container that starts here.
    #[inline]
    pub fn deeper(&self, depth: u32) -> Result<u32, BadJson> {
        if depth >= DEPTH_MAX { self.fail("nested deeper than 64 levels") } else { Ok(depth + 1) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), BadJson> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fail("expected true, false or null");
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), BadJson> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { self.fail("expected a digit") } else { Ok(()) }
    }

    /// Takes a number: its text.
    pub fn number(&mut self) -> Result<&'a str, BadJson> {
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
            return self.fail("number out of range");
        }
        Ok(text)
    }

    /// Takes a string; the scanner stands on its opening quote.
    #[inline]
    pub fn string(&mut self) -> Result<Span, BadJson> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = special(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Span { start, end: at, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?.1;
                }
                other => return self.string_error(at, other.is_none()),
            }
        }
    }

    /// Takes a string and undoes its escapes in the same walk: borrowed when there are none, else in `scratch`.
    pub fn string_decoded<'s>(&mut self, scratch: &'s mut String) -> Result<Decoded<'a, 's>, BadJson> {
        let start = self.at + 1;
        let mut run = start;
        let mut at = start;
        scratch.clear();
        loop {
            at = special(self.bytes, at);
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
    fn string_error<T>(&mut self, at: usize, end: bool) -> Result<T, BadJson> {
        self.at = at;
        self.fail(if end { "string does not end" } else { "control character in a string" })
    }

    /// Reads the escape at `at`: its character, and where it ends.
    #[inline]
    fn escape(&mut self, at: usize) -> Result<(char, usize), BadJson> {
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
                return self.fail("unknown escape");
            }
        };
        Ok((c, at + 2))
    }

    fn unicode_escape(&mut self, at: usize) -> Result<(char, usize), BadJson> {
        let Some(first) = self.hex4(at + 2) else {
            self.at = at;
            return self.fail("\\u needs four hexadecimal digits");
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

/// The first `"`, `\` or control character from `at` on, or the end.
///
/// Eight bytes at a time in one register: strings are short (about 20 bytes), so a call into a wide search costs more
/// than it saves.
#[inline(always)]
fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // Each term has its high bit set in a byte that is zero (below 0x20 in the last); a borrow can only set bits
        // above the first true one, and the first is all that is read.
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] >= 0x20 && bytes[at] != b'"' && bytes[at] != b'\\' {
        at += 1;
    }
    at
}
