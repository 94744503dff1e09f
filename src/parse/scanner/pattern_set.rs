//! Which of several patterns a text could match, told without trying them.
//!
//! Two questions strike out most of them: what a match begins with, where it must begin at the text's first byte; and
//! literals that every match holds. Patterns share literals, and each is looked for once a text, when the first
//! pattern asks for it. One pass of an automaton over all literals would look at each byte once instead; for some
//! twenty patterns it takes longer, since most ask for little after the first byte, and memmem reads 32 bytes at once.

use std::cell::RefCell;

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, Look};

use super::literals::required;
use super::node::Node;
use super::set::{END, SYMBOLS, Set};

/// The most literals a pattern asks for: the longest.
const LITERALS_MAX: usize = 3;

/// The fewest bytes of one: a blank or a colon is in most lines.
const LITERAL_MIN: usize = 2;

thread_local! {
    /// For each literal whether it is in the text, once asked; one a thread, so that a text allocates nothing.
    static ANSWERS: RefCell<Vec<Option<bool>>> = const { RefCell::new(Vec::new()) };
}

/// Several patterns, to choose from.
#[derive(Debug)]
pub struct PatternSet {
    gates: Vec<Gate>,
    literals: Vec<Finder<'static>>,
}

/// What a text must be for a pattern to match it.
#[derive(Debug)]
struct Gate {
    /// What it may begin with (the last: whether it may be empty), if a match begins where a line does.
    first: Option<Box<[bool; SYMBOLS]>>,
    /// Whether a match may begin at another line than the first.
    lines: bool,
    /// Numbers of literals that it holds.
    literals: Vec<usize>,
}

impl PatternSet {
    /// The patterns in order of preference. Any pattern will do, also one that no [`super::Scanner`] can be made of.
    pub fn new(patterns: &[Hir]) -> PatternSet {
        let mut texts: Vec<&[u8]> = Vec::new();
        let gates = patterns.iter().map(|pattern| gate(pattern, &mut texts)).collect();
        let literals = texts.into_iter().map(|text| Finder::new(text).into_owned()).collect();
        PatternSet { gates, literals }
    }

    /// Puts into `out`, in order, the numbers of those patterns that could match the text: all that do match it are
    /// there, and few others.
    pub fn candidates(&self, text: &str, out: &mut Vec<usize>) {
        out.clear();
        let bytes = text.as_bytes();
        let first = bytes.first().map_or(END, |byte| usize::from(*byte));
        let mut is_one_line = None;
        ANSWERS.with_borrow_mut(|answers| {
            answers.clear();
            answers.resize(self.literals.len(), None);
            for (number, gate) in self.gates.iter().enumerate() {
                if let Some(set) = &gate.first
                    && !set[first]
                    && (!gate.lines || *is_one_line.get_or_insert_with(|| memchr::memchr(b'\n', bytes).is_none()))
                {
                    continue;
                }
                let is_there = |literal: &usize| {
                    *answers[*literal].get_or_insert_with(|| self.literals[*literal].find(bytes).is_some())
                };
                if gate.literals.iter().all(is_there) {
                    out.push(number);
                }
            }
        });
    }
}

fn gate<'h>(pattern: &'h Hir, texts: &mut Vec<&'h [u8]>) -> Gate {
    let looks = pattern.properties().look_set_prefix();
    let text_only = looks.contains(Look::Start);
    let first = Node::new(pattern)
        .filter(|_| text_only || looks.contains(Look::StartLF))
        .map(|node| node.first(Set::ALL))
        .map(|set| Box::new(std::array::from_fn(|symbol| set.contains(symbol))));
    let mut wanted: Vec<&[u8]> = required(pattern).into_iter().filter(|text| text.len() >= LITERAL_MIN).collect();
    wanted.sort_by_key(|text| std::cmp::Reverse(text.len()));
    wanted.dedup();
    wanted.truncate(LITERALS_MAX);
    let number = |text| {
        texts.iter().position(|known| *known == text).unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        })
    };
    Gate { first, lines: !text_only, literals: wanted.into_iter().map(number).collect() }
}
