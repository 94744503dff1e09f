//! `loghound check-config`: everything `serve` would refuse, without starting it.

use super::serve;

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
        for key in crate::config::keys() {
            println!("{:<28} {}", key.name, key.help);
        }
        return Ok(());
    }
    let config = args.serve.load()?;
    super::grammars::open(&config)?;
    super::grammars::redactor(&config)?;
    super::alerts::open(&config)?;
    serve::keep(&config)?;
    serve::access(&config)?;
    serve::kafka(&config)?;
    serve::jobs(&config)?;
    println!("beats  {}\nhttp   {}\ndata   {}", config.beats.listen, config.http.listen, config.data_dir.display());
    println!("the configuration can be used");
    Ok(())
}
