//! `loghound anomalies`: what was out of the ordinary, as lines for people or JSON.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Found from this time on: RFC 3339, a date, Unix milliseconds, or now-15m.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Found before this time; a date means to the end of that day.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// At least this score (0 to 100), or minor, major, critical.
    #[arg(long, value_name = "SCORE", default_value = "major")]
    pub score: String,
    /// Only of this service.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Only those that go on.
    #[arg(long)]
    pub open: bool,
    /// At most so many, the newest ones.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

/// The server's answer, as it is written with `--output json`.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    took_ms: u64,
    total: u64,
    anomalies: Vec<Json>,
}

/// Of an anomaly, what a terminal shows.
#[derive(Debug, Deserialize)]
struct Anomaly {
    score: f64,
    severity: String,
    since: String,
    state: String,
    sentence: String,
    influencers: Vec<Influencer>,
    examples: Vec<Example>,
    template: Option<Template>,
}

#[derive(Debug, Deserialize)]
struct Influencer {
    field: String,
    value: String,
    before: f64,
    after: f64,
}

#[derive(Debug, Deserialize)]
struct Example {
    message: String,
}

#[derive(Debug, Deserialize)]
struct Template {
    difference: Option<String>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let parameters = [
        ("from", args.from.as_deref().unwrap_or_default()),
        ("to", args.to.as_deref().unwrap_or_default()),
        ("score", &args.score),
        ("service", args.service.as_deref().unwrap_or_default()),
        ("state", if args.open { "open" } else { "" }),
        ("limit", &args.limit.to_string()),
    ];
    let answer: Answer = client.json("/api/v1/anomalies", &parameters).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
        Output::Ndjson => {
            for anomaly in &answer.anomalies {
                writeln!(out, "{anomaly}")?;
            }
        }
        Output::Text => {
            for anomaly in &answer.anomalies {
                out.write_all(text(&Anomaly::deserialize(anomaly)?).as_bytes())?;
            }
            eprintln!("{} of {} anomalies, {} ms", answer.anomalies.len(), answer.total, answer.took_ms);
        }
    }
    out.flush()?;
    Ok(())
}

fn text(anomaly: &Anomaly) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let date = anomaly.since.get(..10).unwrap_or_default();
    let Anomaly { score, severity, state, sentence, .. } = anomaly;
    let _ = writeln!(out, "{date}  {score:>3.0} {severity:8} {state:9}  {}", printable(sentence));
    if let Some(difference) = anomaly.template.as_ref().and_then(|template| template.difference.as_ref()) {
        let _ = writeln!(out, "      like  {}", printable(difference));
    }
    for Influencer { field, value, before, after } in &anomaly.influencers {
        let (before, after) = (100.0 * before, 100.0 * after);
        let _ = writeln!(out, "      {after:>4.0} % (before {before:>4.1} %)  {field} {}", printable(value));
    }
    for example in anomaly.examples.iter().take(2) {
        let _ = writeln!(out, "      > {}", printable(&example.message));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_anomaly_is_told_with_what_explains_it() {
        let anomaly = json!({
            "score": 87.6, "severity": "critical", "since": "2026-03-01T12:00:00Z", "state": "open",
            "sentence": "web: response_code 503 came 40 times a minute",
            "influencers": [{"field": "upstream_host", "value": "10.0.0.7:80", "before": 0.08, "after": 0.97, "influence": 0.9}],
            "examples": [{"message": "a \u{1b}[2J line"}], "template": null,
        });
        assert_eq!(
            text(&Anomaly::deserialize(&anomaly).unwrap()),
            "2026-03-01   88 critical open       web: response_code 503 came 40 times a minute\n\
             \x20       97 % (before  8.0 %)  upstream_host 10.0.0.7:80\n\
             \x20     > a ␛[2J line\n"
        );
    }
}
