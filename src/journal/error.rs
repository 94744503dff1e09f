//! What can go wrong, and what was found at open.

use super::Position;
use std::{fmt, io, path::PathBuf};

/// The journal could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("journal: cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "journal: {} has format version {found}, this program knows {known}: start the loghound that wrote it once \
         more and let it index what is left, or move the file away and lose what it holds",
        path.display()
    )]
    Version { path: PathBuf, found: u32, known: u32 },
    #[error(
        "journal: an entry of {bytes} bytes does not fit below journal.bytes_max ({bytes_max}): raise it, or let \
         senders send smaller windows"
    )]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("journal: closed before the entry was durable: the sender has to send it again")]
    Closed,
}

/// A reader could not go on; the same call may succeed later.
#[derive(Debug, thiserror::Error)]
#[error("journal: cannot read {}: {source}", path.display())]
pub struct ReadError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    /// Where in the file it starts, bytes.
    pub offset: u64,
    /// What was found and what it cost.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset, self.what)
    }
}

/// What was found at open. Only the last segment is read whole then; damage in older ones is found by the reader.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// The oldest position that may still be read; above `last` when there is none.
    pub first: Position,
    /// The newest position, or the checkpoint when all is trimmed.
    pub last: Position,
    pub damages: Vec<Damage>,
    /// A write that a crash interrupted, cut off. Nothing of it was acknowledged: for information only.
    pub torn: Option<Damage>,
    /// Size of all segments.
    pub bytes: u64,
}
