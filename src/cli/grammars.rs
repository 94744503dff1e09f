//! `loghound grammars`: which formats are known, what each gives, and whether a grammar file does what it shows.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Usage;
use crate::config::Config;
use crate::parse::{Grammar, Grammars, Parser, embedded_text, load};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory of grammar files beside those built in.
    #[arg(long, value_name = "DIR", global = true)]
    grammars_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every grammar, in the order in which a line of an unknown format is tried.
    List,
    /// A grammar's fields, aliases and patterns; of a built-in file its text, to copy and change.
    Show { name: String },
    /// Read grammar files and prove them by their samples.
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let text = match &args.command {
        Command::List => list(&parser(args.grammars_dir.as_deref())?),
        Command::Show { name } => {
            let parser = parser(args.grammars_dir.as_deref())?;
            parser.check_name(name)?;
            let grammar = parser.grammar(name).ok_or_else(|| Usage("loghound: auto is no grammar".to_owned()))?;
            show(grammar, args.grammars_dir.is_none())
        }
        Command::Test { files } => return test(files),
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// The built-in grammars, and those of a directory.
pub fn parser(dir: Option<&Path>) -> Result<Parser, Usage> {
    match dir {
        None => Ok(Parser::builtin()),
        Some(dir) => Parser::with_directory(dir).map_err(|problems| Usage(problems.join("\n"))),
    }
}

/// The grammars that a configuration names.
pub fn open(config: &Config) -> Result<Grammars, Usage> {
    let opened = Grammars::open(config.grammars_dir.clone(), config.routes.clone());
    opened.map_err(|problems| Usage(problems.join("\n")))
}

fn list(parser: &Parser) -> String {
    let width = parser.grammars().iter().map(|g| g.name.len()).max().unwrap_or(0);
    let row = |grammar: &Grammar| {
        let kind = if grammar.source.is_empty() { "by hand" } else { "file   " };
        format!("{:width$}  {kind}  {}\n", grammar.name, grammar.about)
    };
    parser.grammars().iter().map(|grammar| row(grammar)).collect()
}

fn show(grammar: &Grammar, builtin: bool) -> String {
    if let Some(text) = embedded_text(grammar.name).filter(|_| builtin) {
        return text.to_owned();
    }
    let mut out = format!("# {}: {}\n", grammar.name, grammar.about);
    // Writing to a string cannot fail.
    for pattern in grammar.patterns() {
        writeln!(out, "pattern  {pattern}").ok();
    }
    let width = grammar.fields.iter().map(|f| f.name.len()).max().unwrap_or(0);
    for field in &grammar.fields {
        let kind = if field.number { "number".to_owned() } else { format!("{:?}", field.role).to_lowercase() };
        writeln!(out, "field    {:width$}  {kind}", field.name).ok();
    }
    for (alias, field) in &grammar.aliases {
        writeln!(out, "alias    {alias} → {field}").ok();
    }
    out
}

fn test(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut wrong = 0;
    for path in files {
        let read = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
        match read.and_then(|text| load(&text).map_err(|error| error.to_string())) {
            Ok(grammar) => writeln!(io::stdout(), "{}: {} gives what its samples show", path.display(), grammar.name)?,
            Err(problem) => {
                wrong += 1;
                writeln!(io::stdout(), "{}: {problem}", path.display())?;
            }
        }
    }
    anyhow::ensure!(wrong == 0, "{wrong} of {} grammar files are wrong", files.len());
    Ok(())
}
