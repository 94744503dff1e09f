//! `loghound receivers`: the tools that call people, and a test of one.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::printable;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub act: Option<Act>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Send a test message, the way that alerts go, and say what became of it.
    Test { name: String },
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
    kind: String,
    targets: Vec<String>,
    waiting: u64,
    alerts: u64,
    budget: Option<u64>,
    told_today: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Sent {
    deliveries: Vec<u64>,
}

/// How long a test is waited for.
const WAIT: Duration = Duration::from_secs(30);

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let mut out = io::stdout().lock();
    let Some(Act::Test { name }) = &args.act else {
        let answer: Json = client.json("/api/v1/receivers", &[]).await?;
        for receiver in Vec::<Receiver>::deserialize(&answer["receivers"])? {
            let Receiver { name, kind, targets, waiting, alerts, budget, told_today } = receiver;
            let targets = printable(&targets.join(", "));
            let budget = budget.map(|of| format!(", {} of {of} today", told_today.unwrap_or(0))).unwrap_or_default();
            writeln!(out, "{name:16} {kind:12} {alerts} open, {waiting} waiting{budget}  {targets}")?;
        }
        return Ok(());
    };
    let sent: Sent = client.post_json(&format!("/api/v1/receivers/{name}/test"), &[]).await?;
    let deadline = Instant::now() + WAIT;
    let mut failed = false;
    for number in sent.deliveries {
        loop {
            let delivery: Json = client.json(&format!("/api/v1/deliveries/{number}"), &[]).await?;
            if delivery["state"] == "waiting" && Instant::now() < deadline && delivery["attempts_total"] == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            failed |= delivery["state"] != "delivered";
            writeln!(out, "{}", super::deliveries::row(&delivery))?;
            break;
        }
    }
    if failed {
        bail!("the receiver did not take it: `loghound deliveries` says more");
    }
    Ok(())
}
