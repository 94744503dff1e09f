//! `loghound reparse`: what a mended grammar would change on stored lines, and doing it.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::client::{Client, Server};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Lines from this time on: RFC 3339, a date, Unix milliseconds, or now-2d.
    #[arg(long, alias = "from", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Lines before this time; a date means to the end of that day.
    #[arg(long, alias = "to", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// The grammar to try; without it, all of them as for a new line.
    #[arg(long, value_name = "NAME")]
    grammar: Option<String>,
    /// Lines that have a grammar too, not only those without.
    #[arg(long)]
    all: bool,
    /// Do it: the days are written anew in the background of the server. Without this, show what would change.
    #[arg(long)]
    apply: bool,
    /// With --apply, return at once.
    #[arg(long, requires = "apply")]
    no_wait: bool,
    /// Write the server's answer as JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Serialize, Deserialize)]
struct Preview {
    took_ms: u64,
    changes: Vec<Change>,
    examined: u64,
    partial: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Change {
    from: Option<String>,
    to: Option<String>,
    lines: u64,
    example: String,
    fields: Map<String, Json>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    state: String,
    day: Option<String>,
    days: u64,
    days_done: u64,
    examined: u64,
    changed: u64,
    error: Option<String>,
}

/// Between two questions how far it is.
const POLL: Duration = Duration::from_millis(500);

pub fn run(args: &Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: &Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let parameters = [
        ("from", args.since.as_deref().unwrap_or_default()),
        ("to", args.until.as_deref().unwrap_or_default()),
        ("grammar", args.grammar.as_deref().unwrap_or_default()),
        ("all", if args.all { "true" } else { "" }),
    ];
    if !args.apply {
        let preview: Preview = client.json("/api/v1/reparse", &parameters).await?;
        return show(args.output, &preview, text);
    }
    let mut progress: Progress = client.post_json("/api/v1/reparse", &parameters).await?;
    while progress.state == "running" && !args.no_wait {
        if io::stderr().is_terminal() {
            let day = progress.day.as_deref().unwrap_or("-");
            eprint!("\r{day}  {} of {} days, {} lines changed ", progress.days_done, progress.days, progress.changed);
        }
        tokio::time::sleep(POLL).await;
        progress = client.json("/api/v1/reparse/progress", &[]).await?;
    }
    if io::stderr().is_terminal() {
        eprintln!();
    }
    show(args.output, &progress, done)?;
    match progress.error {
        Some(error) => Err(anyhow::anyhow!(error)),
        None => Ok(()),
    }
}

fn show<T: Serialize>(output: Output, answer: &T, text: impl Fn(&T) -> String) -> anyhow::Result<()> {
    let text = match output {
        Output::Json => format!("{}\n", serde_json::to_string(answer)?),
        Output::Text => text(answer),
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn text(preview: &Preview) -> String {
    let grammar = |name: &Option<String>| name.clone().unwrap_or_else(|| "no grammar".to_owned());
    let mut text = String::new();
    for change in &preview.changes {
        text += &format!(
            "{} → {}: {} lines, such as\n  {}\n  {}\n",
            grammar(&change.from),
            grammar(&change.to),
            change.lines,
            change.example,
            Json::Object(change.fields.clone())
        );
    }
    let changed: u64 = preview.changes.iter().map(|change| change.lines).sum();
    let partial = if preview.partial { "; not everything was read in time" } else { "" };
    text += &format!("{changed} of {} lines would change{partial}\n", preview.examined);
    if changed > 0 {
        text += "nothing was changed: add --apply to do it\n";
    }
    text
}

fn done(progress: &Progress) -> String {
    format!(
        "{}: {} of {} days, {} of {} lines changed\n",
        progress.state, progress.days_done, progress.days, progress.changed, progress.examined
    )
}
