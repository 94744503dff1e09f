//! A day that has ended, in the whole program: records that go before it, its move to the warm volume, and a crash.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{LogFile, Server, eventually, now_nanos, windows};
use loghound::ship::{self, Options, Stats, Windows};
use serde_json::Value;

/// A look at all days comes every ten seconds.
const SOON: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400_000_000_000;

fn send(server: &Server, host: &str, lines: &[String]) {
    let mut file = LogFile::new(host);
    let events: Vec<Vec<u8>> = lines.iter().map(|line| file.event_at(now_nanos() - 2 * DAY, line)).collect();
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = Windows::Prepared(windows(&events, 100, 3).into_iter());
    runtime.block_on(ship::send(&options, sent, &Stats::default())).unwrap();
}

fn lines(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{what} number {n} is an ordinary line")).collect()
}

fn past_day(server: &Server) -> Value {
    let shards = server.get("/api/v1/shards").1;
    shards["shards"].as_array().and_then(|shards| shards.last().cloned()).unwrap_or_default()
}

fn wait_for_state(server: &Server, state: &str) {
    eventually(SOON, || match past_day(server) {
        day if day["state"] == state => Ok(()),
        day => Err(format!("{day}\n{}", server.log())),
    });
}

fn files(dir: &Path) -> usize {
    let days = std::fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_dir());
    days.map(|day| std::fs::read_dir(day.path()).unwrap().count()).sum()
}

#[test]
fn a_day_sheds_what_is_kept_shorter_and_moves_to_the_warm_volume() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, warm) = (scratch.path().join("data"), scratch.path().join("warm"));
    std::fs::create_dir(&warm).unwrap();
    let config = scratch.path().join("loghound.yaml");
    let yaml = format!(
        "store:\n  late_grace: 0s\n  warm_dir: {}\n  warm_after: 0s\n  keep:\n    - query: 'host.name:dev'\n      for: 1d\n    \
         - query: 'host.name:prod'\n      for: 5d\n",
        warm.display()
    );
    std::fs::write(&config, yaml).unwrap();
    let mut server = Server::start_with(Some(&data), &["--config", &config.to_string_lossy()]);

    send(&server, "prod", &lines("prod", 300));
    send(&server, "dev", &lines("dev", 300));
    server.wait_for_lines("prod", &lines("prod", 300), SOON);
    eventually(SOON, || match &server.search("host.name:dev", 0, None)["total"] {
        total if *total == 0 => Ok(()),
        total => Err(format!("{total} are left\n{}", server.log())),
    });
    assert_eq!(server.search("number", 0, None)["total"], 300);
    let next = server.get("/api/v1/shards").1["next"].clone();
    let kept = next.as_array().unwrap().iter().find(|next| next["query"] == "host.name:prod");
    assert_eq!(kept.map(|next| &next["reason"]), Some(&Value::from("keep")), "{next}");

    // The writer of the day is closed by the restart: no lines come for it any more.
    server.kill9();
    server.restart();
    wait_for_state(&server, "warm");
    assert!(past_day(&server)["warm_bytes"].as_u64() > Some(0));
    assert!(files(&warm) > 0);
    server.wait_for_lines("number", &lines("prod", 300), SOON);

    // Late ones of both are taken, and dev's go again.
    send(&server, "late-prod", &lines("late", 10));
    server.wait_for_lines("late", &lines("late", 10), SOON);
    let mut more = LogFile::new("dev");
    more.events(&lines("dev", 300));
    let events = vec![more.event_at(now_nanos() - 2 * DAY, "dev is late")];
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = Windows::Prepared(windows(&events, 100, 3).into_iter());
    runtime.block_on(ship::send(&options, sent, &Stats::default())).unwrap();
    eventually(SOON, || {
        let metrics = server.text("/metrics");
        let expired = metrics.lines().find(|line| line.starts_with("loghound_store_records_expired_total"));
        if expired == Some("loghound_store_records_expired_total 1") { Ok(()) } else { Err(format!("{expired:?}")) }
    });
    let mut all = lines("prod", 300);
    all.extend(lines("late", 10));
    server.wait_for_lines("*", &all, SOON);
    server.kill9();
    server.restart();
    wait_for_state(&server, "warm");
    server.wait_for_lines("*", &all, SOON);
}

#[test]
fn what_is_kept_by_a_query_that_is_none_is_told_before_a_port_opens() {
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(&config, "store:\n  keep:\n    - query: 'level:'\n      for: 1d\n").unwrap();
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["check-config", "--config", &config.to_string_lossy()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("store.keep: query:7: ") && said.contains('^'), "{said}");
}
