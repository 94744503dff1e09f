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
mod format_string;
mod formats;
mod grammar;
mod grammars;
pub mod grok;
mod memory;
mod names;
mod number;
mod patterns;
mod patterns_dir;
pub mod redact;
mod routes;
pub mod scanner;
mod steps;
pub mod suggest;
pub mod template;

pub use detect::UnknownGrammar;
pub use file::{FileError, Sample, embedded_text, load, samples, text as file_text};
pub use format_string::{FormatError, FormatFault};
pub use formats::klog_time::{klog_time, klog_zone_offset};
pub use grammar::{FieldSpec, Grammar};
pub use grammars::Grammars;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::config::Route;
use crate::record::{Fields, Stream};

use choice::Choice;
use detect::{First, Id};
use file::Read;
use memory::Memory;
use routes::Routes;

/// How [`Parser::explain`] begins.
const UNPARSED: &str = "no grammar fits this line";

/// More grammars are not taken.
pub const GRAMMARS_MAX: usize = 10_000;

/// The grammars a program knows. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Parser {
    grammars: Vec<Arc<Grammar>>,
    choice: Arc<Choice>,
    routes: Routes,
    generation: u16,
}

impl Parser {
    /// The grammars that are built in: parsers written by hand, then the files under `grammars/`.
    pub fn builtin() -> Self {
        // Compiling patterns takes milliseconds, and the grammars never change.
        static BUILTIN: LazyLock<Parser> = LazyLock::new(|| {
            Parser::of(grammar::builtin().into_iter().chain(file::embedded()).map(Arc::new).collect())
        });
        let (grammars, choice) = (BUILTIN.grammars.clone(), Arc::clone(&BUILTIN.choice));
        Self { grammars, choice, routes: Routes::default(), generation: memory::next_generation() }
    }

    fn of(grammars: Vec<Arc<Grammar>>) -> Self {
        let choice = Arc::new(Choice::new(&grammars));
        let mut routes = Routes::default();
        for (place, grammar) in grammars.iter().enumerate() {
            grammar.when.iter().for_each(|when| routes.push(when.clone(), Id::at(place)));
        }
        Self { grammars, choice, routes, generation: memory::next_generation() }
    }

    /// The built-in grammars and those of the `*.yaml` files in a directory, in the order of their names. A file may
    /// replace a built-in grammar that is a file itself. All problems are told at once.
    pub fn with_directory(dir: &Path) -> Result<Self, Vec<String>> {
        Self::with_files(&file::texts(dir).map_err(|problem| vec![problem])?, &[])
    }

    fn with_files(files: &[Read], rules: &[Route]) -> Result<Self, Vec<String>> {
        let mut grammars = Self::builtin().grammars;
        let builtin = grammars.len();
        let mut problems = Vec::new();
        for (path, text) in files {
            let place = path.display();
            match text.as_ref().map_err(String::clone).and_then(|text| load(text).map_err(|error| error.to_string())) {
                Ok(grammar) => match grammars.iter().position(|known| known.name == grammar.name) {
                    None => grammars.push(Arc::new(grammar)),
                    Some(known) if known >= builtin => {
                        problems.push(format!("{place}: another file names its grammar {} too", grammar.name));
                    }
                    Some(known) if grammars[known].hand.is_none() => grammars[known] = Arc::new(grammar),
                    Some(_) => problems.push(format!("{place}: {} is built in: take another name", grammar.name)),
                },
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
        if grammars.len() > GRAMMARS_MAX {
            problems.push(format!("{} grammars are more than {GRAMMARS_MAX}", grammars.len()));
        }
        grammars.sort_by_key(|grammar| grammar.fallback);
        let mut routes = Routes::default();
        for rule in rules {
            match grammars.iter().position(|grammar| grammar.name == rule.grammar) {
                Some(place) => routes.push(rule.when.clone(), Id::at(place)),
                None => problems.push(format!("routes: no grammar is named {:?}", rule.grammar)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut parser = Self::of(grammars);
        // The configuration's rules go before the files'.
        routes.append(std::mem::take(&mut parser.routes));
        Ok(Self { routes, ..parser })
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

    /// Parses a line of a stream: the grammar that a rule sends it to is tried first, then the one its lines had so
    /// far, then the others; what is found is remembered in the stream. Appends to `fields` and gives the grammar, or
    /// leaves them alone.
    ///
    /// For the parsers written by hand the memory saves time and never changes an answer. Grammars of files may overlap;
    /// there it keeps a stream with the one it began with.
    pub fn parse<'a>(&self, stream: &Stream, line: &'a str, fields: &mut Fields<'a>) -> Option<&Arc<Grammar>> {
        let known = Memory::of(stream, self.generation);
        let memory = known.unwrap_or_else(|| Memory::new(self.generation, self.routes.of(stream)));
        let first = First { route: memory.route, remembered: memory.grammar };
        let found = detect::parse(self, first, line, fields);
        let after = memory.after(found);
        // Written only where something changed: the stream is shared.
        if known != Some(after) {
            after.store(stream);
        }
        found.map(|id| self.at(id))
    }

    /// Parses a line by what it looks like, with no memory.
    pub fn parse_auto<'a>(&self, line: &'a str, fields: &mut Fields<'a>) -> Option<&Arc<Grammar>> {
        detect::parse(self, First::default(), line, fields).map(|id| self.at(id))
    }

    /// Parses a line with the named grammar, `auto` excluded: exactly the fields that [`Parser::parse`] gave when it
    /// returned that one. False, with `fields` as they were, where the line is not of that grammar.
    pub fn parse_as<'a>(&self, grammar: &str, line: &'a str, fields: &mut Fields<'a>) -> bool {
        self.grammar(grammar).is_some_and(|grammar| grammar.parse_line(line, fields))
    }

    /// Why no grammar fits a line: which came furthest, up to which character, and what should have stood there. Meant
    /// for people, and slow: tens of microseconds.
    pub fn explain(&self, line: &str) -> String {
        let content = detect::unwrapped(line);
        let tried = self.grammars.iter().filter(|grammar| grammar.patterns().next().is_some() && grammar.is_for_all());
        let explained = tried.clone().filter_map(|grammar| Some((grammar.name, grammar.explain(&content)?)));
        let furthest = explained.reduce(|best, next| if next.1.offset > best.1.offset { next } else { best });
        let mut text = String::from(UNPARSED);
        if let Some((name, at)) = furthest.filter(|(_, at)| at.offset > 0) {
            let character = content[..at.offset].chars().count() + 1;
            let _ = write!(text, ": {name} came furthest, to character {character}, which does not fit `{}`", at.atom);
            if let Some(definition) = at.definition {
                let _ = write!(text, " (of %{{{definition}}})");
            }
        }
        let tried: Vec<_> = tried.map(|grammar| grammar.name).collect();
        let _ = write!(text, "; tried {}", tried.join(", "));
        text
    }

    fn at(&self, id: Id) -> &Arc<Grammar> {
        &self.grammars[id.index()]
    }

    /// The grammar that a stream's lines were found to have.
    pub fn remembered(&self, stream: &Stream) -> Option<&Arc<Grammar>> {
        Memory::of(stream, self.generation)?.grammar.map(|id| self.at(id))
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::builtin()
    }
}

#[cfg(test)]
mod tests;
