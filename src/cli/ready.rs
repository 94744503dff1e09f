//! `loghound ready`: whether a server can take and answer, as an exit code. Images without a shell check themselves by it.

use anyhow::bail;

use super::client::{Client, Server};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub server: Server,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let (ready, text) = Client::new(&args.server)?.told("/readyz").await?;
    if !ready {
        bail!("{}", text.trim_end());
    }
    println!("{}", text.trim_end());
    Ok(())
}
