//! `loghound silence`: who is not told of what, for how long, and why.

use std::io::{self, Write as _};

use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::printable;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub act: Act,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Silence what has these labels: loghound silence add --duration 2h --reason "deploying" 'service="web"'.
    Add {
        /// Each such as service="web" or severity=~"minor|warning"; all must hold.
        #[arg(required = true)]
        matchers: Vec<String>,
        /// How long.
        #[arg(long, value_name = "TIME", default_value = "1h")]
        duration: String,
        /// From when on: a maintenance window lies ahead.
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        #[arg(long)]
        reason: String,
        /// Your name.
        #[arg(long, env = "USER", default_value = "somebody")]
        author: String,
    },
    /// List silences, newest first.
    List,
    /// End one now.
    Expire { id: String },
}

#[derive(Debug, Deserialize)]
struct Silence {
    id: String,
    state: String,
    matchers: Vec<String>,
    starts: String,
    ends: String,
    author: String,
    reason: String,
    muted_alerts: u64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let silences: Vec<Silence> = match &args.act {
        Act::Add { matchers, duration, starts, reason, author } => {
            let mut parameters = vec![
                ("duration", duration.as_str()),
                ("starts", starts.as_deref().unwrap_or_default()),
                ("reason", reason),
                ("author", author),
            ];
            parameters.extend(matchers.iter().map(|matcher| ("matchers", matcher.as_str())));
            vec![client.post_json("/api/v1/silences", &parameters).await?]
        }
        Act::List => {
            let answer: Json = client.json("/api/v1/silences", &[]).await?;
            Vec::deserialize(&answer["silences"])?
        }
        Act::Expire { id } => vec![client.delete_json(&format!("/api/v1/silences/{id}")).await?],
    };
    let mut out = io::stdout().lock();
    for silence in &silences {
        let Silence { id, state, matchers, author, reason, muted_alerts, .. } = silence;
        let minute = |time: &str| time.get(..16).unwrap_or_default().replace('T', " ");
        let (from, to) = (minute(&silence.starts), minute(&silence.ends));
        let (matchers, author, reason) = (printable(&matchers.join(" ")), printable(author), printable(reason));
        writeln!(out, "{id}  {state:8} {from} to {to}  muted {muted_alerts}  {matchers}  {author}: {reason}")?;
    }
    Ok(())
}
