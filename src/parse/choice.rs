//! Which grammars of files a line may have, told without trying them.

use std::cell::RefCell;
use std::sync::Arc;

use regex_syntax::hir::Hir;

use super::grammar::Grammar;
use super::scanner::PatternSet;

/// The patterns of all grammars together.
#[derive(Debug)]
pub(super) struct Choice {
    set: PatternSet,
    /// For each pattern the place of its grammar.
    owners: Vec<usize>,
}

thread_local! {
    static NUMBERS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Choice {
    pub fn new(grammars: &[Arc<Grammar>]) -> Self {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        // Those for certain streams only are reached by the rule that says so.
        let for_all = grammars.iter().enumerate().filter(|(_, grammar)| grammar.is_for_all());
        for (place, grammar) in for_all {
            // What its patterns need may stand in the line only when it is masked.
            if grammar.redactor.is_some() {
                patterns.push(Hir::empty());
                owners.push(place);
                continue;
            }
            for pattern in grammar.patterns.iter().flat_map(|patterns| patterns.hirs()) {
                patterns.push(pattern.clone());
                owners.push(place);
            }
        }
        Self { set: PatternSet::new(&patterns), owners }
    }

    /// The first grammar that `fits`, in their order, of those that may.
    pub fn first(&self, text: &str, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut numbers = NUMBERS.take();
        self.set.candidates(text, &mut numbers);
        let mut tried = None;
        let found = numbers.iter().map(|number| self.owners[*number]).find(|place| {
            // A grammar's patterns stand together, and are all tried at once.
            let again = tried.replace(*place) == Some(*place);
            !again && fits(*place)
        });
        NUMBERS.set(numbers);
        found
    }
}
