//! The process is killed at random moments under load; at the end every line is there, exactly once, and the counts of
//! what became of every event balance.
//! Whatever must survive a SIGKILL belongs here. `LOGHOUND_CRASH_ROUNDS` kills (30), `LOGHOUND_CRASH_SEED` repeats a run.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LogFile, Server, eventually, now_nanos, windows};
use loghound::ship::{self, Options, Pace, Random, Stats, Traffic, Window, Windows};
use tokio::sync::mpsc;

const CONNECTIONS: usize = 4;
/// Over all connections: enough that a kill finds windows in every stage, few enough for a slow machine.
const EVENTS_PER_SECOND: f64 = 3000.0;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a Filebeat sent.
#[derive(Default)]
struct Sent {
    lines: Vec<String>,
    /// Of the lines, those from a time that is not kept.
    old: u64,
    /// Events that are no JSON.
    broken: u64,
}

/// One Filebeat: makes windows of 1 to 300 events until told to stop.
async fn feed(name: String, seed: u64, stop: Arc<AtomicBool>, windows_out: mpsc::Sender<Window>) -> Sent {
    let mut random = Random::new(seed);
    let mut traffic = Traffic::new(seed, now_nanos());
    let mut file = LogFile::new(&name);
    let mut sent = Sent::default();
    while !stop.load(Ordering::Relaxed) {
        let mut events = Vec::new();
        for _ in 0..1 + random.below(300) {
            let mut line = Vec::new();
            // Identical lines are different events: only their offsets tell them apart.
            match random.below(10) {
                0 => line.extend_from_slice(b"the same line again"),
                _ => traffic.next_line(&mut line),
            }
            let line = String::from_utf8(line).unwrap();
            match random.below(50) {
                0 => {
                    events.push(br#"{"message": "cut of"#.to_vec());
                    sent.broken += 1;
                    continue;
                }
                1 => {
                    events.push(file.event_at(1_000_000_000_000_000_000, &line));
                    sent.old += 1;
                }
                _ => events.push(file.event(&line)),
            }
            sent.lines.push(line);
        }
        for window in windows(&events, events.len(), 3) {
            windows_out.send(window).await.unwrap();
        }
    }
    sent
}

#[test]
fn nothing_is_lost_and_nothing_is_there_twice_after_many_kills() {
    let rounds = number("LOGHOUND_CRASH_ROUNDS", 30);
    let seed = number("LOGHOUND_CRASH_SEED", now_nanos() as u64);
    eprintln!("LOGHOUND_CRASH_ROUNDS={rounds} LOGHOUND_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut server = Server::start();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stats = Arc::new(Stats::default());
    let mut options = Options::new(server.beats.to_string());
    options.backoff_init = Duration::from_millis(20);
    options.backoff_max = Duration::from_millis(200);
    options.give_up = Some(Duration::from_secs(180));
    options.pace =
        Some(Arc::new(runtime.block_on(async { Pace::new(tokio::time::Instant::now(), EVENTS_PER_SECOND) })));
    let mut clients = Vec::new();
    for i in 0..CONNECTIONS {
        let (sender, receiver) = mpsc::channel(1);
        let feeding = runtime.spawn(feed(format!("crash-{i}"), seed ^ i as u64, stop.clone(), sender));
        let (options, stats) = (options.clone(), stats.clone());
        let sending = runtime.spawn(async move { ship::send(&options, Windows::Channel(receiver), &stats).await });
        clients.push((feeding, sending));
    }

    for round in 0..rounds {
        // Mostly within the first commits after a start, sometimes at once, sometimes later.
        let pause = if random.chance(0.2) { random.below(60) } else { random.below(1800) };
        std::thread::sleep(Duration::from_millis(pause as u64));
        assert!(server.is_running(), "the server died by itself in round {round}\n{}", server.log());
        server.kill9();
        server.restart();
    }

    stop.store(true, Ordering::Relaxed);
    let mut lines = Vec::new();
    let (mut old, mut broken) = (0, 0);
    for (feeding, sending) in clients {
        let sent = runtime.block_on(feeding).unwrap();
        lines.extend(sent.lines);
        old += sent.old;
        broken += sent.broken;
        runtime.block_on(sending).unwrap().unwrap();
    }
    let report = stats.report(Duration::from_secs(1));
    eprintln!(
        "{} events, {} reconnects, {} windows sent again, {} keep-alives",
        report.events, report.reconnects, report.resent_windows, report.keep_alives
    );
    assert_eq!(report.events, lines.len() as u64 + broken);
    assert!(report.reconnects >= rounds, "{} reconnects in {rounds} rounds", report.reconnects);
    server.wait_for_lines("*", &lines, Duration::from_secs(60));

    let counts = balance(&server);
    let [received, indexed, quarantined, duplicate, dead_lettered] = counts;
    eprintln!("{received} received: {indexed} indexed, {quarantined} old, {duplicate} repeats, {dead_lettered} broken");
    assert_eq!((indexed, quarantined), (lines.len() as u64 - old, old));
    // A window that was sent again is broken again.
    assert!(received >= report.events && dead_lettered >= broken, "{counts:?}");

    // What is committed stays: once more after a clean stop.
    assert!(server.terminate().success(), "SIGTERM\n{}", server.log());
    server.restart();
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
    assert_eq!(balance(&server), counts);
}

/// What became of all events, once all of them are accounted for.
fn balance(server: &Server) -> [u64; 5] {
    let mut counts = [0; 5];
    eventually(Duration::from_secs(20), || {
        let text = server.text("/metrics");
        let names = [
            "loghound_ingest_events_received_total",
            "loghound_store_events_indexed_total",
            "loghound_store_events_quarantined_total",
            "loghound_decode_events_duplicate_total",
            "loghound_decode_events_dead_lettered_total",
        ];
        counts = names.map(|name| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            value.unwrap_or_else(|| panic!("no {name} in {text}")) as u64
        });
        let [received, outcomes @ ..] = counts;
        if received == outcomes.iter().sum::<u64>() { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    counts
}
