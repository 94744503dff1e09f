//! `loghound shards list` shows the days on disk, how large they are, and what is deleted next; `verify` reads every file
//! against its checksum; `repair` saves what can be saved, `restore` puts copies back.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::Usage;
use super::client::{Client, Server};
use super::show::Output;
use super::table;
use crate::{pipeline, store};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the days: state, size, growth, what is deleted next, and when the disk is full. Asks the server.
    List(ListArgs),
    /// Read every file against its checksum. Needs no server, and changes nothing.
    Verify(VerifyArgs),
    /// Write records of a day, a snapshot or a copy as NDJSON, oldest first. Needs no server, and changes nothing.
    Export(ExportArgs),
    /// Make a damaged day serve what can be saved of it, in a data directory that no server has open.
    Repair(RepairArgs),
    /// Put days of a snapshot or a copy back into a data directory that no server has open.
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// A day such as 2026-11-22, or quarantine; all of them without.
    day: Option<String>,
    #[arg(long, value_name = "DIR", default_value = "./loghound-data", env = "LOGHOUND_DATA_DIR")]
    data_dir: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Days such as 2026-11-22, or quarantine; all of them without.
    days: Vec<String>,
    /// A data directory, a snapshot, or the directory of one day.
    #[arg(long, value_name = "DIR", default_value = "./loghound-data", env = "LOGHOUND_DATA_DIR")]
    from: PathBuf,
    /// Only records that match, in the query language; pipes may follow.
    #[arg(long, default_value = "*")]
    query: String,
}

#[derive(Debug, clap::Args)]
struct RepairArgs {
    /// A day such as 2026-11-22, or one that was set aside, such as 2026-11-22.damaged-1.
    day: String,
    #[arg(long, value_name = "DIR", default_value = "./loghound-data", env = "LOGHOUND_DATA_DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    /// A snapshot, a copied data directory, or the directory of one day.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Days such as 2026-11-22, or quarantine; all of them without.
    days: Vec<String>,
    #[arg(long, value_name = "DIR", default_value = "./loghound-data", env = "LOGHOUND_DATA_DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    shards: Vec<Map<String, Json>>,
    bytes: u64,
    free_bytes: Option<u64>,
    bytes_a_day: Option<u64>,
    disk_full_in_days: Option<f64>,
    retention: Retention,
    next: Vec<Next>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Retention {
    days: Option<u32>,
    bytes_max: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Next {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    reason: String,
    at: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => super::block_on(list(args))?,
        Command::Verify(args) => verify(&args),
        Command::Export(args) => export(&args),
        Command::Repair(args) => repair(&args),
        Command::Restore(args) => restore(&args),
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let answer: Answer = Client::new(&args.server)?.json("/api/v1/shards", &[]).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.output != Output::Text {
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    }
    let columns = ["shard", "state", "records", "size", "segments", "oldest", "newest"].map(str::to_owned);
    let rows: Vec<Map<String, Json>> = answer.shards.iter().map(row).collect();
    table::text(&mut out, &columns, &rows)?;
    write!(out, "\n{} in all", size(answer.bytes))?;
    if let Some(a_day) = answer.bytes_a_day {
        write!(out, ", {} a day", size(a_day))?;
    }
    if let Some(free) = answer.free_bytes {
        write!(out, ", {} free", size(free))?;
    }
    if let Some(days) = answer.disk_full_in_days {
        write!(out, ": full in {days:.0} days were nothing deleted")?;
    }
    writeln!(out)?;
    for next in &answer.next {
        if let Some(query) = &next.query {
            writeln!(out, "next: records of {} that match {query} are deleted at {}", next.name, next.at)?;
            continue;
        }
        let why = match next.reason.as_str() {
            "age" => "is older than what is kept",
            _ => "makes room: the store is as large as it may be",
        };
        writeln!(out, "next: {} is deleted at {}; it {why}", next.name, next.at)?;
    }
    if answer.retention.days.is_none() && answer.retention.bytes_max.is_none() {
        writeln!(out, "nothing is deleted: neither store.retention nor store.bytes_max is set")?;
    }
    Ok(out.flush()?)
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
        Some(text) => Some(day_of(text)?),
    };
    let verified = store::verify(&root, day)?;
    if let (Some(text), true) = (&args.day, verified.is_empty()) {
        return Err(Usage(format!("there is no day {text} in {}", root.display())).into());
    }
    let mut out = io::stdout().lock();
    for day in &verified {
        let (name, state) = (store::shard_name(day.day), if day.sealed { "sealed" } else { "not sealed" });
        match (args.output, &day.problems[..]) {
            (Output::Text, []) => writeln!(out, "{name}  sound    {state}")?,
            (Output::Text, problems) => {
                writeln!(out, "{name}  DAMAGED  {state}")?;
                problems.iter().try_for_each(|problem| writeln!(out, "            {problem}"))?;
            }
            (_, problems) => {
                writeln!(out, "{}", json!({"day": name, "sealed": day.sealed, "problems": problems}))?;
            }
        }
    }
    match verified.iter().filter(|day| !day.problems.is_empty()).count() {
        0 => Ok(()),
        damaged => Err(anyhow!(
            "{damaged} of {} days are damaged: stop loghound and put a copy of the day in its place (`loghound shards restore`), or save what can be \
             saved (`loghound shards repair DAY`). A day \
             that was being written meanwhile may only seem so",
            verified.len()
        )),
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let days = args.days.iter().map(|text| day_of(text)).collect::<Result<Vec<i32>, Usage>>()?;
    let grammars = super::grammars::open(&Default::default())?;
    let mut out = BufWriter::new(io::stdout().lock());
    match pipeline::export(&args.from, &days, &args.query, grammars, &mut out) {
        Ok(records) => {
            eprintln!("{records} records");
            Ok(())
        }
        // Whoever reads has read enough.
        Err(pipeline::ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error @ (pipeline::ExportError::Query(..) | pipeline::ExportError::NoSuchDay(_))) => {
            Err(Usage(error.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn repair(args: &RepairArgs) -> anyhow::Result<()> {
    let grammars = super::grammars::open(&Default::default())?;
    let done = pipeline::repair(&args.data_dir, &args.day, &grammars)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} serves again: {} records were sound", done.name, done.sound)?;
    if done.rebuilt > 0 {
        writeln!(out, "{} records were indexed anew; nothing of them is lost", done.rebuilt)?;
    }
    if done.added > 0 {
        writeln!(out, "{} records had come since, and were added to it", done.added)?;
    }
    if done.lost > 0 {
        writeln!(
            out,
            "{} records could not be trusted and were left out: a snapshot or copy may have them",
            done.lost
        )?;
    }
    writeln!(out, "the day as it was is kept as {}: delete it when all is well", done.kept_at.display())?;
    Ok(())
}

fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let days = args.days.iter().map(|text| day_of(text)).collect::<Result<Vec<i32>, Usage>>()?;
    let mut out = io::stdout().lock();
    for day in pipeline::restore(&args.data_dir, &args.from, &days)? {
        match day.replaced {
            None => writeln!(out, "{} is back", day.name)?,
            Some(path) => {
                writeln!(
                    out,
                    "{} is back; what stood there is now {}: delete it when all is well",
                    day.name,
                    path.display()
                )?;
            }
        }
    }
    Ok(())
}

fn day_of(text: &str) -> Result<i32, Usage> {
    store::shard_day(text).ok_or_else(|| Usage(format!("{text:?} is no day: write 2026-11-22")))
}

fn row(shard: &Map<String, Json>) -> Map<String, Json> {
    let get = |name: &str| shard.get(name).cloned().unwrap_or(Json::Null);
    let bytes = get("bytes").as_u64().unwrap_or(0);
    Map::from_iter([
        ("shard".to_owned(), get("name")),
        ("state".to_owned(), get("state")),
        ("records".to_owned(), get("records")),
        ("size".to_owned(), json!(size(bytes))),
        ("segments".to_owned(), get("segments")),
        ("oldest".to_owned(), get("oldest")),
        ("newest".to_owned(), get("newest")),
    ])
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_units() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
