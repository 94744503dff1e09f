//! References replaced by what they name: a pattern's tree with every definition in its place.

use std::collections::HashMap;
use std::sync::Arc;

use regex_syntax::hir::Hir;

use super::error::{CompileError, Fault, SyntaxFault};
use super::field::Group;
use super::library::Library;
use super::syntax;
use super::tree::{Flags, Kind, Mode, Node, Reference};

/// References followed in one pattern, as upstream counts them.
const STEPS_MAX: usize = 10_000;

/// Pieces of the whole expanded pattern: what a few kilobytes of nested definitions could otherwise become has no end.
const PIECES_MAX: usize = 500_000;

/// Levels of the expanded tree, which later steps walk by recursion.
const DEPTH_MAX: u32 = 150;

/// A piece of an expanded pattern.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Leaf(Hir),
    Concat(Vec<Piece>),
    Alternation(Vec<Piece>),
    Repeat {
        piece: Box<Piece>,
        min: u32,
        max: Option<u32>,
        mode: Mode,
    },
    /// Group 1 is the first; its entry is [`Expanded::groups`] at 0.
    Capture {
        index: u32,
        piece: Box<Piece>,
    },
    /// `(…)`.
    Plain(Box<Piece>),
    Look {
        ahead: bool,
        negative: bool,
        piece: Box<Piece>,
    },
    Atomic(Box<Piece>),
    /// What one of these groups held; the last one that took part counts.
    Back(Vec<u32>),
}

/// A pattern with everything in its place.
#[derive(Debug)]
pub(crate) struct Expanded {
    pub piece: Piece,
    pub groups: Vec<Group>,
    /// The pattern has no named group and refers back by number: its plain groups capture.
    pub numbered: bool,
}

/// Parses `text` and puts in what it refers to. With `named_only`, a reference without a field's name captures nothing.
pub(crate) fn expand(library: &Library, text: &str, named_only: bool) -> Result<Expanded, CompileError> {
    let mut expander = Expander::new(library, named_only);
    let tree = parse(None, text, Flags::default())?;
    let here = Source { definition: None, text };
    let piece = expander.piece(here, &tree)?;
    let numbered = expander.numbers > 0;
    if numbered && !expander.groups.is_empty() {
        return Err(here.error(0, Fault::NumberedReference));
    }
    Ok(Expanded { piece, groups: expander.groups, numbered })
}

/// Expands nodes that are to follow one another, whichever texts they are from.
pub(super) fn expand_nodes<'a>(
    library: &Library,
    nodes: impl IntoIterator<Item = (Source<'a>, &'a Node)>,
) -> Result<Piece, CompileError> {
    let mut expander = Expander::new(library, true);
    let pieces = nodes.into_iter().map(|(here, node)| expander.piece(here, node));
    pieces.collect::<Result<_, _>>().map(Piece::Concat)
}

/// The text that a node's positions count in.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub definition: Option<&'a str>,
    pub text: &'a str,
}

impl Source<'_> {
    fn error(self, offset: usize, fault: Fault) -> CompileError {
        CompileError { definition: self.definition.map(str::to_owned), text: self.text.to_owned(), offset, fault }
    }
}

pub(super) fn parse(definition: Option<&str>, text: &str, flags: Flags) -> Result<Node, CompileError> {
    syntax::parse(text, flags).map_err(|(offset, why)| Source { definition, text }.error(offset, why.into()))
}

struct Expander<'a> {
    library: &'a Library,
    named_only: bool,
    /// Inline definitions met so far: they hold from there to the end of the pattern.
    local: HashMap<String, Arc<str>>,
    parsed: HashMap<(Arc<str>, Flags), Arc<Node>>,
    /// The definitions around the place we are at.
    open: Vec<String>,
    steps: usize,
    pieces: usize,
    depth: u32,
    groups: Vec<Group>,
    /// References back by number.
    numbers: usize,
}

impl<'a> Expander<'a> {
    fn new(library: &'a Library, named_only: bool) -> Self {
        Self {
            library,
            named_only,
            local: HashMap::new(),
            parsed: HashMap::new(),
            open: Vec::new(),
            steps: 0,
            pieces: 0,
            depth: 0,
            groups: Vec::new(),
            numbers: 0,
        }
    }

    fn piece(&mut self, here: Source<'_>, node: &Node) -> Result<Piece, CompileError> {
        self.pieces += 1;
        if self.pieces > PIECES_MAX {
            return Err(here.error(node.at.start, Fault::TooManyPieces { most: PIECES_MAX }));
        }
        if self.depth > DEPTH_MAX {
            return Err(here.error(node.at.start, SyntaxFault::TooDeep { most: DEPTH_MAX }.into()));
        }
        self.depth += 1;
        let piece = self.kind(here, node)?;
        self.depth -= 1;
        Ok(piece)
    }

    fn kind(&mut self, here: Source<'_>, node: &Node) -> Result<Piece, CompileError> {
        let mut all = |nodes: &[Node]| nodes.iter().map(|node| self.piece(here, node)).collect::<Result<Vec<_>, _>>();
        Ok(match &node.kind {
            Kind::Leaf(hir) => Piece::Leaf(hir.clone()),
            Kind::Concat(nodes) => Piece::Concat(all(nodes)?),
            Kind::Alternation(nodes) => Piece::Alternation(all(nodes)?),
            Kind::Repeat { node, min, max, mode } => {
                Piece::Repeat { piece: Box::new(self.piece(here, node)?), min: *min, max: *max, mode: *mode }
            }
            Kind::Group(node) => Piece::Plain(Box::new(self.piece(here, node)?)),
            Kind::Look { ahead, negative, node } => {
                Piece::Look { ahead: *ahead, negative: *negative, piece: Box::new(self.piece(here, node)?) }
            }
            Kind::Atomic(node) => Piece::Atomic(Box::new(self.piece(here, node)?)),
            Kind::Named { name, node } => {
                let index = self.group(name, None);
                Piece::Capture { index, piece: Box::new(self.piece(here, node)?) }
            }
            Kind::Reference(reference) => self.reference(here, node.at.start, reference)?,
            Kind::BackNumber(number) => {
                self.numbers += 1;
                Piece::Back(vec![*number])
            }
            Kind::BackName(name) => {
                let named = self.groups.iter().zip(1..).filter(|(group, _)| group.label == *name);
                let indexes: Vec<u32> = named.map(|(_, index)| index).collect();
                if indexes.is_empty() {
                    return Err(here.error(node.at.start, Fault::UnknownGroup(name.clone())));
                }
                Piece::Back(indexes)
            }
        })
    }

    /// The number of a new group.
    fn group(&mut self, label: &str, pattern: Option<&str>) -> u32 {
        self.groups.push(Group::new(label, pattern));
        // There are fewer groups than pieces.
        u32::try_from(self.groups.len()).unwrap_or(u32::MAX)
    }

    fn reference(&mut self, here: Source<'_>, offset: usize, to: &Reference) -> Result<Piece, CompileError> {
        self.steps += 1;
        // A definition that is open around this place would be opened for ever.
        if self.steps > STEPS_MAX || self.open.contains(&to.name) {
            return Err(here.error(offset, Fault::TooManySteps { most: STEPS_MAX }));
        }
        if let Some(definition) = &to.definition {
            self.local.insert(to.name.clone(), definition.as_str().into());
        }
        let local = self.local.get(&to.name).cloned();
        let Some(text) = local.or_else(|| self.library.get(&to.name).map(Arc::from)) else {
            let nearest = self.library.nearest(&to.name).map(str::to_owned);
            return Err(here.error(offset, Fault::UnknownPattern { name: to.name.clone(), nearest }));
        };
        let key = (text.clone(), to.flags);
        let tree = match self.parsed.get(&key) {
            Some(tree) => tree.clone(),
            None => {
                let tree = Arc::new(parse(Some(&to.name), &text, to.flags)?);
                self.parsed.insert(key, tree.clone());
                tree
            }
        };
        let index = match &to.semantic {
            Some(semantic) => Some(self.group(&format!("{}:{semantic}", to.name), Some(&to.name))),
            None if self.named_only => None,
            None => Some(self.group(&to.name, Some(&to.name))),
        };
        self.open.push(to.name.clone());
        let piece = self.piece(Source { definition: Some(&to.name), text: &text }, &tree)?;
        self.open.pop();
        Ok(match index {
            Some(index) => Piece::Capture { index, piece: Box::new(piece) },
            None => piece,
        })
    }
}
