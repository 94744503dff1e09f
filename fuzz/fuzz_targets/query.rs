//! The query language: a query is refused at a place inside it, or answers every record with yes or no.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use loghound::query::{Aliases, Expr, matches, parse_at};
use serde_json::{Map, Value, json};

/// Unix nanoseconds that relative times count from.
const NOW: i64 = 1_769_054_250_123_456_789;

static RECORDS: LazyLock<Vec<Map<String, Value>>> = LazyLock::new(|| {
    let records = json!([
        {"message": "a b", "level": "E", "response_code": 503, "duration": 1.5, "path": "/healthz?x=1", "@timestamp": "2026-01-22T03:57:30Z"},
        {"message": "größe \u{0}", "kubernetes": {"namespace": "prod", "labels": {"a.b": ["x", 7, true, null]}}, "kv": {"n": -3}},
        {},
    ]);
    records.as_array().into_iter().flatten().filter_map(|record| record.as_object().cloned()).collect()
});

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match parse_at(&text, NOW) {
        Ok(query) => {
            assert!(!query.to_string().is_empty());
            let aliases = Aliases::default();
            let not = Expr::Not(Box::new(query.clone()));
            for record in RECORDS.iter() {
                assert_ne!(matches(&query, record, &aliases), matches(&not, record, &aliases));
            }
        }
        Err(error) => {
            assert!(text.get(error.offset..error.offset + error.len).is_some(), "{error:?}");
            assert!(error.render(&text).contains('^'));
        }
    }
});
