//! Which documents of one segment match.
//!
//! A query is worked out as sets of documents, one bit each. Every leaf gives two sets: documents that match for sure,
//! and documents that may, because their value is only in the text index (a long string, a klog message) or because
//! the words asked for stand across several fields. Those that may are rebuilt and asked by [`matches`]; only those
//! that the rest of the query still wants, so that `level:E AND msg:/slow.*path/` rebuilds errors alone.

mod bare;
mod dictionary;
mod named;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use tantivy::columnar::{Column, StrColumn};
use tantivy::schema::Value as _;
use tantivy::store::StoreReader;
use tantivy::{SegmentReader, TantivyDocument};

use super::ast::{Expr, Leaf, Test};
use super::bits::Bits;
use super::matches::{self, Aliases};
use super::record::Parts;
use crate::parse::Parser;
use crate::record::Fields;
use crate::store::ShardView;

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
    templates: Column<u64>,
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
            templates: columns.u64("template")?,
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
                    let named = self.named(name, &self.aliases.resolve(name, &leaf.test))?;
                    found.sure.add(&named.sure);
                    found.maybe.add(&named.maybe);
                }
                let ask = |record: &Map<String, Json>| {
                    let test = |name| self.aliases.resolve(name, &leaf.test);
                    self.aliases.names(field).any(|name| matches::field_matches(name, &test(name), record))
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
            template: self.template(doc),
            fields: &fields,
            extra,
        }
        .build())
    }

    /// The id that stands for a document's template now.
    pub fn template(&self, doc: u32) -> Option<u64> {
        self.templates.first(doc).map(|id| self.aliases.template(id))
    }

    pub fn grammar(&self, doc: u32) -> Option<String> {
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
