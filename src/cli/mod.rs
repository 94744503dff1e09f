//! The command line: one file a subcommand. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod alerts;
pub mod anomalies;
pub mod backtest;
pub mod check_config;
mod client;
pub mod compare;
pub mod delete;
pub mod deliveries;
pub mod demo;
pub mod deploy;
pub mod detect;
pub mod feedback;
pub mod grammars;
pub mod grok;
pub mod incidents;
pub mod jobs;
pub mod models;
pub mod open;
pub mod parse;
pub mod patterns;
pub mod query;
pub mod ready;
pub mod receivers;
pub mod reparse;
pub mod rules;
pub mod score;
pub mod serve;
pub mod shards;
pub mod ship;
mod show;
pub mod silence;
pub mod snapshots;
mod sse;
mod support_bundle;
mod table;
pub mod tail;
pub mod templates;
mod tokens;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Takes the logs Filebeat ships, keeps them searchable, and tells what is wrong before you look.
#[derive(Debug, Parser)]
#[command(name = "loghound", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive, keep and search: the log service.
    Serve(serve::Args),
    /// Serve on a temporary directory, with sample traffic in it.
    Demo(demo::Args),
    /// Turn log lines into records, one JSON object a line, without a server.
    Parse(ParseArgs),
    /// Try grok patterns on lines, or run a grok filter over events.
    Grok(grok::Args),
    /// List, show and test grammars.
    Grammars(grammars::Args),
    /// Find which lines come from the same log statement, as CSV, without a server.
    Templates(templates::Args),
    /// Score a series of numbers, row by row, as CSV, without a server.
    Detect(detect::Args),
    /// Send files or made-up traffic as Filebeat does, and measure the receiver.
    Ship(ship::Args),
    /// Make tokens for those who may ask the server.
    Tokens(tokens::Args),
    /// Check a configuration without starting anything.
    CheckConfig(check_config::Args),
    /// Show records that match a query.
    Query(query::Args),
    /// Parse stored lines anew after a grammar was mended.
    Reparse(reparse::Args),
    /// Show which log statements matching records come from, how often, and which are new.
    Patterns(patterns::Args),
    /// Show what is different between two times, or between two queries.
    Compare(compare::Args),
    /// Show what was out of the ordinary, and what explains it.
    Anomalies(anomalies::Args),
    /// Say of an anomaly that it was useful, a false alarm or expected.
    Feedback(feedback::Args),
    /// Run the detectors over stored days: what would have alerted.
    Backtest(backtest::Args),
    /// Make a model of the detectors from stored days.
    Train(models::TrainArgs),
    /// Score lines by what the detectors learned of their service: how unusual is each?
    Score(score::Args),
    /// List, put and delete jobs: what is watched beside all else.
    Jobs(jobs::Args),
    /// List, activate and roll back models of the detectors.
    Models(models::Args),
    /// Show the days on disk, check them, put them back.
    Shards(shards::Args),
    /// Keep the store as it is now beside it, by hard link.
    Snapshots(snapshots::Args),
    /// Count records that match a query, and delete them.
    Delete(delete::Args),
    /// Serve copied days for a look, without changing them.
    Open(open::Args),
    /// Show what is wrong, and acknowledge, close, merge or split it.
    Incidents(incidents::Args),
    /// Silence alerts for a time.
    Silence(silence::Args),
    /// Show who is told, and send a test.
    Receivers(receivers::Args),
    /// Show what was sent, and send dead letters again.
    Deliveries(deliveries::Args),
    /// Try rules on stored anomalies.
    Rules(rules::Args),
    /// Tell of a deploy, so that incidents after it say so.
    Deploy(deploy::Args),
    /// Say whether a server can take and answer: exit code 0, or 1 and why.
    Ready(ready::Args),
    /// Put together what somebody who helps needs to see, without secrets and records.
    SupportBundle(support_bundle::Args),
    /// Show records that match a query as they arrive.
    Tail(tail::Args),
}

#[derive(Debug, clap::Args)]
pub struct ParseArgs {
    /// A grammar's name, or auto.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub grammar: String,
    /// How the input is written.
    #[arg(long, value_enum, default_value = "text")]
    pub input_format: parse::InputFormat,
    /// A directory of grammar files beside those built in.
    #[arg(long, value_name = "DIR")]
    pub grammars_dir: Option<PathBuf>,
    /// A file; - or nothing is standard input.
    pub file: Option<PathBuf>,
}

/// The command was understood and makes no sense: a query that cannot be read, a configuration with mistakes. Its text
/// is shown as it is, and the exit code is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Reads the process's arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    // clap itself prints and exits, 0 for help and 2 for mistakes.
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Parse(args) => parse::run(&args),
        Command::Grok(args) => grok::run(&args),
        Command::Grammars(args) => grammars::run(&args),
        Command::Templates(args) => templates::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Ship(args) => ship::run(args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Query(args) => query::run(args),
        Command::Reparse(args) => reparse::run(&args),
        Command::Patterns(args) => patterns::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Score(args) => score::run(&args),
        Command::Anomalies(args) => anomalies::run(args),
        Command::Feedback(args) => feedback::run(&args),
        Command::Backtest(args) => backtest::run(args),
        Command::Train(args) => models::train(&args),
        Command::Jobs(args) => jobs::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Shards(args) => shards::run(args),
        Command::Snapshots(args) => snapshots::run(args),
        Command::Delete(args) => delete::run(args),
        Command::Open(args) => open::run(args),
        Command::Incidents(args) => incidents::run(args),
        Command::Silence(args) => silence::run(args),
        Command::Receivers(args) => receivers::run(args),
        Command::Deliveries(args) => deliveries::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Deploy(args) => deploy::run(args),
        Command::Ready(args) => ready::run(args),
        Command::SupportBundle(args) => support_bundle::run(&args),
        Command::Tail(args) => tail::run(args),
        Command::Tokens(args) => tokens::run(&args),
    };
    exit_code(done, &mut io::stderr())
}

fn exit_code(done: anyhow::Result<()>, stderr: &mut impl Write) -> ExitCode {
    let Err(err) = done else { return ExitCode::SUCCESS };
    // A reader that has seen enough (`| head`) is no failure.
    if err.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    let (text, code) = if let Some(usage) = err.downcast_ref::<Usage>() {
        (usage.to_string(), 2)
    } else if let Some(unknown) = err.downcast_ref::<crate::parse::UnknownGrammar>() {
        (format!("loghound: {unknown}"), 2)
    } else {
        (format!("loghound: {err:#}"), 1)
    };
    // Where nobody reads standard error, the code has to do.
    writeln!(stderr, "{text}").ok();
    ExitCode::from(code)
}

/// Runs a client's future on a small runtime of its own.
fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes_tell_mistakes_from_failures() {
        for (done, code, says) in [
            (Ok(()), ExitCode::SUCCESS, ""),
            (
                Err(anyhow::anyhow!("disk is gone").context("cannot start")),
                ExitCode::from(1),
                "loghound: cannot start: disk is gone\n",
            ),
            (Err(Usage("query:1: what".into()).into()), ExitCode::from(2), "query:1: what\n"),
            (Err(io::Error::from(io::ErrorKind::BrokenPipe).into()), ExitCode::SUCCESS, ""),
        ] {
            let mut stderr = Vec::new();
            assert_eq!(exit_code(done, &mut stderr), code);
            assert_eq!(String::from_utf8(stderr).unwrap(), says);
        }
    }
}
