//! The engine that takes time linear in the text, for every pattern it accepts.

use memchr::memmem::Finder;
use regex_automata::dfa::onepass;
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::pool::Pool;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, HirKind};

use super::backtrack::{Backtracker, Stack};
use super::error::Fault;

/// Bytes that the compiled form of one pattern may take.
const NFA_BYTES_MAX: usize = 16 << 20;

/// Bytes of the automaton's states that a search keeps; each thread has its own.
const HYBRID_BYTES_MAX: usize = 4 << 20;

/// Bytes of a one-pass table; a pattern that needs more goes without.
const ONEPASS_BYTES_MAX: usize = 1 << 20;

type Caches = Pool<onepass::Cache, Box<dyn Fn() -> onepass::Cache + Send + Sync>>;

/// A compiled `Hir`.
pub(super) struct Linear {
    /// Texts without this cannot match.
    required: Option<Finder<'static>>,
    backtracker: Backtracker,
    /// Where each next step is decided by the next byte, groups are found in one pass.
    onepass: Option<(onepass::DFA, Caches)>,
    general: meta::Regex,
}

impl Linear {
    /// Compiles; the error is [`Fault::TooLarge`], or [`Fault::Engine`] for what no pattern is known to cause.
    pub fn new(hir: &Hir) -> Result<Self, Fault> {
        let config = meta::Config::new()
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .onepass_size_limit(Some(ONEPASS_BYTES_MAX))
            .hybrid_cache_capacity(HYBRID_BYTES_MAX);
        let general =
            meta::Builder::new().configure(config).build_from_hir(hir).map_err(|error| match error.size_limit() {
                Some(_) => Fault::TooLarge { most_bytes: NFA_BYTES_MAX },
                None => Fault::Engine(error.to_string()),
            })?;
        // The automaton was within its limit a moment ago.
        let nfa = thompson::Compiler::new().build_from_hir(hir).map_err(|error| Fault::Engine(error.to_string()))?;
        let required = required(hir).map(|literal| Finder::new(&literal).into_owned());
        Ok(Self { required, onepass: onepass(&nfa), backtracker: Backtracker::new(nfa), general })
    }

    /// Finds the leftmost match, its first way; `slots` are two for each group, the whole match's first.
    pub fn captures(&self, text: &str, slots: &mut [Option<NonMaxUsize>], stack: &mut Stack) -> bool {
        if self.required.as_ref().is_some_and(|literal| literal.find(text.as_bytes()).is_none()) {
            return false;
        }
        // Most lines match from their start or not at all, and a match at the start is the leftmost one.
        if self.captures_at(text, 0, slots, stack) == Some(true) {
            return true;
        }
        let Some(found) = self.general.search(&Input::new(text)) else { return false };
        if self.captures_at(text, found.start(), slots, stack) == Some(true) {
            return true;
        }
        let input = Input::new(text).span(found.span()).anchored(Anchored::Yes);
        self.general.search_slots(&input, slots).is_some()
    }

    /// The groups of the match that begins at `start`, if there is one and it is found cheaply.
    fn captures_at(
        &self,
        text: &str,
        start: usize,
        slots: &mut [Option<NonMaxUsize>],
        stack: &mut Stack,
    ) -> Option<bool> {
        let Some((dfa, caches)) = &self.onepass else {
            return self.backtracker.captures_at(text, start, slots, stack);
        };
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        dfa.try_search_slots(&mut caches.get(), &input, slots).ok().map(|found| found.is_some())
    }
}

fn onepass(nfa: &NFA) -> Option<(onepass::DFA, Caches)> {
    let config = onepass::Config::new().size_limit(Some(ONEPASS_BYTES_MAX));
    let dfa = onepass::Builder::new().configure(config).build_from_nfa(nfa.clone()).ok()?;
    let template = dfa.clone();
    let make: Box<dyn Fn() -> onepass::Cache + Send + Sync> = Box::new(move || template.create_cache());
    Some((dfa, Pool::new(make)))
}

/// The longest literal that every match holds.
fn required(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(subs) => subs.iter().filter_map(required).max_by_key(Vec::len),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Patterns whose ways differ in order, emptiness and loops.
    const PATTERNS: &[&str] = &[
        "(a|ab)(c|bcd)*(d*)",
        "(a*)(ab)?b*",
        "(?:(a)|b)*",
        "(a*)*b",
        "(a*?)*(b?)",
        "(?:(a?)(b?))*c",
        "^(.*) (.*?)(b+)$",
        "(?s:(.*)b(.*?)c)",
        "([a-c]+?)(é|e)([^b]*)b",
        r"\b(a+)\b.*?\b(b+)\b",
        "(?:(a)(?:b|(c)))+",
        "((?:a|b)*)(?:a|b){2}c",
        "(é*)([^é]+)(é|$)",
        "()(a?)()(b??)(c|)",
    ];

    fn compare(hir: &Hir, linear: &Linear, text: &str) {
        let count = 2 * (1 + hir.properties().explicit_captures_len());
        let (mut expected, mut found) = (vec![None; count], vec![None; count]);
        let matches = linear.general.search_slots(&Input::new(text), &mut expected).is_some();
        assert_eq!(linear.captures(text, &mut found, &mut Stack::default()), matches, "{hir} on {text:?}");
        if matches {
            assert_eq!(found, expected, "{hir} on {text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_general_engine_finds(text in "[abcdeé \\n]{0,24}") {
            for pattern in PATTERNS {
                let hir = regex_syntax::parse(pattern).unwrap();
                compare(&hir, &Linear::new(&hir).unwrap(), &text);
            }
        }
    }

    #[test]
    fn a_text_of_many_ways() {
        let hir = regex_syntax::parse("(?:(a*)*|b)*c(d)?").unwrap();
        let linear = Linear::new(&hir).unwrap();
        for text in ["a".repeat(20_000), format!("{}cd", "ab".repeat(10_000))] {
            compare(&hir, &linear, &text);
        }
    }
}
