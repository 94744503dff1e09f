//! One sender's last identities: a ring in order of arrival, and an open-addressing table of places in it.
//!
//! 20 bytes an identity: 8 + 4 (when it came) in the ring, two table slots of 4. Nothing is allocated once grown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::WINDOW_SECONDS;

/// Bytes an identity takes.
pub const BYTES_PER_ID: usize = 20;
const EMPTY: u32 = u32::MAX;
/// The first capacity: a sender that sends a handful of lines takes 5 KB.
const GROW_FROM: usize = 256;

#[derive(Debug)]
pub struct Ring {
    ids: Vec<u64>,
    times: Vec<u32>,
    /// Twice as many as ids, linear probing.
    slots: Vec<u32>,
    /// Place of the oldest.
    start: usize,
    len: usize,
    /// Capacity it may grow to, a power of two; the same for all senders and changed under way.
    limit: Arc<AtomicUsize>,
}

impl Ring {
    pub fn new(limit: Arc<AtomicUsize>) -> Self {
        let (ids, times, slots) = Default::default();
        Self { ids, times, slots, start: 0, len: 0, limit }
    }

    /// Forgets the oldest beyond the capacity it may have.
    pub fn shrink(&mut self) {
        let limit = self.limit.load(Ordering::Relaxed);
        if self.ids.len() > limit {
            self.resize(limit);
        }
    }

    /// Whether the identity is known; remembers it otherwise, or anew where the known one is too long ago to count.
    pub fn check(&mut self, id: u64, positioned: bool, now: u32) -> bool {
        // The clock may step back between two copies, so the distance counts.
        if let Some(place) = self.find(id)
            && (positioned || self.times[place].abs_diff(now) <= WINDOW_SECONDS)
        {
            return true;
        }
        self.make_room();
        if self.len == self.ids.len() {
            self.unlink(self.start);
            self.start = (self.start + 1) & (self.ids.len() - 1);
            self.len -= 1;
        }
        let place = (self.start + self.len) & (self.ids.len() - 1);
        self.put(place, id, now);
        self.len += 1;
        false
    }

    /// Remembers an identity older than all it holds, if there is room.
    pub fn restore(&mut self, id: u64, at: u32) {
        self.make_room();
        if self.len == self.ids.len() || self.find(id).is_some() {
            return;
        }
        self.start = (self.start + self.ids.len() - 1) & (self.ids.len() - 1);
        self.put(self.start, id, at);
        self.len += 1;
    }

    fn home(&self, id: u64) -> usize {
        // Identities are hashes, but a sender that forges them should not be able to pile them up cheaply.
        (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.slots.len() - 1)
    }

    fn find(&self, id: u64) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let place = self.slots[self.slot_of(id)];
        (place != EMPTY).then_some(place as usize)
    }

    /// The slot that holds the place of `id`, or the empty one where it would stand.
    fn slot_of(&self, id: u64) -> usize {
        let mut slot = self.home(id);
        while self.slots[slot] != EMPTY && self.ids[self.slots[slot] as usize] != id {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    fn put(&mut self, place: usize, id: u64, time: u32) {
        // An older entry of the same id loses its slot to this one and is skipped when its turn comes.
        let slot = self.slot_of(id);
        self.ids[place] = id;
        self.times[place] = time;
        self.slots[slot] = place as u32;
    }

    /// Takes the entry at `place` out of the table, closing the gap in its probe chain.
    fn unlink(&mut self, place: usize) {
        let mut gap = self.slot_of(self.ids[place]);
        if self.slots[gap] != place as u32 {
            return;
        }
        let mask = self.slots.len() - 1;
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            if self.slots[next] == EMPTY {
                break;
            }
            let home = self.home(self.ids[self.slots[next] as usize]);
            // It may move back into the gap unless its home lies behind the gap.
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
        }
        self.slots[gap] = EMPTY;
    }

    fn make_room(&mut self) {
        let limit = self.limit.load(Ordering::Relaxed);
        if self.len == self.ids.len() && self.ids.len() < limit {
            self.resize((self.ids.len() * 2).clamp(GROW_FROM.min(limit), limit));
        }
    }

    /// Moves to another capacity, keeping the newest.
    fn resize(&mut self, capacity: usize) {
        let keep = self.len.min(capacity);
        let mask = self.ids.len().wrapping_sub(1);
        let entries: Vec<(u64, u32)> = (self.len - keep..self.len)
            .map(|i| (self.start + i) & mask)
            .map(|place| (self.ids[place], self.times[place]))
            .collect();
        self.ids = vec![0; capacity];
        self.times = vec![0; capacity];
        self.slots = vec![EMPTY; capacity * 2];
        (self.start, self.len) = (0, 0);
        for (id, time) in entries {
            self.put(self.len, id, time);
            self.len += 1;
        }
    }

    pub fn bytes(&self) -> usize {
        self.ids.len() * BYTES_PER_ID
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Few distinct ids and a tiny ring, so that everything collides, wraps and is evicted.
        #[test]
        fn it_is_a_window_over_the_last_ids(
            steps in prop::collection::vec((1u64..60, any::<bool>(), 0u32..2_000, 0u8..40), 0..600),
        ) {
            let shared = Arc::new(AtomicUsize::new(16));
            let mut ring = Ring::new(Arc::clone(&shared));
            let mut limit = 16;
            let mut model: VecDeque<(u64, u32)> = VecDeque::new();
            for (id, positioned, now, resize) in steps {
                if resize < 2 {
                    limit = if resize == 0 { 8 } else { 32 };
                    shared.store(limit, Ordering::Relaxed);
                    ring.shrink();
                    while model.len() > limit { model.pop_front(); }
                }
                let known = model.iter().rev().find(|(known, _)| *known == id)
                    .is_some_and(|(_, at)| positioned || at.abs_diff(now) <= WINDOW_SECONDS);
                prop_assert_eq!(ring.check(id, positioned, now), known);
                if !known {
                    model.push_back((id, now));
                    while model.len() > limit { model.pop_front(); }
                }
                prop_assert!(ring.bytes() <= 32 * BYTES_PER_ID);
            }
        }
    }

    #[test]
    fn restoring_newest_first_keeps_the_newest() {
        let mut ring = Ring::new(Arc::new(AtomicUsize::new(256)));
        (1..=300).rev().for_each(|id| ring.restore(id, 0));
        assert!((45..=300).all(|id| ring.check(id, true, 0)));
        assert!(!ring.check(44, true, 0));
        assert!(!ring.check(45, true, 0), "the oldest made room");
        assert!(ring.check(47, true, 0));
    }
}
