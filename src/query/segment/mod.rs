//! Which documents of one segment match.
//!
//! A query is worked out as sets of documents, one bit each. Every leaf gives two sets: documents that match for sure,
//! and documents that may, because their value is only in the text index (a long string, a klog message) or because
//! the words asked for stand across several fields. Those that may are rebuilt and asked by [`matches`]; only those
//! that the rest of the query still wants, so that `level:E AND msg:/slow.*path/` rebuilds errors alone.

mod bare;
mod dictionary;
mod flat;
mod keywords;
mod named;
mod vocabulary;

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use tantivy::SegmentReader;

pub use self::dictionary::time_of_day;
use self::flat::Flats;
use self::vocabulary::Vocabularies;
use super::ast::{Expr, Leaf, Test};
use super::bits::Bits;
use super::interrupt::is_interrupted;
use super::matches::{self, Aliases};
use super::record::Parts;
use crate::parse::template::Ids;
use crate::parse::{Grammar, Grammars, Parser};
use crate::record::Fields;
use crate::store::{Documents, GrammarEntry, ShardView};

/// Why a query did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("the query's time is up")]
    Deadline,
    #[error("nobody waits for the answer any more")]
    Cancelled,
    #[error(
        "the answer needs more than the {} MiB of memory that a query may take: narrow the query or its time range, or \
         group by fields with fewer values",
        .limit_bytes >> 20
    )]
    Memory { limit_bytes: usize },
    #[error(
        "the answer has more than {groups_max} groups: ask for fewer values of each field (`| top 10`), or for longer steps \
         of time"
    )]
    Groups { groups_max: usize },
    #[error("cannot read the shard: {0}")]
    Read(#[from] tantivy::TantivyError),
    #[error("cannot read the shard: {0}")]
    Io(#[from] std::io::Error),
}

/// What was made of segments, which never change, and is of use to later queries.
#[derive(Default)]
pub struct Learned {
    vocabularies: Vocabularies,
    flats: Flats,
}

/// What names mean, as of the moment a query began.
pub struct Language {
    pub parser: Arc<Parser>,
    /// The grammars that older records were parsed with.
    pub grammars: Arc<Grammars>,
    pub aliases: Aliases,
    learned: Arc<Learned>,
}

impl Language {
    pub fn of(grammars: &Arc<Grammars>, templates: Option<&Arc<Ids>>, learned: &Arc<Learned>) -> Self {
        let parser = grammars.current();
        let mut aliases = Aliases::of(&parser);
        if let Some(ids) = templates {
            aliases = aliases.with_templates(Arc::clone(ids));
        }
        Self { parser, grammars: Arc::clone(grammars), aliases, learned: Arc::clone(learned) }
    }
}

/// Documents whose values are read together.
const READ_AT_ONCE: usize = 256;

/// One segment, open for a query.
pub struct Segment<'s> {
    pub shard: &'s ShardView,
    pub reader: &'s SegmentReader,
    pub language: &'s Language,
    deadline: Instant,
    documents: Documents<'s>,
    /// By the shard's numbers; `None` for one that does not load.
    known_grammars: Vec<Option<Arc<Grammar>>>,
    by_grammar: RefCell<Option<Arc<[Bits]>>>,
}

impl<'s> Deref for Segment<'s> {
    type Target = Documents<'s>;

    fn deref(&self) -> &Documents<'s> {
        &self.documents
    }
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
        language: &'s Language,
        deadline: Instant,
    ) -> Result<Self, Stop> {
        let known = |entry: &Arc<GrammarEntry>| language.grammars.version(&entry.name, entry.version, &entry.source);
        Ok(Self {
            shard,
            reader,
            language,
            deadline,
            documents: Documents::open(reader, shard.fields)?,
            known_grammars: shard.grammars().iter().map(known).collect(),
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
                for name in self.language.aliases.names(field) {
                    let named = self.named(name, &self.language.aliases.resolve(name, &leaf.test))?;
                    found.sure.add(&named.sure);
                    found.maybe.add(&named.maybe);
                }
                let ask = |record: &Map<String, Json>| {
                    let aliases = &self.language.aliases;
                    let test = |name| aliases.resolve(name, &leaf.test);
                    aliases.names(field).any(|name| matches::field_matches(name, &test(name), record))
                };
                (found, Box::new(ask))
            }
        };
        // Nothing else looks at it, and explaining takes longer than all the rest.
        let explained = leaf.field.as_deref().is_some_and(|field| field.starts_with("parse"));
        let mut sure = found.sure.and(scope);
        let maybe = found.maybe.and(scope).minus(&sure);
        for (nth, doc) in maybe.iter().enumerate() {
            if nth.is_multiple_of(64) {
                self.check()?;
            }
            if ask(&self.rebuilt(doc, explained)?) {
                sure.set(doc);
            }
        }
        Ok(sure)
    }

    /// The record of a document.
    pub fn record(&self, doc: u32) -> Result<Map<String, Json>, Stop> {
        self.rebuilt(doc, true)
    }

    /// The record of a document, with or without why its line has no fields.
    pub fn rebuilt(&self, doc: u32, explained: bool) -> Result<Map<String, Json>, Stop> {
        let stored = self.stored(doc)?;
        let (line, extra) = (stored.line(), stored.extra());
        let grammar = self.grammars.first(doc).map(|number| number as usize);
        let name = grammar.and_then(|number| Some(&*self.shard.grammars().get(number)?.name));
        let mut fields = Fields::new();
        let error = match (grammar, line) {
            (Some(number), Some(line)) => match self.known_grammars.get(number) {
                Some(Some(grammar)) => {
                    grammar.parse_line(line, &mut fields);
                    fields.leave_envelope_alone();
                    None
                }
                _ => Some(format!(
                    "the grammar {} that parsed this line does not load any more",
                    name.unwrap_or_default()
                )),
            },
            (None, Some(line)) if explained => Some(self.language.parser.explain(line)),
            _ => None,
        };
        let nothing = Map::new();
        let number = self.streams.first(doc).unwrap_or(u64::MAX);
        let entry = self.shard.streams().get(number as usize);
        Ok(Parts {
            stream: entry.map_or(&nothing, |e| &e.fields),
            key: entry.map_or(crate::record::StreamKey(0), |e| e.key),
            timestamp: self.timestamps.first(doc).unwrap_or(0),
            offset: self.offsets.first(doc),
            id: self.id(doc).unwrap_or(0),
            line,
            grammar: name,
            error: error.as_deref(),
            template: self.template(doc),
            fields: &fields,
            extra,
        }
        .build())
    }

    /// The identity of a document's event within its sender.
    pub fn id(&self, doc: u32) -> Option<u64> {
        self.documents.id(doc, self.shard.streams())
    }

    /// The id that stands for a document's template now.
    pub fn template(&self, doc: u32) -> Option<u64> {
        self.templates.first(doc).map(|id| self.language.aliases.template(id))
    }

    /// Stops a query whose time is up, or that nobody waits for.
    pub fn check(&self) -> Result<(), Stop> {
        if is_interrupted() {
            return Err(Stop::Cancelled);
        }
        if Instant::now() > self.deadline { Err(Stop::Deadline) } else { Ok(()) }
    }

    fn none(&self) -> Bits {
        Bits::none(self.docs())
    }

    fn nothing(&self) -> Found {
        Found { sure: self.none(), maybe: self.none() }
    }

    /// The documents of each grammar, by the shard's number.
    pub fn by_grammar(&self) -> Arc<[Bits]> {
        let mut known = self.by_grammar.borrow_mut();
        let sets = known.get_or_insert_with(|| {
            let mut sets = vec![self.none(); self.shard.grammars().len()];
            // Many at once: this is read for most queries.
            let (mut block, mut numbers) = ([0u32; READ_AT_ONCE], [None; READ_AT_ONCE]);
            for start in (0..self.docs()).step_by(READ_AT_ONCE) {
                let len = READ_AT_ONCE.min((self.docs() - start) as usize);
                let (block, numbers) = (&mut block[..len], &mut numbers[..len]);
                block.iter_mut().zip(start..).for_each(|(slot, doc)| *slot = doc);
                numbers.fill(None);
                self.grammars.first_vals(block, numbers);
                for (doc, number) in block.iter().zip(numbers) {
                    if let Some(docs) = number.and_then(|number| sets.get_mut(number as usize)) {
                        docs.set(*doc);
                    }
                }
            }
            sets.into()
        });
        Arc::clone(sets)
    }

    /// The documents whose line a grammar knew.
    pub fn parsed(&self) -> Bits {
        let mut parsed = self.none();
        self.by_grammar().iter().for_each(|docs| parsed.add(docs));
        parsed
    }

    /// The grammars that parsed lines of this shard, with their documents; those that do not load are left out.
    fn known_grammars(&self) -> impl Iterator<Item = (&Grammar, Bits)> {
        let sets = self.by_grammar();
        let known = self.known_grammars.iter().enumerate();
        known.filter_map(move |(number, grammar)| Some((&**grammar.as_ref()?, sets.get(number)?.clone())))
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
