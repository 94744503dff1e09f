//! What stays small however many values go in: quantiles and counts of different values. Both are exact while the
//! values are few, and say so.

use std::collections::HashSet;

use datasketches::hll::{HllSketch, HllType};
use foldhash::fast::FixedState;
use sketches_ddsketch::{Config, DDSketch};

/// Values kept as they are before a sketch takes over: 1 KiB.
const EXACT_VALUES_MAX: usize = 128;
/// Relative error of a quantile beyond that.
const QUANTILE_ERROR: f64 = 0.005;
/// Buckets of a sketch, each 8 bytes, allocated as values need them: with that error, values from 1e-9 to 1e12.
const QUANTILE_BUCKETS_MAX: u32 = 4_096;

/// Different values counted one by one before a HyperLogLog takes over: 128 KiB at most.
const EXACT_UNIQUE_MAX: usize = 8_192;
/// 2^14 registers: a standard error of 0.8 %, in 16 KiB.
const HLL_LG_REGISTERS: u8 = 14;

/// The distribution of some numbers.
pub enum Quantiles {
    Exact(Vec<f64>),
    Sketch(Box<DDSketch>),
}

impl Default for Quantiles {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Quantiles {
    pub fn add(&mut self, value: f64) {
        match self {
            Self::Sketch(sketch) => sketch.add(value),
            Self::Exact(values) => {
                values.push(value);
                if values.len() > EXACT_VALUES_MAX {
                    let mut sketch = DDSketch::new(Config::new(QUANTILE_ERROR, QUANTILE_BUCKETS_MAX, 1e-9));
                    values.drain(..).for_each(|value| sketch.add(value));
                    *self = Self::Sketch(Box::new(sketch));
                }
            }
        }
    }

    /// The values at these ranks (0 to 1), each `None` without any value. Between two of few values lies what is
    /// proportionally between them, as Elasticsearch and NumPy have it.
    pub fn at(&mut self, ranks: &[f64]) -> Vec<Option<f64>> {
        match self {
            Self::Sketch(sketch) => ranks.iter().map(|rank| sketch.quantile(*rank).ok().flatten()).collect(),
            Self::Exact(values) => {
                values.sort_by(f64::total_cmp);
                let one = |rank: &f64| {
                    let place = rank * values.len().checked_sub(1)? as f64;
                    let (low, high) = (values.get(place.floor() as usize)?, values.get(place.ceil() as usize)?);
                    Some(low + (high - low) * place.fract())
                };
                ranks.iter().map(one).collect()
            }
        }
    }

    /// Memory beyond its own struct: bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Exact(values) => values.capacity() * 8,
            Self::Sketch(sketch) => size_of::<DDSketch>() + sketch.length() * 8,
        }
    }
}

/// How many different values there were, by their hashes.
pub enum Unique {
    Exact(HashSet<u64, FixedState>),
    Sketch(Box<HllSketch>),
}

impl Default for Unique {
    fn default() -> Self {
        Self::Exact(HashSet::default())
    }
}

impl Unique {
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Sketch(sketch) => sketch.update(hash),
            Self::Exact(hashes) => {
                hashes.insert(hash);
                // A sketch of these numbers can be made: they are constants within its bounds.
                if hashes.len() > EXACT_UNIQUE_MAX
                    && let Ok(mut sketch) = HllSketch::new(HLL_LG_REGISTERS, HllType::Hll8)
                {
                    hashes.drain().for_each(|hash| sketch.update(hash));
                    *self = Self::Sketch(Box::new(sketch));
                }
            }
        }
    }

    pub fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Sketch(sketch) => sketch.estimate().round() as u64,
        }
    }

    /// Memory beyond its own struct: bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Exact(hashes) => hashes.capacity() * 9,
            Self::Sketch(sketch) => size_of::<HllSketch>() + sketch.estimated_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_and_then_close() {
        assert_eq!(Quantiles::default().at(&[0.5]), [None]);
        for n in [1u32, 2, 5, 128, 129, 10_000] {
            let mut quantiles = Quantiles::default();
            // In no order.
            (0..n).for_each(|i| quantiles.add(f64::from(i * 7_919 % n) - f64::from(n / 4)));
            for rank in [0.0, 0.25, 0.5, 0.99, 1.0] {
                let exact = rank * f64::from(n - 1) - f64::from(n / 4);
                let found = quantiles.at(&[rank])[0].unwrap();
                let off = if n <= 128 { 1e-9 } else { 1.0 + exact.abs() * QUANTILE_ERROR };
                assert!((found - exact).abs() <= off, "{rank} of {n}: {found}, not {exact}");
            }
            assert!(quantiles.bytes() <= 64 << 10);
        }
    }

    #[test]
    fn different_values_are_counted_exactly_and_then_closely() {
        for n in [0u64, 1, 8_192, 8_193, 300_000] {
            let mut unique = Unique::default();
            (0..2 * n).for_each(|i| unique.add((i % n).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let off = if n <= EXACT_UNIQUE_MAX as u64 { 0 } else { n / 40 };
            assert!(unique.count().abs_diff(n) <= off, "{} of {n}", unique.count());
            assert!(unique.bytes() <= 160 << 10);
        }
    }
}
