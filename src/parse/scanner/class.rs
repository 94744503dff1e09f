//! A class of bytes, and how long a run of it is.

use super::block::{BLOCK, ONES, TOPS, span};
use super::set::Set;

/// A class of bytes.
#[derive(Debug)]
pub(super) struct Class {
    table: Box<[bool; 256]>,
    ranges: Option<Ranges>,
}

/// Two ranges of ASCII at the most, and whether the class is these or all the rest: digits, blanks, all but blanks.
/// A byte in the range from `a` to `b`, if less than 0x80, has its top bit set by adding 0x80 - `a`, but not by adding
/// 0x7f - `b`; neither carries into the next byte, so eight are asked at once.
#[derive(Debug, Clone, Copy)]
struct Ranges {
    from: [u64; 2],
    beyond: [u64; 2],
    rest: bool,
}

impl Class {
    pub(super) fn new(set: Set) -> Class {
        Class { table: set.table(), ranges: Ranges::new(set) }
    }

    #[inline]
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.table[usize::from(byte)]
    }

    /// How many bytes from the first on are all of the class.
    #[inline]
    pub(super) fn span(&self, bytes: &[u8]) -> usize {
        let Some(ranges) = &self.ranges else { return span(bytes, |_, byte| self.contains(byte)) };
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (i, block) in blocks.iter().enumerate() {
            let out = ranges.out(u64::from_le_bytes(*block));
            if out != 0 {
                return i * BLOCK + out.trailing_zeros() as usize / BLOCK;
            }
        }
        let left = rest.iter().position(|byte| !self.contains(*byte)).unwrap_or(rest.len());
        blocks.len() * BLOCK + left
    }
}

impl Ranges {
    fn new(set: Set) -> Option<Ranges> {
        let rest = set.is_wide();
        if rest && !Set::WIDE.is_subset(set) {
            return None;
        }
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in if rest { Set::ASCII.minus(set) } else { set }.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == byte => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        // No byte has its top bit set by adding nothing: the range that is not there.
        let (mut from, mut beyond) = ([0; 2], [0; 2]);
        for (i, (first, last)) in ranges.into_iter().enumerate() {
            *from.get_mut(i)? = ONES * u64::from(0x80 - first);
            beyond[i] = ONES * u64::from(0x7f - last);
        }
        Some(Ranges { from, beyond, rest })
    }

    /// The top bits of those bytes that are not of the class.
    #[inline]
    fn out(&self, block: u64) -> u64 {
        let low = block & !TOPS;
        let within = |i: usize| (low + self.from[i]) & !(low + self.beyond[i]);
        let listed = (within(0) | within(1)) & !block & TOPS;
        if self.rest { listed } else { listed ^ TOPS }
    }
}
