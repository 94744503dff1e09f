//! `loghound train` and `loghound models`: models of the detectors, made of stored days.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::backtest::{Run, wait};
use super::client::{Client, Server};

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// Its name: 1 to 64 of a-z, 0-9, - and _.
    pub version: String,
    /// Learn from records from this time on: a date, RFC 3339, or now-14d.
    #[arg(long, value_name = "TIME", default_value = "now-14d", allow_hyphen_values = true)]
    pub since: String,
    /// And before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The model in use, and those that were trained.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Put a trained model in use.
    Activate {
        version: String,
        /// Though it is no better by what people labelled.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Go back to the model that the last activation replaced.
    Rollback {
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    active: String,
    models: Vec<Json>,
}

pub fn train(args: &TrainArgs) -> anyhow::Result<()> {
    super::block_on(async {
        let client = Client::new(&args.server)?;
        let until = args.until.as_deref().unwrap_or_default();
        let parameters = [("version", args.version.as_str()), ("from", &args.since), ("to", until)];
        let run: Run = wait(&client, client.post_json("/api/v1/models", &parameters).await?).await?;
        if let Some(model) = &run.model {
            io::stdout().write_all(line(model, "").as_bytes())?;
            eprintln!("use it with: loghound models activate {}", args.version);
        }
        Ok(())
    })?
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    super::block_on(async {
        let answer: Answer = match &args.command {
            Command::List { server } => Client::new(server)?.json("/api/v1/models", &[]).await?,
            Command::Activate { version, force, server } => {
                let path = format!("/api/v1/models/{version}/activate");
                Client::new(server)?.post_json(&path, &[("force", if *force { "true" } else { "" })]).await?
            }
            Command::Rollback { server } => Client::new(server)?.post_json("/api/v1/models/rollback", &[]).await?,
        };
        let mut out = format!("active: {}\n", answer.active);
        for model in &answer.models {
            out += &line(model, &answer.active);
        }
        Ok(io::stdout().write_all(out.as_bytes())?)
    })?
}

fn line(model: &Json, active: &str) -> String {
    let text = |name: &str| model[name].as_str().unwrap_or_default();
    let number = |name: &str| model[name].as_u64().unwrap_or_default();
    let quality = |name: &str| model["quality"][name].as_u64().unwrap_or_default();
    let mark = if text("version") == active { "*" } else { " " };
    format!(
        "{mark} {:20} {} to {}, {} records, {} series; {} major; tells {} of {} useful and {} of {} false alarms\n",
        text("version"),
        text("from"),
        text("to"),
        number("records"),
        number("series"),
        number("anomalies"),
        quality("useful_found"),
        quality("useful"),
        quality("false_alarms_found"),
        quality("false_alarms"),
    )
}
