//! `loghound score`: how unusual lines or records are by a model of the detectors. Nothing of them is kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{Client, Server};
use super::parse::InputFormat;
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file; - or nothing is standard input.
    pub file: Option<PathBuf>,
    /// Lines as they are, or a JSON object a line, as /insert/jsonline takes them.
    #[arg(long, value_enum, default_value = "text")]
    pub input_format: InputFormat,
    /// Whose lines they are, where they are plain lines.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Ask this trained model instead of the one in use.
    #[arg(long, value_name = "VERSION")]
    pub model: Option<String>,
    /// Show what scores at least so much: 0 to 100.
    #[arg(long, value_name = "SCORE", default_value_t = 25.0)]
    pub min: f64,
    /// Exit with 1 when something scores at least so much, so that a build can stop there.
    #[arg(long, value_name = "SCORE")]
    pub fail_at: Option<f64>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

/// Lines that are sent at once.
const LINES_AT_ONCE: usize = 2_000;
/// Bytes that are sent at once, about.
const BYTES_AT_ONCE: usize = 4 << 20;

#[derive(Debug, Deserialize)]
struct Answer {
    version: String,
    records: Vec<Scored>,
    errors: Vec<Error>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scored {
    line: usize,
    service: String,
    known: bool,
    score: f64,
    severity: String,
    probability: f64,
    values: Vec<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Value {
    field: String,
    value: String,
    probability: f64,
    score: f64,
    sentence: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Error {
    line: usize,
    reason: String,
}

/// What was scored, all requests together.
#[derive(Debug, Default)]
struct Total {
    records: u64,
    shown: u64,
    unknown: u64,
    unreadable: u64,
    highest: f64,
    version: String,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let total = super::block_on(ask(args))??;
    let unknown = match total.unknown {
        0 => String::new(),
        n => format!(", {n} of services that the model does not know"),
    };
    let unreadable = match total.unreadable {
        0 => String::new(),
        n => format!(", {n} could not be read"),
    };
    eprintln!(
        "{} of {} records score {} or more by {}, the highest {:.0}{unknown}{unreadable}",
        total.shown, total.records, args.min, total.version, total.highest
    );
    if let Some(most) = args.fail_at.filter(|most| total.highest >= *most) {
        bail!("a record scores {:.0}, and --fail-at is {most}", total.highest);
    }
    Ok(())
}

async fn ask(args: &Args) -> anyhow::Result<Total> {
    let client = Client::new(&args.server)?;
    let path = match &args.model {
        Some(version) => format!("/api/v1/score?version={version}"),
        None => "/api/v1/score".to_owned(),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut total, mut lines, mut body, mut before) = (Total::default(), Vec::new(), String::new(), 0);
    let mut input = input(args.file.as_deref())?;
    loop {
        let mut line = Vec::new();
        let read = input.read_until(b'\n', &mut line).context("cannot read the lines")?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.trim().is_empty() {
            match args.input_format {
                InputFormat::Text => {
                    let service = args.service.as_deref().map(|name| json!({"name": name}));
                    let mut record = json!({"message": text});
                    if let (Some(service), Some(record)) = (service, record.as_object_mut()) {
                        record.insert("service".to_owned(), service);
                    }
                    body.push_str(&record.to_string());
                }
                InputFormat::Ndjson => body.push_str(text),
            }
            body.push('\n');
            lines.push(text.to_owned());
        }
        if lines.len() >= LINES_AT_ONCE || body.len() >= BYTES_AT_ONCE || (read == 0 && !lines.is_empty()) {
            let answer: Answer = client.post_body(&path, std::mem::take(&mut body)).await?;
            tell(args, answer, &lines, before, &mut total, &mut out)?;
            before += lines.len();
            lines.clear();
        }
        if read == 0 {
            break;
        }
    }
    out.flush()?;
    Ok(total)
}

fn input(file: Option<&Path>) -> anyhow::Result<Box<dyn BufRead>> {
    match file {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        }
        _ => Ok(Box::new(BufReader::new(io::stdin()))),
    }
}

fn tell(
    args: &Args,
    answer: Answer,
    lines: &[String],
    before: usize,
    total: &mut Total,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    total.version = answer.version;
    total.unreadable += answer.errors.len() as u64;
    for error in &answer.errors {
        eprintln!("line {}: {}", before + error.line, error.reason);
    }
    for mut scored in answer.records {
        total.records += 1;
        total.unknown += u64::from(!scored.known);
        total.highest = total.highest.max(scored.score);
        if scored.score < args.min {
            continue;
        }
        total.shown += 1;
        let line = lines.get(scored.line - 1).map_or("", String::as_str);
        scored.line += before;
        match args.output {
            Output::Text => write!(out, "{}", text(&scored, line))?,
            Output::Json | Output::Ndjson => writeln!(out, "{}", serde_json::to_string(&scored)?)?,
        }
    }
    Ok(())
}

/// The line, and under it what is unusual.
fn text(scored: &Scored, line: &str) -> String {
    let Scored { score, severity, service, .. } = scored;
    let mut out = format!("{score:>3.0} {severity:8} {}  {}\n", printable(service), printable(line));
    for (place, value) in scored.values.iter().enumerate() {
        // What is unusual at all, and of what is not, the first.
        if place == 0 || value.score >= 25.0 {
            out += &format!("{:13}{}\n", "", printable(&value.sentence));
        }
    }
    out
}
