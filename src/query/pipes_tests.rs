//! Pipelines: what columns answer against what rows answer, and what people type against what they expect.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::aggregate::Limits;
use super::pipes::*;
use super::random_tests::{Fixture, Line, fixture, line_strategy, query};
use super::*;

fn run(store: &Fixture, text: &str) -> Piped {
    let pipeline = parse_pipeline(text).unwrap_or_else(|err| panic!("{}", err.render(text)));
    let run = Run {
        between: Between::default(),
        limit: 1_000,
        newest_first: true,
        after: None,
        deadline: Instant::now() + Duration::from_secs(60),
        limits: Limits::default(),
    };
    store.engine.run(&pipeline, &run).unwrap_or_else(|stop| panic!("{text}: {stop}"))
}

/// Rows as texts, in an order of their own; numbers without the last digits, which the order of adding decides.
fn shown(piped: &Piped) -> Vec<String> {
    let value = |value: &Json| match value {
        Json::Number(n) => format!("{:.9e}", n.as_f64().unwrap()),
        value => value.to_string(),
    };
    let row = |row: &serde_json::Map<String, Json>| {
        row.iter().map(|(name, v)| format!("{name}={}", value(v))).collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<String> = piped.rows.iter().map(row).collect();
    rows.sort();
    rows
}

fn measure() -> impl Strategy<Value = String> {
    let field = || {
        prop::sample::select(vec![
            "code",
            "user",
            "msg",
            "level",
            "deep.a",
            "k.dot",
            "duration",
            "host.name",
            "path",
            "request_id",
            "log.offset",
            "start_time",
            "@timestamp",
            "kv.code",
            "nothing",
        ])
    };
    let function =
        prop::sample::select(vec!["count", "sum", "avg", "min", "max", "median", "p90", "count_uniq", "values"]);
    prop_oneof![1 => Just("count()".to_owned()), 5 => (function, field()).prop_map(|(f, field)| format!("{f}({field})"))]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "code",
        "user",
        "level",
        "host.name",
        "kubernetes.namespace",
        "_time:1h",
        "_time:day",
        "duration:50",
        "grammar",
        "path",
        "request_id",
        "deep.code",
        "log.level",
        "start_time:1m",
        "stream",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("LOGHOUND_QUERY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(30)
    ))]

    /// A pattern that finds nothing makes the pipeline go through rows; it changes nothing else.
    #[test]
    fn columns_and_rows_give_the_same_tables(
        lines in prop::collection::vec(line_strategy(), 1..40),
        asked in prop::collection::vec(
            (query(), prop::collection::vec(measure(), 1..4), prop::collection::vec(key(), 0..3)),
            12,
        ),
        cut in 5..40usize,
    ) {
        let store = fixture(&lines, cut);
        for (query, measures, keys) in asked {
            let measures: Vec<String> = measures.iter().enumerate().map(|(n, m)| format!("{m} as m{n}")).collect();
            let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
            let stats = format!("stats {}{by}", measures.join(", "));
            let columns = run(&store, &format!("{query} | {stats}"));
            let rows = run(&store, &format!("{query} | extract \"never %{{WORD:never}} never\" | {stats}"));
            prop_assert_eq!(&columns.columns, &rows.columns);
            prop_assert_eq!(columns.total, rows.total);
            // A table without keys has its one row even of nothing; rows that never come make none.
            if !(keys.is_empty() && columns.total == 0) {
                prop_assert_eq!(shown(&columns), shown(&rows), "{} | {}", query, stats);
            }
        }
    }
}

fn sample() -> Fixture {
    let line = |i: u64| {
        let extra = json!({"took": i * 10, "path": format!("/p{}", i % 4), "user": if i.is_multiple_of(3) { "ann" } else { "bob" }});
        let stream = json!({"host": {"name": format!("n{}", i % 2)}});
        Line::of(stream, 1_790_000_000_000_000_000 + i as i64 * 1_000_000_000, &format!("took {i} ms here"), extra)
    };
    fixture(&(0..12).map(line).collect::<Vec<_>>(), 5)
}

#[test]
fn tables_are_what_people_expect() {
    let store = sample();
    for (text, columns, rows) in [
        ("| stats count(), sum(took) as all", vec!["count", "all"], json!([[12, 660]])),
        (
            "| stats count(), max(took), p50(took) by host.name | sort by host.name",
            vec!["host.name", "count", "max_took", "p50_took"],
            json!([["n0", 6, 100, 50], ["n1", 6, 110, 60]]),
        ),
        ("| top 2 by path, host.name", vec!["path", "host.name", "count"], json!([["/p0", "n0", 3], ["/p1", "n1", 3]])),
        ("| top 1 by user", vec!["user", "count"], json!([["bob", 8]])),
        ("| stats max(took) as m by path | top 2", vec!["path", "m"], json!([["/p3", 110], ["/p2", 100]])),
        ("| stats max(took) as m by path | sort by m | limit 1", vec!["path", "m"], json!([["/p0", 80]])),
        (
            "| stats count() by path, user | where count:>1 | stats count() by user",
            vec!["user", "count"],
            json!([["bob", 4]]),
        ),
        ("took:>=100 | fields took, user", vec!["took", "user"], json!([[110, "bob"], [100, "bob"]])),
        ("| uniq by user", vec!["user", "count"], json!([["bob", 8], ["ann", 4]])),
        (
            "| stats count(), rate() by _time:6s",
            vec!["@timestamp", "count", "rate"],
            json!([
                ["2026-09-21T14:13:18.000Z", 4, 4.0 / 6.0],
                ["2026-09-21T14:13:24.000Z", 6, 1.0],
                ["2026-09-21T14:13:30.000Z", 2, 2.0 / 6.0]
            ]),
        ),
        ("| rate 60s by user | fields user, rate | limit 1", vec!["user", "rate"], json!([["bob", 8.0 / 60.0]])),
        (
            "| extract \"took %{NUMBER:ms:int} ms\" | where ms:>=10 | stats sum(ms), values(path)",
            vec!["sum_ms", "values_path"],
            json!([[21, ["/p2", "/p3"]]]),
        ),
        (
            "| stats min(_time) as first, max(@timestamp) as last",
            vec!["first", "last"],
            json!([["2026-09-21T14:13:20.000Z", "2026-09-21T14:13:31.000Z"]]),
        ),
        ("| where user:ann | where took:>50 | stats count()", vec!["count"], json!([[2]])),
        ("nothing:here | stats count(), avg(took) by path", vec!["path", "count", "avg_took"], json!([])),
        ("nothing:here | stats count(), avg(took)", vec!["count", "avg_took"], json!([[0, null]])),
        ("| stats count(took), count_uniq(user)", vec!["count_took", "count_uniq_user"], json!([[12, 2]])),
        ("| top 3 by took | stats count(), max(took)", vec!["count", "max_took"], json!([[3, 20]])),
    ] {
        let piped = run(&store, text);
        assert_eq!(piped.columns.as_deref().unwrap_or_default(), columns, "{text}");
        let values: Vec<Json> =
            piped.rows.iter().map(|row| columns.iter().map(|c| row[*c].clone()).collect()).collect();
        assert_eq!(Json::from(values), rows, "{text}");
    }
}

#[test]
fn records_go_through_pipes() {
    let store = sample();
    let took = |text: &str| {
        let piped = run(&store, text);
        assert_eq!(piped.columns, None, "{text}");
        piped.rows.iter().map(|row| row["took"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(took("user:bob | limit 3"), [110, 100, 80]);
    assert_eq!(took("| sort by user, took desc | limit 5"), [90, 60, 30, 0, 110]);
    assert_eq!(took("| sort by path desc, took | where user:ann"), [30, 60, 90, 0]);
    assert_eq!(took("| extract \"took %{NUMBER:ms:int}\" | where ms:[3 TO 5]"), [50, 40, 30]);
    assert_eq!(took("| extract \"took %{NUMBER:ms:int}\" | sort by ms | limit 2"), [0, 10]);
    let piped = run(&store, "| where user:ann");
    assert_eq!((piped.total, piped.rows.len()), (4, 4));
    let piped = run(&store, "took:20 | extract \"took %{NUMBER:[a][b]:int}\" from message");
    assert_eq!(piped.rows[0]["a.b"], json!(2));
}

fn exported(store: &Fixture, text: &str, newest_first: bool, most: usize) -> (Vec<Json>, Option<Vec<String>>) {
    let pipeline = parse_pipeline(text).unwrap_or_else(|err| panic!("{}", err.render(text)));
    let run = Run {
        between: Between::default(),
        limit: 10,
        newest_first,
        after: None,
        deadline: Instant::now() + Duration::from_secs(60),
        limits: Limits::default(),
    };
    let mut rows = Vec::new();
    let each = &mut |_: Option<&[String]>, row| {
        rows.push(Json::Object(row));
        rows.len() < most
    };
    let columns = store.engine.run_all(&pipeline, &run, each).unwrap();
    (rows, columns)
}

#[test]
fn an_export_has_every_record_in_order() {
    // Two days, many minutes, several segments; times that are equal.
    let line = |i: u64| {
        let at = 1_790_035_000_000_000_000 + (i * 7_919 % 600) as i64 / 2 * 10_000_000_000;
        Line::of(json!({"host": {"name": "n"}}), at, &format!("line {i}"), json!({"n": i}))
    };
    let store = fixture(&(0..600).map(line).collect::<Vec<_>>(), 90);
    for newest_first in [true, false] {
        let (rows, columns) = exported(&store, "", newest_first, usize::MAX);
        assert_eq!((rows.len(), columns), (600, None));
        let time = |row: &Json| row["@timestamp"].as_str().unwrap().to_owned();
        assert!(rows.is_sorted_by(|a, b| if newest_first { time(a) >= time(b) } else { time(a) <= time(b) }));
        let mut all: Vec<u64> = rows.iter().map(|row| row["n"].as_u64().unwrap()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..600));
    }
    assert_eq!(exported(&store, "", true, 7).0.len(), 7);
    let (rows, columns) =
        exported(&store, "n:<50 | extract \"line %{INT:i:int}\" | where i:>=40 | limit 5 | fields i", true, 99);
    assert_eq!((rows.len(), columns), (5, Some(vec!["i".to_owned()])));
    let (rows, columns) = exported(&store, "n:<50 | stats count()", true, 99);
    assert_eq!((rows, columns), (vec![json!({"count": 50})], Some(vec!["count".to_owned()])));
}
