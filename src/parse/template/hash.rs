//! The hash of words. It is written into saved registries, so it is spelled out here instead of taken from a library
//! that may change its own.

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;

/// Two numbers into one, by a full multiplication folded onto itself.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ K0) * u128::from(b ^ K1);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of a word's bytes, eight at a time; the last step overlaps the one before where the length is no multiple.
#[inline]
pub fn hash_word(word: &[u8]) -> u64 {
    let length = word.len() as u64;
    if let Some(last) = word.last_chunk::<8>() {
        let (chunks, _) = word.as_chunks::<8>();
        let hash = chunks.iter().fold(length, |hash, chunk| mix(hash, u64::from_le_bytes(*chunk)));
        return mix(hash, u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        return mix(length, u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)));
    }
    word.iter().fold(length, |hash, byte| hash << 8 | u64::from(*byte)).wrapping_mul(K1)
}
