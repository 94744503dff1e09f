//! How strange a bucket of any series is, with no idea of what it measures.
//!
//! Five distances, each O(1), each made a probability by its own [`Tail`], so that nothing is assumed of the distribution:
//!
//! - *value*: to the nearest value ever seen ([`Novelty`]);
//! - *creep*: the same for the average of 48 buckets, which finds what is slow;
//! - *unrest*: the same for the spread of two dozen buckets, which finds what is suddenly calm or wild;
//! - *yesterday*: to the nearest value around this time the day before ([`Day`]), over 6 buckets;
//! - *low*: below the median, in spreads.
//!
//! Strength = (mean of v⁴)^¼ over the five, v = −log₁₀ p less [`ORDINARY`], at most [`STRONGEST`]: near to the largest, and more
//! where several agree. What the parts are worth, alone and together, stands in BENCHMARKS.md. 8 KB a series.

use serde::{Deserialize, Serialize};

use super::day::Day;
use super::novelty::Novelty;
use super::tail::Tail;

/// Buckets before anything is strange.
const WARM_UP: f64 = 50.0;
/// −log10 of the probability up to which a distance is nothing: one in five.
const ORDINARY: f64 = 0.7;
/// −log10 of the probability from which on all are alike: a tail is not known better than that.
const STRONGEST: f64 = 4.0;
/// Buckets averaged: of the slow average, of the quick one that the spread is around, of the spread, of yesterday.
const CREEP: f64 = 48.0;
const QUICK: f64 = 12.0;
const UNREST: f64 = 24.0;
const YESTERDAY: f64 = 6.0;
/// Buckets over which the median and the spread around it are averaged.
const MEDIAN: f64 = 1_000.0;
/// Buckets of the level that stands in for yesterday on the first day.
const LEVEL: f64 = 64.0;

const PARTS: usize = 5;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shape {
    seen: f64,
    origin: f64,
    level: f64,
    median: f64,
    spread: f64,
    quick: f64,
    creep: f64,
    unrest: f64,
    apart: f64,
    values: Novelty,
    creeps: Novelty,
    unrests: Novelty,
    tails: [Tail; PARTS],
}

impl Shape {
    /// The strength of a value, 0 to 1, which is learned then. `day` is what was there before it. The value is finite.
    pub fn push(&mut self, time: i64, value: f64, day: &Day) -> f64 {
        if self.seen == 0.0 {
            self.origin = value;
        }
        // All else is measured from the first value, so that what is far from 0 is as exact as what is near.
        let x = value - self.origin;
        self.seen += 1.0;
        let yesterday = day.nearest(time, value).map_or(self.level, |near| near - self.origin);
        toward(&mut self.apart, (x - yesterday).abs(), 1.0 / YESTERDAY);
        toward(&mut self.quick, x, 1.0 / QUICK.min(self.seen));
        toward(&mut self.creep, x, 1.0 / CREEP.min(self.seen));
        toward(&mut self.unrest, (x - self.quick).powi(2), 1.0 / UNREST);
        // A spread that is nothing beside the value is rounding.
        let unrest = (self.unrest + 1e-9 * (1.0 + x * x)).sqrt();
        let below = ((self.median - x) / self.spread.max(1e-9)).max(0.0);
        let distances = [
            self.values.learn(x as f32),
            self.creeps.learn(self.creep as f32),
            self.unrests.learn(unrest as f32),
            self.apart,
            below,
        ];
        let mut sum = 0.0;
        for (tail, distance) in self.tails.iter_mut().zip(distances) {
            if self.seen > WARM_UP {
                let v = (-tail.p(distance).log10()).min(STRONGEST) - ORDINARY;
                sum += v.max(0.0).powi(4);
            }
            tail.learn(distance, 1.0);
        }
        self.learn(x);
        (sum / PARTS as f64).sqrt().sqrt() / (STRONGEST - ORDINARY)
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        let tails: usize = self.tails.iter().map(Tail::bytes).sum();
        let seen = [&self.values, &self.creeps, &self.unrests].map(Novelty::bytes).iter().sum::<usize>();
        tails + seen
    }

    fn learn(&mut self, x: f64) {
        toward(&mut self.level, x, 1.0 / LEVEL.min(self.seen));
        let rate = 1.0 / MEDIAN.min(self.seen);
        // A step of one spread at most: what is far off says only on which side it is.
        self.median += 2.0 * rate * (x - self.median).clamp(-self.spread, self.spread);
        let off = (x - self.median).abs();
        self.spread = if self.seen <= 2.0 { off } else { self.spread + rate * (off - self.spread) };
    }
}

fn toward(average: &mut f64, x: f64, rate: f64) {
    *average += rate * (x - *average);
}
