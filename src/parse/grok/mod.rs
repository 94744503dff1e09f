//! Grok: patterns of named pieces over regular expressions, as Logstash has them, in linear time.
//!
//! The way of a pattern: its text becomes a tree ([`syntax`]); the names in it are replaced by their definitions
//! ([`library`], [`expand`]); the result is translated ([`translate`]) for an engine that never steps back ([`linear`]),
//! and what that one cannot say is checked in what it found ([`program`]).

mod atom;
mod class;
mod edges;
mod error;
mod expand;
mod field;
mod library;
mod linear;
mod program;
mod rewrite;
mod syntax;
mod translate;
mod tree;

pub use error::{CompileError, Fault, SyntaxFault};
pub use field::{FieldRef, Group, Type};
pub use library::{Library, LibraryError};
pub use program::{Captures, Outcome, Pattern};

#[cfg(test)]
mod tests;
