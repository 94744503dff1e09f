//! Which documents of one segment match.
//!
//! A query is worked out as sets of documents, one bit each. Every leaf gives two sets: documents that match for sure,
//! and documents that may, because their value is only in the text index (a long string, a klog message) or because
//! the words asked for stand across several fields. Those that may are rebuilt and asked by [`matches`]; only those
//! that the rest of the query still wants, so that `level:E AND msg:/slow.*path/` rebuilds errors alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use tantivy::columnar::{Column, DynamicColumn, StrColumn};
use tantivy::postings::Postings;
use tantivy::query::{EnableScoring, PhraseQuery, Query};
use tantivy::schema::{Field, IndexRecordOption, Value as _};
use tantivy::store::StoreReader;
use tantivy::{DocSet, InvertedIndexReader, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::ast::{Expr, Leaf, Test};
use super::bits::Bits;
use super::glob::Step;
use super::matches::{self, Aliases, UNSEARCHED};
use super::number::{Num, NumberTest};
use super::record::{Parts, UNPARSED, parse_event_id, stream_half};
use crate::parse::Parser;
use crate::record::time::format_rfc3339;
use crate::record::{Fields, PATH_SEPARATOR, Role};
use crate::store::words::term_of;
use crate::store::{STAMP_PREFIX, ShardView};

/// Why a query did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("the query's time is up")]
    Deadline,
    #[error("cannot read the shard: {0}")]
    Read(#[from] tantivy::TantivyError),
    #[error("cannot read the shard: {0}")]
    Io(#[from] std::io::Error),
}

/// Blocks of stored lines kept inflated while a segment's documents are rebuilt.
const STORE_BLOCKS: usize = 16;

/// One segment, open for a query.
pub struct Segment<'s> {
    pub shard: &'s ShardView,
    pub reader: &'s SegmentReader,
    parser: &'s Parser,
    aliases: &'s Aliases,
    deadline: Instant,
    pub timestamps: Column<i64>,
    pub streams: Column<u64>,
    pub offsets: Column<u64>,
    pub ids: Column<u64>,
    grammars: Option<StrColumn>,
    store: RefCell<Option<StoreReader>>,
    by_grammar: RefCell<Option<Arc<HashMap<String, Bits>>>>,
}

/// Asks a rebuilt record.
type Ask<'a> = Box<dyn Fn(&Map<String, Json>) -> bool + 'a>;

/// What a leaf finds: for sure, and maybe.
struct Found {
    sure: Bits,
    maybe: Bits,
}

impl<'s> Segment<'s> {
    pub fn open(
        shard: &'s ShardView,
        reader: &'s SegmentReader,
        parser: &'s Parser,
        aliases: &'s Aliases,
        deadline: Instant,
    ) -> Result<Self, Stop> {
        let columns = reader.fast_fields();
        Ok(Self {
            shard,
            reader,
            parser,
            aliases,
            deadline,
            timestamps: columns.i64("ts")?,
            streams: columns.u64("stream")?,
            offsets: columns.u64("offset")?,
            ids: columns.u64("id")?,
            grammars: columns.str("kw.grammar")?,
            store: RefCell::default(),
            by_grammar: RefCell::default(),
        })
    }

    pub fn docs(&self) -> u32 {
        self.reader.max_doc()
    }

    /// The documents of `scope` that match.
    pub fn matching(&self, expr: &Expr, scope: &Bits) -> Result<Bits, Stop> {
        self.check()?;
        if scope.is_none() {
            return Ok(Bits::none(scope.len()));
        }
        Ok(match expr {
            Expr::All => scope.clone(),
            Expr::And(parts) => {
                // What the index answers alone goes first: it narrows what the rest has to rebuild.
                let mut parts: Vec<&Expr> = parts.iter().collect();
                parts.sort_by_key(|part| cost(part));
                let mut left = scope.clone();
                for part in parts {
                    left = self.matching(part, &left)?;
                }
                left
            }
            Expr::Or(parts) => {
                let mut found = Bits::none(scope.len());
                for part in parts {
                    found.add(&self.matching(part, &scope.clone().minus(&found))?);
                }
                found
            }
            Expr::Not(inner) => scope.clone().minus(&self.matching(inner, scope)?),
            Expr::Leaf(leaf) => self.leaf(leaf, scope)?,
        })
    }

    fn leaf(&self, leaf: &Leaf, scope: &Bits) -> Result<Bits, Stop> {
        let (found, ask): (Found, Ask<'_>) = match &leaf.field {
            None => (self.bare(&leaf.test)?, Box::new(|record| matches::bare_matches(&leaf.test, record))),
            Some(field) => {
                let mut found = self.nothing();
                for name in self.aliases.names(field) {
                    let named = self.named(name, &leaf.test)?;
                    found.sure.add(&named.sure);
                    found.maybe.add(&named.maybe);
                }
                let ask = |record: &Map<String, Json>| {
                    self.aliases.names(field).any(|name| matches::field_matches(name, &leaf.test, record))
                };
                (found, Box::new(ask))
            }
        };
        let mut sure = found.sure.and(scope);
        let maybe = found.maybe.and(scope).minus(&sure);
        for (nth, doc) in maybe.iter().enumerate() {
            if nth.is_multiple_of(64) {
                self.check()?;
            }
            if ask(&self.record(doc)?) {
                sure.set(doc);
            }
        }
        Ok(sure)
    }

    /// The record of a document, rebuilt.
    pub fn record(&self, doc: u32) -> Result<Map<String, Json>, Stop> {
        let mut store = self.store.borrow_mut();
        let store = match &mut *store {
            Some(store) => store,
            none => none.insert(self.reader.get_store_reader(STORE_BLOCKS)?),
        };
        let stored: TantivyDocument = store.get(doc)?;
        let line = stored.get_first(self.shard.fields.line).and_then(|v| v.as_str());
        let extra = stored.get_first(self.shard.fields.extra).and_then(|v| v.as_str());
        let grammar = self.grammar(doc);
        let mut fields = Fields::new();
        if let (Some(grammar), Some(line)) = (&grammar, line) {
            self.parser.parse_as(grammar, line, &mut fields);
            fields.leave_envelope_alone();
        }
        let nothing = Map::new();
        let number = self.streams.first(doc).unwrap_or(u64::MAX);
        let entry = self.shard.streams().get(number as usize);
        Ok(Parts {
            stream: entry.map_or(&nothing, |e| &e.fields),
            key: entry.map_or(crate::record::StreamKey(0), |e| e.key),
            timestamp: self.timestamps.first(doc).unwrap_or(0),
            offset: self.offsets.first(doc),
            id: self.ids.first(doc).unwrap_or(0),
            line,
            grammar: grammar.as_deref(),
            fields: &fields,
            extra,
        }
        .build())
    }

    fn grammar(&self, doc: u32) -> Option<String> {
        let column = self.grammars.as_ref()?;
        let mut name = String::new();
        let ord = column.term_ords(doc).next()?;
        column.ord_to_str(ord, &mut name).ok()?.then_some(name)
    }

    fn check(&self) -> Result<(), Stop> {
        if Instant::now() > self.deadline { Err(Stop::Deadline) } else { Ok(()) }
    }

    fn none(&self) -> Bits {
        Bits::none(self.docs())
    }

    fn nothing(&self) -> Found {
        Found { sure: self.none(), maybe: self.none() }
    }

    /// The documents of each grammar.
    fn by_grammar(&self) -> Result<Arc<HashMap<String, Bits>>, Stop> {
        if let Some(known) = &*self.by_grammar.borrow() {
            return Ok(Arc::clone(known));
        }
        let mut sets: HashMap<String, Bits> = HashMap::new();
        if let Some(column) = &self.grammars {
            let mut by_ord: HashMap<u64, Bits> = HashMap::new();
            for doc in 0..self.docs() {
                for ord in column.term_ords(doc) {
                    by_ord.entry(ord).or_insert_with(|| self.none()).set(doc);
                }
            }
            for (ord, docs) in by_ord {
                let mut name = String::new();
                if column.ord_to_str(ord, &mut name)? {
                    sets.insert(name, docs);
                }
            }
        }
        let sets = Arc::new(sets);
        *self.by_grammar.borrow_mut() = Some(Arc::clone(&sets));
        Ok(sets)
    }

    // --- a named field --------------------------------------------------------------------------------------------

    fn named(&self, name: &str, test: &Test) -> Result<Found, Stop> {
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
            "event.id" => {
                for doc in 0..self.docs() {
                    let number = self.streams.first(doc).unwrap_or(u64::MAX);
                    let key = self.shard.streams().get(number as usize).map(|e| e.key);
                    if let (Some(key), Some(id)) = (key, self.ids.first(doc)) {
                        // A whole id is compared as a number; only other tests print every one.
                        let fits = match test {
                            Test::Value { text, .. } => parse_event_id(text) == Some((stream_half(key), id)),
                            test => matches::string_fits(test, name, &super::record::event_id(key, id)),
                        };
                        if fits {
                            found.sure.set(doc);
                        }
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
                if matches::string_fits(test, name, UNPARSED) {
                    let mut parsed = self.none();
                    self.by_grammar()?.values().for_each(|docs| parsed.add(docs));
                    found.maybe = Bits::all(self.docs()).minus(&parsed);
                }
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
    fn stream_field(&self, name: &str, test: &Test, sure: &mut Bits) {
        self.streams_where(|fields| matches::field_matches(name, test, fields), sure);
    }

    fn streams_where(&self, fits: impl Fn(&Map<String, Json>) -> bool, sure: &mut Bits) {
        let fits: Vec<bool> = self.shard.streams().iter().map(|s| fits(&s.fields)).collect();
        if !fits.contains(&true) {
            return;
        }
        for doc in 0..self.docs() {
            let number = self.streams.first(doc).unwrap_or(u64::MAX) as usize;
            if fits.get(number).copied().unwrap_or(false) {
                sure.set(doc);
            }
        }
    }

    /// Documents with a keyword or an identifier of that name that fits.
    fn keywords(&self, name: &str, test: &Test, sure: &mut Bits) -> Result<(), Stop> {
        for field in [self.shard.fields.kw, self.shard.fields.ident] {
            let index = self.reader.inverted_index(field)?;
            for path in self.paths_under(name, test) {
                if let Test::Value { text, words } = test {
                    let mut term = Term::from_field_json_path(field, &path, false);
                    term.append_type_and_str(text);
                    if let Some(info) = index.get_term_info(&term)? {
                        self.add_postings(&index, &info, sure)?;
                    }
                    // Other values can fit by their words alone, and an identifier is no text.
                    if words.is_empty() || field == self.shard.fields.ident {
                        continue;
                    }
                }
                self.dictionary(&index, &format!("{path}\0s"), sure, |value| {
                    quick(test, value) && matches::string_fits(test, name, value)
                })?;
            }
        }
        Ok(())
    }

    /// The name itself; for `_exists_` also those below it.
    fn paths_under(&self, name: &str, test: &Test) -> Vec<String> {
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
    fn columns(&self, name: &str, test: &Test, found: &mut Found) -> Result<(), Stop> {
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
    fn numbers(&self, column: &DynamicColumn, test: &Test, found: &mut Found) {
        let test = NumberTest::new(test);
        if matches!(test, NumberTest::Never) {
            return;
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

    fn stamps(&self, column: &DynamicColumn, sure: &mut Bits, fits: impl Fn(&str) -> bool) {
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
    fn only_in_text(&self, name: &str, test: &Test) -> Result<Bits, Stop> {
        let unindexed = self.shard.is_unindexed(name);
        let by_words = match test {
            Test::Value { words, .. } if !words.is_empty() => Some(self.all_words(words)?),
            // A number or a time is too short to be in the text alone.
            Test::Range(range) => {
                let plain =
                    |b: &super::ast::Bound| Num::parse(&b.text).is_some() || super::when::span(&b.text).is_some();
                // Only a field that is always a text, as klog's `msg`, keeps even a number there.
                let mut described = self.parser.grammars().iter().flat_map(|grammar| grammar.fields);
                let is_text = described.any(|f| f.name == name && f.role == Role::Text && !f.number);
                if !unindexed && !is_text && [&range.low, &range.high].into_iter().flatten().all(plain) {
                    return Ok(self.none());
                }
                None
            }
            _ => None,
        };
        let mut maybe = by_words.unwrap_or_else(|| Bits::all(self.docs()));
        if unindexed && !matches!(test, Test::Value { .. }) {
            return Ok(maybe);
        }
        for (grammar, docs) in self.by_grammar()?.iter() {
            let Some(grammar) = self.parser.grammar(grammar) else { continue };
            if !grammar.covers_line {
                continue;
            }
            let role = grammar.fields.iter().find(|f| f.name == name).map(|f| f.role);
            let may = match test {
                // By its words a long keyword can be found as well.
                Test::Value { .. } => role.is_some() || name.starts_with("kv.") || name == "message",
                _ => role == Some(Role::Text) || name == "message",
            };
            if !may {
                maybe = maybe.minus(docs);
            }
        }
        if !matches!(test, Test::Value { .. }) && name != "message" {
            // Lines without a grammar have fields only beside the line, and those are indexed.
            let mut parsed = self.none();
            self.by_grammar()?.values().for_each(|docs| parsed.add(docs));
            maybe = maybe.and(&parsed);
        }
        Ok(maybe)
    }

    /// Documents whose text has all these words; those of lines that fields cover may have them elsewhere.
    fn all_words(&self, words: &[String]) -> Result<Bits, Stop> {
        let index = self.reader.inverted_index(self.shard.fields.text)?;
        let mut all = Bits::all(self.docs());
        for word in words {
            let mut docs = self.none();
            self.text_word(&index, word, &mut docs)?;
            all = all.and(&docs);
        }
        Ok(all)
    }

    // --- bare words -----------------------------------------------------------------------------------------------

    fn bare(&self, test: &Test) -> Result<Found, Stop> {
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
                self.dictionary(&index, "", &mut found.sure, |word| glob.is_match(word))?;
                self.bare_values(test, &mut found)?;
                let header = match (glob.0.first(), glob.0.get(1)) {
                    (Some(Step::Char(c)), Some(Step::Char(d))) => "iwef".contains(*c) && d.is_ascii_digit(),
                    (Some(Step::Char(c)), _) => "iwef".contains(*c),
                    _ => true,
                };
                // A line may write a number with zeros in front.
                let digits = glob.0.iter().all(|step| !matches!(step, Step::Char(c) if !c.is_ascii_digit()));
                if digits {
                    self.covered()?.iter().for_each(|docs| found.maybe.add(docs));
                } else if header {
                    self.by_grammar()?.get("klog").into_iter().for_each(|docs| found.maybe.add(docs));
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
    fn bare_word(&self, test: &Test, word: &str, found: &mut Found) -> Result<(), Stop> {
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

    fn text_word(&self, index: &InvertedIndexReader, word: &str, docs: &mut Bits) -> Result<(), Stop> {
        let term = Term::from_field_text(self.shard.fields.text, term_of(word).0);
        if let Some(info) = index.get_term_info(&term)? {
            self.add_postings(index, &info, docs)?;
        }
        Ok(())
    }

    fn phrase(&self, words: &[String], sure: &mut Bits) -> Result<(), Stop> {
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
    fn bare_values(&self, test: &Test, found: &mut Found) -> Result<(), Stop> {
        let fits = |value: &str| quick(test, value) && matches::bare_fits_str(test, value);
        for field in [self.shard.fields.kw, self.shard.fields.ident] {
            self.json_dictionary(field, &mut found.sure, fits)?;
        }
        let columns = self.reader.fast_fields();
        let digits = match test {
            Test::Value { text, .. } => text.bytes().any(|b| b.is_ascii_digit()),
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

    fn bare_numbers(&self, column: &DynamicColumn, test: &Test, found: &mut Found) {
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
    fn covered(&self) -> Result<Vec<Bits>, Stop> {
        let covers = |name: &str| self.parser.grammar(name).is_some_and(|grammar| grammar.covers_line);
        Ok(self.by_grammar()?.iter().filter(|(name, _)| covers(name)).map(|(_, docs)| docs.clone()).collect())
    }

    // --- dictionaries ---------------------------------------------------------------------------------------------

    fn add_postings(
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
    fn dictionary(
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

    /// The same over all names of a JSON field that bare words look into.
    fn json_dictionary(&self, field: Field, docs: &mut Bits, fits: impl Fn(&str) -> bool) -> Result<(), Stop> {
        let index = self.reader.inverted_index(field)?;
        let mut terms = index.terms().stream()?;
        let mut nth = 0u32;
        while terms.advance() {
            nth += 1;
            if nth.is_multiple_of(4096) {
                self.check()?;
            }
            let key = terms.key();
            let Some(end) = memchr::memchr(0, key) else { continue };
            let (path, rest) = (&key[..end], &key[end + 1..]);
            let [b's', value @ ..] = rest else { continue };
            if std::str::from_utf8(value).is_ok_and(&fits) && !std::str::from_utf8(path).is_ok_and(is_unsearched) {
                self.add_postings(&index, &terms.value().clone(), docs)?;
            }
        }
        Ok(())
    }
}

/// A column's name: dots in the path's segments are separators for tantivy, `\u{1}` is how it spells them.
fn column_name(field: &str, path: &str) -> String {
    format!("{field}.{}", path.replace(PATH_SEPARATOR, "."))
}

fn is_unsearched(path: &str) -> bool {
    let top = path.split([PATH_SEPARATOR, '.']).next().unwrap_or_default();
    UNSEARCHED.contains(&top)
}

fn signed(n: i64) -> Num {
    u64::try_from(n).map_or(Num::I(n), Num::U)
}

/// A column of floats holds the integers among its values as floats; a record prints them as integers.
fn integral(n: f64) -> Num {
    if n.fract() == 0.0 && n.abs() < 9e15 { signed(n as i64) } else { Num::F(n) }
}

/// The texts that a stamp's number may have been: a time of day, or an instant with any of the usual precisions.
fn stamp_texts(n: i64) -> Vec<String> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    let mut texts = Vec::with_capacity(2);
    if (0..MICROS_PER_DAY).contains(&n) {
        let (s, us) = (n / 1_000_000, n % 1_000_000);
        texts.push(format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60));
    } else {
        let text = format_rfc3339(n);
        if let Some(whole) = text.strip_suffix(".000Z") {
            texts.push(format!("{whole}Z"));
        }
        texts.push(text);
    }
    texts
}

/// A cheap no: the words asked for are not even in the bytes. Case outside ASCII is left to the real test.
fn quick(test: &Test, value: &str) -> bool {
    let Test::Value { words, .. } = test else { return true };
    let Some(word) = words.first() else { return true };
    if !word.is_ascii() || !value.is_ascii() || word.len() > value.len() {
        return !(word.is_ascii() && value.is_ascii());
    }
    let (word, value) = (word.as_bytes(), value.as_bytes());
    let (lower, upper) = (word[0], word[0].to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, &value[..=value.len() - word.len()])
        .any(|at| value[at..at + word.len()].eq_ignore_ascii_case(word))
}

/// What to work out first under AND: cheap and exact before what has to rebuild records.
fn cost(expr: &Expr) -> u32 {
    match expr {
        Expr::All => 0,
        Expr::Leaf(Leaf { field: Some(_), test: Test::Value { .. } }) => 1,
        Expr::Leaf(Leaf { field: Some(_), test: Test::Range(_) | Test::Exists }) => 2,
        Expr::Leaf(Leaf { field: None, test: Test::Value { words, .. } }) => {
            if words.len() == 1 {
                3
            } else {
                5
            }
        }
        Expr::Leaf(Leaf { test: Test::Wildcard { .. }, .. }) => 6,
        Expr::Leaf(_) => 9,
        Expr::Not(inner) => cost(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(cost).max().unwrap_or(0),
    }
}
