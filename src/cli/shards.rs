//! `loghound shards`: the days that are kept, and whether their files are sound.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::anyhow;
use serde_json::{Map, Value as Json, json};

use super::Usage;
use super::client::{Client, Server};
use super::table;
use crate::record::time;
use crate::store;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the days: state, size, when each will be deleted, and how long the disk lasts. Asks the server.
    List(ListArgs),
    /// Read every file against its checksum. Needs no server, and changes nothing.
    Verify(VerifyArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// A day such as 2026-11-22; all of them without.
    day: Option<String>,
    #[arg(long, value_name = "DIR", default_value = "./loghound-data", env = "LOGHOUND_DATA_DIR")]
    data_dir: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::List(args) => super::block_on(list(args))?,
        Command::Verify(args) => verify(args),
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let answer: Map<String, Json> = Client::new(&args.server)?.json("/api/v1/shards", &[]).await?;
    let mut out = io::stdout().lock();
    if args.output == Output::Json {
        writeln!(out, "{}", Json::Object(answer))?;
        return Ok(());
    }
    let columns = ["day", "state", "records", "segments", "bytes", "delete_after"].map(str::to_owned);
    let days = answer.get("shards").and_then(Json::as_array).into_iter().flatten();
    let rows: Vec<Map<String, Json>> = days.filter_map(|day| day.as_object().cloned()).collect();
    table::text(&mut out, &columns, &rows)?;
    let number = |name: &str| answer.get(name).and_then(Json::as_u64);
    let (bytes, free) = (number("bytes").unwrap_or(0), number("disk_free_bytes").unwrap_or(0));
    let lasts = match number("disk_lasts_days") {
        Some(days) => format!(", enough for {days} more days like those of the last week"),
        None => String::new(),
    };
    eprintln!("{} days take {bytes} bytes; {free} bytes of disk are free{lasts}", rows.len());
    Ok(())
}

fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let root = args.data_dir.join("shards");
    if !root.is_dir() {
        let text =
            format!("there are no shards in {}: name the data directory with --data-dir", args.data_dir.display());
        return Err(Usage(text).into());
    }
    let day = match &args.day {
        None => None,
        Some(text) => {
            Some(time::parse_day(text).ok_or_else(|| Usage(format!("{text:?} is no day: write 2026-11-22")))?)
        }
    };
    let verified = store::verify(&root, day)?;
    if let (Some(text), true) = (&args.day, verified.is_empty()) {
        return Err(Usage(format!("there is no day {text} in {}", root.display())).into());
    }
    let mut out = io::stdout().lock();
    for day in &verified {
        let (name, state) = (time::format_day(day.day), if day.sealed { "sealed" } else { "not sealed" });
        match (args.output, &day.problems[..]) {
            (Output::Json, problems) => {
                writeln!(out, "{}", json!({"day": name, "sealed": day.sealed, "problems": problems}))?;
            }
            (Output::Text, []) => writeln!(out, "{name}  sound    {state}")?,
            (Output::Text, problems) => {
                writeln!(out, "{name}  DAMAGED  {state}")?;
                problems.iter().try_for_each(|problem| writeln!(out, "            {problem}"))?;
            }
        }
    }
    match verified.iter().filter(|day| !day.problems.is_empty()).count() {
        0 => Ok(()),
        damaged => Err(anyhow!(
            "{damaged} of {} days are damaged: stop loghound, put a copy of the day in its place, and verify again. A day \
             that was being written meanwhile may only seem so",
            verified.len()
        )),
    }
}
