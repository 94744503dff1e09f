//! A pattern as the sequence of pieces its author wrote.

use std::sync::Arc;

use super::error::CompileError;
use super::expand::{Piece, Source, expand_nodes, parse};
use super::library::Library;
use super::tree::{Flags, Kind, Node};

/// Definitions followed to find out whether one names a field.
const DEPTH_MAX: usize = 100;

/// One piece, and the text it is written in.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub node: Node,
    text: Arc<str>,
    /// The definition that `text` is of; `None` for the pattern itself.
    pub definition: Option<String>,
}

impl Step {
    /// A whole pattern as one step.
    pub fn whole(pattern: &str) -> Result<Self, CompileError> {
        Ok(Self { node: parse(None, pattern, Flags::default())?, text: pattern.into(), definition: None })
    }

    /// The text it is written in.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Another node of the same text.
    pub fn at(&self, node: &Node) -> Self {
        Self { node: node.clone(), ..self.clone() }
    }

    /// The steps this one is a sequence of.
    pub fn opened(self) -> Vec<Self> {
        match &self.node.kind {
            Kind::Concat(nodes) => nodes.iter().map(|node| self.at(node)).collect(),
            _ => vec![self],
        }
    }

    /// What a group or a reference holds.
    pub fn inside(&self, library: &Library) -> Option<Self> {
        match &self.node.kind {
            Kind::Group(node) | Kind::Named { node, .. } | Kind::Atomic(node) => Some(self.at(node)),
            Kind::Repeat { node, min, .. } if *min > 0 => Some(self.at(node)),
            Kind::Alternation(_) => Some(self.clone()),
            Kind::Reference(reference) => {
                let text: Arc<str> = reference.definition.as_deref().or_else(|| library.get(&reference.name))?.into();
                let node = parse(Some(&reference.name), &text, reference.flags).ok()?;
                Some(Self { node, text, definition: Some(reference.name.clone()) })
            }
            _ => None,
        }
    }

    /// Whether a field is captured in it.
    pub fn names_fields(&self, library: &Library, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        let any = |nodes: &[Node]| nodes.iter().any(|node| self.at(node).names_fields(library, depth + 1));
        match &self.node.kind {
            Kind::Named { .. } => true,
            Kind::Reference(reference) if reference.semantic.is_some() => true,
            Kind::Reference(_) => self.inside(library).is_some_and(|inside| inside.names_fields(library, depth + 1)),
            Kind::Concat(nodes) | Kind::Alternation(nodes) => any(nodes),
            Kind::Repeat { node, .. } | Kind::Group(node) | Kind::Atomic(node) | Kind::Look { node, .. } => {
                self.at(node).names_fields(library, depth + 1)
            }
            Kind::Leaf(_) | Kind::BackNumber(_) | Kind::BackName(_) => false,
        }
    }

    /// The step as its author wrote it; of literal text, all of it up to the next piece that is something else.
    pub fn written(&self, following: &[Self]) -> &str {
        let literal = |step: &Self| {
            let Kind::Leaf(hir) = &step.node.kind else { return false };
            hir.properties().is_literal()
        };
        let mut end = self.node.at.end;
        if literal(self) {
            let run = following.iter().take_while(|next| literal(next) && Arc::ptr_eq(&next.text, &self.text));
            end = run.last().map_or(end, |last| last.node.at.end);
        }
        &self.text[self.node.at.start..end]
    }
}

/// The steps one after the other, with what they refer to.
pub(super) fn expand_steps(library: &Library, steps: &[Step]) -> Result<Piece, CompileError> {
    let nodes =
        steps.iter().map(|step| (Source { definition: step.definition.as_deref(), text: &step.text }, &step.node));
    expand_nodes(library, nodes)
}
