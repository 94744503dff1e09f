//! Walks the entries of one segment, stepping over damage.

use super::{
    Damage, DiskFile, Position, disk,
    format::{ENTRY_HEADER_BYTES, EntryHeader, PAYLOAD_BYTES_MAX},
};
use bytes::Bytes;
use std::{io, path::PathBuf};

/// Read at a time, bytes: large enough for a sequential read to run at the device's speed.
const CHUNK_BYTES: usize = 1 << 20;

pub(super) struct Walk {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    salt: u32,
    /// Where the next entry starts.
    offset: u64,
    /// The position it must have.
    expected: u64,
    /// What was read last, and where it starts in the file. Entries are slices of it.
    chunk: Bytes,
    chunk_offset: u64,
    /// The device refused part of a chunk: damage will follow.
    unreadable: bool,
}

pub(super) enum Step {
    Entry {
        position: Position,
        payload: Bytes,
        offset: u64,
    },
    /// From where to where bytes were skipped; `found`: a whole entry follows, else the walk is at its limit.
    Skipped {
        damage: Damage,
        found: bool,
    },
    End,
}

impl Walk {
    /// Starts at `offset`, where the entry of position `expected` should stand.
    pub fn new(file: Box<dyn DiskFile>, path: PathBuf, salt: u32, offset: u64, expected: u64) -> Self {
        Self { file, path, salt, offset, expected, chunk: Bytes::new(), chunk_offset: 0, unreadable: false }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The next entry before byte `limit` (an end of the file or of an entry) with a position below `below`.
    pub fn next(&mut self, limit: u64, below: u64) -> io::Result<Step> {
        if self.offset >= limit {
            return Ok(Step::End);
        }
        if let Some((position, payload)) = self.entry_at(self.offset, limit, below)? {
            let offset = self.offset;
            self.expected = position + 1;
            self.offset += (ENTRY_HEADER_BYTES + payload.len()) as u64;
            return Ok(Step::Entry { position: Position(position), payload, offset });
        }
        // Entries that the next segment repeats are no damage: this segment was abandoned in the middle of a group.
        if self.expected >= below || self.zero_until(limit)? {
            self.offset = limit;
            return Ok(Step::End);
        }
        self.resync(limit, below)
    }

    /// Goes to the next whole entry behind damage.
    fn resync(&mut self, limit: u64, below: u64) -> io::Result<Step> {
        let from = self.offset;
        let mut at = from + 1;
        let mut found = None;
        while at + ENTRY_HEADER_BYTES as u64 <= limit {
            if let Some((position, _)) = self.entry_at(at, limit, below)? {
                found = Some(position);
                break;
            }
            at += 1;
        }
        self.offset = if found.is_some() { at } else { limit };
        let end = found.unwrap_or(if below == u64::MAX { self.expected } else { below });
        let cause = if std::mem::take(&mut self.unreadable) { "cannot be read" } else { "fail their checksum" };
        let what = format!("{} bytes {cause}: {}", self.offset - from, lost(self.expected, end));
        self.expected = end;
        Ok(Step::Skipped { damage: Damage { file: self.path.clone(), offset: from, what }, found: found.is_some() })
    }

    /// The whole entry that starts at `at`, if there is one.
    fn entry_at(&mut self, at: u64, limit: u64, below: u64) -> io::Result<Option<(u64, Bytes)>> {
        let room = (limit - at).saturating_sub(ENTRY_HEADER_BYTES as u64);
        if limit - at < ENTRY_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let Some(header) = self.bytes(at, ENTRY_HEADER_BYTES, limit)? else { return Ok(None) };
        let header = EntryHeader::decode(header);
        let length = u64::from(header.length);
        // An entry takes sixteen bytes at least, so damage of n bytes cannot have cost more than n / 16 of them.
        let position_max = self.expected.saturating_add((at - self.offset) / ENTRY_HEADER_BYTES as u64);
        let possible = length <= room.min(PAYLOAD_BYTES_MAX)
            && (self.expected..=position_max).contains(&header.position)
            && header.position < below;
        if !possible {
            return Ok(None);
        }
        let start = at + ENTRY_HEADER_BYTES as u64;
        let salt = self.salt;
        let Some(payload) = self.bytes(start, header.length as usize, limit)? else { return Ok(None) };
        if !header.holds(payload, salt) {
            return Ok(None);
        }
        let within = (start - self.chunk_offset) as usize;
        Ok(Some((header.position, self.chunk.slice(within..within + header.length as usize))))
    }

    /// `length` bytes at `at`, from the chunk, or from a new one that starts a header before `at`.
    fn bytes(&mut self, at: u64, length: usize, limit: u64) -> io::Result<Option<&[u8]>> {
        let covered = at >= self.chunk_offset && at + length as u64 <= self.chunk_offset + self.chunk.len() as u64;
        if !covered {
            let want = (CHUNK_BYTES.max(length) as u64).min(limit - at) as usize;
            let mut chunk = vec![0; want];
            let (have, error) = disk::read_lossy(&*self.file, &mut chunk, at)?;
            chunk.truncate(have);
            self.unreadable |= error.is_some();
            self.chunk = chunk.into();
            self.chunk_offset = at;
        }
        let start = (at - self.chunk_offset) as usize;
        Ok(self.chunk.get(start..start + length))
    }

    /// Whether nothing but zeros stands from here to `limit`.
    fn zero_until(&mut self, limit: u64) -> io::Result<bool> {
        let mut at = self.offset;
        while at < limit {
            let step = (limit - at).min(CHUNK_BYTES as u64) as usize;
            let Some(bytes) = self.bytes(at, step, limit)? else { return Ok(true) };
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += step as u64;
        }
        Ok(true)
    }
}

/// What damage cost, in words.
pub(super) fn lost(from: u64, end: u64) -> String {
    match end.saturating_sub(from) {
        0 => "no entry known to be lost".into(),
        1 => format!("1 entry lost, position {from}"),
        count => format!("{count} entries lost, positions {from} to {}", end - 1),
    }
}
