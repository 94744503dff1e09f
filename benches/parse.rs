//! A line to typed fields, on one thread, over the corpus' lines: `cargo bench --bench parse`.
//!
//! The figure to reach is per line: at most 0.1 µs for klog, 0.25 µs for Envoy. One `Fields` is reused throughout.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loghound::parse::{Parser, load};
use loghound::record::Fields;

/// The lines of a format that parse, wrappers taken off, the few of more than 2 KB left out.
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
        let line = if parser.parse_as("cri", line, &mut fields) {
            match fields.get("message") {
                Some(loghound::record::Value::Str(text)) => text.to_string(),
                _ => return None,
            }
        } else {
            line.to_owned()
        };
        let mut fields = Fields::new();
        (line.len() <= 2048 && parser.parse_as(format, &line, &mut fields)).then_some(line)
    });
    lines.collect()
}

fn bench(c: &mut Criterion) {
    let parser = Parser::builtin();
    let klog = lines(&parser, "klog");
    let (structured, plain): (Vec<String>, Vec<String>) = klog.into_iter().partition(|line| line.contains("] \""));
    let (json, text): (Vec<String>, Vec<String>) =
        lines(&parser, "envoy").into_iter().partition(|line| line.starts_with('{'));
    let (istio, text): (Vec<String>, Vec<String>) = text.into_iter().partition(|line| {
        let mut fields = Fields::new();
        parser.parse_as("envoy", line, &mut fields) && fields.get("downstream_local_address").is_some()
    });
    let sets = [
        ("klog", plain),
        ("klog with key=value pairs", structured),
        ("envoy", text),
        ("istio", istio),
        ("envoy json", json),
        ("json", lines(&parser, "json")),
    ];
    for (name, lines) in &sets {
        let mut group = c.benchmark_group(*name);
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function("a set of lines", |b| {
            let mut fields = Fields::new();
            b.iter(|| {
                for line in lines {
                    fields.clear();
                    black_box(parser.parse_auto(line, &mut fields));
                }
            });
        });
        group.finish();
    }
    format_strings(c, &sets[2].1, &sets[3].1);
}

/// Envoy's default, as somebody would paste it into a grammar file.
const ENVOY: &str = r#"
name: pasted
format:
  envoy: '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
samples: [{line: '', fields: null}]
"#;

/// Compiled format strings beside the parser written by hand, both by name, on the lines that both know.
fn format_strings(c: &mut Criterion, envoy: &[String], istio: &[String]) {
    let parser = Parser::builtin();
    let (by_hand, shipped) = (parser.grammar("envoy").expect("envoy"), parser.grammar("istio").expect("istio"));
    let pasted = load(ENVOY).expect("a grammar");
    for (name, lines, compiled) in [("envoy", envoy, &pasted), ("istio", istio, shipped)] {
        let lines: Vec<_> = lines.iter().filter(|line| compiled.parse_line(line, &mut Fields::new())).collect();
        let mut group = c.benchmark_group(format!("{name} format"));
        group.throughput(Throughput::Elements(lines.len() as u64));
        for (way, grammar) in [("by hand", by_hand), ("compiled", compiled)] {
            group.bench_function(way, |b| {
                let mut fields = Fields::new();
                b.iter(|| {
                    for line in &lines {
                        fields.clear();
                        black_box(grammar.parse_line(line, &mut fields));
                    }
                });
            });
        }
        group.finish();
    }
}

/// Grammars of files: those shipped, and made ones of the usual kinds, to twenty.
const FILE_GRAMMARS: usize = 20;

/// A parser with so many; each made one begins or is held together by something of its own.
fn twenty() -> Parser {
    let dir = tempfile::tempdir().expect("a directory");
    let shipped = Parser::builtin().grammars().iter().filter(|grammar| grammar.patterns().next().is_some()).count();
    for n in 0..FILE_GRAMMARS - shipped {
        let (pattern, line) = match n % 4 {
            0 => (
                format!(r"^%{{TIMESTAMP_ISO8601:time}} app{n} %{{LOGLEVEL:level}} %{{GREEDYDATA:msg}}$"),
                format!("2026-01-22 03:57:30 app{n} INFO x"),
            ),
            1 => (
                format!(r"^%{{IPORHOST:host}} svc{n}\[%{{INT:pid:int}}\]: %{{GREEDYDATA:msg}}$"),
                format!("node-1 svc{n}[7]: x"),
            ),
            2 => (
                format!(r"^%{{WORD:word}} %{{NUMBER:n{n}}} %{{NOTSPACE:path}} took (?<ms>\d+)ms$"),
                "put 7 /x took 5ms".to_owned(),
            ),
            _ => (
                format!(r"^\[%{{HTTPDATE:time}}\] <%{{DATA:thread}}> #{n} %{{GREEDYDATA:msg}}$"),
                format!("[22/Jan/2026:03:57:30 +0330] <a> #{n} x"),
            ),
        };
        let text = |fields: &str| {
            format!("name: made-{n}\npatterns: ['{pattern}']\nsamples: [{{line: '{line}', fields: {fields}}}]\n")
        };
        // The file has to show what it gives: asked of the pattern itself.
        let error = loghound::parse::load(&text("null")).expect_err("a line that fits").to_string();
        let found = error.lines().find_map(|line| line.trim().strip_prefix("gives")).unwrap_or_default().trim();
        std::fs::write(dir.path().join(format!("{n}.yaml")), text(found)).expect("a file");
    }
    Parser::with_directory(dir.path()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A line that nothing knows, among twenty grammars of files: at most 2 µs.
fn choosing(c: &mut Criterion) {
    let parser = twenty();
    let unknown = [
        ("prose", "Resolving the name of the upstream took longer than usual, retrying in a moment"),
        ("a time first", "2026-01-22 03:57:30.123 cart.added id=7 user=bob total=12.50 currency=EUR items=3"),
        ("a word and numbers", "worker 17 /var/lib/x finished 3 of 12 in 512ms with 0 errors"),
        ("brackets", "[22/Jan/2026:03:57:30 +0330] something that is no access log line at all"),
        ("an address", "192.0.2.7 - something - that is not in the combined format"),
    ];
    let mut group = c.benchmark_group(format!("an unknown line among {FILE_GRAMMARS} grammars"));
    group.throughput(Throughput::Elements(1));
    for (name, line) in unknown {
        let mut fields = Fields::new();
        assert!(parser.parse_auto(line, &mut fields).is_none(), "{line}");
        group.bench_function(name, |b| b.iter(|| black_box(parser.parse_auto(black_box(line), &mut fields).is_some())));
    }
    group.finish();
}

criterion_group!(benches, bench, choosing);
criterion_main!(benches);
