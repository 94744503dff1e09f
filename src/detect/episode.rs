//! From findings to anomalies: one for a series and a run of buckets, told once, updated while it lasts, ended when calm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::anomaly::{Anomaly, State};
use super::finding::{Direction, Finding, Measure};

/// Without anything out of the ordinary for so long an anomaly has ended: seconds.
pub const CALM_SECONDS: i64 = 900;
/// An anomaly that gets so much worse is explained anew.
const WORSE: f64 = 8.0;
/// A part of the missing lines that came late clears a silence.
const CLEARED: f64 = 0.5;

/// Which series of which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    pub service: u32,
    pub field: u16,
    pub measure: Measure,
    pub value: u64,
    pub bucket: u32,
}

impl SeriesKey {
    pub fn of(service: u32, finding: &Finding) -> Self {
        // Which value of a mix stands out most may change from bucket to bucket; the trouble is the same.
        let value = if finding.measure == Measure::Mix { 0 } else { finding.value };
        Self { service, field: finding.field, measure: finding.measure, value, bucket: finding.bucket }
    }
}

/// All anomalies that go on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Episodes {
    open: BTreeMap<SeriesKey, Anomaly>,
}

/// What a finding means for what is known already.
pub enum Verdict {
    /// Tell it.
    New,
    /// The same again, and worse: tell anew what it is.
    Worse,
    /// The same goes on.
    Same,
}

impl Episodes {
    pub fn verdict(&self, key: &SeriesKey, score: f64) -> Verdict {
        match self.open.get(key) {
            None => Verdict::New,
            Some(open) if score >= open.score + WORSE => Verdict::Worse,
            Some(_) => Verdict::Same,
        }
    }

    /// Whether nothing of this series is open.
    pub fn is_news(&self, key: &SeriesKey) -> bool {
        !self.open.contains_key(key)
    }

    /// The group of a new anomaly of a service: that of the oldest one open there.
    pub fn group(&self, service: u32) -> Option<String> {
        let of_service = self.open.iter().filter(|(key, _)| key.service == service).map(|(_, anomaly)| anomaly);
        of_service.min_by_key(|anomaly| anomaly.found).map(|anomaly| anomaly.group.clone())
    }

    /// Notes that it goes on in the bucket at `start`.
    pub fn goes_on(&mut self, key: &SeriesKey, start: i64) {
        if let Some(open) = self.open.get_mut(key) {
            open.last = open.last.max(start);
        }
    }

    /// Puts in a new one, or a new account of one that is open: its identity and beginning stay.
    pub fn put(&mut self, key: SeriesKey, mut anomaly: Anomaly) -> Anomaly {
        if let Some(open) = self.open.get(&key) {
            anomaly.id.clone_from(&open.id);
            anomaly.group.clone_from(&open.group);
            anomaly.since = open.since.min(anomaly.since);
            anomaly.last = open.last.max(anomaly.last);
            anomaly.found = open.found;
            anomaly.late_lines = open.late_lines;
        }
        self.open.insert(key, anomaly.clone());
        anomaly
    }

    /// Ends what is calm at `now`; gives what ended.
    pub fn end(&mut self, now: i64, ended: &mut Vec<Anomaly>) {
        let calm = |anomaly: &Anomaly| {
            let bucket = i64::from(anomaly.bucket_seconds);
            now >= anomaly.last + bucket + CALM_SECONDS.max(2 * bucket)
        };
        let keys: Vec<SeriesKey> = self.open.iter().filter(|(_, open)| calm(open)).map(|(key, _)| *key).collect();
        for anomaly in keys.iter().filter_map(|key| self.open.remove(key)) {
            let end = anomaly.last + i64::from(anomaly.bucket_seconds);
            ended.push(Anomaly { state: State::Ended, ended: Some(end), ..anomaly });
        }
    }

    /// A line of a closed bucket came late: of a service, a pod and a node (by their hashes). What said that lines were missing
    /// may be taken back.
    pub fn late(&mut self, service: u32, [pod, node]: [Option<u64>; 2], start: i64, out: &mut Vec<Anomaly>) {
        let mut cleared = Vec::new();
        for (key, anomaly) in &mut self.open {
            // Those of all services together are number 0, and their values are nodes.
            let own = key.service == service && (key.value == 0 || pod == Some(key.value));
            let of_all = key.service == 0 && (key.value == 0 || node == Some(key.value));
            if !own && !of_all {
                continue;
            }
            if start < anomaly.since || start > anomaly.last {
                continue;
            }
            anomaly.late_lines += 1;
            let missing = matches!(anomaly.measure, Measure::Lines | Measure::Silence | Measure::Rate)
                && matches!(anomaly.direction, Direction::Low);
            let buckets = (anomaly.last - anomaly.since) / i64::from(anomaly.bucket_seconds) + 1;
            if missing && anomaly.late_lines as f64 >= CLEARED * anomaly.typical * buckets as f64 {
                cleared.push(*key);
            }
        }
        for anomaly in cleared.iter().filter_map(|key| self.open.remove(key)) {
            let end = anomaly.last + i64::from(anomaly.bucket_seconds);
            out.push(Anomaly { state: State::Retracted, ended: Some(end), ..anomaly });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.open.values()
    }
}

/// An anomaly's id: 16 hex digits of its series, the width of its buckets, its beginning, and when it was found. A series of a minute
/// and one of ten of the same thing begin at the same time now and then; and what is taken back may come again.
pub fn id(series: &str, bucket_seconds: u32, since: i64, found: i64) -> String {
    format!("{:016x}", xxh3_64(format!("{series}/{bucket_seconds}@{since}/{found}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_anomalies_have_one_id() {
        let one = id("shop/duration/p95/-", 60, 1_200, 1_270);
        for other in [
            id("shop/duration/p95/-", 600, 1_200, 1_270),
            id("shop/duration/p95/-", 60, 1_260, 1_270),
            id("shop/duration/p95/-", 60, 1_200, 1_900),
            id("shop/duration/median/-", 60, 1_200, 1_270),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(one, id("shop/duration/p95/-", 60, 1_200, 1_270));
    }
}
