//! `loghound feedback`: says of an anomaly that it was useful, a false alarm or expected.

use std::io::{self, Write};

use serde_json::Value as Json;

use super::client::{Client, Server};
use super::incidents::Who;
use super::show::printable;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The anomaly's id, as `loghound anomalies --output ndjson` has it.
    pub id: String,
    /// useful, false_alarm or expected; without it what was said is shown.
    pub label: Option<String>,
    #[command(flatten)]
    pub who: Who,
    #[command(flatten)]
    pub server: Server,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    super::block_on(async {
        let client = Client::new(&args.server)?;
        let path = format!("/api/v1/anomalies/{}/feedback", args.id);
        let answer: Json = match &args.label {
            Some(label) => {
                client.post_json(&path, &[("label", label), ("by", &args.who.by), ("note", &args.who.note)]).await?
            }
            None => client.json(&path, &[]).await?,
        };
        Ok(io::stdout().write_all(text(&answer).as_bytes())?)
    })?
}

fn text(answer: &Json) -> String {
    let mut out = String::new();
    let of = |row: &Json, name: &str| printable(row[name].as_str().unwrap_or_default()).to_string();
    for word in answer["feedback"].as_array().into_iter().flatten() {
        out += &format!("{}  {} by {}  {}\n", of(word, "at"), of(word, "label"), of(word, "by"), of(word, "note"));
    }
    let rule = &answer["rule"];
    let parts = ["service", "detector", "field", "value"].map(|name| of(rule, name));
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let preview = &answer["preview"];
    let count = |name: &str| preview[name].as_u64().unwrap_or_default();
    out += &format!(
        "a rule for {} would have hidden {} of {} anomalies: {} critical, {} major, {} called useful\n",
        parts.join(" / "),
        count("hidden"),
        count("of"),
        count("critical"),
        count("major"),
        count("useful")
    );
    out
}
