//! `loghound tokens create NAME --role ROLE`: makes a token, shows it once, and says what the configuration is to hold.

use std::io::{self, Write as _};

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::access::{Role, hash};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token. Needs no server: its hash goes into the configuration, the token to whoever is to use it.
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Whose it is: what the server says of it.
    name: String,
    /// What it is for.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Role::ALL.map(|(name, _)| name)))]
    role: String,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let Command::Create(args) = &args.command;
    let mut random = [0u8; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow!("the system has no random bytes to give"))?;
    let token = format!("lh_{}", URL_SAFE_NO_PAD.encode(random));
    let sha256: String = hash(&token).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = serde_json::to_string(&args.name)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{token}")?;
    // Beside the token, so that `loghound tokens create … > FILE` makes a Secret.
    eprintln!(
        "shown once; for the configuration:\n\nhttp:\n  tokens:\n    - {{name: {name}, role: {}, sha256: {sha256}}}",
        args.role
    );
    Ok(out.flush()?)
}
