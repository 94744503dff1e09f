//! The parsers against the corpus of real lines: every line's fields must be those the corpus expects.
//!
//! The corpus is outside the repository: `$LOGHOUND_SHARED`, else `../shared` beside it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use loghound::parse::Parser;
use loghound::record::Fields;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

/// Lines where the corpus is wrong, by format and id, each with the reason. None is known.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

struct Case {
    id: Json,
    /// `None` where the line is no UTF-8.
    line: Option<String>,
    real: bool,
    expected: Json,
}

fn corpus(format: &str) -> Vec<Case> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let read = |name: &str| -> Vec<Map<String, Json>> {
        let path = shared.join("corpus").join(format).join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
            panic!("cannot read {}: {e}; set LOGHOUND_SHARED to the directory that holds corpus/", path.display())
        });
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (lines, expected) = (read("lines.ndjson"), read("expected.ndjson"));
    assert_eq!(lines.len(), expected.len(), "{format}");
    let cases = lines.into_iter().zip(expected).map(|(line, expected)| {
        assert_eq!(line["id"], expected["id"], "{format}");
        let text = match (line.get("line"), line.get("line_b64")) {
            (Some(Json::String(text)), _) => Some(text.clone()),
            (_, Some(Json::String(encoded))) => {
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).ok()
            }
            _ => panic!("{format} {}: no line", line["id"]),
        };
        let real = line.get("real") == Some(&Json::Bool(true));
        Case { id: line["id"].clone(), line: text, real, expected: Json::Object(expected) }
    });
    cases.collect()
}

/// Equal, where numbers are equal to the last digits a float can hold: the corpus was written by another program.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= f64::EPSILON * a.abs()
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// What `loghound parse --grammar NAME` says of a line.
fn fields(parser: &Parser, grammar: &str, line: &str) -> Option<Map<String, Json>> {
    let mut fields = Fields::new();
    parser.parse_as(grammar, line, &mut fields).then(|| fields.to_json())
}

fn agrees(format: &str) {
    let parser = Parser::builtin();
    let (mut wrong, mut real) = (Vec::new(), 0);
    let cases = corpus(format);
    for case in &cases {
        real += usize::from(case.real);
        let id = case.id.to_string();
        if EXCEPTIONS.iter().any(|(f, i, _)| *f == format && *i == id.trim_matches('"')) {
            continue;
        }
        let mut found = case.line.as_deref().and_then(|line| fields(&parser, format, line));
        // The wrapper's fields stand beside those of the content; the corpus has them apart.
        let outer = found.as_mut().and_then(|fields| fields.remove("cri"));
        let found = found.map_or(Json::Null, Json::Object);
        let outer_fits = match case.expected.get("outer") {
            Some(expected) => {
                outer.as_ref().is_none_or(|outer| same(outer, expected)) && (outer.is_some() || found.is_null())
            }
            None => outer.is_none(),
        };
        if !same(&found, &case.expected["fields"]) || !outer_fits {
            wrong.push(format!("{id}: {:?}\n  found    {found} {outer:?}\n  expected {}", case.line, case.expected));
        }
    }
    println!("{format}: {} lines, {real} of them real, {} wrong", cases.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn klog_agrees() {
    agrees("klog");
}

#[test]
fn envoy_agrees() {
    agrees("envoy");
}

#[test]
fn cri_agrees() {
    agrees("cri");
}

#[test]
fn json_agrees() {
    agrees("json");
}

#[test]
fn syslog_agrees() {
    agrees("syslog3164");
    agrees("syslog5424");
}

#[test]
fn logfmt_agrees() {
    agrees("logfmt");
}

#[test]
fn grammar_files_agree() {
    agrees("oslo");
    agrees("nginx");
    agrees("apache");
}

/// `auto` finds the format by itself, and the named grammar then gives the same fields.
#[test]
fn auto_finds_what_each_format_is() {
    let parser = Parser::builtin();
    for format in ["klog", "envoy", "json", "syslog3164", "syslog5424", "logfmt", "oslo", "nginx"] {
        for case in corpus(format) {
            let Some(line) = case.line.as_deref().filter(|_| !case.expected["fields"].is_null()) else { continue };
            // What another program put in front (`pulling manifest ⠏ time=…`) is read by name only.
            if format == "logfmt" && !line.split(' ').next().is_some_and(|word| word.contains('=')) {
                continue;
            }
            let mut found = Fields::new();
            assert_eq!(parser.parse_auto(line, &mut found).map(|grammar| grammar.name), Some(format), "{line:?}");
            let mut again = Fields::new();
            assert!(parser.parse_as(format, line, &mut again));
            assert_eq!(found, again, "{line:?}");
        }
    }
}

#[test]
fn nasty_lines_have_no_grammar() {
    let parser = Parser::builtin();
    for case in corpus("nasty") {
        let Some(line) = &case.line else { continue };
        let start = Instant::now();
        let mut found = Fields::new();
        let grammar = parser.parse_auto(line, &mut found).map(|grammar| grammar.name);
        assert!(start.elapsed() < Duration::from_millis(500), "{}: {:?}", case.id, start.elapsed());
        if case.expected.get("lenient") != Some(&Json::Bool(true)) {
            assert_eq!((grammar, found.len()), (None, 0), "{}: {line:?}", case.id);
        }
    }
}

/// Twice the line takes about twice the time; the square would take four times. The factor leaves room for a busy
/// machine, and the shortest of some runs is taken.
#[test]
fn time_grows_with_the_length() {
    let parser = Parser::builtin();
    let klog = "I0102 03:04:05.678901       1 x.go:1] \"m\"";
    let envoy = "[2024-05-01T03:46:47.756Z] \"GET ";
    let row = "HTTP/1.1\" 200 - - - \"";
    let shapes: &[(&str, &str, &str)] = &[
        (klog, " k=\"v\"", ""),
        (klog, " k=[", ""),
        (klog, " k={\"", ""),
        (klog, " k=<\n\t", ""),
        (&format!("{klog} k=\""), "\\\"", ""),
        ("I0102 03:04:05.678901       1 ", "x:", ""),
        ("I0102 03:04:05.678901       1 x:", "1", "] "),
        ("I0102 03:04:05.678901 ", " ", ""),
        (envoy, "a \"", ""),
        (envoy, "- HTTP/1.1\" 200 ", ""),
        (envoy, "-\" 200 ", ""),
        (&format!("{envoy}/ {row}"), "\" 1", ""),
        (&format!("{envoy}/ {row}"), "\" 1 1 1 1 \"", ""),
        (&format!("{envoy}/ HTTP/1.1\" 200 - 1 2 3 4 "), "\" \"", "\""),
        ("", "{\"a\":", ""),
        ("{\"a\":", "[", ""),
        ("{\"a\":", "[1,", ""),
        ("{\"a\":\"", "\\u0041", "\"}"),
        ("{\"a\":1", ",\"a\":1", "}"),
        ("{\"a\":1", ",\"b\":{\"c\":{\"d\":1}}", "}"),
        ("", " ", ""),
        ("", "\"", ""),
        ("2016-10-06T00:17:09Z stdout F", ":x", ""),
        ("a=1 b=2", " c", ""),
        ("a=1", " a=1", ""),
        ("a=\"", "\\", ""),
        ("a=", "x", "\""),
        ("Aug 17 17:50:16 h ", "p[", ""),
        ("Aug 17 17:50:16 h p[1]: ", ": ", ""),
        ("<13>1 - - - - - ", "[i]", ""),
        ("<13>1 - - - - - [i", " a=\"\\\\\"", ""),
    ];
    for (head, unit, tail) in shapes {
        let line = |bytes: usize| format!("{head}{}{tail}", unit.repeat(bytes / unit.len()));
        let time = |line: &str| {
            let run = || {
                let start = Instant::now();
                let mut fields = Fields::new();
                std::hint::black_box(parser.parse_auto(line, &mut fields));
                start.elapsed()
            };
            (0..5).map(|_| run()).min().unwrap()
        };
        let (short, long) = (line(100_000), line(1_600_000));
        let (short, long) = (time(&short), time(&long));
        // Sixteen times the length; its square would be 256 times.
        assert!(long < short * 100 + Duration::from_millis(5), "{head:?} {unit:?}: {short:?}, then {long:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// A real line with some characters cut out, doubled or replaced: no panic, and one answer by every way.
    #[test]
    fn mutated_lines(pick in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, "[\\PC\0\n\t\" ={}\\[\\]<>-]{0,3}"), 1..4)) {
        thread_local! {
            static LINES: Vec<String> = ["klog", "envoy", "cri", "json", "syslog3164", "syslog5424", "logfmt", "oslo", "nginx", "apache", "nasty"]
                .iter()
                .flat_map(|format| corpus(format))
                .filter_map(|case| case.line)
                .filter(|line| line.len() < 20_000)
                .collect();
        }
        let mut line: Vec<char> = LINES.with(|lines| lines[pick.index(lines.len())].chars().collect());
        for (at, cut, new) in edits {
            let at = at.index(line.len() + 1);
            let end = (at + cut).min(line.len());
            line.splice(at..end, new.chars());
        }
        let line: String = line.into_iter().collect();
        let parser = Parser::builtin();
        let mut found = Fields::new();
        let grammar = parser.parse_auto(&line, &mut found).map(|grammar| grammar.name);
        for other in parser.grammars() {
            let mut again = Fields::new();
            let fits = parser.parse_as(other.name, &line, &mut again);
            prop_assert!(fits || again.is_empty());
            if grammar == Some(other.name) {
                prop_assert!(fits);
                prop_assert_eq!(&found, &again);
            }
        }
        prop_assert!(grammar.is_some() || found.is_empty());
    }
}
