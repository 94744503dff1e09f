//! The quick way to a match's groups: backtracking from a given place, for as long as that is cheap.
//!
//! Finding *whether* a pattern matches is the automaton's work and linear. Finding its groups with the linear engines
//! costs a bit of memory for every state and byte, and standard patterns have thousands of states (an e-mail address may
//! have 64 labels of 62 characters). Log lines hardly ever make a pattern step back, so this walks the same automaton
//! without keeping what it has seen, in the same order and so to the same match, and gives up after a number of steps
//! that is linear in the text.
//!
//! Two tables keep it from trying what the next byte rules out: which bytes can come next from each state, and which
//! bytes leave a greedy loop where it is.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::{NonMaxUsize, StateID};

/// Steps beside those that each byte is allowed.
const STEPS_LEAST: usize = 512;

/// Steps for each byte of a line of usual length, and for each further one: what a walk may waste on a long line before
/// it gives up should be no more than what the linear engines then take for it.
const STEPS_PER_BYTE: usize = 12;
const STEPS_PER_FURTHER_BYTE: usize = 4;
const USUAL_BYTES: usize = 8 << 10;

/// A set of bytes, and whether the end of the text is in it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Next {
    bytes: [u64; 4],
    end: bool,
}

impl Next {
    fn add(&mut self, byte: u8) {
        self.bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn join(&mut self, other: &Self) {
        self.bytes.iter_mut().zip(other.bytes).for_each(|(all, more)| *all |= more);
        self.end |= other.end;
    }

    fn has(&self, next: Option<&u8>) -> bool {
        match next {
            Some(byte) => self.bytes[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0,
            None => self.end,
        }
    }
}

/// What to come back to.
#[derive(Debug)]
enum Frame {
    /// Another way from here.
    Way { state: StateID, at: usize },
    /// A greedy loop may be left at any place from `from` to before `to`, the last one first.
    Leave { state: StateID, from: usize, to: usize },
    /// A group's edge as it was before the way that failed.
    Restore { slot: usize, old: Option<NonMaxUsize> },
}

/// The memory of a walk, to be used again.
#[derive(Debug, Default)]
pub(super) struct Stack(Vec<Frame>);

/// A pattern's automaton, with what is known of each state.
#[derive(Debug)]
pub(super) struct Backtracker {
    nfa: NFA,
    /// What can come next from each state.
    next: Vec<Next>,
    /// Of each state that begins a greedy loop over single bytes: which of `loops`, from 1.
    loop_at: Vec<u32>,
    /// The bytes that lead from a loop's state back to it.
    loops: Vec<Next>,
}

impl Backtracker {
    pub fn new(nfa: NFA) -> Self {
        let next = next_of_all(&nfa);
        let (mut loop_at, mut loops) = (vec![0; nfa.states().len()], Vec::new());
        for (index, state) in nfa.states().iter().enumerate() {
            let State::BinaryUnion { alt1, .. } = state else { continue };
            let stay = stays(&nfa, *alt1, index);
            if stay != Next::default() {
                loops.push(stay);
                loop_at[index] = u32::try_from(loops.len()).unwrap_or(0);
            }
        }
        Self { nfa, next, loop_at, loops }
    }

    /// Whether the pattern matches from `start` on, with its groups in `slots`; `None` where that was not found out
    /// in time, `slots` being of no use then. A match from `start` is the leftmost one where no earlier place has one.
    pub fn captures_at(
        &self,
        text: &str,
        start: usize,
        slots: &mut [Option<NonMaxUsize>],
        stack: &mut Stack,
    ) -> Option<bool> {
        let haystack = text.as_bytes();
        let bytes = haystack.len() - start;
        let usual = bytes.min(USUAL_BYTES);
        let mut budget = STEPS_LEAST + STEPS_PER_BYTE * usual + STEPS_PER_FURTHER_BYTE * (bytes - usual);
        slots.fill(None);
        stack.0.clear();
        stack.0.push(Frame::Way { state: self.nfa.start_anchored(), at: start });
        while let Some(frame) = stack.0.pop() {
            let (state, at) = match frame {
                Frame::Restore { slot, old } => {
                    slots[slot] = old;
                    continue;
                }
                Frame::Way { state, at } => (state, at),
                Frame::Leave { state, from, to } => {
                    let next = &self.next[state.as_usize()];
                    let found = (from..to).rev().find(|&at| next.has(haystack.get(at)));
                    budget = budget.checked_sub((to - found.unwrap_or(from)) / 8)?;
                    let Some(at) = found else { continue };
                    if at > from {
                        stack.0.push(Frame::Leave { state, from, to: at });
                    }
                    (state, at)
                }
            };
            if self.walk(haystack, state, at, slots, stack, &mut budget)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// One way, to a match or to where it fails; other ways go to the stack.
    fn walk(
        &self,
        haystack: &[u8],
        mut state: StateID,
        mut at: usize,
        slots: &mut [Option<NonMaxUsize>],
        stack: &mut Stack,
        budget: &mut usize,
    ) -> Option<bool> {
        let possible = |state: StateID, at: usize| self.next[state.as_usize()].has(haystack.get(at));
        loop {
            *budget = budget.checked_sub(1)?;
            let next = match self.nfa.state(state) {
                State::ByteRange { trans } => trans.matches(haystack, at).then(|| (trans.next, at + 1)),
                State::Sparse(sparse) => sparse.matches(haystack, at).map(|next| (next, at + 1)),
                State::Dense(dense) => dense.matches(haystack, at).map(|next| (next, at + 1)),
                State::Look { look, next } => {
                    self.nfa.look_matcher().matches(*look, haystack, at).then_some((*next, at))
                }
                State::BinaryUnion { alt1, alt2 } => {
                    let from = at;
                    if let Some(stay) = self.loops.get((self.loop_at[state.as_usize()] as usize).wrapping_sub(1)) {
                        let run = haystack[at..].iter().take_while(|byte| stay.has(Some(byte))).count();
                        at += run;
                        *budget = budget.checked_sub(run / 8)?;
                        if run > 0 {
                            stack.0.push(Frame::Leave { state: *alt2, from, to: at });
                        }
                    }
                    match (possible(*alt1, at), possible(*alt2, at)) {
                        (true, true) => {
                            stack.0.push(Frame::Way { state: *alt2, at });
                            Some((*alt1, at))
                        }
                        (true, false) => Some((*alt1, at)),
                        (false, true) => Some((*alt2, at)),
                        (false, false) => None,
                    }
                }
                State::Union { alternates } => {
                    let mut ways = alternates.iter().copied().filter(|&state| possible(state, at));
                    let first = ways.next();
                    stack.0.extend(ways.rev().map(|state| Frame::Way { state, at }));
                    first.map(|first| (first, at))
                }
                State::Capture { next, slot, .. } => {
                    let slot = slot.as_usize();
                    if let Some(place) = slots.get_mut(slot) {
                        // Without a way to come back to, nobody will ask for what was there.
                        if !stack.0.is_empty() {
                            stack.0.push(Frame::Restore { slot, old: *place });
                        }
                        *place = NonMaxUsize::new(at);
                    }
                    Some((*next, at))
                }
                State::Fail => None,
                State::Match { .. } => return Some(true),
            };
            match next {
                Some((next, place)) => (state, at) = (next, place),
                None => return Some(false),
            }
        }
    }
}

/// The bytes by which a state leads to `target` in one step.
fn stays(nfa: &NFA, state: StateID, target: usize) -> Next {
    let mut stay = Next::default();
    let mut add = |from: u8, to: u8, next: StateID| {
        if next.as_usize() == target {
            (from..=to).for_each(|byte| stay.add(byte));
        }
    };
    match nfa.state(state) {
        State::ByteRange { trans } => add(trans.start, trans.end, trans.next),
        State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| add(t.start, t.end, t.next)),
        _ => {}
    }
    stay
}

/// What can come next from each state: its own bytes, and those of the states it leads to without a byte. An
/// assertion on the way is taken to hold.
fn next_of_all(nfa: &NFA) -> Vec<Next> {
    let mut all = vec![Next::default(); nfa.states().len()];
    // States mostly lead to earlier ones or to later ones in long runs; a few rounds both ways settle all of them.
    loop {
        let mut changed = false;
        let count = all.len();
        for index in (0..count).chain((0..count).rev()) {
            let mut next = Next::default();
            let mut range = |from: u8, to: u8| (from..=to).for_each(|byte| next.add(byte));
            match &nfa.states()[index] {
                State::ByteRange { trans } => range(trans.start, trans.end),
                State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| range(t.start, t.end)),
                State::Dense(_) => range(0, 255),
                State::Look { next: to, .. } | State::Capture { next: to, .. } => next = all[to.as_usize()],
                State::Union { alternates } => alternates.iter().for_each(|to| next.join(&all[to.as_usize()])),
                State::BinaryUnion { alt1, alt2 } => {
                    next = all[alt1.as_usize()];
                    next.join(&all[alt2.as_usize()]);
                }
                State::Fail => {}
                State::Match { .. } => next = Next { bytes: [u64::MAX; 4], end: true },
            }
            changed |= all[index] != next;
            all[index] = next;
        }
        if !changed {
            return all;
        }
    }
}
