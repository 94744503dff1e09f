//! Where a match may begin, and what a text must hold for one.

use memchr::memmem::{Finder, FinderRev};
use regex_syntax::hir::{Hir, Look};

use super::literals::required;
use super::node::Node;
use super::set::{END, Set};

/// Places where a match may begin.
#[derive(Debug)]
pub(super) enum Starts {
    /// The beginning of the text.
    Text,
    /// The beginning of a line.
    Line,
    /// In front of this.
    Literal(Box<Finder<'static>>),
    Byte(u8),
    Bytes2(u8, u8),
    Bytes3(u8, u8, u8),
    /// In front of one of these, and perhaps at the end.
    Set(Box<[bool; 256]>, bool),
}

impl Starts {
    /// `first`: what a match may begin with.
    pub(super) fn new(node: &Node, first: Set) -> Starts {
        match leading(node) {
            Some(Leading::Look(Look::Start)) => return Starts::Text,
            Some(Leading::Look(Look::StartLF)) => return Starts::Line,
            Some(Leading::Literal(literal)) if literal.len() > 1 => {
                return Starts::Literal(Box::new(Finder::new(literal).into_owned()));
            }
            _ => {}
        }
        let bytes: Vec<u8> = if first.len() <= 3 { first.iter().collect() } else { Vec::new() };
        match bytes[..] {
            _ if first.contains(END) => Starts::Set(first.table(), true),
            [a] => Starts::Byte(a),
            [a, b] => Starts::Bytes2(a, b),
            [a, b, c] => Starts::Bytes3(a, b, c),
            _ => Starts::Set(first.table(), false),
        }
    }

    /// The first such place from `from` on.
    #[inline]
    pub(super) fn next(&self, text: &str, from: usize) -> Option<usize> {
        let rest = text.as_bytes().get(from..)?;
        let found = match self {
            Starts::Text => (from == 0).then_some(0),
            Starts::Line if from == 0 => Some(0),
            Starts::Line => {
                return memchr::memchr(b'\n', &text.as_bytes()[from - 1..]).map(|line| from + line);
            }
            Starts::Literal(finder) => finder.find(rest),
            Starts::Byte(a) => memchr::memchr(*a, rest),
            Starts::Bytes2(a, b) => memchr::memchr2(*a, *b, rest),
            Starts::Bytes3(a, b, c) => memchr::memchr3(*a, *b, *c, rest),
            Starts::Set(set, end) => rest.iter().position(|byte| set[usize::from(*byte)]).or(end.then_some(rest.len())),
        };
        found.map(|place| from + place)
    }
}

enum Leading<'n> {
    Look(Look),
    Literal(&'n [u8]),
}

fn leading(node: &Node) -> Option<Leading<'_>> {
    match node {
        Node::Look(look) => Some(Leading::Look(*look)),
        Node::Literal(bytes) => Some(Leading::Literal(bytes)),
        Node::Group { node, .. } => leading(node),
        Node::Repeat { min: 1.., node, .. } => leading(node),
        Node::Concat(nodes) => nodes.iter().find(|node| !matches!(node, Node::Empty)).and_then(leading),
        _ => None,
    }
}

/// A literal that every match holds, to give up a text by that does not hold it.
#[derive(Debug)]
pub(super) struct Required(Box<FinderRev<'static>>);

impl Required {
    pub(super) fn new(hir: &Hir) -> Option<Required> {
        let literal = required(hir).into_iter().max_by_key(|literal| literal.len())?;
        Some(Required(Box::new(FinderRev::new(literal).into_owned())))
    }

    /// The last place where a match can begin: none begins after the last such literal.
    pub(super) fn last_start(&self, text: &str) -> Option<usize> {
        self.0.rfind(text.as_bytes())
    }
}
