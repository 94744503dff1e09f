//! `loghound rules`: those in use, and what rules would have sent.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
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
    /// The rules in use, and how many incidents are open by each.
    List,
    /// Play stored anomalies through rules: what would have been sent, when, to whom.
    DryRun {
        /// A file with a list of rules, as under alert.rules; without one, the rules in use.
        file: Option<PathBuf>,
        /// Anomalies found from this time on.
        #[arg(long, value_name = "TIME", default_value = "now-7d", allow_hyphen_values = true)]
        from: String,
        /// Found before this time.
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        to: Option<String>,
    },
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

fn list(answer: &Json) -> String {
    let mut out = String::new();
    for rule in answer["rules"].as_array().into_iter().flatten() {
        let text = |name: &str| printable(rule[name].as_str().unwrap_or_default()).to_string();
        let condition = &rule["condition"];
        let lists = |of: &Json| {
            let each = of.as_object().into_iter().flatten();
            let said = each.filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()));
            said.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        let what = condition.as_object().and_then(|kinds| kinds.iter().next());
        let what = what.map(|(kind, of)| format!("{kind}: {}", lists(of))).unwrap_or_default();
        let open = rule["incidents"].as_array().map_or(0, Vec::len);
        out += &format!("{:24} {open} open  {}\n", text("name"), printable(&what));
    }
    out
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let Act::DryRun { file, from, to } = &args.act else {
        let answer: Json = client.json("/api/v1/rules", &[]).await?;
        return Ok(io::stdout().write_all(list(&answer).as_bytes())?);
    };
    let rules = match file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => String::new(),
    };
    let parameters = [("from", from.as_str()), ("to", to.as_deref().unwrap_or_default()), ("rules", &rules)];
    let run: Json = client.json("/api/v1/rules/dry-run", &parameters).await?;
    let mut out = io::stdout().lock();
    for message in run["messages"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let at = text("at").get(..16).unwrap_or_default().replace('T', " ");
        let (kind, receiver, severity) = (text("kind"), text("receiver"), text("severity"));
        writeln!(out, "{at}  {kind:7} {receiver:12} {severity:8}  {}", printable(&text("title")))?;
    }
    eprintln!("{} anomalies would have been {} incidents", run["anomalies"], run["incidents"]);
    Ok(())
}
