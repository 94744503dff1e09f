//! Repeats: what is sent again adds nothing, what is new always counts.

use serde_json::{Value as Json, json};

use super::support::{RECEIVED_AT, decode, decoder, filebeat, frames};
use crate::decode::{Decoder, Dedupe, DedupeLimits};
use crate::record::Event;
use crate::record::time::NANOS_PER_SECOND;

fn event(sender: &str, offset: Option<u64>, message: &str) -> Json {
    let mut event = filebeat();
    event["agent"]["name"] = json!(sender);
    event["message"] = json!(message);
    match offset {
        Some(offset) => event["log"]["offset"] = json!(offset),
        None => drop(event.as_object_mut().unwrap().remove("log")),
    }
    event
}

/// How many of the events are new.
fn fresh(dedupe: &Dedupe, decoder: &mut Decoder, events: &[Json], at: i64) -> Vec<bool> {
    let bodies: Vec<String> = events.iter().map(Json::to_string).collect();
    decode(decoder, &frames(bodies.iter().map(|b| b.as_bytes())), |events, _| {
        let mut repeats = vec![true; 3];
        dedupe.check(events, at, &mut repeats);
        repeats.iter().map(|repeat| !repeat).collect()
    })
}

#[test]
fn a_window_sent_again_adds_nothing() {
    let (dedupe, mut decoder) = (Dedupe::new(DedupeLimits::default()), decoder());
    let window: Vec<Json> = (0..500).map(|i| event("n1", Some(i * 10), "x")).collect();
    assert!(fresh(&dedupe, &mut decoder, &window, RECEIVED_AT).iter().all(|&new| new));
    assert!(!fresh(&dedupe, &mut decoder, &window, RECEIVED_AT).contains(&true));
    // Another cut of the same queue: the second half again and more.
    let next: Vec<Json> = (250..750).map(|i| event("n1", Some(i * 10), "x")).collect();
    let found = fresh(&dedupe, &mut decoder, &next, RECEIVED_AT);
    assert!((0..500).all(|i| found[i] == (i >= 250)));
    assert!(fresh(&dedupe, &mut decoder, &[], RECEIVED_AT).is_empty());
}

#[test]
fn senders_do_not_mix() {
    let (dedupe, mut decoder) = (Dedupe::new(DedupeLimits::default()), decoder());
    let mixed: Vec<Json> = (0..30).map(|i| event(["a", "b", "c"][i % 3], Some(i as u64 / 6), "x")).collect();
    // Each (sender, offset) comes twice in the batch.
    let found = fresh(&dedupe, &mut decoder, &mixed, RECEIVED_AT);
    assert_eq!(found, (0..30).map(|i| i % 6 < 3).collect::<Vec<_>>());
    assert_eq!(dedupe.counts().senders, 3);
}

#[test]
fn without_a_position_only_for_ten_minutes() {
    let (dedupe, mut decoder) = (Dedupe::new(DedupeLimits::default()), decoder());
    let minute = 60 * NANOS_PER_SECOND;
    let mut check = |event: Json, minutes: i64, new: bool| {
        let found = fresh(&dedupe, &mut decoder, &[event], RECEIVED_AT + minutes * minute);
        assert_eq!(found, [new], "after {minutes} min");
    };
    check(event("n1", None, "x"), 0, true);
    check(event("n1", None, "x"), 10, false);
    check(event("n1", None, "x"), -5, false);
    check(event("n1", None, "x"), 11, true);
    check(event("n1", None, "x"), 20, false);
    check(event("n1", Some(1), "x"), 0, true);
    check(event("n1", Some(1), "x"), 1_000_000, false);
}

#[test]
fn what_was_stored_is_known_after_a_restart() {
    let (dedupe, mut decoder) = (Dedupe::new(DedupeLimits::default()), decoder());
    let window: Vec<Json> = (0..100).map(|i| event("n1", (i % 2 == 0).then_some(i), &i.to_string())).collect();
    let bodies: Vec<String> = window.iter().map(Json::to_string).collect();
    decode(&mut decoder, &frames(bodies.iter().map(|b| b.as_bytes())), |events: &[Event], _| {
        events.iter().rev().for_each(|e| dedupe.restore(&e.stream.sender, e.id(), RECEIVED_AT));
    });
    assert!(!fresh(&dedupe, &mut decoder, &window, RECEIVED_AT + NANOS_PER_SECOND).contains(&true));
}

#[test]
fn memory_is_bounded_and_each_sender_keeps_its_share() {
    let limits = DedupeLimits { bytes_max: 1 << 20 };
    let (dedupe, mut decoder) = (Dedupe::new(limits), decoder());
    for i in 0..50 {
        dedupe.restore(&format!("old-{i}"), 1, 0);
    }
    let counts = dedupe.counts();
    assert_eq!((counts.senders, counts.senders_evicted, counts.ids_per_sender), (12, 38, 4096));
    for sender in 0..12 {
        let window: Vec<Json> = (0..5_000).map(|i| event(&format!("n{sender}"), Some(i), "x")).collect();
        fresh(&dedupe, &mut decoder, &window, RECEIVED_AT);
        let counts = dedupe.counts();
        assert!(counts.bytes <= limits.bytes_max, "{counts:?}");
    }
    // The last 4,096 of each are known, and asking adds nothing.
    for sender in 0..12 {
        let window: Vec<Json> = (904..5_000).map(|i| event(&format!("n{sender}"), Some(i), "x")).collect();
        assert!(!fresh(&dedupe, &mut decoder, &window, RECEIVED_AT).contains(&true));
    }
    assert_eq!(fresh(&dedupe, &mut decoder, &[event("n3", Some(903), "x")], RECEIVED_AT), [true]);
}

#[test]
fn shares_shrink_as_senders_come() {
    let limits = DedupeLimits { bytes_max: 4 << 20 };
    let dedupe = Dedupe::new(limits);
    (1..=65_536).for_each(|id| dedupe.restore("big", id, 0));
    assert_eq!(dedupe.counts().ids_per_sender, 131_072);
    for i in 0..40 {
        dedupe.restore(&format!("n{i}"), 1, 0);
        let counts = dedupe.counts();
        assert!(counts.bytes <= limits.bytes_max, "{counts:?}");
    }
    assert_eq!(dedupe.counts().senders_evicted, 0);
}
