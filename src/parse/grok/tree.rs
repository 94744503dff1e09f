//! What a pattern's text means, as a tree. References to other patterns are still names here.

use std::ops::Range;

use regex_syntax::hir::Hir;

/// A piece of a pattern and where it stands: bytes from the start of the text that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub kind: Kind,
    pub at: Range<usize>,
}

/// What a piece is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A character, a class, an anchor: what needs no further translation.
    Leaf(Hir),
    Concat(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        mode: Mode,
    },
    /// `(…)`: captures only where a pattern has no named group and refers back by number.
    Group(Box<Node>),
    /// `(?<name>…)`.
    Named {
        name: String,
        node: Box<Node>,
    },
    /// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`.
    Look {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
    /// `(?>…)`.
    Atomic(Box<Node>),
    /// `%{…}`.
    Reference(Reference),
    /// `\1`.
    BackNumber(u32),
    /// `\k<name>`.
    BackName(String),
}

/// In which order a repetition is tried, and whether it gives back what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Greedy,
    Lazy,
    Possessive,
}

/// `%{NAME:field:type=definition}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub name: String,
    /// `field` or `field:type`, as written.
    pub semantic: Option<String>,
    /// The text of an inline definition.
    pub definition: Option<String>,
    /// What applies at this place, and so inside the definition too.
    pub flags: Flags,
}

/// Options that a pattern can switch: `(?i)`, `(?m)`, `(?x)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flags {
    pub ignore_case: bool,
    /// Ruby's `m`: `.` matches a line feed. On from the start, as upstream compiles.
    pub dot_all: bool,
    /// White space and `# comments` mean nothing.
    pub extended: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { ignore_case: false, dot_all: true, extended: false }
    }
}
