//! Where a text has a quote, a backslash or a control character: one bit a byte, found 64 bytes at a time.
//!
//! An event has over a hundred strings of some ten bytes. Looking for the end of each one by itself, however cleverly,
//! costs more than marking all ends in one go.

/// The marks of one text. Kept from text to text for its memory.
#[derive(Debug, Clone, Default)]
pub struct Marks(Vec<u64>);

impl Marks {
    /// Marks `bytes`. Everything behind the end is marked as well, so that each search stops.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.0.clear();
        let (blocks, rest) = bytes.as_chunks::<64>();
        self.0.extend(blocks.iter().map(mark_block));
        // A NUL is a control character.
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        self.0.push(mark_block(&last));
        // So that there is always a block after the one that is asked.
        self.0.push(u64::MAX);
    }

    /// The first mark from `at` on, which is at most the text's end.
    #[inline(always)]
    pub fn next(&self, at: usize) -> usize {
        let (mut block, shift) = (at / 64, at % 64);
        // The 64 bytes from `at` on, wherever blocks begin: most strings end there, and a branch that is nearly always
        // taken costs nothing, where one on the block's end would be a surprise every fourth time.
        let bits = self.0[block] >> shift | self.0[block + 1] << 1 << (63 - shift);
        if bits != 0 {
            return at + bits.trailing_zeros() as usize;
        }
        loop {
            block += 1;
            let bits = self.0[block];
            if bits != 0 {
                return block * 64 + bits.trailing_zeros() as usize;
            }
        }
    }
}

/// One bit a byte. The first loop becomes a few vector instructions; the second gathers eight flags by a multiplication
/// (the intrinsic that does it at once is unsafe to call).
#[inline]
fn mark_block(block: &[u8; 64]) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, &byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
    }
    let (words, _) = flags.as_chunks::<8>();
    let mut marks = 0;
    for (i, word) in words.iter().enumerate() {
        // Bit 8k of the flags goes to bit 56 + k; no two products meet in a bit.
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks |= gathered << (8 * i);
    }
    marks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255u8 {
            for place in 0..64 {
                let mut block = [b'a'; 64];
                block[place] = byte;
                let special = byte == b'"' || byte == b'\\' || byte < 0x20;
                assert_eq!(mark_block(&block), u64::from(special) << place, "{byte} at {place}");
            }
        }
        assert_eq!(mark_block(&[b'"'; 64]), u64::MAX);
    }

    #[test]
    fn marks_are_found_over_any_distance() {
        for gap in 0..300 {
            let mut bytes = vec![b'a'; gap];
            bytes.extend(b"\"bcd");
            let mut marks = Marks::default();
            marks.fill(&bytes);
            for at in 0..=gap {
                assert_eq!(marks.next(at), gap, "from {at}");
            }
            assert_eq!(marks.next(gap + 1), gap + 4, "the end");
        }
    }

    proptest! {
        #[test]
        fn the_next_mark_is_the_next_special_byte(bytes in prop::collection::vec(prop::sample::select(&b"abcdefgh\"\\\n\xff"[..]), 0..200)) {
            let mut marks = Marks::default();
            marks.fill(b"some other text that was there before");
            marks.fill(&bytes);
            for at in 0..=bytes.len() {
                let special = |b: &u8| matches!(b, b'"' | b'\\' | b'\n');
                let expected = bytes[at..].iter().position(special).map_or(bytes.len(), |i| at + i);
                prop_assert_eq!(marks.next(at), expected);
            }
        }
    }
}
