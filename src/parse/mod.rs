//! From a line to typed fields: which grammar a line has, and what it says.
//!
//! Every parser here is written by hand over bytes, runs in time linear in the line's length, allocates nothing unless
//! an escape must be undone or a nested name built, and knows no clock, disk or network: the same line gives the same
//! fields for ever. That is what lets the store keep lines and rebuild records ([`Parser::parse_as`]).
//!
//! A line is taken apart in two steps. A container runtime's wrapper (CRI's prefix, Docker's JSON object) comes off
//! first; then the content goes to the one grammar that its first byte allows ([`detect`]). Where no grammar knows the
//! content, the wrapper itself is the grammar; where there is no wrapper either, the line is kept whole as it is.

mod detect;
mod formats;
mod grammar;
mod number;
pub mod template;

pub use detect::UnknownGrammar;
pub use formats::klog_time::{klog_time, klog_zone_offset};
pub use grammar::{FieldSpec, Grammar};

use crate::record::{Fields, Stream};

use detect::Id;

/// The grammars a program knows. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Parser {
    grammars: Vec<Grammar>,
}

impl Parser {
    /// The grammars that are built in.
    pub fn builtin() -> Self {
        Self { grammars: grammar::builtin() }
    }

    /// Every grammar, in the order `auto` prefers them.
    pub fn grammars(&self) -> &[Grammar] {
        &self.grammars
    }

    /// The grammar of that name.
    pub fn grammar(&self, name: &str) -> Option<&Grammar> {
        self.grammars.iter().find(|g| g.name == name)
    }

    /// Checks a name a user wrote: a grammar's, or `auto`.
    pub fn check_name(&self, name: &str) -> Result<(), UnknownGrammar> {
        if name == "auto" || self.grammar(name).is_some() {
            return Ok(());
        }
        let known = self.grammars.iter().map(|g| g.name).collect::<Vec<_>>().join(", ");
        Err(UnknownGrammar { name: name.to_owned(), known })
    }

    /// Parses a line of a stream: the grammar its lines had so far is tried first, the others after it; what is found
    /// is remembered in the stream. Appends to `fields` and names the grammar, or leaves them alone.
    ///
    /// The memory saves time and never changes an answer: this gives what [`Parser::parse_auto`] gives.
    pub fn parse<'a>(&self, stream: &Stream, line: &'a str, fields: &mut Fields<'a>) -> Option<&'static str> {
        let remembered = detect::remembered(stream);
        let found = detect::parse(remembered, line, fields);
        detect::remember(stream, remembered, found);
        found.map(Id::name)
    }

    /// Parses a line by what it looks like, with no memory.
    pub fn parse_auto<'a>(&self, line: &'a str, fields: &mut Fields<'a>) -> Option<&'static str> {
        detect::parse(None, line, fields).map(Id::name)
    }

    /// Parses a line with the named grammar, `auto` excluded: exactly the fields that [`Parser::parse`] gave when it
    /// returned that name. False, with `fields` as they were, where the line is not of that grammar.
    pub fn parse_as<'a>(&self, grammar: &str, line: &'a str, fields: &mut Fields<'a>) -> bool {
        Id::from_name(grammar).is_some_and(|id| detect::parse_as(id, line, fields))
    }

    /// The grammar that a stream's lines were found to have.
    pub fn remembered(&self, stream: &Stream) -> Option<&'static str> {
        detect::remembered(stream).map(Id::name)
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::builtin()
    }
}

#[cfg(test)]
mod tests;
