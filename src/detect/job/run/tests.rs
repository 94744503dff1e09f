//! Jobs on made-up records.

use serde_json::{Value as Json, json};

use super::*;

const MINUTE: i64 = 60;
const BEGIN: i64 = 1_780_012_800;

fn job(json: Json) -> Job {
    Job::new(Arc::new(Spec::read(&json, &|_| Ok(())).unwrap()))
}

fn row(seconds: i64, split: [&str; 3], number: f64) -> Row {
    let [partition, by, over] = split.map(str::to_owned);
    let example = Example { id: format!("id{seconds}"), time: seconds, line: format!("line {number}") };
    let (time, number) = (seconds * NANOS_PER_SECOND, Some(number));
    Row { time, partition, by, over, number, text: number.map(|n| n.to_string()), influencers: Vec::new(), example }
}

/// `rows` gives the records of each minute.
fn told(job: &mut Job, minutes: std::ops::Range<i64>, mut rows: impl FnMut(i64, i64) -> Vec<Row>) -> Vec<Anomaly> {
    for minute in minutes {
        let start = BEGIN + minute * MINUTE;
        for row in rows(minute, start) {
            job.observe(&row, start + MINUTE);
        }
        job.advance(start + MINUTE);
    }
    job.take()
}

/// Something like chance, the same in each run.
fn noise(n: i64) -> f64 {
    (n.wrapping_mul(6_364_136_223_846_793_005).rotate_left(29) & 0xff) as f64 / 256.0
}

#[test]
fn a_partition_that_slows_down_is_told_with_its_lines_and_the_others_are_not() {
    let mut job = job(json!({"name": "slow", "function": "high_mean", "field": "duration", "partition": "cluster",
        "bucket_span": "1m", "influencers": ["host"]}));
    let mut rows = |minute: i64, start: i64| {
        let mut rows = Vec::new();
        for n in 0..20 {
            for cluster in ["cart", "pay"] {
                let slow = if cluster == "pay" && (100..110).contains(&minute) && n % 2 == 0 { 900.0 } else { 0.0 };
                let mut row = row(start + n, [cluster, "", ""], 40.0 + 20.0 * noise(minute * 20 + n) + slow);
                row.influencers = vec![if slow > 0.0 { "h7".to_owned() } else { format!("h{}", n % 5) }];
                rows.push(row);
            }
        }
        rows
    };
    assert_eq!(told(&mut job, 0..100, &mut rows), []);
    let found = told(&mut job, 100..140, &mut rows);
    assert!(found.iter().all(|anomaly| anomaly.value.as_deref() == Some("pay")), "{found:?}");
    let first = &found[0];
    assert_eq!((first.service.as_str(), first.since), ("job:slow", BEGIN + 100 * MINUTE));
    assert!(first.score > 75.0 && (45.0..60.0).contains(&first.typical), "{first:?}");
    assert_eq!((first.influencers[0].value.as_str(), first.examples.len()), ("h7", 3));
    assert!(first.sentence.starts_with("job slow: high_mean of duration is 50"), "{}", first.sentence);
    assert!(first.sentence.contains("for cluster pay"), "{}", first.sentence);
    let last = found.last().unwrap();
    assert_eq!((last.state, last.id.as_str()), (AnomalyState::Ended, first.id.as_str()));
}

#[test]
fn silence_is_told_by_count_and_low_count_and_by_nothing_else() {
    for (function, expected) in [("count", 1), ("low_count", 1), ("high_count", 0), ("non_zero_count", 0)] {
        let mut job = job(json!({"name": "a", "function": function, "bucket_span": "1m"}));
        let rows = |minute: i64, start: i64| {
            let lines = if minute < 100 { 25 + (8.0 * noise(minute)) as i64 } else { 0 };
            (0..lines).map(|n| row(start + n % 60, ["", "", ""], 1.0)).collect()
        };
        let found = told(&mut job, 0..110, rows);
        let different: std::collections::BTreeSet<&str> = found.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(different.len(), expected, "{function}: {found:?}");
    }
}

#[test]
fn one_of_a_population_is_told() {
    let mut job = job(json!({"name": "scan", "function": "high_distinct_count", "field": "path", "over": "client",
        "bucket_span": "1m"}));
    let found = told(&mut job, 0..60, |minute, start| {
        let mut rows = Vec::new();
        for client in 0..20 {
            let paths = if client == 7 && minute == 50 { 400 } else { 3 + (4.0 * noise(minute * 20 + client)) as i64 };
            rows.extend((0..paths).map(|n| row(start + n % 60, ["", "", &format!("c{client}")], n as f64)));
        }
        rows
    });
    let began: Vec<_> = found.iter().filter(|a| a.state == AnomalyState::Open).collect();
    assert_eq!(began.len(), 1, "{found:?}");
    assert_eq!((began[0].value.as_deref(), began[0].actual), (Some("c7"), 400.0));
}

#[test]
fn rare_and_new_values_are_told_once() {
    for function in ["rare", "new"] {
        let mut job = job(json!({"name": "a", "function": function, "by": "agent", "bucket_span": "1m"}));
        let found = told(&mut job, 0..600, |minute, start| {
            let mut agents = vec!["curl", "firefox"];
            agents.extend((minute == 500).then_some("sqlmap"));
            agents.iter().map(|agent| row(start, ["", agent, ""], 1.0)).collect()
        });
        let began: Vec<_> = found.iter().filter(|a| a.state == AnomalyState::Open).collect();
        assert_eq!(began.len(), 1, "{function}: {found:?}");
        assert_eq!(began[0].value.as_deref(), Some("sqlmap"));
    }
}

#[test]
fn rules_and_calendars_hide_and_do_not_teach() {
    let begin = format_rfc3339((BEGIN + 100 * MINUTE) * NANOS_PER_SECOND);
    let end = format_rfc3339((BEGIN + 105 * MINUTE) * NANOS_PER_SECOND);
    let burst = |minute: i64, start: i64| {
        let lines = if (100..105).contains(&minute) { 500 } else { 20 };
        (0..lines).map(|n| row(start + n % 60, ["batch", "", ""], 1.0)).collect()
    };
    let plain = json!({"name": "a", "function": "count", "partition": "pod", "bucket_span": "1m"});
    for (key, value, expected) in [
        ("description", json!("nothing is exempt"), false),
        ("custom_rules", json!([{"scope": {"pod": {"values": ["batch"]}}}]), true),
        ("custom_rules", json!([{"scope": {"pod": {"values": ["web"]}}}]), false),
        (
            "custom_rules",
            json!([{"conditions": [{"applies_to": "actual", "operator": "gt", "value": 400}],
            "actions": ["skip_result", "skip_model_update"]}]),
            true,
        ),
        ("custom_rules", json!([{"conditions": [{"applies_to": "actual", "operator": "lt", "value": 400}]}]), false),
        ("calendars", json!([{"description": "load test", "from": begin, "to": end}]), true),
    ] {
        let mut spec = plain.clone();
        spec[key] = value.clone();
        let found = told(&mut job(spec), 0..120, burst);
        assert_eq!(found.is_empty(), expected, "{key} {value}: {found:?}");
    }
}

#[test]
fn memory_stays_bounded_under_a_million_values_and_says_what_it_leaves_out() {
    for (function, split) in [("count", "by"), ("rare", "by"), ("new", "by"), ("count", "over"), ("time_of_day", "by")]
    {
        let mut job =
            job(json!({"name": "a", "function": function, split: "id", "bucket_span": "1m", "memory": "1MiB"}));
        // A million of one, and of the others what fills their memory several times.
        let minutes = if function == "new" { 100 } else { 8 };
        told(&mut job, 0..minutes, |minute, start| {
            (0..10_000)
                .map(|n| {
                    let value = format!("value-{}", minute * 10_000 + n);
                    let split = if split == "by" { ["", &value, ""] } else { ["", "", &value] };
                    row(start, split, 1.0)
                })
                .collect()
        });
        let stats = job.stats();
        assert!(stats.bytes < 2 << 20, "{function} {split}: {stats:?}");
        assert!(job.save().unwrap().len() < 3 << 20);
        if function == "count" {
            assert!(stats.not_covered > 0, "{function} {split}: {stats:?}");
        }
    }
}

#[test]
fn a_job_saved_anywhere_goes_on_as_if_nothing_had_happened() {
    let spec = json!({"name": "a", "function": "mean", "field": "x", "by": "k", "bucket_span": "1m"});
    let rows = |minute: i64, start: i64| {
        let far = if minute == 80 { 500.0 } else { 0.0 };
        (0..10)
            .map(|n| row(start + n, ["", ["a", "b"][n as usize % 2], ""], 10.0 + noise(minute * 10 + n) + far))
            .collect()
    };
    let whole = told(&mut job(spec.clone()), 0..100, rows);
    assert!(!whole.is_empty());
    for cut in [1, 40, 80, 81, 82] {
        let mut first = job(spec.clone());
        let mut found = told(&mut first, 0..cut, rows);
        let mut second = Job::load(Arc::clone(first.spec()), &first.save().unwrap()).unwrap();
        found.extend(told(&mut second, cut..100, rows));
        assert_eq!(found, whole, "cut at {cut}");
    }
}

#[test]
fn late_and_wild_records_are_counted_and_change_nothing() {
    let mut job = job(json!({"name": "a", "function": "count", "bucket_span": "1m"}));
    let usual = |_: i64, start: i64| (0..20).map(|n| row(start + n, ["", "", ""], 1.0)).collect();
    told(&mut job, 0..50, usual);
    job.observe(&row(BEGIN, ["", "", ""], 1.0), BEGIN + 50 * MINUTE);
    job.observe(&row(BEGIN + 9_000_000, ["", "", ""], 1.0), BEGIN + 50 * MINUTE);
    assert_eq!(job.stats().late, 2);
    // A gap of a day in all that is received is no silence.
    assert_eq!(told(&mut job, 1_500..1_550, usual), []);
}
