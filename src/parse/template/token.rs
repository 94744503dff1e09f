//! From a line to tokens: constant words, punctuation, and values that are seen to be values at first sight.
//!
//! A stop at the end of a word or a run of dots is kept for show; lines with and without it are the same.
//!
//! A value is what has a digit in it (numbers, addresses, ids, dates, durations), a path, a URL, a mail address, or a
//! long hexadecimal word. Values that stand side by side are one value, however many there are, so that lists of any length and times
//! with any number of parts leave the same tokens. Everything is decided in one pass over the bytes.

use super::class::{AT, DIGIT, DOT, LETTER, NOT_HEX, PUNCT, SLASH, SPACE, class, ends_word, is_calendar_word, is_unit};
use super::hash::{hash_word, mix};

/// Tokens a line is looked at for; what comes after them is one value.
pub const TOKENS_MAX: usize = 160;
/// Bytes a line is looked at for; what comes after them is one value.
pub const LINE_BYTES_MAX: usize = 8 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A constant, for all one line can tell.
    Word,
    /// One of `= : , ; ( ) [ ] { } < > " ' |`.
    Punct,
    /// Seen to be a value.
    Value,
}

/// A piece of a line, as byte offsets into it.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    pub start: u32,
    pub end: u32,
    /// Of a word's text or a punctuation's byte; the same number for every value.
    pub hash: u64,
    pub kind: Kind,
    /// No blank stands between this and the token before.
    pub glued: bool,
    /// A word of symbols only (`-`, `****`): between two values it belongs to them.
    symbol: bool,
}

/// The hash of every value.
pub const VALUE_HASH: u64 = 0x5ee3_e7a1_d20b_9f4d;

/// A line's tokens. Reused from line to line, so that reading a line allocates nothing.
#[derive(Debug, Default)]
pub struct Tokens {
    list: Vec<Token>,
}

impl Tokens {
    pub fn list(&self) -> &[Token] {
        &self.list
    }

    /// A number that lines share exactly if their tokens do.
    pub fn shape(&self) -> u64 {
        self.list.iter().fold(self.list.len() as u64, |hash, token| mix(hash, token.hash))
    }

    /// Reads a line, from byte `from` on.
    pub fn read(&mut self, line: &str, from: usize) {
        self.list.clear();
        let all = line.as_bytes();
        let mut cut = all.len().min(LINE_BYTES_MAX);
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        let bytes = &all[..cut];
        let (mut at, mut blank) = (from.min(cut), true);
        while let Some(&byte) = bytes.get(at) {
            let found = class(byte);
            if found & SPACE != 0 {
                (at, blank) = (at + 1, true);
                continue;
            }
            if self.list.len() >= TOKENS_MAX {
                break;
            }
            // Leader dots (`done.......0`) part words and mean nothing.
            if byte == b'.' && bytes.get(at + 1) == Some(&b'.') {
                at += bytes[at..].iter().take_while(|b| **b == b'.').count();
                if let Some(last) = self.list.last_mut().filter(|last| last.kind == Kind::Word && !blank) {
                    last.end = at as u32;
                }
                blank = true;
                continue;
            }
            at = self.step(bytes, at, found, !blank);
            blank = false;
        }
        if at < all.len() {
            self.value(bytes, at, all.len(), false);
        }
    }

    /// Reads what starts at `at` and gives where it ends.
    fn step(&mut self, bytes: &[u8], at: usize, found: u8, glued: bool) -> usize {
        let after_punct = self.list.last().is_none_or(|last| last.kind == Kind::Punct);
        if (!glued || after_punct)
            && let Some(end) = path_end(bytes, at).or_else(|| address_end(bytes, at))
        {
            self.value(bytes, at, end, glued);
            return end;
        }
        if found & PUNCT != 0 {
            // `lifetime <1 sec`: less than a number is a number.
            if bytes[at] == b'<' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
                return self.word_at(bytes, at + 1, glued);
            }
            if bytes[at] == b'"'
                && glued
                && self.list.last().is_some_and(|last| bytes[last.start as usize] == b'=')
                && let Some(length) = memchr::memchr(b'"', &bytes[at + 1..])
            {
                let end = at + length + 2;
                self.quoted(bytes, at, end);
                return end;
            }
            self.punct(bytes, at, glued);
            return at + 1;
        }
        self.word_at(bytes, at, glued)
    }

    /// `key="any text"`: what is quoted after an equals sign is one word, blanks and all.
    fn quoted(&mut self, bytes: &[u8], start: usize, end: usize) {
        let text = &bytes[start..end];
        if text.len() == 2 || text.iter().any(u8::is_ascii_digit) {
            self.value(bytes, start, end, true);
        } else {
            self.push(start, end, hash_word(text), Kind::Word, true);
        }
    }

    fn word_at(&mut self, bytes: &[u8], start: usize, glued: bool) -> usize {
        let mut found = 0;
        let rest = &bytes[start..];
        let ends = |byte: &u8| {
            let kind = class(*byte);
            let ends = kind & (SPACE | PUNCT) != 0;
            found |= if ends { 0 } else { kind };
            ends
        };
        let mut length = rest.iter().position(ends).unwrap_or(rest.len());
        if found & DOT != 0
            && let Some(dots) = rest[..length].windows(2).position(|pair| pair == b"..")
            && dots > 0
        {
            length = dots;
            found = rest[..length].iter().fold(0, |found, byte| found | class(*byte));
        }
        let end = start + length;
        if rest[length..].starts_with(b"://") {
            let end = value_end(bytes, end);
            self.value(bytes, start, end, glued);
            return end;
        }
        if found & (DOT | DIGIT) == DOT
            && let Some(end) = port_end(bytes, end)
        {
            self.value(bytes, start, end, glued);
            return end;
        }
        // The stop that ends a sentence is not part of its last word.
        let text = &rest[..length];
        let kept = text.len() - text.iter().rev().take_while(|b| matches!(b, b'.' | b'!' | b'?')).count();
        let text = if kept == 0 { text } else { &text[..kept] };
        if found & DIGIT != 0 || found & NOT_HEX == 0 && text.len() >= 8 || is_name_of_thing(text, found) {
            self.value(bytes, start, start + text.len(), glued);
        } else {
            self.word(text, start, end, found & LETTER == 0, glued);
        }
        end
    }

    /// Adds a word; `text` is all of it but the stop that ends its sentence, which is shown and means nothing.
    fn word(&mut self, text: &[u8], start: usize, end: usize, symbol: bool, glued: bool) {
        if let Some(last) = self.list.last_mut()
            && last.kind == Kind::Value
            && (is_unit(text) || is_calendar_word(text))
        {
            last.end = end as u32;
            return;
        }
        self.push(start, end, hash_word(text), Kind::Word, glued);
        if let Some(last) = self.list.last_mut() {
            last.symbol = symbol;
        }
    }

    /// Adds a value, or makes it part of the one before.
    fn value(&mut self, bytes: &[u8], start: usize, end: usize, glued: bool) {
        let mut start = start as u32;
        let mut first_glued = glued;
        if let [.., before, between] = &self.list[..]
            && before.kind == Kind::Value
            && (between.symbol || joins(bytes, between, glued))
        {
            self.list.pop();
        }
        // `Jun 14`, `Sat Jun 14`
        while let Some(last) = self.list.last()
            && last.kind == Kind::Word
            && !glued
            && is_calendar_word(&bytes[last.start as usize..last.end as usize])
        {
            (start, first_glued) = (last.start, last.glued);
            self.list.pop();
        }
        match self.list.last_mut() {
            Some(last) if last.kind == Kind::Value => last.end = end as u32,
            _ => self.push(start as usize, end, VALUE_HASH, Kind::Value, first_glued),
        }
    }

    fn punct(&mut self, bytes: &[u8], at: usize, glued: bool) {
        let opened_by = match bytes[at] {
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            _ => 0,
        };
        if glued && opened_by != 0 {
            let opened = |token: &Token| token.kind == Kind::Punct && bytes[token.start as usize] == opened_by;
            match &self.list[..] {
                // Nothing between brackets is a value that is empty this time.
                [.., last] if opened(last) => self.push(at, at, VALUE_HASH, Kind::Value, true),
                // `node-[3-7]`: the word was waiting for its number.
                [.., word, open, value]
                    if opened(open)
                        && open.glued
                        && value.kind == Kind::Value
                        && word.kind == Kind::Word
                        && bytes[word.end as usize - 1] == b'-' =>
                {
                    let (start, glued) = (word.start as usize, word.glued);
                    self.list.truncate(self.list.len() - 3);
                    self.value(bytes, start, at + 1, glued);
                    return;
                }
                _ => {}
            }
        }
        self.push(at, at + 1, u64::from(bytes[at]), Kind::Punct, glued);
    }

    fn push(&mut self, start: usize, end: usize, hash: u64, kind: Kind, glued: bool) {
        self.list.push(Token { start: start as u32, end: end as u32, hash, kind, glued, symbol: false });
    }
}

/// Whether the punctuation between two values makes them one: `10.0.0.1:80`, `3,4,5`, and lists with blanks.
fn joins(bytes: &[u8], between: &Token, glued: bool) -> bool {
    between.kind == Kind::Punct
        && match bytes[between.start as usize] {
            b',' => true,
            b':' | b'=' | b'|' => between.glued && glued,
            _ => false,
        }
}

/// The end of a path that starts here: `/var/log`, `C:\Windows`.
fn path_end(bytes: &[u8], at: usize) -> Option<usize> {
    let starts = match bytes[at] {
        b'/' => bytes.get(at + 1).is_some_and(|b| !ends_word(*b)),
        letter => letter.is_ascii_alphabetic() && bytes[at + 1..].starts_with(b":\\"),
    };
    starts.then(|| {
        let end = value_end(bytes, at);
        end - bytes[at..end].iter().rev().take_while(|b| b".,:;!?".contains(b)).count()
    })
}

/// The end of an address of hexadecimal groups that starts here: IPv6 (`fe80::1`), or of a network card.
fn address_end(bytes: &[u8], at: usize) -> Option<usize> {
    let is_group = |b: &u8| b.is_ascii_hexdigit() || *b == b':';
    // Most words are told apart by their first byte, nearly all others by their fifth.
    if !is_group(&bytes[at]) || !bytes[at..].iter().take(5).any(|b| *b == b':') {
        return None;
    }
    let length = bytes[at..].iter().take_while(|b| is_group(b)).count();
    let text = bytes[at..at + length].strip_suffix(b":").unwrap_or(&bytes[at..at + length]);
    let end = at + text.len();
    let colons = text.iter().filter(|b| **b == b':').count();
    let groups_fit = text.split(|b| *b == b':').all(|group| group.len() <= 4);
    let numbers = text.iter().any(u8::is_ascii_digit) || colons >= 5;
    (colons >= 2 && groups_fit && numbers && bytes.get(end).is_none_or(|b| ends_word(*b))).then_some(end)
}

/// A relative path, a name within something that has a dotted name (an image, a class of a package), a mail address.
fn is_name_of_thing(text: &[u8], found: u8) -> bool {
    let has = |byte: u8| text.contains(&byte);
    found & SLASH != 0 && (has(b'.') || text.iter().filter(|b| **b == b'/').count() > 1)
        || found & AT != 0 && found & LETTER != 0 && has(b'.') && text[0] != b'@'
}

/// Where a path or a URL ends: at a blank, a quote, a bracket, a comma.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let ends = |b: &u8| class(*b) & SPACE != 0 || b"\"'<>()[];,".contains(b);
    bytes[at..].iter().position(ends).map_or(bytes.len(), |length| at + length)
}

/// The end of a port after a dotted name: `db.example.org:5432`.
fn port_end(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = bytes.get(at + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let end = at + 1 + digits;
    (bytes[at] == b':' && (1..=5).contains(&digits) && bytes.get(end).is_none_or(|b| ends_word(*b))).then_some(end)
}
