//! Anomalies end to end: traffic with an outage in it goes in over the wire, and the API says which host it was; a kill in
//! between changes nothing. Whatever is about finding anomalies in the running program belongs here.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Server, eventually, windows};
use loghound::ship::{self, Incident, Kind, Options, Stats, Traffic, Window, Windows};
use serde_json::Value;
use tokio::sync::mpsc;

const START: i64 = 1_780_000_000 - 1_780_000_000 % 3_600;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
/// Lines a second of the traffic's own time, and for how long.
const RATE: f64 = 18.0;
const MINUTES: i64 = 100;
const BROKEN_FROM: i64 = 80;

/// The traffic as windows, how many events, and the host that fails.
fn traffic() -> (Vec<Window>, u64, String) {
    let at = |minute: i64| START * SECOND + minute * MINUTE;
    let incident = Incident {
        kind: Kind::Host,
        app: 0,
        node: 0,
        replica: 0,
        start_nanos: at(BROKEN_FROM),
        end_nanos: at(BROKEN_FROM + 8),
    };
    let mut traffic = Traffic::new(11, at(0)).with_rate(RATE).with_incidents(&[incident]);
    let host = traffic.upstream(0, 0).to_owned();
    let mut events = Vec::new();
    while traffic.now_nanos() < at(MINUTES) {
        let mut event = Vec::new();
        traffic.next_event(&mut event);
        events.push(event);
    }
    (windows(&events, 1_000, 1), events.len() as u64, host)
}

fn send(server: &Server, windows: Vec<Window>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, receiver) = mpsc::channel(windows.len().max(1));
    for window in windows {
        sender.try_send(window).unwrap_or_else(|_| panic!("the channel holds all windows"));
    }
    drop(sender);
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, Windows::Channel(receiver), &Stats::default())).unwrap();
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = server.text("/metrics");
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
}

/// Waits until this process has taken so many records for its detectors.
fn watched(server: &Server, records: u64) {
    eventually(Duration::from_secs(120), || {
        let taken = metric(server, "loghound_detect_records_total");
        if taken >= records { Ok(()) } else { Err(format!("{taken} of {records} records")) }
    });
}

/// All anomalies from minor on, oldest first, without what says when they were asked for.
fn anomalies(server: &Server) -> Vec<Value> {
    let (status, mut answer) = server.get("/api/v1/anomalies?limit=1000");
    assert_eq!(status, 200, "{answer}");
    let mut found = answer["anomalies"].as_array_mut().map(std::mem::take).unwrap();
    found.reverse();
    found
}

#[test]
fn the_host_that_fails_is_named_and_a_kill_changes_nothing() {
    let (all, events, host) = traffic();
    let one_run = Server::start();
    send(&one_run, all.clone());
    watched(&one_run, events);
    let expected = anomalies(&one_run);
    for anomaly in &expected {
        println!("{:>5.1} {}", anomaly["score"].as_f64().unwrap(), anomaly["sentence"]);
    }
    let major: Vec<&Value> = expected.iter().filter(|anomaly| anomaly["score"].as_f64().unwrap() >= 50.0).collect();
    let named = |anomaly: &&&Value| anomaly["influencers"][0]["value"] == host.as_str();
    let first = major.iter().find(named).unwrap_or_else(|| panic!("nobody named {host}"));
    let found: jiff::Timestamp = first["found"].as_str().unwrap().parse().unwrap();
    let delay = found.as_second() - (START + BROKEN_FROM * 60);
    println!("{} major of {}, the first with its host after {delay} s", major.len(), expected.len());
    assert!((0..=150).contains(&delay), "{delay} s until it was found");
    // Its lines are there to be read, and lead to the records.
    let id = first["examples"][0]["event.id"].as_str().unwrap();
    let (status, context) = one_run.get(&format!("/api/v1/context?id={id}"));
    assert_eq!(status, 200, "{context}");
    assert_eq!(context["record"]["message"], first["examples"][0]["message"]);

    let told = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["anomalies", "--from", "2020-01-01", "--server", &format!("http://{}", one_run.http)])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains(&host) && told.contains("since"), "{told}");
    let (_, detectors) = one_run.get("/api/v1/detectors?service=istio-proxy");
    let of = |field: &str, measure: &str| {
        let series = detectors["detectors"].as_array().unwrap().iter();
        series.filter(|s| s["field"] == field && s["measure"] == measure).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("duration", "p95")[0]["kind"], "number");
    assert_eq!(of("response_code", "mix")[0]["kind"], "category");
    assert_eq!(of("request_id", "distinct_count")[0]["kind"], "identifier");

    // The same with the process killed in between, again and again: nothing missing, nothing counted twice.
    let mut killed = Server::start();
    for part in all.chunks(all.len().div_ceil(4)) {
        send(&killed, part.to_vec());
        killed.kill9();
        killed.restart();
    }
    send(&killed, Vec::new());
    let last = |found: &[Value]| found.last().map(|anomaly| anomaly["id"].clone());
    eventually(Duration::from_secs(120), || {
        let found = anomalies(&killed);
        let ids = |found: &[Value]| found.iter().map(|a| a["id"].clone()).collect::<Vec<_>>();
        if ids(&found) == ids(&expected) { Ok(()) } else { Err(format!("{:?} {:?}", last(&found), found.len())) }
    });
    eventually(Duration::from_secs(60), || {
        let found = anomalies(&killed);
        let differs = found.iter().zip(&expected).find(|(a, b)| a != b);
        differs.map_or(Ok(()), |(found, expected)| Err(format!("{found}\n{expected}")))
    });
    eventually(Duration::from_secs(60), || {
        let lines = killed.search("", 0, None)["total"].as_u64().unwrap();
        if lines == events { Ok(()) } else { Err(format!("{lines} of {events} lines are there")) }
    });
}
