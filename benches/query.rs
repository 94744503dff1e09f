//! The kinds of queries people ask, over HTTP, on days of traffic; against VictoriaLogs on the same lines where its binary
//! is given.
//!
//!     cargo bench --bench query -- --events 1000000 --days 10 --rounds 5 [--peer PATH/TO/victoria-logs]
//!
//! Both answer with whole records where records are asked for. Each query is asked once to warm up, then `rounds` times,
//! the two servers taking turns; the medians stand in the table, with the memory that is theirs alone (RssAnon) after the
//! last round: pages of index files are the system's, which takes them back when it wants.
//! How many records match is compared where both can tell: a difference is marked, since a wrong answer is never fast.

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use loghound::parse::Parser;
use loghound::ship::Traffic;
use serde_json::{Map, Value as Json};
use support::*;

const SECONDS_PER_DAY: u64 = 86_400;
/// Events made, sent and dropped at a time, so that any number of them fits into memory and on the disk.
const EVENTS_AT_ONCE: usize = 100_000;

struct Options {
    events: usize,
    days: u64,
    rounds: usize,
    peer: Option<PathBuf>,
}

/// One question in the words of both.
struct Question {
    name: &'static str,
    /// Path and parameters behind `/api/v1/`.
    ours: String,
    /// LogsQL, and how many records it is to return.
    theirs: (String, Option<usize>),
    /// The filter alone in LogsQL, where what matches is to be counted and compared.
    count: Option<String>,
}

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn main() {
    let options = options();
    let dir = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_loghound");
    let (child, beats, address) = start_loghound(binary, &dir.path().join("data"));
    let ours = Server { child, address };
    let theirs = options.peer.as_ref().map(|peer| {
        let (child, address) = start_victoria_logs(peer, &dir.path().join("peer"));
        Server { child, address }
    });
    let start = first_midnight(options.days);
    let request_id = fill(&options, start, binary, &beats, &ours, theirs.as_ref());
    println!("{} events over {} days, median of {} rounds", options.events, options.days, options.rounds);
    println!("| query | loghound ms | VictoriaLogs ms | ratio | own memory MiB, loghound · VictoriaLogs |");
    println!("|---|---|---|---|---|");
    for question in questions(start, &request_id) {
        println!("{}", ask(&question, &ours, theirs.as_ref(), options.rounds));
    }
}

fn options() -> Options {
    let mut options = Options { events: 1_000_000, days: 10, rounds: 5, peer: None };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--events" => options.events = value().parse().unwrap(),
            "--days" => options.days = value().parse().unwrap(),
            "--rounds" => options.rounds = value().parse().unwrap(),
            "--peer" => options.peer = Some(value().into()),
            _ => {}
        }
    }
    assert!(
        options.events > 0 && options.days > 0 && options.rounds > 0,
        "--events, --days and --rounds are at least 1"
    );
    options
}

/// The midnight `days` days before today's: seconds. Old lines may be past a server's retention, so the days are recent.
fn first_midnight(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    (now / SECONDS_PER_DAY - days) * SECONDS_PER_DAY
}

/// Sends the same lines to both and waits until they are merged; gives the `request_id` of a line in the middle.
fn fill(options: &Options, start: u64, binary: &str, beats: &str, ours: &Server, theirs: Option<&Server>) -> String {
    let seconds = options.days * SECONDS_PER_DAY;
    // A little faster than asked for, so that the last line stays within the last day.
    let rate = options.events as f64 / seconds as f64 * 1.01;
    let mut traffic = Traffic::new(7, start as i64 * 1_000_000_000).with_rate(rate);
    let parser = Parser::builtin();
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut raw, mut parsed, mut one) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sent, mut request_id) = (0, String::new());
    while sent < options.events {
        raw.clear();
        parsed.clear();
        let now = EVENTS_AT_ONCE.min(options.events - sent);
        for _ in 0..now {
            one.clear();
            traffic.next_event(&mut one);
            raw.extend_from_slice(&one);
            raw.push(b'\n');
            sent += 1;
            let past_middle = sent * 2 >= options.events && request_id.is_empty();
            if theirs.is_some() || past_middle {
                let event: Map<String, Json> = serde_json::from_slice(&one).unwrap();
                let record = flatten(&parser, &event);
                if let Some(id) = record.get("request_id").and_then(Json::as_str).filter(|_| past_middle) {
                    id.clone_into(&mut request_id);
                }
                serde_json::to_writer(&mut parsed, &record).unwrap();
                parsed.push(b'\n');
            }
        }
        std::fs::write(file.path(), &raw).unwrap();
        let report = Command::new(binary).args(["ship", "--to", beats]).arg(file.path()).output().unwrap();
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
        if let Some(theirs) = theirs {
            fill_victoria_logs(&theirs.address, &parsed);
        }
    }
    wait_until(Duration::from_secs(300), || total(&ours.address) == options.events as u64);
    settle(ours.child.id());
    if let Some(theirs) = theirs {
        let _ = get(&theirs.address, "/internal/force_flush");
        wait_until(Duration::from_secs(120), || count_at_peer(&theirs.address, "*") == Some(options.events as u64));
        let _ = get(&theirs.address, "/internal/force_merge");
        settle(theirs.child.id());
    }
    assert!(!request_id.is_empty(), "no line with a request id: more --events are needed");
    request_id
}

fn questions(start: u64, request_id: &str) -> Vec<Question> {
    // An hour in the afternoon of the first day: we read milliseconds, the peer seconds.
    let (from, to) = (start + 15 * 3600, start + 16 * 3600);
    let hour = format!("&from={from}000&to={to}000");
    let their_hour = format!("_time:[{from}, {to})");
    let newest = |name, ours: &str, theirs: &str| Question {
        name,
        ours: format!("search?limit=100&q={}", escape(ours)),
        theirs: (theirs.to_owned(), Some(100)),
        count: Some(theirs.to_owned()),
    };
    let pipe = |name, ours: &str, theirs: &str| Question {
        name,
        ours: format!("search?q={}", escape(ours)),
        theirs: (theirs.to_owned(), None),
        count: None,
    };
    let bars = |name, ours: &str, theirs: &str| Question {
        name,
        ours: format!("histogram?interval=10m&q={}", escape(ours)),
        theirs: (format!("{theirs} | stats by (_time:10m) count() n"), None),
        count: Some(theirs.to_owned()),
    };
    let top = |name, field: &str, ours: &str, theirs: &str| Question {
        name,
        ours: format!("facets?limit=10&fields={field}&q={}", escape(ours)),
        theirs: (format!("{theirs} | stats by ({field}) count() n | sort by (n desc) limit 10"), None),
        count: None,
    };
    let mut word_in_hour = newest("one hour and a word, newest 100", "lease", &format!("{their_hour} lease"));
    word_in_hour.ours += &hour;
    let count_hour = Question {
        name: "count of one hour",
        ours: format!("search?limit=0&q=*{hour}"),
        theirs: (format!("{their_hour} | stats count() n"), None),
        count: Some(their_hour.clone()),
    };
    let count_word = Question {
        name: "count of a word",
        ours: "search?limit=0&q=lease".into(),
        theirs: ("lease | stats count() n".into(), None),
        count: Some("lease".into()),
    };
    vec![
        newest("newest 100: common word", "error", "error"),
        newest("newest 100: three words", "connection refused dial", "connection refused dial"),
        newest("newest 100: level and filename", "level:E AND filename:status.go", "level:=E filename:=status.go"),
        newest("newest 100: code >= 500", "response_code:>=500", "response_code:>=500"),
        newest("newest 100: phrase", r#""Resetting endpoints""#, r#""Resetting endpoints""#),
        newest("newest 100: wildcard", "leaderelec*", "leaderelec*"),
        newest("newest 100: not", "error AND NOT connection", "error !connection"),
        newest("newest 100 of everything", "*", "*"),
        word_in_hour,
        count_hour,
        count_word,
        newest("request id", &format!("request_id:{request_id}"), &format!("request_id:={request_id}")),
        bars("histogram: all", "*", "*"),
        bars("histogram: code >= 500", "response_code:>=500", "response_code:>=500"),
        bars("histogram: level E", "level:E", "level:=E"),
        top("top upstream hosts of code >= 500", "upstream_host", "response_code:>=500", "response_code:>=500"),
        top("top filename", "filename", "*", "*"),
        pipe(
            "paths with p99",
            "* | stats count() as n, p99(duration) by path | sort n desc | limit 10",
            "* | stats by (path) count() n, quantile(0.99, duration) p99 | sort by (n desc) limit 10",
        ),
        pipe(
            "p99 by 10 minutes",
            "* | stats p99(duration) by _time:10m",
            "* | stats by (_time:10m) quantile(0.99, duration) p99",
        ),
        pipe("distinct request ids", "* | stats count_uniq(request_id)", "* | stats count_uniq(request_id) n"),
    ]
}

/// A row of the table.
fn ask(question: &Question, ours: &Server, theirs: Option<&Server>, rounds: usize) -> String {
    let path = format!("/api/v1/{}", question.ours);
    let their_path = peer_path(&question.theirs.0, question.theirs.1);
    let (mut our_ms, mut their_ms, mut found) = (Vec::new(), Vec::new(), None);
    for round in 0..=rounds {
        let (ms, answer) = timed(&ours.address, &path);
        let theirs = theirs.map(|server| timed(&server.address, &their_path).0);
        if round == 0 {
            // The first warms both.
            let answer: Json = serde_json::from_str(&answer).unwrap();
            found = answer["total"].as_u64();
            continue;
        }
        our_ms.push(ms);
        their_ms.extend(theirs);
    }
    let our_ms = median(our_ms.into_iter());
    let mut row = format!("| {} | {our_ms:.1} |", question.name);
    let Some(server) = theirs else {
        let _ = write!(row, " | | {:.0} |", own_mib(ours));
        return row;
    };
    let their_ms = median(their_ms.into_iter());
    let (ours_mib, theirs_mib) = (own_mib(ours), own_mib(server));
    let _ = write!(row, " {their_ms:.1} | {:.1} × | {ours_mib:.0} · {theirs_mib:.0} |", their_ms / our_ms);
    if let (Some(filter), Some(found)) = (&question.count, found) {
        let counted = count_at_peer(&server.address, filter);
        if counted != Some(found) {
            let _ = write!(row, " counts differ: {found}, {counted:?}");
        }
    }
    row
}

fn timed(address: &str, path: &str) -> (f64, String) {
    let started = Instant::now();
    let (status, answer) = get(address, path).unwrap_or_else(|| panic!("no answer to {path}"));
    let ms = started.elapsed().as_secs_f64() * 1e3;
    assert_eq!(status, 200, "{path}: {answer}");
    (ms, answer)
}

fn peer_path(query: &str, limit: Option<usize>) -> String {
    let limit = limit.map_or(String::new(), |limit| format!("&limit={limit}"));
    format!("/select/logsql/query?query={}{limit}", escape(query))
}

fn count_at_peer(address: &str, filter: &str) -> Option<u64> {
    let (_, body) = get(address, &peer_path(&format!("{filter} | stats count() n"), None))?;
    serde_json::from_str::<Json>(body.trim()).ok()?["n"].as_str()?.parse().ok()
}

/// Resident memory that no file stands behind (proc(5), `RssAnon`): MiB.
fn own_mib(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// As the value of a parameter: every byte that may mean something is written `%XX`.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
