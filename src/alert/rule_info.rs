//! A rule as people see it: what it asks for, who is told, and what is open by it now.

use serde::Serialize;

use super::matcher::Labels;
use super::rule::{Condition, Rule, Test};
use crate::detect::Severity;

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RuleInfo {
    pub name: String,
    pub condition: ConditionInfo,
    /// The condition must hold, and then be over, for so long.
    pub for_seconds: u64,
    pub close_after_seconds: u64,
    /// In place of the anomaly's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    #[schema(value_type = Object)]
    pub labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// In place of those that the routes give.
    pub receivers: Vec<String>,
    /// Time intervals in which it works; always where empty.
    pub schedule: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_seconds: Option<u64>,
    /// Open incidents with a finding of it.
    pub incidents: Vec<String>,
}

/// What a rule asks for: the one that is there.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct ConditionInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomalies: Option<AnomaliesInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_template: Option<NewTemplateInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryInfo>,
}

/// An empty list allows everything.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AnomaliesInfo {
    pub score_min: f64,
    pub services: Vec<String>,
    pub detectors: Vec<String>,
    pub fields: Vec<String>,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct NewTemplateInfo {
    pub services: Vec<String>,
    pub texts: Vec<String>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QueryInfo {
    pub q: String,
    /// The number is the lines' share of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    pub window_seconds: u64,
    /// One number for each value of this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `above`, `below` or `absent`.
    pub test: &'static str,
    pub limit: f64,
    /// Beyond this it closes.
    pub close: f64,
}

impl RuleInfo {
    /// `incidents`: the open ones with a finding of it.
    pub fn new(rule: &Rule, incidents: Vec<String>) -> Self {
        let condition = match &rule.condition {
            Condition::Anomalies(which) => {
                let which = which.clone();
                let info = AnomaliesInfo {
                    score_min: which.score_min,
                    services: which.services,
                    detectors: which.detectors,
                    fields: which.fields,
                    values: which.values,
                };
                ConditionInfo { anomalies: Some(info), ..ConditionInfo::default() }
            }
            Condition::NewTemplate(which) => {
                let info = NewTemplateInfo { services: which.services.clone(), texts: which.texts.clone() };
                ConditionInfo { new_template: Some(info), ..ConditionInfo::default() }
            }
            Condition::Query(query) => {
                let info = QueryInfo {
                    q: query.q.clone(),
                    of: query.of.clone(),
                    window_seconds: query.window.as_secs(),
                    by: query.by.clone(),
                    test: match query.test {
                        Test::Above(_) => "above",
                        Test::Below(_) => "below",
                        Test::Absent => "absent",
                    },
                    limit: query.test.limit(),
                    close: query.close,
                };
                ConditionInfo { query: Some(info), ..ConditionInfo::default() }
            }
        };
        Self {
            name: rule.name.clone(),
            condition,
            for_seconds: rule.hold_open.as_secs(),
            close_after_seconds: rule.hold_close.as_secs(),
            severity: rule.severity,
            labels: rule.labels.clone(),
            runbook: rule.runbook.clone(),
            receivers: rule.receivers.clone(),
            schedule: rule.schedule.clone(),
            repeat_seconds: rule.repeat.map(|repeat| repeat.as_secs()),
            incidents,
        }
    }
}
