//! Rules that send a stream's lines to a grammar. The first that holds counts: those of the configuration, then the `when`
//! of the grammar files in the grammars' order.

use crate::record::{Stream, When};

use super::detect::Id;

/// The rules in their order.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<(When, Id)>);

impl Routes {
    pub fn push(&mut self, when: When, grammar: Id) {
        self.0.push((when, grammar));
    }

    /// Adds rules behind these.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub fn of(&self, stream: &Stream) -> Option<Id> {
        self.0.iter().find(|(when, _)| when.holds(stream)).map(|(_, grammar)| *grammar)
    }
}
