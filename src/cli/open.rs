//! `loghound open`: serves copied days for a look, without changing them.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use super::Usage;
use super::serve::settings;
use crate::config::Config;
use crate::store::{self, Link};
use crate::{pipeline, telemetry};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A copied data directory, a snapshot, or the directory of a day, such as shards/2026-11-22.
    dir: PathBuf,
    /// Where the API and the web UI listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8044")]
    http: std::net::SocketAddr,
    /// Listen on an address other than loopback without authentication.
    #[arg(long)]
    insecure: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if !args.http.ip().is_loopback() && !args.insecure {
        let text = format!(
            "--http {} is open to others and nobody has to sign in: add --insecure if that is meant",
            args.http
        );
        return Err(Usage(text).into());
    }
    let (root, days) = store::days_under(&args.dir).map_err(|error| Usage(error.to_string()))?;
    telemetry::init_logs("warn", Default::default())?;
    // Whatever the store would change, it changes here: commits are copied, the files of records are pointed at.
    let scratch = tempfile::Builder::new().prefix("loghound-open-").tempdir().context("cannot make a directory")?;
    let linked = store::link_days(&root, &days, &scratch.path().join("shards"), Link::Symbolic)?;
    let templates = root.with_file_name("templates");
    if templates.is_dir() {
        pipeline::copy_files(&templates, &scratch.path().join("templates")).context("cannot copy the templates")?;
    }
    let mut config = Config { data_dir: scratch.path().to_owned(), ..Config::default() };
    config.http.listen = args.http;
    config.beats.listen = "127.0.0.1:0".parse().context("loopback")?;
    config.detect.memory = 0;
    let grammars = super::grammars::open(&config)?;
    let mut settings = settings(&config);
    settings.is_copy = true;
    settings.store.retention = Default::default();
    settings.store.believable = store::Options::default().believable;
    // Nothing is merged or sealed.
    settings.store.late_grace_nanos = i64::MAX;
    let records: u64 = linked.iter().map(|day| day.records).sum();
    pipeline::run(settings, grammars, |at| {
        let days = if linked.len() == 1 { store::shard_name(linked[0].day) } else { format!("{} days", linked.len()) };
        let text = format!(
            "http   listening on {}\nopen   {days}, {records} records of {}, which stays as it is\nui     http://{}/\n",
            at.http,
            args.dir.display(),
            at.http
        );
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    })?;
    Ok(())
}
