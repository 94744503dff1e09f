//! Bytes on disk to headers and back; the layout is drawn in the parent module.

use crc32fast::Hasher;

pub(super) const VERSION: u32 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"loghndJ\n";
const CHECKPOINT_MAGIC: [u8; 8] = *b"loghndC\n";
/// One copy of a segment's header or of the checkpoint, bytes.
const BLOCK_BYTES: usize = 32;
/// Both copies and the zeros around them: where a segment's first entry starts.
pub(super) const SEGMENT_HEADER_BYTES: usize = 1024;
/// Where the second copy stands: in another sector than the first.
const SECOND_COPY: usize = 512;
pub(super) const CHECKPOINT_BYTES: usize = 2 * BLOCK_BYTES;
pub(super) const ENTRY_HEADER_BYTES: usize = 16;
/// The longest payload, bytes: what a length field may claim before it counts as damage.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

/// Neither copy of a header could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    /// Written by another format version.
    Version(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub salt: u32,
    pub first: u64,
}

/// Magic, version, `small`, `large`, zero, checksum.
fn block(magic: [u8; 8], small: u32, large: u64) -> [u8; BLOCK_BYTES] {
    let mut out = [0; BLOCK_BYTES];
    out[..8].copy_from_slice(&magic);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&small.to_le_bytes());
    out[16..24].copy_from_slice(&large.to_le_bytes());
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The first good one of the two copies.
fn read_copies(bytes: &[u8], second: usize, magic: [u8; 8]) -> Result<(u32, u64), BadHeader> {
    let copies = [0, second].map(|at| bytes.get(at..at + BLOCK_BYTES).filter(|copy| copy[..8] == magic));
    for copy in copies.into_iter().flatten() {
        if u32_at(copy, 8) == VERSION && crc32fast::hash(&copy[..28]) == u32_at(copy, 28) {
            return Ok((u32_at(copy, 12), u64_at(copy, 16)));
        }
    }
    // Two copies that agree on another version are not one flipped bit; the rest of that version's header is not ours.
    match copies.map(|copy| copy.map(|copy| u32_at(copy, 8))) {
        [Some(one), Some(other)] if one == other && one != VERSION => Err(BadHeader::Version(one)),
        _ => Err(BadHeader::Damaged),
    }
}

impl SegmentHeader {
    pub fn encode(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        let copy = block(SEGMENT_MAGIC, self.salt, self.first);
        out[..BLOCK_BYTES].copy_from_slice(&copy);
        out[SECOND_COPY..SECOND_COPY + BLOCK_BYTES].copy_from_slice(&copy);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let (salt, first) = read_copies(bytes, SECOND_COPY, SEGMENT_MAGIC)?;
        Ok(Self { salt, first })
    }
}

pub(super) fn encode_checkpoint(position: u64) -> [u8; CHECKPOINT_BYTES] {
    let mut out = [0; CHECKPOINT_BYTES];
    let copy = block(CHECKPOINT_MAGIC, 0, position);
    out[..BLOCK_BYTES].copy_from_slice(&copy);
    out[BLOCK_BYTES..].copy_from_slice(&copy);
    out
}

pub(super) fn decode_checkpoint(bytes: &[u8]) -> Result<u64, BadHeader> {
    Ok(read_copies(bytes, BLOCK_BYTES, CHECKPOINT_MAGIC)?.1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub length: u32,
    pub crc: u32,
    pub position: u64,
}

impl EntryHeader {
    /// `payload` has already taken in the payload's bytes.
    pub fn new(length: u32, position: u64, salt: u32, payload: Hasher) -> Self {
        Self { length, crc: finish(payload, length, position, salt), position }
    }

    pub fn encode(self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut out = [0; ENTRY_HEADER_BYTES];
        out[..4].copy_from_slice(&self.length.to_le_bytes());
        out[4..8].copy_from_slice(&self.crc.to_le_bytes());
        out[8..].copy_from_slice(&self.position.to_le_bytes());
        out
    }

    /// Any sixteen bytes; whether they are an entry, [`Self::holds`] tells. `bytes` has at least so many.
    pub fn decode(bytes: &[u8]) -> Self {
        Self { length: u32_at(bytes, 0), crc: u32_at(bytes, 4), position: u64_at(bytes, 8) }
    }

    /// Whether header and payload are as they were written.
    pub fn holds(self, payload: &[u8], salt: u32) -> bool {
        let mut hasher = Hasher::new();
        hasher.update(payload);
        self.crc == finish(hasher, self.length, self.position, salt)
    }
}

fn finish(mut payload: Hasher, length: u32, position: u64, salt: u32) -> u32 {
    let mut tail = [0; 16];
    tail[..4].copy_from_slice(&length.to_le_bytes());
    tail[4..12].copy_from_slice(&position.to_le_bytes());
    tail[12..].copy_from_slice(&salt.to_le_bytes());
    payload.update(&tail);
    payload.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}
