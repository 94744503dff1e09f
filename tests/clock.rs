//! A clock that steps, forwards and backwards, under load and over kills: every line is there exactly once.
//! libfaketime (Debian: libfaketime) steps it inside the running process; skipped loudly where it is absent.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::{LogFile, Server, windows};
use loghound::ship::{self, Options, Stats};

fn libfaketime() -> Option<PathBuf> {
    let found = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|dir| dir.path().join("faketime/libfaketime.so.1"));
    found.into_iter().find(|path| path.exists())
}

/// The offset from the true time that the process sees from now on.
fn step(file: &Path, offset: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{offset}\n")).unwrap();
    std::fs::rename(next, file).unwrap();
}

#[test]
fn a_stepping_clock_loses_and_doubles_nothing() {
    let Some(library) = libfaketime() else {
        assert!(std::env::var_os("LOGHOUND_REQUIRE_CLIENTS").is_none(), "libfaketime is not installed");
        eprintln!("SKIPPED stepping clock: libfaketime is not installed");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let clock = scratch.path().join("clock");
    step(&clock, "+0");
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // Timers run on the monotonic clock, which no step moves.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut server = Server::start_in(None, &[], &environment);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut log = LogFile::new("stepping");
    let mut all = Vec::new();
    for (round, offset) in ["+3d", "-2d", "+40y", "-1h", "+0"].into_iter().enumerate() {
        let lines: Vec<String> = (0..3000).map(|i| format!("round {round} line {i}")).collect();
        let windows = windows(&log.events(&lines), 100, 3);
        let (first, rest) = windows.split_at(windows.len() / 2);
        let options = Options::new(server.beats.to_string());
        let stats = Arc::new(Stats::default());
        runtime.block_on(ship::send(&options, first.to_vec().into(), &stats)).unwrap();
        step(&clock, offset);
        // What was acknowledged before the step comes again after it, as after a lost acknowledgement.
        runtime.block_on(ship::send(&options, windows.clone().into(), &stats)).unwrap();
        if round % 2 == 1 {
            server.kill9();
            server.restart();
        }
        runtime.block_on(ship::send(&options, rest.to_vec().into(), &stats)).unwrap();
        all.extend(lines);
    }
    server.wait_for_lines("host.name:stepping", &all, Duration::from_secs(60));
}
