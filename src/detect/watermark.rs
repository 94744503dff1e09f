//! How far each source has told its story: no line before a source's watermark is expected from it any more.
//!
//! A source is one shipper. Its watermark is the latest time it has told, less how much out of order its lines come. A source
//! whose clock runs ahead of the others' is set back by what it leads, so that its future does not close their present.

use serde::{Deserialize, Serialize};

use crate::record::time::NANOS_PER_SECOND;

/// A source that is this far behind the newest one does not hold the others up: its silence is then its own news.
const LIVE_SECONDS: i64 = 90;
/// Lines this late are late however often it happens: a bucket does not wait longer for anybody.
const LATENESS_MAX_SECONDS: i64 = 120;
/// A lead less than this is jitter of the way, not a clock.
const SKEW_MIN_SECONDS: i64 = 30;
/// Batches over which a lead is averaged, about.
const LEAD_MEMORY: f64 = 8.0;

/// One shipper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The latest corrected time it has told: Unix seconds.
    pub newest: i64,
    /// About the 99th part in a hundred of how far its lines lie behind its newest: seconds.
    lateness: f64,
    /// How far its times lead their arrival, averaged: seconds, negative where they lag.
    lead: f64,
    batches: u64,
    /// Taken off its times: seconds.
    pub skew: i64,
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sources {
    sources: Vec<Source>,
    newest: i64,
}

impl Sources {
    /// A new source; its number.
    pub fn add(&mut self) -> u32 {
        self.sources.push(Source { newest: i64::MIN, lateness: 2.0, lead: 0.0, batches: 0, skew: 0 });
        self.sources.len() as u32 - 1
    }

    pub fn get(&self, source: u32) -> &Source {
        &self.sources[source as usize]
    }

    /// A batch's newest time, before its lines are taken: settles whether the source's clock is ahead. `newest` and
    /// `received_at` in Unix seconds. True when the skew changed.
    pub fn arrived(&mut self, source: u32, newest: i64, received_at: i64) -> bool {
        let lead = (newest - received_at) as f64;
        let fleet = self.fleet_lead(source);
        let s = &mut self.sources[source as usize];
        s.batches += 1;
        s.lead += (lead - s.lead) / (s.batches as f64).min(LEAD_MEMORY);
        // Where all are ahead, a replay runs or this machine's clock is wrong; where one is, its clock is. Without
        // others to compare with nobody can tell, and nothing is corrected.
        let ahead = fleet.is_some_and(|fleet| fleet < SKEW_MIN_SECONDS as f64) && lead > SKEW_MIN_SECONDS as f64;
        let lead = lead.round() as i64;
        // At once: a minute of its future would close everybody's present. Lines of a batch are on their way for some
        // seconds, so the largest lead is the clock's, and a little less is the way.
        let skew = match ahead {
            true if lead > s.skew || s.skew - lead > SKEW_MIN_SECONDS => lead,
            true => s.skew,
            false => 0,
        };
        let changed = (skew - s.skew).abs() > 5;
        s.skew = skew;
        if changed {
            s.newest = s.newest.min(newest - skew);
        }
        changed
    }

    /// Takes a line's time, Unix nanoseconds; gives it corrected.
    #[inline]
    pub fn saw(&mut self, source: u32, time: i64) -> i64 {
        let s = &mut self.sources[source as usize];
        let time = time - s.skew * NANOS_PER_SECOND;
        let seconds = time.div_euclid(NANOS_PER_SECOND);
        if seconds >= s.newest {
            s.newest = seconds;
            // What is in order says little; it lowers slowly, so that what is not says it for a while.
            s.lateness -= s.lateness * 1e-5;
            self.newest = self.newest.max(seconds);
        } else {
            let behind = ((s.newest - seconds).min(LATENESS_MAX_SECONDS)) as f64;
            // A quantile by steps: up 99 for each one down.
            s.lateness += if behind > s.lateness { (behind - s.lateness) * 0.05 } else { -s.lateness * 0.0005 };
        }
        time
    }

    /// The latest time of all: Unix seconds.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// Moves the time of all on though nothing came: what is silent is known to be. Unix seconds.
    pub fn advance(&mut self, to: i64) {
        self.newest = self.newest.max(to);
    }

    /// Up to where these sources have told their story: Unix seconds. Where none of them is live, up to where the live
    /// ones of all would have.
    pub fn watermark(&self, of: impl Iterator<Item = u32>) -> i64 {
        let live_from = self.newest - LIVE_SECONDS;
        let marks = of.map(|source| &self.sources[source as usize]).filter(|s| s.newest >= live_from);
        marks.map(Source::watermark).min().unwrap_or(live_from)
    }

    fn fleet_lead(&self, but: u32) -> Option<f64> {
        let mut leads: Vec<f64> = self
            .sources
            .iter()
            .enumerate()
            .filter(|(at, s)| *at as u32 != but && s.batches > 0)
            .map(|(_, s)| s.lead)
            .take(64)
            .collect();
        if leads.is_empty() {
            return None;
        }
        leads.sort_unstable_by(f64::total_cmp);
        Some(leads[leads.len() / 2])
    }
}

impl Source {
    fn watermark(&self) -> i64 {
        self.newest - (self.lateness.ceil() as i64).clamp(1, LATENESS_MAX_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = NANOS_PER_SECOND;

    #[test]
    fn the_slowest_live_source_holds_the_watermark() {
        let mut sources = Sources::default();
        let (a, b) = (sources.add(), sources.add());
        sources.saw(a, 1_000 * S);
        sources.saw(b, 970 * S);
        let both = sources.watermark([a, b].into_iter());
        assert!((960..970).contains(&both), "{both}");
        // b says nothing more: after a while a goes on alone.
        sources.saw(a, 1_200 * S);
        let alone = sources.watermark([a, b].into_iter());
        assert!((1_190..1_200).contains(&alone), "{alone}");
        // Of b alone, what the newest of all allows.
        assert_eq!(sources.watermark([b].into_iter()), 1_200 - LIVE_SECONDS);
    }

    #[test]
    fn a_clock_that_is_ahead_of_the_others_is_set_back() {
        let mut sources = Sources::default();
        let all: Vec<u32> = (0..4).map(|_| sources.add()).collect();
        for at in 0..20i64 {
            for source in &all {
                let now = 10_000 + at * 5;
                let told = if *source == 3 { now + 3_600 } else { now - 1 };
                sources.arrived(*source, told, now);
                sources.saw(*source, told * S);
            }
        }
        assert_eq!(sources.get(3).skew, 3_600);
        assert_eq!((sources.get(0).skew, sources.newest()), (0, 10_095));
        // A replay of the future, where all lead alike, is taken as it is.
        let mut sources = Sources::default();
        let all: Vec<u32> = (0..4).map(|_| sources.add()).collect();
        for source in &all {
            sources.arrived(*source, 99_000, 10_000);
        }
        for source in &all {
            sources.arrived(*source, 99_000, 10_000);
            assert_eq!(sources.get(*source).skew, 0);
        }
    }

    #[test]
    fn disorder_widens_the_wait_within_its_limit() {
        let mut sources = Sources::default();
        let a = sources.add();
        for at in 0..5_000i64 {
            sources.saw(a, at * S);
            sources.saw(a, (at - 40) * S);
        }
        let wait = 4_999 - sources.watermark([a].into_iter());
        assert!((35..=41).contains(&wait), "{wait}");
        for at in 0..5_000i64 {
            sources.saw(a, (at - 100_000) * S);
        }
        assert_eq!(sources.newest() - sources.watermark([a].into_iter()), LATENESS_MAX_SECONDS);
    }
}
