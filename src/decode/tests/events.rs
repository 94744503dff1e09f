//! What comes out of an event, and the streams it is recognised by.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::support::{RECEIVED_AT, decode, decoder, filebeat, frames, one, pairs, write_shuffled};
use crate::decode::{Decoder, StreamLimits, Streams};
use crate::record::Event;

#[test]
fn a_filebeat_event() {
    one(&mut decoder(), &filebeat().to_string(), |event| {
        assert_eq!(event.timestamp, 1_772_366_400_123_000_000);
        assert_eq!(event.offset, Some(48213));
        assert_eq!(event.message, filebeat()["message"].as_str());
        assert_eq!((event.positioned, event.extra), (true, None));
        assert_eq!(event.stream.sender, "n1");
        let mut fields = filebeat();
        for key in ["@timestamp", "@metadata", "message"] {
            fields.as_object_mut().unwrap().remove(key);
        }
        fields["log"].as_object_mut().unwrap().remove("offset");
        fields["agent"].as_object_mut().unwrap().remove("ephemeral_id");
        assert_eq!(Json::Object(event.stream.fields.clone()), fields);
        assert_eq!(event.stream.canonical, fields.to_string());
        assert!(event.stream.canonical.starts_with("{\"agent\":"), "keys are sorted");
    });
}

#[test]
fn a_line_without_escapes_is_borrowed() {
    let body = frames([&br#"{"message":"plain text"}"#[..]]);
    decode(&mut decoder(), &body, |events, _| {
        assert!(body.as_ptr_range().contains(&events[0].message.unwrap().as_ptr()));
    });
}

#[test]
fn what_belongs_to_nobody_is_extra() {
    let check =
        |body: &str, extra: Option<&str>| one(&mut decoder(), body, |event| assert_eq!(event.extra, extra, "{body}"));
    check(r#"{"message":"x"}"#, None);
    check(r#"{"level":"E","message":"x","n":[1,{"a":2}]}"#, Some(r#"{"level":"E","n":[1,{"a":2}]}"#));
    check(r#"{"log":{"flags":["multiline"],"offset":1},"a":1}"#, Some(r#"{"a":1,"log":{"flags":["multiline"]}}"#));
    check(r#"{ "a" : { "b" : "c \" d" , "e" : [ 1 , 2 ] } }"#, Some(r#"{"a":{"b":"c \" d","e":[1,2]}}"#));
    check(r#"{"message":{"a":1}}"#, Some(r#"{"message":{"a":1}}"#));
    check(r#"{"log":"text"}"#, Some(r#"{"log":"text"}"#));
    check(r#"{"log":{"offset":-1}}"#, Some(r#"{"log":{"offset":-1}}"#));
    check(r#"{"source":"mine","offset":7}"#, Some(r#"{"source":"mine","offset":7}"#));
    check(r#"{"@timestamp":"yesterday"}"#, Some(r#"{"timestamp_invalid":"yesterday"}"#));
    check(r#"{"@metadata":{"pipeline":"p"},"agent":{"ephemeral_id":"e"}}"#, None);
    one(&mut decoder(), r#"{"@timestamp":"yesterday"}"#, |event| assert_eq!(event.timestamp, RECEIVED_AT));
}

#[test]
fn filebeat_6_has_other_names() {
    let body = json!({"@timestamp": "2019-01-01T00:00:00.000Z", "message": "m", "source": "/var/log/a.log", "offset": 17,
        "beat": {"name": "n1", "hostname": "n1", "version": "6.2.4"}, "prospector": {"type": "log"}});
    one(&mut decoder(), &body.to_string(), |event| {
        assert_eq!((event.offset, event.extra, event.positioned), (Some(17), None, true));
        assert_eq!(event.stream.sender, "n1");
        let expected = json!({"agent": {"name": "n1", "hostname": "n1", "version": "6.2.4"},
            "input": {"type": "log"}, "log": {"file": {"path": "/var/log/a.log"}}});
        assert_eq!(Json::Object(event.stream.fields.clone()), expected);
    });
}

#[test]
fn the_path_names_the_pod_until_filebeat_does() {
    let mut event = filebeat();
    event.as_object_mut().unwrap().remove("kubernetes");
    one(&mut decoder(), &event.to_string(), |event| {
        assert_eq!(event.stream.get("kubernetes.pod.name"), Some(&json!("kube-apiserver-n1")));
        assert_eq!(event.stream.get("kubernetes.namespace"), Some(&json!("kube-system")));
        assert_eq!(event.stream.get("kubernetes.container.name"), Some(&json!("kube-apiserver")));
    });
}

#[test]
fn senders_have_a_name_or_an_address() {
    for (body, sender) in [
        (r#"{"agent":{"name":"a","id":"i"},"host":{"name":"h"}}"#, "a"),
        (r#"{"agent":{"id":"i"},"host":{"name":"h"}}"#, "i"),
        (r#"{"host":{"name":"h"}}"#, "h"),
        (r#"{"agent":{"name":""}}"#, "10.0.0.5"),
        ("{}", "10.0.0.5"),
    ] {
        one(&mut decoder(), body, |event| assert_eq!(event.stream.sender, sender, "{body}"));
    }
}

#[test]
fn other_spellings_are_the_same_stream() {
    let mut decoder = decoder();
    let mut stream = |body: &str| one(&mut decoder, body, |event| Arc::clone(&event.stream));
    let first = stream(r#"{"host":{"name":"n/1"},"agent":{"name":"a","ephemeral_id":"1"}}"#);
    for body in [
        r#"{"host":{"name":"n/1"},"agent":{"name":"a","ephemeral_id":"1"}}"#,
        r#"{"agent":{"ephemeral_id":"2","name":"a"},"host":{"name":"n/1"}}"#,
        r#"{"host":{"name":"n\/1"},"agent":{"name":"\u0061"}}"#,
        r#"{ "host" : {"name": "n/1"}, "agent": {"n\u0061me":"a"} }"#,
        r#"{"h\u006fst":{"name":"n/1"},"agent":{"name":"a"}}"#,
        r#"{"host":{"name":"x"},"host":{"name":"n/1"},"agent":{"name":"a"}}"#,
        r#"{"host":{"name":"x","name":"n/1"},"agent":{"name":"a"}}"#,
    ] {
        assert!(Arc::ptr_eq(&first, &stream(body)), "{body}");
    }
    // The same members twice, the other way round.
    let other = stream(r#"{"host":{"name":"n/1","name":"x"},"agent":{"name":"a"}}"#);
    assert_eq!(other.get("host.name"), Some(&json!("x")));
    assert_ne!(first.key, other.key);
    for body in [
        r#"{"host":{"name":"n/1"},"agent":{"name":"a"},"tags":[]}"#,
        r#"{"host":{"name":"n/1"},"agent":{"name":"a","x":{}}}"#,
        r#"{"host":{"name":"a"},"agent":{"name":"n/1"}}"#,
        r#"{"host":{"name":"n/1"},"input":{"name":"a"}}"#,
    ] {
        assert_ne!(first.key, stream(body).key, "{body}");
    }
}

proptest! {
    #[test]
    fn any_order_of_keys_is_the_same_event(order in any::<u64>(), extra in any::<bool>(), offset in any::<bool>()) {
        let mut event = filebeat();
        if extra { event["parsed"] = json!({"a": 1, "b": {"c": [1, 2], "d": "e"}}); }
        if !offset { event.as_object_mut().unwrap().remove("log"); }
        let mut shuffled = String::new();
        write_shuffled(&event, &mut order.clone(), &mut shuffled);
        let mut decoder = decoder();
        let take = |event: &Event| (Arc::clone(&event.stream), event.id(), event.positioned, event.timestamp);
        let a = one(&mut decoder, &event.to_string(), take);
        let b = one(&mut decoder, &shuffled, take);
        prop_assert!(Arc::ptr_eq(&a.0, &b.0));
        prop_assert_eq!((a.1, a.2, a.3), (b.1, b.2, b.3));
        prop_assert_eq!(a.2, offset);
    }
}

#[test]
fn streams_are_bounded() {
    let limits = StreamLimits { streams_max: 100, ..StreamLimits::default() };
    let streams = Arc::new(Streams::new(limits));
    let mut decoder = Decoder::new(Arc::clone(&streams));
    let mut send = |i: u32| one(&mut decoder, &format!(r#"{{"host":{{"name":"n{i}"}}}}"#), |event| event.stream.key);
    let keys: Vec<_> = (0..2_000)
        .map(|i| {
            send(0);
            send(i)
        })
        .collect();
    let counts = streams.counts();
    assert!(counts.streams <= 100 && counts.evicted > 1_800, "{counts:?}");
    assert_eq!(counts.decoded, 2_000, "the one in constant use was never forgotten");
    assert_eq!(send(1), keys[1]);
    let limits = StreamLimits { bytes_max: 100_000, ..StreamLimits::default() };
    let streams = Arc::new(Streams::new(limits));
    let mut decoder = Decoder::new(Arc::clone(&streams));
    for i in 0..2_000 {
        one(&mut decoder, &format!(r#"{{"host":{{"name":"n{i}"}}}}"#), |_| ());
    }
    assert!(streams.counts().bytes <= 100_000);
}

#[test]
fn v1_events_are_pairs() {
    let frame =
        pairs(&[(b"line", b"hello"), (b"host", b"n1"), (b"file", b"/var/log/a"), (b"offset", b"12"), (b"type", b"t")]);
    decode(&mut decoder(), &frame, |events, bad| {
        let event = &events[0];
        assert_eq!((event.message, event.offset, event.extra), (Some("hello"), Some(12), Some(r#"{"type":"t"}"#)));
        assert_eq!((event.timestamp, event.positioned, bad.len()), (RECEIVED_AT, true, 0));
        assert_eq!(
            Json::Object(event.stream.fields.clone()),
            json!({"host": {"name": "n1"}, "log": {"file": {"path": "/var/log/a"}}})
        );
    });
    let frame = pairs(&[(b"line", b"a\xffb"), (b"offset", b"twelve")]);
    decode(&mut decoder(), &frame, |events, _| {
        assert_eq!(events[0].message, Some("a\u{fffd}b"));
        assert_eq!(events[0].extra, Some(r#"{"line_b64":"Yf9i","offset":"twelve"}"#));
    });
}
