//! Torn at every byte, each byte flipped, files gone.

use super::*;
use crate::journal::{Error, format};
use std::{fs, path::PathBuf};

/// Five entries of different sizes, written one by one to one segment; returns its path and each entry's start.
async fn small_journal(dir: &Path) -> (PathBuf, Vec<usize>, Vec<(u64, Bytes)>) {
    let (journal, _) = open(dir);
    let mut starts = Vec::new();
    let mut at = format::SEGMENT_HEADER_BYTES;
    for (n, length) in [5_usize, 0, 90, 1, 33].into_iter().enumerate() {
        starts.push(at);
        at += format::ENTRY_HEADER_BYTES + length;
        append(&journal, &vec![b'a' + n as u8; length]).await;
    }
    starts.push(at);
    let entries = read_all(&journal, 0).0;
    let files = segment_files(dir);
    assert_eq!(files.len(), 1);
    (files[0].clone(), starts, entries)
}

/// A copy of `file` in a directory of its own, changed.
fn changed(file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(dir.path().join(file.file_name().unwrap()), bytes).unwrap();
    dir
}

#[tokio::test]
async fn torn_after_every_byte_of_the_last_write() {
    let dir = tempfile::tempdir().unwrap();
    let (file, starts, entries) = small_journal(dir.path()).await;
    let original = fs::read(&file).unwrap();
    for cut in 0..=starts[5] {
        for zeros in [0, 40] {
            let dir = changed(&file, |bytes| {
                bytes.truncate(cut);
                bytes.resize(cut + zeros, 0);
            });
            // Zeros may be just what was cut off.
            let same = fs::read(&segment_files(dir.path())[0]).unwrap();
            let same = same.iter().zip(&original).take_while(|(is, was)| is == was).count();
            let whole = starts[1..].iter().filter(|end| **end <= same).count();
            let (journal, report) = open(dir.path());
            let (read, damages) = read_all(&journal, 0);
            assert_eq!(read, entries[..whole], "cut at {cut}");
            assert_eq!((damages, report.last.0), (vec![], whole as u64), "cut at {cut}");
            assert_eq!(report.damages, [], "a torn tail is no damage, cut at {cut}");
            assert_eq!(append(&journal, b"next").await.0, whole as u64 + 1);
            drop(journal);
            let (journal, report) = open(dir.path());
            assert_eq!((report.torn, report.last.0), (None, whole as u64 + 1), "the second open finds nothing torn");
            assert_eq!(positions(&journal, 0), (1..=whole as u64 + 1).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_torn_tail_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let (file, starts, _) = small_journal(dir.path()).await;
    let dir = changed(&file, |bytes| bytes.truncate(starts[4] + 20));
    let (_, report) = open(dir.path());
    let torn = report.torn.unwrap();
    assert_eq!((torn.file, torn.offset), (segment_files(dir.path())[0].clone(), starts[4] as u64));
    assert_eq!(torn.what, "20 bytes of an interrupted write, never acknowledged, cut off");
}

#[tokio::test]
async fn each_byte_flipped_costs_its_own_entry_only() {
    let dir = tempfile::tempdir().unwrap();
    let (file, starts, entries) = small_journal(dir.path()).await;
    for at in 0..starts[5] {
        for mask in [0x01, 0x80, 0xFF] {
            let dir = changed(&file, |bytes| bytes[at] ^= mask);
            let hit = starts.windows(2).position(|ends| (ends[0]..ends[1]).contains(&at));
            let expected: Vec<_> =
                entries.iter().filter(|(position, _)| hit != Some(*position as usize - 1)).cloned().collect();
            let (journal, report) = open(dir.path());
            let (read, damages) = read_all(&journal, 0);
            assert_eq!(read, expected, "byte {at} ^ {mask:#x}");
            let reported: Vec<_> = report.damages.iter().chain(&report.torn).chain(&damages).collect();
            assert_eq!(reported.len(), usize::from(hit.is_some()), "byte {at}: {reported:?}");
            if let Some(hit) = hit {
                assert_eq!(reported[0].offset, starts[hit] as u64, "byte {at}");
            }
        }
    }
}

#[tokio::test]
async fn damage_in_an_older_segment_is_reported_once_by_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (file, starts, entries) = small_journal(dir.path()).await;
    let dir = changed(&file, |bytes| bytes[starts[2] + 50] ^= 4);
    let aside = tempfile::tempdir().unwrap();
    {
        // A second segment, so that the first is not the last: made undamaged, then the damaged one put in place.
        let copy = changed(&file, |_| {});
        let (journal, _) = open(copy.path());
        append(&journal, b"sixth").await;
        drop(journal);
        fs::copy(&segment_files(copy.path())[1], dir.path().join(segment_files(copy.path())[1].file_name().unwrap()))
            .unwrap();
        drop(aside);
    }
    let (journal, report) = open(dir.path());
    assert_eq!(report.damages, [], "older segments are not read at open");
    let (read, damages) = read_all(&journal, 0);
    let mut expected: Vec<_> = entries.into_iter().filter(|(position, _)| *position != 3).collect();
    expected.push((6, Bytes::from_static(b"sixth")));
    assert_eq!(read, expected);
    assert_eq!(damages.len(), 1);
    assert_eq!(
        (damages[0].offset, &*damages[0].what),
        (starts[2] as u64, "106 bytes fail their checksum: 1 entry lost, position 3")
    );
    assert_eq!(read_all(&journal, 0).1, [], "reported before");
}

#[tokio::test]
async fn a_missing_segment_costs_its_entries_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for n in 0..20_u8 {
        append(&journal, &[n; 900]).await;
    }
    drop(journal);
    let files = segment_files(dir.path());
    assert!(files.len() >= 5, "{files:?}");
    let first_of = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let lost = first_of(&files[1])..first_of(&files[3]);
    fs::remove_file(&files[1]).unwrap();
    fs::remove_file(&files[2]).unwrap();
    let (journal, _) = open(dir.path());
    let (read, damages) = read_all(&journal, 0);
    let expected: Vec<u64> = (1..=20).filter(|position| !lost.contains(position)).collect();
    assert_eq!(read.into_iter().map(|(position, _)| position).collect::<Vec<_>>(), expected);
    assert_eq!(damages.len(), 1, "{damages:?}");
    let what = format!(
        "segment missing or cut short: {} entries lost, positions {} to {}",
        lost.end - lost.start,
        lost.start,
        lost.end - 1
    );
    assert_eq!(damages[0].what, what);
    // The same with the oldest one gone, and with one that loses both copies of its header.
    let mut bytes = fs::read(&files[3]).unwrap();
    bytes[..600].fill(0x55);
    fs::write(&files[3], bytes).unwrap();
    drop(journal);
    let (journal, report) = open(dir.path());
    assert_eq!(report.damages.len(), 1);
    assert!(report.damages[0].what.starts_with("both copies of the segment's header are damaged"));
    let expected: Vec<u64> = (1..lost.start).chain(first_of(&files[4])..=20).collect();
    assert_eq!(positions(&journal, 0), expected);
}

#[tokio::test]
async fn journal_bytes_inside_a_payload_do_not_pass_for_entries() {
    let dir = tempfile::tempdir().unwrap();
    let (file, ..) = small_journal(dir.path()).await;
    let inner = fs::read(&file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, &inner).await; // holds a whole segment with positions 1 to 5
    append(&journal, b"second").await;
    drop(journal);
    let file = &segment_files(dir.path())[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[format::SEGMENT_HEADER_BYTES] ^= 1; // its length
    fs::write(file, bytes).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(read_all(&journal, 0).0, [(2, Bytes::from_static(b"second"))]);
    assert_eq!(report.damages.len(), 1);
}

#[tokio::test]
async fn another_format_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (file, ..) = small_journal(dir.path()).await;
    let dir = changed(&file, |bytes| {
        bytes[8] = 2;
        bytes[512 + 8] = 2;
    });
    let Err(err) = Journal::open(options(dir.path())) else { panic!("opened") };
    assert!(matches!(err, Error::Version { found: 2, known: 1, .. }));
    let name = segment_files(dir.path())[0].display().to_string();
    assert_eq!(
        err.to_string(),
        format!(
            "journal: {name} has format version 2, this program knows 1: start the loghound that wrote it once more and let it \
             index what is left, or move the file away and lose what it holds"
        )
    );
}

#[tokio::test]
async fn a_damaged_checkpoint_is_reported_and_one_copy_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for _ in 0..6 {
        append(&journal, &[1; 2000]).await;
    }
    journal.trim(Position(4));
    drop(journal);
    let path = dir.path().join("checkpoint");
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (journal, report) = open(dir.path());
        assert_eq!((journal.checkpoint(), report.damages), (Position(4), vec![]), "byte {at}");
    }
    let mut bytes = good;
    bytes[20] ^= 1;
    bytes[32 + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.damages.len(), 1);
    assert!(journal.checkpoint() <= Position(4));
    assert_eq!(positions(&journal, 4), [5, 6]);
}
