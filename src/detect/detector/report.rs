//! From the findings of a bucket to anomalies that are told.

use super::{CLUSTER, Detector, LOOK_SECONDS};
use crate::detect::anomaly::{Anomaly, Example, State, Words, sentence};
use crate::detect::common::Shift;
use crate::detect::episode::{SeriesKey, Verdict, id};
use crate::detect::finding::{Condition, Direction, Finding, Measure, NO_FIELD};
use crate::detect::influence::influencers;
use crate::detect::judge::{self, Ruling};
use crate::detect::score::{Severity, score};
use crate::detect::service::{Bucket, NODE_PLACE, StreamInfo, holds, text_hash};
use crate::detect::watched::BUCKET_SECONDS;

/// Looks at a bucket until it is closed, which is as many chances to be wrong.
const LOOKS: f64 = BUCKET_SECONDS as f64 / LOOK_SECONDS as f64;
/// An open bucket is told of only from this score on: closing it is a minute away.
const OPEN_SCORE_MIN: f64 = 50.0;
/// Example lines of an anomaly.
const EXAMPLES_MAX: usize = 5;
/// Findings that have so large a part of their records in common are one.
const ALIKE: f64 = 0.7;
/// Where so small a part of all services' lines is left, nothing is to be learned from how much of one's.
const ALL_GONE: f64 = 0.1;
/// A clock that is ahead makes every picture wrong, and pages nobody at night.
const SKEW_SCORE: f64 = 60.0;

impl Detector {
    pub(super) fn close(&mut self, at: usize, findings: &mut Vec<Finding>) {
        findings.clear();
        let bucket = self.services[at].close(findings);
        for finding in self.folded(at, &bucket, std::mem::take(findings)) {
            self.report(at, &bucket, finding, 1.0, self.settings.score_min);
        }
    }

    pub(super) fn report_open(&mut self, at: usize, findings: &mut Vec<Finding>) {
        // Few are worth the copy of their bucket.
        let promising = |f: &Finding| score(f.p, f.bucket, self.looks(LOOKS)) >= OPEN_SCORE_MIN;
        findings.retain(promising);
        if findings.is_empty() {
            return;
        }
        if let Some(bucket) = self.services[at].take_first_open() {
            for finding in self.folded(at, &bucket, std::mem::take(findings)) {
                self.report(at, &bucket, finding, LOOKS, OPEN_SCORE_MIN);
            }
            self.services[at].put_back(bucket);
        }
    }

    /// Chances to be wrong in a bucket.
    pub(super) fn looks(&self, times: f64) -> f64 {
        self.series as f64 * times
    }

    /// Of findings that speak of the same records only the most unlikely one: a file's name, its template and its logger rise
    /// together. What is told already goes on being told by the same series.
    pub(super) fn folded(&self, at: usize, bucket: &Bucket, mut findings: Vec<Finding>) -> Vec<Finding> {
        let is_news = |finding: &Finding| self.episodes.is_news(&SeriesKey::of(at as u32, finding));
        findings.retain(|f| score(f.p, f.bucket, self.looks(1.0)) >= self.settings.score_min);
        findings.sort_by(|a, b| is_news(a).cmp(&is_news(b)).then(a.p.total_cmp(&b.p)).then(a.field.cmp(&b.field)));
        let mut masks: Vec<u128> = Vec::new();
        findings.retain(|finding| {
            if matches!(finding.condition, Condition::All | Condition::None) {
                return true;
            }
            let mask = bucket.sample.mask(|kept| holds(finding.condition, &kept.values, kept.parsed));
            let alike = |other: &u128| (mask & other).count_ones() as f64 >= ALIKE * (mask | other).count_ones() as f64;
            if mask != 0 && masks.iter().any(alike) {
                return false;
            }
            masks.push(mask);
            true
        });
        findings
    }

    pub(super) fn report(&mut self, at: usize, bucket: &Bucket, finding: Finding, times: f64, score_min: f64) {
        let finding = judge::in_proportion(&self.services[at], bucket, finding);
        let raw = score(finding.p, finding.bucket, self.looks(times));
        if raw < score_min {
            return;
        }
        let start = if finding.bucket as i64 == BUCKET_SECONDS {
            bucket.start
        } else {
            bucket.start - i64::from(finding.bucket)
        };
        let shift = self.shift(&finding, start);
        let apart = if at > 0 { self.apart(at, &finding, start, shift.as_ref()) } else { None };
        let raw = apart.map_or(raw, |left| score(left.p, left.bucket, self.looks(times)));
        let service = &self.services[at];
        let gone = |pod: u64| self.is_node_gone(at, pod);
        let Ruling { finding, score_max } = match judge::rule(service, bucket, finding, at == 0, shift.is_some(), gone)
        {
            Some(ruling) => ruling,
            None => return,
        };
        let score = raw.min(score_max);
        if score < score_min {
            return;
        }
        let key = SeriesKey::of(at as u32, &finding);
        match self.episodes.verdict(&key, score) {
            Verdict::Same => return self.episodes.goes_on(&key, start),
            Verdict::New => self.stats.anomalies += 1,
            Verdict::Worse => {}
        }
        let anomaly = self.describe(at, bucket, &finding, score, start);
        let anomaly = self.episodes.put(key, anomaly);
        self.out.push(anomaly);
    }

    /// What all services have in common in the bucket of a finding about lines.
    fn shift(&self, finding: &Finding, start: i64) -> Option<Shift> {
        if !matches!(finding.measure, Measure::Lines | Measure::Silence) {
            return None;
        }
        let now = self.sources.newest();
        let moved = self.services[1..].iter().filter_map(|service| service.moved(finding.bucket, start, now));
        Shift::of(moved, finding.direction)
    }

    /// A service's finding about lines, where all services moved: what is left of it when that is taken off.
    fn apart(&mut self, at: usize, finding: &Finding, start: i64, shift: Option<&Shift>) -> Option<Finding> {
        if !matches!(finding.measure, Measure::Lines | Measure::Silence) {
            return None;
        }
        let factor = self.common.factor(SeriesKey::of(at as u32, finding), start, shift)?;
        let none = Finding { p: 1.0, ..finding.clone() };
        if factor < ALL_GONE {
            return Some(none);
        }
        let left = self.services[at].apart_from(finding.bucket, start, finding.actual, factor);
        Some(left.filter(|left| left.direction == finding.direction).unwrap_or(none))
    }

    /// Whether the node that a pod runs on is silent as a whole.
    pub(super) fn is_node_gone(&self, service: usize, pod: u64) -> bool {
        let of_pod = |info: &&StreamInfo| info.service as usize == service && info.hashes[0] == Some(pod);
        let node = self.streams.iter().rev().find(of_pod).and_then(|info| info.hashes[1]);
        node.is_some_and(|node| self.services[0].is_silent(NODE_PLACE, node))
    }

    pub(super) fn describe(&self, at: usize, bucket: &Bucket, finding: &Finding, score: f64, start: i64) -> Anomaly {
        let service = &self.services[at];
        let field = (finding.field != NO_FIELD).then(|| &*service.fields[finding.field as usize].name);
        let influencers = influencers(service, bucket, finding);
        let name = if at == 0 { finding.shown.as_str() } else { &service.name };
        let name = if name.is_empty() { CLUSTER } else { name };
        let value = (!finding.shown.is_empty()).then(|| finding.shown.clone());
        let series = [name, field.unwrap_or("-"), finding.measure.name(), value.as_deref().unwrap_or("-")].join("/");
        let shift = self.shift(finding, start).filter(|_| at == 0);
        let mut text = sentence(&Words {
            service: name,
            field,
            value: &finding.shown,
            measure: finding.measure,
            actual: finding.actual,
            typical: finding.typical,
            low: finding.low,
            high: finding.high,
            bucket_seconds: finding.bucket,
            since: start,
            influencers: &influencers,
        });
        if let Some(shift) = shift {
            text.push_str("; ");
            text.push_str(&shift.words());
        }
        let id = id(&series, finding.bucket, start, self.sources.newest());
        Anomaly {
            group: self.episodes.group(at as u32).unwrap_or_else(|| id.clone()),
            id,
            service: name.to_owned(),
            measure: finding.measure,
            field: field.map(str::to_owned),
            value,
            score,
            severity: Severity::of(score),
            probability: finding.p,
            direction: finding.direction,
            actual: finding.actual,
            typical: finding.typical,
            low: finding.low,
            high: finding.high,
            bucket_seconds: finding.bucket,
            since: start,
            last: start,
            found: self.sources.newest(),
            ended: None,
            state: State::Open,
            sentence: text,
            influencers,
            examples: Self::examples(bucket, finding.condition),
            late_lines: 0,
            template: None,
            version: self.version.clone(),
            series,
        }
    }

    pub(super) fn examples(bucket: &Bucket, condition: Condition) -> Vec<Example> {
        let meant = bucket.sample.records().filter(|(kept, _)| holds(condition, &kept.values, kept.parsed));
        let mut kept: Vec<_> = meant.map(|(kept, _)| kept).collect();
        kept.sort_by_key(|kept| (kept.time, kept.id));
        kept.truncate(EXAMPLES_MAX);
        let example = |kept: &crate::detect::sample::Kept| Example {
            id: format!("{:016x}{:016x}", kept.stream, kept.id),
            time: kept.time,
            line: kept.line.to_string(),
        };
        kept.into_iter().map(example).collect()
    }

    /// One source's clock is ahead: a fact, not a probability.
    pub(super) fn skewed(&mut self, source: u32, seconds: i64) {
        let ahead = self.sources.get(source).skew as f64;
        let name = self.source_names[source as usize].clone();
        let finding = Finding {
            measure: Measure::Clock,
            field: NO_FIELD,
            value: text_hash(&name),
            shown: name,
            bucket: BUCKET_SECONDS as u32,
            p: 0.0,
            direction: Direction::High,
            actual: ahead,
            typical: 0.0,
            low: 0.0,
            high: 0.0,
            condition: Condition::None,
        };
        let now = seconds - ahead as i64;
        let start = now - now.rem_euclid(BUCKET_SECONDS);
        let key = SeriesKey::of(0, &finding);
        if matches!(self.episodes.verdict(&key, SKEW_SCORE), Verdict::New) {
            let bucket = Bucket::at(start);
            let anomaly = self.describe(0, &bucket, &finding, SKEW_SCORE, start);
            let anomaly = self.episodes.put(key, anomaly);
            self.stats.anomalies += 1;
            self.out.push(anomaly);
        } else {
            self.episodes.goes_on(&key, start);
        }
    }
}
