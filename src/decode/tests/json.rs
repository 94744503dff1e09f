//! The scanner against `serde_json`: what is accepted, what is refused, what strings say.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::support::{decode, decoder, filebeat, frames, one};
use crate::decode::marks::Marks;
use crate::decode::scan::{Decoded, Scan};
use crate::decode::{BadReason, Decoder};

fn accepts(text: &str) -> bool {
    let mut marks = Marks::default();
    let mut scan = Scan::new(text, &mut marks);
    scan.value(0).and_then(|()| scan.finish()).is_ok()
}

fn agrees(text: &str) {
    let lone = serde_json::from_str::<Json>(text).is_err_and(|e| {
        let text = e.to_string();
        text.contains("surrogate") || text.contains("unexpected end of hex escape")
    });
    if !lone {
        assert_eq!(accepts(text), serde_json::from_str::<Json>(text).is_ok(), "{text:?}");
    }
}

#[test]
fn it_accepts_what_serde_json_accepts() {
    for text in [
        "",
        " ",
        "{}",
        "[]",
        "{ }",
        "[ ]",
        "null",
        "true",
        "false",
        "nul",
        "truee",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "1e999",
        "-1e999",
        "1e-999",
        "0e999",
        "1.7976931348623157e308",
        "123456789012345678901234567890",
        "1 2",
        "1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} x",
        " {\"a\" : [ 1 , 2 ] } \n\t\r",
        "\"\"",
        "\"a",
        "\"\\\"",
        "\"\\\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"a\nb\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"\u{0}\"",
        "\u{0}",
        "{\u{0}}",
        "[1\u{0}]",
        "\u{feff}{}",
        "\u{a0}1",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "'a'",
        "NaN",
        "/**/1",
        "\"12345678\\",
        "\"1234567\u{1}8\"",
        "{\"a\":1,\"a\":2}",
        "{1:2}",
        "[\"a\",{\"b\":[{}]}]",
        "\"\\é\"",
        "\"\\u+123\"",
    ] {
        agrees(text);
    }
    let long = format!("1{}", "0".repeat(400));
    assert!(!accepts(&long));
    agrees(&long);
    agrees(&format!("1{}", "0".repeat(305)));
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(accepts(&nested(64)) && !accepts(&nested(65)) && !accepts(&nested(100_000)));
    let nested = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    assert!(accepts(&nested(64)) && !accepts(&nested(65)));
}

#[test]
fn every_truncation_is_refused() {
    let body = filebeat().to_string();
    for end in 0..body.len() {
        decode(&mut decoder(), &frames([&body.as_bytes()[..end]]), |events, bad| {
            assert_eq!((events.len(), bad.len()), (0, 1), "cut at {end}");
            assert_eq!(bad[0].bytes, &body.as_bytes()[..end]);
        });
    }
}

#[test]
fn a_bad_event_stops_nothing() {
    let good = filebeat().to_string();
    let bodies: [&[u8]; 6] =
        [good.as_bytes(), b"{\"a\":", b"[1]", b"{\"message\":\"\xff\"}", b"{} {}", good.as_bytes()];
    decode(&mut decoder(), &frames(bodies), |events, bad| {
        assert_eq!(events.len(), 2);
        assert_eq!(bad.iter().map(|b| b.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(matches!(bad[0].reason, BadReason::NotJson(_)));
        assert_eq!(bad[1].reason, BadReason::NotAnObject);
        assert_eq!(bad[2].reason, BadReason::NotUtf8 { valid_up_to: 12 });
        assert_eq!(bad[3].reason.to_string(), "not JSON: trailing bytes after the value at byte 3");
    });
}

#[test]
fn lone_surrogates_become_replacement_characters() {
    for (escaped, expected) in [
        ("\\ud800", "\u{fffd}"),
        ("\\udc00x", "\u{fffd}x"),
        ("\\ud800\\ud83d\\ude00", "\u{fffd}😀"),
        ("\\ud800\\n", "\u{fffd}\n"),
        ("\\ud800\\u0041", "\u{fffd}A"),
        ("\\\\ud800", "\\ud800"),
    ] {
        let body = format!("{{\"message\":\"{escaped}\",\"x\":\"{escaped}\",\"host\":{{\"name\":\"{escaped}\"}}}}");
        one(&mut decoder(), &body, |event| {
            assert_eq!(event.message, Some(expected));
            assert_eq!(extra(event), json!({ "x": expected }));
            assert_eq!(event.stream.get("host.name"), Some(&json!(expected)));
        });
    }
}

fn extra(event: &crate::record::Event) -> Json {
    event.extra.map_or(json!({}), |text| serde_json::from_str(text).unwrap())
}

/// The event put together again, without what is dropped on purpose.
fn whole(decoder: &mut Decoder, body: &str) -> Json {
    one(decoder, body, |event| {
        let mut all = event.stream.fields.clone();
        if let Json::Object(more) = extra(event) {
            for (key, value) in more {
                match (all.get_mut(&key), value) {
                    (Some(Json::Object(there)), Json::Object(value)) => there.extend(value),
                    (_, value) => drop(all.insert(key, value)),
                }
            }
        }
        if let Some(message) = event.message {
            all.insert("message".into(), json!(message));
        }
        if let Some(offset) = event.offset {
            all.entry("log").or_insert_with(|| json!({}))["offset"] = json!(offset);
        }
        Json::Object(all)
    })
}

fn any_json() -> impl Strategy<Value = Json> {
    let text = prop_oneof![".{0,12}", "[a-z]{0,40}", Just("\"\\/\u{8}\u{c}\n\r\t\u{1}é😀".to_owned())];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e9..1e9f64).prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("[a-z_.\"\\\\é]{0,8}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "message",
            "log",
            "agent",
            "host",
            "tags",
            "kubernetes",
            "stream",
            "source",
            "offset",
            "level"
        ])
        .prop_map(String::from),
        "[a-z]{1,4}",
    ]
}

proptest! {
    #[test]
    fn any_value_is_accepted_in_any_spelling(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        prop_assert!(accepts(&text));
    }

    #[test]
    fn damaged_text_is_judged_alike(value in any_json(), at in any::<prop::sample::Index>(), with in "[\"\\\\{}\\[\\]:,0-9eE.+\\-tfnu \n\u{1}]{0,3}", cut in 0usize..3) {
        let text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len() + 1);
        let end = (at + cut).min(text.len());
        agrees(&text[..at].iter().chain(&with.chars().collect::<Vec<_>>()).chain(&text[end..]).collect::<String>());
    }

    #[test]
    fn strings_say_what_serde_json_reads(text in "(\\\\u[0-9a-f]{4}|\\\\[nrt\"\\\\/bf]|[^\"\\\\]){0,30}") {
        let quoted = format!("\"{text}\"");
        let mut scratch = String::new();
        let mut marks = Marks::default();
        let mut scan = Scan::new(&quoted, &mut marks);
        let ours = scan.string_decoded(&mut scratch).map(|decoded| match decoded {
            Decoded::Borrowed(text) | Decoded::Scratch(text) => text.to_owned(),
        });
        if let Ok(theirs) = serde_json::from_str::<String>(&quoted) {
            prop_assert_eq!(ours.ok(), Some(theirs));
        }
    }

    // Last one wins among equal keys, whatever the spelling of key and value.
    #[test]
    fn an_event_holds_what_serde_json_reads(
        members in prop::collection::vec((any_key(), any_json(), any::<bool>()), 0..8), pretty in any::<bool>(),
    ) {
        let blank = if pretty { " " } else { "" };
        let members: Vec<String> = members.iter().map(|(key, value, escape)| {
            let key = if *escape { format!("\\u{:04x}{}", key.as_bytes()[0], &key[1..]) } else { key.clone() };
            format!("\"{key}\"{blank}:{blank}{value}{blank}")
        }).collect();
        let body = format!("{{{}}}", members.join(","));
        let mut expected: Json = serde_json::from_str(&body).unwrap();
        // What the decoder leaves out or moves.
        let event = expected.as_object_mut().unwrap();
        if let Some(Json::Object(agent)) = event.get_mut("agent") {
            agent.remove("ephemeral_id");
            if agent.is_empty() { event.remove("agent"); }
        }
        if event.get("log").is_some_and(|log| log.as_object().is_some_and(|log| log.is_empty())) { event.remove("log"); }
        let mut decoder = decoder();
        for _ in 0..2 {
            prop_assert_eq!(whole(&mut decoder, &body), expected.clone(), "{}", body);
        }
    }
}
