//! What the benches that run the whole program share: starting it and its peer, asking both over HTTP, filling the peer,
//! reading what a process used.

#![allow(dead_code, reason = "each bench that includes it uses its own part")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loghound::parse::Parser;
use loghound::record::{Fields, PATH_SEPARATOR};
use serde_json::{Map, Value as Json};

/// A server on free ports: the process, its Beats address, its HTTP address.
pub fn start_loghound(binary: &str, data: &Path) -> (Child, String, String) {
    let mut child = Command::new(binary)
        .args(["serve", "--beats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"])
        .arg(data)
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
    (child, beats, http)
}

/// VictoriaLogs on a free port, keeping lines of any time: the process, its HTTP address.
pub fn start_victoria_logs(binary: &Path, data: &Path) -> (Child, String) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let child = Command::new(binary)
        .args([
            format!("-httpListenAddr={address}"),
            format!("-storageDataPath={}", data.display()),
            "-retentionPeriod=100y".into(),
            "-futureRetention=100y".into(),
            "-loggerLevel=ERROR".into(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(Duration::from_secs(30), || get(&address, "/health").is_some_and(|(status, _)| status == 200));
    (child, address)
}

/// Sends parsed records, JSON lines, from two senders.
pub fn fill_victoria_logs(address: &str, parsed: &[u8]) {
    let path = "/insert/jsonline?_stream_fields=agent.name,kubernetes.namespace,kubernetes.pod.name,kubernetes.container.name,stream&_time_field=_time&_msg_field=_msg";
    std::thread::scope(|scope| {
        for half in halves(parsed) {
            scope.spawn(move || {
                for body in bodies(half, 4 << 20) {
                    let (status, answer) = request(address, "POST", path, body).unwrap();
                    assert_eq!(status, 200, "{answer}");
                }
            });
        }
    });
}

pub fn flatten(parser: &Parser, event: &Map<String, Json>) -> Map<String, Json> {
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

pub fn halves(data: &[u8]) -> [&[u8]; 2] {
    let middle = data.len() / 2;
    let cut = middle + data[middle..].iter().position(|b| *b == b'\n').unwrap() + 1;
    [&data[..cut], &data[cut..]]
}

pub fn bodies(mut data: &[u8], bytes: usize) -> impl Iterator<Item = &[u8]> {
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
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

pub fn rss_peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Waits until the process has used less than 2 % of a core for two seconds: merges and flushes are done.
pub fn settle(pid: u32) {
    wait_until(Duration::from_secs(300), || {
        let before = cpu_seconds(pid);
        std::thread::sleep(Duration::from_secs(2));
        cpu_seconds(pid) - before < 0.04
    });
}

pub fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.file_type() {
            Ok(t) if t.is_dir() => disk_bytes(&e.path()),
            _ => e.metadata().map_or(0, |m| m.len()),
        })
        .sum()
}

pub fn total(http: &str) -> u64 {
    get(http, "/api/v1/search?q=*&limit=1")
        .and_then(|(_, body)| serde_json::from_str::<Json>(&body).ok()?["total"].as_u64())
        .unwrap_or(0)
}

pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    request(address, "GET", path, b"")
}

pub fn request(address: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
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

pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < limit, "not reached within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn stop(child: &mut Child) {
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let _ = child.wait();
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
