//! How far a number is from all that were there before: what was never seen is news, wherever it lies.
//!
//! Up to [`POINTS`] numbers are kept in order; when full, the one whose neighbours are closest to each other goes, so that the
//! range and its gaps stay. 0.5 KB; O(points) a number.

use serde::{Deserialize, Serialize};

/// Numbers kept.
const POINTS: usize = 128;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Novelty {
    points: Vec<f32>,
}

impl Novelty {
    /// The distance to the nearest number known, 0 where none is; then this one is known too.
    pub fn learn(&mut self, x: f32) -> f64 {
        let at = self.points.partition_point(|known| *known < x);
        let above = self.points.get(at).map(|known| known - x);
        let below = at.checked_sub(1).and_then(|below| self.points.get(below)).map(|known| x - known);
        let gap = match (above, below) {
            (Some(above), Some(below)) => above.min(below),
            (one, other) => one.or(other).unwrap_or(0.0),
        };
        // Room for one more than stay, once and for all.
        self.points.reserve_exact((POINTS + 1).saturating_sub(self.points.len()));
        self.points.insert(at, x);
        if self.points.len() > POINTS {
            let mut least = (f32::INFINITY, 1);
            for (before, three) in self.points.windows(3).enumerate() {
                let apart = three[2] - three[0];
                if apart < least.0 {
                    least = (apart, before + 1);
                }
            }
            self.points.remove(least.1);
        }
        f64::from(gap)
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_no_news_and_gaps_stay_gaps() {
        let mut novelty = Novelty::default();
        for at in 0..10_000u32 {
            // Two ranges, 0 to 10 and 90 to 100.
            let x = (at * 7_919 % 1_000) as f32 / 100.0;
            novelty.learn(if at % 2 == 0 { x } else { 90.0 + x });
        }
        assert!(novelty.learn(5.003) < 0.5 && novelty.learn(95.003) < 0.5);
        assert!(novelty.learn(50.0) > 35.0);
        assert_eq!(novelty.learn(50.0), 0.0);
        assert!(novelty.learn(200.0) > 99.0);
        assert_eq!(novelty.points.len(), POINTS);
    }
}
