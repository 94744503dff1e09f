//! Records deleted by query: exactly those, through a kill, with the audit to show for it.

mod common;

use std::process::{Command, Output};
use std::time::Duration;

use common::{LogFile, Server, eventually, now_nanos, windows};
use loghound::ship::{self, Options, Stats, Windows};

const SOON: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400_000_000_000;

fn delete(server: &Server, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.http);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loghound"));
    command.arg("delete").args(arguments).args(["--server", &url]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of three days: one in four is of a user who wants to be forgotten.
fn fill(server: &Server) -> (Vec<String>, Vec<String>) {
    let mut file = LogFile::new("teller");
    let (mut theirs, mut others, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..1200 {
        let who = if n % 4 == 0 { "ada@example.org" } else { "bob@example.org" };
        let line = format!("login number {n} of {who} from 10.0.0.{}", n % 200);
        events.push(file.event_at(now_nanos() - i64::from(n % 3) * DAY, &line));
        if n % 4 == 0 { theirs.push(line) } else { others.push(line) }
    }
    let stats = Stats::default();
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = Windows::Prepared(windows(&events, 100, 3).into_iter());
    runtime.block_on(ship::send(&options, sent, &stats)).unwrap();
    let all: Vec<String> = theirs.iter().chain(&others).cloned().collect();
    server.wait_for_lines("login", &all, SOON);
    (theirs, others)
}

#[test]
fn what_is_asked_for_goes_and_nothing_else() {
    let mut server = Server::start();
    let (theirs, others) = fill(&server);
    let query = "\"ada@example.org\"";
    let counted = delete(&server, &[query]);
    assert!(counted.status.success(), "{}", text(&counted.stderr));
    let said = text(&counted.stdout);
    assert!(said.contains("300 records\nnothing was deleted") && said.lines().count() == 5, "{said}");
    server.wait_for_lines(query, &theirs, SOON);

    for (arguments, problem) in [
        (vec![query, "--apply"], "--reason"),
        (vec!["level:", "--apply", "--reason", "x", "--by", "test"], "^"),
        (vec![" ", "--apply", "--reason", "x", "--by", "test"], "q is empty"),
        (vec![query, "--apply", "--reason", " ", "--by", "test"], "reason is empty"),
    ] {
        let refused = delete(&server, &arguments);
        assert!(!refused.status.success() && text(&refused.stderr).contains(problem), "{}", text(&refused.stderr));
    }

    let done = delete(&server, &[query, "--apply", "--reason", "request 17", "--by", "operator"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "300 records deleted\n");
    assert_eq!(server.search(query, 0, None)["total"], 0);
    server.wait_for_lines("login", &others, SOON);
    // Its words are in no dictionary any more, and nothing comes back from the journal.
    server.kill9();
    server.restart();
    assert_eq!(server.search("ada", 0, None)["total"], 0);
    server.wait_for_lines("login", &others, SOON);
    let audit = server.get("/api/v1/audit").1;
    let actions: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|e| (&e["action"], &e["records"])).collect();
    assert_eq!(
        format!("{actions:?}"),
        r#"[(String("delete_done"), Number(300)), (String("delete_begun"), Number(0))]"#
    );
    assert_eq!(
        (&audit["entries"][0]["by"], &audit["entries"][0]["reason"]),
        (&"operator".into(), &"request 17".into())
    );
    assert_eq!(audit["entries"][0]["query"], query);
}

#[test]
fn a_kill_in_the_middle_does_not_stop_it() {
    let mut server = Server::start();
    let (_, others) = fill(&server);
    let body = "{\"q\":\"ada\",\"by\":\"test\",\"reason\":\"request 18\"}";
    for _ in 0..4 {
        let _ = common::http::post(server.http, "/api/v1/delete", "application/json", body);
        server.kill9();
        server.restart();
    }
    eventually(SOON, || {
        let progress = server.get("/api/v1/delete/progress").1;
        if progress["state"] == "running" { Err(progress.to_string()) } else { Ok(()) }
    });
    assert_eq!(server.search("ada", 0, None)["total"], 0);
    server.wait_for_lines("login", &others, SOON);
    assert!(!server.data_dir.join("erase.json").exists());
}
