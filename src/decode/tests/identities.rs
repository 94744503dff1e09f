//! Identity: copies of an event have one, different lines have different ones.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::support::{decode, decoder, filebeat, one, pairs};

fn id(event: &Json) -> (u64, bool) {
    one(&mut decoder(), &event.to_string(), |event| (event.id(), event.positioned))
}

/// Sets (or with null removes) the value at a JSON pointer, making the objects on the way.
fn with(event: &Json, changes: &[(&str, Json)]) -> Json {
    let mut event = event.clone();
    for (path, value) in changes {
        let mut at = &mut event;
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            if segments.peek().is_none() {
                match value {
                    Json::Null => drop(at.as_object_mut().unwrap().remove(segment)),
                    value => at[segment] = value.clone(),
                }
                break;
            }
            at = at.as_object_mut().unwrap().entry(segment).or_insert(json!({}));
        }
    }
    event
}

fn by_fingerprint() -> Json {
    with(&filebeat(), &[("log/file/fingerprint", json!("f-1"))])
}

fn by_path() -> Json {
    with(&filebeat(), &[("log/file/inode", Json::Null), ("log/file/device_id", Json::Null)])
}

fn by_content() -> Json {
    with(&filebeat(), &[("log", Json::Null)])
}

fn by_id() -> Json {
    with(&filebeat(), &[("@metadata/_id", json!("doc-1"))])
}

#[test]
fn copies_after_a_restart_are_equal() {
    for (rule, event) in [
        ("id", by_id()),
        ("fingerprint", by_fingerprint()),
        ("inode", filebeat()),
        ("path", by_path()),
        ("content", by_content()),
    ] {
        for (what, change) in [
            ("ephemeral id", vec![("agent/ephemeral_id", json!("e-2"))]),
            ("version", vec![("agent/version", json!("9.6.0")), ("@metadata/version", json!("9.6.0"))]),
            ("labels", vec![("kubernetes/labels/component", json!("other"))]),
            ("more labels", vec![("kubernetes/namespace_labels/a", json!("b"))]),
        ] {
            assert_eq!(id(&event), id(&with(&event, &change)), "{rule}: {what}");
        }
    }
    // The pod was unknown when the first copy was sent.
    for event in [by_fingerprint(), filebeat(), by_path()] {
        assert_eq!(id(&event), id(&with(&event, &[("kubernetes", Json::Null), ("container", Json::Null)])));
    }
    // A read time differs between copies; where there is a fingerprint it is not needed.
    let later = [("@timestamp", json!("2026-03-01T12:00:09.000Z"))];
    assert_eq!(id(&by_fingerprint()), id(&with(&by_fingerprint(), &later)));
}

#[test]
fn different_lines_never_collapse() {
    let path2 = "/var/log/containers/kube-apiserver-n1_kube-system_kube-apiserver-0af4.log";
    type Changes = Vec<(&'static str, Json)>;
    let cases: &[(&str, Json, Changes)] = &[
        ("another id", by_id(), vec![("@metadata/_id", json!("doc-2"))]),
        ("another line under the same id", by_id(), vec![("message", json!("x"))]),
        ("identical lines in one ms, by fingerprint", by_fingerprint(), vec![("log/offset", json!(48300))]),
        ("identical lines in one ms, by inode", filebeat(), vec![("log/offset", json!(48300))]),
        ("identical lines in one ms, by path", by_path(), vec![("log/offset", json!(48300))]),
        ("rotated, offset again, by fingerprint", by_fingerprint(), vec![("log/file/fingerprint", json!("f-2"))]),
        ("rotated, offset again, by inode", filebeat(), vec![("log/file/inode", json!("1313"))]),
        ("rotated, offset again, by path", by_path(), vec![("@timestamp", json!("2026-03-01T12:00:00.124Z"))]),
        ("copytruncate, by fingerprint", by_fingerprint(), vec![("message", json!("x"))]),
        ("copytruncate, by inode", filebeat(), vec![("@timestamp", json!("2026-03-01T12:00:00.124Z"))]),
        ("copytruncate within one ms", filebeat(), vec![("message", json!("x"))]),
        ("inode reused by another container", filebeat(), vec![("log/file/path", json!(path2))]),
        ("another node", filebeat(), vec![("agent/name", json!("n2"))]),
        ("another device", filebeat(), vec![("log/file/device_id", json!("1"))]),
        ("another file", by_path(), vec![("log/file/path", json!(path2))]),
        ("no position, another line", by_content(), vec![("message", json!("x"))]),
        ("no position, another time", by_content(), vec![("@timestamp", json!("2026-03-01T12:00:00.124Z"))]),
        ("no position, another field", by_content(), vec![("parsed/a", json!(1))]),
        ("no position, another pod", by_content(), vec![("container/id", json!("0af4"))]),
        ("no line and an empty line", with(&filebeat(), &[("message", Json::Null)]), vec![("message", json!(""))]),
        ("parsed by the sender", with(&filebeat(), &[("message", Json::Null)]), vec![("parsed", json!("x"))]),
    ];
    for (what, event, change) in cases {
        assert_ne!(id(event).0, id(&with(event, change)).0, "{what}");
    }
}

#[test]
fn only_content_without_position_is_unsure() {
    for (event, positioned) in [
        (by_id(), true),
        (by_fingerprint(), true),
        (filebeat(), true),
        (by_path(), true),
        (by_content(), false),
        (with(&filebeat(), &[("log/offset", Json::Null)]), false),
        (with(&by_content(), &[("@metadata/_id", json!("x"))]), true),
        (json!({}), false),
    ] {
        assert_eq!(id(&event).1, positioned, "{event}");
    }
}

/// Identities are stored in shards: a new version must make the same ones.
#[test]
fn identities_do_not_change_between_versions() {
    let found = [by_id(), by_fingerprint(), filebeat(), by_path(), by_content()].map(|event| id(&event).0);
    assert_eq!(found, IDENTITIES);
}

const IDENTITIES: [u64; 5] = [
    5_844_246_264_739_997_495,
    11_271_903_628_218_263_999,
    4_554_890_297_379_949_363,
    14_990_495_589_534_626_327,
    14_805_426_645_646_728_769,
];

#[test]
fn v1_events_have_a_position_too() {
    let id = |offset: &[u8], line: &[u8]| {
        let frame = pairs(&[(b"line", line), (b"host", b"n1"), (b"file", b"/a"), (b"offset", offset)]);
        decode(&mut decoder(), &frame, |events, _| events[0].id())
    };
    assert_eq!(id(b"1", b"x"), id(b"1", b"x"));
    assert_ne!(id(b"1", b"x"), id(b"2", b"x"));
    assert_ne!(id(b"1", b"x"), id(b"1", b"y"));
}

proptest! {
    // A file's history: lines, rotations and truncations. No two lines share an identity.
    #[test]
    fn a_files_history_has_no_twins(
        steps in prop::collection::vec((0u8..20, 0u64..3, prop::sample::select(vec!["a", "b", ""])), 1..80), rule in 0u8..3,
    ) {
        let (mut inode, mut offset, mut millis) = (1u64, 0u64, 0u64);
        let mut seen = std::collections::HashSet::new();
        let mut decoder = decoder();
        for (what, later, line) in steps {
            millis += later;
            // A file that is new or begins anew takes at least a millisecond to get there.
            match what {
                0 => { inode += 1; offset = 0; millis += 1; }
                1 => { offset = 0; millis += 1; if rule == 0 { inode += 1; } }
                _ => {}
            }
            let base = match rule { 0 => by_fingerprint(), 1 => filebeat(), _ => by_path() };
            let mut changes = vec![
                ("log/offset", json!(offset)), ("message", json!(line)),
                ("@timestamp", json!(format!("2026-03-01T12:00:00.{millis:03}Z"))),
            ];
            match rule {
                0 => changes.push(("log/file/fingerprint", json!(format!("f{inode}")))),
                1 => changes.push(("log/file/inode", json!(inode.to_string()))),
                _ => {}
            }
            let id = one(&mut decoder, &with(&base, &changes).to_string(), |event| event.id());
            prop_assert!(id != 0 && seen.insert(id));
            offset += line.len() as u64 + 1;
        }
    }
}
