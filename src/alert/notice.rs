//! What a receiver is told: the sentence, the numbers, the lines, what changed, where to look. Receivers turn it into their own
//! shape; it has everything they need, so that a message can be sent again after a restart exactly as it was.

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Line, cut};
use super::incident::{Deploy, Incident, State};
use super::matcher::Labels;
use crate::detect::{Severity, TemplateNote};
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

/// What kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The first of its alert.
    Open,
    /// Something was added, or it goes on.
    Update,
    /// It is over.
    Resolve,
    /// Sent because a person asked for it, or to measure the way.
    Test,
    /// What a budget held back.
    Digest,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Resolve => "resolve",
            Self::Test => "test",
            Self::Digest => "digest",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingNote {
    pub service: String,
    pub rule: String,
    pub sentence: String,
    #[schema(value_type = String)]
    pub severity: Severity,
    pub score: f64,
    pub actual: f64,
    pub typical: f64,
    /// RFC 3339.
    pub since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// A message. Texts are as long as loghound keeps them; a receiver cuts them to what its tool takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Notice {
    pub kind: Kind,
    /// The same for all messages about one alert: what the tool knows it by.
    pub key: String,
    pub title: String,
    #[schema(value_type = String)]
    pub severity: Severity,
    /// When the alert was told first: what does not change with it, for tools that take labels for identity.
    #[schema(value_type = String)]
    pub severity_opened: Severity,
    pub labels: Labels,
    /// Unix nanoseconds: when the message was made, when the first cause began, when it was over.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub at: i64,
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub since: i64,
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ended: Option<i64>,
    /// Where it is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    pub incidents: Vec<String>,
    pub findings: Vec<FindingNote>,
    pub findings_total: u64,
    /// The first line, the last, and some between, by time.
    pub lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub template: Option<TemplateNote>,
    /// `4 min after deploy web v1.2.3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deploys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted_by: Vec<String>,
}

/// What one message holds at most.
const FINDINGS_MAX: usize = 10;
const LINES_MAX: usize = 5;
const LINE_BYTES_MAX: usize = 500;
const INCIDENTS_MAX: usize = 20;

impl Notice {
    /// About these incidents, which are one alert; the first is the one that opened it. `external_url` is where people reach
    /// the UI.
    pub fn of(kind: Kind, key: &str, incidents: &[&Incident], external_url: Option<&str>, now: i64) -> Self {
        let mut notice = Self::empty(kind, key, now);
        let Some(first) = incidents.iter().min_by_key(|incident| (!incident.is_open(), incident.since)) else {
            return notice;
        };
        notice.title = match incidents.len() {
            1 => first.title.clone(),
            n => format!("{} (and {} more)", first.title, n - 1),
        };
        notice.severity = incidents.iter().map(|incident| incident.severity).max().unwrap_or(first.severity);
        notice.severity_opened = notice.severity;
        notice.labels = first.labels.clone();
        // Of labels that people route by a group keeps what all agree on.
        notice.labels.retain(|name, value| incidents.iter().all(|incident| incident.labels.get(name) == Some(value)));
        notice.labels.insert("severity".to_owned(), notice.severity.name().to_owned());
        notice.since = incidents.iter().map(|incident| incident.since).min().unwrap_or(now);
        if kind == Kind::Resolve {
            notice.ended = Some(now);
        }
        notice.url = external_url.map(|base| format!("{}/ui/incidents?id={}", base.trim_end_matches('/'), first.id));
        notice.incidents = incidents.iter().map(|incident| incident.id.clone()).take(INCIDENTS_MAX).collect();
        let mut findings: Vec<&Finding> = incidents.iter().flat_map(|incident| &incident.findings).collect();
        findings.sort_by_key(|finding| finding.since);
        notice.runbook = findings.iter().find_map(|finding| finding.runbook.clone());
        notice.template = findings.iter().find_map(|finding| finding.template.clone());
        notice.findings = findings.iter().take(FINDINGS_MAX).map(|finding| note(finding)).collect();
        notice.findings_total = incidents.iter().map(|incident| incident.findings_total).sum();
        let mut lines: Vec<&Line> = incidents.iter().flat_map(|incident| incident.lines()).collect();
        lines.sort_by_key(|line| line.time);
        notice.lines = spread(&lines)
            .map(|line| Line { line: cut(&line.line, LINE_BYTES_MAX).to_owned(), ..line.clone() })
            .collect();
        let deploys = incidents.iter().flat_map(|incident| incident.deploys.iter().map(|d| (incident.since, d)));
        notice.deploys = deploys.map(|(since, deploy)| after(since, deploy)).collect();
        notice.deploys.dedup();
        if incidents.iter().all(|incident| incident.state == State::Merged)
            && let Some(into) = &first.merged_into
        {
            notice.title = format!("{} (now part of incident {into})", notice.title);
        }
        notice
    }

    /// Without an incident: a test, a digest.
    pub fn empty(kind: Kind, key: &str, now: i64) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            title: String::new(),
            severity: Severity::Warning,
            severity_opened: Severity::Warning,
            labels: Labels::new(),
            at: now,
            since: now,
            ended: None,
            url: None,
            runbook: None,
            incidents: Vec::new(),
            findings: Vec::new(),
            findings_total: 0,
            lines: Vec::new(),
            template: None,
            deploys: Vec::new(),
            muted_by: Vec::new(),
        }
    }
}

fn note(finding: &Finding) -> FindingNote {
    FindingNote {
        service: finding.service.clone(),
        rule: finding.rule.clone(),
        sentence: finding.sentence.clone(),
        severity: finding.severity,
        score: finding.score,
        actual: finding.actual,
        typical: finding.typical,
        since: format_rfc3339(finding.since),
        ended: finding.ended.map(format_rfc3339),
    }
}

/// The first, the last, and some evenly between.
fn spread<'a>(lines: &'a [&'a Line]) -> impl Iterator<Item = &'a Line> {
    let (len, shown) = (lines.len(), lines.len().min(LINES_MAX));
    (0..shown).map(move |i| lines[if shown < 2 { 0 } else { i * (len - 1) / (shown - 1) }])
}

/// `4 min after deploy web v1.2.3 by ci`.
pub fn after(since: i64, deploy: &Deploy) -> String {
    let seconds = since.saturating_sub(deploy.at).div_euclid(NANOS_PER_SECOND);
    let (length, order) = (seconds.unsigned_abs(), if seconds >= 0 { "after" } else { "before" });
    let length = match length {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    };
    let mut text = format!("{length} {order} deploy");
    for part in [&deploy.service, &deploy.version] {
        if !part.is_empty() {
            text.push_str(&format!(" {part}"));
        }
    }
    if !deploy.by.is_empty() {
        text.push_str(&format!(" by {}", deploy.by));
    }
    text
}
