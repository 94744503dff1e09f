//! `loghound incidents`: what is wrong, what was done, and doing it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub act: Option<Act>,
    /// Only those that go on.
    #[arg(long)]
    pub open: bool,
    /// Only those that concern this service.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// At least warning, minor, major or critical.
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<String>,
    /// Begun from this time on.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Begun before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Show one whole: findings, lines, deploys, history.
    Show { id: String },
    /// Say that you work on it: no reminders any more.
    Ack {
        id: String,
        #[command(flatten)]
        who: Who,
    },
    /// Say that it is over: receivers are told.
    Close {
        id: String,
        #[command(flatten)]
        who: Who,
    },
    /// Make one incident part of another.
    Merge {
        /// The incident that stays.
        id: String,
        /// The incident that becomes part of it.
        from: String,
        #[command(flatten)]
        who: Who,
    },
    /// Make some findings an incident of their own.
    Split {
        id: String,
        /// Ids of findings, as `show` lists them.
        #[arg(required = true)]
        findings: Vec<String>,
        #[command(flatten)]
        who: Who,
    },
}

/// Who does it.
#[derive(Debug, clap::Args)]
pub struct Who {
    /// Your name.
    #[arg(long, env = "USER", default_value = "somebody")]
    pub by: String,
    /// A word on it.
    #[arg(long, default_value = "")]
    pub note: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    took_ms: u64,
    total: u64,
    incidents: Vec<Json>,
}

/// Of an incident, what a terminal shows.
#[derive(Debug, Deserialize)]
struct Incident {
    id: String,
    state: String,
    severity: String,
    title: String,
    since: String,
    findings_total: u64,
    findings: Vec<Finding>,
    #[serde(default)]
    deploys: Vec<Deploy>,
    #[serde(default)]
    history: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    sentence: String,
    since: String,
    ended: Option<String>,
    #[serde(default)]
    lines: Vec<Line>,
    template: Option<Template>,
}

#[derive(Debug, Deserialize)]
struct Line {
    line: String,
}

#[derive(Debug, Deserialize)]
struct Template {
    difference: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Deploy {
    at: String,
    service: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Event {
    at: String,
    #[serde(default)]
    by: String,
    text: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let path = |id: &str, act: &str| format!("/api/v1/incidents/{id}{act}");
    let incident: Json = match &args.act {
        None => return list(&client, &args).await,
        Some(Act::Show { id }) => client.json(&path(id, ""), &[]).await?,
        Some(Act::Ack { id, who }) => {
            client.post_json(&path(id, "/acknowledge"), &[("by", &who.by), ("note", &who.note)]).await?
        }
        Some(Act::Close { id, who }) => {
            client.post_json(&path(id, "/close"), &[("by", &who.by), ("note", &who.note)]).await?
        }
        Some(Act::Merge { id, from, who }) => {
            client.post_json(&path(id, "/merge"), &[("by", &who.by), ("from", from)]).await?
        }
        Some(Act::Split { id, findings, who }) => {
            let findings = findings.join(",");
            client.post_json(&path(id, "/split"), &[("by", &who.by), ("findings", &findings)]).await?
        }
    };
    let mut out = io::stdout().lock();
    match args.output {
        Output::Text => out.write_all(whole(&Incident::deserialize(&incident)?).as_bytes())?,
        Output::Json | Output::Ndjson => writeln!(out, "{incident}")?,
    }
    Ok(())
}

async fn list(client: &Client, args: &Args) -> anyhow::Result<()> {
    let empty = String::new;
    let parameters = [
        ("state", if args.open { "open".to_owned() } else { empty() }),
        ("service", args.service.clone().unwrap_or_default()),
        ("severity", args.severity.clone().unwrap_or_default()),
        ("from", args.from.clone().unwrap_or_default()),
        ("to", args.to.clone().unwrap_or_default()),
        ("limit", args.limit.to_string()),
    ];
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer: Answer = client.json("/api/v1/incidents", &parameters).await?;
    let mut out = io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
        Output::Ndjson => {
            for incident in &answer.incidents {
                writeln!(out, "{incident}")?;
            }
        }
        Output::Text => {
            for incident in &answer.incidents {
                out.write_all(row(&Incident::deserialize(incident)?).as_bytes())?;
            }
            eprintln!("{} of {} incidents, {} ms", answer.incidents.len(), answer.total, answer.took_ms);
        }
    }
    Ok(())
}

fn row(incident: &Incident) -> String {
    let Incident { id, state, severity, title, since, findings_total, .. } = incident;
    let since = since.get(..16).unwrap_or_default().replace('T', " ");
    let title = printable(title);
    format!("{id}  {since}  {severity:8} {state:12} {findings_total:>4}  {title}\n")
}

fn whole(incident: &Incident) -> String {
    let mut out = row(incident);
    let clock = |time: &str| time.get(11..19).unwrap_or_default().to_owned();
    // Writing to a string cannot fail.
    for Deploy { at, service, version } in &incident.deploys {
        let _ = writeln!(out, "  {}  deploy {} {}", clock(at), printable(service), printable(version));
    }
    for finding in &incident.findings {
        let ended = finding.ended.as_deref().map(|at| format!(", over at {}", clock(at))).unwrap_or_default();
        let _ = writeln!(out, "  {}  {} [{}{ended}]", clock(&finding.since), printable(&finding.sentence), finding.id);
        if let Some(difference) = finding.template.as_ref().and_then(|template| template.difference.as_ref()) {
            let _ = writeln!(out, "            like  {}", printable(difference));
        }
        for Line { line } in finding.lines.iter().take(3) {
            let _ = writeln!(out, "            > {}", printable(line));
        }
    }
    for Event { at, by, text } in &incident.history {
        let by = if by.is_empty() { "loghound" } else { by };
        let _ = writeln!(out, "  {}  {}: {}", clock(at), printable(by), printable(text));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_incident_is_told_by_first_cause() {
        let incident = json!({
            "id": "00ff", "state": "open", "severity": "critical", "title": "web: too many errors", "since": "2026-03-01T12:00:00.000Z",
            "findings_total": 2, "deploys": [{"at": "2026-03-01T11:56:00.000Z", "service": "web", "version": "v2"}],
            "findings": [{"id": "a1", "sentence": "web: too many errors", "since": "2026-03-01T12:00:00.000Z",
                          "lines": [{"line": "E boom", "time": "2026-03-01T12:00:00.000Z"}]}],
            "history": [{"at": "2026-03-01T12:00:05.000Z", "text": "opened"}],
        });
        assert_eq!(
            whole(&Incident::deserialize(&incident).unwrap()),
            "00ff  2026-03-01 12:00  critical open            2  web: too many errors\n\
             \x20 11:56:00  deploy web v2\n  12:00:00  web: too many errors [a1]\n            > E boom\n  12:00:05  loghound: opened\n"
        );
    }
}
