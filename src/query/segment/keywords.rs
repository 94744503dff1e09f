//! Documents by the keywords in a column.
//!
//! A keyword has no postings: its column has a dictionary, whose values have ordinals, and an ordinal for each document.
//! So the dictionary is asked which ordinals fit, and the ordinals are gone through once, some two per nanosecond.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, StrColumn};

use super::bare::needle;
use super::dictionary::is_unsearched;
use super::flat::Flat;
use super::named::column_name;
use super::vocabulary::Words;
use super::{Segment, Stop};
use crate::query::ast::Test;
use crate::query::bits::Bits;

/// A column is searched for so many ordinals one by one; for more it is read once.
const SEARCHED_ONE_BY_ONE: usize = 4;
/// Documents searched together, so that the list of those found stays small.
const SEARCHED_AT_ONCE: usize = 1 << 16;
/// Ordinals read together.
const READ_AT_ONCE: usize = 1024;

impl Segment<'_> {
    /// The keywords of a name, whose parts may be separated either way.
    pub(super) fn keyword_column(&self, path: &str) -> Result<Option<StrColumn>, Stop> {
        for handle in self.reader.fast_fields().dynamic_column_handles(&column_name("kw", path))? {
            if let DynamicColumn::Str(column) = handle.open()? {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }

    /// Adds the documents with this very keyword.
    pub(super) fn with_keyword(&self, column: &StrColumn, keyword: &str, docs: &mut Bits) -> Result<(), Stop> {
        if let Some(ordinal) = column.dictionary().term_ord(keyword.as_bytes())? {
            with_ordinals(column.ords(), &[ordinal], docs);
        }
        Ok(())
    }

    /// Adds the documents with a keyword of that name that fits the test.
    pub(super) fn with_keywords(
        &self,
        path: &str,
        column: &StrColumn,
        test: &Test,
        docs: &mut Bits,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), Stop> {
        let mut fitting = Vec::new();
        self.flat(path, column)?.each(needle(test).as_deref(), |ordinal, value| {
            if std::str::from_utf8(value).is_ok_and(&fits) {
                fitting.push(ordinal);
            }
        });
        with_ordinals(column.ords(), &fitting, docs);
        Ok(())
    }

    /// Adds the documents of every keyword that bare words look into and that fits.
    pub(super) fn bare_keywords(&self, docs: &mut Bits, test: &Test, fits: impl Fn(&str) -> bool) -> Result<(), Stop> {
        for path in self.keyword_vocabulary()?.may_fit(test) {
            if let Ok(path) = std::str::from_utf8(path)
                && !is_unsearched(path)
                && let Some(column) = self.keyword_column(path)?
            {
                self.with_keywords(path, &column, test, docs, &fits)?;
            }
        }
        Ok(())
    }

    /// The names that have keywords, each with what the words of its values are made of.
    pub(super) fn read_keyword_vocabulary(&self) -> Result<Vec<(Vec<u8>, Words)>, Stop> {
        let mut names = Vec::new();
        for path in self.shard.paths().iter() {
            let path = path.replace('.', "\u{1}");
            if let Some(column) = self.keyword_column(&path)? {
                let mut words = Words::default();
                self.each_keyword(&column, |_, value| words.add(value))?;
                names.push((path.into_bytes(), words));
            }
        }
        Ok(names)
    }

    /// The column's dictionary, unpacked.
    fn flat(&self, path: &str, column: &StrColumn) -> Result<Arc<Flat>, Stop> {
        self.language.learned.flats.get(self.reader.segment_id(), path, || {
            let (mut flat, mut fits) = (Flat::default(), true);
            self.each_keyword(column, |_, value| fits &= flat.push(value).is_some())?;
            if fits { Ok(flat.finish()) } else { Err(std::io::Error::other("a dictionary of more than 4 GiB").into()) }
        })
    }

    /// Calls `each` with every ordinal and its value, ascending.
    fn each_keyword(&self, column: &StrColumn, mut each: impl FnMut(u64, &[u8])) -> Result<(), Stop> {
        let mut terms = column.dictionary().stream()?;
        while terms.advance() {
            if terms.term_ord().is_multiple_of(4096) {
                self.check()?;
            }
            each(terms.term_ord(), terms.key());
        }
        Ok(())
    }
}

/// Adds the documents that have a value.
pub(super) fn with_value(column: &Column<u64>, docs: &mut Bits) {
    match &column.index {
        ColumnIndex::Empty { .. } => {}
        ColumnIndex::Full => docs.add(&Bits::all(column.num_docs())),
        ColumnIndex::Optional(index) => index.iter_non_null_docs().for_each(|doc| docs.set(doc)),
        index @ ColumnIndex::Multivalued(_) => {
            (0..column.num_docs()).filter(|doc| index.has_value(*doc)).for_each(|doc| docs.set(doc));
        }
    }
}

/// Adds the documents that have a value in `range`.
pub(super) fn with_range<T: PartialOrd + Copy + Debug + Send + Sync + 'static>(
    column: &Column<T>,
    range: RangeInclusive<T>,
    docs: &mut Bits,
) {
    if *range.start() > column.max_value() || *range.end() < column.min_value() {
        return;
    }
    let mut found = Vec::new();
    for start in (0..column.num_docs()).step_by(SEARCHED_AT_ONCE) {
        let end = column.num_docs().min(start + SEARCHED_AT_ONCE as u32);
        found.clear();
        column.get_docids_for_value_range(range.clone(), start..end, &mut found);
        found.iter().for_each(|doc| docs.set(*doc));
    }
}

/// Adds the documents that have one of the ordinals, which ascend.
pub(super) fn with_ordinals(column: &Column<u64>, ordinals: &[u64], docs: &mut Bits) {
    if ordinals.len() <= SEARCHED_ONE_BY_ONE {
        ordinals.iter().for_each(|ordinal| with_range(column, *ordinal..=*ordinal, docs));
        return;
    }
    let mut wanted = Bits::none(column.max_value() as u32 + 1);
    ordinals.iter().for_each(|ordinal| wanted.set(*ordinal as u32));
    match &column.index {
        ColumnIndex::Empty { .. } => {}
        ColumnIndex::Full => add(column, 0..column.num_docs(), &wanted, docs),
        ColumnIndex::Optional(index) => add(column, index.iter_non_null_docs(), &wanted, docs),
        ColumnIndex::Multivalued(_) => {
            for doc in 0..column.num_docs() {
                if column.values_for_doc(doc).any(|ordinal| wanted.contains(ordinal as u32)) {
                    docs.set(doc);
                }
            }
        }
    }
}

/// Adds those of `rows`, the document of each value in order, whose value is wanted.
fn add(column: &Column<u64>, mut rows: impl Iterator<Item = u32>, wanted: &Bits, docs: &mut Bits) {
    let mut ordinals = [0; READ_AT_ONCE];
    let values = column.values.num_vals();
    for start in (0..values).step_by(READ_AT_ONCE) {
        let ordinals = &mut ordinals[..READ_AT_ONCE.min((values - start) as usize)];
        column.values.get_range(u64::from(start), ordinals);
        for (ordinal, doc) in ordinals.iter().zip(&mut rows) {
            if wanted.contains(*ordinal as u32) {
                docs.set(doc);
            }
        }
    }
}
