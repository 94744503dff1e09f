//! One series alone, of any kind and sampling interval: `loghound detect`.

use serde::{Deserialize, Serialize};

use super::day::Day;
use super::gate::Gate;
use super::shape::Shape;

/// Larger values are taken for this: their squares are still numbers.
const LARGEST: f64 = 1e15;

/// Scores a series of numbers, one by one, each by those before it alone. 8 KB.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Single {
    day: Day,
    shape: Shape,
    gate: Gate,
}

impl Single {
    /// The score of a value at a time (Unix seconds), 0 to 1; then it is learned. What is not finite scores 0 and is not learned.
    pub fn push(&mut self, time: i64, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let strength = self.shape.push(time, value, &self.day);
        self.day.learn(time, value);
        self.gate.pass(time, strength)
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.day.bytes() + self.shape.bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ship::Random;

    fn anything() -> impl Strategy<Value = (i64, f64)> {
        let value = prop_oneof![
            8 => -100.0..100.0f64,
            2 => Just(5.0),
            1 => any::<f64>(),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e300), Just(-1e300)],
        ];
        // Mostly a minute, at times nothing, backwards, weeks, or any time at all.
        let step =
            prop_oneof![8 => Just(60i64), 1 => Just(0), 1 => -7_200..0i64, 1 => Just(1_814_400), 1 => any::<i64>()];
        (step, value)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_comes_is_scored_and_a_saved_series_goes_on_as_if_nothing_had_been(
            rows in proptest::collection::vec(anything(), 1..300)
        ) {
            let (mut whole, mut saved, mut time) = (Single::default(), Single::default(), 0i64);
            for (step, value) in rows {
                time = time.wrapping_add(step);
                let score = whole.push(time, value);
                prop_assert!((0.0..=1.0).contains(&score), "{time} {value}: {score}");
                let bytes = postcard::to_stdvec(&saved).unwrap();
                saved = postcard::from_bytes(&bytes).unwrap();
                prop_assert_eq!(saved.push(time, value).to_bits(), score.to_bits());
            }
        }
    }

    #[test]
    fn a_flat_line_is_silent_and_its_end_is_not() {
        let mut series = Single::default();
        for at in 0..5_000 {
            assert_eq!(series.push(at * 300, 42.0), 0.0);
        }
        assert!(series.bytes() <= 10 << 10, "{} bytes", series.bytes());
        let mut random = Random::new(1);
        let mut series = Single::default();
        let mut noise = |at: i64| 50.0 + 20.0 * (at as f64 / 288.0 * std::f64::consts::TAU).sin() + random.unit();
        let top = (0..4_000).map(|at| series.push(at * 300, noise(at))).skip(800).fold(0.0, f64::max);
        let spike = series.push(4_000 * 300, 120.0);
        println!("highest of the ordinary {top}, spike {spike}");
        assert!(spike > 0.6 && spike > top, "{top} {spike}");
    }
}
