//! `loghound tail`: matching records as they arrive, until interrupted.

use std::io::{self, Write};

use anyhow::{Context, bail};
use serde_json::{Map, Value as Json};

use super::client::{Client, Server};
use super::show::{Lines, Output};
use super::sse::{Event, Reader};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to show, e.g. 'level:E OR response_code:>=500'; empty shows everything.
    #[arg(default_value = "")]
    pub query: String,
    /// How records are written; json is the same as ndjson here.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(follow(args))?
}

async fn follow(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let mut response = client.ask("/api/v1/tail", &[("q", &args.query)], "text/event-stream").await?;
    let (lines, mut reader) = (Lines::for_stdout(), Reader::default());
    while let Some(bytes) = response.chunk().await.context("the connection to the server broke")? {
        let mut out = io::stdout().lock();
        for event in reader.feed(&bytes)? {
            show(&event, &args, &lines, &mut out)?;
        }
        out.flush()?;
    }
    bail!("the server ended the tail: it is stopping, or was restarted");
}

fn show(event: &Event, args: &Args, lines: &Lines, out: &mut impl Write) -> anyhow::Result<()> {
    match (event.name.as_str(), args.output) {
        ("skipped", _) => eprintln!("… {} records skipped: they came faster than they are shown", event.data),
        ("", Output::Text) => {
            let record: Map<String, Json> = serde_json::from_str(&event.data).context("the server sent no record")?;
            writeln!(out, "{}", lines.line(&record))?;
        }
        ("", _) => writeln!(out, "{}", event.data)?,
        _ => {}
    }
    Ok(())
}
