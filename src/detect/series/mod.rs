//! One series: what is typical, and how rarely chance does as much.
//!
//! Counts are negative binomial: Poisson around a level that is itself uncertain and varies more than chance by what was
//! seen (moments; Gamma-Poisson). Sizes and latencies are normal on a logarithmic scale, anything else as it is. The level is a
//! moving average; a bucket that is far off moves it little, unless so many in a row are off that this is the level
//! now: a shift is told once, then adopted. Empty buckets of a count multiply up, so silence is told when it is due.

mod day;
mod gate;
mod novelty;
mod shape;
mod single;
mod tail;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, DiscreteCDF, NegativeBinomial, Normal};

pub use single::Single;

/// On which side of typical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    High,
    Low,
}

/// What a series counts or measures; it decides the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Count,
    /// Positive, and twice as much is as far as half as much: a latency, a size.
    Continuous,
    Plain,
}

/// What a value was found to be.
#[derive(Debug, Clone, Copy)]
pub struct Scored {
    /// Chance does as much in one bucket with this probability, on either side.
    pub p: f64,
    pub typical: f64,
    /// What 997 of 1,000 buckets would be between.
    pub low: f64,
    pub high: f64,
    pub direction: Direction,
}

/// One series; some 60 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    kind: Kind,
    /// Buckets learned.
    seen: f64,
    level: f64,
    variance: f64,
    /// Empty buckets in a row.
    zeros: f64,
    /// Buckets in a row on one side of the level and out of the ordinary: positive above, negative below.
    side: f64,
}

/// Buckets over which the level of what is measured is averaged; of a count at least, and at most while it is rare.
const MEMORY: f64 = 64.0;
const COUNT_MEMORY_MIN: f64 = 48.0;
const COUNT_MEMORY_MAX: f64 = 720.0;
/// A count's level should rest on so many sightings.
const SIGHTINGS: f64 = 120.0;
/// A step further than this many spreads is learned as if it were this far.
const STEP_MAX: f64 = 4.0;
/// Before so many buckets nothing is out of the ordinary.
const SEEN_MIN: f64 = 12.0;
/// So many buckets in a row on one side are a new level, learned that fast.
const SHIFT_BUCKETS: f64 = 15.0;
const SHIFT_MEMORY: f64 = 6.0;
/// Off the level by chance less often than this is off.
const OFF: f64 = 0.02;
/// Larger values are taken for this.
const LARGEST: f64 = 1e15;
/// Spreads are known only about: the tail is that of a spread so much wider.
const TAIL_WIDENING: f64 = 1.25;
const SPREAD_WIDENING: f64 = 1.3;

impl Series {
    pub fn new(kind: Kind, _bucket_seconds: u32) -> Self {
        Self { kind, seen: 0.0, level: 0.0, variance: 0.0, zeros: 0.0, side: 0.0 }
    }

    /// Scores a value without learning it.
    pub fn peek(&self, _start: i64, value: f64) -> Scored {
        let value = self.sane(value);
        let y = self.scaled(value);
        let direction = if y >= self.level { Direction::High } else { Direction::Low };
        let spread = self.spread();
        let one_sided = match self.kind {
            Kind::Count => self.count_tail(value),
            Kind::Continuous | Kind::Plain => {
                Normal::standard().sf((y - self.level).abs() / (spread * TAIL_WIDENING * SPREAD_WIDENING))
            }
        };
        let mut p = (2.0 * one_sided).clamp(1e-300, 1.0);
        if self.kind == Kind::Count && value == 0.0 && direction == Direction::Low {
            p = p.powf(1.0 + self.zeros).max(1e-300);
        }
        if self.seen < SEEN_MIN {
            p = 1.0;
        }
        Scored {
            p,
            typical: self.unscaled(self.level),
            low: self.unscaled(self.level - 3.0 * spread * SPREAD_WIDENING),
            high: self.unscaled(self.level + 3.0 * spread * SPREAD_WIDENING),
            direction,
        }
    }

    /// Scores a value, then learns it. What is not finite is not learned.
    pub fn push(&mut self, start: i64, value: f64) -> Scored {
        let value = self.sane(value);
        let scored = self.peek(start, value);
        self.seen += 1.0;
        let sign = if scored.direction == Direction::High { 1.0 } else { -1.0 };
        self.side = if scored.p < OFF && self.seen > SEEN_MIN {
            if self.side * sign > 0.0 { self.side + sign } else { sign }
        } else {
            0.0
        };
        let shifted = self.side.abs() >= SHIFT_BUCKETS;
        let memory = if shifted { SHIFT_MEMORY } else { self.memory() };
        let rate = (1.0 / self.seen).max(1.0 / memory);
        let spread = self.spread();
        let reach = if self.seen > SEEN_MIN && !shifted { STEP_MAX * spread } else { f64::MAX };
        let step = (self.scaled(value) - self.level).clamp(-reach, reach);
        self.level += rate * step;
        // What lies between old and new level is no spread.
        let squared = if shifted { (step * step).min(spread * spread) } else { step * step };
        self.variance += rate * (squared - self.variance);
        self.zeros = if value == 0.0 { self.zeros + 1.0 } else { 0.0 };
        scored
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        // Writing plain numbers to memory does not fail.
        out.extend(postcard::to_stdvec(self).unwrap_or_default());
    }

    pub fn load(bytes: &mut &[u8]) -> Result<Self, postcard::Error> {
        let (series, rest) = postcard::take_from_bytes(bytes)?;
        *bytes = rest;
        Ok(series)
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>()
    }

    /// The probability of at least, or at most, so many.
    fn count_tail(&self, value: f64) -> f64 {
        let memory = self.memory().min(self.seen.max(1.0));
        // Half a sighting more: what was never seen may come.
        let mean = (self.level * memory + 0.5) / memory;
        // The level is as uncertain as that many sightings leave it, and varies by itself.
        let uncertain = self.level * memory + 0.5;
        let excess = self.variance - mean;
        let varying = if excess > 0.0 { mean * mean / excess } else { f64::INFINITY };
        let shape = (1.0 / (1.0 / uncertain + 1.0 / varying)).clamp(1e-3, 1e7);
        let Ok(model) = NegativeBinomial::new(shape, shape / (shape + mean)) else { return 1.0 };
        let count = value.max(0.0).round() as u64;
        if value >= self.level { if count == 0 { 1.0 } else { model.sf(count - 1) } } else { model.cdf(count) }
    }

    /// What is no number is typical; what is too large to be squared is only very large.
    fn sane(&self, value: f64) -> f64 {
        if value.is_finite() { value.clamp(-LARGEST, LARGEST) } else { self.unscaled(self.level) }
    }

    fn memory(&self) -> f64 {
        match self.kind {
            Kind::Count => (SIGHTINGS / self.level.max(1e-3)).clamp(COUNT_MEMORY_MIN, COUNT_MEMORY_MAX),
            Kind::Continuous | Kind::Plain => MEMORY,
        }
    }

    fn spread(&self) -> f64 {
        let least = match self.kind {
            Kind::Count => (self.level + 0.25).sqrt(),
            Kind::Continuous => 0.03,
            Kind::Plain => 1e-9,
        };
        self.variance.sqrt().max(least)
    }

    fn scaled(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Continuous => value.max(0.0).ln_1p(),
            Kind::Count | Kind::Plain => value,
        }
    }

    fn unscaled(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Count => value.max(0.0),
            Kind::Continuous => value.exp_m1().max(0.0),
            Kind::Plain => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::Random;

    /// A Poisson draw (Knuth).
    fn poisson(random: &mut Random, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), random.unit(), 0.0);
        while product > limit {
            product *= random.unit();
            count += 1.0;
        }
        count
    }

    #[test]
    fn chance_is_out_of_the_ordinary_as_rarely_as_it_says() {
        for (name, kind, mean) in [
            ("rare", Kind::Count, 0.05),
            ("few", Kind::Count, 1.0),
            ("some", Kind::Count, 12.0),
            ("many", Kind::Count, 200.0),
            ("latency", Kind::Continuous, 0.0),
        ] {
            let mut random = Random::new(7);
            let (mut below_3, mut below_5) = (0u32, 0u32);
            let mut buckets = 0u32;
            for _ in 0..20 {
                let mut series = Series::new(kind, 60);
                for at in 0..5_000i64 {
                    let value = match kind {
                        Kind::Count => poisson(&mut random, mean),
                        _ => random.log_normal(20.0, 0.3),
                    };
                    let p = series.push(at * 60, value).p;
                    buckets += 1;
                    below_3 += u32::from(p < 1e-3);
                    below_5 += u32::from(p < 1e-5);
                }
            }
            println!("{name}: {below_3} of {buckets} below 1e-3, {below_5} below 1e-5");
            // Twice what it says, and the noise of counting.
            assert!(below_3 <= buckets / 500 && below_5 <= 5, "{name}: {below_3} {below_5}");
        }
    }

    #[test]
    fn a_burst_of_what_is_rare_is_out_of_the_ordinary_and_a_shift_is_adopted() {
        let mut random = Random::new(3);
        let mut series = Series::new(Kind::Count, 60);
        for at in 0..300 {
            series.push(at * 60, poisson(&mut random, 1.2));
        }
        assert!(series.peek(0, 14.0).p < 1e-7, "{:?}", series.peek(0, 14.0));
        assert!(series.peek(0, 4.0).p > 1e-3);
        // The new level is told for a while, then it is the level.
        let off = (0..120).filter(|at| series.push(18_000 + at * 60, poisson(&mut random, 30.0)).p < 1e-6).count();
        assert!((5..=45).contains(&off), "{off} buckets told");
        assert!((20.0..40.0).contains(&series.peek(0, 30.0).typical));
        // Silence adds up.
        let silent: Vec<f64> = (0..4).map(|at| series.push(90_000 + at * 60, 0.0).p).collect();
        assert!(silent[1] < silent[0] && silent[3] < 1e-9, "{silent:?}");
    }

    #[test]
    fn whatever_comes_probabilities_are_probabilities() {
        let mut random = Random::new(9);
        for kind in [Kind::Count, Kind::Continuous, Kind::Plain] {
            let mut series = Series::new(kind, 60);
            for at in 0..3_000i64 {
                let value = match random.below(8) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => -1e300,
                    3 => 1e300,
                    4 => 0.0,
                    _ => random.unit() * 10.0,
                };
                let scored = series.push(at * 60, value);
                assert!((0.0..=1.0).contains(&scored.p) && !scored.typical.is_nan(), "{kind:?} {value} {scored:?}");
            }
        }
    }
}
