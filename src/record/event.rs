//! An event is decoded and not yet parsed; a record is parsed and ready for the store.

use std::sync::Arc;

use super::{Fields, Stream};

/// Which grammar, in which version, found a record's fields: enough to find them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrammarRef<'g> {
    pub name: &'static str,
    /// Differs where `source` does.
    pub version: u64,
    /// What the grammar was made from; empty where its parser is part of the program.
    pub source: &'g str,
}

/// One event of a batch, borrowing from it.
#[derive(Debug, Clone)]
pub struct Event<'b> {
    pub stream: Arc<Stream>,
    /// `@timestamp` (else the batch's receive time): Unix nanoseconds.
    pub timestamp: i64,
    /// The line. Absent in events that carry only parsed keys.
    pub message: Option<&'b str>,
    /// `log.offset`.
    pub offset: Option<u64>,
    /// What makes the [`Event::id`] with the stream and the offset: equal for the copies of one event.
    pub mark: u64,
    /// Whether the identity stands on a file position; without one it holds only within a short time window.
    pub positioned: bool,
    /// Fields that belong neither to the stream nor to the line (parsed keys of the sender, `log.flags`): one JSON
    /// object, compact.
    pub extra: Option<&'b str>,
}

impl Event<'_> {
    /// The identity within its sender: equal for the copies of one event, different for different lines. Never 0.
    pub fn id(&self) -> u64 {
        super::identity(self.stream.identity_seed, self.offset, self.mark)
    }
}

/// One parsed record, borrowing from its event.
#[derive(Debug)]
pub struct Record<'r> {
    pub event: &'r Event<'r>,
    /// The grammar that parsed the line.
    pub grammar: Option<GrammarRef<'r>>,
    /// The id of the template mined of its text.
    pub template: Option<u64>,
    /// What it found; empty where no grammar fits. The event's `extra` is not in here.
    pub fields: &'r Fields<'r>,
}
