//! Opsgenie, and Jira Service Management, which takes the same body at another address.

use serde::Deserialize;
use serde_json::{Map, json};

use super::{Driver, Plan, Request, check_url, shown, text};
use crate::alert::delivery::Delivery;
use crate::alert::guard::Addresses;
use crate::alert::notice::Kind;
use crate::alert::secret::Secret;
use crate::detect::Severity;

/// The address of Opsgenie in the US. In the EU it is `api.eu.opsgenie.com`; Jira Service Management's is
/// `https://api.atlassian.com/jsm/ops/integration/v2/alerts`.
const URL: &str = "https://api.opsgenie.com/v2/alerts";
/// Characters.
const MESSAGE_MAX: usize = 130;
const ALIAS_MAX: usize = 512;
const DESCRIPTION_MAX: usize = 15_000;
const TAG_MAX: usize = 50;
const TAGS_MAX: usize = 20;
const DETAILS_MAX: usize = 8_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opsgenie {
    api_key: Secret,
    #[serde(default = "url")]
    url: String,
}

fn url() -> String {
    URL.to_owned()
}

impl Driver for Opsgenie {
    fn kind(&self) -> &'static str {
        "opsgenie"
    }

    fn targets(&self) -> Vec<String> {
        vec![shown(&self.url)]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        check_url(&self.url, addresses)?;
        self.api_key.read().map(drop)
    }

    fn plan(&self, delivery: &Delivery, _now: i64) -> Result<Plan, String> {
        let notice = &delivery.notice;
        let alias = text::chars(&notice.key, ALIAS_MAX);
        let base = self.url.trim_end_matches('/');
        let mut request = if notice.kind == Kind::Resolve {
            let url = reqwest::Url::parse(base).map(|mut url| {
                if let Ok(mut path) = url.path_segments_mut() {
                    path.push(&alias).push("close");
                }
                url.set_query(Some("identifierType=alias"));
                url.to_string()
            });
            let body = json!({"source": "loghound", "note": text::chars(&notice.title, 25_000)});
            Request::json(url.map_err(|err| err.to_string())?, &body)
        } else {
            let priority = match (notice.kind, notice.severity) {
                (Kind::Test | Kind::Digest, _) | (_, Severity::Warning) => "P5",
                (_, Severity::Minor) => "P3",
                (_, Severity::Major) => "P2",
                (_, Severity::Critical) => "P1",
            };
            let tags = notice.labels.iter().filter(|(name, _)| *name != "incident");
            let tags: Vec<String> =
                tags.take(TAGS_MAX).map(|(name, value)| text::chars(&format!("{name}:{value}"), TAG_MAX)).collect();
            // All details together have a limit, and each is a text.
            let (mut details, mut left) = (Map::new(), DETAILS_MAX);
            let mut detail = |name: &str, value: &str| {
                let value = text::chars(value, left.saturating_sub(name.chars().count()));
                left = left.saturating_sub(name.chars().count() + value.chars().count());
                if !value.is_empty() {
                    details.insert(name.to_owned(), json!(value));
                }
            };
            for (name, value) in &notice.labels {
                detail(name, value);
            }
            detail("since", &text::since(notice));
            detail("url", notice.url.as_deref().unwrap_or_default());
            detail("runbook", notice.runbook.as_deref().unwrap_or_default());
            let lines = text::lines(notice, 500);
            let description =
                if lines.is_empty() { text::body(notice) } else { format!("{}\n\n{lines}", text::body(notice)) };
            let body = json!({
                "message": text::chars(&text::headline(notice), MESSAGE_MAX),
                "alias": alias,
                "description": text::chars(&description, DESCRIPTION_MAX),
                "priority": priority,
                "source": "loghound",
                "entity": notice.labels.get("service").map(|service| text::chars(service, 512)),
                "tags": tags,
                "details": details,
            });
            Request::json(base.to_owned(), &body)
        };
        request.headers.push(("authorization", format!("GenieKey {}", self.api_key.read()?)));
        Ok(Plan::Http(request))
    }
}
