//! What people say of anomalies: useful, false alarm, expected; and what that makes of the detectors' precision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anomaly::{Anomaly, STREAMING};

/// What somebody says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Something was wrong, and it was good to know.
    Useful,
    /// Nothing was wrong.
    FalseAlarm,
    /// It happened, and everybody knew that it would: a load test, a migration.
    Expected,
}

impl Label {
    /// With the names people type.
    pub const ALL: [(&'static str, Self); 3] =
        [("useful", Self::Useful), ("false_alarm", Self::FalseAlarm), ("expected", Self::Expected)];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, label)| *label == self).map_or("", |(name, _)| name)
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, label)| *label)
    }
}

/// Anomalies of one detector on one field, or one value of it, of one service: the narrowest that is still a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rule {
    pub service: String,
    /// What is watched: `rate`, `p95`, `new`.
    pub detector: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Rule {
    /// The narrowest that has this anomaly. What is new has another value each time, so news is told apart by its field.
    pub fn of(anomaly: &Anomaly) -> Self {
        let value = anomaly.value.clone().filter(|_| anomaly.measure != super::Measure::New);
        Self {
            service: anomaly.service.clone(),
            detector: anomaly.measure.name().to_owned(),
            field: anomaly.field.clone(),
            value,
        }
    }

    pub fn hides(&self, anomaly: &Anomaly) -> bool {
        self.service == anomaly.service
            && self.detector == anomaly.measure.name()
            && self.field == anomaly.field
            && (self.value.is_none() || self.value == anomaly.value)
    }
}

/// One person's word on one anomaly. It stays when the anomaly is forgotten, so it holds what counting needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Feedback {
    pub anomaly: String,
    pub label: Label,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(flatten)]
    pub rule: Rule,
    /// The model that found it.
    pub version: String,
}

/// How often a detector of a model was right, by what people said.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Precision {
    pub detector: String,
    pub version: String,
    pub useful: u64,
    pub false_alarm: u64,
    /// Right, and known before: it counts neither way.
    pub expected: u64,
    /// Useful ones among those that are useful or false alarms; none where there is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
}

/// By detector and version. Of several words on one anomaly the last counts.
pub fn precision<'f>(all: impl Iterator<Item = &'f Feedback>) -> Vec<Precision> {
    let mut last: BTreeMap<&str, &Feedback> = BTreeMap::new();
    for feedback in all {
        let known = last.entry(&feedback.anomaly).or_insert(feedback);
        if (&feedback.at, &feedback.by) > (&known.at, &known.by) {
            *known = feedback;
        }
    }
    let mut counts: BTreeMap<(&str, &str), [u64; 3]> = BTreeMap::new();
    for feedback in last.values() {
        let version = if feedback.version.is_empty() { STREAMING } else { &feedback.version };
        let counts = counts.entry((&feedback.rule.detector, version)).or_default();
        counts[feedback.label as usize] += 1;
    }
    let row = |((detector, version), [useful, false_alarm, expected]): ((&str, &str), [u64; 3])| Precision {
        detector: detector.to_owned(),
        version: version.to_owned(),
        useful,
        false_alarm,
        expected,
        precision: (useful + false_alarm > 0).then(|| useful as f64 / (useful + false_alarm) as f64),
    };
    counts.into_iter().map(row).collect()
}

/// What a rule would have hidden of the anomalies that are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// Anomalies that are kept, and those that the rule would have hidden.
    pub of: u64,
    pub hidden: u64,
    /// Of these, as their severity was.
    pub major: u64,
    pub critical: u64,
    /// Of these, those that somebody called useful: a reason to think twice.
    pub useful: u64,
    /// The newest of them.
    pub examples: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feedback(anomaly: &str, label: Label, by: &str, at: &str, detector: &str) -> Feedback {
        let rule = Rule { service: "web".into(), detector: detector.into(), field: None, value: None };
        let (by, at, anomaly) = (by.into(), at.into(), anomaly.into());
        Feedback { anomaly, label, by, at, note: String::new(), rule, version: String::new() }
    }

    #[test]
    fn the_last_word_on_an_anomaly_counts() {
        let all = [
            feedback("1", Label::Useful, "ann", "2026-01-01T00:00:00Z", "rate"),
            feedback("1", Label::FalseAlarm, "bob", "2026-01-02T00:00:00Z", "rate"),
            feedback("2", Label::Useful, "ann", "2026-01-01T00:00:00Z", "rate"),
            feedback("3", Label::Expected, "ann", "2026-01-01T00:00:00Z", "rate"),
            feedback("4", Label::Expected, "ann", "2026-01-01T00:00:00Z", "new"),
        ];
        let told = precision(all.iter());
        let rows: Vec<_> = told
            .iter()
            .map(|p| (p.detector.as_str(), p.version.as_str(), p.useful, p.false_alarm, p.expected, p.precision))
            .collect();
        assert_eq!(rows, [("new", STREAMING, 0, 0, 1, None), ("rate", STREAMING, 1, 1, 1, Some(0.5))]);
    }

    #[test]
    fn labels_have_the_names_json_has() {
        for (name, label) in Label::ALL {
            assert_eq!(serde_json::to_value(label).unwrap(), name);
            assert_eq!((Label::of(name), label.name()), (Some(label), name));
        }
        assert_eq!(Label::of("great"), None);
    }
}
