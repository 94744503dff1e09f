//! `loghound templates`: which lines come from the same log statement, without a server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::parse::template::{Limits, Miner, TemplateId};

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
    let mut ids: Vec<TemplateId> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).context("cannot read the input")? == 0 {
            break;
        }
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let content = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        ids.push(miner.observe(&String::from_utf8_lossy(content)).id);
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

/// A CSV field (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
