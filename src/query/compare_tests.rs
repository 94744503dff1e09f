//! What is different between two windows whose differences are known.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::random_tests::{Fixture, Line, fixture};
use super::*;

const SECOND: i64 = 1_000_000_000;

/// Two windows of so many records each, a second apart.
fn windows(each: usize, record: impl Fn(usize, usize) -> Json) -> Fixture {
    let line = |side: usize, n: usize| {
        let ts = (side * each + n) as i64 * SECOND;
        Line::of(json!({"agent": {"name": "n"}, "node": format!("n{}", n % 3)}), ts, "a line", record(side, n))
    };
    let lines: Vec<Line> = (0..2).flat_map(|side| (0..each).map(move |n| (side, n))).map(|(s, n)| line(s, n)).collect();
    fixture(&lines, 700)
}

fn compare(store: &Fixture, each: usize, query: &str, fields: &[&str]) -> Comparison {
    let expr = parse(query).unwrap();
    let at = |side: usize| Some((side * each) as i64 * SECOND);
    let side = |side: usize| Side { expr: &expr, between: Between { from: at(side), to: at(side + 1) } };
    let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
    let deadline = Instant::now() + Duration::from_secs(3_600);
    store.engine.compare([side(0), side(1)], &fields, 100, deadline).unwrap()
}

/// Field, value, counts.
fn told(comparison: &Comparison) -> Vec<(String, String, [u64; 2])> {
    let one = |difference: &Difference| match &difference.what {
        What::Value { key, counts } => (difference.field.clone(), key.to_json().to_string(), *counts),
        What::Numbers(spreads) => (difference.field.clone(), "numbers".to_owned(), spreads.map(|s| s.count)),
    };
    comparison.differences.iter().map(one).collect()
}

#[test]
fn what_changed_is_told_and_what_did_not_is_not() {
    const EACH: usize = 1_500;
    let store = windows(EACH, |side, n| {
        json!({
            // One in ten becomes three in ten; the others stay as they were among themselves.
            "status": if n % 10 < 1 + 2 * side { 503 } else { 200 },
            // A seventh before and after, another value each.
            "release": if n % 7 == 0 { format!("r{side}") } else { "old".to_owned() },
            // Twice as slow.
            "duration": (n * 7919 % 1_000) * (1 + side) + 1,
            // Spread alike.
            "size": n * 104_729 % 5_000,
            "zone": (["a", "b", "c"][n % 3]),
            // A different one in each record.
            "request": format!("{side}-{n}"),
        })
    });
    let comparison = compare(&store, EACH, "", &[]);
    assert_eq!((comparison.totals, comparison.partial), ([1_500, 1_500], false));
    let told = told(&comparison);
    let mut sorted = told.clone();
    sorted.sort();
    let one = |field: &str, value: &str, counts| (field.to_owned(), value.to_owned(), counts);
    assert_eq!(
        sorted,
        [
            one("duration", "numbers", [1_500, 1_500]),
            one("release", "\"r0\"", [215, 0]),
            one("release", "\"r1\"", [0, 215]),
            one("status", "200", [1_350, 1_050]),
            one("status", "503", [150, 450]),
        ]
    );
    assert!(comparison.differences.is_sorted_by(|a, b| a.surprise >= b.surprise));
    let duration = comparison.differences.iter().find(|difference| difference.field == "duration").unwrap();
    let What::Numbers([before, after]) = duration.what else { panic!() };
    assert!((before.p50 - 500.0).abs() < 10.0 && (after.p50 - 1_000.0).abs() < 20.0, "{before:?} {after:?}");
    assert!((before.p95 - 950.0).abs() < 20.0 && (after.p95 - 1_900.0).abs() < 40.0, "{before:?} {after:?}");

    // Within a query, by named fields only.
    let within = compare(&store, EACH, "zone:a", &["status", "zone", "nothing"]);
    assert_eq!((within.totals, &within.fields[..]), ([500, 500], &["status", "zone", "nothing"].map(String::from)[..]));
    assert!(within.differences.iter().all(|difference| difference.field == "status"), "{within:?}");
    assert_eq!(within.found, 2);
}

#[test]
fn equal_windows_differ_in_nothing() {
    const EACH: usize = 2_000;
    // The same mix in another order, one record in two hundred apart.
    let store = windows(EACH, |side, n| {
        let n = (n * 31 + side * 17) % EACH;
        json!({"status": 200 + n % 5, "duration": n * n % 977, "path": format!("/p{}", n % 40), "odd": n.is_multiple_of(199 + side)})
    });
    let comparison = compare(&store, EACH, "", &[]);
    assert_eq!(told(&comparison), []);
    assert!(comparison.compared > 40, "{}", comparison.compared);
    let nothing = compare(&store, 0, "", &[]);
    assert_eq!((nothing.totals, nothing.found), ([0, 0], 0));
    let one_side = compare(&store, EACH, "status:900", &[]);
    assert_eq!((one_side.totals, one_side.found), ([0, 0], 0));
}

/// More values than are listed: those that one side has among its own and the other has not are counted there, not taken for gone.
#[test]
fn values_beyond_the_list_are_counted_on_the_other_side() {
    const EACH: usize = 6_000;
    let store = windows(EACH, |side, n| {
        // 1,500 values four times each before; after it one of the rarest by name has a third of all.
        let value = n % 1_500;
        let value = if side == 1 && n % 3 == 0 { 1_499 } else { value };
        json!({"user": format!("u{value:04}")})
    });
    let comparison = compare(&store, EACH, "", &["user"]);
    let told = told(&comparison);
    // Every value loses a third at least, which counts of four do not show.
    assert_eq!(told, [("user".to_owned(), "\"u1499\"".to_owned(), [4, 2_004])], "{told:?}");
}
