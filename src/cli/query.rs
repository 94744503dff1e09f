//! `loghound query`: records that match, newest first, as lines or JSON.

use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::client::{Client, Server};
use super::show::{Lines, Output};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to find, e.g. 'level:E AND filename:lease.go'; empty finds everything.
    pub query: String,
    /// From this time on: RFC 3339, a date, Unix milliseconds, or now-15m.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Before this time; a date means to the end of that day.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// At most so many records.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Which come first.
    #[arg(long, value_enum, default_value_t = Sort::Newest)]
    pub sort: Sort,
    /// How records are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    Newest,
    Oldest,
}

/// The server's answer, as it is written with `--output json`.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    took_ms: u64,
    total: u64,
    hits: Vec<Map<String, Json>>,
    next_cursor: Option<String>,
    #[serde(default)]
    partial: bool,
}

/// The server's own limit for one page.
const PAGE_MAX: u64 = 10_000;

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let lines = Lines::for_stdout();
    let (mut shown, mut took_ms, mut cursor) = (0u64, 0u64, String::new());
    loop {
        let limit = args.limit.saturating_sub(shown).min(PAGE_MAX).to_string();
        let page: Page = client
            .json(
                "/api/v1/search",
                &[
                    ("q", &args.query),
                    ("from", args.from.as_deref().unwrap_or_default()),
                    ("to", args.to.as_deref().unwrap_or_default()),
                    ("limit", &limit),
                    ("sort", if args.sort == Sort::Newest { "newest" } else { "oldest" }),
                    ("cursor", &cursor),
                ],
            )
            .await?;
        match args.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(&page)?)?,
            Output::Ndjson => {
                for record in &page.hits {
                    writeln!(out, "{}", serde_json::to_string(record)?)?;
                }
            }
            Output::Text => {
                for record in &page.hits {
                    writeln!(out, "{}", lines.line(record))?;
                }
            }
        }
        out.flush()?;
        shown += page.hits.len() as u64;
        took_ms += page.took_ms;
        match page.next_cursor {
            Some(next) if shown < args.limit && !page.hits.is_empty() => cursor = next,
            _ => {
                if args.output == Output::Text {
                    let partial = if page.partial { ", not everything was read in time" } else { "" };
                    eprintln!("{shown} of {} records, {took_ms} ms{partial}", page.total);
                }
                return Ok(());
            }
        }
    }
}
