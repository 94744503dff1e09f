//! From a probability to a score that means the same on every series.
//!
//! A score says how rarely chance alone would do this anywhere among all that is watched:
//! `25 × log10(return period / 1 h)`, so 25 is once in 10 hours, 50 once in 4 days, 75 once in 6 weeks, 100 once in a year.

use serde::{Deserialize, Serialize};

/// The bands Kibana's users know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Minor,
    Major,
    Critical,
}

impl Severity {
    pub fn of(score: f64) -> Self {
        match score {
            s if s >= 75.0 => Self::Critical,
            s if s >= 50.0 => Self::Major,
            s if s >= 25.0 => Self::Minor,
            _ => Self::Warning,
        }
    }

    /// The least score of the band.
    pub fn score_min(self) -> f64 {
        match self {
            Self::Warning => 0.0,
            Self::Minor => 25.0,
            Self::Major => 50.0,
            Self::Critical => 75.0,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

/// The score, 0 to 100, of something that chance does with probability `p` in one bucket of one series, where `looks`
/// is how many such chances there are in a bucket: series watched, times how often each is looked at (Bonferroni).
pub fn score(p: f64, bucket_seconds: u32, looks: f64) -> f64 {
    let p = (p.max(1e-300) * looks.max(1.0)).min(1.0);
    let hours = f64::from(bucket_seconds) / 3600.0 / p;
    (25.0 * hours.log10()).clamp(0.0, 100.0)
}

/// The score of what one line in `1 / p` is like, where so many come in an hour.
pub fn of_lines(p: f64, lines_per_hour: f64) -> f64 {
    let hours = 1.0 / (p.clamp(1e-300, 1.0) * lines_per_hour);
    (25.0 * hours.log10()).clamp(0.0, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_return_periods() {
        for (once_in_hours, expected) in [(1.0, 0.0), (10.0, 25.0), (100.0, 50.0), (1000.0, 75.0), (1e9, 100.0)] {
            let p = 60.0 / 3600.0 / once_in_hours;
            assert!((score(p, 60, 1.0) - expected).abs() < 1e-9, "{once_in_hours}");
            assert!((score(p / 500.0, 60, 500.0) - expected).abs() < 1e-9, "{once_in_hours}");
        }
        assert_eq!(score(0.0, 60, 1.0), 100.0);
        assert_eq!(score(1.0, 60, 1e6), 0.0);
        // One line in a million, where ten thousand come in an hour: once in a hundred hours.
        assert!((of_lines(1e-6, 1e4) - 50.0).abs() < 1e-9);
        assert_eq!((of_lines(1.0, 1.0), of_lines(0.0, 1.0)), (0.0, 100.0));
    }
}
