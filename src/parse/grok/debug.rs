//! Patterns tried on a text as their author wants to see it: what each field captured and where, or why none fits.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::error::CompileError;
use super::explain::{Explainer, Explanation};
use super::field::{Group, Type};
use super::library::Library;
use super::program::{Captures, Outcome, Pattern};

/// Patterns, tried in order: the first that fits counts.
pub struct Debugger {
    patterns: Vec<(Pattern, Explainer)>,
    captures: Captures,
}

/// What came of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    pub outcome: Outcome,
    /// The pattern that fits, or that reached its limit of steps: its place, from 0.
    pub pattern: Option<usize>,
    /// Where the pattern matched, in bytes.
    pub whole: Option<Range<usize>>,
    /// In the order in which a record has them.
    pub captures: Vec<Captured>,
    /// Of each pattern that does not fit, up to the one that does.
    pub failures: Vec<Failure>,
}

/// A field of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// Its names from the outside in, with dots between.
    pub field: String,
    pub kind: Type,
    /// The name of the pattern that captured it; `None` for a named group.
    pub pattern: Option<String>,
    pub value: Value,
    /// Bytes of the text.
    pub at: Range<usize>,
}

/// A pattern that does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Its place, from 0.
    pub pattern: usize,
    /// `None`: each piece fits, but look-around forbids the match.
    pub explanation: Option<Explanation>,
}

impl Debugger {
    /// Compiles the patterns. Without `named_captures_only`, `%{INT}` is a field named `INT`.
    ///
    /// # Errors
    /// The first pattern that cannot be compiled, by its place from 0, and what is wrong with it.
    pub fn new(
        library: &Library,
        patterns: &[String],
        named_captures_only: bool,
    ) -> Result<Self, (usize, CompileError)> {
        let shared = Arc::new(library.clone());
        let compiled = patterns.iter().enumerate().map(|(at, text)| {
            let pattern = Pattern::compile_with(library, text, named_captures_only).map_err(|error| (at, error))?;
            Ok((pattern, Explainer::new(Arc::clone(&shared), text)))
        });
        let patterns = compiled.collect::<Result<_, _>>()?;
        Ok(Self { patterns, captures: Captures::new() })
    }

    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    /// Tries the patterns on a text.
    pub fn text(&mut self, text: &str) -> Tried {
        let mut failures = Vec::new();
        for (at, (pattern, explainer)) in self.patterns.iter().enumerate() {
            let outcome = pattern.matches(text, &mut self.captures);
            if outcome == Outcome::NoMatch {
                failures.push(Failure { pattern: at, explanation: explainer.explain(text) });
                continue;
            }
            let fits = outcome == Outcome::Match;
            let captures = if fits { captured(pattern, text, &self.captures) } else { Vec::new() };
            let whole = self.captures.whole().filter(|_| fits);
            return Tried { outcome, pattern: Some(at), whole, captures, failures };
        }
        Tried { outcome: Outcome::NoMatch, pattern: None, whole: None, captures: Vec::new(), failures }
    }
}

fn captured(pattern: &Pattern, text: &str, captures: &Captures) -> Vec<Captured> {
    let one = |(group, at): (&Group, Option<Range<usize>>)| {
        let at = at?;
        Some(Captured {
            field: group.field.path().join("."),
            kind: group.kind,
            pattern: group.pattern.as_ref().map(ToString::to_string),
            value: group.kind.value(&text[at.clone()]),
            at,
        })
    };
    pattern.spans(captures).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_counts_and_the_others_say_why() {
        let patterns = ["^%{INT:code:int} ok$", "^%{WORD:verb} (?<rest>.+)$"].map(str::to_owned);
        let mut debugger = Debugger::new(&Library::standard(), &patterns, true).unwrap();
        let result = debugger.text("get é x");
        assert_eq!((result.outcome, result.pattern, result.whole), (Outcome::Match, Some(1), Some(0..8)));
        let found: Vec<_> = result.captures.iter().map(|c| (c.field.as_str(), c.at.clone())).collect();
        assert_eq!(found, [("verb", 0..3), ("rest", 4..8)]);
        let failure = &result.failures[0];
        assert_eq!((failure.pattern, failure.explanation.as_ref().unwrap().offset), (0, 0));
        let result = debugger.text("?");
        assert_eq!((result.outcome, result.pattern, result.failures.len()), (Outcome::NoMatch, None, 2));
        let result = debugger.text("7 ok");
        assert_eq!((result.captures[0].value.clone(), result.failures.len()), (7.into(), 0));
        let (at, error) =
            Debugger::new(&Library::standard(), &["a".to_owned(), "%{INTT:x}".to_owned()], true).err().unwrap();
        assert_eq!((at, error.offset), (1, 0));
    }
}
