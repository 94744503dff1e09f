//! One series: what is typical, and how rarely chance does as much. A first engine: level and spread by moving averages, a
//! normal tail on a scale where counts and latencies have even spread.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// On which side of typical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    High,
    Low,
}

/// What a series counts or measures; it decides the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Count,
    Continuous,
    Plain,
}

/// What a value was found to be.
#[derive(Debug, Clone, Copy)]
pub struct Scored {
    /// Chance does as much in one bucket with this probability.
    pub p: f64,
    pub typical: f64,
    pub low: f64,
    pub high: f64,
    pub direction: Direction,
}

/// One series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    kind: Kind,
    seen: f64,
    level: f64,
    variance: f64,
    /// Buckets in a row without anything.
    zeros: f64,
}

/// Buckets over which level and spread are averaged.
const MEMORY: f64 = 64.0;
/// A step further than this many spreads is learned as if it were this far.
const STEP_MAX: f64 = 4.0;

impl Series {
    pub fn new(kind: Kind, _bucket_seconds: u32) -> Self {
        Self { kind, seen: 0.0, level: 0.0, variance: 0.0, zeros: 0.0 }
    }

    /// Scores a value without learning it.
    pub fn peek(&self, _start: i64, value: f64) -> Scored {
        let spread = self.spread();
        let z = (self.scaled(value) - self.level) / spread;
        let one_sided = Normal::standard().sf(z.abs() * 0.8);
        let mut p = if self.seen < 10.0 { 1.0 } else { (2.0 * one_sided).clamp(1e-300, 1.0) };
        if z < 0.0 && value == 0.0 {
            p = p.powf(1.0 + self.zeros);
        }
        Scored {
            p,
            typical: self.unscaled(self.level),
            low: self.unscaled(self.level - 3.0 * spread),
            high: self.unscaled(self.level + 3.0 * spread),
            direction: if z >= 0.0 { Direction::High } else { Direction::Low },
        }
    }

    /// Scores a value, then learns it.
    pub fn push(&mut self, start: i64, value: f64) -> Scored {
        let scored = self.peek(start, value);
        self.seen += 1.0;
        let rate = (1.0 / self.seen).max(1.0 / MEMORY);
        let reach = if self.seen > 10.0 { STEP_MAX * self.spread() } else { f64::MAX };
        let step = (self.scaled(value) - self.level).clamp(-reach, reach);
        self.level += rate * step;
        self.variance += rate * (step * step - self.variance);
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

    fn spread(&self) -> f64 {
        let least = match self.kind {
            Kind::Count => 0.5,
            Kind::Continuous => 0.03,
            Kind::Plain => 1e-9,
        };
        (self.variance.sqrt() * 1.3).max(least)
    }

    fn scaled(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Count => (value + 0.375).max(0.0).sqrt(),
            Kind::Continuous => value.max(0.0).ln_1p(),
            Kind::Plain => value,
        }
    }

    fn unscaled(&self, value: f64) -> f64 {
        match self.kind {
            Kind::Count => (value.max(0.0).powi(2) - 0.375).max(0.0),
            Kind::Continuous => (value.exp() - 1.0).max(0.0),
            Kind::Plain => value,
        }
    }
}
