//! `loghound query` and `loghound tail`, the real binary, against the real HTTP side over a small backend. What they
//! show of a real store is tested with the whole program.

mod fake;

use std::net::SocketAddr;

use assert_cmd::Command;
use fake::{HELD, server};
use serde_json::{Value as Json, json};

/// Exit code, standard output, standard error.
fn run(server: SocketAddr, args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("loghound")
        .unwrap()
        .args(args)
        .env("LOGHOUND_SERVER", format!("http://{server}"))
        // A proxy that would swallow requests: loopback has to go around it.
        .env("http_proxy", "http://127.0.0.1:1")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_query_prints_lines_for_people() {
    let (code, out, err) = run(server(), &["query", "level:E", "--limit", "2"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out,
        "2026-03-01 12:00:00.000   E prod/web-0  line 24999␛[31m\n2026-03-01 12:00:00.000   E prod/web-0  line 24998␛[31m\n"
    );
    assert!(err.starts_with("2 of 25000 records, "), "{err}");
}

#[test]
fn more_records_than_a_page_come_page_by_page() {
    let (code, out, err) =
        run(server(), &["query", "", "--limit", "20001", "--sort", "oldest", "--output", "ndjson", "--from", "now-1h"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for (n, line) in out.lines().enumerate() {
        assert_eq!(serde_json::from_str::<Json>(line).unwrap()["n"], n);
    }
    assert_eq!(out.lines().count(), 20_001);
    let (_, out, _) = run(server(), &["query", "", "--limit", "1", "--output", "json"]);
    let answer: Json = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["total"], &answer["next_cursor"]), (&json!(HELD), &json!("1")));
}

#[test]
fn mistakes_are_shown_where_they_are_and_exit_with_2() {
    let at = server();
    let (code, out, err) = run(at, &["query", "level:"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("query:7: ") && err.contains("\n  level:\n        ^\n"), "{err}");
    let (code, _, err) = run(at, &["query", "x", "--from", "yesterday"]);
    assert_eq!(code, 2);
    assert!(err.contains("\"yesterday\" is not a time"), "{err}");
    assert_eq!(run(at, &["query"]).0, 2);
    assert_eq!(run(at, &["query", "x", "--server", "::"]).0, 2);
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_remedy() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for args in [&["query", "x"][..], &["tail", "x"]] {
        let (code, _, err) = run(free, args);
        assert_eq!(code, 1);
        assert!(err.contains(&format!("nothing answers at http://{free}: start it with `loghound serve`")), "{err}");
    }
}

#[test]
fn a_tail_shows_records_and_what_was_skipped() {
    let (code, out, err) = run(server(), &["tail", "x", "--output", "ndjson"]);
    let numbers: Vec<_> = out.lines().map(|l| serde_json::from_str::<Json>(l).unwrap()["n"].clone()).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(err.contains("… 3 records skipped") && err.contains("the server ended the tail"), "{err}");
    assert_eq!(code, 1);
}

#[test]
fn a_file_is_parsed_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.log");
    std::fs::write(&file, "E0301 12:00:00.123456       1 lease.go:42] Resetting endpoints\nnothing known\n").unwrap();
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let (code, out, err) = run(nowhere, &["parse", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let first: Json = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert!(first.to_string().contains("lease.go"), "{first}");
    assert_eq!(out.lines().count(), 2);
    let (code, _, err) = run(nowhere, &["parse", "--grammar", "klogg", file.to_str().unwrap()]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("klogg") && err.contains("klog"), "{err}");
    assert_eq!(run(nowhere, &["parse", "/no/such/file"]).0, 1);
}

#[test]
fn a_grammar_is_proposed_for_lines_that_nothing_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, proposed) = (dir.path().join("u.log"), dir.path().join("s.yaml"));
    let mut text = String::new();
    for n in 1..=6 {
        text += &format!("job {n} took 3{n} ms\npeer 10.0.0.{n} lost after {n}.5 s (reason=timeout)\n{{\"a\":{n}}}\n");
    }
    std::fs::write(&lines, text + "odd\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = assert_cmd::Command::cargo_bin("loghound").unwrap().args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["grammars", "suggest", "--name", "jobs", lines.to_str().unwrap()]);
    assert!(text.starts_with("# 13 of 19 lines have no grammar.\n"), "{text}");
    assert!(text.contains("# 6 lines: ^job %{INT:job:int} took %{INT:took:int} ms$\n"), "{text}");
    assert!(text.contains("# 1 lines without a pattern, such as odd\n"), "{text}");
    std::fs::write(&proposed, text).unwrap();
    // What is proposed is a grammar file, and does what it shows.
    run(&["grammars", "test", proposed.to_str().unwrap()]);
    let records = run(&["parse", "--grammars-dir", dir.path().to_str().unwrap(), lines.to_str().unwrap()]);
    assert_eq!(records.matches("\"grammar\":\"jobs\"").count(), 12, "{records}");
}
