//! What a stream remembers of its parsing, packed into the one word that [`Stream::memory`] has for it.
//!
//! Which grammar its lines had so far, which one a rule sends them to, and how many lines in a row were of another. All
//! of it holds for one [`Parser`](super::Parser) only: grammars read anew stand at other places.

use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;

use crate::record::Stream;

use super::detect::Id;

/// Lines of another grammar in a row after which a stream is taken to have changed (a container restarted with other
/// flags); a single stray line is no reason.
const MISSES_BEFORE_CHANGE: u16 = 8;

/// Numbers a parser, from 1 on. They come again after 65,535 reloads: a stream that slept as long keeps what it knew.
pub(super) fn next_generation() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    loop {
        let generation = NEXT.fetch_add(1, Relaxed);
        if generation != 0 {
            return generation;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    generation: u16,
    pub route: Option<Id>,
    pub grammar: Option<Id>,
    misses: u16,
}

impl Memory {
    /// What the stream remembers; `None` when nothing, or nothing of this generation.
    pub fn of(stream: &Stream, generation: u16) -> Option<Self> {
        let word = stream.memory.load(Relaxed);
        let part = |at: u32| (word >> (16 * at)) as u16;
        (part(0) == generation).then(|| Self {
            generation,
            route: part(1).checked_sub(1).map(|place| Id::at(place.into())),
            grammar: part(2).checked_sub(1).map(|place| Id::at(place.into())),
            misses: part(3),
        })
    }

    /// Of a stream seen for the first time.
    pub fn new(generation: u16, route: Option<Id>) -> Self {
        Self { generation, route, grammar: None, misses: 0 }
    }

    /// After a line of grammar `found`. Lines of no grammar are stack traces and continuations: they say nothing
    /// against the remembered one.
    pub fn after(self, found: Option<Id>) -> Self {
        match (self.grammar, found) {
            (_, None) => self,
            (None, found) => Self { grammar: found, ..self },
            (Some(old), Some(found)) if old == found => Self { misses: 0, ..self },
            (Some(_), found) if self.misses + 1 >= MISSES_BEFORE_CHANGE => Self { grammar: found, misses: 0, ..self },
            _ => Self { misses: self.misses + 1, ..self },
        }
    }

    /// A stream's lines are parsed on several threads: the last one to write counts, and nothing depends on it but time.
    pub fn store(self, stream: &Stream) {
        let place = |id: Option<Id>| id.map_or(0, |id| id.index() as u64 + 1);
        let word = u64::from(self.generation)
            | place(self.route) << 16
            | place(self.grammar) << 32
            | u64::from(self.misses) << 48;
        stream.memory.store(word, Relaxed);
    }
}
