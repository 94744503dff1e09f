//! One alert an episode, and fewer from a series that alerts often.
//!
//! A strength that begins an episode stands; until the episode is over only what is clearly worse stands, all else is halved.
//! Each alert makes the next one count a little less, which is forgotten with time: a series that is strange every day is
//! not news every day.

use serde::{Deserialize, Serialize};

/// The strength that begins an episode, 0 to 1.
const BEGINS: f64 = 0.15;
/// So much stronger is worse.
const WORSE: f64 = 1.5;
/// Buckets that an episode lasts after its last alert.
const LASTS: f64 = 200.0;
/// So much less counts a strength for each recent alert.
const FATIGUE: f64 = 0.1;
/// Buckets after which half of the alerts are forgotten.
const FATIGUE_HALF: f64 = 3_000.0;
/// Steps from which the sampling interval is told.
const STEPS: usize = 31;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Gate {
    /// Steps between the first buckets, in order: seconds.
    steps: Vec<i64>,
    last: Option<i64>,
    until: Option<i64>,
    peak: f64,
    alerts: f64,
}

impl Gate {
    /// The score of a strength at a time (Unix seconds): 0 to 1.
    pub fn pass(&mut self, time: i64, strength: f64) -> f64 {
        self.step(time);
        self.alerts *= 0.5f64.powf(1.0 / FATIGUE_HALF);
        let score = strength / (1.0 + FATIGUE * self.alerts);
        if self.until.is_none_or(|until| time > until) {
            self.peak = 0.0;
        }
        if score < BEGINS || score < WORSE * self.peak {
            return score.min(BEGINS) / 2.0;
        }
        self.peak = score;
        self.alerts += 1.0;
        self.until = Some(time.saturating_add((LASTS * self.interval()) as i64));
        score
    }

    /// The median step so far: seconds.
    fn interval(&self) -> f64 {
        self.steps.get(self.steps.len() / 2).map_or(0.0, |step| *step as f64)
    }

    fn step(&mut self, time: i64) {
        if let Some(last) = self.last.replace(time)
            && let step = time.saturating_sub(last)
            && step > 0
            && self.steps.len() < STEPS
        {
            let at = self.steps.partition_point(|known| *known < step);
            self.steps.insert(at, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_told_once_unless_it_gets_worse() {
        let mut gate = Gate::default();
        for at in 0..50 {
            assert!(gate.pass(at * 60, 0.05) < BEGINS);
        }
        assert!(gate.pass(50 * 60, 0.4) > 0.39);
        for at in 51..240 {
            assert!(gate.pass(at * 60, 0.45) < BEGINS, "{at}");
        }
        assert!(gate.pass(240 * 60, 0.9) > 0.8);
        assert!(gate.pass(441 * 60, 0.4) > 0.3);
    }

    #[test]
    fn who_alerts_often_is_believed_less() {
        let mut gate = Gate::default();
        let told: Vec<f64> = (0..30).map(|at| gate.pass(at * 3_600 * 24 * 60, 0.5)).collect();
        assert!(told[0] > 0.49 && told[20] < 0.2 && told[20] > 0.05, "{told:?}");
    }
}
