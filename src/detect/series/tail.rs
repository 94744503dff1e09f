//! How rarely a series does as much by itself, whatever its distribution: a histogram and a fitted tail.
//!
//! Distances are counted in bins of equal ratio. Up to the upper tenth their share is the probability; beyond it a generalised
//! Pareto tail by moments, `p = Nt/N × (1 + ξ (x − t)/σ)^(−1/ξ)` (peaks over threshold; Siffer et al., "Anomaly detection
//! in streams with extreme value theory", KDD 2017). 0.7 KB; learning is O(1), asking O(bins).

use serde::{Deserialize, Serialize};

/// Bins an octave: a ninth more each.
const PER_OCTAVE: f64 = 8.0;
/// Twenty octaves below the largest; what is smaller is in the lowest.
const BINS: usize = 160;
/// The part of all that makes the tail.
const UPPER: f64 = 0.1;
/// Heavier tails than this (of infinite variance) are not believed.
const SHAPE_MAX: f64 = 0.5;
/// Fewer say nothing.
const SEEN_MIN: f64 = 8.0;
/// The fit is made anew when so much more was seen.
const REFIT: f64 = 1.05;
/// Distances below this are none.
const LEAST: f64 = 1e-12;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tail {
    bins: Vec<f32>,
    /// What the highest bin stands for: log2 of its lower edge, times [`PER_OCTAVE`]. Nothing before any distance.
    top: Option<i32>,
    seen: f64,
    refit_at: f64,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Fit {
    threshold: f64,
    /// How much lies beyond the threshold.
    beyond: f64,
    shape: f64,
    scale: f64,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bins: vec![0.0; BINS], top: None, seen: 0.0, refit_at: 0.0, fit: Fit::default() }
    }
}

impl Tail {
    /// The probability of a distance (0 or more) at least as large.
    pub fn p(&self, distance: f64) -> f64 {
        let (Some(_), true) = (self.top, self.seen >= SEEN_MIN) else { return 1.0 };
        let Fit { threshold, beyond, shape, scale } = self.fit;
        if distance > threshold && beyond > 0.0 {
            let over = (distance - threshold) / scale;
            let part = if shape < 1e-6 { (-over).exp() } else { (1.0 + shape * over).powf(-1.0 / shape) };
            return (beyond / self.seen * part).clamp(1e-30, 1.0);
        }
        let Some(at) = self.place(distance) else { return 1.0 };
        let above: f32 = self.bins[at..].iter().sum();
        (f64::from(above) / self.seen).clamp(1e-9, 1.0)
    }

    /// Learns a distance with a weight.
    pub fn learn(&mut self, distance: f64, weight: f64) {
        if let Some(bin) = bin(distance) {
            match self.top {
                Some(top) if bin > top => self.raise((bin - top) as usize),
                _ => {}
            }
            self.top = Some(self.top.map_or(bin, |top| top.max(bin)));
        }
        let at = self.place(distance).unwrap_or(0);
        self.bins[at] += weight as f32;
        self.seen += weight;
        if self.seen >= self.refit_at {
            self.refit_at = self.seen * REFIT + 1.0;
            self.refit();
        }
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        self.bins.capacity() * size_of::<f32>()
    }

    /// A larger one came: bins move down, and what falls off is in the lowest.
    fn raise(&mut self, by: usize) {
        let by = by.min(BINS - 1);
        let lowest: f32 = self.bins[..=by].iter().sum();
        self.bins.copy_within(by.., 0);
        self.bins[BINS - by..].fill(0.0);
        self.bins[0] = lowest;
    }

    fn place(&self, distance: f64) -> Option<usize> {
        let (bin, top) = (bin(distance)?, self.top?);
        Some((BINS as i64 - 1 - (i64::from(top) - i64::from(bin))).clamp(0, BINS as i64 - 1) as usize)
    }

    fn edge(&self, at: usize) -> f64 {
        let bin = f64::from(self.top.unwrap_or(0)) - (BINS - 1 - at) as f64;
        (bin / PER_OCTAVE).exp2()
    }

    fn refit(&mut self) {
        let (mut at, mut above) = (BINS, 0.0);
        while at > 1 && above < self.seen * UPPER {
            at -= 1;
            above += f64::from(self.bins[at]);
        }
        let threshold = self.edge(at);
        let (mut sum, mut squares, mut beyond) = (0.0, 0.0, 0.0);
        let middle = (0.5 / PER_OCTAVE).exp2();
        for (place, count) in self.bins.iter().enumerate().skip(at).filter(|(_, count)| **count > 0.0) {
            let over = self.edge(place) * middle - threshold;
            sum += f64::from(*count) * over;
            squares += f64::from(*count) * over * over;
            beyond += f64::from(*count);
        }
        self.fit = if beyond > 0.0 {
            let mean = sum / beyond;
            let variance = (squares / beyond - mean * mean).max(mean * mean * 1e-3);
            let shape = (0.5 * (1.0 - mean * mean / variance)).clamp(0.0, SHAPE_MAX);
            let scale = (mean * (1.0 - shape)).max(threshold * 1e-3).max(LEAST);
            Fit { threshold, beyond, shape, scale }
        } else {
            Fit { threshold, beyond: 0.0, shape: 0.0, scale: 1.0 }
        };
    }
}

fn bin(distance: f64) -> Option<i32> {
    (distance > LEAST).then(|| (distance.min(1e300).log2() * PER_OCTAVE).floor() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::Random;

    #[test]
    fn tails_of_any_weight_are_as_rare_as_they_say() {
        // The quantiles of 1 in 10^4 of each, out of 20,000 draws.
        for (name, draw, at) in [
            ("exponential", (|u: f64| -u.ln()) as fn(f64) -> f64, -(1e-4f64).ln()),
            ("uniform", |u| u, 0.9999),
            ("pareto 3", |u| u.powf(-1.0 / 3.0), (1e-4f64).powf(-1.0 / 3.0)),
        ] {
            let (mut tail, mut random) = (Tail::default(), Random::new(5));
            for _ in 0..20_000 {
                tail.learn(draw(random.unit().max(1e-12)), 1.0);
            }
            let p = tail.p(at);
            println!("{name}: {p:.1e}");
            // What is bounded ends within a bin; it is told later than it might be, not sooner.
            assert!((1e-5..1e-3).contains(&p) || name == "uniform" && (1e-5..5e-2).contains(&p), "{name}: {p}");
            let median = tail.p(draw(0.5));
            assert!((0.4..0.62).contains(&median), "{name}: {median}");
        }
    }

    #[test]
    fn larger_ones_move_the_scale_and_nothing_is_lost() {
        let mut tail = Tail::default();
        for at in 0..60 {
            tail.learn(2f64.powi(at), 1.0);
            tail.learn(0.0, 1.0);
            let all: f32 = tail.bins.iter().sum();
            assert_eq!(f64::from(all), tail.seen);
        }
        assert!(tail.p(0.0) == 1.0 && tail.p(1e300) < tail.p(2f64.powi(59)));
    }
}
