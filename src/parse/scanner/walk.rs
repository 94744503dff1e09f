//! The walk: a compiled pattern tried at one place of a text.
//!
//! Leftmost-first matching is what a walk that tries branches in their order finds first. What is left to try lies on
//! a stack; few patterns put anything there, since most choices are decided by the next symbol.

use regex_syntax::hir::Look;

use super::island::{ACCEPT, AMBIGUOUS};
use super::op::{Op, Pc, Program, Step};
use super::run::Run;
use super::set::END;

/// Something to go back to.
#[derive(Debug)]
pub(super) enum Frame {
    Branch(Pc, usize),
    /// A run that may give back: its step, where it must go to, goes to now, and went to at first.
    Greedy(Pc, usize, usize, usize),
    /// A run that may take more: its step, where it goes to now, where it went to at first, where it must end.
    Lazy(Pc, usize, usize, usize),
    /// A slot as it was.
    Slot(u32, Option<usize>),
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Where the match ends.
    Match(usize),
    Fail,
    /// The budget is used up.
    Undecided,
}

/// What a walk writes on, kept from text to text.
#[derive(Debug)]
pub(super) struct Pad {
    stack: Vec<Frame>,
    /// For each run that may be left at several places, those known to lead nowhere, first and last. A walk goes on
    /// from a place as it would have gone on from there before, whatever it did to come there, so no run is left twice
    /// at one place; that keeps patterns of many such runs linear on lines they do not match. Empty until needed.
    barren: Vec<(usize, usize)>,
}

impl Pad {
    pub(super) const fn new() -> Pad {
        Pad { stack: Vec::new(), barren: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.barren.clear();
    }

    #[inline]
    fn is_barren(&self, run: &Run, first: usize) -> bool {
        self.barren.get(run.number).is_some_and(|(from, to)| (*from..=*to).contains(&first))
    }

    /// Where a greedy run that begins at `at` need not go beyond: from there on all places lead nowhere.
    #[inline]
    fn ceiling(&self, run: &Run, at: usize) -> Option<usize> {
        let (from, to) = *self.barren.get(run.number)?;
        (from <= to && at + run.bytes_min() < from).then_some(from)
    }

    fn set_barren(&mut self, run: &Run, first: usize, last: usize) {
        if run.is_limited() {
            // It may end at other places the next time, though it comes by the same.
            return;
        }
        if self.barren.len() <= run.number {
            self.barren.resize(run.number + 1, (1, 0));
        }
        let known = &mut self.barren[run.number];
        // Two stretches that touch are one; else the newer one is of more use.
        *known = if first <= known.1 + 1 && known.0 <= last + 1 {
            (first.min(known.0), last.max(known.1))
        } else {
            (first, last)
        };
    }
}

/// A text, and what is left of the work that may be spent on it.
pub(super) struct Walk<'t> {
    pub(super) text: &'t str,
    /// In units of about one step back; bytes passed over are charged as parts of one.
    pub(super) budget: u64,
    /// Whether a slot was set that a failed walk leaves behind.
    pub(super) dirty: bool,
    /// Whether the last step back was to a run, whose slots are to be set again.
    resumed: bool,
}

/// Bytes passed over that cost as much as one step back.
const BYTES_A_UNIT: usize = 8;

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t str, budget: u64) -> Walk<'t> {
        Walk { text, budget, dirty: false, resumed: false }
    }

    /// False once the budget is used up.
    fn charge(&mut self, steps: u64, bytes: usize) -> bool {
        self.budget = self.budget.saturating_sub(steps + (bytes / BYTES_A_UNIT) as u64);
        self.budget > 0
    }

    /// Tries the program at `start`. A match sets `slots`; a failure may leave some set.
    pub(super) fn run(&mut self, program: &Program, start: usize, slots: &mut [Option<usize>], pad: &mut Pad) -> End {
        let bytes = self.text.as_bytes();
        let steps = &program.steps[..];
        let (mut pc, mut at, mut since) = (program.start as usize, start, start);
        pad.stack.clear();
        loop {
            let step = &steps[pc];
            let passed = match &step.op {
                Op::Match => return End::Match(at),
                Op::Mark => {
                    pc += 1;
                    true
                }
                Op::Jump(target) => {
                    pc = *target as usize;
                    true
                }
                Op::Byte(byte) => {
                    let fits = bytes.get(at) == Some(byte);
                    (pc, at) = (pc + 1, at + 1);
                    fits
                }
                Op::Short(short) => {
                    let fits = short.begins(&bytes[at..]);
                    (pc, at) = (pc + 1, at + short.len);
                    fits
                }
                Op::Literal(literal) => {
                    let fits = bytes[at..].starts_with(literal);
                    (pc, at) = (pc + 1, at + literal.len());
                    fits
                }
                Op::Fixed(fixed) => match bytes.get(at..at + fixed.len) {
                    Some(found) => {
                        let places = |(i, byte): (usize, &u8)| fixed.places[usize::from(*byte)] >> i;
                        let fits = found.iter().enumerate().map(places).fold(1, |all, place| all & place);
                        (pc, at) = (pc + 1, at + fixed.len);
                        fits == 1
                    }
                    None => false,
                },
                Op::Char(class) => match bytes.get(at) {
                    Some(byte) if class[usize::from(*byte)] => {
                        (pc, at) = (pc + 1, at + char_len(*byte));
                        true
                    }
                    _ => false,
                },
                Op::Rest => {
                    (pc, at) = (pc + 1, bytes.len());
                    true
                }
                Op::Maybe(class) => {
                    let there = bytes.get(at).is_some_and(|byte| class[usize::from(*byte)]);
                    (pc, at) = (pc + 1, at + usize::from(there));
                    true
                }
                Op::While(class, min) => {
                    let len = class.span(&bytes[at..]);
                    (pc, at) = (pc + 1, at + len);
                    len >= *min as usize
                }
                Op::Run(run) => match run.extent(bytes, at) {
                    Some(end) => {
                        (pc, at) = (pc + 1, end);
                        true
                    }
                    None => false,
                },
                Op::Greedy(run) => {
                    let ceiling = pad.ceiling(run, at);
                    let extents = run.extents(&bytes[..ceiling.unwrap_or(bytes.len())], at);
                    let extents = extents.map(|(low, high)| (low, high - usize::from(ceiling == Some(high))));
                    match extents {
                        Some((low, high)) if !pad.is_barren(run, low) => match run.exit_down(bytes, low, high) {
                            Some(end) => {
                                if !self.charge(0, high - end) {
                                    return End::Undecided;
                                }
                                pad.stack.push(Frame::Greedy(pc as Pc, low, end, high));
                                (pc, at) = (pc + 1, end);
                                true
                            }
                            None => {
                                pad.set_barren(run, low, high);
                                at = high;
                                false
                            }
                        },
                        _ => false,
                    }
                }
                Op::Lazy(run) => match run.least(bytes, at) {
                    Some(first) if !pad.is_barren(run, first) => {
                        let limit = run.limit(at);
                        match run.exit_up(bytes, first, limit) {
                            // A run that comes to such a place has only such places before it.
                            Ok(end) if !pad.is_barren(run, end) => {
                                pad.stack.push(Frame::Lazy(pc as Pc, end, first, limit));
                                (pc, at) = (pc + 1, end);
                                true
                            }
                            Ok(end) | Err(end) => {
                                pad.set_barren(run, first, end);
                                at = end;
                                false
                            }
                        }
                    }
                    _ => false,
                },
                Op::Island(island, slow) => {
                    let (end, answer) = island.run(bytes, at);
                    if answer == AMBIGUOUS {
                        if !self.charge(0, end - at) {
                            return End::Undecided;
                        }
                        pc = *slow as usize;
                        continue;
                    }
                    (pc, at) = (pc + 1, end);
                    answer == ACCEPT
                }
                Op::Ahead(set) => {
                    pc += 1;
                    set[symbol(bytes, at)]
                }
                Op::Look(look) => {
                    pc += 1;
                    holds(*look, self.text, at)
                }
                Op::Split(first, other) => {
                    pad.stack.push(Frame::Branch(*other, at));
                    pc = *first as usize;
                    true
                }
                Op::Switch(switch) => {
                    let choice = switch.choice[symbol(bytes, at)];
                    pc = switch.targets[usize::from(choice)] as usize;
                    choice != 0
                }
            };
            let step = if passed {
                step
            } else {
                if !self.charge(1, at.saturating_sub(since)) {
                    return End::Undecided;
                }
                let (step, place) = match self.back(program, slots, pad) {
                    Ok(back) => back,
                    Err(end) => return end,
                };
                (pc, at, since) = (step as usize, place, place);
                // Only a run sets slots when it is gone back to.
                match steps[..pc].last() {
                    Some(run @ Step { op: Op::Greedy(_) | Op::Lazy(_), .. }) if self.resumed => run,
                    _ => continue,
                }
            };
            for save in &program.saves[step.saves.0 as usize..step.saves.1 as usize] {
                let Some(slot) = slots.get_mut(save.slot as usize) else { continue };
                if save.restore {
                    self.dirty = true;
                    if !pad.stack.is_empty() {
                        pad.stack.push(Frame::Slot(save.slot, *slot));
                    }
                }
                *slot = Some(at - save.back as usize);
            }
        }
    }

    /// Goes back to what is left to try: the step to go on with, and where; or how the walk ended.
    #[cold]
    #[inline(never)]
    fn back(&mut self, program: &Program, slots: &mut [Option<usize>], pad: &mut Pad) -> Result<(Pc, usize), End> {
        let bytes = self.text.as_bytes();
        loop {
            self.resumed = false;
            match pad.stack.pop() {
                None => return Err(End::Fail),
                Some(Frame::Branch(target, place)) => return Ok((target, place)),
                Some(Frame::Slot(slot, old)) => {
                    if let Some(slot) = slots.get_mut(slot as usize) {
                        *slot = old;
                    }
                }
                Some(Frame::Greedy(pc, low, end, high)) => {
                    let Op::Greedy(run) = &program.steps[pc as usize].op else { return Err(End::Undecided) };
                    let lower = run.exit_below(bytes, low, end);
                    if !self.charge(0, end - lower.unwrap_or(low)) {
                        return Err(End::Undecided);
                    }
                    if let Some(end) = lower {
                        pad.stack.push(Frame::Greedy(pc, low, end, high));
                        self.resumed = true;
                        return Ok((pc + 1, end));
                    }
                    pad.set_barren(run, low, high);
                }
                Some(Frame::Lazy(pc, end, first, limit)) => {
                    let Op::Lazy(run) = &program.steps[pc as usize].op else { return Err(End::Undecided) };
                    let further = if end < limit && run.goes_on(bytes, end) {
                        run.exit_up(bytes, end + 1, limit)
                    } else {
                        Err(end)
                    };
                    match further {
                        Ok(further) if !pad.is_barren(run, further) => {
                            if !self.charge(0, further - end) {
                                return Err(End::Undecided);
                            }
                            pad.stack.push(Frame::Lazy(pc, further, first, limit));
                            self.resumed = true;
                            return Ok((pc + 1, further));
                        }
                        Ok(stop) | Err(stop) => {
                            pad.set_barren(run, first, stop);
                            if !self.charge(0, stop - end) {
                                return Err(End::Undecided);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn symbol(bytes: &[u8], at: usize) -> usize {
    bytes.get(at).map_or(END, |byte| usize::from(*byte))
}

/// The length of a character by its first byte.
fn char_len(head: u8) -> usize {
    match head {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

fn holds(look: Look, text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let before = at.checked_sub(1).map(|last| bytes[last]);
    let next = bytes.get(at).copied();
    let word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let wide = |byte: Option<u8>| byte.is_some_and(|byte| !byte.is_ascii());
    let word_before = || match wide(before) {
        true => text[..at].chars().next_back().is_some_and(is_word),
        false => word(before),
    };
    let word_next = || match wide(next) {
        true => text[at..].chars().next().is_some_and(is_word),
        false => word(next),
    };
    match look {
        Look::Start => at == 0,
        Look::End => next.is_none(),
        Look::StartLF => matches!(before, None | Some(b'\n')),
        Look::EndLF => matches!(next, None | Some(b'\n')),
        Look::WordAscii => word(before) != word(next),
        Look::WordAsciiNegate => word(before) == word(next),
        Look::WordUnicode => word_before() != word_next(),
        // The others have no node.
        _ => word_before() == word_next(),
    }
}

fn is_word(c: char) -> bool {
    // The tables are there: the feature that brings them is asked for in Cargo.toml.
    regex_syntax::try_is_word_character(c).unwrap_or(false)
}
