//! What a word is: the one definition that indexing, queries and highlighting share.
//!
//! A word is a maximal run of Unicode alphanumerics or `_`, lower-cased character by character. Log lines are ASCII
//! nearly throughout, so the scan goes by bytes and looks at characters only where a byte is not ASCII.

use std::borrow::Cow;
use std::ops::Range;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Name under which the tokenizer is registered with every index.
pub const TOKENIZER: &str = "words";

/// A posting holds at most this many bytes of a word. A longer one (a base64 blob) is indexed by its beginning, so a
/// query for it has to verify what it finds: [`term_of`] says so.
pub const TERM_BYTES_MAX: usize = 255;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Gap,
    Word,
    NotAscii,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Gap; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::Word,
            128.. => Class::NotAscii,
            _ => Class::Gap,
        };
        byte += 1;
    }
    classes
};

/// The words of a text in order, lower-cased; borrowed where nothing had to be lowered.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    spans(text).map(|span| lower(&text[span]))
}

/// Where the words of a text stand, in bytes.
pub fn spans(text: &str) -> Spans<'_> {
    Spans { text, at: 0 }
}

/// What the index holds for a lower-cased word, and whether that is the whole word.
pub fn term_of(word: &str) -> (&str, bool) {
    if word.len() <= TERM_BYTES_MAX {
        return (word, true);
    }
    (&word[..word.floor_char_boundary(TERM_BYTES_MAX)], false)
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len());
    push_lower(word, &mut out);
    Cow::Owned(out)
}

#[inline]
fn push_lower(word: &str, out: &mut String) {
    if word.is_ascii() {
        out.push_str(word);
        let start = out.len() - word.len();
        out[start..].make_ascii_lowercase();
    } else {
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
}

/// Iterator of [`spans`].
#[derive(Debug, Clone)]
pub struct Spans<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Spans<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let mut start = self.at;
        loop {
            match CLASSES[usize::from(*bytes.get(start)?)] {
                Class::Word => break,
                Class::Gap => start += 1,
                Class::NotAscii => match char_at(self.text, start) {
                    (true, _) => break,
                    (false, width) => start += width,
                },
            }
        }
        let mut end = start;
        while let Some(&byte) = bytes.get(end) {
            match CLASSES[usize::from(byte)] {
                Class::Word => end += 1,
                Class::Gap => break,
                Class::NotAscii => match char_at(self.text, end) {
                    (true, width) => end += width,
                    (false, _) => break,
                },
            }
        }
        self.at = end;
        Some(start..end)
    }
}

/// Whether the character at `at` belongs to a word, and its bytes.
#[cold]
fn char_at(text: &str, at: usize) -> (bool, usize) {
    text[at..].chars().next().map_or((false, 1), |c| (c.is_alphanumeric(), c.len_utf8()))
}

/// [`words`] as tantivy calls it while indexing: one token, reused from word to word.
#[derive(Clone, Default)]
pub struct WordTokenizer {
    token: Token,
}

/// Stream of a [`WordTokenizer`].
pub struct WordStream<'t> {
    spans: Spans<'t>,
    token: &'t mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'t> = WordStream<'t>;

    fn token_stream<'t>(&'t mut self, text: &'t str) -> WordStream<'t> {
        self.token.reset();
        WordStream { spans: spans(text), token: &mut self.token }
    }
}

impl TokenStream for WordStream<'_> {
    #[inline]
    fn advance(&mut self) -> bool {
        let Some(span) = self.spans.next() else { return false };
        let token = &mut *self.token;
        token.text.clear();
        push_lower(&self.spans.text[span.clone()], &mut token.text);
        let kept = term_of(&token.text).0.len();
        token.text.truncate(kept);
        token.offset_from = span.start;
        token.offset_to = span.end;
        token.position = token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(text: &str) -> Vec<String> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty())
            .map(|word| word.chars().flat_map(char::to_lowercase).collect())
            .collect()
    }

    fn tokens(text: &str) -> Vec<String> {
        let mut tokenizer = WordTokenizer::default();
        let mut stream = tokenizer.token_stream(text);
        let mut out = Vec::new();
        while stream.advance() {
            assert_eq!(stream.token().position, out.len());
            out.push(stream.token().text.clone());
        }
        out
    }

    #[test]
    fn words_of_lines() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
            assert_eq!(tokens(text), expected, "{text:?}");
        };
        check("", &[]);
        check(" \t.-", &[]);
        check("I0817 17:51:22.123456 Unable to sync", &["i0817", "17", "51", "22", "123456", "unable", "to", "sync"]);
        check("GET /api/v1/Pods?x=1&y_z=2", &["get", "api", "v1", "pods", "x", "1", "y_z", "2"]);
        check("caf\u{e9} M\u{dc}LLER", &["caf\u{e9}", "m\u{fc}ller"]);
        check("\u{4e2d}\u{6587}abc", &["\u{4e2d}\u{6587}abc"]);
        check("a\u{0}b\u{1f600}c", &["a", "b", "c"]);
        check("\u{130}x", &["i\u{307}x"]);
    }

    #[test]
    fn a_long_word_is_indexed_by_its_beginning() {
        let word = "x".repeat(300);
        assert_eq!(tokens(&word), [&word[..255]]);
        assert_eq!(term_of(&word), (&word[..255], false));
        let wide = "\u{fc}".repeat(200);
        assert_eq!(tokens(&wide), [&wide[..254]]);
    }

    proptest! {
        #[test]
        fn words_are_what_the_definition_says(text in "(\\PC|[a-zA-Z0-9_ .:/=-]){0,80}") {
            let expected = naive(&text);
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(tokens(&text), expected);
        }
    }
}
