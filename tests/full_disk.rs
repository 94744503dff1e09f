//! A disk that is full: nothing is acknowledged that is not kept, reads go on, and it all goes on once there is room.
//! Runs on a small tmpfs, which only root may mount; skipped loudly where that is not permitted.

mod common;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{LogFile, Server, now_nanos, windows};
use loghound::ship::{self, Options, SendError, Stats, Traffic};

/// Room for a journal segment, some shards and what a merge needs.
const DISK: &str = "size=256m";

/// The journal's reserve, smaller than the disk; the default is made for real ones.
const CONFIG: &str = "journal:\n  disk_reserve_bytes: 8MiB\n";

struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                eprintln!(
                    "SKIPPED full disk: cannot mount a tmpfs: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                eprintln!("SKIPPED full disk: cannot run mount: {error}");
                None
            }
        }
    }

    /// Writes a file until nothing fits any more.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while ballast.write_all(&vec![0x5A; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that was just killed may still hold a mapping.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Distinct lines of ordinary traffic, and their events in a file of `host`.
fn traffic(host: &str, seed: u64, count: usize) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut traffic = Traffic::new(seed, now_nanos());
    let lines: Vec<String> = (0..count)
        .map(|i| {
            let mut line = Vec::new();
            traffic.next_line(&mut line);
            format!("{} {host}{i}", String::from_utf8(line).unwrap())
        })
        .collect();
    let events = LogFile::new(host).events(&lines);
    (lines, events)
}

#[test]
fn a_full_disk_holds_senders_back_and_loses_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(&scratch.path().join("disk")) else { return };
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let mut server = Server::start_with(Some(&disk.0.join("data")), &["--config", &config.to_string_lossy()]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut options = Options::new(server.beats.to_string());
    options.backoff_init = Duration::from_millis(50);
    options.backoff_max = Duration::from_millis(200);
    options.give_up = Some(Duration::from_secs(120));

    let (mut lines, events) = traffic("before", 1, 2000);
    runtime.block_on(ship::send(&options, windows(&events, 500, 3).into(), &Stats::default())).unwrap();
    server.wait_for_lines("*", &lines, Duration::from_secs(30));

    disk.fill();
    let (during, events) = traffic("during", 2, 6000);
    let stats = Arc::new(Stats::default());
    let sending = runtime.spawn({
        let (options, stats, windows) = (options.clone(), stats.clone(), windows(&events, 500, 3));
        async move { ship::send(&options, windows.into(), &stats).await }
    });
    std::thread::sleep(Duration::from_secs(8));
    assert!(server.is_running(), "the server ended on a full disk\n{}", server.log());
    assert!(!sending.is_finished(), "6000 events were acknowledged with no room for them\n{}", server.log());
    // Reads go on: what was there is found, and the server answers that it lives.
    let before = server.messages("host.name:before");
    common::same_lines(&common::counted(&lines), &common::counted(&before)).unwrap();
    assert_eq!(server.get("/healthz").0, 200);
    eprintln!("with a full disk {} of 6000 events were acknowledged", stats.events());

    disk.free();
    runtime
        .block_on(sending)
        .unwrap()
        .unwrap_or_else(|e: SendError| panic!("after freeing space: {e}\n{}", server.log()));
    assert!(server.is_running());
    lines.extend(during);
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
}

#[test]
fn what_was_acknowledged_on_a_full_disk_survives_a_kill() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(&scratch.path().join("disk")) else { return };
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let mut server = Server::start_with(Some(&disk.0.join("data")), &["--config", &config.to_string_lossy()]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut options = Options::new(server.beats.to_string());
    options.give_up = Some(Duration::from_secs(1));

    // One window after the other, so that what was acknowledged is a prefix of the lines.
    options.pipelining = 1;
    let (lines, events) = traffic("prefix", 3, 20_000);
    let stats = Arc::new(Stats::default());
    let sending = runtime.spawn({
        let (options, stats, windows) = (options.clone(), stats.clone(), windows(&events, 100, 3));
        async move { ship::send(&options, windows.into(), &stats).await }
    });
    std::thread::sleep(Duration::from_millis(300));
    disk.fill();
    std::thread::sleep(Duration::from_secs(3));
    server.kill9();
    let _ = runtime.block_on(sending);
    let acked = stats.events() as usize;
    eprintln!("{acked} of 20000 events were acknowledged before the kill");
    disk.free();
    server.restart();
    common::eventually(Duration::from_secs(30), || {
        let found = common::counted(server.messages("*"));
        let missing = lines[..acked].iter().filter(|line| found.get(*line) != Some(&1)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} of {acked} acknowledged lines are not there once")) }
    });
}
