//! Finds records: the query language, what it means ([`matches`]), and its plan over the store's shards.

mod ast;
mod error;
mod glob;
mod grammar;
mod lexer;
mod when;
mod words;

pub use ast::{Bound, Expr, Leaf, Range, RegexTest, Test};
pub use error::SyntaxError;
pub use grammar::{parse, parse_at};
