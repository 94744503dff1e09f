//! Rules: what is worth an incident. On anomalies, on queries, on new templates.

use std::time::Duration;

use super::finding::Finding;
use super::matcher::Labels;
use crate::detect::{Anomaly, Measure, Severity};

/// One rule, checked.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub condition: Condition,
    /// The condition must hold for so long.
    pub hold_open: Duration,
    /// It must be over for so long.
    pub hold_close: Duration,
    /// In place of the anomaly's own.
    pub severity: Option<Severity>,
    pub labels: Labels,
    pub runbook: Option<String>,
    /// In place of those the routes give.
    pub receivers: Vec<String>,
    /// Names of time intervals in which it works; always where empty.
    pub schedule: Vec<String>,
    pub repeat: Option<Duration>,
}

#[derive(Debug, Clone)]
pub enum Condition {
    Anomalies(Anomalies),
    NewTemplate(NewTemplate),
    Query(Query),
}

/// Which anomalies. A list that is empty allows everything; `*` in an entry stands for any characters.
#[derive(Debug, Clone, Default)]
pub struct Anomalies {
    pub score_min: f64,
    pub services: Vec<String>,
    pub detectors: Vec<String>,
    pub fields: Vec<String>,
    pub values: Vec<String>,
}

/// Log statements that were never seen before.
#[derive(Debug, Clone, Default)]
pub struct NewTemplate {
    pub services: Vec<String>,
    /// Its text has one of these in it, whatever their case.
    pub texts: Vec<String>,
}

/// A number that a query gives, and from where on it is too much.
#[derive(Debug, Clone)]
pub struct Query {
    /// Lines that count.
    pub q: String,
    /// The number is their share of these, 0 to 1.
    pub of: Option<String>,
    pub window: Duration,
    /// One number for each value of this field.
    pub by: Option<String>,
    pub test: Test,
    /// Closes only beyond this: above a smaller number than it opened, or below a larger.
    pub close: f64,
    /// Of `of`, at least so many lines, else the share says nothing.
    pub lines_min: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    Above(f64),
    Below(f64),
    /// Not a line in the window.
    Absent,
}

impl Test {
    /// Whether the number opens the rule.
    pub fn opens(self, number: f64) -> bool {
        match self {
            Self::Above(limit) => number > limit,
            Self::Below(limit) => number < limit,
            Self::Absent => number == 0.0,
        }
    }

    pub fn limit(self) -> f64 {
        match self {
            Self::Above(limit) | Self::Below(limit) => limit,
            Self::Absent => 0.0,
        }
    }

    /// Too few lines are known only once all of the window's have come.
    pub fn needs_all_lines(self) -> bool {
        !matches!(self, Self::Above(_))
    }
}

impl Query {
    /// Whether the number ends what it opened.
    pub fn closes(&self, number: f64) -> bool {
        match self.test {
            Test::Above(_) => number <= self.close,
            Test::Below(_) => number >= self.close,
            Test::Absent => number > 0.0,
        }
    }

    /// How often it is asked: too many lines are seen as they come, from every 2 s to every 30 s; too few only by the window.
    pub fn every(&self) -> Duration {
        match self.test {
            Test::Above(_) => (self.window / 60).clamp(Duration::from_secs(2), Duration::from_secs(30)),
            Test::Below(_) | Test::Absent => (self.window / 12).clamp(Duration::from_secs(5), Duration::from_secs(300)),
        }
    }
}

impl Rule {
    /// Whether this anomaly is one of those meant, and has lasted long enough.
    pub fn takes(&self, anomaly: &Anomaly) -> bool {
        let allowed = |globs: &[String], value: Option<&str>| {
            globs.is_empty() || value.is_some_and(|value| globs.iter().any(|glob| crate::record::glob(glob, value)))
        };
        match &self.condition {
            Condition::Query(_) => false,
            Condition::Anomalies(which) => {
                let lasted = anomaly.last.saturating_sub(anomaly.since) + i64::from(anomaly.bucket_seconds);
                anomaly.score >= which.score_min
                    && allowed(&which.services, Some(&anomaly.service))
                    && allowed(&which.detectors, Some(anomaly.measure.name()))
                    && allowed(&which.fields, anomaly.field.as_deref())
                    && allowed(&which.values, anomaly.value.as_deref())
                    && (self.hold_open.is_zero() || lasted >= self.hold_open.as_secs() as i64)
            }
            Condition::NewTemplate(which) => {
                let text = anomaly.template.as_ref().map(|template| template.text.to_lowercase());
                anomaly.measure == Measure::New
                    && anomaly.field.as_deref() == Some("template")
                    && allowed(&which.services, Some(&anomaly.service))
                    && (which.texts.is_empty()
                        || text.is_some_and(|text| which.texts.iter().any(|t| text.contains(&t.to_lowercase()))))
            }
        }
    }

    /// The finding in this rule's words.
    pub fn mark(&self, mut finding: Finding) -> Finding {
        finding.rule.clone_from(&self.name);
        finding.severity = self.severity.unwrap_or(finding.severity);
        finding.labels.extend(self.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        finding.runbook.clone_from(&self.runbook);
        finding.receivers.clone_from(&self.receivers);
        finding.hold_seconds = self.hold_close.as_secs();
        finding
    }
}
