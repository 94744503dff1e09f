//! Words that several tools show.

use crate::alert::finding::cut;
use crate::alert::notice::{Kind, Notice};
use crate::detect::Severity;
use crate::record::time::format_rfc3339;

/// `[critical] web: …`, and what kind of message it is where that is not the first.
pub fn headline(notice: &Notice) -> String {
    match notice.kind {
        Kind::Resolve => format!("resolved: {}", notice.title),
        Kind::Test => format!("test: {}", notice.title),
        Kind::Open | Kind::Update | Kind::Digest => format!("[{}] {}", notice.severity.name(), notice.title),
    }
}

/// Everything in plain words, a paragraph each, for tools that show text.
pub fn body(notice: &Notice) -> String {
    let mut parts = Vec::new();
    for finding in &notice.findings {
        let ended = finding.ended.as_ref().map(|at| format!(", over at {at}")).unwrap_or_default();
        parts.push(format!("{} {} (since {}{ended})", finding.severity.name(), finding.sentence, finding.since));
    }
    let more = notice.findings_total.saturating_sub(notice.findings.len() as u64);
    if more > 0 && !notice.findings.is_empty() {
        parts.push(format!("and {more} further findings"));
    }
    parts.extend(notice.deploys.iter().cloned());
    if let Some(difference) = notice.template.as_ref().and_then(|template| template.difference.as_ref()) {
        parts.push(format!("the log statement, against the nearest known: {difference}"));
    }
    if let Some(runbook) = &notice.runbook {
        parts.push(format!("runbook: {runbook}"));
    }
    if let Some(url) = &notice.url {
        parts.push(format!("more: {url}"));
    }
    parts.join("\n")
}

/// The lines, one a row, each at most so many bytes.
pub fn lines(notice: &Notice, line_bytes_max: usize) -> String {
    let lines: Vec<&str> = notice.lines.iter().map(|line| cut(line.line.trim_end(), line_bytes_max)).collect();
    lines.join("\n")
}

pub fn since(notice: &Notice) -> String {
    format_rfc3339(notice.since)
}

/// At most so many characters, with an ellipsis where something is missing.
pub fn chars(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

pub fn emoji(notice: &Notice) -> &'static str {
    match (notice.kind, notice.severity) {
        (Kind::Resolve, _) => ":white_check_mark:",
        (_, Severity::Critical) => ":red_circle:",
        (_, Severity::Major) => ":large_orange_circle:",
        _ => ":large_yellow_circle:",
    }
}
