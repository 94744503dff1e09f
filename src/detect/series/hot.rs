//! What a series gets to know once it has some history: the day before, and how often its model cries wolf.

use serde::{Deserialize, Serialize};

use super::day::Day;

/// Buckets from which on a series has it: one that comes and goes never takes the memory.
pub const HOT_BUCKETS: f64 = 100.0;
/// −log10 of the model's probabilities at which it is counted how often they come.
const LEVELS: [f64; 14] = [2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0];
/// A run of them counts once: buckets until the next is another. So an incident, however long, is one.
const RUN_BUCKETS: u32 = 15;
/// A run of more buckets than this is an incident rather than a model that is wrong about single values, and weighs a third.
const RUN_SHORT: u32 = 3;
const SHORT_WEIGHT: u32 = 3;
/// So many short ones say that the model is wrong, and not that something happened;
const TIMES_MIN: u32 = 4;
/// if they come so many times as often as the model has it.
const TIMES_OFTEN: f64 = 2.0;
/// Buckets after which what was counted counts half: four weeks of minutes.
const HALF_BUCKETS: u32 = 40_320;

/// 2.5 KB.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hot {
    pub day: Day,
    seen: u32,
    times: [Times; LEVELS.len()],
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Times {
    /// Runs that are over, by weight.
    count: u32,
    /// Buckets of the one that goes on.
    run: u32,
    /// Buckets for which another is the same.
    wait: u32,
}

impl Hot {
    /// A model's probability, mended by how often it said so before: where values stray further than the model has it (heavy
    /// tails, jobs once an hour), what it calls rare is as rare as it was, and beyond that rarer with the distance.
    pub fn mended(&self, p: f64) -> f64 {
        let strange = -p.log10();
        let mut mended = p;
        for (level, times) in LEVELS.iter().zip(&self.times) {
            let rate = f64::from(times.count) / f64::from(SHORT_WEIGHT * self.seen.max(1));
            if times.count >= SHORT_WEIGHT * TIMES_MIN && rate > TIMES_OFTEN * 10f64.powf(-level) && strange >= *level {
                // By the distance, which the logarithm of a normal tail is about the square of.
                mended = mended.max(rate.powf((strange / level).sqrt()));
            }
        }
        mended
    }

    /// Learns a model's probability.
    pub fn learn(&mut self, p: f64) {
        let strange = -p.log10();
        self.seen += 1;
        for (level, times) in LEVELS.iter().zip(&mut self.times) {
            if strange >= *level {
                times.run += 1;
                times.wait = RUN_BUCKETS;
            } else if times.run > 0 {
                times.wait -= 1;
                if times.wait == 0 {
                    times.count += if times.run > RUN_SHORT { 1 } else { SHORT_WEIGHT };
                    times.run = 0;
                }
            }
        }
        if self.seen >= 2 * HALF_BUCKETS {
            self.seen /= 2;
            self.times.iter_mut().for_each(|times| times.count /= 2);
        }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.day.bytes()
    }
}
