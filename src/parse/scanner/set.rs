//! What may come next: a set of bytes, and perhaps the end of the text.
//!
//! Every decision of the compiler is made on these sets: where what a step goes on with and what follows it have
//! nothing in common, the next byte decides and nothing has to be tried twice.

/// The symbol that stands for the end of the text; the others are bytes.
pub(super) const END: usize = 256;

/// The number of symbols: 256 bytes and [`END`].
pub(super) const SYMBOLS: usize = 257;

/// A set of symbols.
///
/// As a class of characters, the bytes from 0x80 are all in it or all out of it, and stand for whole characters. As
/// what may come *next* at the edge of a character, the bytes that continue one (0x80 to 0xBF) are never in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Set {
    bytes: [u64; 4],
    end: bool,
}

impl Set {
    pub(super) const NONE: Set = Set { bytes: [0; 4], end: false };
    /// Whatever can stand at the edge of a character.
    pub(super) const ALL: Set = Set { bytes: [!0, !0, 0, !0], end: true };
    /// The bytes of characters beyond ASCII.
    pub(super) const WIDE: Set = Set { bytes: [0, 0, !0, !0], end: false };
    /// ASCII letters, digits and the underscore.
    pub(super) const WORD: Set = Set { bytes: [0x03ff_0000_0000_0000, 0x07ff_fffe_87ff_fffe, 0, 0], end: false };
    /// Every byte of ASCII.
    pub(super) const ASCII: Set = Set { bytes: [!0, !0, 0, 0], end: false };
    pub(super) const AT_END: Set = Set { bytes: [0; 4], end: true };

    pub(super) fn byte(byte: u8) -> Set {
        Set::range(byte, byte)
    }

    pub(super) fn range(first: u8, last: u8) -> Set {
        let mut set = Set::NONE;
        for byte in first..=last {
            set.bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        set
    }

    pub(super) fn contains(&self, symbol: usize) -> bool {
        if symbol == END { self.end } else { self.bytes[symbol >> 6] >> (symbol & 63) & 1 == 1 }
    }

    pub(super) fn union(self, other: Set) -> Set {
        self.zip(other, |a, b| a | b, self.end | other.end)
    }

    pub(super) fn and(self, other: Set) -> Set {
        self.zip(other, |a, b| a & b, self.end & other.end)
    }

    pub(super) fn minus(self, other: Set) -> Set {
        self.zip(other, |a, b| a & !b, self.end & !other.end)
    }

    fn zip(self, other: Set, op: impl Fn(u64, u64) -> u64, end: bool) -> Set {
        Set { bytes: std::array::from_fn(|i| op(self.bytes[i], other.bytes[i])), end }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Set::NONE
    }

    pub(super) fn is_subset(self, other: Set) -> bool {
        self.minus(other).is_empty()
    }

    pub(super) fn is_disjoint(self, other: Set) -> bool {
        self.and(other).is_empty()
    }

    /// Whether characters beyond ASCII are in it.
    pub(super) fn is_wide(self) -> bool {
        !self.is_disjoint(Set::WIDE)
    }

    /// A class of characters as what its characters begin with.
    pub(super) fn heads(self) -> Set {
        self.and(Set::ALL)
    }

    /// How many bytes are in it.
    pub(super) fn len(&self) -> u32 {
        self.bytes.iter().map(|word| word.count_ones()).sum()
    }

    /// The bytes in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        let set = *self;
        (0..=u8::MAX).filter(move |byte| set.contains(usize::from(*byte)))
    }

    /// The one byte in it, where it holds exactly one and not the end.
    pub(super) fn single(&self) -> Option<u8> {
        (self.len() == 1 && !self.end).then(|| self.iter().next()).flatten()
    }

    /// For each byte, whether it is in it.
    pub(super) fn table(&self) -> Box<[bool; 256]> {
        Box::new(std::array::from_fn(|byte| self.contains(byte)))
    }
}
