//! Documents by the value under a name.

use serde_json::{Map, Value as Json};
use tantivy::Term;
use tantivy::columnar::DynamicColumn;

use super::bare::quick;
use super::dictionary::{integral, signed, stamp_texts};
use super::keywords::{with_ordinals, with_range, with_value};
use super::{Found, Segment, Stop};
use crate::parse::Grammar;
use crate::query::ast::{Bound, Test};
use crate::query::bits::Bits;
use crate::query::matches;
use crate::query::number::{Num, NumberTest};
use crate::query::record::{parse_event_id, stream_half};
use crate::record::time::format_rfc3339;
use crate::record::{PATH_SEPARATOR, Role};
use crate::store::STAMP_PREFIX;

impl Segment<'_> {
    pub(super) fn named(&self, name: &str, test: &Test) -> Result<Found, Stop> {
        let mut found = self.nothing();
        match name {
            "@timestamp" => {
                for doc in 0..self.docs() {
                    let fits = |at| matches::string_fits(test, name, &format_rfc3339(at));
                    if self.timestamps.first(doc).is_some_and(fits) {
                        found.sure.set(doc);
                    }
                }
                return Ok(found);
            }
            "message" => {
                // A line's words may stand in its fields alone, and so in no text: whatever a bare word finds.
                found.maybe = match test {
                    Test::Value { .. } => {
                        let mut anywhere = self.bare(test)?;
                        anywhere.sure.add(&anywhere.maybe);
                        anywhere.sure
                    }
                    _ => Bits::all(self.docs()),
                };
                return Ok(found);
            }
            "log.offset" => self.numbers(&DynamicColumn::U64(self.offsets.clone()), test, &mut found),
            "template" => {
                let number = NumberTest::new(test);
                for doc in 0..self.docs() {
                    if self.template(doc).is_some_and(|id| number.fits(Num::U(id))) {
                        found.sure.set(doc);
                    }
                }
            }
            "event.id" => {
                for doc in 0..self.docs() {
                    let number = self.streams.first(doc).unwrap_or(u64::MAX);
                    let key = self.shard.streams().get(number as usize).map(|e| e.key);
                    if let (Some(key), Some(id)) = (key, self.id(doc)) {
                        // A whole id is compared as a number; only other tests print every one.
                        let fits = match test {
                            Test::Value { text, .. } => parse_event_id(text) == Some((stream_half(key), id)),
                            test => matches::string_fits(test, name, &crate::query::record::event_id(key, id)),
                        };
                        if fits {
                            found.sure.set(doc);
                        }
                    }
                }
            }
            "grammar" => {
                for (entry, docs) in self.shard.grammars().iter().zip(self.by_grammar().iter()) {
                    if matches::string_fits(test, name, &entry.name) {
                        found.sure.add(docs);
                    }
                }
            }
            // Every record has the envelope's objects, by what is in them.
            "event" if matches!(test, Test::Exists) => found.sure = Bits::all(self.docs()),
            "log" if matches!(test, Test::Exists) => {
                let has_offset = |doc: &u32| self.offsets.first(*doc).is_some();
                (0..self.docs()).filter(has_offset).for_each(|doc| found.sure.set(doc));
            }
            "parse.error" | "parse" => {
                if name == "parse" && !matches!(test, Test::Exists) {
                    return Ok(found);
                }
                found.maybe = Bits::all(self.docs()).minus(&self.parsed());
            }
            _ => {}
        }
        self.stream_field(name, test, &mut found.sure);
        self.keywords(name, test, &mut found.sure)?;
        self.columns(name, test, &mut found)?;
        found.maybe.add(&self.only_in_text(name, test)?);
        Ok(found)
    }

    /// Documents of the streams whose common fields fit.
    pub(super) fn stream_field(&self, name: &str, test: &Test, sure: &mut Bits) {
        self.streams_where(|fields| matches::field_matches(name, test, fields), sure);
    }

    pub(super) fn streams_where(&self, fits: impl Fn(&Map<String, Json>) -> bool, sure: &mut Bits) {
        let numbers = (0u64..).zip(self.shard.streams().iter());
        let fitting: Vec<u64> = numbers.filter(|(_, s)| fits(&s.fields)).map(|(number, _)| number).collect();
        self.of_streams(&fitting, sure);
    }

    /// Adds the documents of the streams of these numbers, which ascend.
    pub fn of_streams(&self, numbers: &[u64], docs: &mut Bits) {
        // The shard knows streams that came after this segment.
        let known = numbers.partition_point(|number| *number <= self.streams.max_value());
        if known > 0 {
            with_ordinals(&self.streams, &numbers[..known], docs);
        }
    }

    /// Documents with a keyword or an identifier of that name that fits.
    pub(super) fn keywords(&self, name: &str, test: &Test, sure: &mut Bits) -> Result<(), Stop> {
        let fits = |value: &str| quick(test, value) && matches::string_fits(test, name, value);
        let ident = self.shard.fields.ident;
        let index = self.reader.inverted_index(ident)?;
        for path in self.paths_under(name, test) {
            if let Some(column) = self.keyword_column(&path)? {
                match test {
                    Test::Exists => with_value(column.ords(), sure),
                    // Without a word, only the whole value fits.
                    Test::Value { text, words } if words.is_empty() => self.with_keyword(&column, text, sure)?,
                    _ => self.with_keywords(&path, &column, test, sure, fits)?,
                }
            }
            if let Test::Value { text, .. } = test {
                // An identifier is no text: only the whole value fits.
                let mut term = Term::from_field_json_path(ident, &path, false);
                term.append_type_and_str(text);
                if let Some(info) = index.get_term_info(&term)? {
                    self.add_postings(&index, &info, sure)?;
                }
                continue;
            }
            self.dictionary(&index, &format!("{path}\0s"), sure, fits)?;
        }
        Ok(())
    }

    /// The name itself; for `_exists_` also those below it.
    pub(super) fn paths_under(&self, name: &str, test: &Test) -> Vec<String> {
        let own = name.replace('.', "\u{1}");
        if !matches!(test, Test::Exists) {
            return vec![own];
        }
        let below = format!("{own}{PATH_SEPARATOR}");
        let mut paths: Vec<String> =
            self.shard.paths().iter().map(|p| p.replace('.', "\u{1}")).filter(|p| p.starts_with(&below)).collect();
        paths.push(own);
        paths
    }

    /// Documents whose numbers, bools or times of that name fit.
    pub(super) fn columns(&self, name: &str, test: &Test, found: &mut Found) -> Result<(), Stop> {
        let columns = self.reader.fast_fields();
        for path in self.paths_under(name, test) {
            for handle in columns.dynamic_column_handles(&column_name("num", &path))? {
                self.numbers(&handle.open()?, test, found);
            }
            for handle in columns.dynamic_column_handles(&column_name("kw", &path))? {
                if let DynamicColumn::Bool(column) = handle.open()? {
                    for doc in 0..self.docs() {
                        let fits = |b| matches::string_fits(test, name, if b { "true" } else { "false" });
                        if column.values_for_doc(doc).any(fits) {
                            found.sure.set(doc);
                        }
                    }
                }
            }
            let stamp = format!("{STAMP_PREFIX}{path}");
            for handle in columns.dynamic_column_handles(&column_name("num", &stamp))? {
                self.stamps(&handle.open()?, &mut found.sure, |text| matches::string_fits(test, name, text));
            }
        }
        Ok(())
    }

    /// Documents whose number fits; where integers and broken numbers share a name, all are floats, which print
    /// otherwise and lose digits: those only may.
    pub(super) fn numbers(&self, column: &DynamicColumn, test: &Test, found: &mut Found) {
        let test = NumberTest::new(test);
        if matches!(test, NumberTest::Never) {
            return;
        }
        // Integers from one to another are searched for block by block, not asked one by one.
        match (column, test.integers()) {
            (DynamicColumn::U64(c), Some((low, high))) => {
                let (low, high) = (low.max(0), high.min(u64::MAX.into()));
                if low <= high {
                    with_range(c, low as u64..=high as u64, &mut found.sure);
                }
                return;
            }
            (DynamicColumn::I64(c), Some((low, high))) => {
                let (low, high) = (low.max(i64::MIN.into()), high.min(i64::MAX.into()));
                if low <= high {
                    with_range(c, low as i64..=high as i64, &mut found.sure);
                }
                return;
            }
            _ => {}
        }
        for doc in 0..self.docs() {
            let fits = match column {
                DynamicColumn::U64(c) => c.values_for_doc(doc).any(|n| test.fits(Num::U(n))),
                DynamicColumn::I64(c) => c.values_for_doc(doc).any(|n| test.fits(signed(n))),
                DynamicColumn::F64(c) => {
                    if c.values_for_doc(doc).any(|n| test.fits(Num::F(n)) || test.fits(integral(n))) {
                        found.maybe.set(doc);
                    }
                    false
                }
                _ => false,
            };
            if fits {
                found.sure.set(doc);
            }
        }
    }

    pub(super) fn stamps(&self, column: &DynamicColumn, sure: &mut Bits, fits: impl Fn(&str) -> bool) {
        let mut each = |doc: u32, n: i64| {
            if stamp_texts(n).iter().any(|text| fits(text)) {
                sure.set(doc);
            }
        };
        for doc in 0..self.docs() {
            match column {
                DynamicColumn::I64(c) => c.values_for_doc(doc).for_each(|n| each(doc, n)),
                DynamicColumn::U64(c) => c.values_for_doc(doc).for_each(|n| each(doc, n as i64)),
                _ => {}
            }
        }
    }

    /// Documents whose value of that name may be found in the text index alone.
    pub fn only_in_text(&self, name: &str, test: &Test) -> Result<Bits, Stop> {
        let unindexed = self.shard.is_unindexed(name);
        if let Test::Range(range) = test {
            // A number or a time is too short to be in the text alone.
            let plain =
                |b: &Bound| Num::parse_measure(&b.text).is_some() || crate::query::when::span(&b.text).is_some();
            // Only a field that is always a text, as klog's `msg`, keeps even a number there.
            let current = self.language.parser.grammars().iter().chain(self.known_grammars.iter().flatten());
            let mut described = current.flat_map(|grammar| &grammar.fields);
            let is_text = described.any(|f| f.name == name && f.role == Role::Text && !f.number);
            if !unindexed && !is_text && [&range.low, &range.high].into_iter().flatten().all(plain) {
                return Ok(self.none());
            }
        }
        let of_words = matches!(test, Test::Value { .. });
        // No value of that name was ever too long for a keyword, nor a text.
        let never = name != "message" && !self.shard.may_be_text(name);
        // Whether a line that its fields cover may hold the value where only its words are found.
        let may = |grammar: &Grammar| {
            let role = grammar.fields.iter().find(|f| f.name == name).map(|f| f.role);
            match of_words {
                // By its words a long keyword can be found as well.
                true if never => role == Some(Role::Text),
                true => role.is_some() || name.starts_with("kv.") || name == "message",
                false => role == Some(Role::Text) || name == "message",
            }
        };
        let covering = self.known_grammars.iter().flatten().filter(|grammar| grammar.covers_line);
        if never && (of_words || !unindexed) && !covering.into_iter().any(|grammar| may(grammar)) {
            return Ok(self.none());
        }
        let mut maybe = match test {
            Test::Value { words, .. } if !words.is_empty() => self.all_words(words)?,
            _ => Bits::all(self.docs()),
        };
        if unindexed && !of_words {
            return Ok(maybe);
        }
        if never {
            let mut covered = self.none();
            self.covered().for_each(|docs| covered.add(&docs));
            maybe = maybe.and(&covered);
        }
        for (grammar, docs) in self.known_grammars() {
            if grammar.covers_line && !may(grammar) {
                maybe = maybe.minus(&docs);
            }
        }
        if !of_words && name != "message" {
            // Lines without a grammar have fields only beside the line, and those are indexed.
            maybe = maybe.and(&self.parsed());
        }
        Ok(maybe)
    }

    /// Documents whose text has all these words; those of lines that fields cover may have them elsewhere.
    pub(super) fn all_words(&self, words: &[String]) -> Result<Bits, Stop> {
        let index = self.reader.inverted_index(self.shard.fields.text)?;
        let mut all = Bits::all(self.docs());
        for word in words {
            let mut docs = self.none();
            self.text_word(&index, word, &mut docs)?;
            all = all.and(&docs);
        }
        Ok(all)
    }
}

/// A column's name: dots in the path's segments are separators for tantivy, `\u{1}` is how it spells them.
pub(super) fn column_name(field: &str, path: &str) -> String {
    format!("{field}.{}", path.replace(PATH_SEPARATOR, "."))
}
