//! What was there at this time of day, the day before.
//!
//! A ring of a day and an hour in slots of five minutes, each with the mean of its time: 2.4 KB. What is asked for is the
//! mean nearest to a given value within half an hour around the same time yesterday, since a peak that comes twenty minutes
//! later than yesterday is the same peak.

use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 86_400;
/// A slot: seconds.
const SLOT_SECONDS: i64 = 300;
/// How far from the same time yesterday still counts: seconds, either way.
const AROUND_SECONDS: i64 = 1_800;
const SLOTS: usize = ((DAY_SECONDS + 2 * AROUND_SECONDS) / SLOT_SECONDS) as usize;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Day {
    /// Mean of each slot, above `origin`, and of how many.
    slots: Vec<(f32, f32)>,
    /// The newest slot's number: its time over its length.
    newest: Option<i64>,
    /// The first value: values are kept as differences to it, so that small numbers hold them well.
    origin: f64,
}

impl Default for Day {
    fn default() -> Self {
        Self { slots: vec![EMPTY; SLOTS], newest: None, origin: 0.0 }
    }
}

const EMPTY: (f32, f32) = (0.0, 0.0);

impl Day {
    /// Learns a value at a time (Unix seconds). What is older than the ring is not learned.
    pub fn learn(&mut self, time: i64, value: f64) {
        let slot = time.div_euclid(SLOT_SECONDS);
        let Some(newest) = self.newest else {
            self.origin = value;
            self.newest = Some(slot);
            self.put(slot, value);
            return;
        };
        if slot > newest {
            // What lies between has no values.
            let skipped = slot.saturating_sub(newest).min(SLOTS as i64);
            for back in 0..skipped {
                self.slots[(slot - back).rem_euclid(SLOTS as i64) as usize] = EMPTY;
            }
            self.newest = Some(slot);
        } else if newest - slot >= SLOTS as i64 {
            return;
        }
        self.put(slot, value);
    }

    /// The mean nearest to `value` of those around this time yesterday; nothing where there were none.
    pub fn nearest(&self, time: i64, value: f64) -> Option<f64> {
        let newest = self.newest?;
        let from = time.saturating_sub(DAY_SECONDS + AROUND_SECONDS).div_euclid(SLOT_SECONDS);
        let to = time.saturating_sub(DAY_SECONDS - AROUND_SECONDS).div_euclid(SLOT_SECONDS);
        let x = (value - self.origin) as f32;
        let mut best: Option<f32> = None;
        for slot in from.max(newest - SLOTS as i64 + 1)..=to.min(newest) {
            let (mean, count) = self.slots[slot.rem_euclid(SLOTS as i64) as usize];
            if count > 0.0 && best.is_none_or(|best| (mean - x).abs() < (best - x).abs()) {
                best = Some(mean);
            }
        }
        // What is met but for rounding is met.
        best.map(|mean| if mean == x { value } else { f64::from(mean) + self.origin })
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(f32, f32)>()
    }

    fn put(&mut self, slot: i64, value: f64) {
        let x = (value - self.origin) as f32;
        let (mean, count) = &mut self.slots[slot.rem_euclid(SLOTS as i64) as usize];
        *count += 1.0;
        *mean += (x - *mean) / *count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterday_is_known_around_the_same_time() {
        let mut day = Day::default();
        for minute in 0..1_440i64 {
            // A peak of an hour at noon.
            let value = if (720..780).contains(&minute) { 100.0 } else { 10.0 };
            // Half an hour before its end the day before has begun.
            assert!(minute >= 1_410 || day.nearest(minute * 60, value).is_none(), "{minute}");
            day.learn(minute * 60, value);
        }
        let at = |minute: i64| DAY_SECONDS + minute * 60;
        day.learn(at(0), 10.0);
        let near = |minute, value| day.nearest(at(minute), value);
        assert_eq!(near(0, 11.0), Some(10.0));
        assert_eq!(near(750, 97.0), Some(100.0));
        assert_eq!(near(700, 97.0), Some(100.0));
        assert_eq!(near(650, 97.0), Some(10.0));
        assert_eq!(near(12 * 1_440, 97.0), None);
    }

    #[test]
    fn gaps_and_clocks_that_go_back_do_no_harm() {
        let mut day = Day::default();
        for time in [0, 300, i64::MAX / 4, 600, i64::MIN / 4, i64::MAX / 4 + 300] {
            day.learn(time, 5.0);
            day.nearest(time, 5.0);
        }
        assert_eq!(day.nearest(86_400, 5.0), None);
    }
}
