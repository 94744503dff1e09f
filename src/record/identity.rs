//! What tells an event from all others of its sender.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A mark from here on is an identity itself.
pub const WHOLE: u64 = 1 << 32;

/// The identity, within its sender, of the event with this mark: in a stream with this seed, at this offset. Written to
/// disk, never to change.
///
/// Most events have a place (a file and an offset), and then a mark below 2^32 only tells apart what stood at one place
/// one after the other; stream and offset are known anyway, so the store keeps four bytes.
pub fn identity(seed: u64, offset: Option<u64>, mark: u64) -> u64 {
    match offset {
        Some(offset) if mark < WHOLE => {
            let mut place = [0; 12];
            place[..8].copy_from_slice(&offset.to_le_bytes());
            place[8..].copy_from_slice(&(mark as u32).to_le_bytes());
            xxh3_64_with_seed(&place, seed).max(1)
        }
        _ => mark.max(1),
    }
}
