//! What the first bytes of a match must be, each by itself: tells most places where no match begins at a glance.

use super::nfa::{Nfa, State};
use super::node::Node;
use super::set::Set;

/// The most bytes looked at: a place is a bit of a `u8`.
const PREFIX_MAX: usize = 8;

/// The sets of a match's first bytes.
#[derive(Debug)]
pub(super) struct Prefix {
    /// For each byte, a bit for each place where it may stand.
    places: Box<[u8; 256]>,
    len: usize,
}

impl Prefix {
    /// None if it would tell nothing.
    pub(super) fn new(node: &Node) -> Option<Prefix> {
        let nfa = Nfa::new(std::iter::once(node))?;
        let mut here = vec![nfa.start];
        let mut places = Box::new([0; 256]);
        let mut len = 0;
        while len < PREFIX_MAX {
            let Some((set, next)) = step(&nfa, here) else { break };
            for byte in set.iter() {
                places[usize::from(byte)] |= 1 << len;
            }
            (here, len) = (next, len + 1);
        }
        let tells = (0..len).any(|place| places.iter().any(|places| places >> place & 1 == 0));
        (tells && len > 1).then_some(Prefix { places, len })
    }

    /// Whether a match may begin here.
    #[inline]
    pub(super) fn allows(&self, bytes: &[u8], at: usize) -> bool {
        // A match is not shorter than the prefix.
        let Some(found) = bytes.get(at..at + self.len) else { return false };
        let place = |(i, byte): (usize, &u8)| self.places[usize::from(*byte)] >> i;
        found.iter().enumerate().map(place).fold(1, |all, place| all & place) == 1
    }
}

/// What may come next from these states, and where it leads; None where the pattern may end. Assertions are passed.
fn step(nfa: &Nfa, here: Vec<u32>) -> Option<(Set, Vec<u32>)> {
    let mut seen = vec![false; nfa.states.len()];
    let mut stack = here;
    let (mut set, mut next) = (Set::NONE, Vec::new());
    while let Some(state) = stack.pop() {
        if std::mem::replace(&mut seen[state as usize], true) {
            continue;
        }
        match &nfa.states[state as usize] {
            State::Byte(bytes, to) => {
                set = set.union(*bytes);
                next.push(*to);
            }
            State::Split(branches) => stack.extend(branches),
            State::Look(_, to) => stack.push(*to),
            State::Accept => return None,
        }
    }
    Some((set, next))
}
