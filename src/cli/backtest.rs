//! `loghound backtest`: the detectors over stored days, and what would have alerted, day by day, with lines.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What this job would have found, in place of all detectors: a job's name, or a file with one, YAML or JSON.
    pub job: Option<String>,
    /// Records from this time on: RFC 3339, a date, Unix milliseconds, or now-7d.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Records before this time; a date means to the end of that day.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Show anomalies from this score on (0 to 100), or minor, major, critical.
    #[arg(long, value_name = "SCORE", default_value = "major")]
    pub score: String,
    /// Show only those of this service.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

/// The server's answer, as it is written with `--output json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    days: u64,
    days_done: u64,
    records: u64,
    found: Vec<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Day {
    day: String,
    total: u64,
    anomalies: Vec<Json>,
}

/// Between two questions how far it is.
const POLL: Duration = Duration::from_millis(300);

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let job = args.job.as_deref().unwrap_or_default();
    let path = std::path::Path::new(job);
    let job = if path.is_file() {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {job}"))?
    } else {
        job.to_owned()
    };
    let parameters = [
        ("job", job.as_str()),
        ("from", args.from.as_deref().unwrap_or_default()),
        ("to", args.to.as_deref().unwrap_or_default()),
        ("score", &args.score),
        ("service", args.service.as_deref().unwrap_or_default()),
    ];
    let begun: Run = client.post_json("/api/v1/backtest", &parameters).await?;
    let run = wait(&client, begun).await?;
    let mut out = io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&run)?)?,
        Output::Ndjson => {
            for anomaly in run.found.iter().flat_map(|day| &day.anomalies) {
                writeln!(out, "{anomaly}")?;
            }
        }
        Output::Text => out.write_all(text(&run).as_bytes())?,
    }
    Ok(())
}

/// Waits until a run has ended, showing how far it is to a person.
pub(super) async fn wait(client: &Client, mut run: Run) -> anyhow::Result<Run> {
    let shown = io::stderr().is_terminal();
    while run.state == "running" {
        if shown {
            let day = run.day.as_deref().unwrap_or("-");
            eprint!("\r{day}  {} of {} days, {} records ", run.days_done, run.days, run.records);
        }
        tokio::time::sleep(POLL).await;
        run = client.json("/api/v1/backtest", &[]).await?;
    }
    if shown {
        eprintln!();
    }
    match &run.error {
        Some(error) => anyhow::bail!("{error}"),
        None => Ok(run),
    }
}

fn text(run: &Run) -> String {
    let mut out = String::new();
    let of = |anomaly: &Json, name: &str| anomaly[name].as_str().unwrap_or_default().to_owned();
    for Day { day, total, anomalies } in &run.found {
        out += &format!("{day}  {total} would have alerted\n");
        for anomaly in anomalies {
            let score = anomaly["score"].as_f64().unwrap_or_default();
            let (severity, sentence) = (of(anomaly, "severity"), of(anomaly, "sentence"));
            out += &format!("  {score:>3.0} {severity:8}  {}\n", printable(&sentence));
            for example in anomaly["examples"].as_array().into_iter().flatten().take(2) {
                out += &format!("      > {}\n", printable(&of(example, "message")));
            }
        }
    }
    out += &format!("{} days, {} records\n", run.days_done, run.records);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_day_says_what_would_have_alerted_with_its_lines() {
        let run: Run = serde_json::from_value(json!({
            "state": "done", "days": 1, "days_done": 1, "records": 12, "found": [{"day": "2026-03-01", "total": 1,
                "anomalies": [{"score": 88.2, "severity": "critical", "sentence": "web: 503 came", "examples": [{"message": "a\tline"}]}]}],
        }))
        .unwrap();
        let told = text(&run);
        assert!(
            told.starts_with("2026-03-01  1 would have alerted\n   88 critical  web: 503 came\n      > a"),
            "{told}"
        );
        assert!(told.ends_with("1 days, 12 records\n"), "{told}");
    }
}
