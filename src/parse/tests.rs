use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::record::StreamKey;

const KLOG: &str = "I1124 00:58:17.986343       1 lease.go:223] \"m\" a=\"b\"";
const ENVOY: &str = "[2024-11-08T06:56:49.132Z] \"- - -\" 0 - 1 2 3 - \"-\" \"-\" \"-\" \"-\" \"-\"";
const ENVOY_JSON: &str =
    r#"{"start_time":"2024-11-08T06:56:49.132Z","response_code":0,"bytes_received":1,"bytes_sent":2,"duration":"3"}"#;
const CRI: &str = "2016-10-06T00:17:09.669794202Z stdout F ";

fn stream() -> Stream {
    Stream {
        key: StreamKey(1),
        fields: Map::new(),
        canonical: "{}".into(),
        sender: "s".into(),
        identity_seed: 0,
        memory: AtomicU64::new(0),
    }
}

fn docker(text: &str) -> String {
    json!({"log": text, "stream": "stderr", "time": "2016-10-06T00:17:09Z"}).to_string()
}

fn auto(line: &str) -> (Option<&'static str>, Json) {
    let mut fields = Fields::new();
    let grammar = Parser::builtin().parse_auto(line, &mut fields).map(|grammar| grammar.name);
    (grammar, fields.to_json().into())
}

#[test]
fn the_first_bytes_choose() {
    for (line, grammar) in [
        (KLOG, Some("klog")),
        (ENVOY, Some("envoy")),
        (ENVOY_JSON, Some("envoy")),
        (r#"{"a":1}"#, Some("json")),
        (r#" {"a":1}"#, Some("json")),
        ("2016-10-06T00:17:09Z stdout F text", Some("cri")),
        (r#"{"log":"text\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}"#, Some("docker")),
        (r#"{"log":"text\n","stream":"stdout"}"#, Some("json")),
        ("Iceland", None),
        ("goroutine 1 [running]:", Some("go-panic")),
        ("goroutine 1 is blocked", None),
        ("-", None),
        ("\0", None),
        ("", None),
    ] {
        assert_eq!(auto(line).0, grammar, "{line:?}");
    }
}

#[test]
fn wrappers_come_off_first() {
    for (content, grammar) in [(KLOG, "klog"), (ENVOY, "envoy"), (ENVOY_JSON, "envoy"), (r#"{"a":"b"}"#, "json")] {
        let bare = auto(content).1;
        let (found, mut fields) = auto(&format!("{CRI}{content}"));
        let outer = fields.as_object_mut().unwrap().remove("cri");
        assert_eq!((found, &fields), (Some(grammar), &bare));
        assert_eq!(outer, Some(json!({"time": "2016-10-06T00:17:09.669794202Z", "stream": "stdout", "logtag": "F"})));

        let (found, mut fields) = auto(&docker(&format!("{content}\n")));
        let outer = fields.as_object_mut().unwrap().remove("cri");
        assert_eq!((found, &fields), (Some(grammar), &bare));
        assert_eq!(outer, Some(json!({"time": "2016-10-06T00:17:09Z", "stream": "stderr", "logtag": "F"})));
    }
    let wrapped = format!("{CRI}{KLOG}");
    let mut fields = Fields::new();
    assert!(Parser::builtin().parse_as("cri", &wrapped, &mut fields));
    assert_eq!(fields.get("message"), Some(&crate::record::Value::Str(KLOG.into())));
}

#[test]
fn a_stream_is_remembered_and_forgotten() {
    let (parser, stream) = (Parser::builtin(), stream());
    let parse = |line: &str| parser.parse(&stream, line, &mut Fields::new()).map(|grammar| grammar.name);
    assert_eq!(parse("goroutine 1"), None);
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), None);
    assert_eq!(parse(KLOG), Some("klog"));
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), Some("klog"));
    for _ in 0..100 {
        assert_eq!(parse("goroutine 1"), None);
    }
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), Some("klog"), "a stack trace says nothing");
    for _ in 0..7 {
        assert_eq!(parse(ENVOY), Some("envoy"));
    }
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), Some("klog"));
    assert_eq!(parse(KLOG), Some("klog"));
    for _ in 0..7 {
        assert_eq!(parse(ENVOY), Some("envoy"), "the count of misses began anew");
    }
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), Some("klog"));
    assert_eq!(parse(KLOG), Some("klog"));
    for _ in 0..8 {
        assert_eq!(parse(ENVOY), Some("envoy"));
    }
    assert_eq!(parser.remembered(&stream).map(|grammar| grammar.name), Some("envoy"));
}

#[test]
fn grammars_describe_what_they_give() {
    let parser = Parser::builtin();
    assert_eq!(parser.grammar("klog").unwrap().resolve("log.level"), Some("level"));
    assert_eq!(parser.grammar("envoy").unwrap().resolve("http.response.status_code"), Some("response_code"));
    for grammar in parser.grammars() {
        for (alias, field) in &grammar.aliases {
            let known = |name: &str| grammar.fields.iter().any(|spec| spec.name == name);
            let open = grammar.fields.is_empty();
            assert!(open || known(field) || (field.starts_with("kv.") && known("kv.*")), "{alias} → {field}");
            assert!(!known(alias), "{alias} is a field");
        }
        parser.check_name(grammar.name).unwrap();
    }
    for line in [KLOG, ENVOY, &format!("{CRI}{KLOG}")] {
        let mut fields = Fields::new();
        let grammar = parser.parse_auto(line, &mut fields).unwrap();
        assert!(grammar.covers(line), "{line}");
        for field in fields.iter().filter(|f| !f.name.starts_with("kv") && !f.name.starts_with("cri")) {
            let spec = grammar.fields.iter().find(|spec| field.is_named(spec.name)).unwrap();
            assert_eq!((spec.role, spec.number), (field.role, !matches!(field.value, crate::record::Value::Str(_))));
        }
    }
    assert!(!parser.grammar("envoy").unwrap().covers(ENVOY_JSON));
    assert!(!parser.grammar("klog").unwrap().covers(&docker(KLOG)));
    let error = parser.check_name("klgo").unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown grammar \"klgo\": known are auto, klog, envoy, json, cri, docker, syslog3164, syslog5424, logfmt, oslo, nginx, apache, klog-book, klog-book-all, istio, go-panic, generic"
    );
}

/// Whatever a line is: `parse` under any memory gives what `auto` gives, and `parse_as` gives the same again.
fn agrees(line: &str) {
    let parser = Parser::builtin();
    let mut fields = Fields::new();
    let found = parser.parse_auto(line, &mut fields).map(|grammar| grammar.name);
    if found.is_none() {
        assert!(fields.is_empty(), "{line:?}");
    }
    for memory in [None, Some(KLOG), Some(ENVOY), Some(r#"{"a":1}"#), Some("x text"), Some("a=b c=d")] {
        let stream = stream();
        memory.map(|line| parser.parse(&stream, line, &mut Fields::new()).map(|grammar| grammar.name));
        let mut again = Fields::new();
        let grammar = parser.parse(&stream, line, &mut again).map(|grammar| grammar.name);
        assert_eq!((grammar, &again), (found, &fields), "{line:?}");
    }
    for grammar in parser.grammars() {
        let mut again = Fields::new();
        again.str("before", crate::record::Role::Keyword, "kept");
        let fits = parser.parse_as(grammar.name, line, &mut again);
        assert!(fits || again.len() == 1, "{} left fields behind: {line:?}", grammar.name);
        if found == Some(grammar.name) {
            assert!(fits);
            assert!(again.iter().skip(1).eq(fields.iter()), "{line:?}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_lines(line in ".{0,80}") {
        agrees(&line);
    }

    #[test]
    fn broken_lines(which in 0..5usize, at in any::<prop::sample::Index>(), cut in 0..3usize, new in "[\\PC\0-]{0,3}", wrap in 0..3u8) {
        let base = [KLOG, ENVOY, ENVOY_JSON, r#"{"a":{"b":[1,"x"]}}"#, "2016-10-06T00:17:09Z stdout F text"][which];
        let mut chars: Vec<char> = base.chars().collect();
        let at = at.index(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, new.chars());
        let line: String = chars.into_iter().collect();
        agrees(&match wrap {
            0 => line,
            1 => format!("{CRI}{line}"),
            _ => docker(&format!("{line}\n")),
        });
    }
}
