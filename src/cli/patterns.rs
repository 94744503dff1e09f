//! `loghound patterns`: which log statements the matching records come from, as a table or JSON.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

use serde::{Deserialize, Serialize};

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose patterns, e.g. 'level:E AND kubernetes.namespace:prod'; empty counts everything.
    #[arg(default_value = "")]
    pub query: String,
    /// From this time on: RFC 3339, a date, Unix milliseconds, or now-15m. Patterns that begin after it are marked.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Before this time; a date means to the end of that day.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// At most so many patterns, the most frequent ones.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u64,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

/// The server's answer, as it is written with `--output json`.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    took_ms: u64,
    total: u64,
    without: u64,
    templates: u64,
    patterns: Vec<Pattern>,
    #[serde(default)]
    sparkline_start: String,
    #[serde(default)]
    sparkline_interval_ms: f64,
    #[serde(default)]
    partial: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pattern {
    id: u64,
    text: Option<String>,
    count: u64,
    first_seen: String,
    last_seen: String,
    #[serde(default)]
    sparkline: Vec<u64>,
    grammar: Option<String>,
    example: Option<String>,
    examples: Vec<Vec<String>>,
    new: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<Nearest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Nearest {
    id: u64,
    text: String,
    difference: Vec<Step>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    change: String,
    text: String,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let parameters = [
        ("q", args.query.as_str()),
        ("from", args.from.as_deref().unwrap_or_default()),
        ("to", args.to.as_deref().unwrap_or_default()),
        ("limit", &args.limit.to_string()),
    ];
    let answer: Answer = client.json("/api/v1/patterns", &parameters).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
        Output::Ndjson => {
            for pattern in &answer.patterns {
                writeln!(out, "{}", serde_json::to_string(pattern)?)?;
            }
        }
        Output::Text => {
            out.write_all(table(&answer).as_bytes())?;
            let partial = if answer.partial { ", not everything was read in time" } else { "" };
            eprintln!(
                "{} of {} patterns in {} records, {} of them without one, {} ms{partial}",
                answer.patterns.len(),
                answer.templates,
                answer.total,
                answer.without,
                answer.took_ms
            );
        }
    }
    out.flush()?;
    Ok(())
}

fn table(answer: &Answer) -> String {
    let sparks = answer.patterns.iter().any(|pattern| !pattern.sparkline.is_empty());
    let title = if sparks { format!("{:SPARK_CHARS$}  ", "over time") } else { String::new() };
    let mut out = format!("{:>10} {:>6}  new {:>7}  {title}pattern\n", "count", "share", "id");
    for pattern in &answer.patterns {
        let share = 100.0 * pattern.count as f64 / answer.total.max(1) as f64;
        let mark = if pattern.new { "new" } else { "" };
        // A text that was forgotten is shown by a line that has it.
        let text = pattern.text.as_deref().or(pattern.example.as_deref()).unwrap_or_default();
        // Writing to a string cannot fail.
        let spark = if sparks { format!("{}  ", spark(&pattern.sparkline)) } else { String::new() };
        let (count, id, text) = (pattern.count, pattern.id, printable(text));
        let _ = writeln!(out, "{count:>10} {share:>5.1}%  {mark:3} {id:>7}  {spark}{text}");
        if let Some(nearest) = &pattern.nearest {
            let _ = writeln!(out, "{:>30}  like {}: {}", "", nearest.id, printable(&marked(&nearest.difference)));
        }
    }
    out
}

/// Characters of a sparkline.
const SPARK_CHARS: usize = 15;

/// Counts over time as blocks of eight heights; a blank is none at all.
fn spark(counts: &[u64]) -> String {
    let steps: Vec<u64> =
        counts.chunks(counts.len().div_ceil(SPARK_CHARS).max(1)).map(|some| some.iter().sum()).collect();
    let most = steps.iter().copied().max().unwrap_or(0);
    let block = |count: u64| match (count * 7).checked_div(most) {
        Some(height) if count > 0 => char::from_u32('▁' as u32 + height as u32).unwrap_or('█'),
        _ => ' ',
    };
    format!("{:SPARK_CHARS$}", steps.into_iter().map(block).collect::<String>())
}

/// `[-gone-]` and `{+new+}`, as `git diff --word-diff` marks them.
fn marked(steps: &[Step]) -> String {
    let step = |step: &Step| match step.change.as_str() {
        "gone" => format!("[-{}-]", step.text),
        "new" => format!("{{+{}+}}", step.text),
        _ => step.text.clone(),
    };
    steps.iter().map(step).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_of_patterns() {
        let pattern = |id, text: Option<&str>, count, nearest| {
            json!({
                "id": id, "text": text, "count": count, "first_seen": "", "last_seen": "", "grammar": null,
                "example": "a \u{1b}[2J line", "examples": [], "new": id == 9, "nearest": nearest,
            })
        };
        let step = |change, text| json!({"change": change, "text": text});
        let difference = [step("same", "lease of <*>"), step("gone", "lost"), step("new", "expired")];
        let nearest = json!({"id": 3, "text": "lease of <*> lost", "difference": difference});
        let answer: Answer = serde_json::from_value(json!({
            "took_ms": 1, "total": 16, "without": 3, "templates": 3, "partial": false,
            "patterns": [
                pattern(3, Some("lease of <*> lost"), 10, json!(null)),
                pattern(9, Some("lease of <*> expired"), 2, nearest),
                pattern(4, None, 1, json!(null)),
            ],
        }))
        .unwrap();
        assert_eq!(
            table(&answer),
            "     count  share  new      id  pattern\n\
             \x20       10  62.5%            3  lease of <*> lost\n\
             \x20        2  12.5%  new       9  lease of <*> expired\n\
             \x20                               like 3: lease of <*> [-lost-] {+expired+}\n\
             \x20        1   6.2%            4  a ␛[2J line\n"
        );
    }

    #[test]
    fn a_sparkline_has_eight_heights() {
        assert_eq!(spark(&[0, 1, 4, 8]), " ▁▄█           ");
        assert_eq!(spark(&[1; 30]), "█".repeat(15));
        assert_eq!(spark(&[]), " ".repeat(15));
    }
}
