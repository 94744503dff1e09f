//! One series: what is typical, and how rarely chance does as much.
//!
//! Counts are negative binomial: Poisson around a level that is itself uncertain and varies more than chance by what was
//! seen (moments; Gamma-Poisson). Sizes and latencies are normal on a logarithmic scale, anything else as it is. The level is a
//! moving average; a bucket that is far off moves it little, unless so many in a row are off that this is the level
//! now: a shift is told once, then adopted. Empty buckets of a count multiply up, so silence is told when it is due.
//!
//! With some history a series gets to know the day before (what was there at this time yesterday is no news) and its
//! own ways (a model that cries too often is believed less): `hot`. `single` is a series alone, of any kind, by the same parts.

mod day;
mod gate;
mod hot;
mod novelty;
mod shape;
mod single;
mod tail;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, DiscreteCDF, NegativeBinomial, Normal};

use hot::{HOT_BUCKETS, Hot};

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

/// One series; some 70 bytes, 3 KB more from [`HOT_BUCKETS`] on.
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
    hot: Option<Box<Hot>>,
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
/// A count's own variation is not said to be wider than a Gamma's with this shape: else one burst of what never came before
/// makes the next one ordinary. Where bursts are its way, `hot` finds out.
const VARYING_MIN: f64 = 0.25;
/// Buckets behind what is known of yesterday: a slot's minutes.
const DAY_BUCKETS: f64 = 5.0;
/// The least that a probability is said to be.
const P_LEAST: f64 = 1e-300;
/// Larger values are taken for this.
const LARGEST: f64 = 1e15;
/// Spreads are known only about: the tail is that of a spread so much wider.
const TAIL_WIDENING: f64 = 1.25;
const SPREAD_WIDENING: f64 = 1.3;

impl Series {
    pub fn new(kind: Kind, _bucket_seconds: u32) -> Self {
        Self { kind, seen: 0.0, level: 0.0, variance: 0.0, zeros: 0.0, side: 0.0, hot: None }
    }

    /// Scores a value without learning it, in the bucket that begins at `start` (Unix seconds).
    pub fn peek(&self, start: i64, value: f64) -> Scored {
        let p = self.model_p(start, value);
        let p = match &self.hot {
            // Silence is as rare as it is: that it was rare so far does not speak against it.
            Some(hot) if value != 0.0 || self.kind != Kind::Count => hot.mended(p),
            _ => p,
        };
        self.scored(value, p)
    }

    /// By the level, and by what was there yesterday.
    fn model_p(&self, start: i64, value: f64) -> f64 {
        if self.seen < SEEN_MIN {
            return 1.0;
        }
        let value = self.sane(value);
        let mut p = self.p(value, self.level, self.memory().min(self.seen.max(1.0)));
        if self.kind == Kind::Count && value == 0.0 {
            p = p.powf(1.0 + self.zeros).max(P_LEAST);
        }
        let Some(hot) = self.hot.as_ref().filter(|_| p < OFF) else { return p };
        let y = self.scaled(value);
        let Some(near) = hot.day.nearest(start, y) else { return p };
        let between = (y - self.level) * (y - near) <= 0.0;
        if between { 1.0 } else { p.max(self.p(value, near, DAY_BUCKETS)) }
    }

    /// On either side of a centre (scaled) that rests on so many buckets.
    fn p(&self, value: f64, centre: f64, buckets: f64) -> f64 {
        let one_sided = match self.kind {
            Kind::Count => self.count_tail(value, centre, buckets),
            Kind::Continuous | Kind::Plain => {
                let apart = (self.scaled(value) - centre).abs();
                Normal::standard().sf(apart / (self.spread() * TAIL_WIDENING * SPREAD_WIDENING))
            }
        };
        (2.0 * one_sided).clamp(P_LEAST, 1.0)
    }

    fn scored(&self, value: f64, p: f64) -> Scored {
        let reach = 3.0 * self.spread() * SPREAD_WIDENING;
        let high = self.scaled(self.sane(value)) >= self.level;
        Scored {
            p,
            typical: self.unscaled(self.level),
            low: self.unscaled(self.level - reach),
            high: self.unscaled(self.level + reach),
            direction: if high { Direction::High } else { Direction::Low },
        }
    }

    /// Scores a value, then learns it. What is not finite is not learned.
    pub fn push(&mut self, start: i64, value: f64) -> Scored {
        let value = self.sane(value);
        let p = self.model_p(start, value);
        let scored = self.peek(start, value);
        self.seen += 1.0;
        self.learn_hot(start, value, p);
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
        // The first value is where the level begins, and says nothing of the spread.
        let first = self.seen == 1.0;
        self.level += rate * step;
        // What lies between old and new level is no spread.
        let squared = match (first, shifted) {
            (true, _) => 0.0,
            (_, true) => (step * step).min(spread * spread),
            _ => step * step,
        };
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
        size_of::<Self>() + self.hot.as_ref().map_or(0, |hot| hot.bytes())
    }

    fn learn_hot(&mut self, start: i64, value: f64, p: f64) {
        let y = self.scaled(value);
        if self.seen >= HOT_BUCKETS {
            let hot = self.hot.get_or_insert_default();
            hot.day.learn(start, y);
            hot.learn(p);
        }
    }

    /// The probability of at least, or at most, so many where `level` are typical, which rests on so many buckets.
    fn count_tail(&self, value: f64, level: f64, buckets: f64) -> f64 {
        // Half a sighting more: what was never seen may come.
        let mean = (level * buckets + 0.5) / buckets;
        // The level is as uncertain as that many sightings leave it, and varies by itself.
        let uncertain = level * buckets + 0.5;
        let usual = self.level + 0.5 / self.memory();
        let excess = self.variance - usual;
        let varying = if excess > 0.0 { (usual * usual / excess).max(VARYING_MIN) } else { f64::INFINITY };
        let shape = (1.0 / (1.0 / uncertain + 1.0 / varying)).clamp(1e-3, 1e7);
        let Ok(model) = NegativeBinomial::new(shape, shape / (shape + mean)) else { return 1.0 };
        let count = value.max(0.0).round() as u64;
        if value >= level { if count == 0 { 1.0 } else { model.sf(count - 1) } } else { model.cdf(count) }
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
mod tests;
