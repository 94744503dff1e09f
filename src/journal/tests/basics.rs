//! Order, restarts, trimming, limits.

use super::*;
use crate::journal::Error;
use fault_disk::FaultDisk;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn entries_come_back_in_order_and_after_a_restart_positions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let payload = |n: u64| format!("entry {n} {}", "x".repeat(n as usize * 37 % 700)).into_bytes();
    let mut next = 1;
    for round in 0..4 {
        let (journal, report) = open(dir.path());
        assert_eq!((report.damages.len(), report.torn), (0, None));
        assert_eq!(report.last.0, next - 1, "round {round}");
        for _ in 0..10 {
            assert_eq!(append(&journal, &payload(next)).await, Position(next));
            next += 1;
        }
        for after in [0, 1, 7, next - 2, next - 1] {
            let (entries, damages) = read_all(&journal, after);
            let expected: Vec<_> = (after + 1..next).map(|n| (n, Bytes::from(payload(n)))).collect();
            assert_eq!((entries, damages), (expected, vec![]), "after {after}");
        }
    }
}

#[tokio::test]
async fn parts_are_joined_and_an_empty_entry_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let room = journal.reserve(6).await.unwrap();
    let parts = [&b""[..], b"abc", b"", b"def"].map(Bytes::from_static).to_vec();
    journal.append(room, parts).durable.await.unwrap();
    append(&journal, b"").await;
    let entries = read_all(&journal, 0).0;
    assert_eq!(entries, [(1, Bytes::from_static(b"abcdef")), (2, Bytes::new())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_one_sync_and_durable_never_runs_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultDisk::default();
    let (journal, _) = open_on(dir.path(), Arc::new(disk.clone()));
    disk.hold_syncs();
    let mut tasks = Vec::new();
    for n in 0..200_u32 {
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            let room = journal.reserve(4).await.unwrap();
            let ticket = journal.append(room, vec![Bytes::copy_from_slice(&n.to_le_bytes())]);
            ticket.durable.await.unwrap();
            assert!(*journal.durable().borrow() >= ticket.position, "durable is published before the ticket completes");
            (ticket.position.0, n)
        }));
    }
    tokio::time::sleep(SOON).await;
    assert_eq!((journal.durable().borrow().0, positions(&journal, 0).len()), (0, 0), "nothing before the sync");
    disk.release_syncs();
    let mut expected = Vec::new();
    for task in tasks {
        let (position, n) = task.await.unwrap();
        expected.push((position, Bytes::copy_from_slice(&n.to_le_bytes())));
    }
    expected.sort();
    assert_eq!(read_all(&journal, 0).0, expected);
    assert!(disk.syncs() < 20, "{} syncs for 200 entries that waited together", disk.syncs());
}

#[tokio::test]
async fn a_full_journal_waits_in_order_and_resumes_after_a_trim() {
    let dir = tempfile::tempdir().unwrap();
    // One segment takes it all: trimming must free the active one as well.
    let full = Options { bytes_max: 8192, segment_bytes: 1 << 20, ..options(dir.path()) };
    let (journal, _) = Journal::open(full).unwrap();
    for _ in 0..7 {
        append(&journal, &[7; 1000]).await;
    }
    let big = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, &[8; 3000]).await }
    });
    tokio::time::sleep(SOON).await;
    let small = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, &[9; 10]).await }
    });
    tokio::time::sleep(SOON).await;
    assert!(!big.is_finished() && !small.is_finished(), "the small one would fit, but it is not its turn");
    assert!(journal.usage().blocked);
    journal.trim(Position(7));
    assert_eq!(timeout(LONG, big).await.unwrap().unwrap(), Position(8));
    assert_eq!(timeout(LONG, small).await.unwrap().unwrap(), Position(9));
    let usage = journal.usage();
    assert_eq!((usage.oldest, usage.last, usage.segments, usage.blocked), (Position(8), Position(9), 1, false));
    assert_eq!(usage.bytes, 1024 + 16 + 3000 + 16 + 10);
}

#[tokio::test]
async fn trimmed_before_anybody_waits_space_is_still_freed() {
    let dir = tempfile::tempdir().unwrap();
    let full = Options { bytes_max: 8192, segment_bytes: 1 << 20, ..options(dir.path()) };
    let (journal, _) = Journal::open(full).unwrap();
    append(&journal, &[7; 5000]).await;
    journal.trim(Position(1));
    assert_eq!(timeout(LONG, append(&journal, &[8; 5000])).await.unwrap(), Position(2));
}

#[tokio::test]
async fn an_entry_that_can_never_fit_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(matches!(journal.reserve(1 << 20).await, Err(Error::TooLarge { bytes: 1_048_576, bytes_max: 1_048_576 })));
    // Room that is not used is given back, also by a future that is dropped.
    drop(journal.reserve(500_000).await.unwrap());
    let held = journal.reserve(1_000_000).await.unwrap();
    assert!(timeout(SOON, journal.reserve(1_000_000)).await.is_err());
    drop(held);
    drop(timeout(LONG, journal.reserve(1_000_000)).await.unwrap().unwrap());
    let usage = journal.usage();
    assert_eq!((usage.bytes, usage.blocked), (0, false));
}

#[tokio::test]
async fn the_disk_reserve_holds_back_until_the_disk_has_space() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultDisk::default();
    disk.set_reported_free(Some(10_000));
    let reserve = Options { disk_reserve_bytes: 9_900, ..options(dir.path()) };
    let (journal, _) = Journal::open_on(reserve, Arc::new(disk.clone())).unwrap();
    assert!(timeout(SOON, journal.reserve(200)).await.is_err());
    let waits = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, &[1; 200]).await }
    });
    tokio::time::sleep(SOON).await;
    disk.set_reported_free(Some(20_000));
    assert_eq!(timeout(LONG, waits).await.unwrap().unwrap(), Position(1));
}

#[tokio::test]
async fn positions_are_not_given_again_after_everything_was_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for _ in 0..5 {
        append(&journal, &[1; 1500]).await;
    }
    journal.trim(Position(99)); // no further than what is durable
    assert_eq!(journal.checkpoint(), Position(5));
    drop(journal);
    let (journal, report) = open(dir.path());
    assert_eq!((report.last, journal.checkpoint(), positions(&journal, 5)), (Position(5), Position(5), vec![]));
    assert_eq!(append(&journal, b"next").await, Position(6));
    // A shard that holds more than a journal that was emptied by hand.
    drop(journal);
    std::fs::remove_dir_all(dir.path()).unwrap();
    let (journal, _) = open(dir.path());
    journal.never_below(Position(1000));
    assert_eq!(append(&journal, b"new").await, Position(1001));
    drop(journal);
    let (journal, _) = open(dir.path());
    let new = (1001, Bytes::from_static(b"new"));
    assert_eq!(read_all(&journal, 0), (vec![new.clone()], vec![]));
    // One that lost its newest entries: what it has stays, what it lost is counted.
    journal.never_below(Position(1004));
    journal.never_below(Position(3));
    assert_eq!(append(&journal, b"newer").await, Position(1005));
    let (entries, damages) = read_all(&journal, 0);
    assert_eq!(entries, [new, (1005, Bytes::from_static(b"newer"))]);
    assert_eq!(damages[0].what, "segment missing or cut short: 3 entries lost, positions 1002 to 1004");
}

#[tokio::test]
async fn trim_frees_whole_segments_and_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for n in 0..12_u8 {
        append(&journal, &[n; 1500]).await;
    }
    let mut reader = journal.reader(Position(0));
    assert_eq!(reader.try_next().unwrap().unwrap().0, Position(1));
    let before = segment_files(dir.path()).len();
    journal.trim(Position(7));
    assert!(segment_files(dir.path()).len() < before);
    let oldest = journal.usage().oldest.0;
    assert!((2..=8).contains(&oldest));
    // The open segment may still be read; what was trimmed is not reported as lost.
    let mut last = 1;
    while let Some((position, payload)) = reader.try_next().unwrap() {
        assert_eq!(payload, vec![position.0 as u8 - 1; 1500]);
        assert!(position.0 > last);
        last = position.0;
    }
    assert_eq!((last, reader.take_damages()), (12, vec![]));
    assert_eq!(positions(&journal, 7), (8..=12).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_reader_wakes_for_new_entries_and_keeps_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut reader = journal.reader(Position(0));
    let reading = std::thread::spawn(move || {
        let deadline = Instant::now() + LONG;
        let read: Vec<_> = (0..50).map(|_| reader.next_blocking(deadline).unwrap().unwrap().0.0).collect();
        let none = reader.next_blocking(Instant::now() + Duration::from_millis(5)).unwrap();
        (read, none)
    });
    for _ in 0..50 {
        append(&journal, &[3; 300]).await;
    }
    let (read, none) = tokio::task::spawn_blocking(|| reading.join().unwrap()).await.unwrap();
    assert_eq!((read, none), ((1..=50).collect(), None));
}
