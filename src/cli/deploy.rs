//! `loghound deploy`: tells of a deploy, so that incidents shortly after it say so. For the last step of a pipeline.

use serde_json::Value as Json;

use super::client::{Client, Server};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What was put into service.
    pub version: String,
    /// Of which service; without one it concerns all.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub service: String,
    /// When; now without one.
    #[arg(long, value_name = "TIME", default_value = "")]
    pub at: String,
    /// Who.
    #[arg(long, env = "USER", default_value = "")]
    pub by: String,
    /// Where more is said.
    #[arg(long, default_value = "")]
    pub url: String,
    #[command(flatten)]
    pub server: Server,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(async {
        let client = Client::new(&args.server)?;
        let Args { version, service, at, by, url, .. } = &args;
        let parameters: [(&str, &str); 5] =
            [("version", version), ("service", service), ("at", at), ("by", by), ("url", url)];
        let deploy: Json = client.post_json("/api/v1/deploys", &parameters).await?;
        println!("{deploy}");
        Ok(())
    })?
}
