//! Slack, by an incoming webhook: one message each, for a webhook can neither edit nor thread.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Driver, Plan, Request, check_url, shown, text};
use crate::alert::delivery::{Delivery, Outcome};
use crate::alert::guard::Addresses;
use crate::alert::secret::Secret;

/// Characters: of a section, of a header, and of what one message takes in practice.
const SECTION_MAX: usize = 3_000;
const HEADER_MAX: usize = 150;
const LINE_BYTES_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    url: Secret,
}

impl Driver for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn targets(&self) -> Vec<String> {
        vec![self.url.read().map_or_else(|_| "…".to_owned(), |url| shown(&url))]
    }

    fn check(&self, addresses: &Addresses) -> Result<(), String> {
        check_url(&self.url.read()?, addresses).map(drop)
    }

    fn plan(&self, delivery: &Delivery, _now: i64) -> Result<Plan, String> {
        let notice = &delivery.notice;
        let headline = text::headline(notice);
        let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
        let head = text::chars(&format!("{} {headline}", text::emoji(notice)), HEADER_MAX);
        let mut blocks = vec![
            json!({"type": "header", "text": {"type": "plain_text", "text": head, "emoji": true}}),
            section(escaped(&text::body(notice), SECTION_MAX)),
        ];
        let lines = text::lines(notice, LINE_BYTES_MAX);
        if !lines.is_empty() {
            // Three backticks would end the block.
            let lines = escaped(&lines.replace("```", "'''"), SECTION_MAX - 8);
            blocks.push(section(format!("```\n{lines}\n```")));
        }
        blocks.retain(|block| block["text"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let body = json!({"text": escaped(&headline, SECTION_MAX), "blocks": blocks});
        Ok(Plan::Http(Request::json(self.url.read()?, &body)))
    }

    fn judge(&self, status: u16, body: &str, retry_after: Option<Duration>) -> Outcome {
        let mut outcome = Outcome::of_status(status, body, retry_after);
        // A channel that is gone does not come back by trying.
        let gone = ["channel_is_archived", "channel_not_found", "no_service", "action_prohibited", "invalid_payload"];
        outcome.permanent |= gone.iter().any(|word| body.contains(word)) && !outcome.taken();
        outcome
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Slack's three special characters, within a number of characters that counts them as they are written.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = max.saturating_sub(1);
    for c in text.chars() {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let cost = piece.len().max(1);
        if cost > left {
            out.push('…');
            break;
        }
        left -= cost;
        if piece.is_empty() {
            out.push(c);
        } else {
            out.push_str(piece);
        }
    }
    out
}
