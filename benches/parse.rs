//! A line to typed fields, on one thread, over the corpus' lines: `cargo bench --bench parse`.
//!
//! The figure to reach is per line: at most 0.1 µs for klog, 0.25 µs for Envoy. One `Fields` is reused throughout.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loghound::parse::Parser;
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
}

criterion_group!(benches, bench);
criterion_main!(benches);
