use serde_json::{Value as Json, json};

use super::otlp::{AnyValue, KeyValue, LogRecord, LogsRequest, Resource, ResourceLogs, Scope, ScopeLogs, Value};
use super::*;

fn documents(made: Result<(Vec<u8>, usize), Declined>) -> Vec<Json> {
    let (lines, count) = made.unwrap();
    let documents: Vec<Json> =
        String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), count);
    documents
}

const AT: i64 = 1_772_366_400_000_000_001;

#[test]
fn a_push_of_loki_is_the_same_both_ways() {
    let labels = r#"{namespace="prod", pod="shop-1", container="shop", app="a \"b\", c}", filename="/var/log/a.log"}"#;
    let snappy = loki::wire::push(labels, &[(AT, "one", &[("trace_id", "t1"), ("user", "u")]), (AT + 1, "two", &[])]);
    let found = documents(loki::of_snappy(&snappy, 1 << 20));
    let stream = json!({"namespace": "prod", "pod": "shop-1", "container": "shop", "app": "a \"b\", c}", "filename": "/var/log/a.log"});
    let push = json!({"streams": [{"stream": stream, "values": [
        [AT.to_string(), "one", {"trace_id": "t1", "user": "u"}], [(AT + 1).to_string(), "two"]]}]});
    assert_eq!(found, documents(loki::of_json(push.to_string().as_bytes(), 1 << 20)));
    assert_eq!(
        found[0],
        json!({
            "@timestamp": "2026-03-01T12:00:00.000000001Z", "message": "one", "trace": {"id": "t1"}, "metadata": {"user": "u"},
            "kubernetes": {"namespace": "prod", "pod": {"name": "shop-1"}, "container": {"name": "shop"}},
            "fields": {"app": "a \"b\", c}"}, "log": {"file": {"path": "/var/log/a.log"}},
        })
    );
    assert_eq!(found[1]["message"], "two");
}

#[test]
fn what_is_no_push_is_refused() {
    let refused = |made: Result<(Vec<u8>, usize), Declined>| made.unwrap_err().to_string();
    assert!(refused(loki::of_snappy(b"\xff\xff\xff\xff\xff\xff", 1 << 20)).contains("no snappy block"));
    // A claim of 4 GiB asks for no memory.
    assert!(refused(loki::of_snappy(b"\xff\xff\xff\xff\x0f", 1 << 20)).contains("more than 1048576 bytes"));
    let garbage = snap::raw::Encoder::new().compress_vec(b"\x0a\xff").unwrap();
    assert!(refused(loki::of_snappy(&garbage, 1 << 20)).contains("no push of Loki's"));
    for labels in ["", "a", "{a}", "{a=b}", "{a=\"b}", "{a=\"\\q\"}"] {
        let push = loki::wire::push(labels, &[(AT, "x", &[])]);
        assert!(refused(loki::of_snappy(&push, 1 << 20)).contains("no labels"), "{labels}");
    }
    let value = r#"{"streams":[{"stream":{},"values":[["x","y"]]}]}"#;
    assert!(refused(loki::of_json(value.as_bytes(), 1 << 20)).contains("value 0 of a stream"));
    assert!(refused(otlp::of_protobuf(b"\x0a\xff", 1 << 20)).contains("no logs of OTLP"));
    assert!(refused(otlp::of_json(b"{}", 1 << 20)).contains("resourceLogs"));
    // Labels that are long and lines that are short: what it grows to has an end.
    let long = format!("{{a=\"{}\"}}", "x".repeat(10_000));
    let many = loki::wire::push(&long, &vec![(AT, "y", &[][..]); 1_000]);
    assert!(many.len() < 200_000, "{}", many.len());
    assert!(refused(loki::of_snappy(&many, 1 << 20)).contains("more than 1048576 bytes"));
}

#[test]
fn a_request_of_otlp_is_the_same_both_ways() {
    let text = |text: &str| Some(AnyValue { value: Some(Value::Text(text.to_owned())) });
    let pair = |key: &str, value| KeyValue { key: key.to_owned(), value };
    let int = |n| Some(AnyValue { value: Some(Value::Int(n)) });
    let record = LogRecord {
        time_unix_nano: AT as u64,
        severity_number: 17,
        body: text("it broke"),
        attributes: vec![pair("http.status_code", int(503)), pair("note", text("n"))],
        trace_id: vec![0xAB; 16],
        span_id: vec![1; 8],
        ..LogRecord::default()
    };
    let map = super::otlp::KeyValueList { values: vec![pair("a", int(-7))] };
    let structured = LogRecord {
        observed_time_unix_nano: AT as u64,
        severity_text: "Notice".to_owned(),
        body: Some(AnyValue { value: Some(Value::Map(map)) }),
        ..LogRecord::default()
    };
    let attributes = vec![
        pair("service.name", text("shop")),
        pair("k8s.pod.name", text("shop-1")),
        pair("telemetry.sdk.name", text("otel")),
    ];
    let scope =
        ScopeLogs { scope: Some(Scope { name: "shop.cart".to_owned() }), log_records: vec![record, structured] };
    let request = LogsRequest {
        resource_logs: vec![ResourceLogs { resource: Some(Resource { attributes }), scope_logs: vec![scope] }],
    };
    let found = documents(otlp::of_protobuf(&prost::Message::encode_to_vec(&request), 1 << 20));
    let said = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let request = json!({"resourceLogs": [{
        "resource": {"attributes": [said("service.name", "shop"), said("k8s.pod.name", "shop-1"), said("telemetry.sdk.name", "otel")]},
        "scopeLogs": [{"scope": {"name": "shop.cart"}, "logRecords": [
            {"timeUnixNano": AT.to_string(), "severityNumber": 17, "body": {"stringValue": "it broke"},
                "attributes": [{"key": "http.status_code", "value": {"intValue": "503"}}, said("note", "n")],
                "traceId": "AB".repeat(16), "spanId": "01".repeat(8)},
            {"observedTimeUnixNano": AT.to_string(), "severityText": "Notice",
                "body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "-7"}}]}}},
        ]}],
    }]});
    assert_eq!(found, documents(otlp::of_json(request.to_string().as_bytes(), 1 << 20)));
    let of_resource = json!({"service": {"name": "shop"}, "kubernetes": {"pod": {"name": "shop-1"}},
        "fields": {"telemetry": {"sdk": {"name": "otel"}}}, "log": {"logger": "shop.cart"}, "@timestamp": "2026-03-01T12:00:00.000000001Z"});
    let with = |more: Json| {
        let mut document = of_resource.clone();
        document.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        document
    };
    assert_eq!(
        found[0],
        with(
            json!({"message": "it broke", "level": "ERROR", "trace": {"id": "ab".repeat(16)}, "span": {"id": "01".repeat(8)},
            "attributes": {"http": {"status_code": 503}, "note": "n"}})
        )
    );
    assert_eq!(found[1], with(json!({"level": "Notice", "body": {"a": -7}})));
    assert_eq!(otlp::answer(0, "", false), [0u8; 0]);
    assert_eq!(otlp::answer(2, "why", false), b"\x0a\x07\x08\x02\x12\x03why");
    let partial: Json = serde_json::from_slice(&otlp::answer(2, "why", true)).unwrap();
    assert_eq!(partial, json!({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "why"}}));
}
