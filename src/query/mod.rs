//! Finds records: the query language, what it means ([`matches`]), and its plan over the store's shards.
//!
//! Reads only. Every query has a deadline, looks at one segment at a time, and holds no more than that segment's sets
//! of documents and the records it returns.

pub mod aggregate;
mod ast;
mod best;
mod bits;
mod compare;
mod context;
pub mod dsl;
mod engine;
mod error;
mod export;
mod facets;
mod fields;
mod glob;
mod grammar;
mod histogram;
mod interrupt;
mod lexer;
mod matches;
mod number;
mod patterns;
pub mod pipes;
mod record;
mod saved;
mod search;
mod segment;
mod surprise;
mod unknown;
mod when;
mod words;

pub use ast::{Bound, Expr, Leaf, Range, RegexTest, Test};
pub use best::Place;
pub use compare::{Comparison, Difference, Side, Spread, What};
pub use engine::{Between, Engine};
pub use error::SyntaxError;
pub use facets::{Facet, Facets};
pub use fields::FieldType;
pub use grammar::{parse, parse_any_at, parse_at};
pub use histogram::{BUCKETS_MAX, Histogram};
pub use interrupt::interruptible;
pub use matches::{Aliases, UNSEARCHED, matches, visit};
pub use patterns::{Pattern, Patterns};
#[cfg(test)]
use record::parse_event_id;
pub use record::{Parts, build_record, event_id};
pub use saved::{SaveError, SavedQueries, SavedQuery};
pub use search::{Hits, Search};
pub use segment::{Language, Stop};

#[cfg(test)]
mod aggregate_tests;

#[cfg(test)]
mod compare_tests;

#[cfg(test)]
mod engine_tests;

#[cfg(test)]
mod pipes_tests;

#[cfg(test)]
mod random_tests;

#[cfg(test)]
mod template_tests;
