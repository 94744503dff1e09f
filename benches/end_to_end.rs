//! The whole path against VictoriaLogs, on the same lines in one run: CPU from the socket to merged and searchable,
//! rate, resident memory, disk.
//!
//!     cargo bench --bench end_to_end -- --events 1000000 --rounds 3 [--peer PATH/TO/victoria-logs]
//!
//! loghound gets Filebeat events over Lumberjack from prepared, compressed windows; VictoriaLogs gets the same lines
//! already parsed, as JSON lines over HTTP: who wrote it (agent, namespace, pod, container, node, file, offset), the
//! parsed fields flattened, and the raw line as `_msg`. CPU is what the process used, all threads, until it was idle again with everything merged. Rounds are
//! interleaved; the medians stand at the end.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use loghound::parse::Parser;
use loghound::ship::Traffic;
use serde_json::{Map, Value as Json};
use support::*;

struct Options {
    events: usize,
    rounds: usize,
    connections: usize,
    peer: Option<PathBuf>,
}

struct Outcome {
    cpu_us_per_event: f64,
    events_per_second: f64,
    rss_peak_mib: f64,
    disk_bytes_per_event: f64,
    note: String,
}

fn main() {
    let options = options();
    let start = 1_790_000_000_000_000_000i64;
    let (events, parsed) = workload(options.events, start);
    eprintln!(
        "{} events, {} B each as Filebeat JSON, {} B as parsed JSON",
        options.events,
        events.len() / options.events,
        parsed.len() / options.events
    );
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 1..=options.rounds {
        let outcome = run_loghound(&options, &events);
        print_outcome(round, "loghound", &outcome);
        ours.push(outcome);
        if let Some(peer) = &options.peer {
            let outcome = run_victoria_logs(peer, &parsed, options.events);
            print_outcome(round, "victoria-logs", &outcome);
            theirs.push(outcome);
        }
    }
    let cpu = median(ours.iter().map(|o| o.cpu_us_per_event));
    println!(
        "\nmedian loghound: {cpu:.1} us CPU an event, {:.0} events/s",
        median(ours.iter().map(|o| o.events_per_second))
    );
    if !theirs.is_empty() {
        let peer = median(theirs.iter().map(|o| o.cpu_us_per_event));
        println!("median victoria-logs: {peer:.1} us CPU an event");
        println!(
            "ratio of medians, loghound / victoria-logs: {:.2} CPU, {:.2} disk",
            cpu / peer,
            median(ours.iter().map(|o| o.disk_bytes_per_event)) / median(theirs.iter().map(|o| o.disk_bytes_per_event))
        );
    }
}

fn options() -> Options {
    let mut options = Options { events: 1_000_000, rounds: 3, connections: 4, peer: None };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--events" => options.events = value().parse().unwrap(),
            "--rounds" => options.rounds = value().parse().unwrap(),
            "--connections" => options.connections = value().parse().unwrap(),
            "--peer" => options.peer = Some(value().into()),
            _ => {}
        }
    }
    options
}

/// The same traffic twice: Filebeat events, one a line, and parsed records, one a line.
fn workload(events: usize, start: i64) -> (Vec<u8>, Vec<u8>) {
    let mut traffic = Traffic::new(7, start);
    let parser = Parser::builtin();
    let (mut raw, mut parsed, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..events {
        one.clear();
        traffic.next_event(&mut one);
        raw.extend_from_slice(&one);
        raw.push(b'\n');
        let event: Map<String, Json> = serde_json::from_slice(&one).unwrap();
        serde_json::to_writer(&mut parsed, &flatten(&parser, &event)).unwrap();
        parsed.push(b'\n');
    }
    (raw, parsed)
}

fn run_loghound(options: &Options, events: &[u8]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("events.ndjson");
    std::fs::write(&source, events).unwrap();
    let binary = env!("CARGO_BIN_EXE_loghound");
    let data = dir.path().join("data");
    let (mut child, beats, http) = start_loghound(binary, &data);
    let before = cpu_seconds(child.id());
    let report = Command::new(binary)
        .args([
            "ship",
            "--to",
            &beats,
            "--prepare",
            "--output",
            "json",
            "--connections",
            &options.connections.to_string(),
        ])
        .arg(&source)
        .output()
        .unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let report: Json = serde_json::from_slice(&report.stdout).unwrap();
    // The shipper's time is that of sending, without preparing; what was still queued then is the path's time too.
    let shipped = Instant::now();
    wait_until(Duration::from_secs(300), || total(&http) == options.events as u64);
    let seconds = report["seconds"].as_f64().unwrap() + shipped.elapsed().as_secs_f64();
    settle(child.id());
    let cpu = cpu_seconds(child.id()) - before;
    let rss = rss_peak_mib(child.id());
    let disk = disk_bytes(&data.join("shards"));
    stop(&mut child);
    let per_event = options.events as f64;
    Outcome {
        cpu_us_per_event: cpu * 1e6 / per_event,
        events_per_second: per_event / seconds,
        rss_peak_mib: rss,
        disk_bytes_per_event: disk as f64 / per_event,
        note: format!("ack ms p50 {} p99 {}", report["ack_ms"]["p50"], report["ack_ms"]["p99"]),
    }
}

fn run_victoria_logs(binary: &Path, parsed: &[u8], events: usize) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, address) = start_victoria_logs(binary, dir.path());
    let before = cpu_seconds(child.id());
    let started = Instant::now();
    fill_victoria_logs(&address, parsed);
    let _ = get(&address, "/internal/force_flush");
    let seconds = started.elapsed().as_secs_f64();
    let count = || {
        get(&address, "/select/logsql/query?query=*%20%7C%20count()%20n")
            .and_then(|(_, body)| serde_json::from_str::<Json>(body.trim()).ok()?["n"].as_str()?.parse::<usize>().ok())
    };
    wait_until(Duration::from_secs(120), || count() == Some(events));
    let _ = get(&address, "/internal/force_merge");
    settle(child.id());
    let cpu = cpu_seconds(child.id()) - before;
    let rss = rss_peak_mib(child.id());
    stop(&mut child);
    let disk = disk_bytes(dir.path());
    Outcome {
        cpu_us_per_event: cpu * 1e6 / events as f64,
        events_per_second: events as f64 / seconds,
        rss_peak_mib: rss,
        disk_bytes_per_event: disk as f64 / events as f64,
        note: String::new(),
    }
}

fn print_outcome(round: usize, name: &str, o: &Outcome) {
    println!(
        "round {round} {name:14} {:6.1} us CPU/event  {:8.0} events/s  peak RSS {:5.0} MiB  disk {:5.0} B/event  {}",
        o.cpu_us_per_event, o.events_per_second, o.rss_peak_mib, o.disk_bytes_per_event, o.note
    );
}
