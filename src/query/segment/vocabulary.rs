//! Which dictionaries a word could be in at all.
//!
//! A bare word is looked for in every dictionary of keywords and identifiers, which means reading each from end to end:
//! a word may stand in the middle of a value. But the values of one name are alike (ids are hexadecimal in runs of 4, 8
//! and 12, addresses are digits), so for each name two masks are kept: the characters that its words have, and their lengths.
//! Most words fail both for the large dictionaries. A segment never changes, so its masks are made once and kept while
//! the process runs: about 40 bytes a name.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::index::SegmentId;
use tantivy::schema::Field;

use super::{Segment, Stop};
use crate::query::ast::Test;
use crate::query::glob::{Glob, Step, is_word_char};

/// The vocabularies of segments that were searched; those of segments that merges took away are forgotten in time.
pub type Vocabularies = Kept<(SegmentId, Field), Vocabulary>;

/// What was made of segments, which never change, and is of use to later queries.
pub struct Kept<K, V: ?Sized>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V: ?Sized> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: ?Sized> Kept<K, V> {
    /// What is known under `key`, or what `make` gives. Two queries may both make it: neither waits for the other.
    pub fn get<E>(&self, key: K, make: impl FnOnce() -> Result<Arc<V>, E>) -> Result<Arc<V>, E> {
        if let Some(known) = self.0.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = make()?;
        let mut known = self.0.lock();
        if known.len() >= SEGMENTS_MAX {
            known.clear();
        }
        known.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

/// Segments remembered at once.
const SEGMENTS_MAX: usize = 4_096;

/// The names of one JSON field of one segment, each with what its words are made of.
pub struct Vocabulary(Vec<(Vec<u8>, Words)>);

/// What the words of some values are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words {
    /// ASCII characters, lower-cased, by their code.
    chars: u128,
    /// Lengths in bytes, all from 63 on as one.
    lengths: u64,
    /// Lower-casing what is not ASCII can give ASCII: nothing is ruled out then.
    others: bool,
}

impl Words {
    pub(super) fn add(&mut self, value: &[u8]) {
        let mut len = 0u32;
        for &byte in value {
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                self.chars |= 1 << byte.to_ascii_lowercase();
                len += 1;
            } else {
                self.end(&mut len);
                self.others |= !byte.is_ascii();
            }
        }
        self.end(&mut len);
    }

    fn end(&mut self, len: &mut u32) {
        if *len > 0 {
            self.lengths |= 1 << (*len).min(63);
        }
        *len = 0;
    }

    /// Whether a value can have what is asked for.
    pub fn may_fit(&self, test: &Test) -> bool {
        if self.others {
            return true;
        }
        match test {
            // Words, each of them lower-cased.
            Test::Value { words, .. } => words.iter().all(|word| {
                let len = word.len().min(63);
                self.lengths >> len & 1 == 1 && word.chars().all(|c| self.has(c))
            }),
            Test::Wildcard { words, .. } => words.iter().all(|word| self.may_have(word)),
            _ => true,
        }
    }

    fn may_have(&self, word: &Glob) -> bool {
        let fixed = word.0.iter().filter(|step| !matches!(step, Step::Many)).count().min(63);
        let long_enough = self.lengths >> fixed != 0;
        let chars = word.0.iter().all(|step| !matches!(step, Step::Char(c) if is_word_char(*c) && !self.has(*c)));
        long_enough && chars
    }

    fn has(&self, c: char) -> bool {
        c.is_ascii() && self.chars >> (c as u32) & 1 == 1
    }
}

impl Segment<'_> {
    /// The vocabulary of the keywords: by path.
    pub(super) fn keyword_vocabulary(&self) -> Result<Arc<Vocabulary>, Stop> {
        let key = (self.reader.segment_id(), self.shard.fields.kw);
        let read = || Ok(Arc::new(Vocabulary(self.read_keyword_vocabulary()?)));
        self.language.learned.vocabularies.get(key, read)
    }

    /// The vocabulary of the identifiers: by the beginning of their terms (the path, a NUL, an `s`).
    pub(super) fn identifier_vocabulary(&self) -> Result<Arc<Vocabulary>, Stop> {
        let key = (self.reader.segment_id(), self.shard.fields.ident);
        self.language.learned.vocabularies.get(key, || self.read_identifier_vocabulary().map(Arc::new))
    }

    fn read_identifier_vocabulary(&self) -> Result<Vocabulary, Stop> {
        let index = self.reader.inverted_index(self.shard.fields.ident)?;
        let mut terms = index.terms().stream()?;
        let mut names: Vec<(Vec<u8>, Words)> = Vec::new();
        let mut nth = 0u32;
        while terms.advance() {
            nth += 1;
            if nth.is_multiple_of(4096) {
                self.check()?;
            }
            let key = terms.key();
            let Some(end) = memchr::memchr(0, key) else { continue };
            let [b's', value @ ..] = &key[end + 1..] else { continue };
            let prefix = &key[..end + 2];
            match names.last_mut() {
                Some((name, words)) if name == prefix => words.add(value),
                _ => {
                    let mut words = Words::default();
                    words.add(value);
                    names.push((prefix.to_vec(), words));
                }
            }
        }
        Ok(Vocabulary(names))
    }
}

impl Vocabulary {
    /// The names whose values can have what is asked for.
    pub fn may_fit<'v>(&'v self, test: &'v Test) -> impl Iterator<Item = &'v [u8]> {
        self.0.iter().filter(|(_, words)| words.may_fit(test)).map(|(name, _)| name.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::matches::bare_fits_str;
    use crate::query::parse;

    #[test]
    fn words_are_ruled_out_by_characters_and_lengths() {
        let mut ids = Words::default();
        ids.add(b"2adca668-7f0b-4622-8be2-e123a56ef5cf");
        ids.add(b"0011EE79-7f0b-4622-8be2-e123a56ef5cd");
        for (word, fits) in [
            ("failed", false),
            ("decade", false),
            ("2ADCA668", true),
            ("cafe", true),
            ("cafebabe0123", true),
            ("7f0", false),
        ] {
            assert_eq!(ids.may_fit(&Test::value(word)), fits, "{word}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_fits_is_ruled_out(
            values in prop::collection::vec("[a-cA-C0-2_é\u{212a}. -]{0,12}", 1..5),
            query in "[a-ckA-C0-2_é*?]{1,6}|\"[a-c0-2é. ]{1,9}\"",
        ) {
            let mut words = Words::default();
            values.iter().for_each(|value| words.add(value.as_bytes()));
            if let Ok(crate::query::Expr::Leaf(leaf)) = parse(&query)
                && values.iter().any(|value| bare_fits_str(&leaf.test, value))
            {
                // A text without words is looked for as it stands.
                let wordless = matches!(&leaf.test, Test::Value { words, .. } if words.is_empty());
                prop_assert!(wordless || words.may_fit(&leaf.test), "{} in {:?}", query, values);
            }
        }
    }
}
