//! Lines and patterns made to hold a parser up: the cost of a byte does not grow with the length of the line.
//!
//! Lines are made of every grammar's own samples: a good line's beginning, one piece over and over, and perhaps the good
//! line's end, so that the parser is deep in the line before it can know. `LOGHOUND_ADVERSARIAL_BYTES` sets the length
//! of the longest lines, 1 MiB by default; `-- --nocapture` shows what each grammar's worst line costs.

mod common;

use std::fmt::Write;
use std::hint;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{LogFile, Server, windows};
use loghound::parse::grok::{Captures, Library, Outcome, Pattern};
use loghound::parse::{Parser, embedded_text};
use loghound::record::Fields;
use loghound::ship::{self, Options, Stats};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// What is repeated: separators, openings without an end, pieces that classes take in one way and another.
const PIECES: &[&str] = &[
    " ", "  a", "a", "0", "\"", "\" ", "\\", "\\\"", "[", "]", "] ", "[a] ", "{", "{\"a\":", ":", ": ", ".", "a.", "/",
    "-", "=", "a=", "a=\"", " a=1", "\t", "é", "::a", "(a)", "INFO ", "1.", ", ",
];

const SHORT: usize = 4 << 10;
const LONG: usize = 64 << 10;

/// A byte of a long line may cost so many times what a byte of a short one costs. A parser whose time grows with the
/// square of the length would be at 16 between the first two lengths.
const RATIO_MAX: f64 = 3.0;

/// Differences below this are the machine's.
const NOISE: Duration = Duration::from_micros(500);

fn longest() -> usize {
    std::env::var("LOGHOUND_ADVERSARIAL_BYTES").map_or(1 << 20, |bytes| bytes.parse().unwrap())
}

/// Lines that fit the grammar.
fn samples(grammar: &str) -> Vec<String> {
    let by_hand: &[&str] = match grammar {
        "klog" => &[
            "I0122 03:57:30.123456       7 lease.go:265] Resetting endpoints",
            "E0122 03:57:30.123456       1 main.go:12] \"Sync failed\" err=\"no \\\"pod\\\"\" list=[\"a\",{\"b\":1}] n=<\n\tx\n >",
        ],
        "envoy" => &[
            "[2026-01-22T03:57:30.123Z] \"GET /a?q=1 HTTP/2\" 200 - 0 512 17 16 \"192.0.2.7\" \"curl/8.5\" \"f0e1\" \"shop.example\" \"192.0.2.9:80\"",
            "[2026-01-22T03:57:30.123Z] \"- - -\" 0 UF via_upstream - \"-\" 5 7 9 - \"-\" \"-\" \"-\" \"-\" \"192.0.2.9:80\" outbound|80||a 192.0.2.1:1 192.0.2.2:2 192.0.2.3:3 - default",
            "{\"start_time\":\"2026-01-22T03:57:30.123Z\",\"method\":\"GET\",\"path\":\"/a\",\"protocol\":\"HTTP/2\",\"response_code\":200,\"response_flags\":\"-\",\"bytes_sent\":5,\"duration\":7}",
        ],
        "json" => &["{\"ts\":1.5,\"msg\":\"a\\u00e9\\n\",\"list\":[1,{\"b\":[]}],\"o\":{\"a\":{\"b\":null}}}"],
        "cri" => &["2026-01-22T03:57:30.123456789Z stderr F:x text"],
        "docker" => &["{\"log\":\"a\\u003e b\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-22T03:57:30Z\"}"],
        "syslog3164" => &["<34>Jan 22 03:57:30 node-1 sshd[812]: Accepted key for root"],
        "syslog5424" => &["<165>1 2026-01-22T03:57:30Z h app 812 ID47 [x@1 iut=\"3\" e=\"a\\]b\"][y] text"],
        "logfmt" => &["level=info msg=\"a \\\"b\\\" c\" took=1.5 flag n=7"],
        _ => &[],
    };
    if !by_hand.is_empty() {
        return by_hand.iter().map(|line| (*line).to_owned()).collect();
    }
    let text = embedded_text(grammar).unwrap_or_else(|| panic!("no lines for {grammar}: write some here"));
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let fitting = file["samples"].as_array().unwrap().iter().filter(|sample| !sample["fields"].is_null());
    fitting.map(|sample| sample["line"].as_str().unwrap().to_owned()).collect()
}

/// A line of any length: its beginning, what is repeated, its end.
#[derive(Debug, Clone)]
struct Shape {
    head: String,
    piece: &'static str,
    tail: String,
}

impl Shape {
    fn line(&self, bytes: usize) -> String {
        format!("{}{}{}", self.head, self.piece.repeat(bytes / self.piece.len()), self.tail)
    }
}

/// Each good line broken open before every place where a word or what separates words ends, a few places at most.
fn shapes(sample: &str) -> Vec<Shape> {
    let is_edge = |at: &usize| {
        let byte = |at: usize| sample.as_bytes()[at].is_ascii_alphanumeric();
        sample.is_char_boundary(*at) && *at > 0 && byte(at - 1) != byte(*at)
    };
    let edges: Vec<usize> = [0].into_iter().chain((1..sample.len()).filter(is_edge)).chain([sample.len()]).collect();
    let mut all = Vec::new();
    // Ten of them, spread over the line.
    for edge in edges.iter().step_by(edges.len().div_ceil(10)) {
        let (head, tail) = sample.split_at(*edge);
        for piece in PIECES {
            for tail in ["", tail] {
                all.push(Shape { head: head.to_owned(), piece, tail: tail.to_owned() });
            }
        }
    }
    all
}

/// What this thread has computed so far: other processes on a busy machine do not count.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}

/// The shortest of some runs.
fn best(runs: usize, mut work: impl FnMut() -> bool) -> Duration {
    let mut once = || {
        let start = computed();
        hint::black_box(work());
        computed() - start
    };
    (0..runs).map(|_| once()).min().unwrap()
}

/// How long the work takes at two lengths, shown to be in proportion: by the best of some tries, since caches are shared.
fn grows_in_proportion(
    what: &dyn std::fmt::Debug,
    lengths: (usize, usize),
    mut time: impl FnMut(usize) -> Duration,
) -> Duration {
    let times = (lengths.1 / lengths.0) as f64;
    let (mut short, mut long) = (Duration::ZERO, Duration::MAX);
    for _ in 0..6 {
        short = short.max(time(lengths.0));
        long = long.min(time(lengths.1));
        if long <= short.mul_f64(times * RATIO_MAX) + NOISE {
            return long;
        }
    }
    panic!("{what:?}: {} bytes take {short:?}, {} bytes {long:?}", lengths.0, lengths.1)
}

fn ns_a_byte(took: Duration, bytes: usize) -> f64 {
    took.as_nanos() as f64 / bytes as f64
}

#[test]
fn a_byte_costs_the_same_in_any_line_under_every_grammar() {
    let parser = Parser::builtin();
    for grammar in parser.grammars() {
        let parse = |line: &str| parser.parse_as(grammar.name, line, &mut Fields::new());
        let lines = samples(grammar.name);
        for line in &lines {
            assert!(parser.parse_as(grammar.name, line, &mut Fields::new()), "{}: {line}", grammar.name);
        }
        let mut worst: Option<(Duration, Shape)> = None;
        for shape in lines.iter().flat_map(|line| shapes(line)) {
            let time = |bytes: usize| {
                let line = shape.line(bytes);
                best(if bytes == SHORT { 3 } else { 1 }, || parse(&line))
            };
            let took = grows_in_proportion(&(grammar.name, &shape), (SHORT, LONG), time);
            if worst.as_ref().is_none_or(|(most, _)| took > *most) {
                worst = Some((took, shape));
            }
        }
        let (took, shape) = worst.unwrap();
        let time = |bytes: usize| {
            let line = shape.line(bytes);
            best(3, || parse(&line))
        };
        let longest_took = grows_in_proportion(&(grammar.name, &shape), (LONG, longest()), time);
        let (head, piece) = (shape.head.chars().rev().take(20).collect::<Vec<_>>(), shape.piece);
        println!(
            "{:11} {:6.2} ns a byte at 64 KiB, {:6.2} at {} KiB: …{:?} {piece:?}",
            grammar.name,
            ns_a_byte(took, LONG),
            ns_a_byte(longest_took, longest()),
            longest() >> 10,
            head.into_iter().rev().collect::<String>(),
        );
        // Which grammar it is has to be found as fast.
        let auto = |bytes: usize| {
            let line = shape.line(bytes);
            best(3, || parser.parse_auto(&line, &mut Fields::new()).is_some())
        };
        grows_in_proportion(&("auto", &shape), (LONG, longest()), auto);
    }
}

#[test]
fn a_byte_costs_the_same_under_every_standard_pattern() {
    let library = Library::standard();
    let mut names: Vec<&str> = library.names().collect();
    names.sort_unstable();
    let mut captures = Captures::new();
    for name in names {
        // A recursive or broken one would be refused here; the standard ones are none.
        let pattern = Pattern::compile(&library, &format!("^%{{{name}:a}} %{{{name}:b}}$")).unwrap();
        for piece in PIECES {
            let time = |bytes: usize| {
                let line = piece.repeat(bytes / piece.len());
                best(2, || pattern.matches(&line, &mut captures) == Outcome::Match)
            };
            grows_in_proportion(&(name, piece), (SHORT, 16 << 10), time);
        }
    }
}

/// A grammar's file of somebody who means harm: refused with a reason, or as linear as any.
#[test]
fn hostile_grammars_are_refused_or_linear() {
    let load = |definitions: &str, pattern: &str| {
        let text = format!(
            "name: x\ndefinitions: {{{definitions}}}\npatterns: ['{pattern}']\nsamples: [{{line: '', fields: null}}]\n"
        );
        loghound::parse::load(&text)
    };
    let mut alternatives = "^(?<a>".to_owned();
    (0..10_000).for_each(|n| write!(alternatives, "{}w{n}x", if n > 0 { "|" } else { "" }).unwrap());
    for (definitions, pattern, says) in [
        ("A: '%{B}', B: 'x%{A}?'", "^%{A}$", "does it contain itself"),
        ("A: 'x(?:%{A})*'", "^%{A}$", "does it contain itself"),
        ("", "^(?:(?:(?:x{1000}){1000}){1000})$", "bytes"),
        ("", &format!("^{}a{}$", "(".repeat(5_000), ")".repeat(5_000)), "nested"),
    ] {
        let start = Instant::now();
        let error = load(definitions, pattern).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{says}: {:?}", start.elapsed());
    }
    for pattern in [
        &format!("{alternatives}) (?<b>.*)$"),
        "^(?<a>(?:(?:a+)+)+)$",
        "^(?<a>(?:a|a?)+) (?<b>(?:.*)*)=$",
        "(?<a>.*)(?<b>.*)(?<c>.*)(?<d>.*)=",
        "^(?<a>(?:\\S+ ?)+)\\[(?<b>[^\\]]*)\\]$",
    ] {
        load("", pattern).unwrap();
        let compiled = Pattern::compile(&Library::standard(), pattern).unwrap();
        assert!(!compiled.needs_backtracking());
        let mut captures = Captures::new();
        for piece in ["a", "a ", "w", "w9", "[", "é"] {
            let time = |bytes: usize| {
                let line = piece.repeat(bytes / piece.len());
                best(2, || compiled.matches(&line, &mut captures) == Outcome::Match)
            };
            grows_in_proportion(&(&pattern[..20.min(pattern.len())], piece), (SHORT, LONG), time);
        }
    }
}

/// Lines of 10 MB: some that fit, and some that nearly do. Escaped in an event they stay below the limit of a frame, 16 MiB.
fn ten_megabytes() -> Vec<String> {
    let shapes = [
        ("I0122 03:57:30.123456       7 lease.go:265] ", "word "),
        ("E0122 03:57:30.123456       1 main.go:12] \"m\"", " k=[\""),
        ("192.0.2.7 - - [22/Jan/2026:03:57:30 +0330] \"GET /", "a "),
        ("{\"a\":", "[1,"),
        ("2026-01-22 03:57:30 INFO ", "x::"),
    ];
    let line = |(head, piece): (&str, &str)| format!("{head}{}", piece.repeat((10 << 20) / piece.len()));
    shapes.into_iter().map(line).collect()
}

#[test]
fn a_line_of_ten_megabytes_is_parsed_whole() {
    let lines = ten_megabytes();
    let output = assert_cmd::Command::cargo_bin("loghound")
        .unwrap()
        .args(["parse", "-"])
        .write_stdin(lines.join("\n"))
        .timeout(Duration::from_secs(120))
        .output()
        .unwrap();
    assert!(output.status.success());
    let records: Vec<Value> =
        output.stdout.split(|b| *b == b'\n').filter_map(|r| serde_json::from_slice(r).ok()).collect();
    assert_eq!(records.len(), lines.len());
    for (record, line) in records.iter().zip(&lines) {
        assert!(record["message"] == **line, "{}…", &line[..40]);
    }
    assert_eq!(records[0]["grammar"], "klog");
    assert_eq!(records[4]["grammar"], "generic");
}

#[test]
fn a_line_of_ten_megabytes_is_kept_whole() {
    let server = Server::start();
    let lines = ten_megabytes();
    let events = LogFile::new("long").events(&lines);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, windows(&events, 1, 3).into(), &Arc::new(Stats::default()))).unwrap();
    server.wait_for_lines("host.name:long", &lines, Duration::from_secs(120));
}
