//! Documents by HTTP: what they become, and which of them are one.

use bumpalo::Bump;
use bytes::Bytes;

use super::support::{RECEIVED_AT, decoder};
use crate::ingest::http::{Encoding, Head, Options, Source, items};
use crate::record::time::format_rfc3339;
use crate::record::{Batch, Wire};

/// One document as it came out.
#[derive(Debug, Clone, PartialEq)]
struct Out {
    at: String,
    message: Option<String>,
    extra: Option<String>,
    sender: String,
    id: u64,
    positioned: bool,
}

/// The documents of a body that arrived `later` seconds after the first, and the reasons for what was not decoded.
fn decode(source: Source, options: Options, body: &str, later: i64) -> (Vec<Out>, Vec<(usize, String)>) {
    let head = Head { source, encoding: Encoding::Identity, options };
    let items = items(&head, body.as_bytes()).unwrap();
    let batch = Batch {
        wire: Wire::Http,
        received_at: RECEIVED_AT + later * 1_000_000_000,
        peer: "10.0.0.5".into(),
        events: 0,
        body: Bytes::new(),
        inflated: None,
    };
    let (arena, mut events, mut bad) = (Bump::new(), Vec::new(), Vec::new());
    decoder().decode_documents(&batch, &head.options, &items, &arena, &mut events, &mut bad);
    let out = events.iter().map(|event| Out {
        at: format_rfc3339(event.timestamp),
        message: event.message.map(str::to_owned),
        extra: event.extra.map(str::to_owned),
        sender: event.stream.sender.clone(),
        id: event.id(),
        positioned: event.positioned,
    });
    (out.collect(), bad.iter().map(|bad| (bad.index, bad.reason.to_string())).collect())
}

fn lines(body: &str, later: i64) -> Vec<Out> {
    let options = Options {
        time_fields: vec!["_time".into(), "ts".into()],
        message_fields: vec!["_msg".into()],
        ..Options::default()
    };
    decode(Source::Lines, options, body, later).0
}

fn bulk(body: &str) -> Vec<Out> {
    decode(Source::Bulk, Options::default(), body, 0).0
}

#[test]
fn times_and_lines_go_where_they_belong() {
    for (document, at, message, extra) in [
        (r#"{"@timestamp":"2026-03-01T12:00:00Z","message":"x"}"#, "2026-03-01T12:00:00.000Z", Some("x"), None),
        (r#"{"@timestamp":1772366400123,"a":1}"#, "2026-03-01T12:00:00.123Z", None, Some(r#"{"a":1}"#)),
        (r#"{"@timestamp":"2026-03-01T12:00:00.5","message":"x"}"#, "2026-03-01T12:00:00.500Z", Some("x"), None),
        (r#"{"_time":"2026-03-01T12:00:00Z","_msg":"x"}"#, "2026-03-01T12:00:00.000Z", Some("x"), None),
        (r#"{"ts":1772366400,"_msg":"x","b":true}"#, "2026-03-01T12:00:00.000Z", Some("x"), Some(r#"{"b":true}"#)),
        // What is there already wins, and what is no line stays what it is.
        (
            r#"{"@timestamp":"2026-03-01T12:00:00Z","ts":1,"_msg":{"c":1}}"#,
            "2026-03-01T12:00:00.000Z",
            None,
            Some(r#"{"ts":1,"_msg":{"c":1}}"#),
        ),
        (
            r#"{"@timestamp":"soon","message":"x"}"#,
            "2026-11-22T10:30:00.000Z",
            Some("x"),
            Some(r#"{"timestamp_invalid":"soon"}"#),
        ),
    ] {
        let out = &lines(document, 0)[0];
        let at = if at.starts_with("2026-11") { format_rfc3339(RECEIVED_AT) } else { at.to_owned() };
        assert_eq!((&out.at, out.message.as_deref(), out.extra.as_deref()), (&at, message, extra), "{document}");
    }
}

#[test]
fn an_id_within_an_index_is_one_document_under_create_and_one_for_each_content_under_index() {
    let id = |action: &str, index: &str, id: &str, document: &str| {
        let out = bulk(&format!("{{\"{action}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{document}\n"));
        assert!(out[0].positioned);
        out[0].id
    };
    let first = id("create", "logs", "a", r#"{"x":1}"#);
    assert_eq!(first, id("create", "logs", "a", r#"{"x":2}"#));
    assert_ne!(first, id("create", "logs", "b", r#"{"x":1}"#));
    assert_ne!(first, id("create", "other", "a", r#"{"x":1}"#));
    let first = id("index", "logs", "a", r#"{"x":1}"#);
    assert_eq!(first, id("index", "logs", "a", r#"{"x":1}"#));
    assert_ne!(first, id("index", "logs", "a", r#"{"x":2}"#));
    let out = bulk("{\"create\":{\"_id\":\"q\\\"\"}}\n{\"x\":1}\n{\"create\":{\"_id\":\"r\"}}\n{\"message\":\"m\"}\n");
    assert_eq!(out[0].extra.as_deref(), Some(r#"{"x":1,"_id":"q\""}"#));
    assert_eq!(out[1].extra.as_deref(), Some(r#"{"_id":"r"}"#));
}

#[test]
fn a_position_or_a_time_makes_copies_known_and_without_either_all_is_new() {
    let ids = |body: &str, later| lines(body, later).iter().map(|out| out.id).collect::<Vec<_>>();
    let timed = r#"{"@timestamp":"2026-03-01T12:00:00Z","message":"x"}"#;
    let twice = format!("{timed}\n{timed}\n");
    let first = ids(&twice, 0);
    assert_ne!(first[0], first[1], "two equal lines of one request are two");
    assert_eq!(first, ids(&twice, 60), "a request that is sent again is the same");
    let untimed = "{\"message\":\"tick\"}\n{\"message\":\"tick\"}\n";
    let first = ids(untimed, 0);
    assert_ne!(first[0], first[1]);
    assert_ne!(first, ids(untimed, 60));
    assert_eq!(first, ids(untimed, 0), "but a replay gives what was");
    let placed = r#"{"agent":{"name":"n1"},"log":{"file":{"path":"/a"},"offset":7},"message":"x"}"#;
    let out = &lines(placed, 0)[0];
    assert!(out.positioned);
    assert_eq!(out.id, lines(placed, 60)[0].id);
    assert_eq!(out.sender, "http:n1");
    assert_eq!(lines(timed, 0)[0].sender, "http:loghound", "of the index, from whichever address");
}

#[test]
fn what_is_skipped_or_bad_leaves_the_others_alone() {
    let body = "{\"create\":{}}\n{\"a\":1}\n{\"create\":{}}\n{\"a\":\n{\"create\":{}}\n[1]\n{\"create\":{}}\n{\"_id\":\"x\"}\n\
                {\"delete\":{\"_id\":\"x\"}}\n{\"create\":{}}\n{\"a\":2}\n";
    let (out, bad) = decode(Source::Bulk, Options::default(), body, 0);
    assert_eq!(out.iter().filter_map(|out| out.extra.as_deref()).collect::<Vec<_>>(), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(bad.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(bad[2].1.contains("_id"), "{}", bad[2].1);
    let (skipping, bad) = decode(Source::Bulk, Options { skip: vec![0, 1, 2, 3], ..Options::default() }, body, 0);
    assert_eq!((skipping.as_slice(), bad.len()), (&out[1..], 0));
}
