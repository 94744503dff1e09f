//! Hashes of an event's members that do not depend on their order.
//!
//! Go writes maps in random order, so the members of an object are hashed one by one, each with its path, and the
//! hashes are added up. Two lanes of 64 bits: 65,536 streams meet by chance with probability 2^-97.

/// Keys of the member hash. With [`Keys::random`] nobody outside the process can make two objects meet on purpose;
/// [`Keys::FIXED`] gives the same hashes in every process, for what is written to disk.
#[derive(Debug, Clone, Copy)]
pub struct Keys([u64; 4]);

/// The sum of the hashes of an object's leaf members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemberSum {
    low: u64,
    high: u64,
    /// How many members were added: tells an object with a key twice from its decoded form.
    pub leaves: u32,
}

impl MemberSum {
    #[inline(always)]
    pub fn add(&mut self, (low, high): (u64, u64)) {
        self.low = self.low.wrapping_add(low);
        self.high = self.high.wrapping_add(high);
        self.leaves += 1;
    }

    pub fn to_u128(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl Keys {
    /// Digits of pi.
    pub const FIXED: Keys =
        Keys([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89]);

    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let state = RandomState::new();
        Keys([0u64, 1, 2, 3].map(|n| state.hash_one(n)))
    }

    /// The hash of a member `"key":value`, as it stands, under the path of `seed`.
    #[inline]
    pub fn leaf(&self, seed: u64, bytes: &[u8]) -> (u64, u64) {
        let [k0, k1, k2, k3] = self.0;
        let (mut low, mut high) = (seed ^ k0, seed.rotate_left(32) ^ k1);
        let mut mix = |x: u64, y: u64| {
            low = fold(x ^ low, y ^ k2);
            high = fold(y ^ high, x ^ k3);
        };
        let n = bytes.len();
        if n >= 16 {
            let mut rest = bytes;
            while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
                mix(word(chunk, 0), word(chunk, 8));
                rest = after;
            }
            if let Some(last) = bytes.last_chunk::<16>() {
                mix(word(last, 0), word(last, 8));
            }
        } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            mix(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            mix(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
        } else {
            mix(bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b)), 0);
        }
        (fold(low ^ n as u64, k1), fold(high ^ n as u64, k0))
    }

    /// The seed of the members of the object under `key`.
    #[inline]
    pub fn child(&self, seed: u64, key: &[u8]) -> u64 {
        self.leaf(!seed, key).0
    }
}

#[inline(always)]
fn word(chunk: &[u8; 16], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&chunk[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let keys = Keys::random();
        let sum = |members: &[(u64, &str)]| {
            let mut sum = MemberSum::default();
            members.iter().for_each(|(seed, m)| sum.add(keys.leaf(*seed, m.as_bytes())));
            sum.to_u128()
        };
        let a = sum(&[(1, "\"name\":\"n1\""), (2, "\"id\":\"0123456789abcdef0123456789\"")]);
        assert_eq!(a, sum(&[(2, "\"id\":\"0123456789abcdef0123456789\""), (1, "\"name\":\"n1\"")]));
        assert_ne!(a, sum(&[(1, "\"id\":\"0123456789abcdef0123456789\""), (2, "\"name\":\"n1\"")]));
        assert_ne!(a, sum(&[(1, "\"name\":\"n2\""), (2, "\"id\":\"0123456789abcdef0123456789\"")]));
    }

    #[test]
    fn every_length_and_byte_counts() {
        let mut seen = std::collections::HashSet::new();
        let bytes = [0u8; 70];
        for n in 0..=70 {
            assert!(seen.insert(Keys::FIXED.leaf(7, &bytes[..n])), "length {n}");
            for i in 0..n {
                let mut other = bytes[..n].to_vec();
                other[i] = 1;
                assert!(seen.insert(Keys::FIXED.leaf(7, &other)), "length {n}, byte {i}");
            }
        }
    }
}
