//! What is different between two times, asked by the command line of a server that took the lines.

mod common;

use std::process::Command;

use common::{Server, eventually, http};
use serde_json::{Value, json};

/// Two hours of requests, one a second and a half; in the second a release fails and a statement is new.
fn lines() -> String {
    let mut lines = String::new();
    for n in 0..4_800 {
        let (second, bad) = (n * 3 / 2, n >= 2_400);
        let status = if bad && n % 4 == 0 { 503 } else { 200 };
        let message = match (status, n % 5) {
            (503, _) => format!("upstream 10.0.0.{} refused the connection", n % 7),
            (_, 0) => format!("cache miss for item {n}"),
            _ => format!("served item {n} in time"),
        };
        let line = json!({
            "_time": format!("2026-03-01T{:02}:{:02}:{:02}Z", 12 + second / 3600, second / 60 % 60, second % 60),
            "_msg": message, "status": status, "service": {"name": "shop"},
            "latency": if bad { 3 * (n % 100) + 1 } else { n % 100 + 1 },
        });
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

fn compare(server: &Server, more: &[&str]) -> (String, String) {
    let asked = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .arg("compare")
        .args(more)
        .args(["--server", &format!("http://{}", server.http)])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    (text(&asked.stdout), text(&asked.stderr))
}

#[test]
fn an_hour_is_compared_with_the_one_before() {
    let server = Server::start();
    let path = "/insert/jsonline?refresh=true";
    let (status, answer) = http::post(server.http, path, "application/x-ndjson", &lines()).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    eventually(std::time::Duration::from_secs(30), || match server.search("*", 1, None)["total"].as_u64() {
        Some(4_800) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let hour = ["--from", "2026-03-01T13:00:00Z", "--to", "2026-03-01T14:00:00Z"];
    let (json, _) = compare(&server, &[&["", "--output", "json"], &hour[..]].concat());
    let answer: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&answer["before"], &answer["after"], &answer["partial"]),
        (&json!(2_400), &json!(2_400), &json!(false))
    );
    let differences = answer["differences"].as_array().unwrap();
    let find = |field: &str, change: &str| {
        let is = |each: &&Value| each["field"] == field && each["change"] == change;
        differences.iter().find(is).unwrap_or_else(|| panic!("no {change} {field}: {answer}"))
    };
    let statement = find("template", "new");
    assert_eq!((&statement["before"], &statement["after"]), (&json!(0), &json!(600)));
    assert!(statement["text"].as_str().unwrap().ends_with("refused the connection"), "{statement}");
    let failed = find("status", "new");
    assert_eq!((&failed["value"], &failed["after"], &failed["share_after"]), (&json!(503), &json!(600), &json!(0.25)));
    let latency = &find("latency", "spread")["numbers"];
    let median = |side: &str| latency[side]["p50"].as_f64().unwrap();
    assert!((median("before") - 50.0).abs() < 2.0 && (median("after") - 150.0).abs() < 5.0, "{latency}");
    // What is the same on both sides is not told.
    assert!(differences.iter().all(|each| !each["field"].as_str().unwrap().starts_with("service")), "{answer}");

    let (table, note) = compare(&server, &[&["", "--limit", "3"], &hour[..]].concat());
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(note.contains("between 2400 records and 2400"), "{note}");
    // The other way round what was new is gone; and two queries over one time.
    let base = ["--base-from", hour[1], "--base-to", hour[3]];
    let (json, _) = compare(
        &server,
        &[&["", "--from", "2026-03-01T12:00:00Z", "--to", hour[1], "--output", "ndjson"], &base[..]].concat(),
    );
    assert!(json.lines().any(|line| line.contains(r#""change":"gone","field":"status","value":503"#)), "{json}");
    let (json, _) = compare(&server, &[&["status:200", "status:503", "--output", "ndjson"], &hour[..]].concat());
    assert!(json.lines().any(|line| line.contains(r#""change":"gone","field":"status","value":200"#)), "{json}");
}
