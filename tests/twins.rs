//! Parsers written by hand and patterns that say the same give the same fields, on every line of the corpus, of
//! whatever format. (Envoy's text: its format string, in `parse::format_string`.)

mod common;

use std::path::Path;

use common::corpus_lines;
use loghound::parse::Parser;
use loghound::record::Fields;
use serde_json::{Map, Value};

const FORMATS: [&str; 11] =
    ["klog", "envoy", "cri", "json", "syslog3164", "syslog5424", "logfmt", "oslo", "nginx", "apache", "nasty"];

/// A grammar, and what it gives beyond what patterns can say.
const TWINS: [(&str, &[&str]); 4] = [
    ("klog", &["msg_key", "kv"]),
    ("cri", &[]),
    ("syslog3164", &["facility", "severity"]),
    ("syslog5424", &["facility", "severity"]),
];

fn fields(parser: &Parser, grammar: &str, line: &str) -> Option<Map<String, Value>> {
    let mut fields = Fields::new();
    parser.parse_as(grammar, line, &mut fields).then(|| fields.to_json())
}

#[test]
fn patterns_and_parsers_written_by_hand_agree() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twins");
    let parser = Parser::with_directory(&dir).unwrap_or_else(|problems| panic!("{problems:?}"));
    let lines: Vec<String> = FORMATS.iter().filter_map(|format| corpus_lines(format)).flatten().collect();
    for (grammar, beyond) in TWINS {
        let mut fitting = 0;
        for line in &lines {
            let mut by_hand = fields(&parser, grammar, line);
            if by_hand.as_ref().is_some_and(|fields| fields.contains_key("structured_data")) {
                continue;
            }
            by_hand.iter_mut().for_each(|fields| fields.retain(|name, _| !beyond.contains(&name.as_str())));
            fitting += usize::from(by_hand.is_some());
            let twin = format!("{grammar}-twin");
            let twin = if grammar == "cri" {
                // A prefix comes off before any grammar looks: the twin is shown this one under another.
                let mut twin = fields(&parser, &twin, &format!("2026-01-22T03:57:30Z stdout F {line}"));
                twin.iter_mut().for_each(|fields| drop(fields.remove("cri")));
                twin
            } else {
                fields(&parser, &twin, line)
            };
            assert_eq!(by_hand, twin, "{grammar}: {line:?}");
        }
        println!("{grammar}: {fitting} of {} lines fit, all alike", lines.len());
        assert!(lines.is_empty() || fitting > 50, "{grammar}: {fitting}");
    }
}
