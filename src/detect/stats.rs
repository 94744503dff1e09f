//! Probabilities that stand on their own.

use statrs::distribution::{DiscreteCDF, Poisson};
use statrs::function::erf::erfc;

/// The probability of at least `k` where `mean` are expected, each by itself.
pub fn poisson_upper(k: u64, mean: f64) -> f64 {
    match (k, Poisson::new(mean)) {
        (0, _) => 1.0,
        (_, Ok(poisson)) => poisson.sf(k - 1),
        // Nothing is expected at all.
        (_, Err(_)) => 0.0,
    }
}

/// The probability of being so many standard deviations from the mean, on either side.
pub fn normal_both_tails(away: f64) -> f64 {
    erfc(away.abs() / std::f64::consts::SQRT_2)
}

/// The G statistic of observed counts against expected shares, and which of them stands out most by being more.
pub fn g_statistic(observed: &[f64], expected: &[f64]) -> (f64, usize) {
    let all: f64 = observed.iter().sum();
    let parts = observed.iter().zip(expected).map(|(o, e)| if *o > 0.0 { 2.0 * o * (o / (e * all)).ln() } else { 0.0 });
    let most = parts.clone().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
    (parts.sum::<f64>().max(0.0), most)
}
