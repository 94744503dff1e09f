//! `loghound check-config`: everything `serve` would refuse, without starting it.

use std::io::Write;

use super::serve;
use crate::ingest::tls::Acceptor;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub serve: serve::Args,
    /// List every key with what it means, and end.
    #[arg(long)]
    pub keys: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.keys {
        // Not `println!`, which panics when a pager or `head` has read enough.
        let mut out = std::io::stdout().lock();
        for key in crate::config::keys() {
            writeln!(out, "{:<28} {}", key.name, key.help)?;
        }
        return Ok(());
    }
    let config = args.serve.load()?;
    super::grammars::open(&config)?;
    super::grammars::redactor(&config)?;
    super::alerts::open(&config)?;
    serve::keep(&config)?;
    serve::access(&config)?;
    serve::jobs(&config)?;
    serve::kafka_inputs(&config)?;
    for (key, tls) in [("beats.tls", &config.beats.tls), ("http.tls", &config.http.tls)] {
        if let Some(files) = serve::tls(key, tls)? {
            Acceptor::new(files).map_err(|error| anyhow::anyhow!("{key}: {error}"))?;
        }
    }
    println!("beats  {}\nhttp   {}\ndata   {}", config.beats.listen, config.http.listen, config.data_dir.display());
    println!("the configuration can be used");
    Ok(())
}
