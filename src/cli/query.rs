//! `loghound query`: records that match, newest first, as lines or JSON; or the table that its pipes make.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::client::{Client, Server};
use super::show::Lines;
use super::table;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to find, e.g. 'level:E AND filename:lease.go', and what to make of it: '… | stats count() by host.name | top 5';
    /// empty finds everything.
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
    /// How records and tables are written; text on a terminal, else records as text and tables as csv.
    #[arg(long, value_enum)]
    pub output: Option<Output>,
    /// Everything that matches, without a limit, as it is found; ndjson, or csv with --fields.
    #[arg(long, conflicts_with = "limit")]
    pub export: bool,
    /// With --export: only these fields, as columns; names separated by commas.
    #[arg(long, value_name = "NAMES", requires = "export")]
    pub fields: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    Newest,
    Oldest,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Lines for people; a table with its columns under each other.
    Text,
    /// The server's whole answer.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated, with a header.
    Csv,
}

/// The server's answer, as it is written with `--output json`.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    took_ms: u64,
    total: u64,
    hits: Vec<Map<String, Json>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
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
    if args.export {
        return export(&client, &args).await;
    }
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
        let usual = match (io::stdout().is_terminal(), &page.columns) {
            (false, Some(_)) => Output::Csv,
            _ => Output::Text,
        };
        let output = args.output.unwrap_or(usual);
        for warning in &page.warnings {
            eprintln!("loghound: {warning}");
        }
        match (output, &page.columns) {
            (Output::Json, _) => writeln!(out, "{}", serde_json::to_string(&page)?)?,
            (Output::Ndjson, _) => {
                for record in &page.hits {
                    writeln!(out, "{}", serde_json::to_string(record)?)?;
                }
            }
            (Output::Csv, None) => {
                return Err(super::Usage(
                    "loghound: records have no columns: add `| fields a, b` to choose some".into(),
                )
                .into());
            }
            (Output::Csv, Some(columns)) => table::csv(&mut out, columns, &page.hits)?,
            (Output::Text, Some(columns)) => table::text(&mut out, columns, &page.hits)?,
            (Output::Text, None) => {
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
                if output == Output::Text {
                    let partial = if page.partial { ", not everything was read in time" } else { "" };
                    match page.columns {
                        Some(_) => eprintln!("{shown} rows from {} records, {took_ms} ms{partial}", page.total),
                        None => eprintln!("{shown} of {} records, {took_ms} ms{partial}", page.total),
                    }
                }
                return Ok(());
            }
        }
    }
}

async fn export(client: &Client, args: &Args) -> anyhow::Result<()> {
    let format = match args.output {
        None | Some(Output::Ndjson) => "ndjson",
        Some(Output::Csv) => "csv",
        Some(Output::Text | Output::Json) => {
            return Err(super::Usage("loghound: --export writes ndjson or csv".into()).into());
        }
    };
    let parameters = [
        ("q", args.query.as_str()),
        ("from", args.from.as_deref().unwrap_or_default()),
        ("to", args.to.as_deref().unwrap_or_default()),
        ("sort", if args.sort == Sort::Newest { "newest" } else { "oldest" }),
        ("format", format),
        ("fields", args.fields.as_deref().unwrap_or_default()),
    ];
    let mut response = client.ask("/api/v1/export", &parameters, "*/*").await?;
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(chunk) = response.chunk().await.context("the export broke off: what was written is not all")? {
        out.write_all(&chunk)?;
    }
    Ok(out.flush()?)
}
