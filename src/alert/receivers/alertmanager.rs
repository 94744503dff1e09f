//! Prometheus Alertmanager, API v2. Each member of a cluster is told; alerts that go on are told again before they would expire.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Driver, Plan, Request, check_url, shown, text};
use crate::alert::delivery::Delivery;
use crate::alert::guard::Addresses;
use crate::alert::notice::{Kind, Notice};
use crate::alert::secret::Secret;
use crate::record::time::format_rfc3339;

/// How often alerts that go on are told again, and how long Alertmanager believes the last time: four of these.
pub const RESEND: Duration = Duration::from_secs(60);
const VALID: i64 = 4 * 60 * 1_000_000_000;
/// Bytes of one annotation.
const ANNOTATION_BYTES_MAX: usize = 4_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Every member: `http://alertmanager-0:9093`. Not a balancer in front of them.
    urls: Vec<String>,
    /// `Authorization: Bearer …`
    bearer: Option<Secret>,
}

impl Driver for Alertmanager {
    fn kind(&self) -> &'static str {
        "alertmanager"
    }

    fn targets(&self) -> Vec<String> {
        self.urls.iter().map(|url| shown(url)).collect()
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        if self.urls.is_empty() {
            return Err("urls: name every member of the cluster".to_owned());
        }
        for url in &self.urls {
            check_url(url, addresses)?;
        }
        self.bearer.as_ref().map_or(Ok(()), |bearer| bearer.read().map(drop))
    }

    fn plan(&self, delivery: &Delivery, now: i64) -> Result<Plan, String> {
        self.request(delivery.target, &[alert(&delivery.notice, now)]).map(Plan::Http)
    }

    fn resends(&self) -> Option<&Self> {
        Some(self)
    }
}

impl Alertmanager {
    /// Alerts for one member.
    pub fn request(&self, target: usize, alerts: &[Json]) -> Result<Request, String> {
        let base = self.urls.get(target).ok_or("this member is not in the configuration any more")?;
        let url = format!("{}/api/v2/alerts", base.trim_end_matches('/'));
        let mut request = Request::json(url, &json!(alerts));
        if let Some(bearer) = &self.bearer {
            request.headers.push(("authorization", format!("Bearer {}", bearer.read()?)));
        }
        Ok(request)
    }

    pub fn members(&self) -> usize {
        self.urls.len()
    }
}

/// One alert. Its labels are what it is known by, so nothing that changes is among them.
fn alert(notice: &Notice, now: i64) -> Json {
    let mut labels = Map::new();
    for (name, value) in &notice.labels {
        if name != "severity" && name != "incident" && !value.is_empty() {
            labels.insert(label_name(name), json!(value));
        }
    }
    let name = notice.labels.get("rule").map_or("loghound", String::as_str);
    labels.insert("alertname".to_owned(), json!(name));
    labels.insert("severity".to_owned(), json!(notice.severity_opened.name()));
    labels.insert("incident".to_owned(), json!(notice.key));
    labels.insert("source".to_owned(), json!("loghound"));
    let mut annotations = Map::new();
    let mut note = |name: &str, value: String| {
        if !value.is_empty() {
            annotations.insert(name.to_owned(), json!(crate::alert::finding::cut(&value, ANNOTATION_BYTES_MAX)));
        }
    };
    note("summary", notice.title.clone());
    note("description", text::body(notice));
    note("current_severity", notice.severity.name().to_owned());
    note("lines", text::lines(notice, 500));
    note("runbook_url", notice.runbook.clone().unwrap_or_default());
    note("findings", notice.findings_total.to_string());
    let ends = match notice.kind {
        Kind::Resolve => notice.ended.unwrap_or(now),
        _ => now.saturating_add(VALID),
    };
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": format_rfc3339(notice.since.min(ends)),
        "endsAt": format_rfc3339(ends),
    });
    if let Some(url) = &notice.url {
        alert["generatorURL"] = json!(url);
    }
    alert
}

/// Alerts to be told again.
pub fn batch(notices: &[Notice], now: i64) -> Vec<Json> {
    notices.iter().map(|notice| alert(notice, now)).collect()
}

/// Prometheus' label names have letters, digits and underscores.
fn label_name(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let text: String = name.chars().map(fit).collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("_{text}") } else { text }
}
