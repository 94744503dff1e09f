//! `loghound support-bundle`: what somebody who helps needs to see, in one file, without secrets and without records.
//!
//! Each part is its own file; one that cannot be had is a file that says why, so that a bundle can be made of a loghound that
//! is down. What goes in is named here, and nothing else does: numbers, names of days, the configuration by
//! [`crate::config::shown`], and of the log what warns or fails.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::client::{Client, Server};
use super::serve;
use crate::parse::redact::Redactor;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it goes; loghound-support-TIME.tar.gz without.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The configuration file that the server was started with.
    #[arg(long, value_name = "FILE", env = "LOGHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// The server's data directory; the configuration's without.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A file with the server's log, such as `journalctl -u loghound` or `kubectl logs` write it.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    #[command(flatten)]
    pub server: Server,
}

/// Of the end of the log so much is looked at, and so many lines of it are taken: bytes, lines, bytes of a line.
const LOG_BYTES_MAX: u64 = 8 << 20;
const LOG_LINES_MAX: usize = 2_000;
const LOG_LINE_BYTES_MAX: usize = 1_000;
/// Rooms whose lines may quote records.
const QUOTING: [&str; 5] =
    ["loghound::alert", "loghound::decode", "loghound::detect", "loghound::parse", "loghound::pipeline"];

const ABOUT: &str = "\
What `loghound support-bundle` puts together. There are no records in it, no queries but those of rules and jobs, and no
secrets: look before you send it all the same.

about.txt           this text
version.json        program and machine
configuration.json  what file and environment set; what can be a secret is [hidden]
metrics.txt         /metrics
ready.json          /readyz
shards.json         /api/v1/shards: the days, their sizes, what is deleted next
disk.json           files and bytes in each part of the data directory, and what is free
dead-letters.json   how many events could not be read, and when; not what was in them
log.txt             of the log that was named: the last warnings and errors, without those that may quote records
";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| format!("loghound-support-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")).into());
    // Numbers and names are nobody's business either.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&out);
    let file = file.with_context(|| format!("cannot create {}: name another by --out", out.display()))?;
    let mut bundle =
        Bundle { tar: tar::Builder::new(GzEncoder::new(file, Compression::default())), at: now.as_second() };
    bundle.add("about.txt", ABOUT.as_bytes())?;
    bundle.add_json("version.json", Ok(version(now)))?;
    bundle.add_json("configuration.json", configuration(args))?;
    let answers = super::block_on(asked(args))?;
    for (name, answer) in answers {
        bundle.add_text(name, answer)?;
    }
    let data_dir = data_dir(args);
    bundle.add_json("disk.json", disk(&data_dir))?;
    bundle.add_json("dead-letters.json", dead_letters(&data_dir.join("dead-letters")))?;
    let log = match &args.log {
        Some(path) => log(path),
        None => Err(anyhow::anyhow!("no log was named: --log FILE takes what journalctl or kubectl logs write")),
    };
    bundle.add_text("log.txt", log)?;
    let file = bundle.tar.into_inner().and_then(GzEncoder::finish).context("cannot write the bundle")?;
    file.sync_all().context("cannot write the bundle")?;
    println!("{}", out.display());
    Ok(())
}

struct Bundle {
    tar: tar::Builder<GzEncoder<File>>,
    /// Unix seconds.
    at: i64,
}

impl Bundle {
    fn add(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at).unwrap_or_default());
        let path = Path::new("loghound-support").join(name);
        self.tar.append_data(&mut header, path, bytes).with_context(|| format!("cannot write {name}"))
    }

    /// The text, or why there is none.
    fn add_text(&mut self, name: &str, text: anyhow::Result<String>) -> anyhow::Result<()> {
        let text = text.unwrap_or_else(|error| format!("not there: {error:#}\n"));
        self.add(name, text.as_bytes())
    }

    fn add_json(&mut self, name: &str, json: anyhow::Result<Json>) -> anyhow::Result<()> {
        let json = json.unwrap_or_else(|error| json!({"not_there": format!("{error:#}")}));
        self.add(name, format!("{json:#}\n").as_bytes())
    }
}

fn version(now: jiff::Timestamp) -> Json {
    let system = rustix::system::uname();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    json!({
        "loghound": env!("CARGO_PKG_VERSION"),
        "taken_at": now.to_string(),
        "system": system.sysname().to_string_lossy(),
        "kernel": system.release().to_string_lossy(),
        "machine": system.machine().to_string_lossy(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": memory.lines().next().unwrap_or_default(),
    })
}

fn configuration(args: &Args) -> anyhow::Result<Json> {
    // A variable that is no text is none of ours.
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let set = crate::config::shown(args.config.as_deref(), environment).map_err(anyhow::Error::msg)?;
    // Its problems may quote what is written.
    let usable = settings(args).is_some();
    Ok(json!({"usable": usable, "set": set}))
}

fn settings(args: &Args) -> Option<crate::config::Config> {
    let serve = serve::Args { config: args.config.clone(), data_dir: args.data_dir.clone(), ..Default::default() };
    serve.load().ok()
}

fn data_dir(args: &Args) -> PathBuf {
    let given = args.data_dir.clone().or_else(|| settings(args).map(|config| config.data_dir));
    given.unwrap_or_else(|| crate::config::Config::default().data_dir)
}

async fn asked(args: &Args) -> Vec<(&'static str, anyhow::Result<String>)> {
    let mut answers = Vec::new();
    for (name, path) in
        [("metrics.txt", "/metrics"), ("ready.json", "/readyz?verbose"), ("shards.json", "/api/v1/shards")]
    {
        answers.push((name, answer(args, path).await));
    }
    answers
}

async fn answer(args: &Args, path: &str) -> anyhow::Result<String> {
    let client = Client::new(&args.server)?;
    if path.starts_with("/readyz") {
        // Not ready is an answer, too.
        return Ok(client.told(path).await?.1);
    }
    client.ask(path, &[], "*/*").await?.text().await.context("the answer broke off")
}

/// Files and bytes of each part of the data directory, and what its volume has free.
fn disk(data_dir: &Path) -> anyhow::Result<Json> {
    let mut parts = Vec::new();
    let entries = fs::read_dir(data_dir).with_context(|| format!("cannot read {}", data_dir.display()))?;
    for entry in entries.flatten() {
        let (files, bytes) = size(&entry.path());
        parts.push(json!({"name": entry.file_name().to_string_lossy(), "files": files, "bytes": bytes}));
    }
    parts.sort_by_key(|part| part["name"].to_string());
    let volume = rustix::fs::statvfs(data_dir).context("cannot ask the volume")?;
    Ok(json!({
        "data_dir": data_dir.display().to_string(),
        "parts": parts,
        "bytes": volume.f_blocks * volume.f_frsize,
        "free_bytes": volume.f_bavail * volume.f_frsize,
        "free_files": volume.f_favail,
    }))
}

/// Links are counted as what they are, so that nothing is counted twice and nothing leads elsewhere.
fn size(path: &Path) -> (u64, u64) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return (0, 0) };
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).fold((0, 0), |(files, bytes), (f, b)| (files + f, bytes + b))
}

/// When it came; nothing else of it is read.
#[derive(Deserialize)]
struct Letter {
    received_at: String,
}

fn dead_letters(directory: &Path) -> anyhow::Result<Json> {
    if !directory.exists() {
        return Ok(json!({"letters": 0}));
    }
    let (mut letters, mut unreadable, mut by_hour) = (0_u64, 0_u64, std::collections::BTreeMap::<String, u64>::new());
    for entry in fs::read_dir(directory).context("cannot read the dead letters")?.flatten() {
        let file = File::open(entry.path()).context("cannot read the dead letters")?;
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            match serde_json::from_str::<Letter>(&line) {
                Ok(letter) => {
                    letters += 1;
                    // `2026-11-24T01` of an RFC 3339 time.
                    let hour: String =
                        letter.received_at.chars().take(13).filter(|c| !c.is_alphabetic() || *c == 'T').collect();
                    *by_hour.entry(hour).or_default() += 1;
                }
                Err(_) => unreadable += 1,
            }
        }
    }
    let newest: Vec<_> =
        by_hour.iter().rev().take(48).map(|(hour, count)| json!({"hour": hour, "letters": count})).collect();
    Ok(json!({"letters": letters, "unreadable": unreadable, "newest_hours": newest}))
}

/// The last warnings and errors of a log, text or JSON, masked.
fn log(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_BYTES_MAX))).context("cannot read the log")?;
    let mut end = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut end).context("cannot read the log")?;
    let masks = Redactor::new(&["token", "email"].map(str::to_owned)).map_err(anyhow::Error::msg)?;
    Ok(lines(&String::from_utf8_lossy(&end), masks.as_ref()))
}

fn lines(text: &str, masks: Option<&Redactor>) -> String {
    let tells = |line: &&str| {
        let warns =
            [" WARN ", " ERROR ", "\"level\":\"WARN\"", "\"level\":\"ERROR\""].iter().any(|mark| line.contains(mark));
        warns && !QUOTING.iter().any(|room| line.contains(room))
    };
    let (all, mut told) = (text.lines().count(), text.lines().filter(tells).collect::<Vec<_>>());
    let kept = told.split_off(told.len().saturating_sub(LOG_LINES_MAX));
    let mut out = format!("{} of {all} lines\n", kept.len());
    for line in kept {
        let end = line.floor_char_boundary(LOG_LINE_BYTES_MAX);
        let line = &line[..end];
        out.push_str(&masks.map_or(line.into(), |masks| masks.mask(line)));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_what_warns_is_taken_and_what_may_quote_is_not() {
        let masks = Redactor::new(&["token".to_owned()]).unwrap();
        let text = "\
2026-11-24T01:00:00Z  INFO loghound::ingest::beats: user ada came
2026-11-24T01:00:01Z  WARN loghound::ingest::beats: closing password=s3cretword peer=10.0.0.1
{\"timestamp\":\"t\",\"level\":\"ERROR\",\"target\":\"loghound::store\",\"message\":\"no room\"}
2026-11-24T01:00:02Z ERROR loghound::pipeline::detecting: anomaly: user ada came
";
        let told = lines(text, masks.as_ref());
        assert!(told.starts_with("2 of 4 lines\n"), "{told}");
        assert!(told.contains("peer=10.0.0.1") && told.contains("no room"), "{told}");
        assert!(!told.contains("ada") && !told.contains("s3cretword"), "{told}");
        let long = format!(" WARN {}\n", "é".repeat(LOG_LINE_BYTES_MAX)).repeat(LOG_LINES_MAX + 5);
        let told = lines(&long, masks.as_ref());
        assert_eq!(told.lines().count(), LOG_LINES_MAX + 1);
        assert!(told.lines().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
    }
}
