//! A stretch of a pattern without groups as an automaton of bytes: what [`super::island`] determinizes.

use regex_syntax::hir::Look;

use super::node::Node;
use super::set::Set;

/// The most states; a count in a pattern costs its piece as often as it says.
const STATES_MAX: usize = 20_000;

#[derive(Debug)]
pub(super) enum State {
    /// Takes a byte.
    Byte(Set, u32),
    /// Goes on at each.
    Split(Vec<u32>),
    Look(Look, u32),
    Accept,
}

#[derive(Debug)]
pub(super) struct Nfa {
    pub(super) states: Vec<State>,
    pub(super) start: u32,
    pub(super) looks: bool,
}

impl Nfa {
    /// None where it is too large.
    pub(super) fn new<'n>(nodes: impl DoubleEndedIterator<Item = &'n Node>) -> Option<Nfa> {
        let mut nfa = Nfa { states: vec![State::Accept], start: 0, looks: false };
        for node in nodes.rev() {
            nfa.start = nfa.node(node, nfa.start)?;
        }
        Some(nfa)
    }

    fn push(&mut self, state: State) -> Option<u32> {
        if self.states.len() >= STATES_MAX {
            return None;
        }
        self.states.push(state);
        u32::try_from(self.states.len() - 1).ok()
    }

    fn node(&mut self, node: &Node, next: u32) -> Option<u32> {
        match node {
            Node::Empty => Some(next),
            Node::Literal(bytes) => {
                bytes.iter().rev().try_fold(next, |next, byte| self.push(State::Byte(Set::byte(*byte), next)))
            }
            Node::Char(class) => self.char(*class, next),
            Node::Look(look) => {
                self.looks = true;
                self.push(State::Look(*look, next))
            }
            Node::Repeat { min, max, node, .. } => self.repeat(*min, *max, node, next),
            Node::Group { node, .. } => self.node(node, next),
            Node::Concat(nodes) => nodes.iter().rev().try_fold(next, |next, node| self.node(node, next)),
            Node::Alt(nodes) => {
                let branches = nodes.iter().map(|node| self.node(node, next)).collect::<Option<_>>()?;
                self.push(State::Split(branches))
            }
        }
    }

    /// One character: a byte of ASCII, or a whole sequence of UTF-8. (The text is valid, so heads say the length.)
    fn char(&mut self, class: Set, next: u32) -> Option<u32> {
        if !class.is_wide() {
            return self.push(State::Byte(class, next));
        }
        let mut tail = next;
        let mut branches = vec![self.push(State::Byte(class.and(Set::ASCII), next))?];
        for (first, last) in [(0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xff)] {
            tail = self.push(State::Byte(Set::range(0x80, 0xbf), tail))?;
            branches.push(self.push(State::Byte(Set::range(first, last), tail))?);
        }
        self.push(State::Split(branches))
    }

    fn repeat(&mut self, min: u32, max: Option<u32>, node: &Node, next: u32) -> Option<u32> {
        let mut entry = next;
        if let Some(max) = max {
            for _ in min..max {
                let body = self.node(node, entry)?;
                entry = self.push(State::Split(vec![body, next]))?;
            }
        } else {
            entry = self.push(State::Split(vec![next]))?;
            let body = self.node(node, entry)?;
            if let State::Split(branches) = &mut self.states[entry as usize] {
                branches.push(body);
            }
        }
        for _ in 0..min {
            entry = self.node(node, entry)?;
        }
        Some(entry)
    }
}
