//! Full disks, failing writes and syncs.

use super::*;
use fault_disk::FaultDisk;
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);

/// Appends five entries, makes the disk fail by `break_it`, appends one more, checks that it waits, mends the disk by
/// `mend`, appends another; then everything must be there once, now and after a restart.
async fn survives(break_it: impl Fn(&FaultDisk), mend: impl Fn(&FaultDisk)) {
    for before in [0, 5_u64] {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultDisk::default();
        let (journal, _) = open_on(dir.path(), Arc::new(disk.clone()));
        for n in 1..=before {
            append(&journal, &[n as u8; 100]).await;
        }
        break_it(&disk);
        let room = journal.reserve(300).await.unwrap();
        let mut ticket = journal.append(room, vec![Bytes::from(vec![0xAB; 300])]);
        let early = timeout(Duration::from_millis(60), &mut ticket.durable).await;
        if early.is_err() {
            assert_eq!(journal.durable().borrow().0, before, "nothing of a failed group is durable");
            assert_eq!(positions(&journal, 0).len() as u64, before);
        }
        mend(&disk);
        if early.is_err() {
            timeout(LONG, ticket.durable).await.unwrap().unwrap();
        }
        timeout(LONG, append(&journal, b"after")).await.unwrap();
        let mut expected: Vec<_> = (1..=before).map(|n| (n, Bytes::from(vec![n as u8; 100]))).collect();
        expected.push((before + 1, Bytes::from(vec![0xAB; 300])));
        expected.push((before + 2, Bytes::from_static(b"after")));
        assert_eq!(read_all(&journal, 0), (expected.clone(), vec![]));
        drop(journal);
        disk.crash(|_| 0);
        let (journal, report) = open(dir.path());
        assert_eq!((report.damages.len(), report.last.0), (0, before + 2));
        assert_eq!(read_all(&journal, 0), (expected, vec![]));
    }
}

#[tokio::test]
async fn a_full_disk_holds_the_group_until_there_is_space() {
    for free in [0, 1, 15, 16, 17, 200] {
        survives(|disk| disk.set_free(Some(free)), |disk| disk.set_free(None)).await;
    }
}

#[tokio::test]
async fn short_writes_are_continued() {
    survives(|disk| disk.set_write_bytes_max(Some(7)), |_| {}).await;
}

#[tokio::test]
async fn a_write_error_begins_another_segment() {
    survives(|disk| disk.fail_writes(3), |_| {}).await;
}

#[tokio::test]
async fn a_failed_sync_is_never_trusted_again() {
    survives(|disk| disk.fail_syncs(1), |_| {}).await;
    survives(|disk| disk.fail_syncs(3), |_| {}).await;
}

#[tokio::test]
async fn a_segment_counts_only_with_its_name_synced() {
    survives(|disk| disk.fail_sync_dirs(2), |_| {}).await;
}

#[tokio::test]
async fn while_writing_fails_nobody_gets_room_and_closing_fails_the_tickets() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultDisk::default();
    let (journal, _) = open_on(dir.path(), Arc::new(disk.clone()));
    disk.set_free(Some(0));
    let room = journal.reserve(10).await.unwrap();
    let ticket = journal.append(room, vec![Bytes::from_static(b"0123456789")]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(journal.usage().blocked);
    assert!(timeout(Duration::from_millis(50), journal.reserve(10)).await.is_err());
    drop(journal);
    assert!(timeout(LONG, ticket.durable).await.unwrap().is_err());
}

#[tokio::test]
async fn a_bad_sector_costs_the_entries_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    drop(journal);
    let disk = FaultDisk::default();
    let one_segment = Options { segment_bytes: 1 << 20, ..options(dir.path()) };
    let (journal, _) = Journal::open_on(one_segment, Arc::new(disk.clone())).unwrap();
    for n in 0..100_u8 {
        append(&journal, &[n; 984]).await; // with its header 1,000 bytes: entry n starts at 1,024 + 1,000 n
    }
    disk.set_bad_offset(Some(1024 + 50_500));
    let (read, damages) = read_all(&journal, 0);
    assert!(read.len() >= 94, "at most the entries on one probed block are lost: {}", read.len());
    assert!(read.iter().all(|(position, payload)| payload[..] == [*position as u8 - 1; 984]));
    assert_eq!(damages.len(), 1);
    assert!(damages[0].what.contains("cannot be read"), "{damages:?}");
}
