//! Bytes looked at eight at a time.
//!
//! How long a field is differs from line to line, so a loop that asks at each byte whether to go on is mispredicted
//! once a field, which costs more than most fields have bytes. Asking eight bytes at once and counting the answers
//! does not ask at all.

pub(super) const BLOCK: usize = 8;

/// One in each byte of a block, and the top bit of each.
pub(super) const ONES: u64 = u64::from_le_bytes([1; BLOCK]);
pub(super) const TOPS: u64 = ONES << 7;

/// How many bytes from the first on all fit. `fits` is asked about bytes beyond the first that does not, too.
#[inline(always)]
pub(super) fn span(bytes: &[u8], fits: impl Fn(usize, u8) -> bool) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut at = 0;
    for block in blocks {
        let mut answers = 0_u32;
        for (i, byte) in block.iter().enumerate() {
            answers |= u32::from(fits(at + i, *byte)) << i;
        }
        let count = answers.trailing_ones() as usize;
        if count < BLOCK {
            return at + count;
        }
        at += BLOCK;
    }
    let left = |(i, byte): (usize, &u8)| !fits(at + i, *byte);
    at + rest.iter().enumerate().position(left).unwrap_or(rest.len())
}

/// Where a byte is first found. A near one is found without a call.
#[inline]
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let Some(block) = bytes.first_chunk::<BLOCK>() else { return bytes.iter().position(|other| *other == byte) };
    // A byte is zero where it is the one; taking one from a zero byte, and from none before it, sets its top bit.
    let zeros = u64::from_le_bytes(*block) ^ (ONES * u64::from(byte));
    let found = zeros.wrapping_sub(ONES) & !zeros & TOPS;
    if found != 0 {
        return Some(found.trailing_zeros() as usize / BLOCK);
    }
    memchr::memchr(byte, &bytes[BLOCK..]).map(|at| at + BLOCK)
}

/// A short text to compare with: its bytes and their mask, the first lowest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    value: u64,
    mask: u64,
    pub(super) len: usize,
}

impl Short {
    /// None if it is longer than eight bytes.
    pub(super) fn new(text: &[u8]) -> Option<Short> {
        let mut value = [0; BLOCK];
        let mut mask = [0; BLOCK];
        value.get_mut(..text.len())?.copy_from_slice(text);
        mask[..text.len()].fill(u8::MAX);
        Some(Short { value: u64::from_le_bytes(value), mask: u64::from_le_bytes(mask), len: text.len() })
    }

    #[inline]
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk::<BLOCK>() {
            Some(block) => u64::from_le_bytes(*block) & self.mask == self.value,
            None => bytes.starts_with(&self.value.to_le_bytes()[..self.len]),
        }
    }
}
