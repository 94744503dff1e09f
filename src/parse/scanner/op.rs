//! The steps a compiled pattern is made of.

use super::block::Short;
use super::class::Class;
use super::island::Island;
use super::run::Run;
use super::set::SYMBOLS;

/// Where a step is in the program.
pub(super) type Pc = u32;

/// A step, and the slots that are set once it has been taken.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    /// A range of [`Program::saves`].
    pub(super) saves: (u32, u32),
}

/// What a step does. One that takes bytes goes on with the step after it.
#[derive(Debug)]
pub(super) enum Op {
    Match,
    /// Takes nothing; there to set slots.
    Mark,
    Jump(Pc),
    Byte(u8),
    Short(Short),
    Literal(Box<[u8]>),
    Fixed(Box<Fixed>),
    /// One character of a class.
    Char(Box<[bool; 256]>),
    /// All that is left.
    Rest,
    /// One byte of a class, if it is there; nothing that follows could begin with it.
    Maybe(Box<[bool; 256]>),
    /// As much as there is of a class, and at least so many bytes; nothing that follows could begin with more of it.
    While(Box<Class>, u32),
    /// The same, for runs with a maximum, and for classes whose end is better searched for.
    Run(Box<Run>),
    /// As much as there is, then less and less, down to where one of `exit` comes next.
    Greedy(Box<Run>),
    /// As little as there is, then more and more, up to where one of `exit` comes next.
    Lazy(Box<Run>),
    /// An automaton's stretch; where it cannot decide, the step to go on with from its beginning.
    Island(Box<Island>, Pc),
    /// One of these symbols must come next.
    Ahead(Box<[bool; SYMBOLS]>),
    Look(regex_syntax::hir::Look),
    /// Goes on at the first; at the other if that fails.
    Split(Pc, Pc),
    /// Goes on where the next symbol says.
    Switch(Box<Switch>),
}

/// Bytes of fixed classes, 16 at most.
#[derive(Debug)]
pub(super) struct Fixed {
    /// For each byte, a bit for each place where it may stand.
    pub(super) places: [u16; 256],
    pub(super) len: usize,
}

/// Where to go on, by the next symbol.
#[derive(Debug)]
pub(super) struct Switch {
    /// For each symbol, a number of `targets`.
    pub(super) choice: [u8; SYMBOLS],
    /// The first is that of symbols nothing can begin with, and is never gone to.
    pub(super) targets: Vec<Pc>,
}

/// A slot that is set to where the walk is, less a few bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Save {
    pub(super) slot: u32,
    pub(super) back: u32,
    /// Whether another way to a match may leave the slot as it was: then going back restores it.
    pub(super) restore: bool,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) saves: Vec<Save>,
    pub(super) start: Pc,
    /// Whether a match may leave a slot unset.
    pub(super) is_optional: bool,
}
