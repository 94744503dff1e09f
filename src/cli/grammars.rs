//! `loghound grammars`: which formats are known, what each gives, and whether a grammar file does what it shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::Usage;
use crate::config::Config;
use crate::parse::redact::Redactor;
use crate::parse::template::{Limits, Miner, TemplateId};
use crate::parse::{FileError, Grammar, Grammars, Parser, embedded_text, file_text, load, suggest};
use crate::record::{Fields, Value};

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
    /// Propose a grammar for the lines that no grammar knows, grouped by template: a beginning, to be edited.
    Suggest {
        /// Lines; - or nothing is standard input.
        file: Option<PathBuf>,
        /// What the grammar is to be called.
        #[arg(long, value_name = "NAME", default_value = "suggested")]
        name: String,
        /// Patterns for so many templates, those with most lines.
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
    },
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
        Command::Suggest { file, name, limit } => {
            let parser = parser(args.grammars_dir.as_deref())?;
            match file.as_deref().filter(|path| path.as_os_str() != "-") {
                Some(path) => {
                    let input = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                    suggest(&parser, BufReader::new(input), name, *limit)?
                }
                None => suggest(&parser, io::stdin().lock(), name, *limit)?,
            }
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

/// The masks that a configuration names.
pub fn redactor(config: &Config) -> Result<Option<Redactor>, Usage> {
    Redactor::new(&config.redact).map_err(|problem| Usage(format!("redact: {problem}")))
}

/// Lines of a template that a pattern is made from.
const LINES_MAX: usize = 20;
/// Templates whose lines are kept.
const TEMPLATES_MAX: usize = 2_000;
/// A longer line is no basis for a pattern.
const LINE_BYTES_MAX: usize = 4 << 10;

/// The file's text, with what it was made from as comments.
fn suggest(parser: &Parser, mut input: impl BufRead, name: &str, limit: usize) -> anyhow::Result<String> {
    let mut miner = Miner::new(Limits::default());
    let mut kept: HashMap<TemplateId, Vec<String>> = HashMap::new();
    let (mut all, mut unknown) = (0u64, 0u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("cannot read the input")? == 0 {
            break;
        }
        all += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let mut fields = Fields::new();
        let content = match parser.parse_auto(text, &mut fields).map(|grammar| grammar.name) {
            None => text,
            // A runtime's wrapper around what nothing knows.
            Some("cri" | "docker") => match fields.get("message") {
                Some(Value::Str(message)) => message.trim_end_matches(['\n', '\r']),
                _ => continue,
            },
            Some(_) => continue,
        };
        unknown += 1;
        let id = miner.observe(content).id;
        if content.len() <= LINE_BYTES_MAX && (kept.len() < TEMPLATES_MAX || kept.contains_key(&id)) {
            let lines = kept.entry(id).or_default();
            if lines.len() < LINES_MAX && lines.iter().all(|line| line != content) {
                lines.push(content.to_owned());
            }
        }
    }
    // Templates may have turned out to be one.
    let mut groups: BTreeMap<TemplateId, Vec<String>> = BTreeMap::new();
    for (id, lines) in kept {
        groups.entry(miner.resolve(id)).or_default().extend(lines);
    }
    let count = |id: &TemplateId| miner.template(*id).map_or(0, |view| view.count);
    let mut groups: Vec<(u64, Vec<String>)> = groups.into_iter().map(|(id, lines)| (count(&id), lines)).collect();
    groups.sort_by_key(|(count, _)| Reverse(*count));
    let mut suggestions = Vec::new();
    let mut told = format!("# {unknown} of {all} lines have no grammar.\n");
    for (count, mut lines) in groups.into_iter().take(limit) {
        lines.sort();
        match suggest::suggest(&lines) {
            Some(suggestion) => {
                writeln!(told, "# {count} lines: {}", suggestion.pattern)?;
                suggestions.push(suggestion);
            }
            None => writeln!(told, "# {count} lines without a pattern, such as {}", lines[0])?,
        }
    }
    if suggestions.is_empty() {
        return Ok(told);
    }
    match suggest::file(name, &suggestions) {
        Ok(Some(text)) => Ok(told + &text),
        // One pattern takes the line of another: each alone was proven.
        Ok(None) => Err(anyhow!("the patterns found are in each other's way: ask for fewer with --limit")),
        Err(error @ FileError::Name(_)) => Err(Usage(format!("loghound: {error}")).into()),
        Err(error) => Err(error.into()),
    }
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
        let unit = grammar.unit(field.name).map(|unit| format!(", {unit}")).unwrap_or_default();
        writeln!(out, "field    {:width$}  {kind}{unit}", field.name).ok();
    }
    for (alias, field) in &grammar.aliases {
        writeln!(out, "alias    {alias} → {field}").ok();
    }
    out
}

fn test(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut wrong = 0;
    for path in files {
        match file_text(path).and_then(|text| load(&text).map_err(|error| error.to_string())) {
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
