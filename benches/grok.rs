//! Compiled patterns on the corpus' lines, on one thread: `cargo bench --bench grok`.
//!
//! For each format, over the lines its pattern matches, the best of some rounds: the scanner (slots only); the `regex`
//! crate's captures of the same expansion; the `grok` crate, each value looked at once; and for klog and Envoy the
//! parser written by hand, on the lines that it parses too. To reach: at least 5 (12) times as fast as the `grok`
//! crate, at most 1.5 times the time of the parser written by hand. Read the ratios; the machine's speed cancels.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use loghound::parse::Parser;
use loghound::parse::scanner::Scanner;
use loghound::record::{Fields, Value};

#[path = "../src/parse/scanner/patterns.rs"]
mod patterns;

const ROUNDS: usize = 15;

/// Lines to be measured are repeated until there are so many in a round.
const LINES_A_ROUND: usize = 20_000;

/// The lines of a format, wrappers taken off, the few of more than 2 KB left out.
fn lines(parser: &Parser, format: &str) -> Vec<String> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("corpus").join(format).join("lines.ndjson");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}; set LOGHOUND_SHARED", path.display()));
    let lines = text.lines().filter_map(|line| {
        let object: serde_json::Value = serde_json::from_str(line).ok()?;
        let line = object["line"].as_str()?;
        let mut fields = Fields::new();
        if parser.parse_as("cri", line, &mut fields) {
            match fields.get("message") {
                Some(Value::Str(text)) => Some(text.to_string()),
                _ => None,
            }
        } else {
            Some(line.to_owned())
        }
    });
    lines.filter(|line| line.len() <= 2048).collect()
}

/// Nanoseconds a line: the best round.
fn measure<'l>(lines: &'l [String], mut each: impl FnMut(&'l str)) -> f64 {
    let repeats = LINES_A_ROUND.div_ceil(lines.len());
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        for _ in 0..repeats {
            lines.iter().for_each(|line| each(line));
        }
        begun.elapsed().as_nanos() as f64 / (repeats * lines.len()) as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() {
    let parser = Parser::builtin();
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!(
        "{:16}{:>7}{:>6}{:>14}{:>20}{:>20}{:>22}",
        "format", "lines", "bytes", "scanner ns", "regex", "grok", "by hand"
    );
    for (format, name, grok) in patterns::PATTERNS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let pattern = patterns::expanded(grok);
        let mut builder = regex::RegexBuilder::new(&pattern);
        let regex = builder.dot_matches_new_line(true).multi_line(true).build().expect("a pattern");
        let mut builder = regex_syntax::ParserBuilder::new();
        let hir = builder.dot_matches_new_line(true).multi_line(true).build().parse(&pattern).expect("a pattern");
        let scanner = Scanner::new(&hir).expect("a pattern with a scanner");
        let peer = grok::Grok::with_default_patterns().compile(grok, false).expect("a pattern");

        let by_hand = matches!(*name, "klog" | "envoy");
        let mut all = lines(&parser, format);
        all.retain(|line| regex.is_match(line) && (!by_hand || parser.parse_as(format, line, &mut Fields::new())));

        let mut slots = vec![None; scanner.slot_count()];
        let ours = measure(&all, |line| {
            assert_eq!(black_box(scanner.captures(line, &mut slots)), Some(true));
        });
        let mut locations = regex.capture_locations();
        let general = measure(&all, |line| {
            black_box(regex.captures_read(&mut locations, line));
        });
        let theirs = measure(&all, |line| {
            if let Some(found) = peer.match_against(line) {
                found.iter().for_each(|pair| {
                    black_box(pair);
                });
            }
        });
        let bytes = all.iter().map(String::len).sum::<usize>() / all.len();
        let ratio = |time: f64| format!("{time:.0} ({:.1} x)", time / ours);
        print!("{name:16}{:>7}{bytes:>6}{ours:>14.0}{:>20}{:>20}", all.len(), ratio(general), ratio(theirs));
        if by_hand {
            let mut fields = Fields::new();
            let hand = measure(&all, |line| {
                fields.clear();
                black_box(parser.parse_as(format, line, &mut fields));
            });
            print!("{:>22}", format!("{hand:.0} (we: {:.2} x)", ours / hand));
        }
        println!();
    }
}
