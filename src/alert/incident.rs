//! An incident: findings that belong together, what pages somebody. It stays small whatever it takes in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Line};
use super::matcher::Labels;
use crate::detect::Severity;

/// Findings that an incident keeps; further ones are counted, and update what is kept of them.
pub const FINDINGS_MAX: usize = 32;
/// Of these, how many keep their lines.
const WITH_LINES_MAX: usize = 6;
/// Keys that further findings are compared with.
const KEYS_MAX: usize = 128;
/// Deploys and events in its history.
const DEPLOYS_MAX: usize = 10;
const HISTORY_MAX: usize = 50;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    /// Somebody works on it: no reminders.
    Acknowledged,
    /// Over, or closed by a person.
    Resolved,
    /// Part of another one now.
    Merged,
}

/// Something that was done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub at: i64,
    /// Who; empty is loghound itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    pub text: String,
}

/// A new version of something was put into service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deploy {
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub at: i64,
    /// Empty concerns every service.
    #[serde(default)]
    pub service: String,
    pub version: String,
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub url: String,
}

/// Findings that belong together. Times are Unix nanoseconds: of the lines' clock for `since` and `last`, of this machine's
/// for the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Incident {
    /// What every receiver gets as the key.
    pub id: String,
    pub state: State,
    #[schema(value_type = String)]
    pub severity: Severity,
    /// The sentence of the first cause.
    pub title: String,
    pub labels: Labels,
    /// When the first cause began, and when something of it was last seen.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub since: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub last: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub opened: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub updated: i64,
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub resolved: Option<i64>,
    /// By first cause.
    pub findings: Vec<Finding>,
    /// Those that are not kept included.
    pub findings_total: u64,
    pub findings_open: u64,
    /// All findings are over since then.
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub calm_since: Option<i64>,
    pub hold_seconds: u64,
    pub keys: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// Split off by a person: not merged again by the program.
    #[serde(default)]
    pub apart: bool,
    /// Takes everything while more incidents open than anybody could look at.
    #[serde(default)]
    pub storm: bool,
    /// Times it would have been told and was not, because of a silence.
    #[serde(default)]
    pub muted: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deploys: Vec<Deploy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Event>,
    /// Raised with every change worth telling.
    #[serde(default)]
    pub version: u64,
}

impl Incident {
    pub fn new(finding: Finding, now: i64) -> Self {
        let digest = xxhash_rust::xxh3::xxh3_64(format!("{}\n{}", finding.id, finding.since).as_bytes());
        let mut incident = Self {
            id: format!("{digest:016x}"),
            state: State::Open,
            severity: finding.severity,
            title: String::new(),
            labels: Labels::new(),
            since: finding.since,
            last: finding.last,
            opened: now,
            updated: now,
            resolved: None,
            findings: Vec::new(),
            findings_total: 0,
            findings_open: 0,
            calm_since: None,
            hold_seconds: finding.hold_seconds,
            keys: BTreeSet::new(),
            merged_into: None,
            apart: false,
            storm: false,
            muted: 0,
            deploys: Vec::new(),
            history: Vec::new(),
            version: 0,
        };
        incident.note(now, "", "opened");
        incident.attach(finding, now);
        incident
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Acknowledged)
    }

    /// Takes a finding that is new to it.
    pub fn attach(&mut self, finding: Finding, now: i64) {
        self.findings_total += 1;
        self.findings_open += u64::from(finding.ended.is_none());
        self.put(finding, now);
        self.version += 1;
    }

    /// What is known of a finding changed; `was_open` as it was before.
    pub fn update(&mut self, finding: Finding, was_open: bool, now: i64) {
        let is_open = finding.ended.is_none();
        match (was_open, is_open) {
            (true, false) => self.findings_open = self.findings_open.saturating_sub(1),
            (false, true) => self.findings_open += 1,
            _ => {}
        }
        let severity = self.severity;
        // A rule's number comes only when it is clearly worse. That something is over is told once all is.
        let kept = self.findings.iter().find(|kept| kept.id == finding.id);
        let worse =
            finding.id.starts_with("rule/") && is_open && kept.is_some_and(|kept| kept.actual != finding.actual);
        self.put(finding, now);
        self.version += u64::from(self.severity > severity || worse);
    }

    fn put(&mut self, mut finding: Finding, now: i64) {
        self.updated = now;
        self.severity = self.severity.max(finding.severity);
        self.since = self.since.min(finding.since);
        self.last = self.last.max(finding.last);
        self.hold_seconds = self.hold_seconds.max(finding.hold_seconds);
        for key in &finding.keys {
            if self.keys.len() < KEYS_MAX {
                self.keys.insert(key.clone());
            }
        }
        let place = self.findings.iter().position(|kept| kept.id == finding.id);
        let with_lines = self.findings.iter().filter(|kept| !kept.lines.is_empty() && kept.id != finding.id).count();
        if with_lines >= WITH_LINES_MAX {
            finding.lines.clear();
        }
        match place {
            Some(at) => self.findings[at] = finding,
            None => self.findings.push(finding),
        }
        self.findings.sort_by(|a, b| a.since.cmp(&b.since).then(b.score.total_cmp(&a.score)).then(a.id.cmp(&b.id)));
        // The first causes stay; of the others the most severe.
        if self.findings.len() > FINDINGS_MAX {
            let later = self.findings.iter().enumerate().skip(FINDINGS_MAX / 2);
            let least = later.min_by(|(_, a), (_, b)| a.severity.cmp(&b.severity).then(a.score.total_cmp(&b.score)));
            if let Some(at) = least.map(|(at, _)| at) {
                self.findings.remove(at);
            }
        }
        self.calm_since = if self.findings_open == 0 { self.calm_since.or(Some(now)) } else { None };
        self.describe();
    }

    /// Title and labels from the first cause; labels that findings do not agree on are left out, but for `service` and
    /// `rule`, by which people route.
    fn describe(&mut self) {
        let Some(first) = self.findings.first() else { return };
        self.title = if self.storm {
            let mut services: Vec<_> = self.findings.iter().map(|finding| finding.service.as_str()).collect();
            services.sort_unstable();
            services.dedup();
            let (count, names) = (self.findings_total, services.len());
            format!("a storm: {count} findings, {names} services among those kept; first {}", first.sentence)
        } else {
            first.sentence.clone()
        };
        let mut labels = first.labels.clone();
        labels.retain(|name, value| {
            let same = |finding: &Finding| finding.labels.get(name).is_some_and(|other| other == value);
            name == "service" || self.findings.iter().all(same)
        });
        labels.insert("rule".to_owned(), first.rule.clone());
        labels.insert("severity".to_owned(), self.severity.name().to_owned());
        labels.insert("incident".to_owned(), self.id.clone());
        self.labels = labels;
    }

    pub fn into_storm(mut self) -> Self {
        self.storm = true;
        self.describe();
        self
    }

    /// Receivers that the rules of its findings name.
    pub fn receivers(&self) -> BTreeSet<&str> {
        self.findings.iter().flat_map(|finding| finding.receivers.iter().map(String::as_str)).collect()
    }

    pub fn note(&mut self, now: i64, by: &str, text: impl Into<String>) {
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(1);
        }
        self.history.push(Event { at: now, by: by.to_owned(), text: text.into() });
    }

    /// A deploy that may have caused it.
    pub fn deployed(&mut self, deploy: &Deploy) {
        if self.deploys.len() < DEPLOYS_MAX && !self.deploys.contains(deploy) {
            self.deploys.push(deploy.clone());
            self.deploys.sort_by_key(|deploy| deploy.at);
            self.version += 1;
        }
    }

    /// Whether it is about this service.
    pub fn concerns(&self, service: &str) -> bool {
        service.is_empty() || self.keys.contains(&format!("service={service}"))
    }

    /// Everything of `other` becomes part of this one.
    pub fn absorb(&mut self, other: &Self, now: i64) {
        let (total, open) = (self.findings_total + other.findings_total, self.findings_open + other.findings_open);
        for finding in &other.findings {
            self.put(finding.clone(), now);
        }
        for key in other.keys.iter() {
            if self.keys.len() < KEYS_MAX {
                self.keys.insert(key.clone());
            }
        }
        (self.findings_total, self.findings_open) = (total, open);
        self.calm_since = if open == 0 { self.calm_since.or(Some(now)) } else { None };
        for deploy in &other.deploys {
            self.deployed(deploy);
        }
        self.version += 1;
        self.describe();
    }

    /// Takes these findings out, for an incident of their own; `None` where not all of them are kept here, or none would be left.
    pub fn take_out(&mut self, ids: &[String], now: i64) -> Option<Vec<Finding>> {
        let known = ids.iter().all(|id| self.findings.iter().any(|finding| finding.id == *id));
        if ids.is_empty() || !known || ids.len() as u64 >= self.findings_total || ids.len() >= self.findings.len() {
            return None;
        }
        let (out, rest): (Vec<_>, Vec<_>) = self.findings.drain(..).partition(|finding| ids.contains(&finding.id));
        self.findings = rest;
        self.findings_total -= out.len() as u64;
        self.findings_open = self.findings_open.saturating_sub(out.iter().filter(|f| f.ended.is_none()).count() as u64);
        self.keys = self.findings.iter().flat_map(|finding| finding.keys.iter().cloned()).take(KEYS_MAX).collect();
        self.severity = self.findings.iter().map(|finding| finding.severity).max().unwrap_or(self.severity);
        self.since = self.findings.iter().map(|finding| finding.since).min().unwrap_or(self.since);
        self.calm_since = (self.findings_open == 0).then_some(now);
        self.version += 1;
        self.updated = now;
        self.describe();
        Some(out)
    }

    /// All lines that are kept, by time.
    pub fn lines(&self) -> Vec<&Line> {
        let mut lines: Vec<&Line> = self.findings.iter().flat_map(|finding| &finding.lines).collect();
        lines.sort_by(|a, b| a.time.cmp(&b.time).then(a.id.cmp(&b.id)));
        lines.dedup_by(|a, b| a.id == b.id && a.line == b.line);
        lines
    }
}
