//! What comes in: something a rule found, whatever found it.

use serde::{Deserialize, Serialize};

use super::matcher::Labels;
use crate::detect::{Anomaly, Severity, State, TemplateNote};
use crate::record::time::NANOS_PER_SECOND;

/// A line that shows what is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Line {
    /// `event.id`, where it is known.
    #[serde(rename = "event.id", default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub time: i64,
    pub line: String,
}

/// One thing that is wrong, as one rule sees it. Times are Unix nanoseconds of the lines' own clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// The same for the same thing, in every run.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    pub service: String,
    #[schema(value_type = String)]
    pub severity: Severity,
    /// 0 to 100; of an anomaly.
    #[serde(default)]
    pub score: f64,
    pub sentence: String,
    pub actual: f64,
    /// What is usual, or the rule's threshold.
    pub typical: f64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub since: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub last: i64,
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ended: Option<i64>,
    /// `name=value`: findings that have one in common, near in time, are one incident.
    pub keys: Vec<String>,
    pub labels: Labels,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub template: Option<TemplateNote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Receivers its rule names, in place of those the routes give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
    /// An incident ends when all its findings have been over for so long: seconds.
    #[serde(default)]
    pub hold_seconds: u64,
}

/// Bytes of a line and of a sentence that are kept; the record has the rest.
const LINE_BYTES_MAX: usize = 1_000;
const SENTENCE_BYTES_MAX: usize = 1_000;
/// Lines and keys of one finding.
const LINES_MAX: usize = 5;
const KEYS_MAX: usize = 12;
/// An influencer that explains less is no reason to put two things together.
const INFLUENCE_MIN: f64 = 0.3;

impl Finding {
    /// An anomaly in the words of this room. `join_on` are the fields whose values tell that two services have one cause.
    pub fn of(anomaly: &Anomaly, join_on: &[String]) -> Self {
        let nanos = |seconds: i64| seconds.saturating_mul(NANOS_PER_SECOND);
        let mut keys = vec![format!("service={}", anomaly.service)];
        if let Some(template) = &anomaly.template {
            keys.push(format!("template={}", template.id));
        }
        if let (Some(field), Some(value)) = (&anomaly.field, &anomaly.value)
            && join_on.contains(field)
        {
            keys.push(format!("{field}={value}"));
        }
        let strong = anomaly.influencers.iter().filter(|i| i.influence >= INFLUENCE_MIN);
        keys.extend(strong.filter(|i| join_on.contains(&i.field)).map(|i| format!("{}={}", i.field, i.value)));
        keys.truncate(KEYS_MAX);
        let mut labels = Labels::new();
        labels.insert("service".to_owned(), anomaly.service.clone());
        labels.insert("detector".to_owned(), anomaly.measure.name().to_owned());
        if let Some(field) = &anomaly.field {
            labels.insert("field".to_owned(), field.clone());
        }
        let line = |example: &crate::detect::Example| Line {
            id: example.id.clone(),
            time: example.time,
            line: cut(&example.line, LINE_BYTES_MAX).to_owned(),
        };
        let ended = match anomaly.state {
            State::Open => None,
            State::Ended | State::Retracted => Some(nanos(anomaly.ended.unwrap_or(anomaly.last))),
        };
        let sentence = match anomaly.state {
            State::Retracted => format!("{} (taken back: lines came late)", anomaly.sentence),
            State::Open | State::Ended => anomaly.sentence.clone(),
        };
        Self {
            id: anomaly.id.clone(),
            rule: String::new(),
            service: anomaly.service.clone(),
            severity: anomaly.severity,
            score: anomaly.score,
            sentence: cut(&sentence, SENTENCE_BYTES_MAX).to_owned(),
            actual: anomaly.actual,
            typical: anomaly.typical,
            since: nanos(anomaly.since),
            last: nanos(anomaly.last.saturating_add(i64::from(anomaly.bucket_seconds))),
            ended,
            keys,
            labels,
            lines: anomaly.examples.iter().take(LINES_MAX).map(line).collect(),
            template: anomaly.template.clone(),
            runbook: None,
            receivers: Vec::new(),
            hold_seconds: 0,
        }
    }
}

/// The first bytes of a text, whole characters only.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
