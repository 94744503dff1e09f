//! What comes back: the request's tree with numbers in it.

use serde_json::{Map, Value as Json};

use super::key::Key;

/// Groups and measures, in the order they were asked for.
#[derive(Debug, Default)]
pub struct Aggregated {
    /// Records that match.
    pub total: u64,
    pub answers: Vec<Answer>,
    /// The deadline came first: these are the numbers of what was read.
    pub partial: bool,
}

#[derive(Debug)]
pub enum Answer {
    Groups {
        groups: Vec<Group>,
        /// Records in groups that are not shown.
        other: u64,
    },
    /// Of a filter, and of a missing field.
    One(Group),
    Stats(Stats),
    /// By the percents asked for; none without values.
    Percentiles(Vec<(f64, Option<f64>)>),
    Count(u64),
    Hits {
        total: u64,
        records: Vec<Map<String, Json>>,
    },
    /// The values of each record, by the fields asked for, with its time.
    TopMetrics(Vec<(i64, Vec<Json>)>),
}

#[derive(Debug)]
pub struct Group {
    pub key: Key,
    pub count: u64,
    pub answers: Vec<Answer>,
}

/// Of a field's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    pub count: u64,
    sum: f64,
    /// What rounding took from `sum` (Neumaier's summation: a long sum of small numbers keeps its digits).
    lost: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, lost: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Stats {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        self.squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub fn sum(&self) -> f64 {
        self.sum + self.lost
    }

    fn some(&self, value: f64) -> Option<f64> {
        (self.count > 0).then_some(value)
    }

    pub fn min(&self) -> Option<f64> {
        self.some(self.min)
    }

    pub fn max(&self) -> Option<f64> {
        self.some(self.max)
    }

    pub fn avg(&self) -> Option<f64> {
        self.some(self.sum() / self.count as f64)
    }

    pub fn sum_of_squares(&self) -> Option<f64> {
        self.some(self.squares)
    }

    /// Of the population; never below zero, which rounding would else allow.
    pub fn variance(&self) -> Option<f64> {
        let n = self.count as f64;
        self.some(((self.squares - self.sum() * self.sum() / n) / n).max(0.0))
    }

    /// Of a sample: `None` also for one value.
    pub fn variance_sampling(&self) -> Option<f64> {
        let n = self.count as f64;
        (self.count > 1).then(|| ((self.squares - self.sum() * self.sum() / n) / (n - 1.0)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_of_numbers() {
        let mut stats = Stats::default();
        assert_eq!((stats.sum(), stats.avg(), stats.min(), stats.variance()), (0.0, None, None, None));
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].iter().for_each(|n| stats.add(*n));
        assert_eq!((stats.count, stats.sum(), stats.avg()), (8, 40.0, Some(5.0)));
        assert_eq!((stats.min(), stats.max(), stats.variance()), (Some(2.0), Some(9.0), Some(4.0)));
        assert_eq!(stats.variance_sampling(), Some(32.0 / 7.0));
        let mut stats = Stats::default();
        [1e16, 1.0, -1e16, 1.0].iter().for_each(|n| stats.add(*n));
        assert_eq!(stats.sum(), 2.0);
    }
}
