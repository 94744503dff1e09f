//! What the configuration says is to be masked is found nowhere: not in a search, a shard, a dead letter, nor after a crash.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use common::{LogFile, Server, eventually, windows};
use loghound::ship::{self, Options, Stats};
use serde_json::Value;

const SECRETS: [&str; 5] = ["hunter2secret", "ann.lee@example.org", "4111111111111111", "203.0.113.77", "staff4711"];

#[test]
fn secrets_are_found_nowhere_and_repeats_are_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, "redact: [token, email, card, ip, '/badge (\\w+)/']\n").unwrap();
    let mut server = Server::start_with(Some(&data), &["--config", config.to_str().unwrap()]);
    let mut events = LogFile::new("web-1").events(&[
        "I1123 10:00:00.000001       1 login.go:10] user ann.lee@example.org password=hunter2secret from 203.0.113.77",
        "I1123 10:00:00.000002       1 pay.go:11] paid with 4111111111111111",
        r#"{"level":"info","msg":"door opened, badge staff4711","user":{"password":"hunter2secret","card":4111111111111111}}"#,
        "nothing to hide",
    ]);
    // What the sender parsed itself, beside the line.
    let mut parsed: Value = serde_json::from_slice(&events[3]).unwrap();
    parsed["login"] = serde_json::json!({"token": "hunter2secret", "mail": "ann.lee@example.org"});
    events[3] = parsed.to_string().into_bytes();
    // What cannot be read goes to the dead letters.
    events.push(br#"{"message": "password=hunter2secret of ann.lee@example.org", broken"#.to_vec());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(server.beats.to_string());
    let send = || {
        runtime.block_on(ship::send(&options, windows(&events, 512, 3).into(), &Arc::new(Stats::default()))).unwrap()
    };
    send();
    send();
    let all = |server: &Server| {
        let mut records = Vec::new();
        eventually(Duration::from_secs(30), || {
            records = server.records("*");
            if records.len() == 4 { Ok(()) } else { Err(format!("{} records", records.len())) }
        });
        records
    };
    check(&server, &all(&server));
    let records = server.records("filename:login.go");
    assert_eq!(records[0]["msg"], "user [redacted:email] password=[redacted:token] from [redacted:ip]");
    assert_eq!(server.records("user.card:\"[redacted:card]\"").len(), 1, "a JSON line is still one");
    assert_eq!(server.records("login.token:\"[redacted:token]\"").len(), 1);

    server.kill9();
    server.restart();
    check(&server, &all(&server));
    drop(server);
    // The journal alone holds batches as they were sent, until it is trimmed.
    for (path, bytes) in files(&data).into_iter().filter(|(path, _)| !path.contains("/journal/")) {
        for secret in SECRETS {
            assert!(!bytes.windows(secret.len()).any(|at| at == secret.as_bytes()), "{secret} in {path}");
        }
        if path.contains("dead-letters") {
            for letter in String::from_utf8(bytes).unwrap().lines() {
                let letter: Value = serde_json::from_str(letter).unwrap();
                let body =
                    base64::engine::general_purpose::STANDARD.decode(letter["body_base64"].as_str().unwrap()).unwrap();
                let body = String::from_utf8(body).unwrap();
                assert!(body.contains("password=[redacted:token] of [redacted:email]"), "{body}");
            }
        }
    }
}

#[test]
fn a_grammar_hides_what_only_its_lines_have() {
    let dir = tempfile::tempdir().unwrap();
    let (data, grammars) = (dir.path().join("data"), dir.path().join("grammars"));
    std::fs::create_dir(&grammars).unwrap();
    let pay = "name: pay\npatterns: ['^pay of %{NOTSPACE:who}, badge %{NOTSPACE:badge}: %{GREEDYDATA:msg}$']\n\
               steps: [{redact: [email, '/badge (\\w+)/']}]\nsamples:\n  - line: 'pay of a@b.org, badge 7: ok'\n    \
               fields: {who: '[redacted:email]', badge: '[redacted]', msg: ok}\n";
    std::fs::write(grammars.join("pay.yaml"), pay).unwrap();
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, format!("grammars_dir: {}\n", grammars.display())).unwrap();
    let mut server = Server::start_with(Some(&data), &["--config", config.to_str().unwrap()]);
    let lines = ["pay of ann.lee@example.org, badge staff4711: done", "badge staff7 may stay"].map(str::to_owned);
    let events = LogFile::new("web-1").events(&lines);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, windows(&events, 512, 3).into(), &Arc::new(Stats::default()))).unwrap();
    let check = |server: &Server| {
        let mut records = Vec::new();
        eventually(Duration::from_secs(30), || {
            records = server.records("*");
            if records.len() == 2 { Ok(()) } else { Err(format!("{} records", records.len())) }
        });
        let record = server.records("grammar:pay").remove(0);
        assert_eq!(record["message"], "pay of [redacted:email], badge [redacted]: done");
        assert_eq!([&record["who"], &record["badge"], &record["msg"]], ["[redacted:email]", "[redacted]", "done"]);
        assert_eq!(server.records("staff4711").len(), 0);
        assert_eq!(server.records("staff7").len(), 1, "other lines keep what they say");
    };
    check(&server);
    let (_, shown) = server.get("/api/v1/grammars/pay");
    assert_eq!((&shown["builtin"], &shown["source"]), (&Value::Bool(false), &Value::from(pay)));
    assert_eq!(shown["samples"][0]["fields"]["msg"], "ok");
    server.kill9();
    server.restart();
    check(&server);
    drop(server);
    for (path, bytes) in files(&data).into_iter().filter(|(path, _)| !path.contains("/journal/")) {
        for secret in ["staff4711", "ann.lee@example.org"] {
            assert!(!bytes.windows(secret.len()).any(|at| at == secret.as_bytes()), "{secret} in {path}");
        }
    }
}

#[test]
fn stored_lines_are_masked_when_they_are_parsed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("loghound.yaml"));
    std::fs::write(&config, "").unwrap();
    let mut server = Server::start_with(Some(&data), &["--config", config.to_str().unwrap()]);
    let events = LogFile::new("web-1").events(&[
        "I1123 10:00:00.000001       1 login.go:10] user ann.lee@example.org password=hunter2secret",
        "no grammar: password=hunter2secret",
        "nothing to hide",
    ]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, windows(&events, 512, 3).into(), &Arc::new(Stats::default()))).unwrap();
    eventually(Duration::from_secs(30), || match server.records("hunter2secret").len() {
        2 => Ok(()),
        found => Err(format!("{found} records")),
    });
    let ids = |server: &Server| {
        let mut ids: Vec<_> = server.records("*").iter().map(|record| record["event"]["id"].clone()).collect();
        ids.sort_by_key(Value::to_string);
        ids
    };
    let before = ids(&server);

    std::fs::write(&config, "redact: [token, email]\n").unwrap();
    server.kill9();
    server.restart();
    // What is stored stays as it is until it is asked for.
    eventually(Duration::from_secs(30), || match server.records("hunter2secret").len() {
        2 => Ok(()),
        found => Err(format!("{found} records")),
    });
    let url = format!("http://{}", server.http);
    let arguments = ["reparse", "--server", &url, "--since", "now-1h", "--all", "--apply"];
    let reparse = Command::new(env!("CARGO_BIN_EXE_loghound")).args(arguments).output().unwrap();
    assert!(reparse.status.success(), "{reparse:?}");
    assert_eq!(server.get("/api/v1/reparse/progress").1["changed"], 2);
    for secret in &SECRETS[..2] {
        assert_eq!(server.records(&format!("\"{secret}\"")).len(), 0, "{secret} is found");
    }
    let record = &server.records("filename:login.go")[0];
    assert_eq!(record["msg"], "user [redacted:email] password=[redacted:token]");
    assert_eq!(ids(&server), before, "a masked line is still the same event");
}

fn check(server: &Server, records: &[Value]) {
    let shown = serde_json::to_string(records).unwrap();
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert_eq!(server.records(&format!("\"{secret}\"")).len(), 0, "{secret} is found");
    }
    let (_, patterns) = server.get("/api/v1/patterns?limit=100");
    assert!(!SECRETS.iter().any(|secret| patterns.to_string().contains(secret)), "{patterns}");
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}
