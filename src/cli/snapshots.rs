//! `loghound snapshots`: the store as it is now, kept beside it by hard link.

use serde::Deserialize;
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::shards::size;
use super::show::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take a snapshot under DATA/snapshots; it takes no room until days are deleted or merged.
    Create {
        /// Its name; the time without one.
        name: Option<String>,
    },
    /// Show the snapshots there are.
    List {
        /// How they are written.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Delete a snapshot.
    Delete { name: String },
}

#[derive(Debug, Deserialize)]
struct Snapshots {
    snapshots: Vec<Snapshot>,
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    name: String,
    taken_at: String,
    days: Vec<Day>,
}

#[derive(Debug, Deserialize)]
struct Day {
    records: u64,
    bytes: u64,
}

impl Snapshot {
    fn line(&self) -> String {
        let (records, bytes) = self.days.iter().fold((0, 0), |(r, b), day| (r + day.records, b + day.bytes));
        let days = if self.days.len() == 1 { "1 day".to_owned() } else { format!("{} days", self.days.len()) };
        format!("{}  taken {}, {days}, {records} records, {}", self.name, self.taken_at, size(bytes))
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(async {
        let client = Client::new(&args.server)?;
        match args.command {
            Command::Create { name } => {
                let name = name.unwrap_or_default();
                let snapshot: Snapshot = client.post_json("/api/v1/snapshots", &[("name", &name)]).await?;
                println!("{}", snapshot.line());
                println!(
                    "to put days back: stop loghound, then loghound shards restore --from DATA/snapshots/{}",
                    snapshot.name
                );
            }
            Command::List { output: Output::Text } => {
                let found: Snapshots = client.json("/api/v1/snapshots", &[]).await?;
                if found.snapshots.is_empty() {
                    println!("there are no snapshots: loghound snapshots create takes one");
                }
                found.snapshots.iter().for_each(|snapshot| println!("{}", snapshot.line()));
            }
            Command::List { .. } => println!("{}", client.json::<Json>("/api/v1/snapshots", &[]).await?),
            Command::Delete { name } => {
                client.delete_json::<Json>(&format!("/api/v1/snapshots/{name}")).await?;
                println!("deleted {name}");
            }
        }
        Ok(())
    })?
}
