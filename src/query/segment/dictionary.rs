//! Walks over a segment's terms (identifiers, words), and what a column's numbers were as text.

use tantivy::postings::Postings;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, InvertedIndexReader, TERMINATED};

use super::{Segment, Stop};
use crate::query::ast::Test;
use crate::query::bits::Bits;
use crate::query::matches::UNSEARCHED;
use crate::query::number::Num;
use crate::record::PATH_SEPARATOR;
use crate::record::time::format_rfc3339;

impl Segment<'_> {
    pub(super) fn add_postings(
        &self,
        index: &InvertedIndexReader,
        info: &tantivy::postings::TermInfo,
        docs: &mut Bits,
    ) -> Result<(), Stop> {
        let mut postings = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        debug_assert!(postings.term_freq() > 0 || postings.doc() == TERMINATED);
        while postings.doc() != TERMINATED {
            docs.set(postings.doc());
            postings.advance();
        }
        Ok(())
    }

    /// Adds the documents of every term behind `prefix` whose rest fits.
    pub(super) fn dictionary(
        &self,
        index: &InvertedIndexReader,
        prefix: &str,
        docs: &mut Bits,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), Stop> {
        let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut nth = 0u32;
        while terms.advance() {
            let Some(value) = terms.key().strip_prefix(prefix.as_bytes()) else { break };
            nth += 1;
            if nth.is_multiple_of(4096) {
                self.check()?;
            }
            if std::str::from_utf8(value).is_ok_and(&fits) {
                self.add_postings(index, &terms.value().clone(), docs)?;
            }
        }
        Ok(())
    }

    /// Calls `each` with every identifier of a name and the documents that have it.
    pub fn each_identifier(
        &self,
        name: &str,
        mut each: impl FnMut(&str, &mut dyn Iterator<Item = u32>),
    ) -> Result<(), Stop> {
        let index = self.reader.inverted_index(self.shard.fields.ident)?;
        let prefix = format!("{}\0s", name.replace('.', "\u{1}"));
        let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut nth = 0u32;
        while terms.advance() {
            let Some(value) = terms.key().strip_prefix(prefix.as_bytes()) else { break };
            nth += 1;
            if nth.is_multiple_of(4096) {
                self.check()?;
            }
            let Ok(text) = std::str::from_utf8(value) else { continue };
            let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            let mut docs = std::iter::from_fn(|| {
                let doc = postings.doc();
                (doc != TERMINATED).then(|| {
                    postings.advance();
                    doc
                })
            });
            each(text, &mut docs);
        }
        Ok(())
    }

    /// Whether any document has an identifier of that name.
    pub fn has_identifiers(&self, name: &str) -> Result<bool, Stop> {
        let index = self.reader.inverted_index(self.shard.fields.ident)?;
        let prefix = format!("{}\0s", name.replace('.', "\u{1}"));
        let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        Ok(terms.advance() && terms.key().starts_with(prefix.as_bytes()))
    }

    /// Calls `each` with every identifier of a name and how many documents have it.
    pub fn each_identifier_count(&self, name: &str, mut each: impl FnMut(&str, u64)) -> Result<(), Stop> {
        let index = self.reader.inverted_index(self.shard.fields.ident)?;
        let prefix = format!("{}\0s", name.replace('.', "\u{1}"));
        let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut nth = 0u32;
        while terms.advance() {
            let Some(value) = terms.key().strip_prefix(prefix.as_bytes()) else { break };
            nth += 1;
            if nth.is_multiple_of(4096) {
                self.check()?;
            }
            if let Ok(text) = std::str::from_utf8(value) {
                each(text, u64::from(terms.value().doc_freq));
            }
        }
        Ok(())
    }

    /// Adds the documents of every identifier that bare words look into and that fits.
    pub(super) fn bare_identifiers(
        &self,
        docs: &mut Bits,
        test: &Test,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), Stop> {
        let index = self.reader.inverted_index(self.shard.fields.ident)?;
        for prefix in self.identifier_vocabulary()?.may_fit(test) {
            let path = std::str::from_utf8(&prefix[..prefix.len() - 2]);
            if !path.is_ok_and(is_unsearched)
                && let Ok(prefix) = std::str::from_utf8(prefix)
            {
                self.dictionary(&index, prefix, docs, &fits)?;
            }
        }
        Ok(())
    }
}

pub(super) fn is_unsearched(path: &str) -> bool {
    let top = path.split([PATH_SEPARATOR, '.']).next().unwrap_or_default();
    UNSEARCHED.contains(&top)
}

pub(super) fn signed(n: i64) -> Num {
    u64::try_from(n).map_or(Num::I(n), Num::U)
}

/// A column of floats holds the integers among its values as floats; a record prints them as integers.
pub(super) fn integral(n: f64) -> Num {
    if n.fract() == 0.0 && n.abs() < 9e15 { signed(n as i64) } else { Num::F(n) }
}

/// A stamp's text when it is a time of day and no instant.
pub fn time_of_day(n: i64) -> Option<String> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    let (s, us) = (n / 1_000_000, n % 1_000_000);
    (0..MICROS_PER_DAY).contains(&n).then(|| format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60))
}

/// The texts that a stamp's number may have been: a time of day, or an instant with any of the usual precisions.
pub(super) fn stamp_texts(n: i64) -> Vec<String> {
    let mut texts = Vec::with_capacity(2);
    if let Some(text) = time_of_day(n) {
        texts.push(text);
    } else {
        let text = format_rfc3339(n);
        if let Some(whole) = text.strip_suffix(".000Z") {
            texts.push(format!("{whole}Z"));
        }
        texts.push(text);
    }
    texts
}
