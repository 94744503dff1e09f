//! What is usual for a job: of a series its own past, of a member its population, of a value how often it came, of an hour whether
//! there is something in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::detect::series::{Direction, Scored};
use crate::detect::watched::WARM_UP;

/// Values of members over which the population's own is averaged, and members' buckets before it says anything.
const POPULATION_MEMORY: f64 = 2_000.0;
const POPULATION_WARM_UP: f64 = 50.0;
/// Members are less alike than a normal distribution has it: its spread is taken for so much more.
const POPULATION_WIDENING: f64 = 1.6;
/// Members whose number of rare values is told one by one: more are enough to be common.
const MEMBERS_MAX: usize = 64;
/// A value that less than this share of members have is rare.
const RARE_SHARE: f64 = 0.01;
/// The least and the most that are said.
const P_LEAST: f64 = 1e-300;

/// The values that members of a population have in a bucket: normal on a logarithmic scale.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Population {
    seen: f64,
    mean: f64,
    variance: f64,
}

impl Population {
    pub fn score(&self, value: f64) -> Option<Scored> {
        if self.seen < POPULATION_WARM_UP {
            return None;
        }
        let y = scaled(value);
        // Counts of few differ by one without meaning anything.
        let spread = self.variance.sqrt().max(0.1) * POPULATION_WIDENING;
        let apart = (y - self.mean).abs() / spread;
        let p = (2.0 * Normal::standard().sf(apart)).clamp(P_LEAST, 1.0);
        Some(Scored {
            p,
            typical: unscaled(self.mean),
            low: unscaled(self.mean - 3.0 * spread),
            high: unscaled(self.mean + 3.0 * spread),
            direction: if y >= self.mean { Direction::High } else { Direction::Low },
        })
    }

    pub fn learn(&mut self, value: f64) {
        self.seen += 1.0;
        let rate = (1.0 / self.seen).max(1.0 / POPULATION_MEMORY);
        // One member far off must not make the next one usual.
        let reach = if self.seen > POPULATION_WARM_UP { 4.0 * self.variance.sqrt().max(0.1) } else { f64::MAX };
        let step = (scaled(value) - self.mean).clamp(-reach, reach);
        self.mean += rate * step;
        self.variance += rate * (step * step * (1.0 - rate) - self.variance);
    }
}

/// Signed, so that numbers below zero have a place.
fn scaled(value: f64) -> f64 {
    value.signum() * value.abs().ln_1p()
}

fn unscaled(y: f64) -> f64 {
    y.signum() * y.abs().exp_m1()
}

/// How often each value came: of all buckets with records, those that had it; and who had it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Values {
    buckets: f64,
    /// Buckets that had a value as rare as those that are told.
    rare_buckets: f64,
    values: BTreeMap<String, Sightings>,
    members: BTreeSet<u64>,
    /// Members that were not told apart for want of room.
    more_members: f64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sightings {
    buckets: f64,
    members: BTreeSet<u64>,
}

/// Different members that are remembered as such.
const POPULATION_MAX: usize = 10_000;

impl Values {
    /// The probability that a bucket has this value; none while too little is known. `fresh`: only what was never seen counts.
    ///
    /// Where values as rare as this are the way of the field, one more of them says no more than how often that is.
    pub fn score(&self, value: &str, fresh: bool) -> Option<Scored> {
        if self.buckets < f64::from(WARM_UP) {
            return None;
        }
        let seen = self.values.get(value).map_or(0.0, |sightings| sightings.buckets);
        if fresh && seen > 0.0 {
            return None;
        }
        let own = (seen + 0.5) / (self.buckets + 1.0);
        let way = (self.rare_buckets + 0.5) / (self.buckets + 1.0);
        Some(Scored { p: own.max(way), typical: seen, low: 0.0, high: seen, direction: Direction::High })
    }

    /// The same by members: how few of a population have this value.
    pub fn score_by_members(&self, value: &str) -> Option<Scored> {
        let all = self.members.len() as f64 + self.more_members;
        if all < f64::from(WARM_UP) || self.buckets < f64::from(WARM_UP) {
            return None;
        }
        let having = self.values.get(value).map_or(0.0, |sightings| sightings.members.len() as f64);
        let own = (having + 0.5) / (all + 1.0);
        let way = (self.rare_buckets + 0.5) / (self.buckets + 1.0);
        // That one of all of them is the first has as many chances as there are members.
        Some(Scored { p: own.max(way), typical: having, low: 0.0, high: having, direction: Direction::High })
    }

    /// Whether few members have it.
    pub fn is_rare(&self, value: &str) -> bool {
        let all = self.members.len() as f64 + self.more_members;
        let having = self.values.get(value).map_or(0.0, |sightings| sightings.members.len() as f64);
        having <= (RARE_SHARE * all).max(1.0)
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        let values = self.values.iter().map(|(value, sightings)| value.len() + 120 + sightings.members.len() * 16);
        values.sum::<usize>() + self.members.len() * 16 + size_of::<Self>()
    }

    /// Learns a bucket: its values and who had them. Gives the bytes that were added; new values are left out where there is no room.
    pub fn learn<'v>(&mut self, values: impl Iterator<Item = (&'v str, u64)>, room: bool) -> usize {
        let mut added = 0;
        let mut rare = false;
        let mut last: Option<&str> = None;
        for (value, member) in values {
            let known = self.values.get(value);
            rare |= known.is_none_or(|known| known.buckets <= RARE_SHARE * self.buckets);
            if member != 0 && !self.members.contains(&member) {
                if self.members.len() < POPULATION_MAX && room {
                    self.members.insert(member);
                    added += 16;
                } else {
                    self.more_members = self.more_members.max(1.0);
                }
            }
            if known.is_none() && !room {
                continue;
            }
            let sightings = self.values.entry(value.to_owned()).or_insert_with(|| {
                added += value.len() + 120;
                Sightings::default()
            });
            if last != Some(value) {
                sightings.buckets += 1.0;
            }
            if member != 0 && sightings.members.len() < MEMBERS_MAX && sightings.members.insert(member) {
                added += 16;
            }
            last = Some(value);
        }
        if last.is_some() {
            // While nothing is known all is new, and says nothing of the way of the field.
            self.rare_buckets += f64::from(u8::from(rare && self.buckets >= f64::from(WARM_UP)));
            self.buckets += 1.0;
        }
        added
    }
}

/// Half hours of a day, or of a week.
const SLOT_SECONDS: i64 = 1_800;
/// A week begins on Monday; 1970-01-01 was a Thursday.
const MONDAY: i64 = 3 * 86_400;

/// In which half hours of a day or a week there is something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Times {
    slots: Vec<f32>,
    first: i64,
    total: f64,
}

impl Times {
    /// `days` is 1 or 7.
    pub fn new(days: i64, first: i64) -> Self {
        Self { slots: vec![0.0; (days * 86_400 / SLOT_SECONDS) as usize], first, total: 0.0 }
    }

    fn slot(&self, start: i64) -> usize {
        let shifted = (start + MONDAY).rem_euclid(self.slots.len() as i64 * SLOT_SECONDS);
        (shifted / SLOT_SECONDS) as usize
    }

    /// The probability that what comes comes at a time as rare as this; none before three rounds have been seen. Typical is how many
    /// rounds had something then.
    pub fn score(&self, start: i64) -> Option<Scored> {
        let round = self.slots.len() as i64 * SLOT_SECONDS;
        let rounds = if round > 86_400 { 2 } else { 3 };
        if start - self.first < rounds * round || self.total < f64::from(WARM_UP) {
            return None;
        }
        let count = self.slots.len();
        // Neighbours are nearly the same time.
        let near = |at: usize| {
            let of = |at: usize| f64::from(self.slots[at % count]);
            0.5 * of(at) + 0.25 * of(at + 1) + 0.25 * of(at + count - 1)
        };
        let own = near(self.slot(start));
        let as_rare: f64 = (0..count).map(near).filter(|other| *other <= own).sum();
        let p = (as_rare + 0.5) / (self.total + 1.0);
        Some(Scored { p: p.min(1.0), typical: own, low: own, high: own, direction: Direction::High })
    }

    pub fn learn(&mut self, start: i64) {
        let slot = self.slot(start);
        self.slots[slot] += 1.0;
        self.total += 1.0;
    }

    pub fn bytes(&self) -> usize {
        self.slots.len() * 4 + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_far_from_its_population_is_rare_and_the_rest_is_not() {
        let mut population = Population::default();
        for n in 0..500 {
            population.learn(f64::from(80 + n % 40));
        }
        assert!(population.score(100.0).unwrap().p > 0.5);
        let far = population.score(5_000.0).unwrap();
        assert!(far.p < 1e-9 && (90.0..110.0).contains(&far.typical), "{far:?}");
        assert!(Population::default().score(1.0).is_none());
    }

    #[test]
    fn a_value_that_never_came_is_rare_unless_such_values_always_come() {
        let (mut steady, mut restless) = (Values::default(), Values::default());
        for n in 0..1_000 {
            steady.learn([("GET", 0), ("POST", 0)].into_iter(), true);
            restless.learn([("GET", 0), (format!("id-{n}").as_str(), 0)].into_iter(), true);
        }
        assert!(steady.score("TRACE", false).unwrap().p < 1e-3);
        assert!(steady.score("GET", true).is_none(), "it is not new");
        assert!(steady.score("GET", false).unwrap().p > 0.9);
        assert!(restless.score("id-x", false).unwrap().p > 0.9, "always another one");
    }

    #[test]
    fn night_is_rare_where_there_is_work_by_day() {
        let mut times = Times::new(1, 0);
        for day in 0..10 {
            for slot in 16..36 {
                times.learn(day * 86_400 + slot * SLOT_SECONDS);
            }
        }
        let at = |hour: i64| times.score(10 * 86_400 + hour * 3_600).unwrap().p;
        assert!(at(12) > 0.9 && at(3) < 0.01, "{} {}", at(12), at(3));
        assert!(times.score(2 * 86_400).is_none(), "too early to tell");
        let mut week = Times::new(7, 0);
        // Monday to Friday, three weeks.
        for day in (0..21).filter(|day| (day + 3) % 7 < 5) {
            week.learn(day * 86_400 + 43_200);
            week.learn(day * 86_400 + 45_000);
        }
        // The 24th and the 26th of January 1970: a Saturday and a Monday.
        let noon = |day: i64| week.score(day * 86_400 + 43_200).unwrap().p;
        assert!(noon(25) > 0.5 && noon(23) < 0.05, "{} {}", noon(25), noon(23));
    }
}
