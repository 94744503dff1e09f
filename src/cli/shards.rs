//! `loghound shards`: the days on disk, how large they are, and what is deleted next.

use std::io::{self, BufWriter, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::client::{Client, Server};
use super::show::Output;
use super::table;

#[derive(Debug, clap::Args)]
pub struct Args {
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
    reason: String,
    at: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let answer: Answer = Client::new(&args.server)?.json("/api/v1/shards", &[]).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.output != Output::Text {
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    }
    let columns = ["shard", "records", "size", "segments", "oldest", "newest"].map(str::to_owned);
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

fn row(shard: &Map<String, Json>) -> Map<String, Json> {
    let get = |name: &str| shard.get(name).cloned().unwrap_or(Json::Null);
    let bytes = get("bytes").as_u64().unwrap_or(0);
    Map::from_iter([
        ("shard".to_owned(), get("name")),
        ("records".to_owned(), get("records")),
        ("size".to_owned(), json!(size(bytes))),
        ("segments".to_owned(), get("segments")),
        ("oldest".to_owned(), get("oldest")),
        ("newest".to_owned(), get("newest")),
    ])
}

/// Bytes for people.
fn size(bytes: u64) -> String {
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
