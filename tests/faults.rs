//! Connections that break: a short session is cut at each of its bytes, the client sends again, each line is there once.
//! A fault of the network, as a proxy can play it, belongs here.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Cut, Proxy, Server, now_nanos, windows};
use loghound::record::time::format_rfc3339;
use loghound::ship::{self, Options, Stats, Window};
use parking_lot::Mutex;

/// Sessions that run at the same time, each through a proxy of its own.
const WORKERS: usize = 8;
const WINDOWS: usize = 2;
const EVENTS_A_WINDOW: usize = 2;

/// A session: two windows of two small events; ids have a fixed width, so that all bare sessions are equally long.
fn session(id: usize, level: u32) -> (Vec<Window>, Vec<String>) {
    let now = format_rfc3339(now_nanos() / 1_000_000 * 1_000_000);
    let sender = id % WORKERS;
    let lines: Vec<String> = (0..WINDOWS * EVENTS_A_WINDOW).map(|i| format!("session {id:06} line {i}")).collect();
    let events: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            format!(
                r#"{{"@timestamp":"{now}","message":"{line}","agent":{{"name":"cut-{sender}"}},"log":{{"offset":{i},"file":{{"path":"/{id:06}","fingerprint":"{id:064}"}}}}}}"#
            )
        })
        .collect();
    (windows(&events, EVENTS_A_WINDOW, level), lines)
}

fn length(windows: &[Window]) -> u64 {
    windows.iter().map(|w| w.bytes.len() as u64).sum()
}

/// What each session suffers, and how it is compressed.
fn plan() -> Vec<(Cut, u32)> {
    let mut plan = Vec::new();
    for level in [0, 3] {
        // Compressed sessions differ by a few bytes; one cut beyond the end is a sound session.
        let up = length(&session(0, level).0) + u64::from(level);
        plan.extend((0..up).flat_map(|byte| [(Cut::Up(byte), level), (Cut::HalfClose(byte), level)]));
        plan.extend((0..=6 * WINDOWS as u64).map(|byte| (Cut::Down(byte), level)));
        plan.extend((0..10).map(|_| (Cut::Trickle, level)));
    }
    plan
}

#[test]
fn a_session_cut_at_any_byte_leaves_each_line_once() {
    let server = Server::start();
    let plan = Arc::new(plan());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let stats = Arc::new(Stats::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let (plan, lines, stats) = (plan.clone(), lines.clone(), stats.clone());
            let beats = server.beats;
            workers.spawn(async move {
                let proxy = Proxy::start(beats).await;
                let mut options = Options::new(proxy.address.to_string());
                options.backoff_init = Duration::from_millis(1);
                options.backoff_max = Duration::from_millis(50);
                options.give_up = Some(Duration::from_secs(60));
                for (id, (cut, level)) in plan.iter().enumerate().filter(|(id, _)| id % WORKERS == worker) {
                    let (windows, sent) = session(id, *level);
                    lines.lock().extend(sent);
                    proxy.next(*cut);
                    ship::send(&options, windows.into(), &stats).await.unwrap_or_else(|e| panic!("{cut:?}: {e}"));
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    });
    let report = stats.report(start.elapsed());
    eprintln!(
        "{} sessions in {:.1} s, {} reconnects, {} windows sent again",
        plan.len(),
        report.seconds,
        report.reconnects,
        report.resent_windows
    );
    assert!(report.reconnects as usize > plan.len() / 2, "{report:?}");
    let lines = Arc::into_inner(lines).unwrap().into_inner();
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
}
