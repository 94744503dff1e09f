//! `loghound compare`: what is different between two times, or between two queries.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::client::{Client, Server};
use super::show::{Output, printable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The query before; empty takes everything.
    #[arg(default_value = "")]
    pub before: String,
    /// The query after; the same query when it is not given.
    pub after: Option<String>,
    /// After: from this time on. RFC 3339, a date, Unix milliseconds, or now-15m.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "now-1h")]
    pub from: String,
    /// After: before this time; now when it is not given.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Before: from this time on. By default as long as the time after, just before it; of two queries the same time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub base_from: Option<String>,
    /// Before: before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub base_to: Option<String>,
    /// Compare these fields, separated by commas, instead of all that say more than which line it is.
    #[arg(long, value_name = "NAMES")]
    pub fields: Option<String>,
    /// At most so many differences, the most surprising ones.
    #[arg(long, value_name = "N", default_value_t = 30)]
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
    before: u64,
    after: u64,
    total: u64,
    compared: u64,
    fields: Vec<String>,
    skipped: Vec<String>,
    differences: Vec<Difference>,
    partial: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Difference {
    change: String,
    field: String,
    value: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    before: u64,
    after: u64,
    share_before: f64,
    share_after: f64,
    surprise: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    before: Spread,
    after: Spread,
}

#[derive(Debug, Serialize, Deserialize)]
struct Spread {
    p50: f64,
    p95: f64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    super::block_on(ask(args))?
}

async fn ask(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let parameters = [
        ("q", args.after.as_deref().unwrap_or(&args.before)),
        ("base_q", &args.before),
        ("from", &args.from),
        ("to", &given(&args.to)),
        ("base_from", &given(&args.base_from)),
        ("base_to", &given(&args.base_to)),
        ("fields", &given(&args.fields)),
        ("limit", &args.limit.to_string()),
    ];
    let answer: Answer = client.json("/api/v1/compare", &parameters).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
        Output::Ndjson => {
            for difference in &answer.differences {
                writeln!(out, "{}", serde_json::to_string(difference)?)?;
            }
        }
        Output::Text => {
            out.write_all(table(&answer).as_bytes())?;
            let skipped = match answer.skipped.len() {
                0 => String::new(),
                _ => format!(", {} have too many different values", answer.skipped.join(", ")),
            };
            let partial = if answer.partial { ", not everything was read in time" } else { "" };
            eprintln!(
                "{} of {} differences between {} records and {}, in {} values of {} fields{skipped}, {} ms{partial}",
                answer.differences.len(),
                answer.total,
                answer.before,
                answer.after,
                answer.compared,
                answer.fields.len(),
                answer.took_ms
            );
        }
    }
    out.flush()?;
    Ok(())
}

fn table(answer: &Answer) -> String {
    let mut out = format!("{:>7} {:>10} {:>10} {:>7} {:>7}  what\n", "change", "before", "after", "share", "now");
    for each in &answer.differences {
        let value = match (&each.text, &each.value) {
            (Some(text), id) => format!("{id}: {text}"),
            (None, Json::String(text)) => text.clone(),
            (None, value) => value.to_string(),
        };
        let value = match &each.numbers {
            Some(Numbers { before, after }) => {
                let (a, b) = (&before, &after);
                format!("median {} → {}, p95 {} → {}", short(a.p50), short(b.p50), short(a.p95), short(b.p95))
            }
            None => value,
        };
        let (before, after) = (100.0 * each.share_before, 100.0 * each.share_after);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:>7} {:>10} {:>10} {before:>6.1}% {after:>6.1}%  {} {}",
            each.change,
            each.before,
            each.after,
            printable(&each.field),
            printable(&value)
        );
    }
    out
}

/// Three digits are enough to see that something moved.
fn short(number: f64) -> String {
    let digits = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        n if n >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_of_differences() {
        let difference = |change, field, value: Json, counts: [u64; 2], more: Json| {
            let mut json = json!({
                "change": change, "field": field, "value": value, "before": counts[0], "after": counts[1],
                "share_before": counts[0] as f64 / 200.0, "share_after": counts[1] as f64 / 200.0, "surprise": 9.5,
            });
            json.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            json
        };
        let numbers =
            json!({"numbers": {"before": {"p50": 4.21, "p95": 0.05}, "after": {"p50": 12.345, "p95": 1234.5}}});
        let answer: Answer = serde_json::from_value(json!({
            "took_ms": 1, "before": 200, "after": 200, "total": 3, "compared": 9, "fields": ["a"], "skipped": [], "partial": false,
            "differences": [
                difference("new", "template", json!(7), [0, 20], json!({"text": "lease of <*> lost"})),
                difference("less", "path", json!("/a\u{1b}[2J"), [100, 50], json!({})),
                difference("spread", "duration", json!(null), [200, 200], numbers),
            ],
        }))
        .unwrap();
        assert_eq!(
            table(&answer),
            " change     before      after   share     now  what\n\
             \x20   new          0         20    0.0%   10.0%  template 7: lease of <*> lost\n\
             \x20  less        100         50   50.0%   25.0%  path /a␛[2J\n\
             \x20spread        200        200  100.0%  100.0%  duration median 4.21 → 12.3, p95 0.050 → 1234\n"
        );
    }
}
