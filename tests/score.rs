//! Records scored by what the detectors learned of a service, without being kept: over HTTP and by the command line.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Server, eventually, http, now_nanos};
use loghound::record::time::format_rfc3339;
use serde_json::{Value, json};

const MINUTES: usize = 300;
const LINES: usize = 40;

/// The five hours of a shop before `end`: one answer in a thousand is 404, latencies around 50 ms.
fn history(end: i64) -> String {
    let mut lines = String::new();
    let step = 60_000_000_000 / LINES as i64;
    for n in 0..MINUTES * LINES {
        let at = end - (MINUTES * LINES - n) as i64 * step;
        let status = if n % 1_000 == 500 { 404 } else { 200 };
        let line = json!({
            "_time": format_rfc3339(at),
            "_msg": format!("served {} in time", ["cart", "list", "item"][n % 3]),
            "service": {"name": "shop"}, "status": status, "latency": 30 + n * 7919 % 40, "request_id": format!("r{n}"),
        });
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

fn score(server: &Server, path: &str, records: &[Value]) -> (u16, Value) {
    let body: String = records.iter().map(|record| format!("{record}\n")).collect();
    let (status, answer) = http::post(server.http, path, "application/x-ndjson", &body).unwrap();
    (status, serde_json::from_slice(&answer).unwrap())
}

fn shop(message: &str, more: Value) -> Value {
    let mut record = json!({"message": message, "service": {"name": "shop"}});
    record.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    record
}

#[test]
fn records_are_scored_by_what_was_learned_and_not_kept() {
    let server = Server::start();
    let end = now_nanos() / 60_000_000_000 * 60_000_000_000;
    let (status, answer) =
        http::post(server.http, "/insert/jsonline?refresh=true", "application/x-ndjson", &history(end)).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let all = (MINUTES * LINES) as u64;
    // Members of documents are watched as fields of lines are.
    eventually(Duration::from_secs(60), || {
        let detectors: Value = serde_json::from_str(&server.text("/api/v1/detectors?service=shop")).unwrap();
        let kind = |field: &str| {
            let of = |d: &&Value| d["field"] == field;
            detectors["detectors"].as_array().unwrap().iter().find(of).map(|d| d["kind"].clone())
        };
        let kinds = ["status", "latency", "request_id"].map(kind);
        match (detectors["records"].as_u64(), kinds) {
            (Some(n), [Some(status), Some(latency), Some(id)])
                if n == all && status == "category" && latency == "number" && id == "identifier" =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });

    let records = [
        shop("served cart in time", json!({"status": 200, "latency": 51, "request_id": "new"})),
        shop("served cart in time", json!({"status": 404, "latency": 51})),
        shop("served cart in time", json!({"status": 599, "latency": 51})),
        shop("served cart in time", json!({"status": 200, "latency": 5_000})),
        shop("cannot reach the database: no route to host", json!({"status": 200, "latency": 51})),
        json!({"message": "hello", "service": {"name": "other"}}),
        json!({"service": {"name": "shop"}, "latency": 0.001}),
    ];
    let (status, answer) = score(&server, "/api/v1/score", &records);
    assert_eq!((status, &answer["version"], &answer["errors"]), (200, &json!("streaming"), &json!([])), "{answer}");
    let of = |at: usize| &answer["records"][at];
    let points = |at: usize| of(at)["score"].as_f64().unwrap();
    let first = |at: usize| of(at)["values"][0]["sentence"].as_str().unwrap();
    assert_eq!(of(0)["line"], 1);
    assert!(points(0) < 5.0, "{}", of(0));
    let chance = |at: usize| of(at)["probability"].as_f64().unwrap();
    assert!(chance(1) < chance(0) && chance(2) < chance(1), "{} {}", of(1), of(2));
    assert!(first(1).starts_with("status 404 has 0.1 % of the lines"), "{}", of(1));
    // Of 40 lines a minute one in some thousands is one in hours: no page, but told.
    assert!((5.0..50.0).contains(&points(2)) && points(1) < points(2), "{}", of(2));
    assert!(first(2).starts_with("status 599 was never seen in "), "{}", of(2));
    assert!(points(3) > 75.0 && first(3).starts_with("latency is 5000, usually "), "{}", of(3));
    assert!(first(4).starts_with("template (new) was never seen in "), "{}", of(4));
    assert_eq!((&of(5)["known"], points(5)), (&json!(false), 0.0));
    assert!(points(6) > 75.0 && of(6)["values"][0]["field"] == "latency", "{}", of(6));
    assert_eq!(answer["score"].as_f64().unwrap(), points(3).max(points(6)));
    // Nothing was kept, and nothing learned: a new statement is new the second time too.
    assert_eq!(server.search("*", 1, None)["total"], all);
    assert_eq!(score(&server, "/api/v1/score", &records).1["records"][4]["values"], of(4)["values"]);

    // A trained version answers too; one that is not there is named.
    let (status, answer) = http::post(server.http, "/api/v1/models?version=v1", "application/json", "").unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    eventually(Duration::from_secs(60), || {
        let run: Value = serde_json::from_str(&server.text("/api/v1/backtest")).unwrap();
        if run["state"] == "done" { Ok(()) } else { Err(run.to_string()) }
    });
    let (status, trained) = score(&server, "/api/v1/score?version=v1", &records);
    assert_eq!((status, &trained["version"]), (200, &json!("v1")));
    for at in [0, 3, 5] {
        let (live, trained) = (points(at), trained["records"][at]["score"].as_f64().unwrap());
        assert!((live - trained).abs() < 15.0, "{at}: {live} {trained}");
    }
    assert_eq!(score(&server, "/api/v1/score?version=v2", &records).0, 404);
    // What cannot be read is named by its line, the rest is scored.
    let body = "{\"service\":{\"name\":\"shop\"},\"latency\":50}\n{nonsense\n\n{\"latency\":1,\"service\":{\"name\":\"shop\"}}\n";
    let (_, answer) = http::post(server.http, "/api/v1/score", "application/x-ndjson", body).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["errors"][0]["line"], &answer["records"][1]["line"]), (&json!(2), &json!(3)), "{answer}");

    // Plain lines by the command line, as a build would ask.
    let ask = |more: &[&str], lines: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["score", "--server", &format!("http://{}", server.http), "--service", "shop"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let (code, out, err) = ask(&["--min", "0"], "served list in time\nout of memory\n");
    assert_eq!((code, out.lines().count()), (Some(0), 4), "{out}{err}");
    assert!(out.contains("template (new) was never seen in"), "{out}");
    let (code, out, err) = ask(&["--fail-at", "1", "--output", "ndjson"], "served list in time\nout of memory\n");
    assert_eq!((code, out.lines().count() <= 1), (Some(1), true), "{out}{err}");
    assert!(err.contains("--fail-at is 1"), "{err}");
}
