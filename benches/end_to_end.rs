//! The whole path against VictoriaLogs, on the same lines in one run: CPU from the socket to merged and searchable,
//! rate, resident memory, disk.
//!
//!     cargo bench --bench end_to_end -- --events 1000000 --rounds 3 [--peer PATH/TO/victoria-logs]
//!
//! loghound gets Filebeat events over Lumberjack from prepared, compressed windows; VictoriaLogs gets the same lines
//! already parsed, as JSON lines over HTTP: who wrote it (agent, namespace, pod, container, node, file, offset), the
//! parsed fields flattened, and the raw line as `_msg`. CPU is what the process used, all threads, until it was idle again with everything merged. Rounds are
//! interleaved; the medians stand at the end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loghound::parse::Parser;
use loghound::record::{Fields, PATH_SEPARATOR};
use loghound::ship::Traffic;
use serde_json::{Map, Value as Json};

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

fn flatten(parser: &Parser, event: &Map<String, Json>) -> Map<String, Json> {
    let mut out = Map::new();
    for (key, value) in event {
        match key.as_str() {
            "message" | "@metadata" | "ecs" | "input" | "host" | "container" => {}
            "@timestamp" => {
                out.insert("_time".into(), value.clone());
            }
            _ => flatten_into(&mut out, key, value),
        }
    }
    let line = event["message"].as_str().unwrap();
    let mut fields = Fields::new();
    parser.parse_auto(line, &mut fields);
    for field in fields.iter() {
        out.insert(field.name.replace(PATH_SEPARATOR, "."), field.value.to_json());
    }
    out.insert("_msg".into(), Json::String(line.to_owned()));
    out
}

fn flatten_into(out: &mut Map<String, Json>, key: &str, value: &Json) {
    match value {
        Json::Object(object) => {
            // The labels and identifiers that Filebeat repeats on every line are left out: kind to the peer.
            let kept = |inner: &str| match key {
                "kubernetes" => matches!(inner, "namespace" | "pod" | "container" | "node"),
                "kubernetes.pod" | "kubernetes.container" | "kubernetes.node" | "agent" => inner == "name",
                "log.file" => inner == "path",
                _ => true,
            };
            for (inner, value) in object.iter().filter(|(inner, _)| kept(inner)) {
                flatten_into(out, &format!("{key}.{inner}"), value);
            }
        }
        other => {
            out.insert(key.to_owned(), other.clone());
        }
    }
}

fn run_loghound(options: &Options, events: &[u8]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("events.ndjson");
    std::fs::write(&source, events).unwrap();
    let binary = env!("CARGO_BIN_EXE_loghound");
    let data = dir.path().join("data");
    let mut child = Command::new(binary)
        .args(["serve", "--beats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = |name: &str| {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(name), "{line}");
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let (beats, http) = (address("beats"), address("http"));
    wait_until(Duration::from_secs(30), || get(&http, "/readyz").is_some_and(|(status, _)| status == 200));
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
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut child = Command::new(binary)
        .args([
            format!("-httpListenAddr={address}"),
            format!("-storageDataPath={}", dir.path().display()),
            "-retentionPeriod=100y".into(),
            "-futureRetention=100y".into(),
            "-loggerLevel=ERROR".into(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(Duration::from_secs(30), || get(&address, "/health").is_some_and(|(status, _)| status == 200));
    let before = cpu_seconds(child.id());
    let started = Instant::now();
    let path = "/insert/jsonline?_stream_fields=agent.name,kubernetes.namespace,kubernetes.pod.name,kubernetes.container.name,stream&_time_field=_time&_msg_field=_msg";
    std::thread::scope(|scope| {
        for half in halves(parsed) {
            let address = &address;
            scope.spawn(move || {
                for body in bodies(half, 4 << 20) {
                    let (status, answer) = request(address, "POST", path, body).unwrap();
                    assert_eq!(status, 200, "{answer}");
                }
            });
        }
    });
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

fn halves(data: &[u8]) -> [&[u8]; 2] {
    let middle = data.len() / 2;
    let cut = middle + data[middle..].iter().position(|b| *b == b'\n').unwrap() + 1;
    [&data[..cut], &data[cut..]]
}

fn bodies(mut data: &[u8], bytes: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let near = bytes.min(data.len());
        let cut = data[..near].iter().rposition(|b| *b == b'\n').map_or(data.len(), |i| i + 1);
        let (body, rest) = data.split_at(cut);
        data = rest;
        Some(body)
    })
}

/// User and system time of a process, all threads, ended ones included.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn rss_peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Waits until the process has used less than 2 % of a core for two seconds: merges and flushes are done.
fn settle(pid: u32) {
    wait_until(Duration::from_secs(300), || {
        let before = cpu_seconds(pid);
        std::thread::sleep(Duration::from_secs(2));
        cpu_seconds(pid) - before < 0.04
    });
}

fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.file_type() {
            Ok(t) if t.is_dir() => disk_bytes(&e.path()),
            _ => e.metadata().map_or(0, |m| m.len()),
        })
        .sum()
}

fn total(http: &str) -> u64 {
    get(http, "/api/v1/search?q=*&limit=1")
        .and_then(|(_, body)| serde_json::from_str::<Json>(&body).ok()?["total"].as_u64())
        .unwrap_or(0)
}

fn get(address: &str, path: &str) -> Option<(u16, String)> {
    request(address, "GET", path, b"")
}

fn request(address: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head = String::new();
    write!(
        head,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        let mut whole = String::new();
        let mut rest = body;
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            whole.push_str(after.get(..size)?);
            rest = after.get(size + 2..)?;
        }
        return Some((status, whole));
    }
    Some((status, body.to_owned()))
}

fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < limit, "not reached within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop(child: &mut Child) {
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let _ = child.wait();
}

fn print_outcome(round: usize, name: &str, o: &Outcome) {
    println!(
        "round {round} {name:14} {:6.1} us CPU/event  {:8.0} events/s  peak RSS {:5.0} MiB  disk {:5.0} B/event  {}",
        o.cpu_us_per_event, o.events_per_second, o.rss_peak_mib, o.disk_bytes_per_event, o.note
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
