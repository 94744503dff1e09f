//! `loghound delete`: how many records a query would delete, and deleting them.

use std::io::{self, IsTerminal};
use std::time::Duration;

use serde::Deserialize;

use super::Usage;
use super::client::{Client, Server};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which records, in the query language without pipes; * for all of them.
    query: String,
    /// Records from this time on: RFC 3339, a date, Unix milliseconds, or now-2d.
    #[arg(long, alias = "from", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Records before this time; a date means to the end of that day.
    #[arg(long, alias = "to", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Delete them, for good. Without this, count them.
    #[arg(long, requires = "reason")]
    apply: bool,
    /// Why; the audit keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who asks for it; the audit keeps it.
    #[arg(long, env = "USER")]
    by: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Deserialize)]
struct Preview {
    records: u64,
    days: Vec<Day>,
    partial: bool,
}

#[derive(Debug, Deserialize)]
struct Day {
    name: String,
    records: u64,
}

#[derive(Debug, Deserialize)]
struct Progress {
    state: String,
    day: Option<String>,
    days: u64,
    days_done: u64,
    deleted: u64,
    error: Option<String>,
}

/// Between two questions how far it is.
const POLL: Duration = Duration::from_millis(300);

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (since, until, by, reason) = (text(&args.since), text(&args.until), text(&args.by), text(&args.reason));
    let parameters: [(&str, &str); 3] = [("q", &args.query), ("from", &since), ("to", &until)];
    if !args.apply {
        let preview: Preview = client.json("/api/v1/delete", &parameters).await?;
        preview.days.iter().for_each(|day| println!("{}  {} records", day.name, day.records));
        let more = if preview.partial { " or more: not everything was read in time" } else { "" };
        println!("{} records{more}", preview.records);
        if preview.records > 0 {
            println!("nothing was deleted: add --apply --reason TEXT to do it");
        }
        return Ok(());
    }
    if by.trim().is_empty() {
        return Err(Usage("say who asks for it, with --by NAME: the audit keeps it".to_owned()).into());
    }
    let all: Vec<(&str, &str)> = parameters.into_iter().chain([("by", &*by), ("reason", &*reason)]).collect();
    let mut progress: Progress = client.post_json("/api/v1/delete", &all).await?;
    while progress.state == "running" {
        if io::stderr().is_terminal() {
            let day = progress.day.as_deref().unwrap_or("-");
            eprint!("\r{day}  {} of {} days, {} records deleted ", progress.days_done, progress.days, progress.deleted);
        }
        tokio::time::sleep(POLL).await;
        progress = client.json("/api/v1/delete/progress", &[]).await?;
    }
    if io::stderr().is_terminal() {
        eprintln!();
    }
    println!("{} records deleted", progress.deleted);
    match progress.error {
        Some(error) => Err(anyhow::anyhow!(error)),
        None => Ok(()),
    }
}
