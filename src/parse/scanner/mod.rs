//! Compiled patterns at the speed of parsers written by hand, exact to the general engine.
//!
//! Most patterns of log lines are literals, runs of simple classes and numbers, in which the next byte decides what to
//! do. A [`Scanner`] is such a pattern as a list of steps over bytes:
//!
//! ```text
//! Hir ──> node ──> pieces ──> compile ──> steps ──> walk
//!         (what    (groups    (back to front, each   (at each place where
//!          we can)  as slots)  knowing what follows)  search says one may begin)
//! ```
//!
//! What it answers is what the `regex` crate answers, slot by slot (a property test compares them). Where it would
//! need more than time linear in the text it gives up and says so: the general engine is asked then. Patterns it has
//! no steps for make no scanner at all.

mod block;
mod class;
mod compile;
mod island;
mod literals;
mod nfa;
mod node;
mod op;
mod pattern_set;
mod pieces;
mod prefix;
mod run;
mod search;
mod set;
mod shortcut;
mod walk;

pub use pattern_set::PatternSet;

use std::cell::RefCell;

use regex_syntax::hir::Hir;

use node::Node;
use op::Program;
use prefix::Prefix;
use search::{Required, Starts};
use walk::{End, Pad, Walk};

/// What may be spent on a text, in units of one step back (some nanoseconds): so much, and so much for each byte.
const BUDGET_BASE: u64 = 1 << 10;
const BUDGET_A_BYTE: u64 = 8;

thread_local! {
    /// One a thread, so that a match allocates nothing.
    static PAD: RefCell<Pad> = const { RefCell::new(Pad::new()) };
}

/// A compiled pattern. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Scanner {
    program: Program,
    starts: Starts,
    prefix: Option<Prefix>,
    required: Option<Required>,
    slots: usize,
}

impl Scanner {
    /// None where the pattern holds something the scanner has no step for (classes of some characters beyond ASCII,
    /// bytes that are no characters, line ends of CRLF, a loop around what may be empty), or is too large.
    pub fn new(hir: &Hir) -> Option<Scanner> {
        if !hir.properties().is_utf8() {
            return None;
        }
        let node = Node::new(hir)?;
        let program = compile::compile(&node)?;
        Some(Scanner {
            starts: Starts::new(&node, node.first(set::Set::ALL)),
            prefix: Prefix::new(&node),
            required: Required::new(hir),
            slots: 2 * (hir.properties().explicit_captures_len() + 1),
            program,
        })
    }

    /// The number of slots of a match: two a group, where it begins and where it ends, the whole match first.
    pub fn slot_count(&self) -> usize {
        self.slots
    }

    /// Searches for the leftmost match, of those that begin there the one that the pattern prefers, exactly as the
    /// `regex` crate does. Sets `slots` (byte offsets; None: a group that took no part; a slice shorter than
    /// [`Scanner::slot_count`] gets what it has room for). Where there is no match, what is in `slots` means nothing.
    ///
    /// None: not decided within a budget linear in the text's length. Ask the general engine.
    pub fn captures(&self, text: &str, slots: &mut [Option<usize>]) -> Option<bool> {
        self.measured(text, slots).0
    }

    /// The same, and what of the budget it took.
    fn measured(&self, text: &str, slots: &mut [Option<usize>]) -> (Option<bool>, u64) {
        let budget = BUDGET_BASE + BUDGET_A_BYTE * text.len() as u64;
        let mut walk = Walk::new(text, budget);
        let decided = PAD.with_borrow_mut(|pad| {
            pad.clear();
            self.search(&mut walk, slots, pad)
        });
        (decided, budget - walk.budget)
    }

    fn search(&self, walk: &mut Walk<'_>, slots: &mut [Option<usize>], pad: &mut Pad) -> Option<bool> {
        let text = walk.text;
        if self.program.is_optional {
            slots.fill(None);
        }
        let mut from = 0;
        let mut last = None;
        while let Some(start) = self.starts.next(text, from) {
            // Only now: a text that matches at its first place does without, and so does one that has no other.
            if from > 0 && last.is_none() {
                last = self.last_start(text);
                if last.is_none() {
                    break;
                }
            }
            if last.is_some_and(|last| start > last) {
                break;
            }
            from = start + 1;
            if last.is_some() && self.prefix.as_ref().is_some_and(|prefix| !prefix.allows(text.as_bytes(), start)) {
                continue;
            }
            match walk.run(&self.program, start, slots, pad) {
                End::Match(end) => {
                    for (slot, place) in slots.iter_mut().zip([start, end]) {
                        *slot = Some(place);
                    }
                    return Some(true);
                }
                End::Fail => {}
                // A text without the literal does not match, however hard that is to see for the walk.
                End::Undecided if last.is_none() && self.last_start(text).is_none() => return Some(false),
                End::Undecided => return None,
            }
            if walk.dirty {
                slots.fill(None);
                walk.dirty = false;
            }
        }
        Some(false)
    }

    /// The last place where a match can begin, as far as its literals tell; None: nowhere.
    fn last_start(&self, text: &str) -> Option<usize> {
        match &self.required {
            Some(literal) => literal.last_start(text),
            None => Some(text.len()),
        }
    }
}

#[cfg(test)]
mod patterns;
#[cfg(test)]
mod set_tests;
#[cfg(test)]
mod tests;
