//! Documents by a word or a value in no field in particular.

use std::borrow::Cow;

use tantivy::columnar::DynamicColumn;
use tantivy::query::{EnableScoring, PhraseQuery, Query};
use tantivy::{DocSet, InvertedIndexReader, TERMINATED, Term};

use super::dictionary::{integral, is_unsearched, signed};
use super::named::column_name;
use super::{Found, Segment, Stop};
use crate::query::ast::Test;
use crate::query::bits::Bits;
use crate::query::glob::{Glob, Step};
use crate::query::matches;
use crate::query::number::Num;
use crate::store::STAMP_PREFIX;
use crate::store::words::term_of;

impl Segment<'_> {
    pub(super) fn bare(&self, test: &Test) -> Result<Found, Stop> {
        let mut found = self.nothing();
        match test {
            Test::Range(_) => {}
            Test::Exists => found.sure = Bits::all(self.docs()),
            Test::Value { words, .. } if words.len() == 1 => self.bare_word(test, &words[0], &mut found)?,
            Test::Value { words, .. } if words.is_empty() => found.maybe = Bits::all(self.docs()),
            Test::Value { words, .. } => {
                self.phrase(words, &mut found.sure)?;
                // Across fields of a line that they cover, or within one value: all words are somewhere.
                let mut maybe = Bits::all(self.docs());
                for word in words {
                    if maybe.is_none() {
                        break;
                    }
                    let mut one = self.nothing();
                    let single = Test::Value { text: word.clone(), words: vec![word.clone()] };
                    self.bare_word(&single, word, &mut one)?;
                    one.sure.add(&one.maybe);
                    maybe = maybe.and(&one.sure);
                }
                found.maybe = maybe;
            }
            Test::Wildcard { words, .. } if words.len() == 1 && !words[0].is_anything() => {
                let glob = &words[0];
                let index = self.reader.inverted_index(self.shard.fields.text)?;
                // Terms are words; those that begin as the pattern does stand together.
                let prefix = glob.prefix();
                self.dictionary(&index, &prefix, &mut found.sure, |rest| {
                    prefix.is_empty() && glob.is_match(rest) || glob.is_match(&format!("{prefix}{rest}"))
                })?;
                self.bare_values(test, &mut found)?;
                let header = match (glob.0.first(), glob.0.get(1)) {
                    (Some(Step::Char(c)), Some(Step::Char(d))) => "iwef".contains(*c) && d.is_ascii_digit(),
                    (Some(Step::Char(c)), _) => "iwef".contains(*c),
                    _ => true,
                };
                // A line may write a number with zeros in front.
                let digits = glob.0.iter().all(|step| !matches!(step, Step::Char(c) if !c.is_ascii_digit()));
                if digits {
                    self.covered().for_each(|docs| found.maybe.add(&docs));
                } else if header {
                    let klog = self.known_grammars().filter(|(grammar, _)| grammar.name == "klog");
                    klog.for_each(|(_, docs)| found.maybe.add(&docs));
                }
            }
            Test::Wildcard { .. } | Test::Regex(_) => found.maybe = Bits::all(self.docs()),
        }
        // A stream's fields of other names than the usual ones are searched, for all its records.
        self.streams_where(|fields| matches::bare_matches(test, fields), &mut found.sure);
        Ok(found)
    }

    /// One word: in the text, as a keyword's or an identifier's word, as a number, as a part of a time, or in what only
    /// klog's header spells (`I0817`).
    pub(super) fn bare_word(&self, test: &Test, word: &str, found: &mut Found) -> Result<(), Stop> {
        let index = self.reader.inverted_index(self.shard.fields.text)?;
        let exact = term_of(word).1;
        self.text_word(&index, word, if exact { &mut found.sure } else { &mut found.maybe })?;
        self.bare_values(test, found)?;
        let header = word.as_bytes();
        // A line may write a number with zeros in front.
        if header.len() > 1 && header[0] == b'0' && header.iter().all(u8::is_ascii_digit) {
            let mut same = self.nothing();
            let number = Test::value(word.trim_start_matches('0'));
            let number = if word.bytes().all(|b| b == b'0') { Test::value("0") } else { number };
            for path in self.shard.paths().iter().filter(|path| !is_unsearched(path)) {
                for handle in self.reader.fast_fields().dynamic_column_handles(&column_name("num", path))? {
                    self.numbers(&handle.open()?, &number, &mut same);
                }
            }
            found.maybe.add(&same.sure);
            found.maybe.add(&same.maybe);
        }
        if let [b'i' | b'w' | b'e' | b'f', digits @ ..] = header
            && digits.len() == 4
            && digits.iter().all(u8::is_ascii_digit)
        {
            let number = |d: &[u8]| u64::from(d[0] - b'0') * 10 + u64::from(d[1] - b'0');
            let (mut month, mut day) = (self.nothing(), self.nothing());
            let equal = |n: u64| Test::value(n.to_string());
            self.columns("month", &equal(number(&digits[..2])), &mut month)?;
            self.columns("day", &equal(number(&digits[2..])), &mut day)?;
            month.sure.add(&month.maybe);
            day.sure.add(&day.maybe);
            found.maybe.add(&month.sure.and(&day.sure));
        }
        Ok(())
    }

    pub(super) fn text_word(&self, index: &InvertedIndexReader, word: &str, docs: &mut Bits) -> Result<(), Stop> {
        let term = Term::from_field_text(self.shard.fields.text, term_of(word).0);
        if let Some(info) = index.get_term_info(&term)? {
            self.add_postings(index, &info, docs)?;
        }
        Ok(())
    }

    pub(super) fn phrase(&self, words: &[String], sure: &mut Bits) -> Result<(), Stop> {
        if words.iter().any(|w| !term_of(w).1) {
            return Ok(());
        }
        let field = self.shard.fields.text;
        let query = PhraseQuery::new(words.iter().map(|w| Term::from_field_text(field, w)).collect());
        let weight = query.weight(EnableScoring::disabled_from_searcher(self.shard.searcher()))?;
        let mut docs = weight.scorer(self.reader, 1.0)?;
        while docs.doc() != TERMINATED {
            sure.set(docs.doc());
            docs.advance();
        }
        Ok(())
    }

    /// Every value outside the text index: keywords, identifiers, numbers, bools, times.
    pub(super) fn bare_values(&self, test: &Test, found: &mut Found) -> Result<(), Stop> {
        let needle = needle(test);
        let fits = |value: &str| {
            needle.as_deref().is_none_or(|needle| holds(needle, value)) && matches::bare_fits_str(test, value)
        };
        self.bare_keywords(&mut found.sure, test, fits)?;
        self.bare_identifiers(&mut found.sure, test, fits)?;
        let columns = self.reader.fast_fields();
        let digits = match test {
            Test::Value { text, .. } => text.bytes().any(|b| b.is_ascii_digit()),
            Test::Wildcard { words, .. } => words.iter().all(may_be_number),
            _ => true,
        };
        for path in self.shard.paths() {
            if is_unsearched(path) {
                continue;
            }
            let name = path.replace('.', "\u{1}");
            if digits {
                for handle in columns.dynamic_column_handles(&column_name("num", &name))? {
                    self.bare_numbers(&handle.open()?, test, found);
                }
                let stamp = format!("{STAMP_PREFIX}{name}");
                for handle in columns.dynamic_column_handles(&column_name("num", &stamp))? {
                    self.stamps(&handle.open()?, &mut found.sure, fits);
                }
            }
            if fits("true") || fits("false") {
                for handle in columns.dynamic_column_handles(&column_name("kw", &name))? {
                    if let DynamicColumn::Bool(column) = handle.open()? {
                        for doc in 0..self.docs() {
                            if column.values_for_doc(doc).any(|b| fits(if b { "true" } else { "false" })) {
                                found.sure.set(doc);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn bare_numbers(&self, column: &DynamicColumn, test: &Test, found: &mut Found) {
        // A whole number has one spelling, so it can be compared as a number; others are printed.
        let wanted = match test {
            Test::Value { words, .. } if words.len() == 1 => {
                let spelled = Num::parse(&words[0]).filter(|n| n.print() == words[0]);
                match (column, spelled) {
                    (DynamicColumn::U64(_) | DynamicColumn::I64(_), None) => return,
                    (_, spelled) => spelled,
                }
            }
            _ => None,
        };
        let integers = matches!(column, DynamicColumn::U64(_) | DynamicColumn::I64(_));
        let fits = |n: Num| match wanted {
            Some(wanted) if integers => n == wanted,
            _ => matches::bare_fits_str(test, &n.print()),
        };
        // -5 has the word 5.
        let fits = |n: Num| fits(n) || matches!(n, Num::I(i) if i < 0 && matches::bare_fits_str(test, &i.to_string()));
        for doc in 0..self.docs() {
            let any = match column {
                DynamicColumn::U64(c) => c.values_for_doc(doc).any(|n| fits(Num::U(n))),
                DynamicColumn::I64(c) => c.values_for_doc(doc).any(|n| fits(signed(n))),
                DynamicColumn::F64(c) => {
                    if c.values_for_doc(doc).any(|n| fits(Num::F(n)) || fits(integral(n))) {
                        found.maybe.set(doc);
                    }
                    false
                }
                _ => false,
            };
            if any {
                found.sure.set(doc);
            }
        }
    }

    /// The documents of the grammars whose lines are not tokenised.
    pub(super) fn covered(&self) -> impl Iterator<Item = Bits> {
        self.known_grammars().filter(|(grammar, _)| grammar.covers_line).map(|(_, docs)| docs)
    }
}

/// A cheap no: the words asked for are not even in the bytes. Case outside ASCII is left to the real test.
pub(super) fn quick(test: &Test, value: &str) -> bool {
    needle(test).is_none_or(|needle| holds(&needle, value))
}

/// What must stand in a value's words, lower-cased.
pub(super) fn needle(test: &Test) -> Option<Cow<'_, str>> {
    match test {
        Test::Value { words, .. } => words.first().map(|word| Cow::Borrowed(word.as_str())),
        Test::Wildcard { words, .. } => words.iter().flat_map(Glob::fragments).max_by_key(String::len).map(Cow::Owned),
        _ => None,
    }
}

/// Whether a number, or a time, can have such a word: `12*`, `nan`, `08t*`, and no word with another letter.
fn may_be_number(glob: &Glob) -> bool {
    let of_numbers = |c: char| !c.is_alphabetic() || "aefintz".contains(c);
    glob.0.iter().all(|step| !matches!(step, Step::Char(c) if !of_numbers(*c)))
}

fn holds(word: &str, value: &str) -> bool {
    if !word.is_ascii() || !value.is_ascii() || word.len() > value.len() {
        return !(word.is_ascii() && value.is_ascii());
    }
    let (word, value) = (word.as_bytes(), value.as_bytes());
    let (lower, upper) = (word[0], word[0].to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, &value[..=value.len() - word.len()])
        .any(|at| value[at..at + word.len()].eq_ignore_ascii_case(word))
}
