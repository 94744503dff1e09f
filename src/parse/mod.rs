//! From a line to typed fields: which grammar a line has, and what it says.
//!
//! The hot formats have parsers written by hand over bytes, others are files of patterns ([`load`]). Every parser runs in
//! time linear in the line's length, allocates nothing unless an escape must be undone or a nested name built, and knows
//! no clock, disk or network: the same line gives the same fields for ever. That is what lets the store keep lines and rebuild records ([`Parser::parse_as`]).
//!
//! A line is taken apart in two steps. A container runtime's wrapper (CRI's prefix, Docker's JSON object) comes off
//! first; then the content goes to the one grammar that its first byte allows ([`detect`]). Where no grammar knows the
//! content, the wrapper itself is the grammar; where there is no wrapper either, the line is kept whole as it is.

mod choice;
mod detect;
mod file;
mod formats;
mod grammar;
pub mod grok;
mod names;
mod number;
mod patterns;
pub mod scanner;
pub mod template;

pub use detect::UnknownGrammar;
pub use file::{FileError, embedded_text, load};
pub use formats::klog_time::{klog_time, klog_zone_offset};
pub use grammar::{FieldSpec, Grammar};

use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::record::{Fields, Stream};

use choice::Choice;
use detect::Id;

/// The grammars a program knows. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Parser {
    grammars: Vec<Arc<Grammar>>,
    choice: Arc<Choice>,
}

impl Parser {
    /// The grammars that are built in: parsers written by hand, then the files under `grammars/`.
    pub fn builtin() -> Self {
        // Compiling patterns takes milliseconds, and the grammars never change.
        static BUILTIN: LazyLock<Parser> = LazyLock::new(|| {
            Parser::of(grammar::builtin().into_iter().chain(file::embedded()).map(Arc::new).collect())
        });
        Self { grammars: BUILTIN.grammars.clone(), choice: Arc::clone(&BUILTIN.choice) }
    }

    fn of(grammars: Vec<Arc<Grammar>>) -> Self {
        let choice = Arc::new(Choice::new(&grammars));
        Self { grammars, choice }
    }

    /// The built-in grammars and those of the `*.yaml` files in a directory, in the order of their names. A file may
    /// replace a built-in grammar that is a file itself. All problems are told at once.
    pub fn with_directory(dir: &Path) -> Result<Self, Vec<String>> {
        let mut grammars = Self::builtin().grammars;
        let mut problems = Vec::new();
        for (path, text) in file::texts(dir).map_err(|problem| vec![problem])? {
            let place = path.display();
            match text.and_then(|text| load(&text).map_err(|error| error.to_string())) {
                Ok(grammar) => {
                    let known = grammars.iter_mut().find(|known| known.name == grammar.name);
                    match known {
                        Some(known) if known.patterns.is_some() => *known = Arc::new(grammar),
                        Some(_) => problems.push(format!("{place}: {} is built in: take another name", grammar.name)),
                        None => grammars.push(Arc::new(grammar)),
                    }
                }
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
        if problems.is_empty() { Ok(Self::of(grammars)) } else { Err(problems) }
    }

    /// Every grammar, in the order `auto` prefers them.
    pub fn grammars(&self) -> &[Arc<Grammar>] {
        &self.grammars
    }

    /// The grammar of that name.
    pub fn grammar(&self, name: &str) -> Option<&Grammar> {
        self.grammars.iter().find(|g| g.name == name).map(Arc::as_ref)
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
    /// For the parsers written by hand the memory saves time and never changes an answer. Grammars of files may overlap;
    /// there it keeps a stream with the one it began with.
    pub fn parse<'a>(&self, stream: &Stream, line: &'a str, fields: &mut Fields<'a>) -> Option<&'static str> {
        let remembered = detect::remembered(stream);
        let found = detect::parse(self, remembered, line, fields);
        detect::remember(stream, remembered, found);
        found.and_then(|id| self.name(id))
    }

    /// Parses a line by what it looks like, with no memory.
    pub fn parse_auto<'a>(&self, line: &'a str, fields: &mut Fields<'a>) -> Option<&'static str> {
        detect::parse(self, None, line, fields).and_then(|id| self.name(id))
    }

    /// Parses a line with the named grammar, `auto` excluded: exactly the fields that [`Parser::parse`] gave when it
    /// returned that name. False, with `fields` as they were, where the line is not of that grammar.
    pub fn parse_as<'a>(&self, grammar: &str, line: &'a str, fields: &mut Fields<'a>) -> bool {
        let index = self.grammars.iter().position(|known| known.name == grammar);
        index.is_some_and(|index| detect::parse_as(self, Id::at(index), line, fields))
    }

    fn name(&self, id: Id) -> Option<&'static str> {
        self.grammars.get(id.index()).map(|grammar| grammar.name)
    }

    /// The grammar that a stream's lines were found to have.
    pub fn remembered(&self, stream: &Stream) -> Option<&'static str> {
        detect::remembered(stream).and_then(|id| self.name(id))
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::builtin()
    }
}

#[cfg(test)]
mod tests;
