//! What programs push by themselves: OpenTelemetry's SDK and a client of Loki, kept once and found by what they say of themselves.

mod common;

use std::time::Duration;

use common::{Server, client, eventually, http, run_client};
use serde_json::{Value, json};

fn wait_for(server: &Server, query: &str, count: u64) {
    eventually(Duration::from_secs(30), || match server.search(query, 1, None)["total"].as_u64() {
        Some(total) if total == count => Ok(()),
        total => Err(format!("{query}: {total:?} of {count}")),
    });
}

#[test]
fn opentelemetry_logs_are_records_with_their_resource_and_attributes() {
    let Some(client) = client("push") else { return };
    let mut server = Server::start();
    assert_eq!(run_client(&client, &["otlp", &format!("http://{}", server.http)]), "250");
    let check = |server: &Server| {
        wait_for(server, "service.name:otel-shop", 250);
        wait_for(server, "level:ERROR AND kubernetes.namespace:prod", 25);
        wait_for(server, "attributes.order:>=200", 50);
        let record = server.records("attributes.order:77").remove(0);
        assert_eq!(record["message"], "order 77 paid");
        assert_eq!(
            (&record["log"]["logger"], &record["kubernetes"]["pod"]["name"]),
            (&json!("shop.cart"), &json!("otel-shop-1"))
        );
    };
    check(&server);
    server.kill9();
    server.restart();
    check(&server);
    let detectors: Value = serde_json::from_str(&server.text("/api/v1/detectors?service=otel-shop")).unwrap();
    assert!(detectors["services"].as_u64() >= Some(1), "{detectors}");
}

#[test]
fn what_a_client_of_loki_pushes_is_found_by_its_labels() {
    let Some(client) = client("push") else { return };
    let mut server = Server::start();
    assert_eq!(run_client(&client, &["loki", &format!("http://{}", server.http)]), "250");
    let check = |server: &Server| {
        wait_for(server, "service.name:loki-shop AND fields.app:cart AND kubernetes.namespace:prod", 250);
        assert_eq!(server.records("\"order 77 shipped\"").len(), 1);
    };
    check(&server);
    server.kill9();
    server.restart();
    check(&server);
}

#[test]
fn a_push_that_is_none_is_refused_and_its_sender_told_what_to_do() {
    let server = Server::start();
    let ask = |path: &str, kind: &str, body: &[u8]| {
        let (status, answer) =
            http::request(server.http, "POST", path, &format!("Content-Type: {kind}\r\n"), body).unwrap();
        (status, String::from_utf8_lossy(&answer).into_owned())
    };
    let json = "application/json";
    let protobuf = "application/x-protobuf";
    for (path, kind, body, status, says) in [
        ("/v1/logs", "text/plain", &b"x"[..], 415, "send application/x-protobuf"),
        ("/v1/logs", json, b"{\"resourceSpans\":[]}", 400, "resourceLogs"),
        ("/v1/logs", protobuf, b"\xff", 400, "no logs of OTLP"),
        ("/v1/logs", json, b"{\"resourceLogs\":[]}", 200, "{}"),
        ("/v1/logs", protobuf, b"", 200, ""),
        ("/loki/api/v1/push", json, b"{\"streams\":[]}", 204, ""),
        ("/loki/api/v1/push", json, b"{}", 400, "missing field"),
        ("/loki/api/v1/push", protobuf, b"\xff", 400, "no snappy block"),
    ] {
        let (found, answer) = ask(path, kind, body);
        assert_eq!(found, status, "{path} {kind}: {answer}");
        assert!(answer.contains(says), "{path} {kind}: {answer}");
    }
    // A second push of the same lines with their times, as after a lost answer, adds nothing.
    let push = json!({"streams": [{"stream": {"app": "a"}, "values": [["1764000000000000000", "one"], ["1764000000000000001", "two"]]}]});
    for _ in 0..2 {
        assert_eq!(ask("/loki/api/v1/push", json, push.to_string().as_bytes()).0, 204);
    }
    wait_for(&server, "fields.app:a", 2);
}
