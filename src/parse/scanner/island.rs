//! Islands: stretches of a pattern whose end the next byte decides.
//!
//! Leftmost-first matching prefers one branch to another; a stretch without groups shows nothing of that but where it
//! ends. So let an automaton read it, and look at each place where it could end: if what may follow the stretch has
//! nothing in common with what the stretch itself could go on with, then at every place there is at most one thing to
//! do, whatever is preferred, and one pass over the bytes finds the only end there can be. That is so for nearly
//! all of grok's atoms (numbers, hours, addresses, time stamps) in front of a separator, however they are written.
//!
//! Where both are possible, the automaton answers [`AMBIGUOUS`], and the stretch is matched step by step.

use std::collections::{HashMap, HashSet};

use regex_syntax::hir::Look;

use super::nfa::{Nfa, State};
use super::set::{END, SYMBOLS, Set};
use super::shortcut::{NO_SHORTCUT, Shortcuts};

/// The most states of an automaton, and the most entries of its table (4 bytes each).
const STATES_MAX: usize = 6_000;
const ENTRIES_MAX: usize = 1 << 18;

/// The most states of the first automaton that those of the second stand for, all together.
const WEIGHT_MAX: usize = 1 << 18;

/// Answers in place of a next state; every state's number is less.
pub(super) const ACCEPT: u32 = u32::MAX;
pub(super) const FAIL: u32 = u32::MAX - 1;
pub(super) const AMBIGUOUS: u32 = u32::MAX - 2;

/// What stands before a place, as assertions see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Before {
    Start,
    Lf,
    Word,
    Other,
    /// A character beyond ASCII: of a word or not, the byte does not say.
    Wide,
}

impl Before {
    const EACH: [Before; 5] = [Before::Start, Before::Lf, Before::Word, Before::Other, Before::Wide];

    fn of(symbol: usize) -> Before {
        match symbol {
            0x80.. => Before::Wide,
            _ if Set::WORD.contains(symbol) => Before::Word,
            0x0a => Before::Lf,
            _ => Before::Other,
        }
    }
}

/// An automaton over a stretch and the one symbol after it.
#[derive(Debug)]
pub(super) struct Island {
    /// The column of each byte; `end` is that of the text's end.
    columns: Box<[u8; 256]>,
    end: u8,
    /// Rows are states; a state's number is where its row begins. Each row ends with the state's [`Shortcuts`] entry.
    table: Vec<u32>,
    /// The columns of a row, the last one excepted.
    width: u32,
    shortcuts: Shortcuts,
    /// The first state, by what stands before.
    starts: [u32; 5],
    /// Whether `starts` differ.
    looks: bool,
    /// Whether it ever answers [`AMBIGUOUS`].
    pub(super) ambiguous: bool,
}

impl Island {
    /// The automaton of `nfa` where one of `follow` must come next; None if it is too large, or never decides.
    pub(super) fn new(nfa: &Nfa, follow: Set) -> Option<Island> {
        let columns = Columns::new(nfa, follow)?;
        let seen = vec![0; nfa.states.len()];
        let mut build = Build { nfa, follow, known: HashMap::new(), todo: Vec::new(), weight: 0, seen, round: 0 };
        let befores: &[Before] = if nfa.looks { &Before::EACH } else { &Before::EACH[..1] };
        let mut starts = [0; 5];
        for (start, before) in starts.iter_mut().zip(befores) {
            *start = build.state(vec![nfa.start], *before);
        }
        let mut table = Vec::new();
        let mut row = 0;
        while row < build.todo.len() {
            if row > STATES_MAX || table.len() > ENTRIES_MAX || build.weight > WEIGHT_MAX {
                return None;
            }
            let (kernel, before) = build.todo[row].clone();
            table.extend(columns.symbols.iter().map(|symbol| build.step(&kernel, before, *symbol)));
            row += 1;
        }
        if !table.contains(&ACCEPT) {
            return None;
        }
        let width = u32::try_from(columns.symbols.len()).ok()?;
        let rows: Vec<&[u32]> = table.chunks(columns.symbols.len()).collect();
        let (shortcuts, entries) = Shortcuts::new(&rows, &columns.of_byte);
        let number = |entry: &u32| if *entry < AMBIGUOUS { *entry * (width + 1) } else { *entry };
        let numbered = rows.iter().zip(entries).flat_map(|(row, entry)| row.iter().map(number).chain([entry]));
        Some(Island {
            table: numbered.collect(),
            width,
            shortcuts,
            starts: starts.map(|start| start * (width + 1)),
            looks: nfa.looks,
            ambiguous: table.contains(&AMBIGUOUS),
            columns: columns.of_byte,
            end: columns.end,
        })
    }

    /// Reads on from `at`: where it stopped, and [`ACCEPT`], [`FAIL`] or [`AMBIGUOUS`].
    #[inline]
    pub(super) fn run(&self, bytes: &[u8], mut at: usize) -> (usize, u32) {
        let mut state = if self.looks { self.starts[before(bytes, at) as usize] } else { 0 };
        loop {
            let entry = self.table[(state + self.width) as usize];
            if entry != NO_SHORTCUT {
                let (skipped, led) = self.shortcuts.take(entry, &bytes[at..]);
                at += skipped;
                state = led.map_or(state, |led| led * (self.width + 1));
            }
            let column = bytes.get(at).map_or(self.end, |byte| self.columns[usize::from(*byte)]);
            let next = self.table[state as usize + usize::from(column)];
            if next >= AMBIGUOUS {
                return (at, next);
            }
            (state, at) = (next, at + 1);
        }
    }
}

fn before(bytes: &[u8], at: usize) -> Before {
    at.checked_sub(1).map_or(Before::Start, |last| Before::of(usize::from(bytes[last])))
}

/// Symbols that no set of the automaton tells apart share a column.
struct Columns {
    of_byte: Box<[u8; 256]>,
    end: u8,
    /// One symbol of each column.
    symbols: Vec<usize>,
}

impl Columns {
    /// None where they would not fit a byte.
    fn new(nfa: &Nfa, follow: Set) -> Option<Columns> {
        let mut sets = vec![follow];
        if nfa.looks {
            sets.extend([Set::WORD, Set::WIDE, Set::byte(b'\n')]);
        }
        sets.extend(nfa.states.iter().filter_map(|state| match state {
            State::Byte(set, _) => Some(*set),
            _ => None,
        }));
        let sets: HashSet<Set> = sets.into_iter().collect();
        // Refine the columns by one set after the other; the end has one of its own.
        let mut column = [0_usize; SYMBOLS];
        column[END] = 1;
        for set in sets {
            let mut renamed = HashMap::new();
            for (symbol, column) in column.iter_mut().enumerate() {
                let count = renamed.len();
                *column = *renamed.entry((*column, set.contains(symbol))).or_insert(count);
            }
        }
        let count = column.iter().max().map_or(0, |max| max + 1);
        let mut symbols = vec![0; count];
        for symbol in (0..SYMBOLS).rev() {
            symbols[column[symbol]] = symbol;
        }
        if count > 256 {
            return None;
        }
        Some(Columns {
            of_byte: Box::new(std::array::from_fn(|byte| column[byte] as u8)),
            end: column[END] as u8,
            symbols,
        })
    }
}

struct Build<'n> {
    nfa: &'n Nfa,
    follow: Set,
    known: HashMap<(Vec<u32>, Before), u32>,
    todo: Vec<(Vec<u32>, Before)>,
    weight: usize,
    /// The round in which a state was last seen.
    seen: Vec<u32>,
    round: u32,
}

impl Build<'_> {
    fn state(&mut self, kernel: Vec<u32>, before: Before) -> u32 {
        let before = if self.nfa.looks { before } else { Before::Start };
        let count = self.todo.len() as u32;
        *self.known.entry((kernel, before)).or_insert_with_key(|key| {
            self.weight += key.0.len();
            self.todo.push(key.clone());
            count
        })
    }

    /// What the state does about a symbol.
    fn step(&mut self, kernel: &[u32], before: Before, symbol: usize) -> u32 {
        let Some((moved, ended)) = self.reach(kernel, before, symbol) else { return AMBIGUOUS };
        match (moved.is_empty(), ended && self.follow.contains(symbol)) {
            (true, true) => ACCEPT,
            (true, false) => FAIL,
            (false, true) => AMBIGUOUS,
            (false, false) => self.state(moved, Before::of(symbol)),
        }
    }

    /// Where taking the symbol leads, and whether the stretch may end before it. None: an assertion is undecided.
    fn reach(&mut self, kernel: &[u32], before: Before, symbol: usize) -> Option<(Vec<u32>, bool)> {
        self.round += 1;
        let mut stack = kernel.to_vec();
        let (mut moved, mut ended) = (Vec::new(), false);
        while let Some(state) = stack.pop() {
            if std::mem::replace(&mut self.seen[state as usize], self.round) == self.round {
                continue;
            }
            match &self.nfa.states[state as usize] {
                State::Byte(set, next) if set.contains(symbol) => moved.push(*next),
                State::Byte(..) => {}
                State::Split(branches) => stack.extend(branches),
                State::Look(look, next) => {
                    if holds(*look, before, symbol)? {
                        stack.push(*next);
                    }
                }
                State::Accept => ended = true,
            }
        }
        moved.sort_unstable();
        moved.dedup();
        Some((moved, ended))
    }
}

fn holds(look: Look, before: Before, next: usize) -> Option<bool> {
    let edge = (before == Before::Word) != Set::WORD.contains(next);
    let known = before != Before::Wide && (next == END || next < 0x80);
    match look {
        Look::Start => Some(before == Before::Start),
        Look::StartLF => Some(matches!(before, Before::Start | Before::Lf)),
        Look::End => Some(next == END),
        Look::EndLF => Some(next == END || next == usize::from(b'\n')),
        Look::WordAscii => Some(edge),
        Look::WordAsciiNegate => Some(!edge),
        Look::WordUnicode => known.then_some(edge),
        Look::WordUnicodeNegate => known.then_some(!edge),
        _ => None,
    }
}
