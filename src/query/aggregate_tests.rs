//! Aggregations against counting by hand, on random records: conflicting types, arrays, streams' fields, values that
//! stand in their line alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::aggregate::values::{AsNumber, each_scalar};
use super::aggregate::*;
use super::random_tests::{Fixture, fixture, line_strategy, query};
use super::*;

/// What the values of a field in one record are: a set.
fn keys_of(record: &Map<String, Json>, field: &str, aliases: &Aliases) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    each_value(record, field, aliases, &mut |value| keys.extend(Key::of(value)));
    keys
}

fn numbers_of(record: &Map<String, Json>, field: &str, aliases: &Aliases) -> Vec<f64> {
    let mut numbers = Vec::new();
    each_value(record, field, aliases, &mut |value| each_scalar(value, &mut AsNumber, &mut |n| numbers.push(n)));
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

fn each_value(record: &Map<String, Json>, field: &str, aliases: &Aliases, each: &mut dyn FnMut(&Json)) {
    for name in aliases.names(field) {
        matches::visit(record, name, &mut |value| {
            scalars(value, each);
            false
        });
    }
}

fn scalars(value: &Json, each: &mut dyn FnMut(&Json)) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| scalars(item, each)),
        value => each(value),
    }
}

fn named(kind: Kind) -> Aggregation {
    Aggregation { name: "x".to_owned(), kind, subs: Vec::new() }
}

fn run(store: &Fixture, query: &str, requests: &[Aggregation]) -> Aggregated {
    let deadline = Instant::now() + Duration::from_secs(60);
    let expr = parse(query).unwrap();
    store.engine.aggregate(&expr, Between::default(), requests, Limits::default(), deadline).unwrap()
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    }
}

fn check(store: &Fixture, query: &str, group: &str, field: &str) {
    let aliases = store.engine.language().aliases;
    let expr = parse(query).unwrap();
    let matching: Vec<_> = store.records.iter().filter(|record| matches(&expr, record, &aliases)).collect();
    let measures = |field: &str| {
        vec![
            named(Kind::Stats(field.to_owned(), Shown::Extended)),
            named(Kind::Unique(field.to_owned())),
            named(Kind::ValueCount(field.to_owned())),
            named(Kind::Missing(field.to_owned())),
            named(Kind::Percentiles { field: field.to_owned(), percents: vec![0.0, 50.0, 100.0], keyed: true }),
            named(Kind::Terms(Terms::top(field, 1_000))),
        ]
    };
    let groups = named(Kind::Terms(Terms::top(group, 1_000)));
    let found = run(store, query, &[Aggregation { subs: measures(field), ..groups }]);
    assert_eq!(found.total, matching.len() as u64);
    let mut wanted: BTreeMap<Key, Vec<&Map<String, Json>>> = BTreeMap::new();
    for record in &matching {
        for key in keys_of(record, group, &aliases) {
            wanted.entry(key).or_default().push(record);
        }
    }
    let [Answer::Groups { groups, other: 0 }] = &found.answers[..] else { panic!("{:?}", found.answers) };
    let counts: BTreeMap<_, _> = groups.iter().map(|group| (group.key.clone(), group.count)).collect();
    let by_hand: BTreeMap<_, _> = wanted.iter().map(|(key, records)| (key.clone(), records.len() as u64)).collect();
    assert_eq!(counts, by_hand, "{query:?} by {group}");
    assert!(groups.is_sorted_by(|a, b| (b.count, &a.key) < (a.count, &b.key)), "{query:?} by {group}");
    for one in groups {
        let records = &wanted[&one.key];
        let what = format!("{query:?} by {group} {:?}: {field}", one.key);
        let numbers: Vec<f64> = records.iter().flat_map(|record| numbers_of(record, field, &aliases)).collect();
        let keys: Vec<_> = records.iter().map(|record| keys_of(record, field, &aliases)).collect();
        let [stats, unique, count, missing, quantiles, terms] = &one.answers[..] else { panic!() };
        let Answer::Stats(stats) = stats else { panic!() };
        assert_eq!(stats.count, numbers.len() as u64, "{what}");
        let sum: f64 = numbers.iter().sum();
        assert!(close(Some(stats.sum()), Some(sum)), "{what}: {} {sum}", stats.sum());
        assert_eq!(stats.min(), numbers.iter().copied().reduce(f64::min), "{what}");
        assert_eq!(stats.max(), numbers.iter().copied().reduce(f64::max), "{what}");
        let different: BTreeSet<&Key> = keys.iter().flatten().collect();
        assert!(matches!(unique, Answer::Count(n) if *n == different.len() as u64), "{what}: {unique:?}");
        let all = keys.iter().map(|keys| keys.len() as u64).sum::<u64>();
        assert!(matches!(count, Answer::Count(n) if *n == all), "{what}: {count:?}");
        let without = keys.iter().filter(|keys| keys.is_empty()).count() as u64;
        let exists = parse(&format!("_exists_:{field}")).unwrap();
        let objects = records.iter().filter(|record| !matches(&exists, record, &aliases)).count() as u64;
        assert!(objects <= without);
        assert!(matches!(missing, Answer::One(one) if one.count == objects), "{what}: {missing:?} {objects}");
        let Answer::Percentiles(quantiles) = quantiles else { panic!() };
        let mut sorted = numbers;
        sorted.sort_by(f64::total_cmp);
        let at = |rank: f64| {
            let place = rank * (sorted.len().checked_sub(1)?) as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            Some(low + (high - low) * place.fract())
        };
        for (percent, value) in quantiles {
            assert!(close(*value, at(percent / 100.0)), "{what}: p{percent}: {value:?} {:?}", at(percent / 100.0));
        }
        let Answer::Groups { groups, .. } = terms else { panic!() };
        let counted: u64 = groups.iter().map(|group| group.count).sum();
        assert_eq!(counted, all, "{what}");
    }
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "code",
        "user",
        "msg",
        "level",
        "host",
        "stream",
        "message",
        "grammar",
        "deep",
        "deep.a",
        "deep.code",
        "k.dot",
        "duration",
        "month",
        "host.name",
        "kubernetes.namespace",
        "response_code",
        "path",
        "user_agent",
        "request_id",
        "filename",
        "kv.code",
        "kv.user",
        "log.level",
        "time",
        "start_time",
        "log.offset",
        "event.id",
        "@timestamp",
        "cri.stream",
        "cri.time",
        "parsed.message",
        "parse.error",
        "nothing",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("LOGHOUND_QUERY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(30)
    ))]

    #[test]
    fn groups_and_measures_are_what_counting_by_hand_gives(
        lines in prop::collection::vec(line_strategy(), 1..40),
        asked in prop::collection::vec((query(), field(), field()), 20),
        cut in 5..40usize,
    ) {
        let store = fixture(&lines, cut);
        for (query, group, field) in asked {
            check(&store, &query, group, field);
        }
    }
}

fn lines(n: u64) -> Vec<random_tests::Line> {
    let line = |i: u64| {
        let stream = json!({"host": {"name": format!("n{}", i % 3)}});
        let extra = json!({"took": i, "even": i.is_multiple_of(2), "kind": format!("k{}", i % 5)});
        random_tests::Line::of(stream, 1_790_000_000_000_000_000 + i as i64 * 1_000_000_000, "plain line", extra)
    };
    (0..n).map(line).collect()
}

/// Reads aggregations as a client writes them, and gives what it reads.
fn ask(store: &Fixture, query: &str, aggs: Json) -> Json {
    let reader = Reader { query: &|json| query_of(json, 0), now: 1_790_000_000_000_000_000 };
    let requests = parse_aggregations(&aggs, &reader).unwrap_or_else(|bad| panic!("{bad}"));
    let found = run(store, query, &requests);
    Json::Object(to_json(&requests, &found.answers))
}

#[test]
fn answers_have_elasticsearchs_shapes() {
    let store = fixture(&lines(10), 4);
    for (aggs, wanted) in [
        (
            json!({"h": {"terms": {"field": "host.name.keyword", "size": 2}, "aggs": {"m": {"max": {"field": "took"}}}}}),
            json!({"h": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 3, "buckets": [
                {"key": "n0", "doc_count": 4, "m": {"value": 9.0}}, {"key": "n1", "doc_count": 3, "m": {"value": 7.0}},
            ]}}),
        ),
        (
            json!({"h": {"terms": {"field": "host.name", "order": {"m.max": "desc"}, "size": 1, "include": "n[12]"},
                "aggs": {"m": {"stats": {"field": "took"}}}}}),
            json!({"h": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 3, "buckets": [
                {"key": "n2", "doc_count": 3, "m": {"count": 3, "min": 2.0, "max": 8.0, "avg": 5.0, "sum": 15.0}},
            ]}}),
        ),
        (
            json!({"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "4s"}}}),
            json!({"t": {"buckets": [
                {"key_as_string": "2026-09-21T14:13:20.000Z", "key": 1_790_000_000_000i64, "doc_count": 4},
                {"key_as_string": "2026-09-21T14:13:24.000Z", "key": 1_790_000_004_000i64, "doc_count": 4},
                {"key_as_string": "2026-09-21T14:13:28.000Z", "key": 1_790_000_008_000i64, "doc_count": 2},
            ]}}),
        ),
        (
            json!({"t": {"histogram": {"field": "took", "interval": 4, "extended_bounds": {"min": -3, "max": 5}}}}),
            json!({"t": {"buckets": [
                {"key": -4, "doc_count": 0}, {"key": 0, "doc_count": 4}, {"key": 4, "doc_count": 4},
                {"key": 8, "doc_count": 2},
            ]}}),
        ),
        (
            json!({"r": {"range": {"field": "took", "ranges": [{"to": 3}, {"from": 3, "to": 5, "key": "some"}]}}}),
            json!({"r": {"buckets": [
                {"key": "*-3.0", "to": 3.0, "doc_count": 3}, {"key": "some", "from": 3.0, "to": 5.0, "doc_count": 2},
            ]}}),
        ),
        (
            json!({"f": {"filters": {"filters": {"a": {"query_string": {"query": "kind:k1"}}, "b": {"match_all": {}}}}}}),
            json!({"f": {"buckets": {"a": {"doc_count": 2}, "b": {"doc_count": 10}}}}),
        ),
        (
            json!({"f": {"filter": {"query_string": {"query": "took:<3"}}, "aggs": {"u": {"cardinality": {"field": "kind"}}}}}),
            json!({"f": {"doc_count": 3, "u": {"value": 3}}}),
        ),
        (
            json!({"p": {"percentiles": {"field": "took", "percents": [50, 99.5]}}, "n": {"missing": {"field": "took"}}}),
            json!({"p": {"values": {"50.0": 4.5, "99.5": 8.955}}, "n": {"doc_count": 0}}),
        ),
        (
            json!({"e": {"terms": {"field": "even", "size": 1}}, "v": {"value_count": {"field": "took"}}}),
            json!({"e": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 5, "buckets": [
                {"key": 0, "key_as_string": "false", "doc_count": 5}]}, "v": {"value": 10}}),
        ),
        (
            json!({"x": {"terms": {"field": "nothing", "missing": "N/A"}}, "a": {"avg": {"field": "nothing"}}}),
            json!({"x": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
                {"key": "N/A", "doc_count": 10}]}, "a": {"value": null}}),
        ),
        (
            json!({"t": {"top_metrics": {"metrics": [{"field": "took"}], "sort": {"@timestamp": "desc"}}},
                "m": {"max": {"field": "@timestamp"}}}),
            json!({"t": {"top": [{"sort": ["2026-09-21T14:13:29.000Z"], "metrics": {"took": 9}}]},
                "m": {"value": 1_790_000_009_000.0, "value_as_string": "2026-09-21T14:13:29.000Z"}}),
        ),
    ] {
        assert_eq!(ask(&store, "", aggs.clone()), wanted, "{aggs}");
    }
    let hits =
        ask(&store, "took:>3", json!({"h": {"top_hits": {"size": 2, "sort": [{"@timestamp": {"order": "desc"}}]}}}));
    assert_eq!(hits["h"]["hits"]["total"], json!({"value": 6, "relation": "eq"}));
    let took: Vec<_> = hits["h"]["hits"]["hits"].as_array().unwrap().iter().map(|h| &h["_source"]["took"]).collect();
    assert_eq!(took, [9, 8]);
}

#[test]
fn what_cannot_be_aggregated_says_where_and_why() {
    let reader = Reader { query: &|json| query_of(json, 0), now: 0 };
    for (aggs, says) in [
        (json!([]), "aggs: is an object of named aggregations"),
        (
            json!({"a": {"term": {"field": "x"}}}),
            "aggs.a.term: there is no aggregation \"term\"; did you mean \"terms\"?",
        ),
        (json!({"a": {"terms": {"feild": "x"}}}), "\"feild\" is not supported here; did you mean \"field\"?"),
        (json!({"a": {"terms": {}}}), "aggs.a.terms.field: is missing"),
        (json!({"a": {"terms": {"field": "x", "size": 100_000}}}), "size: is a whole number from 0 to 65536"),
        (json!({"a": {"terms": {"field": "x", "order": {"b": "desc"}}}}), "ordered by \"b\", which is no aggregation"),
        (
            json!({"a": {"avg": {"field": "x"}, "aggs": {"b": {"avg": {"field": "x"}}}}}),
            "measures have no aggregations below",
        ),
        (json!({"a": {"date_histogram": {"field": "x", "fixed_interval": "1 day"}}}), "\"1 day\" is no length of time"),
        (
            json!({"a": {"date_histogram": {"field": "x", "calendar_interval": "1d", "time_zone": "Mars"}}}),
            "no time zone",
        ),
        (json!({"a": {"filter": {"query_string": {"query": "level:"}}}}), "level: has no value"),
        (json!({"a": {"top_hits": {"sort": "took"}}}), "sort: is by @timestamp"),
        (json!({"a": {"avg": {"field": "x"}, "max": {"field": "x"}}}), "has a second kind"),
        (json!({"a": {}}), "aggs.a: says no kind"),
    ] {
        let bad = parse_aggregations(&aggs, &reader).unwrap_err().to_string();
        assert!(bad.contains(says), "{aggs}: {bad}");
    }
    let mut deep = json!({"a": {"avg": {"field": "x"}}});
    (0..20).for_each(|_| deep = json!({"a": {"terms": {"field": "x"}, "aggs": deep.clone()}}));
    assert!(parse_aggregations(&deep, &reader).unwrap_err().message.contains("nested deeper"));
}

#[test]
fn an_answer_that_is_too_large_is_refused() {
    let store = fixture(&lines(200), 90);
    let deadline = Instant::now() + Duration::from_secs(60);
    let go = |kind, limits| store.engine.aggregate(&Expr::All, Between::default(), &[named(kind)], limits, deadline);
    let small = Limits { memory_bytes: 4_000, ..Limits::default() };
    let stop = go(Kind::Terms(Terms::top("event.id", 10)), small).unwrap_err();
    assert!(matches!(stop, Stop::Memory { limit_bytes: 4_000 }), "{stop}");
    let few = Limits { groups: 50, ..Limits::default() };
    let step = Step::Fixed { width: 1_000_000_000, offset: 0 };
    let stop = go(Kind::Steps(StepsOf::new("@timestamp", step.clone())), few).unwrap_err();
    assert!(matches!(stop, Stop::Groups { groups_max: 50 }), "{stop}");
    // A bound far away would make millions of empty steps.
    let mut far = StepsOf::new("@timestamp", step);
    far.extended = Some((0.0, 1.8e12));
    assert!(matches!(go(Kind::Steps(far), Limits::default()), Err(Stop::Groups { .. })));
    let past = store.engine.aggregate(
        &Expr::All,
        Between::default(),
        &[named(Kind::Unique("took".into()))],
        Limits::default(),
        Instant::now(),
    );
    assert!(past.unwrap().partial);
}
