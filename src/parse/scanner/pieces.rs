//! A sequence laid out flat: groups become slots set at places, and neighbours of fixed length become one piece.

use regex_syntax::hir::Look;

use super::node::{Node, ahead_after};
use super::op::Save;
use super::set::Set;

/// The most bytes of one fixed piece.
const FIXED_MAX: usize = 16;

/// The most copies that a counted piece of fixed length is written out as.
const COPIES_MAX: u32 = 32;

/// The most bytes of a class whose runs an automaton may take: those of larger ones are long, and faster alone.
const NARROW: u32 = 70;

/// What is matched in one go, and the slots set after it.
pub(super) struct Piece<'n> {
    pub(super) kind: Kind<'n>,
    pub(super) saves: Vec<Save>,
}

pub(super) enum Kind<'n> {
    /// One byte of each.
    Fixed(Vec<Set>),
    /// One character, which may be of several bytes.
    Char(Set),
    /// See [`super::run::Run`] about its limits.
    Run { class: Set, min: u32, max: Option<u32>, greedy: bool },
    /// An assertion, what it allows next, and whether that is all.
    Look { look: Look, ahead: Set, exact: bool },
    /// Alternatives, or a loop.
    Node(&'n Node),
}

impl Piece<'_> {
    /// The same as a node, without its slots.
    pub(super) fn node(&self) -> Node {
        match &self.kind {
            Kind::Fixed(sets) => Node::Concat(sets.iter().map(|set| Node::Char(*set).byte()).collect()),
            Kind::Char(class) => Node::Char(*class),
            Kind::Run { class, min, max, greedy } => {
                Node::Repeat { min: *min, max: *max, greedy: *greedy, node: Box::new(Node::Char(*class)) }
            }
            Kind::Look { look, .. } => Node::Look(*look),
            Kind::Node(node) => (*node).clone(),
        }
    }

    /// Whether an automaton may take it, with its neighbours.
    pub(super) fn islandable(&self) -> bool {
        match &self.kind {
            Kind::Fixed(_) | Kind::Look { .. } => true,
            Kind::Char(_) => false,
            Kind::Run { class, .. } => class.len() <= NARROW,
            Kind::Node(node) => !node.captures(),
        }
    }
}

impl Node {
    /// A place of a fixed piece: a byte beyond ASCII is one of a literal, not a class.
    fn byte(self) -> Node {
        match self {
            Node::Char(set) => match set.single() {
                Some(byte) => Node::Literal(vec![byte]),
                None => Node::Char(set),
            },
            node => node,
        }
    }
}

/// The slots to set before the first piece, and the pieces of a sequence. `branch`: whether a match may do without it.
pub(super) fn pieces(node: &Node, branch: bool) -> (Vec<Save>, Vec<Piece<'_>>) {
    let mut layout = Layout { branch, leading: Vec::new(), pieces: Vec::new(), last: None };
    layout.node(node);
    for piece in &mut layout.pieces {
        if let Kind::Fixed(sets) = &piece.kind {
            let len = sets.len() as u32;
            piece.saves.iter_mut().for_each(|save| save.back = len - save.back);
        }
    }
    (layout.leading, layout.pieces)
}

struct Layout<'n> {
    branch: bool,
    leading: Vec<Save>,
    /// `back` of a fixed piece's slots counts from its beginning until all is laid out.
    pieces: Vec<Piece<'n>>,
    /// What the last byte before may be, if there must be one.
    last: Option<Set>,
}

impl<'n> Layout<'n> {
    fn node(&mut self, node: &'n Node) {
        match node {
            Node::Empty => {}
            Node::Literal(bytes) => bytes.iter().for_each(|byte| self.byte(Set::byte(*byte))),
            Node::Char(class) => self.char(*class),
            Node::Look(look) => {
                let (ahead, exact) = ahead_after(*look, self.last.unwrap_or(Set::ALL));
                self.push(Kind::Look { look: *look, ahead, exact });
            }
            Node::Repeat { min, max, node: body, greedy } => self.repeat(node, *min, *max, *greedy, body),
            Node::Group { index, node } => {
                self.save(2 * index);
                self.node(node);
                self.save(2 * index + 1);
            }
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Alt(_) => {
                self.push(Kind::Node(node));
                self.last = node.last();
            }
        }
    }

    fn repeat(&mut self, node: &'n Node, min: u32, max: Option<u32>, greedy: bool, body: &'n Node) {
        let class = match body {
            Node::Char(class) => Some(*class),
            Node::Literal(bytes) if bytes.len() == 1 => Some(Set::byte(bytes[0])),
            _ => None,
        };
        match class {
            _ if max == Some(0) => {}
            Some(class) if max == Some(min) && min <= COPIES_MAX => (0..min).for_each(|_| self.char(class)),
            Some(class) if !class.is_wide() => {
                self.push(Kind::Run { class, min, max, greedy });
                self.last = (min > 0).then_some(class);
            }
            Some(class) if max.is_none() && min <= COPIES_MAX => {
                (1..min).for_each(|_| self.char(class));
                self.push(Kind::Run { class, min: min.min(1), max, greedy });
                self.last = (min > 0).then_some(class);
            }
            _ => {
                self.push(Kind::Node(node));
                self.last = node.last();
            }
        }
    }

    fn char(&mut self, class: Set) {
        if class.is_wide() {
            self.push(Kind::Char(class));
            self.last = Some(class);
        } else {
            self.byte(class);
        }
    }

    fn byte(&mut self, set: Set) {
        self.last = Some(set);
        match self.pieces.last_mut().map(|piece| &mut piece.kind) {
            Some(Kind::Fixed(sets)) if sets.len() < FIXED_MAX => sets.push(set),
            _ => self.push(Kind::Fixed(vec![set])),
        }
    }

    fn push(&mut self, kind: Kind<'n>) {
        self.pieces.push(Piece { kind, saves: Vec::new() });
    }

    fn save(&mut self, slot: u32) {
        let mut save = Save { slot, back: 0, restore: self.branch };
        match self.pieces.last_mut() {
            None => self.leading.push(save),
            Some(piece) => {
                if let Kind::Fixed(sets) = &piece.kind {
                    save.back = sets.len() as u32;
                }
                piece.saves.push(save);
            }
        }
    }
}
