//! `loghound grok`: patterns tried on lines, and Logstash's filter on events, with no server.

use std::borrow::Cow;
use std::fs;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::Usage;
use crate::parse::grok::{
    Applied, Captures, CompileError, Explanation, Filter, FilterError, FilterOptions, Library, Outcome, Pattern, Type,
    explain, under,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what a pattern captures of each line; where it fails, the place and the piece that failed there.
    Debug(DebugArgs),
    /// Run Logstash's grok filter over events, one JSON object a line.
    Apply(ApplyArgs),
}

#[derive(Debug, clap::Args)]
struct DebugArgs {
    /// A grok pattern, such as '%{IP:client} %{INT:bytes:int}'.
    pattern: String,
    /// A file of lines; - or nothing is standard input.
    file: Option<PathBuf>,
    /// A directory or file of patterns, as Logstash has them; may be given more than once, later ones win.
    #[arg(long, value_name = "PATH")]
    patterns_dir: Vec<PathBuf>,
    /// One more pattern; may be given more than once.
    #[arg(long, value_name = "NAME=PATTERN")]
    define: Vec<String>,
    /// Capture %{NAME} under its own name, too.
    #[arg(long)]
    all_captures: bool,
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct ApplyArgs {
    /// A file with the filter's options, one JSON object.
    #[arg(long, value_name = "FILE")]
    options: PathBuf,
    /// A file of events; - or nothing is standard input.
    file: Option<PathBuf>,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    /// One object a line.
    Json,
}

/// Runs the subcommand. A pattern or options that make no sense are a [`Usage`].
pub fn run(args: &Args) -> anyhow::Result<()> {
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match &args.command {
        Command::Debug(args) => debug(args, input(args.file.as_deref())?, output),
        Command::Apply(args) => apply(&args.options, input(args.file.as_deref())?, output),
    }
}

fn input(file: Option<&Path>) -> anyhow::Result<Box<dyn BufRead>> {
    Ok(match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            Box::new(io::BufReader::with_capacity(1 << 16, file))
        }
        None => Box::new(io::stdin().lock()),
    })
}

/// Adds the patterns of a file, or of every file of a directory in the order of their names.
pub fn load_patterns(library: &mut Library, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot read patterns from {}", path.display());
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(cannot)?;
        files = entries.iter().map(fs::DirEntry::path).filter(|path| path.is_file()).collect();
        files.sort();
    }
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        library.define_all(&text).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// Says so where a pattern's time is bounded by a number of steps instead of the line's length.
fn warn_if_limited(pattern: &Pattern) {
    if pattern.needs_backtracking() {
        // Where nobody reads standard error, there is nobody to tell.
        let text = "needs backtracking (look-around, atomic groups or references back): limited in steps and to 64 KiB of text";
        writeln!(io::stderr(), "loghound: {:?} {text}", pattern.source()).ok();
    }
}

fn wrong_pattern(error: &CompileError) -> Usage {
    Usage(error.render())
}

fn debug(args: &DebugArgs, mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let mut library = Library::standard();
    for path in &args.patterns_dir {
        load_patterns(&mut library, path)?;
    }
    for definition in &args.define {
        let Some((name, text)) = definition.split_once('=') else {
            return Err(Usage(format!("--define {definition}: write NAME=PATTERN")).into());
        };
        library.define(name, text).map_err(|error| Usage(format!("--define {definition}: {error}")))?;
    }
    let pattern =
        Pattern::compile_with(&library, &args.pattern, !args.all_captures).map_err(|error| wrong_pattern(&error))?;
    warn_if_limited(&pattern);
    let mut captures = Captures::new();
    for_each_line(&mut input, |number, line| {
        let outcome = pattern.matches(line, &mut captures);
        let failure = if outcome == Outcome::NoMatch { explain(&library, &args.pattern, line) } else { None };
        match args.output {
            Output::Text => write_text(&mut output, number, line, &pattern, &captures, outcome, failure.as_ref()),
            Output::Json => write_json(&mut output, number, line, &pattern, &captures, outcome, failure.as_ref()),
        }
    })?;
    Ok(output.flush()?)
}

/// Reads lines without their line feed; what is no UTF-8 is replaced. Lines count from 1.
fn for_each_line(
    input: &mut impl BufRead,
    mut each: impl FnMut(u64, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("cannot read the input")? == 0 {
            return Ok(());
        }
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        each(number, &String::from_utf8_lossy(text))?;
    }
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Text => "text",
        Type::Int => "int",
        Type::Float => "float",
    }
}

/// A piece of a pattern, in quotes where it would else be blanks nobody sees.
fn visible(atom: &str) -> Cow<'_, str> {
    if atom.trim() == atom { Cow::Borrowed(atom) } else { Cow::Owned(format!("{atom:?}")) }
}

fn write_text(
    output: &mut impl Write,
    number: u64,
    line: &str,
    pattern: &Pattern,
    captures: &Captures,
    outcome: Outcome,
    failure: Option<&Explanation>,
) -> anyhow::Result<()> {
    match outcome {
        Outcome::Match => {
            writeln!(output, "{number}: match")?;
            for (group, value) in pattern.values(line, captures) {
                let name = group.field.path().join(".");
                let value = value.map_or_else(|| "-".to_owned(), |text| group.kind.value(text).to_string());
                writeln!(output, "  {name:<24} {:<6} {value}", type_name(group.kind))?;
            }
        }
        Outcome::StepLimit => writeln!(output, "{number}: not known: the limit of steps was reached")?,
        Outcome::NoMatch => match failure {
            Some(failure) => {
                let at = line[..failure.offset].chars().count() + 1;
                write!(output, "{number}: no match: character {at} does not fit {}", visible(&failure.atom))?;
                if let Some(definition) = &failure.definition {
                    write!(output, " (of %{{{definition}}})")?;
                }
                writeln!(output, "\n{}", under(line, failure.offset))?;
            }
            None => writeln!(output, "{number}: no match: each piece fits, but look-around forbids it")?,
        },
    }
    Ok(())
}

fn write_json(
    output: &mut impl Write,
    number: u64,
    line: &str,
    pattern: &Pattern,
    captures: &Captures,
    outcome: Outcome,
    failure: Option<&Explanation>,
) -> anyhow::Result<()> {
    let captured: Vec<Value> = match outcome {
        Outcome::Match => pattern
            .values(line, captures)
            .filter_map(|(group, value)| {
                Some(json!({
                    "field": group.field.path().join("."),
                    "type": type_name(group.kind),
                    "pattern": group.pattern,
                    "value": group.kind.value(value?),
                }))
            })
            .collect(),
        Outcome::NoMatch | Outcome::StepLimit => Vec::new(),
    };
    let outcome = match outcome {
        Outcome::Match => "match",
        Outcome::NoMatch => "no_match",
        Outcome::StepLimit => "step_limit",
    };
    let result = json!({"line": number, "outcome": outcome, "captures": captured, "failure": failure});
    serde_json::to_writer(&mut *output, &result).map_err(io::Error::from)?;
    Ok(writeln!(output)?)
}

fn apply(options: &Path, mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let text = fs::read_to_string(options).with_context(|| format!("cannot read {}", options.display()))?;
    let wrong = |why: &dyn std::fmt::Display| Usage(format!("{}: {why}", options.display()));
    let read: FilterOptions = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let mut library = Library::standard();
    for path in &read.patterns_dir {
        load_patterns(&mut library, Path::new(path))?;
    }
    let filter = Filter::new(read, library).map_err(|error| match &error {
        FilterError::Pattern { field, index, cause } => wrong(&format!("match: {field}: {index}: {}", cause.render())),
        FilterError::Definition(_) => wrong(&error),
    })?;
    filter.patterns().for_each(warn_if_limited);
    let mut captures = Captures::new();
    let mut unreadable = 0u64;
    for_each_line(&mut input, |number, line| {
        if line.trim().is_empty() {
            return Ok(());
        }
        let Ok(mut event) = serde_json::from_str::<Map<String, Value>>(line) else {
            unreadable += 1;
            writeln!(io::stderr(), "loghound: line {number} is not a JSON object").ok();
            return Ok(());
        };
        let _: Applied = filter.apply(&mut event, &mut captures);
        serde_json::to_writer(&mut output, &event).map_err(io::Error::from)?;
        Ok(writeln!(output)?)
    })?;
    output.flush()?;
    anyhow::ensure!(unreadable == 0, "{unreadable} input lines were not JSON objects");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debugged(pattern: &str, output: Output, lines: &str) -> String {
        let args = DebugArgs {
            pattern: pattern.to_owned(),
            file: None,
            patterns_dir: Vec::new(),
            define: vec!["ID=[a-f]+".to_owned()],
            all_captures: false,
            output,
        };
        let mut out = Vec::new();
        match debug(&args, lines.as_bytes(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.downcast_ref::<Usage>().unwrap().0.clone(),
        }
    }

    #[test]
    fn what_debug_shows() {
        let pattern = "^%{ID:[a][id]} %{INT:n:int}$";
        assert_eq!(
            debugged(pattern, Output::Text, "abc 12\r\nabc x\n"),
            "1: match\n  a.id                     text   \"abc\"\n  n                        int    12\n\
             2: no match: character 5 does not fit %{INT:n:int}\n  abc x\n      ^\n"
        );
        assert_eq!(
            debugged(pattern, Output::Json, "abc 12\nabc x"),
            "{\"captures\":[{\"field\":\"a.id\",\"pattern\":\"ID\",\"type\":\"text\",\"value\":\"abc\"},\
             {\"field\":\"n\",\"pattern\":\"INT\",\"type\":\"int\",\"value\":12}],\"failure\":null,\"line\":1,\"outcome\":\"match\"}\n\
             {\"captures\":[],\"failure\":{\"atom\":\"%{INT:n:int}\",\"definition\":null,\"offset\":4,\"pattern\":\"^%{ID:[a][id]} %{INT:n:int}$\"},\
             \"line\":2,\"outcome\":\"no_match\"}\n"
        );
        assert_eq!(
            debugged("a %{HTTPDAT:x}", Output::Text, ""),
            "pattern:3: unknown pattern %{HTTPDAT}; did you mean %{HTTPDATE}?\n  a %{HTTPDAT:x}\n    ^"
        );
    }

    #[test]
    fn a_piece_of_blanks_is_seen() {
        let shown = debugged("%{WORD:a} %{WORD:b}", Output::Text, "nope\n");
        assert!(shown.contains("character 5 does not fit \" \"\n"), "{shown}");
    }

    #[test]
    fn events_go_through_the_filter() {
        let dir = tempfile::tempdir().unwrap();
        let (options, patterns) = (dir.path().join("options.json"), dir.path().join("patterns"));
        fs::create_dir(&patterns).unwrap();
        fs::write(patterns.join("b"), "# mine\nCODE \\d{3}\n").unwrap();
        fs::write(patterns.join("a"), "CODE nothing\n").unwrap();
        let text = json!({"match": {"message": "%{CODE:code:int}"}, "patterns_dir": [patterns]});
        fs::write(&options, text.to_string()).unwrap();
        let mut out = Vec::new();
        let input = "{\"message\":\"x 200\"}\n\n{\"message\":\"x\",\"n\":1}\n[]\n";
        let error = apply(&options, input.as_bytes(), &mut out).unwrap_err();
        assert_eq!(error.to_string(), "1 input lines were not JSON objects");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"code\":200,\"message\":\"x 200\"}\n{\"message\":\"x\",\"n\":1,\"tags\":[\"_grokparsefailure\"]}\n"
        );
    }

    #[test]
    fn wrong_options_are_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("options.json");
        for (text, says) in [
            ("{\"match\": {}, \"overwriet\": []}", "unknown field `overwriet`"),
            ("{\"match\": {\"m\": [\"a\", \"(\"]}}", "match: m: 1: pattern:1: this group is not closed\n  (\n  ^"),
            ("{\"match\": {}, \"pattern_definitions\": {\"A\": \"x \"}}", "the pattern A ends with white space"),
        ] {
            fs::write(&path, text).unwrap();
            let error = apply(&path, &b""[..], Vec::new()).unwrap_err();
            let usage = &error.downcast_ref::<Usage>().unwrap().0;
            assert!(usage.contains(says), "{usage}");
        }
    }
}
