//! The engine against another one: the `grok` crate, which matches by Oniguruma, on lines of the corpus.
//!
//! The corpus is outside the repository: `$LOGHOUND_SHARED`, else `../shared` beside it. Lines are ASCII
//! and without a line feed, where the two mean the same by `\w` and by `.`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Captures, Library, Outcome, Pattern};

/// The corpus's lines of one format.
fn lines(format: &str) -> Vec<String> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("corpus").join(format).join("lines.ndjson");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}; set LOGHOUND_SHARED", path.display()));
    let line = |line: &str| match serde_json::from_str::<Map<String, Value>>(line).unwrap().remove("line") {
        Some(Value::String(line)) if line.is_ascii() && !line.contains('\n') && line.len() < 4096 => Some(line),
        _ => None,
    };
    text.lines().filter_map(line).collect()
}

/// Both engines' fields; the other's names for a repeated field are `name[1]`, and so are ours here. Counts the
/// lines that match.
fn compare(patterns: &[&str], lines: &[String], other_library: &::grok::Grok, library: &Library) -> usize {
    let mut captures = Captures::new();
    let mut matched = 0;
    for text in patterns {
        let ours = Pattern::compile(library, text).unwrap_or_else(|e| panic!("{}", e.render()));
        let other = other_library.compile(text, true).unwrap();
        for line in lines {
            let expected = other.match_against(line).map(|found| {
                found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
            });
            let found = match ours.matches(line, &mut captures) {
                Outcome::Match => Some(named(&ours, line, &captures)),
                Outcome::NoMatch => None,
                Outcome::StepLimit => panic!("{text} reached the limit on {line}"),
            };
            assert_eq!(found, expected, "{text} on {line}");
            matched += usize::from(found.is_some());
        }
    }
    matched
}

fn named(pattern: &Pattern, line: &str, captures: &Captures) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let each = pattern.groups().iter().enumerate().filter_map(|(at, group)| {
        let name = group.field.path().join(".");
        let count = seen.entry(name.clone()).and_modify(|n| *n += 1).or_insert(0);
        let name = if *count == 0 { name } else { format!("{name}[{count}]") };
        Some((name, line[captures.get(at)?].to_owned()))
    });
    each.collect()
}

#[test]
fn log_patterns_on_their_own_lines() {
    let klog = r"^(?:%{DATA:before})?%{LEVEL:level=[IWEF]}%{MM:month=\d\d}%{DD:day=\d\d} %{TIME:time} +%{INT:thread_id} %{NOTSPACE:filename}:%{INT:line_number}\] %{GREEDYDATA:msg}";
    let envoy = r#"\[%{TIMESTAMP_ISO8601:start}\] "(?:%{WORD:method}|-) %{NOTSPACE:path} %{NOTSPACE:protocol}" %{INT:code} %{NOTSPACE:flags} %{INT:received} %{INT:sent} %{INT:duration}"#;
    for (format, patterns, least) in [
        ("apache", &["%{COMBINEDAPACHELOG}", "%{COMMONAPACHELOG}"][..], 100),
        (
            "nginx",
            &[
                "%{COMBINEDAPACHELOG}",
                r#"%{IPORHOST:a} - %{USER:b} \[%{HTTPDATE:c}\] %{QS:d} %{NUMBER:e} %{NUMBER:f} %{QS:g}"#,
            ],
            100,
        ),
        (
            "syslog3164",
            &["%{SYSLOGLINE}", "%{SYSLOGBASE} %{GREEDYDATA:m}", "%{SYSLOGTIMESTAMP:t} %{SYSLOGHOST:h}"],
            100,
        ),
        ("syslog5424", &["%{SYSLOG5424LINE}", "%{SYSLOG5424PRI}%{NONNEGINT:v} "], 100),
        ("klog", &[klog, "%{GREEDYDATA:a}%{NUMBER:n}", "%{IP:ip}"], 100),
        ("envoy", &[envoy, "%{IP:ip}:%{POSINT:port}", "%{URI:u}", "%{QS:a} %{QS:b}"], 100),
        (
            "oslo",
            &["%{TIMESTAMP_ISO8601:t} %{NUMBER:pid} %{LOGLEVEL:l} %{NOTSPACE:n} %{GREEDYDATA:m}", "%{UUID:u}"],
            50,
        ),
    ] {
        let (lines, other) = (lines(format), ::grok::Grok::with_default_patterns());
        let matched = compare(patterns, &lines, &other, &Library::standard());
        assert!(matched >= least, "{format}: only {matched}");
    }
}

/// Every standard pattern on a few lines of every format.
#[test]
fn standard_patterns_on_any_line() {
    let formats = ["apache", "nginx", "syslog3164", "klog", "envoy", "oslo", "logfmt"];
    let mut sample = BTreeSet::new();
    for format in formats {
        let lines = lines(format);
        let step = (lines.len() / 8).max(1);
        sample.extend(lines.into_iter().step_by(step));
    }
    let sample: Vec<String> = sample.into_iter().collect();
    let other = ::grok::Grok::with_default_patterns();
    let library = Library::standard();
    let mut matched = 0;
    for name in library.names().filter(|name| !DIFFERENT.contains(name)) {
        matched += compare(&[&format!("%{{{name}:whole}}")], &sample, &other, &library);
    }
    assert!(matched > 1000, "only {matched}");
}

/// Standard patterns whose fields differ from the other engine's, with the reason.
const DIFFERENT: &[&str] = &[
    // Compiled without the second's fraction, which HAProxy's dates have as a field of their own.
    "HAPROXYTIME",
];
