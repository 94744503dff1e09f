//! `loghound detect`: scores one series of numbers, row by row, without a server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::detect::Single;
use crate::record::time::{NANOS_PER_SECOND, parse_rfc3339};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read records, one JSON object a line, and score this field's numbers; without it the input is CSV: timestamp,value.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// The field that holds a record's time.
    #[arg(long, value_name = "NAME", default_value = "@timestamp", requires = "field")]
    pub time_field: String,
    /// A file; - or nothing is standard input.
    pub file: Option<PathBuf>,
}

/// Reads `file` (standard input for none, or for `-`) and writes `timestamp,value,anomaly_score` for each row, as it comes.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match args.file.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let input = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            score(args, BufReader::with_capacity(1 << 16, input), output)
        }
        // Standard output hands on every line: who feeds rows as they arise sees scores as they arise.
        None => score(args, io::stdin().lock(), io::stdout().lock()),
    }
}

fn score(args: &Args, input: impl BufRead, output: impl Write) -> anyhow::Result<()> {
    match &args.field {
        Some(field) => score_records(field, &args.time_field, input, output),
        None => score_rows(input, output),
    }
}

/// [`run`] for CSV.
pub fn score_rows(input: impl Read, mut output: impl Write) -> anyhow::Result<()> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(input);
    let mut columns = (0, 1);
    let mut series = Single::default();
    let mut row = csv::StringRecord::new();
    let mut first = true;
    writeln!(output, "timestamp,value,anomaly_score")?;
    while rows.read_record(&mut row).context("cannot read the input")? {
        let line = row.position().map_or(0, csv::Position::line);
        let is_first = std::mem::take(&mut first);
        // A first row that holds no number is the header.
        if is_first && row.iter().all(|cell| cell.parse::<f64>().is_err()) {
            let of = |name: &str| row.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name);
            let (Some(time), Some(value)) = (of("timestamp"), of("value")) else {
                bail!("line {line}: the header has no columns `timestamp` and `value`: {}", cut(row.as_slice()));
            };
            columns = (time, value);
            continue;
        }
        let (Some(time), Some(value)) = (row.get(columns.0), row.get(columns.1)) else {
            bail!("line {line}: {} columns where timestamp,value are expected", row.len());
        };
        let Some(seconds) = seconds(time) else {
            bail!(
                "line {line}: `{}` is no time: write 2026-01-31 12:00:00, 2026-01-31T12:00:00Z, or seconds since 1970",
                cut(time)
            );
        };
        let Ok(number) = value.parse::<f64>() else {
            bail!("line {line}: `{}` is no number; write NaN where there is no value", cut(value));
        };
        writeln!(output, "{time},{value},{}", rounded(series.push(seconds, number)))?;
    }
    output.flush()?;
    Ok(())
}

/// [`run`] for records; those without the field are passed over.
pub fn score_records(
    field: &str,
    time_field: &str,
    mut input: impl BufRead,
    mut output: impl Write,
) -> anyhow::Result<()> {
    let mut series = Single::default();
    let mut text = String::new();
    let (mut number, mut scored) = (0u64, 0u64);
    writeln!(output, "timestamp,value,anomaly_score")?;
    loop {
        text.clear();
        number += 1;
        if input.read_line(&mut text).with_context(|| format!("line {number}: cannot read it"))? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let record: Value = serde_json::from_str(&text).with_context(|| format!("line {number}: this is no JSON"))?;
        let value = match get(&record, field) {
            Some(Value::Number(value)) => value.as_f64(),
            Some(Value::String(value)) => value.trim().parse().ok(),
            _ => None,
        };
        let Some(value) = value else { continue };
        let time = match get(&record, time_field) {
            Some(Value::String(time)) => time.clone(),
            Some(Value::Number(time)) => time.to_string(),
            _ => bail!("line {number}: the record has no time in `{time_field}`; --time-field names another field"),
        };
        let Some(at) = seconds(&time) else {
            bail!("line {number}: `{}` in `{time_field}` is no time", cut(&time));
        };
        scored += 1;
        writeln!(output, "{time},{value},{}", rounded(series.push(at, value)))?;
    }
    output.flush()?;
    if scored == 0 && number > 1 {
        bail!("no record has a number in `{field}`");
    }
    Ok(())
}

/// A field by its dotted name, nested or written as it is.
fn get<'a>(record: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(value) = record.get(name) {
        return Some(value);
    }
    let mut dots = name.match_indices('.');
    dots.find_map(|(dot, _)| get(record.get(&name[..dot])?, &name[dot + 1..]))
}

/// Unix seconds of a time in any of the ways it may be written.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        // A year written alone would be one, and is nobody's time.
        return (seconds.is_finite() && seconds.abs() < 1e12).then(|| seconds.floor() as i64);
    }
    let nanos = parse_rfc3339(text).or_else(|| {
        let (date, time) = text.split_once([' ', 'T'])?;
        parse_rfc3339(&format!("{date}T{time}Z"))
    })?;
    Some(nanos.div_euclid(NANOS_PER_SECOND))
}

/// Six digits: what is behind them says nothing.
fn rounded(score: f64) -> f64 {
    (score * 1e6).round() / 1e6
}

/// The beginning of what was given, for an error.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(input: &str) -> Result<String, String> {
        let mut output = Vec::new();
        score_rows(input.as_bytes(), &mut output).map_err(|err| format!("{err:#}"))?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn rows_come_back_as_they_were_with_a_score() {
        for (input, rows) in [
            ("", ""),
            ("timestamp,value\n", ""),
            ("timestamp,value\n2014-04-01 00:00:00,1.50\n", "2014-04-01 00:00:00,1.50,0\n"),
            ("2014-04-01T00:00:00Z,7\r\n\r\n1396310400,8", "2014-04-01T00:00:00Z,7,0\n1396310400,8,0\n"),
            ("host,value,timestamp\na,3,1396310400.5\n", "1396310400.5,3,0\n"),
            ("2014-04-01 00:00:00.250,NaN\n", "2014-04-01 00:00:00.250,NaN,0\n"),
        ] {
            assert_eq!(csv(input).unwrap(), format!("timestamp,value,anomaly_score\n{rows}"), "{input:?}");
        }
    }

    #[test]
    fn bad_rows_are_told_by_line() {
        for (input, says) in [
            ("time,v\n", "line 1: the header has no columns `timestamp` and `value`"),
            ("timestamp,value\n2014-04-01 00:00:00,1\nyesterday,2\n", "line 3: `yesterday` is no time"),
            ("timestamp,value\n1,one\n", "line 2: `one` is no number"),
            ("timestamp,value\n1\n", "line 2: 1 columns"),
        ] {
            let err = csv(input).unwrap_err();
            assert!(err.starts_with(says), "{err}");
        }
    }

    #[test]
    fn a_field_of_records_is_a_series() {
        let run = |field: &str, input: &str| {
            let mut output = Vec::new();
            score_records(field, "@timestamp", input.as_bytes(), &mut output).map_err(|err| format!("{err:#}"))?;
            Ok::<_, String>(String::from_utf8(output).unwrap())
        };
        let records = "{\"@timestamp\":\"2026-01-02T00:00:00Z\",\"a\":{\"b\":5}}\n{\"other\":1}\n\
                       {\"@timestamp\":\"2026-01-02T00:01:00Z\",\"a.b\":\"6.5\"}\n";
        assert_eq!(
            run("a.b", records).unwrap(),
            "timestamp,value,anomaly_score\n2026-01-02T00:00:00Z,5,0\n2026-01-02T00:01:00Z,6.5,0\n"
        );
        assert_eq!(run("c", records).unwrap_err(), "no record has a number in `c`");
        assert!(run("a", "{\"a\":1}\n").unwrap_err().starts_with("line 1: the record has no time in `@timestamp`"));
        assert!(run("a", "{}\nnot\n").unwrap_err().starts_with("line 2: this is no JSON"));
    }
}
