//! Starting, being refused, draining: what an operator meets first. New tests about a process's life belong here.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{LogFile, Server, counted, eventually, same_lines, windows};
use loghound::ship::{self, Options, Stats};

fn serve(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loghound")).arg("serve").args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn all_configuration_problems_are_told_at_once_and_no_port_opens() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("loghound.yaml");
    let data = dir.path().join("data");
    std::fs::write(&file, "beats:\n  listen: nonsense\n  window_evnts_max: 5\njournal:\n  bytes_max: 3 potatoes\n")
        .unwrap();
    let (code, said) = serve(&["--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
    for part in ["beats.listen", "nonsense", "window_events_max", "journal.bytes_max", "3 potatoes"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert!(!data.exists(), "nothing may be touched before the configuration is sound");
}

#[test]
fn listening_to_the_world_without_authentication_has_to_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (code, said) = serve(&["--http", "0.0.0.0:0", "--beats", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("insecure"), "{said}");
}

#[test]
fn a_second_process_on_the_same_data_is_refused_with_the_first_ones_pid() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(Some(dir.path()), &[]);
    let (code, said) =
        serve(&["--http", "127.0.0.1:0", "--beats", "127.0.0.1:0", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("in use by process {}", server.pid())), "{said}");
}

#[test]
fn a_terminated_process_keeps_every_acknowledged_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(Some(dir.path()), &[]);
    let lines: Vec<String> = (0..20_000).map(|i| format!("drained line number {i}")).collect();
    let events = LogFile::new("drain").events(&lines);
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stats = Arc::new(Stats::default());
    runtime.block_on(ship::send(&options, windows(&events, 512, 3).into(), &stats)).unwrap();
    // Acknowledged a moment ago: most of it is in the journal and not yet in a commit.
    let status = server.terminate();
    assert!(status.success(), "{status}\n{}", server.log());
    server.restart();
    eventually(Duration::from_secs(30), || same_lines(&counted(&lines), &counted(server.messages("host.name:drain"))));
}
