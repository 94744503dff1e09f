//! PagerDuty, Events API v2.

use serde::Deserialize;
use serde_json::json;

use super::{Driver, Plan, Request, check_url, shown, text};
use crate::alert::delivery::{Delivery, Outcome};
use crate::alert::guard::Addresses;
use crate::alert::notice::Kind;
use crate::alert::secret::Secret;
use crate::detect::Severity;
use crate::record::time::format_rfc3339;

const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Characters of a summary, and of a key.
const SUMMARY_MAX: usize = 1_024;
const KEY_MAX: usize = 255;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration key, 32 characters.
    routing_key: Secret,
    #[serde(default = "url")]
    url: String,
}

fn url() -> String {
    URL.to_owned()
}

impl Driver for PagerDuty {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn targets(&self) -> Vec<String> {
        vec![shown(&self.url)]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        check_url(&self.url, addresses)?;
        match self.routing_key.read()?.len() {
            32 => Ok(()),
            n => Err(format!("routing_key: it has 32 characters, not {n}")),
        }
    }

    fn plan(&self, delivery: &Delivery, _now: i64) -> Result<Plan, String> {
        let notice = &delivery.notice;
        let dedup_key = text::chars(&notice.key, KEY_MAX);
        let routing_key = self.routing_key.read()?;
        if notice.kind == Kind::Resolve {
            let body = json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key});
            return Ok(Plan::Http(Request::json(self.url.clone(), &body)));
        }
        let severity = match (notice.kind, notice.severity) {
            (Kind::Digest | Kind::Test, _) | (_, Severity::Warning) => "info",
            (_, Severity::Minor) => "warning",
            (_, Severity::Major) => "error",
            (_, Severity::Critical) => "critical",
        };
        let service = notice.labels.get("service").filter(|service| !service.is_empty());
        let first = notice.findings.first();
        let mut body = json!({
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": dedup_key,
            "client": "loghound",
            "payload": {
                "summary": text::chars(&notice.title, SUMMARY_MAX),
                "source": service.map_or("loghound", String::as_str),
                "severity": severity,
                "timestamp": format_rfc3339(notice.since),
                "component": service,
                "group": notice.labels.get("kubernetes.namespace"),
                "class": notice.labels.get("rule"),
                "custom_details": {
                    "findings": notice.findings.iter().map(|finding| &finding.sentence).collect::<Vec<_>>(),
                    "findings_total": notice.findings_total,
                    "actual": first.map(|finding| finding.actual),
                    "typical": first.map(|finding| finding.typical),
                    "lines": notice.lines.iter().map(|line| &line.line).collect::<Vec<_>>(),
                    "template": notice.template.as_ref().and_then(|template| template.difference.as_ref()),
                    "deploys": notice.deploys,
                    "labels": notice.labels,
                },
            },
        });
        let links = [("incident", &notice.url), ("runbook", &notice.runbook)];
        let links: Vec<_> =
            links.iter().filter_map(|(text, url)| url.as_ref().map(|url| json!({"href": url, "text": text}))).collect();
        if let Some(url) = &notice.url {
            body["client_url"] = json!(url);
        }
        body["links"] = json!(links);
        Ok(Plan::Http(Request::json(self.url.clone(), &body)))
    }

    fn judge(&self, status: u16, body: &str, retry_after: Option<std::time::Duration>) -> Outcome {
        let mut outcome = Outcome::of_status(status, body, retry_after);
        // 202 is the documented answer; another 2xx comes from something in between.
        if outcome.taken() && status != 202 {
            outcome.error = format!("answered {status} where PagerDuty answers 202: is something in between?");
        }
        outcome
    }
}
