//! Grammar files over a process's life: changed while it runs, refused when bad, kept for the records they parsed.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{LogFile, Server, eventually, windows};
use loghound::ship::{self, Options, Stats};
use serde_json::{Value, json};

/// A change is looked for on SIGHUP, else every ten seconds.
const SOON: Duration = Duration::from_secs(30);

fn send(server: &Server, host: &str, lines: &[&str]) {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let events = LogFile::new(host).events(&lines);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, windows(&events, 512, 3).into(), &Arc::new(Stats::default()))).unwrap();
}

fn hangup(server: &Server) {
    let pid = rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}

fn write(dir: &Path, pattern: &str, sample: &str) {
    let text = format!("name: jobs\nwhen: {{host.name: ['batch-*']}}\npatterns: ['{pattern}']\nsamples: [{sample}]\n");
    std::fs::write(dir.join("jobs.yaml"), text).unwrap();
}

/// The version of the grammar in use.
fn version(server: &Server) -> String {
    let (_, answer) = server.get("/api/v1/grammars");
    let grammars = answer["grammars"].as_array().unwrap();
    let jobs = grammars.iter().find(|grammar| grammar["name"] == "jobs").unwrap();
    jobs["version"].as_str().unwrap().to_owned()
}

/// The one record of a query, once it is there.
fn record(server: &Server, query: &str) -> Value {
    let mut found = Vec::new();
    eventually(SOON, || {
        found = server.records(query);
        if found.len() == 1 { Ok(()) } else { Err(format!("{query}: {found:?}")) }
    });
    found.remove(0)
}

#[test]
fn a_changed_file_is_taken_and_older_records_stay_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let grammars = dir.path().join("grammars");
    std::fs::create_dir(&grammars).unwrap();
    write(&grammars, r"^job (?<id>\d+) took (?<ms>\d+)$", "{line: job 7 took 30, fields: {id: '7', ms: '30'}}");
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, format!("grammars_dir: {}\n", grammars.display())).unwrap();
    let mut server = Server::start_with(Some(&dir.path().join("data")), &["--config", config.to_str().unwrap()]);
    let first = version(&server);
    send(&server, "batch-1", &["job 1 took 11"]);
    // The rule sends only some streams to it.
    send(&server, "web-1", &["job 2 took 22"]);
    let old = record(&server, "grammar:jobs");
    assert_eq!((&old["id"], &old["ms"], &old["host"]["name"]), (&json!("1"), &json!("11"), &json!("batch-1")));
    let other = record(&server, "host.name:web-1");
    let why = "no grammar fits this line: nginx came furthest, to character 12, which does not fit `\\[`; tried oslo, nginx, apache, \
               istio, go-panic, generic";
    assert_eq!(other["parse"]["error"], why);
    assert_eq!(server.records("parse.error:*furthest*").len(), 1);
    assert_eq!(server.records("parse.error:*oslo came furthest*").len(), 0);

    // The same name, other fields.
    write(
        &grammars,
        r"^job (?<number>\d+) took (?<duration>\d+)$",
        "{line: job 7 took 30, fields: {number: '7', duration: '30'}}",
    );
    hangup(&server);
    eventually(SOON, || if version(&server) == first { Err("not taken".to_owned()) } else { Ok(()) });
    let second = version(&server);
    send(&server, "batch-2", &["job 3 took 33"]);
    let new = record(&server, "number:3");
    assert_eq!((&new["duration"], &new["id"]), (&json!("33"), &Value::Null));
    assert_eq!(record(&server, "host.name:batch-1"), old, "parsed by the grammar of its day");
    assert_eq!(record(&server, "id:1"), old);
    assert_eq!(server.records("grammar:jobs").len(), 2);

    // A bad file is refused whole, and said so; the one in use stays.
    write(&grammars, r"^job (?<number>\d+$", "{line: x, fields: null}");
    hangup(&server);
    eventually(SOON, || {
        let problems = server.get("/api/v1/grammars").1["problems"].to_string();
        if problems.contains("jobs.yaml") && problems.contains("pattern 1") { Ok(()) } else { Err(problems) }
    });
    assert_eq!(version(&server), second);
    send(&server, "batch-3", &["job 4 took 44"]);
    assert_eq!(record(&server, "host.name:batch-3")["duration"], "44");

    // Gone altogether: what was parsed with it is still shown as it was parsed, after a kill as well.
    std::fs::remove_file(grammars.join("jobs.yaml")).unwrap();
    server.kill9();
    server.restart();
    assert_eq!(record(&server, "id:1"), old);
    assert_eq!(record(&server, "number:3"), new);
    assert_eq!(server.records("grammar:jobs").len(), 3);
}

#[test]
fn a_rule_of_the_configuration_sends_a_stream_to_a_grammar() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, "routes:\n  - {grammar: logfmt, when: {host.name: pairs}}\n").unwrap();
    let server = Server::start_with(Some(&dir.path().join("data")), &["--config", config.to_str().unwrap()]);
    // Alone, this line is text: it does not begin with a pair.
    let line = "started port=80 ok=true";
    send(&server, "pairs", &[line, "[not] of any format"]);
    send(&server, "others", &[line]);
    let found = record(&server, "port:80");
    assert_eq!((&found["host"]["name"], &found["grammar"]), (&json!("pairs"), &json!("logfmt")));
    eventually(SOON, || match server.records("_exists_:parse.error").len() {
        2 => Ok(()),
        n => Err(format!("{n} unparsed")),
    });

    std::fs::write(&config, "routes:\n  - {grammar: nginy, when: {host.name: pairs}}\n").unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["check-config", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(said.contains("routes: no grammar is named \"nginy\""), "{said}");
}

/// What the command says.
fn loghound(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(arguments)
        .args(["--server", &format!("http://{}", server.http)])
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn stored_lines_are_parsed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let grammars = dir.path().join("grammars");
    std::fs::create_dir(&grammars).unwrap();
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, format!("grammars_dir: {}\n", grammars.display())).unwrap();
    let mut server = Server::start_with(Some(&dir.path().join("data")), &["--config", config.to_str().unwrap()]);
    let jobs: Vec<String> = (0..2_000).map(|n| format!("job {n} took {}", n % 7)).collect();
    let others: Vec<String> = (0..500).map(|n| format!("neither this {n} nor that")).collect();
    let lines: Vec<&str> = jobs.iter().chain(&others).map(String::as_str).collect();
    send(&server, "batch-1", &lines);
    send(&server, "batch-2", &["job a took long"]);
    let all = lines.len() + 1;
    eventually(SOON, || if server.records("").len() == all { Ok(()) } else { Err("not all there".to_owned()) });
    let by_id = |server: &Server| -> std::collections::BTreeMap<String, Value> {
        let records = server.records("").into_iter();
        records.map(|record| (record["event"]["id"].as_str().unwrap().to_owned(), record)).collect()
    };
    let before = by_id(&server);

    // The grammar they lacked: what it would change is shown, and nothing is changed by that.
    write(&grammars, r"^job (?<id>\d+) took (?<ms>\d+)$", "{line: job 7 took 30, fields: {id: '7', ms: '30'}}");
    hangup(&server);
    eventually(SOON, || match server.get("/api/v1/grammars").1.to_string().contains("\"jobs\"") {
        true => Ok(()),
        false => Err("not taken".to_owned()),
    });
    let (code, said) = loghound(&server, &["reparse", "--since", "now-1h"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(": 2000 lines, such as\n  job ") && said.contains("2000 of 2501 lines would change"),
        "{said}"
    );
    assert_eq!(by_id(&server), before);
    let (code, said) = loghound(&server, &["reparse", "--grammar", "jbos"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unknown grammar \"jbos\""), "{said}");

    let (code, said) = loghound(&server, &["reparse", "--since", "now-1h", "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("done: 1 of 1 days, 2000 of 2501 lines changed") || said.contains("2 of 2 days"), "{said}");
    let check = |server: &Server| {
        let after = by_id(server);
        assert_eq!(after.len(), all);
        for (id, record) in &after {
            let old = &before[id];
            for kept in ["@timestamp", "message", "log", "host", "event", "kubernetes"] {
                assert_eq!(record[kept], old[kept]);
            }
            let line = record["message"].as_str().unwrap();
            let number =
                line.strip_prefix("job ").and_then(|rest| rest.split(' ').next()).filter(|n| n.parse::<u32>().is_ok());
            assert_eq!(record["id"].as_str(), number, "{line}");
            assert_eq!(record["grammar"].as_str(), number.map(|_| "jobs"), "{line}");
        }
        assert_eq!(server.records("grammar:jobs AND ms:3").len(), jobs.len() / 7 + 1);
        assert_eq!(server.records("_exists_:parse.error").len(), others.len() + 1);
        assert_eq!(server.records("\"job 17 took\"").len(), 1);
        after
    };
    let after = check(&server);
    // It is on disk, and lines that come later go beside it.
    server.kill9();
    server.restart();
    assert_eq!(check(&server), after);
    send(&server, "batch-3", &["job 1 took 3"]);
    assert_eq!(record(&server, "host.name:batch-3")["ms"], "3");
    let (_, said) = loghound(&server, &["reparse", "--since", "now-1h", "--all"]);
    assert!(said.contains("0 of 2502 lines would change"), "{said}");

    // A new version of the grammar, and a kill while the days are written anew: the next start goes on.
    write(
        &grammars,
        r"^job (?<id>\d+) took (?<duration>\d+)$",
        "{line: job 7 took 30, fields: {id: '7', duration: '30'}}",
    );
    hangup(&server);
    let old = after.values().find(|record| record["grammar"] == "jobs").unwrap();
    eventually(SOON, || match server.get("/api/v1/grammars").1.to_string().contains("duration>") {
        true => Ok(()),
        false => Err("not taken".to_owned()),
    });
    let id = old["event"]["id"].as_str().unwrap();
    assert_eq!(server.records(&format!("event.id:{id}")), std::slice::from_ref(old));
    let (code, said) = loghound(&server, &["reparse", "--since", "now-1h", "--all", "--apply", "--no-wait"]);
    assert_eq!(code, Some(0), "{said}");
    server.kill9();
    server.restart();
    eventually(SOON, || {
        // One question, so one state: of a day all of the one or all of the other, at any time.
        let facets = server.get("/api/v1/facets?q=grammar:jobs&fields=ms,duration&limit=1").1;
        let with = |n: usize| facets["total"].as_u64().unwrap() - facets["facets"][n]["missing"].as_u64().unwrap();
        let (old, new) = (with(0) as usize, with(1) as usize);
        assert_eq!(old + new, jobs.len() + 1, "{facets}");
        if new == jobs.len() + 1 { Ok(()) } else { Err(format!("{old} and {new}: {}", server.log())) }
    });
    assert_eq!(by_id(&server).len(), all + 1);
    let progress = server.get("/api/v1/reparse/progress").1;
    assert!(progress["error"].is_null(), "{progress}");
}

#[test]
fn steps_and_the_time_a_line_says() {
    let dir = tempfile::tempdir().unwrap();
    let grammars = dir.path().join("grammars");
    std::fs::create_dir(&grammars).unwrap();
    let text = "\
name: calls
patterns: ['^(?<at>\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) (?<call>\\S+) \\((?<args>[^)]*)\\)$']
fields: {retries: {type: int}, args: {role: text}}
steps:
  - kv: {field: args, pairs: ', '}
  - date: {field: at, formats: ['yyyy-MM-dd HH:mm:ss'], zone: UTC}
  - rename: {call: function}
  - drop: [args]
samples:
  - line: '2026-03-01 12:00:00 reset_master (host=db-1, retries=3)'
    fields: {at: '2026-03-01 12:00:00', function: reset_master, host: db-1, retries: 3}
    timestamp: '2026-03-01T12:00:00Z'
";
    std::fs::write(grammars.join("calls.yaml"), text).unwrap();
    let config = dir.path().join("loghound.yaml");
    // The line's day is fixed, so whatever today is it must still be kept.
    let settings = format!("grammars_dir: {}\nstore: {{retention: 36500d}}\n", grammars.display());
    std::fs::write(&config, settings).unwrap();
    let mut server = Server::start_with(Some(&dir.path().join("data")), &["--config", config.to_str().unwrap()]);
    send(&server, "calls-1", &["2026-02-03 04:05:06 reset_master (peer=db-1, retries=4)"]);
    let found = record(&server, "function:reset_master AND retries:>3 AND peer:db-1");
    assert_eq!(found["@timestamp"], "2026-02-03T04:05:06.000Z");
    assert!(found["args"].is_null(), "{found}");
    // When its sender read it is kept.
    assert!(found["event"]["created"].as_str().unwrap() > "2026-02-03T04:05:06", "{found}");
    assert!(server.data_dir.join("shards/2026-02-03").is_dir());
    server.kill9();
    server.restart();
    assert_eq!(record(&server, "retries:4"), found);
}
