//! Grok: patterns of named pieces over regular expressions, as Logstash has them, in linear time.
//!
//! The way of a pattern: its text becomes a tree ([`syntax`]); the names in it are replaced by their definitions
//! ([`library`], [`expand`]); the result is translated ([`translate`]) for an engine that never steps back ([`linear`]),
//! and what that one cannot say is checked in what it found ([`program`]).

mod atom;
mod backtrack;
mod class;
mod debug;
mod edges;
mod error;
mod expand;
mod explain;
mod field;
mod filter;
mod library;
mod linear;
mod options;
mod program;
mod rewrite;
mod step;
mod syntax;
mod translate;
mod tree;

pub use debug::{Captured, Debugger, Failure, Tried};
pub use error::{CompileError, Fault, SyntaxFault, under};
pub use explain::{Explainer, Explanation, explain};
pub use field::{FieldRef, Group, Type};
pub use filter::{Applied, Filter, FilterError};
pub use library::{Library, LibraryError};
pub use options::FilterOptions;
pub use program::{Captures, Outcome, Pattern};

#[cfg(test)]
mod differential_tests;
#[cfg(test)]
mod filter_tests;
#[cfg(test)]
mod nasty_tests;
#[cfg(test)]
mod tests;
