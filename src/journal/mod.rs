//! The journal: what has been acknowledged and is not yet in every shard's commit.
//!
//! It knows bytes, a position and a checksum. One writer thread gathers whatever was appended meanwhile, writes it with
//! one vectored write and one `fdatasync`, and only then completes the tickets: a *group commit*. Readers read what is
//! durable, through file handles of their own.
//!
//! # Constraints
//!
//! - A ticket completes only after its entry's bytes and the file's name are on the disk.
//! - A position is given once. Positions are dense, so that what damage cost can be counted. They never start over,
//!   not even after everything was trimmed: the checkpoint remembers.
//! - A failed `fdatasync` is final for its file: the kernel may have marked the pages clean without having written them,
//!   so a later successful sync of that file proves nothing. The group is written again, to a new file.
//! - Damage costs the entries it touches and no others.
//!
//! # Files
//!
//! ```text
//! DIR/00000000000000000001.seg     a segment, named after the position of its first entry
//! DIR/00000000000000004711.seg     the active one: the highest name
//! DIR/checkpoint                   through which position everything was trimmed
//! DIR/checkpoint.tmp               the next checkpoint, being written
//! DIR/NAME.seg.damaged             a last segment without one readable entry or header, set aside
//! ```
//!
//! All numbers are little-endian.
//!
//! A **segment** starts with a header block of 1,024 bytes that holds the same 32-byte header twice, at 0 and at 512,
//! so that one bad sector does not cost the salt, without which no entry can be verified. The rest of it is zero.
//!
//! ```text
//!  0  8  magic "loghndJ\n"
//!  8  4  format version, 1
//! 12  4  salt: random per segment
//! 16  8  position of the first entry
//! 24  4  zero
//! 28  4  crc32 of the 28 bytes before
//! ```
//!
//! **Entries** follow one another without padding:
//!
//! ```text
//!  0  4  length of the payload, bytes (1 GiB at most)
//!  4  4  crc32 of payload, length, position, salt, in this order
//!  8  8  position, never 0
//! 16  …  payload
//! ```
//!
//! The payload comes first in the checksum so that the appender can compute its part before the position and the
//! segment are known. The salt keeps a payload that itself holds journal bytes from passing for an entry when the
//! reader searches for the next whole one behind damage.
//!
//! **The end** of a segment is the end of the file, or sixteen zero bytes followed by nothing but zeros (file systems may
//! leave such a tail after a power loss): position 0 does not exist, so no entry's header is all zero. Anything else
//! that is not a whole entry is damage. Behind the last whole entry of the last segment damage is a torn write, which was
//! never acknowledged: it is cut off at open and reported as `torn`. Anywhere else it is reported, and reading goes
//! on at the next offset where a whole entry with a possible position starts.
//!
//! A segment's entries end before the position that the next segment starts with: an abandoned segment may hold further
//! ones, which were written again to the next.
//!
//! The **checkpoint** is one 32-byte block, twice (64 bytes): magic "loghndC\n", version (4), zero (4), position (8),
//! zero (4), crc32 of the 28 bytes before. It is written to `checkpoint.tmp`, synced, renamed, and the directory synced.
//!
//! # Writing, reading, deleting
//!
//! `reserve` → `append` → `Ticket`: [`space`] waits, [`writer`] writes. A segment is left when the next group would take
//! it beyond `segment_bytes`. [`Reader`] walks from segment to segment. `trim` writes the checkpoint and then
//! deletes the segments that hold nothing above it; the active one too, when all of it is trimmed and space is wanted.
//! No file is ever written to again after it was left, nor after a restart.

mod checkpoint;
mod disk;
mod error;
mod format;
mod handle;
mod reader;
mod recover;
mod segments;
mod space;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use disk::{Disk, DiskFile, OsDisk};
pub use error::{Damage, Error, OpenReport, ReadError};
pub use handle::{Commit, Durable, Journal, Observer, Options, Ticket, Usage};
pub use reader::Reader;
pub use space::Room;

/// Where an entry stands: dense, the first is 1. `Position(0)` is before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
