//! The values of one categorical field: how often each comes, which is new, and how often new ones come at all.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

/// Values kept of one field. When there are more, the half seen least is forgotten.
pub const VALUES_MAX: usize = 512;
/// A shown value is cut to this: bytes.
const SHOWN_BYTES_MAX: usize = 96;
/// What counts are multiplied by at each bucket: half is forgotten in about a day of minutes.
const DECAY: f64 = 0.9995;
/// Powers of two of how many lines new values have brought in their first bucket.
const FIRST_CLASSES: usize = 16;

/// One value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub hash: u64,
    pub shown: Box<str>,
    /// Sightings, decayed: the mix.
    pub weight: f64,
    /// Sightings.
    pub seen: u64,
    /// Buckets it was in.
    pub buckets: u32,
    /// Start of the first and of the last of them: Unix seconds.
    pub first: i64,
    pub last: i64,
}

/// What is already a hash is not hashed again.
#[derive(Default)]
pub struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        // hashbrown takes its tag from the high bits, which a number's own bits leave alike.
        self.0 = n ^ (n >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Slots = HashMap<u64, u32, BuildHasherDefault<Plain>>;

/// All values of one field in one service.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Values {
    #[serde(skip)]
    slots: Slots,
    pub entries: Vec<Entry>,
    /// Sightings, decayed as the entries' weights.
    pub weight: f64,
    /// Sightings of buckets that are closed.
    pub seen: u64,
    /// Values seen for the first time, and of these, those seen only once so far.
    pub fresh: u64,
    pub single: u64,
    /// Values forgotten for want of room.
    pub forgotten: u64,
    /// New values by the power of two of their lines in their first bucket.
    first_counts: [u32; FIRST_CLASSES],
}

/// One bucket's counts by value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    /// By the entry's place; shorter than the table where later values did not come.
    pub by_slot: Vec<u32>,
    /// Lines whose value found no room.
    pub rest: u32,
    pub total: u32,
}

impl Counts {
    pub fn of(&self, slot: u32) -> u32 {
        self.by_slot.get(slot as usize).copied().unwrap_or(0)
    }

    pub fn bytes(&self) -> usize {
        self.by_slot.capacity() * 4 + size_of::<Self>()
    }
}

impl Values {
    /// After loading: what is not saved because it follows from the rest.
    pub fn restore(&mut self) {
        self.slots = self.entries.iter().enumerate().map(|(at, entry)| (entry.hash, at as u32)).collect();
    }

    /// Counts one sighting in the bucket that starts at `start`. Gives the value's place, none where there is no room.
    #[inline]
    pub fn count(&mut self, counts: &mut Counts, hash: u64, start: i64, shown: impl FnOnce() -> String) -> Option<u32> {
        counts.total += 1;
        let slot = match self.slots.get(&hash) {
            Some(slot) => *slot,
            None if self.entries.len() < VALUES_MAX => {
                let slot = self.entries.len() as u32;
                let mut shown = shown();
                shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
                let (shown, zero) = (shown.into_boxed_str(), 0.0);
                self.entries.push(Entry { hash, shown, weight: zero, seen: 0, buckets: 0, first: start, last: start });
                self.slots.insert(hash, slot);
                slot
            }
            None => {
                counts.rest += 1;
                return None;
            }
        };
        if counts.by_slot.len() <= slot as usize {
            counts.by_slot.resize(slot as usize + 1, 0);
        }
        counts.by_slot[slot as usize] += 1;
        Some(slot)
    }

    pub fn slot(&self, hash: u64) -> Option<u32> {
        self.slots.get(&hash).copied()
    }

    /// The share of a value in the mix so far.
    #[inline]
    pub fn share(&self, slot: u32) -> f64 {
        self.entries.get(slot as usize).map_or(0.0, |entry| entry.weight) / self.weight.max(1.0)
    }

    /// The share of lines whose value is as rare as this one or rarer.
    pub fn as_rare(&self, slot: u32) -> f64 {
        let weight = self.entries.get(slot as usize).map_or(0.0, |entry| entry.weight);
        let rarer: f64 = self.entries.iter().map(|entry| entry.weight).filter(|other| *other <= weight).sum();
        // Half a sighting more, so that what is nearly forgotten is not impossible.
        ((rarer + 0.5) / (self.weight + 0.5)).min(1.0)
    }

    /// Values that are known from closed buckets.
    pub fn known(&self) -> usize {
        self.entries.iter().filter(|entry| entry.seen > 0).count()
    }

    /// Places of the values in these counts that no closed bucket has had, with their lines.
    pub fn new_in<'a>(&'a self, counts: &'a Counts) -> impl Iterator<Item = (u32, u32)> + 'a {
        let pairs = self.entries.iter().zip(&counts.by_slot).enumerate();
        pairs.filter(|(_, (entry, count))| entry.seen == 0 && **count > 0).map(|(at, (_, count))| (at as u32, *count))
    }

    /// The probability that a line brings a value never seen before: Good-Turing's, where half a value more keeps a
    /// field that never had news from saying 0.
    pub fn novelty(&self) -> f64 {
        ((self.single as f64 + 0.5) / (self.seen as f64 + 1.0)).min(1.0)
    }

    /// The probability that a new value brings at least so many lines in its first bucket.
    pub fn first_at_least(&self, count: u32) -> f64 {
        let class = class_of(count);
        let all: u32 = self.first_counts.iter().sum();
        let as_many: u32 = self.first_counts[class..].iter().sum();
        // Before anything is known each doubling is half as likely, as a power law would have it.
        let prior = 0.5f64.powi(class as i32);
        (f64::from(as_many) + 2.0 * prior) / (f64::from(all) + 2.0)
    }

    /// Learns a closed bucket. Then no open bucket's counts may be left behind: see [`Values::make_room`].
    pub fn learn(&mut self, counts: &Counts, start: i64) {
        self.weight *= DECAY;
        for entry in &mut self.entries {
            entry.weight *= DECAY;
        }
        self.weight += f64::from(counts.total);
        for (entry, count) in self.entries.iter_mut().zip(&counts.by_slot).filter(|(_, count)| **count > 0) {
            if entry.seen == 0 {
                self.fresh += 1;
                self.first_counts[class_of(*count)] += 1;
                self.single += u64::from(*count == 1);
            } else if entry.seen == 1 {
                self.single = self.single.saturating_sub(1);
            }
            entry.weight += f64::from(*count);
            entry.seen += u64::from(*count);
            entry.buckets += 1;
            entry.first = entry.first.min(start);
            entry.last = entry.last.max(start);
        }
        self.seen += u64::from(counts.total);
    }

    /// Whether [`Values::make_room`] is due.
    pub fn is_crowded(&self) -> bool {
        self.entries.len() >= VALUES_MAX * 7 / 8
    }

    /// Forgets the half seen least; gives the new place of each old one. Values of open buckets stay.
    pub fn make_room(&mut self, open: &[&Counts]) -> Vec<Option<u32>> {
        let needed = |at: usize| open.iter().any(|counts| counts.of(at as u32) > 0);
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by(|a, b| {
            let (x, y) = (&self.entries[*a], &self.entries[*b]);
            needed(*b).cmp(&needed(*a)).then(y.weight.total_cmp(&x.weight)).then(x.hash.cmp(&y.hash))
        });
        let keep = (self.entries.len() / 2).max(order.iter().take_while(|at| needed(**at)).count()).min(VALUES_MAX - 1);
        let mut moved = vec![None; self.entries.len()];
        let mut kept = Vec::with_capacity(keep);
        order.truncate(keep);
        order.sort_unstable();
        for at in order {
            moved[at] = Some(kept.len() as u32);
            kept.push(self.entries[at].clone());
        }
        self.forgotten += (self.entries.len() - kept.len()) as u64;
        self.entries = kept;
        self.restore();
        moved
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * (size_of::<Entry>() + 32) + self.slots.capacity() * 17 + size_of::<Self>()
    }
}

/// Moves counts to where [`Values::make_room`] put their values.
pub fn move_counts(counts: &mut Counts, moved: &[Option<u32>]) {
    let old = std::mem::take(&mut counts.by_slot);
    for (at, count) in old.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        match moved.get(at).copied().flatten() {
            Some(slot) => {
                if counts.by_slot.len() <= slot as usize {
                    counts.by_slot.resize(slot as usize + 1, 0);
                }
                counts.by_slot[slot as usize] = count;
            }
            None => counts.rest += count,
        }
    }
}

fn class_of(count: u32) -> usize {
    (count.max(1).ilog2() as usize).min(FIRST_CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(values: &mut Values, start: i64, sightings: impl Iterator<Item = u64>) -> Counts {
        let mut counts = Counts::default();
        for hash in sightings {
            values.count(&mut counts, hash, start, || hash.to_string());
        }
        counts
    }

    #[test]
    fn news_is_news_where_there_is_none() {
        let (mut quiet, mut busy) = (Values::default(), Values::default());
        for minute in 0..200 {
            let counts = bucket(&mut quiet, minute * 60, (0..100).map(|n| n % 5));
            quiet.learn(&counts, minute * 60);
            let counts = bucket(
                &mut busy,
                minute * 60,
                (0..100).map(|n| if n < 20 { 1_000 + minute as u64 * 100 + n } else { n % 5 }),
            );
            busy.learn(&counts, minute * 60);
            if busy.is_crowded() {
                busy.make_room(&[]);
            }
        }
        assert!(quiet.novelty() < 1e-4 && busy.novelty() > 0.1, "{} {}", quiet.novelty(), busy.novelty());
        // A new value that comes once is what they always do; one that comes 64 times is not.
        assert!(busy.first_at_least(1) > 0.9 && busy.first_at_least(64) < 0.01);
        let counts = bucket(&mut quiet, 99_000, [0, 77, 77].into_iter());
        assert_eq!(
            quiet.new_in(&counts).map(|(slot, n)| (quiet.entries[slot as usize].hash, n)).collect::<Vec<_>>(),
            [(77, 2)]
        );
    }

    #[test]
    fn a_million_values_take_bounded_room_and_leave_the_frequent_ones() {
        let mut values = Values::default();
        for minute in 0..1_000i64 {
            let mut counts = bucket(
                &mut values,
                minute * 60,
                (0..1_000).map(|n| if n % 2 == 0 { 7 } else { minute as u64 * 1_000 + n }),
            );
            values.learn(&counts, minute * 60);
            if values.is_crowded() {
                let moved = values.make_room(&[&counts]);
                move_counts(&mut counts, &moved);
                assert_eq!(counts.by_slot.iter().sum::<u32>() + counts.rest, 1_000);
            }
        }
        assert!(values.entries.len() <= VALUES_MAX && values.bytes() < 256 << 10, "{}", values.bytes());
        let slot = values.slot(7).unwrap();
        assert!((values.share(slot) - 0.5).abs() < 0.01);
    }
}
