//! Microsoft Teams, by a workflow's webhook: an Adaptive Card in a message.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Driver, Plan, Request, check_url, shown, text};
use crate::alert::delivery::Delivery;
use crate::alert::guard::Addresses;
use crate::alert::notice::Kind;
use crate::alert::secret::Secret;
use crate::detect::Severity;

/// A message has at most 28 KB: characters that the texts may take, which leaves room for their escapes and the card.
const BODY_MAX: usize = 6_000;
const LINES_MAX: usize = 4_000;
const TITLE_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teams {
    url: Secret,
}

impl Driver for Teams {
    fn kind(&self) -> &'static str {
        "teams"
    }

    fn targets(&self) -> Vec<String> {
        vec![self.url.read().map_or_else(|_| "…".to_owned(), |url| shown(&url))]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        check_url(&self.url.read()?, addresses).map(drop)
    }

    fn plan(&self, delivery: &Delivery, _now: i64) -> Result<Plan, String> {
        let notice = &delivery.notice;
        let color = match (notice.kind, notice.severity) {
            (Kind::Resolve, _) => "Good",
            (_, Severity::Critical | Severity::Major) => "Attention",
            _ => "Warning",
        };
        let block = |text: String| json!({"type": "TextBlock", "text": text, "wrap": true});
        let mut title = block(escaped(&text::chars(&text::headline(notice), TITLE_MAX)));
        title["weight"] = json!("Bolder");
        title["size"] = json!("Medium");
        title["color"] = json!(color);
        let mut body = vec![title];
        let facts = [
            ("service", notice.labels.get("service").cloned().unwrap_or_default()),
            ("since", text::since(notice)),
            ("findings", notice.findings_total.to_string()),
        ];
        let facts: Vec<_> = facts.into_iter().map(|(title, value)| json!({"title": title, "value": value})).collect();
        body.push(json!({"type": "FactSet", "facts": facts}));
        // A line break in a card is an empty line.
        let words = text::chars(&text::body(notice), BODY_MAX).lines().map(escaped).collect::<Vec<_>>().join("\n\n");
        if !words.is_empty() {
            body.push(block(words));
        }
        let lines = text::chars(&text::lines(notice, 500), LINES_MAX);
        if !lines.is_empty() {
            let mut block = block(lines.lines().map(escaped).collect::<Vec<_>>().join("\n\n"));
            block["fontType"] = json!("Monospace");
            body.push(block);
        }
        let actions = [("Open the incident", &notice.url), ("Runbook", &notice.runbook)];
        let actions: Vec<_> = actions
            .iter()
            .filter_map(|(title, url)| {
                url.as_ref().map(|url| json!({"type": "Action.OpenUrl", "title": title, "url": url}))
            })
            .collect();
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": body, "actions": actions,
        });
        let message = json!({
            "type": "message",
            "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card}],
        });
        Ok(Plan::Http(Request::json(self.url.read()?, &message)))
    }

    fn pace(&self) -> Duration {
        // Four requests a second are allowed.
        Duration::from_millis(300)
    }
}

/// A text without the meaning that Markdown would give it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '<' | '>') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
