//! A snapshot through the API and the command line: taken while lines come, put back, opened to look at.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{LogFile, Server, http, windows};
use loghound::ship::{self, Options, Stats, Windows};

const SOON: Duration = Duration::from_secs(30);

fn loghound(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loghound")).args(arguments).output().unwrap()
}

/// What a command that is to succeed prints.
fn done(arguments: &[&str]) -> String {
    let output = loghound(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Why a command failed, and its exit code.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = loghound(arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn send(server: &Server, file: &mut LogFile, lines: &[String]) {
    let events = file.events(lines);
    let stats = Stats::default();
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = Windows::Prepared(windows(&events, 100, 3).into_iter());
    runtime.block_on(ship::send(&options, sent, &stats)).unwrap();
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("this is line {n} of the story")).collect()
}

/// `loghound open`, until dropped.
struct Opened {
    child: Child,
    address: std::net::SocketAddr,
}

impl Opened {
    fn new(dir: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["open", dir, "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().rsplit(' ').next().and_then(|text| text.parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("{first:?}")) }
    }

    fn total(&self, query: &str) -> u64 {
        let path = format!("/api/v1/search?limit=0&q={}", http::escaped(query));
        let (status, body) = http::get(self.address, &path).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["total"].as_u64().unwrap()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_snapshot_is_taken_opened_and_put_back() {
    let mut server = Server::start();
    let url = format!("http://{}", server.http);
    let mut file = LogFile::new("teller");
    let (first, second) = (numbered(0..300), numbered(300..500));
    send(&server, &mut file, &first);
    server.wait_for_lines("story", &first, SOON);

    let said = done(&["snapshots", "create", "before", "--server", &url]);
    assert!(said.starts_with("before  taken ") && said.contains("300 records"), "{said}");
    let (code, again) = refused(&["snapshots", "create", "before", "--server", &url]);
    assert!(code == 2 && again.contains("already"), "{again}");
    let (_, elsewhere) = refused(&["snapshots", "create", "../elsewhere", "--server", &url]);
    assert!(elsewhere.contains("no name for a snapshot"), "{elsewhere}");
    send(&server, &mut file, &second);
    let all = numbered(0..500);
    server.wait_for_lines("story", &all, SOON);
    assert!(done(&["snapshots", "list", "--server", &url]).starts_with("before  taken "));

    // Beside the server that goes on.
    let snapshot = server.data_dir.join("snapshots/before");
    let snapshot = snapshot.to_str().unwrap();
    {
        let opened = Opened::new(snapshot);
        assert_eq!((opened.total("story"), opened.total("line AND 299"), opened.total("line AND 300")), (300, 1, 0));
        let kind = "application/stream+json";
        let (status, body) = http::post(opened.address, "/insert/jsonline", kind, "{\"message\":\"more\"}\n").unwrap();
        assert!(status >= 400, "{}", String::from_utf8_lossy(&body));
    }

    let exported = done(&["shards", "export", "--from", snapshot, "--query", "story | limit 400"]);
    let records: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = records.iter().filter_map(|record| record["message"].as_str()).collect();
    assert_eq!(messages, first, "oldest first, as they were sent");
    let (code, wrong) = refused(&["shards", "export", "--from", snapshot, "--query", "level:"]);
    assert!(code == 2 && wrong.contains('^'), "{wrong}");
    let data_dir = server.data_dir.to_str().unwrap().to_owned();
    let (code, busy) = refused(&["shards", "restore", "--from", snapshot, "--data-dir", &data_dir]);
    assert!(code == 1 && busy.contains("in use by process"), "{busy}");
    assert!(server.terminate().success());
    let (_, wrong) = refused(&["shards", "restore", "1999-01-01", "--from", snapshot, "--data-dir", &data_dir]);
    assert!(wrong.contains("has no day 1999-01-01"), "{wrong}");
    let said = done(&["shards", "restore", "--from", snapshot, "--data-dir", &data_dir]);
    assert!(said.contains("is back; what stood there is now "), "{said}");
    server.restart();
    server.wait_for_lines("story", &first, SOON);
    // Life goes on, and so do the counts.
    let third = numbered(500..600);
    send(&server, &mut file, &third);
    let now: Vec<String> = first.iter().chain(&third).cloned().collect();
    server.wait_for_lines("story", &now, SOON);

    // Into a directory that knows nothing, on another machine as it were.
    let other = server.scratch().join("other");
    done(&["shards", "restore", "--from", snapshot, "--data-dir", other.to_str().unwrap()]);
    let stranger = Server::start_with(Some(&other), &[]);
    stranger.wait_for_lines("story", &first, SOON);
    let url = format!("http://{}", server.http);
    done(&["snapshots", "delete", "before", "--server", &url]);
    assert!(done(&["snapshots", "list", "--server", &url]).contains("no snapshots"));
    stranger.wait_for_lines("story", &first, SOON);
}

#[test]
fn a_damaged_copy_is_not_put_back() {
    let mut server = Server::start();
    let url = format!("http://{}", server.http);
    let lines = numbered(0..50);
    send(&server, &mut LogFile::new("teller"), &lines);
    server.wait_for_lines("story", &lines, SOON);
    done(&["snapshots", "create", "bad", "--server", &url]);
    assert!(server.terminate().success());
    let shards = server.data_dir.join("snapshots/bad/shards");
    let day = std::fs::read_dir(&shards).unwrap().map(|day| day.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let mut files = std::fs::read_dir(&day).unwrap().map(|file| file.unwrap().path());
    let store = files.find(|path| path.extension().is_some_and(|e| e == "store")).unwrap();
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[10] ^= 1;
    // The file is the server's as well: one of its own.
    std::fs::remove_file(&store).unwrap();
    std::fs::write(&store, bytes).unwrap();
    let arguments =
        ["shards", "restore", "--from", shards.to_str().unwrap(), "--data-dir", server.data_dir.to_str().unwrap()];
    let (code, said) = refused(&arguments);
    assert!(code == 1 && said.contains("is damaged, and was not put back"), "{said}");
    server.restart();
    server.wait_for_lines("story", &lines, SOON);
}
