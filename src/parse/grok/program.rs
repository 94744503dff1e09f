//! A compiled pattern.

use std::fmt;
use std::ops::Range;

use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::Hir;

use super::backtrack::Stack;
use super::error::{CompileError, Fault};
use super::expand::{Expanded, expand};
use super::field::Group;
use super::library::Library;
use super::linear::Linear;
use super::translate::{self, Relaxed};
use crate::parse::scanner::Scanner;

/// Steps back that the backtracking engine may take in one text.
const BACKTRACKS_MAX: usize = 100_000;

/// Longer texts are not given to the backtracking engine: a step back can cost a walk over all of the text, so the
/// number of steps alone is no bound on the time.
const BACKTRACK_TEXT_BYTES_MAX: usize = 64 << 10;

/// A compiled pattern. Immutable; share it by `Arc`.
pub struct Pattern {
    source: String,
    groups: Vec<Group>,
    /// Indexes of `groups` in the order their values are stored.
    order: Vec<usize>,
    relaxed: Relaxed,
    /// The same as `linear`, faster, where the pattern is of pieces that the next byte decides.
    scanner: Option<Scanner>,
    linear: Linear,
    /// The pattern with its look-around; absent where `linear` alone is exact.
    exact: Option<fancy_regex::Regex>,
}

/// What a pattern found in a text. One can be used for many patterns and texts.
#[derive(Debug, Default)]
pub struct Captures {
    slots: Vec<Option<usize>>,
    scratch: Vec<Option<NonMaxUsize>>,
    stack: Stack,
}

impl Captures {
    /// For any pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where a group of the pattern matched, in bytes; `None` where it took no part. 0 is the first group, that of
    /// [`Pattern::groups`] at 0. Means something after [`Outcome::Match`] only.
    pub fn get(&self, group: usize) -> Option<Range<usize>> {
        self.span(group + 1)
    }

    /// Where the whole pattern matched. Where a text has look-around to satisfy, its neighbours may be part of it.
    pub fn whole(&self) -> Option<Range<usize>> {
        self.span(0)
    }

    fn span(&self, group: usize) -> Option<Range<usize>> {
        Some(self.slots.get(2 * group).copied()??..self.slots.get(2 * group + 1).copied()??)
    }
}

/// What came of matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Match,
    NoMatch,
    /// The pattern needs backtracking and its limit was reached: not known.
    StepLimit,
}

impl Pattern {
    /// Compiles a pattern whose fields are those that it names: `%{INT}` alone is none.
    pub fn compile(library: &Library, text: &str) -> Result<Self, CompileError> {
        Self::compile_with(library, text, true)
    }

    /// Compiles a pattern; without `named_captures_only`, `%{INT}` is a field named `INT`.
    pub fn compile_with(library: &Library, text: &str, named_captures_only: bool) -> Result<Self, CompileError> {
        let Expanded { piece, groups, numbered } = expand(library, text, named_captures_only)?;
        let error = |fault| CompileError { definition: None, text: text.to_owned(), offset: 0, fault };
        let relaxed = translate::relaxed(&piece, u32::try_from(groups.len()).unwrap_or(u32::MAX));
        let linear = Linear::new(&relaxed.hir).map_err(error)?;
        let scanner = Scanner::new(&relaxed.hir);
        let exact = (relaxed.candidate || relaxed.unknown || !relaxed.checks.is_empty()).then(|| {
            fancy_regex::RegexBuilder::new(&translate::text(&piece, numbered))
                .backtrack_limit(BACKTRACKS_MAX)
                .delegate_size_limit(10 << 20)
                .build()
        });
        let exact = exact.transpose().map_err(|cause| error(Fault::Engine(cause.to_string())))?;
        let order = storing_order(&groups);
        Ok(Self { source: text.to_owned(), groups, order, relaxed, scanner, linear, exact })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The groups that capture, in the order their parentheses open.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The fields' values that a match gave, with the groups they come from, in the order they are stored: as the
    /// pattern names them, those of one name together.
    pub fn values<'a>(
        &'a self,
        text: &'a str,
        captures: &'a Captures,
    ) -> impl Iterator<Item = (&'a Group, Option<&'a str>)> {
        self.spans(captures).map(move |(group, span)| (group, span.map(|span| &text[span])))
    }

    /// The same, as places in the text: bytes.
    pub fn spans<'a>(&'a self, captures: &'a Captures) -> impl Iterator<Item = (&'a Group, Option<Range<usize>>)> {
        self.order.iter().map(move |&at| (&self.groups[at], captures.get(at)))
    }

    /// Whether every match has to be confirmed by backtracking, within a limit of steps: the pattern has look-around
    /// of more than a character, an atomic group, a possessive repetition or a reference back. Say so to its author.
    pub fn needs_backtracking(&self) -> bool {
        self.relaxed.candidate || self.relaxed.unknown
    }

    /// What runs first: `scanner` (steps over bytes), `linear` (an automaton), or `backtracking` within a limit.
    pub fn engine(&self) -> &'static str {
        match (&self.scanner, self.relaxed.unknown) {
            (_, true) => "backtracking",
            (Some(_), _) => "scanner",
            (None, _) => "linear",
        }
    }

    /// The pattern without look-around: what it does not match, the pattern does not match. Its groups are those of
    /// the pattern, then one for each look-around that must be checked in a match.
    pub fn hir(&self) -> &Hir {
        &self.relaxed.hir
    }

    /// Finds the pattern anywhere in a text.
    pub fn matches(&self, text: &str, captures: &mut Captures) -> Outcome {
        let groups = 1 + self.groups.len() + self.relaxed.checks.len();
        if !self.relaxed.unknown && !self.linear_match(text, groups, captures) {
            return Outcome::NoMatch;
        }
        let Some(exact) = &self.exact else { return Outcome::Match };
        if !self.needs_backtracking() && self.checks_hold(text, captures) {
            return Outcome::Match;
        }
        let found = if text.len() > BACKTRACK_TEXT_BYTES_MAX { None } else { exact.captures(text).ok() };
        match found {
            Some(Some(found)) => {
                captures.slots.clear();
                let spans = (0..=self.groups.len()).map(|group| found.get(group));
                captures.slots.extend(spans.flat_map(|m| [m.map(|m| m.start()), m.map(|m| m.end())]));
                Outcome::Match
            }
            Some(None) => Outcome::NoMatch,
            None if self.needs_backtracking() => Outcome::StepLimit,
            // Only look-around at a character is in doubt: as upstream's patterns are read without it (PROTOCOLS
            // section 4), what was found stands.
            None => Outcome::Match,
        }
    }

    /// Runs the scanner, and the linear engine where it gives up; false where nothing was found.
    fn linear_match(&self, text: &str, groups: usize, captures: &mut Captures) -> bool {
        if let Some(scanner) = &self.scanner {
            captures.slots.clear();
            captures.slots.resize(2 * groups, None);
            if let Some(found) = scanner.captures(text, &mut captures.slots) {
                return found;
            }
        }
        captures.scratch.clear();
        captures.scratch.resize(2 * groups, None);
        if !self.linear.captures(text, &mut captures.scratch, &mut captures.stack) {
            return false;
        }
        captures.slots.clear();
        captures.slots.extend(captures.scratch.iter().map(|slot| slot.map(NonMaxUsize::get)));
        true
    }

    fn checks_hold(&self, text: &str, captures: &Captures) -> bool {
        self.relaxed.checks.iter().all(|check| {
            let at = captures.slots.get(2 * check.group as usize).copied().flatten();
            at.is_none_or(|at| check.holds(text, at))
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("source", &self.source).field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// Upstream hands over the values label by label: all groups of the first label, then all of the second.
fn storing_order(groups: &[Group]) -> Vec<usize> {
    let first = |at: usize| groups.iter().position(|group| group.label == groups[at].label);
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_cached_key(|&at| first(at));
    order
}
