//! `loghound parse`: lines in, records out, with no server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json, json};

use super::ParseArgs;
use crate::parse::Parser;
use crate::record::Fields;

/// How the input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InputFormat {
    /// One line of a log a line.
    Text,
    /// One object a line: `{"id": …, "line": "…"}`, or `line_b64` for bytes that are no UTF-8.
    Ndjson,
}

/// Reads the file (standard input for none, or for `-`) and writes one JSON object for every line to standard output.
///
/// The grammar is a name or `auto`; an unknown one is a [`crate::parse::UnknownGrammar`].
pub fn run(args: &ParseArgs) -> anyhow::Result<()> {
    let parser = super::grammars::parser(args.grammars_dir.as_deref())?;
    let (grammar, input_format, file) = (&args.grammar, args.input_format, args.file.as_deref());
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let input = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            write_all(&parser, grammar, input_format, BufReader::with_capacity(1 << 16, input), output)
        }
        None => write_all(&parser, grammar, input_format, io::stdin().lock(), output),
    };
    match written {
        // Whoever reads our output has seen enough: `loghound parse … | head`.
        Err(e) if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => Ok(()),
        other => other,
    }
}

/// [`run`] on any input and output. The memory it takes is that of the longest line.
pub fn write_all(
    parser: &Parser,
    grammar: &str,
    input_format: InputFormat,
    mut input: impl BufRead,
    mut output: impl Write,
) -> anyhow::Result<()> {
    parser.check_name(grammar)?;
    let mut line = Vec::new();
    let (mut number, mut unreadable) = (0u64, 0u64);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("cannot read the input")? == 0 {
            break;
        }
        number += 1;
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let content = &line[..end];
        let record = match input_format {
            InputFormat::Text => text_record(parser, grammar, content.strip_suffix(b"\r").unwrap_or(content)),
            InputFormat::Ndjson => ndjson_record(parser, grammar, content).unwrap_or_else(|fault| {
                unreadable += 1;
                tracing::warn!(line = number, "{fault}");
                json!({"id": null, "grammar": null, "fields": null, "error": fault})
            }),
        };
        serde_json::to_writer(&mut output, &record).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
    }
    output.flush()?;
    anyhow::ensure!(unreadable == 0, "{unreadable} of {number} input lines were not {{\"id\", \"line\"}} objects");
    Ok(())
}

/// The line with its fields, as a search would show it. Parsed fields stand beside `message`, and win over it where
/// the line has a field of that name itself.
fn text_record(parser: &Parser, grammar: &str, bytes: &[u8]) -> Json {
    let mut object = Map::new();
    match std::str::from_utf8(bytes) {
        Ok(line) => {
            object.insert("message".into(), line.into());
            let mut fields = Fields::new();
            let found = parse(parser, grammar, line, &mut fields);
            fields.write_into(&mut object);
            object.insert("grammar".into(), found.into());
        }
        Err(_) => {
            object.insert("message".into(), String::from_utf8_lossy(bytes).into());
            object.insert("message_b64".into(), BASE64.encode(bytes).into());
            object.insert("grammar".into(), Json::Null);
        }
    }
    Json::Object(object)
}

fn ndjson_record(parser: &Parser, grammar: &str, content: &[u8]) -> Result<Json, &'static str> {
    let mut input: Map<String, Json> = serde_json::from_slice(content).map_err(|_| "not a JSON object")?;
    let id = input.remove("id").unwrap_or(Json::Null);
    let line = match (input.remove("line"), input.remove("line_b64")) {
        (Some(Json::String(line)), _) => Ok(line),
        (None, Some(Json::String(encoded))) => {
            String::from_utf8(BASE64.decode(encoded).map_err(|_| "line_b64 is not base64")?)
        }
        _ => return Err("neither line nor line_b64 is a string"),
    };
    let mut fields = Fields::new();
    let found = line.as_deref().ok().and_then(|line| parse(parser, grammar, line, &mut fields));
    let fields = found.map(|_| fields.to_json());
    Ok(json!({"id": id, "grammar": found, "fields": fields}))
}

fn parse<'a>(parser: &Parser, grammar: &str, line: &'a str, fields: &mut Fields<'a>) -> Option<&'static str> {
    if grammar == "auto" {
        return parser.parse_auto(line, fields).map(|grammar| grammar.name);
    }
    let name = parser.grammar(grammar)?.name;
    parser.parse_as(name, line, fields).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(grammar: &str, format: InputFormat, input: &[u8]) -> (Vec<Json>, anyhow::Result<()>) {
        let mut output = Vec::new();
        let result = write_all(&Parser::builtin(), grammar, format, input, &mut output);
        let lines = String::from_utf8(output).unwrap();
        (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), result)
    }

    #[test]
    fn text_becomes_records() {
        let klog = "I1124 00:58:17.986343       1 lease.go:223] m";
        let input =
            [klog.as_bytes(), b"\r\n\n2016-10-06T00:17:09Z stdout F ", klog.as_bytes(), b"\n\xff\xfe\nlast"].concat();
        let (records, result) = lines("auto", InputFormat::Text, &input);
        result.unwrap();
        assert_eq!(records.len(), 5);
        assert_eq!((&records[0]["message"], &records[0]["grammar"]), (&json!(klog), &json!("klog")));
        assert_eq!(records[0]["line_number"], 223);
        assert_eq!(records[1], json!({"message": "", "grammar": null}));
        assert_eq!((&records[2]["cri"]["stream"], &records[2]["time"]), (&json!("stdout"), &json!("00:58:17.986343")));
        assert_eq!(records[3], json!({"message": "\u{fffd}\u{fffd}", "message_b64": "//4=", "grammar": null}));
        assert_eq!(records[4], json!({"message": "last", "grammar": null}));
    }

    #[test]
    fn ndjson_answers_every_line() {
        let input = concat!(
            r#"{"id":7,"line":"I1124 00:58:17.986343 1 x.go:1] m"}"#,
            "\n",
            r#"{"id":"b","line_b64":"AA=="}"#,
            "\n",
            r#"{"id":null,"line_b64":"//4="}"#,
            "\n",
            r#"{"id":[1],"line":"{}"}"#,
            "\n",
            r#"{"id":8}"#,
            "\n",
            "x",
        );
        let (answers, result) = lines("auto", InputFormat::Ndjson, input.as_bytes());
        assert_eq!(answers.len(), 6);
        assert_eq!((&answers[0]["id"], &answers[0]["grammar"]), (&json!(7), &json!("klog")));
        assert_eq!(answers[0]["fields"]["msg"], "m");
        assert_eq!(answers[1], json!({"id": "b", "grammar": null, "fields": null}));
        assert_eq!(answers[2], json!({"id": null, "grammar": null, "fields": null}));
        assert_eq!(answers[3], json!({"id": [1], "grammar": "json", "fields": {}}));
        assert_eq!(answers[4]["error"], "neither line nor line_b64 is a string");
        assert_eq!(answers[5]["error"], "not a JSON object");
        assert_eq!(result.unwrap_err().to_string(), "2 of 6 input lines were not {\"id\", \"line\"} objects");
    }

    #[test]
    fn a_named_grammar_is_the_only_one() {
        let input = b"2016-10-06T00:17:09Z stdout F {\"a\":1}\nx";
        let (records, _) = lines("cri", InputFormat::Text, input);
        assert_eq!(records[0]["message"], "{\"a\":1}");
        assert_eq!((&records[0]["grammar"], &records[1]["grammar"]), (&json!("cri"), &Json::Null));
        let (records, _) = lines("klog", InputFormat::Text, input);
        assert_eq!(records[0]["grammar"], Json::Null);
        let (records, result) = lines("nonsense", InputFormat::Text, input);
        assert!(records.is_empty() && result.unwrap_err().is::<crate::parse::UnknownGrammar>());
    }

    #[test]
    fn a_line_of_ten_megabytes() {
        let mut input = b"I1124 00:58:17.986343 1 x.go:1] ".to_vec();
        input.resize(10 << 20, b'x');
        let (records, _) = lines("auto", InputFormat::Text, &input);
        assert_eq!(records[0]["msg"].as_str().unwrap().len(), (10 << 20) - 32);
    }
}
