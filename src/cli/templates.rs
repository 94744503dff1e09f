//! `loghound templates`: which lines come from the same log statement, without a server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::parse::Parser;
use crate::parse::template::{Limits, Miner, Observed, TemplateId, Text};
use crate::record::Fields;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file; - or nothing is standard input.
    pub file: Option<PathBuf>,
}

/// Reads `file` (standard input for none, or for `-`) and writes a line of CSV for each line read.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match args.file.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let input = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            write_all(BufReader::with_capacity(1 << 16, input), output)
        }
        None => write_all(io::stdin().lock(), output),
    }
}

/// [`run`] on any input and output.
///
/// The lines are read once, and each gets its template then and there. What is written waits for the last line, because
/// two templates may turn out to be one; until then a line takes 8 bytes.
pub fn write_all(mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let mut miner = Miner::new(Limits::default());
    let parser = Parser::builtin();
    let mut ids: Vec<TemplateId> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("cannot read the input")? == 0 {
            break;
        }
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let content = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        ids.push(observe(&mut miner, &parser, &String::from_utf8_lossy(content)).id);
    }
    output.write_all(b"line_id,template_id,template\n")?;
    let mut texts = std::collections::HashMap::new();
    for (number, id) in ids.into_iter().enumerate() {
        let id = miner.resolve(id);
        let text =
            texts.entry(id).or_insert_with(|| miner.template(id).map(|view| quoted(&view.text)).unwrap_or_default());
        writeln!(output, "{},{id},{text}", number + 1)?;
    }
    output.flush()?;
    Ok(())
}

/// What a line of a log service would be mined by; a line of fields alone is taken as it is.
fn observe(miner: &mut Miner, parser: &Parser, line: &str) -> Observed {
    let mut fields = Fields::new();
    let grammar = parser.parse_auto(line, &mut fields).map(|grammar| &**grammar);
    match Text::of(grammar, Some(line), &fields) {
        Some(text) => miner.observe_text(&text, 0),
        None => miner.observe(line),
    }
}

/// A CSV field (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(input: &str) -> String {
        let mut output = Vec::new();
        write_all(input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn every_line_gets_a_row() {
        assert_eq!(csv(""), "line_id,template_id,template\n");
        assert_eq!(
            csv("took 5 ms\r\n\ntook 6 ms\nsay \"a\", b"),
            "line_id,template_id,template\n1,1,took <*>\n2,2,\n3,1,took <*>\n4,3,\"say \"\"a\"\", b\"\n"
        );
    }

    #[test]
    fn aliases_are_settled_in_the_end() {
        let lines: String = ["ann", "bob", "cid", "dan", "eve"].map(|user| format!("refused {user} twice\n")).concat();
        let rows = csv(&lines);
        assert!(rows.lines().skip(1).all(|row| row.ends_with(",1,refused <*> twice")), "{rows}");
    }

    #[test]
    fn a_klog_line_goes_by_its_statement() {
        let line = |site: &str, message: &str| format!("I1124 00:58:17.986343       1 {site}] {message}\n");
        let wrapped = format!("2016-10-06T00:17:09Z stdout F {}", line("a.go:1", "down"));
        let rows = csv(&[line("a.go:1", "up and running"), wrapped, line("a.go:2", "down")].concat());
        assert_eq!(rows, "line_id,template_id,template\n1,1,<*>\n2,1,<*>\n3,2,down\n");
    }
}
