//! `loghound jobs`: what is watched beside all else.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::printable;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All jobs, and how they are doing.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// One job as it was written.
    Show {
        name: String,
        #[command(flatten)]
        server: Server,
    },
    /// Put a job: it runs from now on, in the place of one that has its name.
    Put {
        /// One job, YAML or JSON.
        file: PathBuf,
        #[command(flatten)]
        server: Server,
    },
    /// Delete a job and all it learned.
    Delete {
        name: String,
        #[command(flatten)]
        server: Server,
    },
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    super::block_on(async {
        let answer: Json = match &args.command {
            Command::List { server } => Client::new(server)?.json("/api/v1/jobs", &[]).await?,
            Command::Show { name, server } => {
                let job: Json = Client::new(server)?.json(&format!("/api/v1/jobs/{name}"), &[]).await?;
                return Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&job["job"])?)?);
            }
            Command::Put { file, server } => {
                let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                Client::new(server)?.post_body("/api/v1/jobs", text).await?
            }
            Command::Delete { name, server } => {
                Client::new(server)?.delete_json(&format!("/api/v1/jobs/{name}")).await?
            }
        };
        Ok(io::stdout().write_all(text(&answer).as_bytes())?)
    })?
}

fn text(answer: &Json) -> String {
    let mut out = String::new();
    for job in answer["jobs"].as_array().into_iter().flatten() {
        let (written, stats) = (&job["job"], &job["stats"]);
        let word = |name: &str| written[name].as_str().unwrap_or_default();
        let mut what = word("function").to_owned();
        for (key, long) in [("field", "field_name"), ("by", "by_field_name"), ("over", "over_field_name")]
            .into_iter()
            .chain([("partition", "partition_field_name"), ("filter", "query")])
        {
            let value = Some(word(key)).filter(|value| !value.is_empty()).unwrap_or(word(long));
            if !value.is_empty() {
                what += &format!("  {key} {value}");
            }
        }
        let name = job["name"].as_str().unwrap_or_default();
        let place = if job["configured"] == true { "  (configuration)" } else { "" };
        out += &format!("{}  {}{place}\n", printable(name), printable(&what));
        out += &format!(
            "    {} records, {} buckets, {} series in {} KiB, {} anomalies",
            stats["records"],
            stats["buckets"],
            stats["series"],
            stats["bytes"].as_u64().unwrap_or_default() / 1024,
            stats["anomalies"]
        );
        if stats["not_covered"].as_u64().is_some_and(|count| count > 0) {
            out += &format!("; no room for {} records: give it more memory, or split it less", stats["not_covered"]);
        }
        if stats["late"].as_u64().is_some_and(|count| count > 0) {
            out += &format!("; {} came late", stats["late"]);
        }
        out.push('\n');
    }
    if out.is_empty() {
        out = "no jobs: loghound jobs put FILE, or jobs in the configuration\n".to_owned();
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_two_lines() {
        let stats = json!({"records": 9, "buckets": 2, "series": 1, "bytes": 4096, "anomalies": 0, "late": 0, "not_covered": 3});
        let job = json!({"function": "mean", "field_name": "duration", "partition": "pod"});
        let told = text(&json!({"jobs": [{"name": "a", "job": job, "configured": true, "stats": stats}]}));
        let expected = "a  mean  field duration  partition pod  (configuration)\n    9 records, 2 buckets, 1 series in 4 KiB, \
                        0 anomalies; no room for 3 records: give it more memory, or split it less\n";
        assert_eq!(told, expected);
        assert!(text(&json!({"jobs": []})).starts_with("no jobs"));
    }
}
