//! The plan against the definition, on random records and random queries: conflicting types, names that meet the
//! envelope's, wrappers, structured pairs, escapes, stamps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::parse::{Grammars, Parser};
use crate::record::{Event, Fields, Record, Stream, StreamKey, WHOLE, time::parse_rfc3339};
use crate::store::{Options, Store};

#[derive(Debug)]
pub(super) struct Line {
    stream: Json,
    ts: i64,
    message: Option<String>,
    offset: Option<u64>,
    extra: Option<Json>,
}

impl Line {
    pub(super) fn of(stream: Json, ts: i64, message: &str, extra: Json) -> Self {
        Self { stream, ts, message: Some(message.to_owned()), offset: None, extra: Some(extra) }
    }
}

pub(super) struct Fixture {
    pub(super) engine: Engine,
    pub(super) records: Vec<Map<String, Json>>,
    _dir: tempfile::TempDir,
}

/// The fixture's identities are the records' numbers.
fn number_of(record: &Map<String, Json>) -> u64 {
    let mut number = None;
    super::matches::visit(record, "event.id", &mut |value| {
        number = number.or(value.as_str().and_then(parse_event_id).map(|(_, id)| id % WHOLE));
        number.is_some()
    });
    number.unwrap()
}

/// A store with these lines, in segments of `cut` lines.
pub(super) fn fixture(lines: &[Line], cut: usize) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path().join("shards"), Options::default()).unwrap());
    let parser = Parser::builtin();
    let mut worker = store.worker();
    let mut records = vec![];
    for (n, line) in lines.iter().enumerate() {
        let canonical = line.stream.to_string();
        let Json::Object(fields) = line.stream.clone() else { panic!() };
        let stream = Arc::new(Stream {
            key: StreamKey(xxhash_rust::xxh3::xxh3_128(canonical.as_bytes())),
            fields,
            canonical,
            sender: "n1".into(),
            identity_seed: 0,
            memory: AtomicU64::new(0),
        });
        let extra = line.extra.as_ref().map(Json::to_string);
        let message = line.message.as_deref();
        let event = Event {
            stream,
            timestamp: line.ts,
            message,
            offset: line.offset,
            mark: WHOLE | n as u64,
            positioned: line.offset.is_some(),
            extra: extra.as_deref(),
        };
        let mut fields = Fields::new();
        let grammar = message.and_then(|message| parser.parse_auto(message, &mut fields));
        fields.leave_envelope_alone();
        let covers = grammar.zip(message).is_some_and(|(grammar, text)| grammar.covers(text));
        let grammar = grammar.map(|grammar| grammar.key());
        let record = Record { event: &event, grammar, template: None, fields: &fields };
        records.push(build_record(&record, &parser));
        worker.add(1 + (n / cut) as u64, line.ts, &record, covers).unwrap();
        if (n + 1) % cut == 0 || n + 1 == lines.len() {
            let part = worker.cut().unwrap();
            store.commit(1 + (n / cut) as u64, vec![part]).unwrap();
        }
    }
    Fixture {
        engine: Engine::new(Arc::clone(&store), Arc::new(Grammars::fixed(Parser::builtin()))),
        records,
        _dir: dir,
    }
}

impl Fixture {
    fn search(&self, query: &str) -> Hits {
        let search = Search {
            expr: parse(query).unwrap_or_else(|err| panic!("{}", err.render(query))),
            between: Between::default(),
            limit: 10_000,
            newest_first: true,
            after: None,
            // Never met: what is missing then would look like a wrong answer.
            deadline: Instant::now() + Duration::from_secs(3_600),
        };
        let hits = self.engine.search(&search).unwrap();
        assert!(!hits.partial, "{query}: not everything was read");
        hits
    }

    fn check(&self, query: &str) {
        let expr = parse(query).unwrap();
        let found: BTreeSet<_> = self.search(query).records.iter().map(number_of).collect();
        for (n, record) in self.records.iter().enumerate() {
            let wanted = matches(&expr, record, &self.engine.language().aliases);
            let shown = || Json::Object(record.clone());
            assert_eq!(found.contains(&(n as u64)), wanted, "{query} ({expr}): found, wanted on\n{}", shown());
        }
    }
}

const WORDS: [&str; 16] = [
    "250ms", "1m30s", "alpha", "Beta", "lease.go", "7", "007", "200", "-5", "1.5", "true", "a_b", "größe", "x=y",
    "prod", "I0817",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..7).prop_map(|words| words.join(" "))
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        word().prop_map(Json::from),
        text().prop_map(Json::from),
        Just(json!("multi\nline \"quoted\" \u{e9}")),
        Just(Json::from("2026-11-22T10:00:00.5Z")),
        (0..300u64).prop_map(Json::from),
        (-9..9i64).prop_map(Json::from),
        prop::sample::select(vec![1.5, -0.25, 200.0, 1e300]).prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(Json::Null),
        text().prop_map(|t| Json::from(format!("{t} {}", "pad ".repeat(80)))),
    ]
}

const NAMES: [&str; 11] =
    ["code", "user", "msg", "level", "host", "stream", "message", "deep", "k.dot", "duration", "month"];

fn value() -> impl Strategy<Value = Json> {
    prop_oneof![
        6 => scalar(),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(Json::from),
        1 => (scalar(), scalar()).prop_map(|(a, b)| json!({"a": a, "code": b})),
    ]
}

fn object() -> impl Strategy<Value = Json> {
    prop::collection::vec((prop::sample::select(NAMES.to_vec()), value()), 0..4)
        .prop_map(|members| Json::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
}

fn message() -> impl Strategy<Value = Option<String>> {
    let klog = (prop::sample::select(vec!["I", "W", "E"]), 0..24u32, text(), 0..300u32).prop_map(
        |(level, hour, text, number)| {
            format!("{level}0817 {hour:02}:07:05.000200 {number:>7} lease.go:{number}] {text}")
        },
    );
    let structured = (word(), text())
        .prop_map(|(a, b)| format!("E0817 07:07:05.000200       1 x.go:007] \"Beta x\" code={a} user={b:?}"));
    let envoy = (word(), 0..600u32, text()).prop_map(|(path, code, agent)| {
        format!(
            "[2026-11-22T10:07:05.200Z] \"GET /{path} HTTP/1.1\" {code} - 0 200 7 5 \"10.0.0.1\" \"{agent}\" \
             \"0817abcd-0000-4000-8000-00000000beta\" \"alpha.prod\" \"10.0.0.7:8080\""
        )
    });
    let syslog = (prop::sample::select(vec!["", "<13>"]), word(), text())
        .prop_map(|(pri, program, text)| format!("{pri}Aug 17 07:07:05 alpha.prod {program}[7]: {text}"));
    let syslog_new = (word(), text())
        .prop_map(|(app, text)| format!("<13>1 2026-11-22T10:07:05.2Z alpha {app} 7 - [beta code=\"007\"] {text}"));
    let logfmt = (word(), 0..600u32, text()).prop_map(|(a, n, text)| format!("level={a} code={n} msg={text:?} flag"));
    let nginx = (word(), 0..600u32, text()).prop_map(|(path, code, agent)| {
        format!("alpha.prod - - [17/Aug/2026:07:07:05 +0000] \"GET /{path} HTTP/1.1\" 200 {code} \"-\" {agent:?}")
    });
    prop_oneof![
        1 => Just(None),
        2 => nginx.prop_map(Some),
        1 => syslog.prop_map(Some),
        1 => syslog_new.prop_map(Some),
        2 => logfmt.prop_map(Some),
        2 => text().prop_map(Some),
        3 => klog.prop_map(Some),
        2 => structured.prop_map(Some),
        3 => envoy.prop_map(Some),
        3 => object().prop_map(|o| Some(o.to_string())),
        1 => klog_wrapped().prop_map(Some),
    ]
}

fn klog_wrapped() -> impl Strategy<Value = String> {
    text().prop_map(|text| {
        format!("2026-11-22T10:00:00.200000007Z stderr F E0817 07:07:05.000200       1 x.go:7] {text}")
    })
}

pub(super) fn line_strategy() -> impl Strategy<Value = Line> {
    let streams = prop::sample::select(vec![
        json!({"host": {"name": "alpha"}, "kubernetes": {"namespace": "prod", "labels": {"a_b": "7"}}}),
        json!({"host": {"name": "Beta"}, "kubernetes": {"namespace": "staging"}, "stream": "stderr", "user": "prod"}),
        json!({"agent": {"name": "n"}, "level": "E", "code": 200}),
    ]);
    let extra = prop::option::weighted(0.3, object());
    (streams, -3..3i64, message(), prop::option::of(0..100u64), extra).prop_map(
        |(stream, hours, message, offset, extra)| Line {
            stream,
            ts: parse_rfc3339("2026-11-23T00:00:00.2Z").unwrap() + hours * 3_600_000_000_000,
            message,
            offset,
            extra,
        },
    )
}

fn leaf() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
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
        "kv",
        "kv.user",
        "log.level",
        "@timestamp",
        "time",
        "start_time",
        "log.offset",
        "log",
        "event",
        "msg_key",
        "parsed.message",
        "parsed",
        "cri.stream",
        "cri.time",
    ]);
    let bare = prop_oneof![
        word().prop_map(|w| format!("\"{w}\"")),
        (word(), word()).prop_map(|(a, b)| format!("\"{a} {b}\"")),
        prop::sample::select(vec![
            "al*",
            "*et*",
            "?0817",
            "0*",
            "*7",
            "??",
            "lea*.go",
            "00?",
            "E0817",
            "i0817",
            "07",
            "000200",
            "10",
            "2026",
            "22t10",
            "200z",
            "22",
            "GET",
            "\"GET /alpha\"",
            "\"HTTP/1.1\"",
            "\"=\"",
            "/[Aa]lpha|Beta/",
            "/go:7/",
            "/prod/",
            "gr*e",
            "line",
            "0817abcd",
            "\"10.0.0.7:8080\"",
            "stderr",
            "klog",
            "1e300",
            "25",
            "pad",
            "quoted",
            "nline",
            "*p*a*d*",
            "envoy",
        ])
        .prop_map(str::to_owned),
    ];
    let asked = prop_oneof![
        word().prop_map(|w| format!("\"{w}\"")),
        text().prop_map(|t| format!("\"{t}\"")),
        prop::sample::select(vec![
            "*",
            "a*",
            "*7*",
            "?",
            "2*",
            ">=7",
            "<200",
            "[0 TO 7]",
            "{7 TO 200}",
            "[\"alpha\" TO \"prod\"]",
            "/.*a.*/",
            "/al/",
            "/[0-9]+/",
            ">=2026-11-23",
            "<=2026-11-22",
            "2026-11-22",
            "E",
            "(E OR 200)",
            "x.go",
            "klog",
            "*alpha*Beta*",
            "1.5",
            "\"1e300\"",
            ">1.2",
            ">=1.5s",
            "[7ms TO 1m30s]",
            "multi",
            "/line/",
            "17*",
            "07:07:05.000200",
            "pad",
            "stderr",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        2 => bare,
        3 => (name.clone(), asked).prop_map(|(name, value)| format!("{name}:{value}")),
        1 => name.prop_map(|name| format!("_exists_:{name}")),
    ]
}

pub(super) fn query() -> impl Strategy<Value = String> {
    leaf().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.prop_map(|inner| format!("NOT {inner}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("LOGHOUND_QUERY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
    ))]

    /// Whatever the records and the query: the plan finds what the definition accepts.
    #[test]
    fn the_plan_means_what_the_language_means(
        lines in prop::collection::vec(line_strategy(), 1..40),
        queries in prop::collection::vec(query(), 60),
        cut in 5..40usize,
    ) {
        let store = fixture(&lines, cut);
        let rebuilt = store.search("");
        let mut wanted = store.records.clone();
        let id = number_of;
        wanted.sort_by_key(id);
        let mut found = rebuilt.records;
        found.sort_by_key(id);
        prop_assert_eq!(found, wanted);
        for query in queries {
            store.check(&query);
        }
    }
}
