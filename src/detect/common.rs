//! What moves all services at once: a load test, a broken shipper, a cluster that is moved. It is one finding of the cluster,
//! and no finding of each service, except of those that moved much further than the others.
//!
//! A bucket is a *shift* where most services that have enough lines to tell have many more, or many fewer, than is typical
//! of them; its factor is the median of theirs. A service's own finding is then asked again as if the factor were taken off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::episode::{CALM_SECONDS, SeriesKey};
use super::finding::Direction;

/// So many services at least, and such a part of those that have enough lines to tell, make a shift.
const SERVICES_MIN: usize = 3;
const PART_MIN: f64 = 2.0 / 3.0;
/// A service with fewer lines than this, expected or there, does not tell.
const LINES_MIN: f64 = 5.0;

/// A service's lines of one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    pub lines: f64,
    /// What is typical of as much of the bucket as is over.
    pub typical: f64,
}

impl Moved {
    /// Further than half as many, and than chance makes it: three standard deviations of a Poisson count.
    fn is(self, direction: Direction) -> bool {
        let reach = 1.5 * self.typical.min(self.lines) + 3.0 * self.typical.sqrt() + 1.0;
        match direction {
            Direction::High => self.lines > reach,
            Direction::Low => self.typical > reach,
        }
    }

    /// Whether it could have been seen to move that way.
    fn tells(self, direction: Direction) -> bool {
        match direction {
            Direction::High => self.lines.max(self.typical) >= LINES_MIN,
            Direction::Low => Self { lines: 0.0, ..self }.is(direction),
        }
    }

    fn factor(self) -> f64 {
        (self.lines + 0.5) / (self.typical + 0.5)
    }
}

/// All services, or most of them, at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub factor: f64,
    /// Services that moved, of those that could tell.
    pub services: usize,
    pub of: usize,
}

impl Shift {
    /// What these services have in common, if most moved that way.
    pub fn of(services: impl Iterator<Item = Moved>, direction: Direction) -> Option<Self> {
        let telling: Vec<Moved> = services.filter(|moved| moved.tells(direction)).collect();
        let mut factors: Vec<f64> = telling.iter().filter(|m| m.is(direction)).map(|m| m.factor()).collect();
        let (services, of) = (factors.len(), telling.len());
        if services < SERVICES_MIN || (services as f64) < PART_MIN * of as f64 {
            return None;
        }
        factors.sort_unstable_by(f64::total_cmp);
        Some(Self { factor: factors[services / 2], services, of })
    }

    /// For a person.
    pub fn words(&self) -> String {
        let Self { services, of, factor } = self;
        let much =
            if *factor >= 1.0 { format!("{factor:.1} times as many") } else { format!("{factor:.2} of as many") };
        format!("{services} of {of} services have about {much}")
    }
}

/// Findings of services that were taken for a shift of all, while they go on: the services do not come to know the new
/// level at the same time, and the last of them is no news either.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Common {
    explained: BTreeMap<SeriesKey, Explained>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Explained {
    factor: f64,
    last: i64,
}

impl Common {
    /// The factor that explains a finding of this series in the bucket at `start`: that of a shift now, or of the one it
    /// began with.
    pub fn factor(&mut self, key: SeriesKey, start: i64, shift: Option<&Shift>) -> Option<f64> {
        let known = self.explained.get(&key);
        let factor = shift.map(|shift| shift.factor).or(known.map(|known| known.factor))?;
        let last = known.map_or(start, |known| known.last.max(start));
        self.explained.insert(key, Explained { factor, last });
        Some(factor)
    }

    /// Forgets what has been calm.
    pub fn end(&mut self, now: i64) {
        self.explained.retain(|key, explained| now < explained.last + CALM_SECONDS + 2 * i64::from(key.bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_services_make_a_shift() {
        let shift = |rows: &[(f64, f64)], direction| {
            let moved = rows.iter().map(|(lines, typical)| Moved { lines: *lines, typical: *typical });
            Shift::of(moved, direction).map(|shift| (shift.services, shift.of, shift.factor.round()))
        };
        use Direction::{High, Low};
        // All four of those that can tell; the fifth has too few lines to.
        let all = [(430.0, 10.0), (860.0, 20.0), (85.0, 2.0), (4_000.0, 100.0), (1.0, 0.1)];
        assert_eq!(shift(&all, High), Some((4, 4, 41.0)));
        assert_eq!(shift(&all, Low), None);
        // Two of five are those two.
        assert_eq!(shift(&[(400.0, 10.0), (900.0, 20.0), (10.0, 9.0), (20.0, 20.0), (9.0, 11.0)], High), None);
        // Two of two are too few to speak of all.
        assert_eq!(shift(&[(400.0, 10.0), (900.0, 20.0)], High), None);
        assert_eq!(shift(&[(0.0, 50.0), (0.0, 20.0), (1.0, 300.0), (0.0, 3.0)], Low), Some((3, 3, 0.0)));
        assert_eq!(shift(&[], High), None);
    }

    #[test]
    fn what_was_explained_stays_so_until_it_is_calm() {
        let mut common = Common::default();
        let key = SeriesKey { service: 1, field: 0, measure: super::super::Measure::Lines, value: 0, bucket: 60 };
        assert_eq!(common.factor(key, 600, None), None);
        let shift = Shift { factor: 4.0, services: 5, of: 5 };
        assert_eq!(common.factor(key, 660, Some(&shift)), Some(4.0));
        assert_eq!(common.factor(key, 900, None), Some(4.0));
        common.end(900 + CALM_SECONDS);
        assert_eq!(common.factor(key, 960, None), Some(4.0));
        common.end(960 + CALM_SECONDS + 120);
        assert_eq!(common.factor(key, 2_400, None), None);
    }
}
