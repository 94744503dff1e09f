//! How surprising two counts are, or two distributions, if nothing had changed between them: the log-likelihood ratio
//! G² (Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", 1993), and what chance makes of it.
//!
//! G² is twice the records times what a record tells about which side it is from, so it ranks by size of the change and
//! by how many records show it, alike for values and for numbers.

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::gamma::ln_gamma;

/// G² of one value that `counts` of `totals` records have on either side. One degree of freedom.
pub fn g2_of_value(counts: [u64; 2], totals: [u64; 2]) -> f64 {
    let without = [totals[0].saturating_sub(counts[0]), totals[1].saturating_sub(counts[1])];
    g2(&[counts, without])
}

/// G² of records that fall into the same classes on both sides; degrees of freedom are the classes less one.
pub fn g2(classes: &[[u64; 2]]) -> f64 {
    let sum = |side: usize| classes.iter().map(|counts| counts[side] as f64).sum::<f64>();
    let sides = [sum(0), sum(1)];
    let all = sides[0] + sides[1];
    let mut g2 = 0.0;
    for counts in classes {
        let class = (counts[0] + counts[1]) as f64;
        for (count, side) in counts.iter().zip(sides) {
            if *count > 0 {
                g2 += *count as f64 * (*count as f64 * all / (class * side)).ln();
            }
        }
    }
    (2.0 * g2).max(0.0)
}

/// How far apart two distributions over the same classes are: the share of records that would have to move, 0 to 1.
pub fn distance(classes: &[[u64; 2]]) -> f64 {
    let sum = |side: usize| classes.iter().map(|counts| counts[side]).sum::<u64>().max(1) as f64;
    let sides = [sum(0), sum(1)];
    let apart = |counts: &[u64; 2]| (counts[0] as f64 / sides[0] - counts[1] as f64 / sides[1]).abs();
    classes.iter().map(apart).sum::<f64>() / 2.0
}

/// The decimal digits of how unlikely chance makes such a G² anywhere among `tests` looks (Bonferroni): 3 is once in a thousand
/// comparisons of the same kind, 0 is nothing.
pub fn surprise(g2: f64, freedom: usize, tests: usize) -> f64 {
    let ln_chance = ln_chance(g2, freedom.max(1) as f64) + (tests.max(1) as f64).ln();
    (-ln_chance / std::f64::consts::LN_10).max(0.0)
}

/// The logarithm of the probability of at least this much of a χ² distribution.
fn ln_chance(g2: f64, freedom: f64) -> f64 {
    let chance = ChiSquared::new(freedom).map_or(1.0, |chi| chi.sf(g2));
    if chance > 1e-250 {
        return chance.ln();
    }
    // What is left of the incomplete gamma function far out, where it is too small for a number of its own.
    let (shape, x) = (freedom / 2.0, g2 / 2.0);
    (shape - 1.0) * x.ln() - x - ln_gamma(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_g2() {
        // Of R: 2 * sum(x * log(x / expected)) for matrix(c(10, 90, 30, 70), 2).
        assert!((g2_of_value([10, 30], [100, 100]) - 12.972).abs() < 1e-3, "{}", g2_of_value([10, 30], [100, 100]));
        assert_eq!(g2_of_value([10, 100], [100, 1000]), 0.0);
        assert_eq!((g2_of_value([0, 0], [0, 0]), g2_of_value([0, 5], [0, 5]), g2(&[])), (0.0, 0.0, 0.0));
        let same = [[5, 50], [10, 100], [1, 10]];
        assert!(g2(&same) < 1e-9 && distance(&same) < 1e-9);
        assert_eq!(distance(&[[10, 0], [0, 7]]), 1.0);
        assert!((distance(&[[50, 40], [50, 60]]) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn surprise_has_no_step_where_the_number_ends() {
        // χ² with one degree: 3.841 once in twenty, 10.828 once in a thousand.
        assert!((surprise(3.841, 1, 1) - 20f64.log10()).abs() < 1e-3);
        assert!((surprise(10.828, 1, 1) - 3.0).abs() < 1e-3);
        assert!((surprise(10.828, 1, 10) - 2.0).abs() < 1e-3);
        assert_eq!(surprise(0.5, 1, 100), 0.0);
        for freedom in [1, 9] {
            let mut before = 0.0;
            for g2 in (1_000..1_400).map(f64::from) {
                let now = surprise(g2, freedom, 1);
                let step = now - before;
                assert!(before == 0.0 || (0.15..0.3).contains(&step), "{freedom}: {g2} {step}");
                before = now;
            }
            assert!((surprise(1e6, freedom, 1) - 217_000.0).abs() < 200.0);
        }
    }
}
