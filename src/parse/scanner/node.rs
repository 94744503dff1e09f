//! A pattern as the scanner sees it, and what can be said of a piece of it without a text.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::set::Set;

/// The most characters a class may hold beyond ASCII when it does not hold them all; each becomes a branch.
const WIDE_CHARS_MAX: usize = 4;

/// A piece of a pattern. Every piece matches whole characters.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    /// Whole characters, as bytes.
    Literal(Vec<u8>),
    /// One character of a class, whose bytes from 0x80 are all in or all out.
    Char(Set),
    Look(Look),
    Repeat {
        min: u32,
        max: Option<u32>,
        greedy: bool,
        node: Box<Node>,
    },
    Group {
        index: u32,
        node: Box<Node>,
    },
    Concat(Vec<Node>),
    Alt(Vec<Node>),
}

impl Node {
    /// None where the pattern holds something that has no node.
    pub(super) fn new(hir: &Hir) -> Option<Node> {
        Some(match hir.kind() {
            HirKind::Empty => Node::Empty,
            HirKind::Literal(literal) => Node::Literal(literal.0.to_vec()),
            HirKind::Class(class) => Node::class(class)?,
            HirKind::Look(look) => match look {
                Look::Start
                | Look::End
                | Look::StartLF
                | Look::EndLF
                | Look::WordAscii
                | Look::WordAsciiNegate
                | Look::WordUnicode
                | Look::WordUnicodeNegate => Node::Look(*look),
                _ => return None,
            },
            HirKind::Repetition(repeat) => Node::Repeat {
                min: repeat.min,
                max: repeat.max,
                greedy: repeat.greedy,
                node: Box::new(Node::new(&repeat.sub)?),
            },
            HirKind::Capture(capture) => Node::Group { index: capture.index, node: Box::new(Node::new(&capture.sub)?) },
            HirKind::Concat(subs) => Node::Concat(subs.iter().map(Node::new).collect::<Option<_>>()?),
            HirKind::Alternation(subs) => Node::Alt(subs.iter().map(Node::new).collect::<Option<_>>()?),
        })
    }

    fn class(class: &Class) -> Option<Node> {
        let ranges: Vec<(char, char)> = match class {
            Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
            Class::Bytes(class) if class.is_ascii() => {
                class.ranges().iter().map(|range| (char::from(range.start()), char::from(range.end()))).collect()
            }
            Class::Bytes(_) => return None,
        };
        let mut set = Set::NONE;
        let mut wide = Vec::new();
        for (first, last) in ranges {
            if last == char::MAX && first <= '\u{80}' {
                set = set.union(Set::WIDE);
            } else if !last.is_ascii() {
                let first = first.max('\u{80}');
                if last as usize - first as usize + wide.len() >= WIDE_CHARS_MAX {
                    return None;
                }
                wide.extend((first..=last).map(|c| Node::Literal(c.to_string().into_bytes())));
            }
            if first.is_ascii() {
                set = set.union(Set::range(first as u8, last.min('\u{7f}') as u8));
            }
        }
        if wide.is_empty() {
            return Some(Node::Char(set));
        }
        // The branches begin differently, so their order says nothing.
        wide.push(Node::Char(set));
        Some(Node::Alt(wide))
    }

    /// Whether it may match no character.
    pub(super) fn nullable(&self) -> bool {
        match self {
            Node::Empty | Node::Look(_) => true,
            Node::Literal(bytes) => bytes.is_empty(),
            Node::Char(_) => false,
            Node::Repeat { min, node, .. } => *min == 0 || node.nullable(),
            Node::Group { node, .. } => node.nullable(),
            Node::Concat(nodes) => nodes.iter().all(Node::nullable),
            Node::Alt(nodes) => nodes.iter().any(Node::nullable),
        }
    }

    /// Whether it holds a group.
    pub(super) fn captures(&self) -> bool {
        match self {
            Node::Group { .. } => true,
            Node::Repeat { node, .. } => node.captures(),
            Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().any(Node::captures),
            _ => false,
        }
    }

    /// What may come next where this, and then something that may begin with `follow`, is to match; perhaps more.
    pub(super) fn first(&self, follow: Set) -> Set {
        match self {
            Node::Empty => follow,
            Node::Literal(bytes) => bytes.first().map_or(follow, |byte| Set::byte(*byte)),
            Node::Char(class) => class.heads(),
            Node::Look(look) => follow.and(ahead(*look)),
            Node::Repeat { max: Some(0), .. } => follow,
            Node::Repeat { min, node, .. } => {
                let mut set = follow;
                loop {
                    let grown = set.union(node.first(set));
                    if grown == set {
                        break;
                    }
                    set = grown;
                }
                if *min == 0 { set } else { node.first(set) }
            }
            Node::Group { node, .. } => node.first(follow),
            Node::Concat(nodes) => nodes.iter().rev().fold(follow, |follow, node| node.first(follow)),
            Node::Alt(nodes) => nodes.iter().fold(Set::NONE, |set, node| set.union(node.first(follow))),
        }
    }

    /// What its last byte may be, perhaps more; None where it may match no character.
    pub(super) fn last(&self) -> Option<Set> {
        match self {
            Node::Empty | Node::Look(_) => None,
            Node::Literal(bytes) => bytes.last().map(|byte| Set::byte(*byte)),
            Node::Char(class) => Some(*class),
            Node::Repeat { min: 0, .. } => None,
            Node::Repeat { node, .. } | Node::Group { node, .. } => node.last(),
            Node::Concat(nodes) => {
                let mut set = Set::NONE;
                for node in nodes.iter().rev() {
                    if let Some(last) = node.last() {
                        return Some(set.union(last));
                    }
                    // It may be empty or not: what it ends with is added to what stands before it.
                    set = set.union(node.any_last());
                }
                None
            }
            Node::Alt(nodes) => nodes.iter().try_fold(Set::NONE, |set, node| Some(set.union(node.last()?))),
        }
    }

    /// What its last byte may be where it is not empty.
    fn any_last(&self) -> Set {
        match self {
            Node::Empty | Node::Look(_) => Set::NONE,
            Node::Literal(bytes) => bytes.last().map_or(Set::NONE, |byte| Set::byte(*byte)),
            Node::Char(class) => *class,
            Node::Repeat { node, .. } | Node::Group { node, .. } => node.any_last(),
            Node::Concat(nodes) | Node::Alt(nodes) => {
                nodes.iter().fold(Set::NONE, |set, node| set.union(node.any_last()))
            }
        }
    }
}

/// What an assertion allows next, as far as it is decided by that alone.
pub(super) fn ahead(look: Look) -> Set {
    match look {
        Look::End => Set::AT_END,
        Look::EndLF => Set::AT_END.union(Set::byte(b'\n')),
        _ => Set::ALL,
    }
}

/// What an assertion allows next after a byte of `last`, and whether that is all there is to it.
pub(super) fn ahead_after(look: Look, last: Set) -> (Set, bool) {
    let other = Set::ALL.minus(Set::WORD);
    let (edge, unicode) = match look {
        Look::WordAscii => (true, false),
        Look::WordUnicode => (true, true),
        Look::WordAsciiNegate => (false, false),
        Look::WordUnicodeNegate => (false, true),
        _ => return (ahead(look), matches!(look, Look::End | Look::EndLF)),
    };
    let after_word = last.is_subset(Set::WORD);
    if !after_word && !(last.is_disjoint(Set::WORD) && !(unicode && last.is_wide())) {
        return (Set::ALL, false);
    }
    match (after_word == edge, unicode) {
        (true, _) => (other, !unicode),
        (false, false) => (Set::WORD, true),
        // Characters beyond ASCII may be of a word too.
        (false, true) => (Set::WORD.union(Set::WIDE.heads()), false),
    }
}
