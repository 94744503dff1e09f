//! `loghound deliveries`: messages, their attempts, and dead letters sent again.

use std::io::{self, Write as _};

use clap::Subcommand;
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub act: Option<Act>,
    /// Only to this receiver.
    #[arg(long, value_name = "NAME")]
    pub receiver: Option<String>,
    /// waiting, delivered or dead.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// At most so many, the newest ones.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Send a dead letter again, under the same id.
    Resend { number: u64 },
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let mut out = io::stdout().lock();
    if let Some(Act::Resend { number }) = &args.act {
        let delivery: Json = client.post_json(&format!("/api/v1/deliveries/{number}/resend"), &[]).await?;
        writeln!(out, "{}", row(&delivery))?;
        return Ok(());
    }
    let parameters = [
        ("receiver", args.receiver.as_deref().unwrap_or_default()),
        ("state", args.state.as_deref().unwrap_or_default()),
        ("limit", &args.limit.to_string()),
    ];
    let answer: Json = client.json("/api/v1/deliveries", &parameters).await?;
    let deliveries = answer["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    match args.output {
        Output::Json => writeln!(out, "{answer}")?,
        Output::Ndjson => {
            for delivery in deliveries {
                writeln!(out, "{delivery}")?;
            }
        }
        Output::Text => {
            for delivery in deliveries {
                writeln!(out, "{}", row(delivery))?;
            }
            eprintln!("{} of {} messages", deliveries.len(), answer["total"]);
        }
    }
    Ok(())
}

/// A message with what its last attempt said.
pub fn row(delivery: &Json) -> String {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let created = text(&delivery["created"]).get(..19).unwrap_or_default().replace('T', " ");
    let (number, attempts) = (delivery["seq"].as_u64().unwrap_or_default(), &delivery["attempts_total"]);
    let (state, kind, receiver) =
        (text(&delivery["state"]), text(&delivery["notice"]["kind"]), text(&delivery["receiver"]));
    let last = delivery["attempts"].as_array().and_then(|attempts| attempts.last()).cloned().unwrap_or_default();
    let status = last["status"].as_u64().map(|status| format!("{status} ")).unwrap_or_default();
    let (error, body) = (text(&last["error"]), text(&last["body"]));
    let said = if error.is_empty() { String::new() } else { printable(&format!(": {error} {body}")) };
    let title = printable(&text(&delivery["notice"]["title"]));
    format!("{number:>6}  {created}  {state:9} {kind:7} {receiver:12} {status}in {attempts} attempts{said}  {title}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_message_says_what_became_of_it() {
        let delivery = json!({
            "seq": 7, "state": "dead", "receiver": "pager", "created": "2026-03-01T12:00:00.000Z", "attempts_total": 3,
            "notice": {"kind": "open", "title": "web: too many errors"},
            "attempts": [{"status": 400, "error": "answered 400", "body": "invalid key\u{1b}"}],
        });
        assert_eq!(
            super::row(&delivery),
            "     7  2026-03-01 12:00:00  dead      open    pager        400 in 3 attempts: answered 400 invalid key␛  web: too many errors"
        );
    }
}
