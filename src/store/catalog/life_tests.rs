//! A week of days in a moment: the clock is an argument.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::life::verify;
use super::{Store, Worker};
use crate::record::{Event, Fields, Record, Stream, StreamKey, WHOLE, time};
use crate::store::{Options, ShardState};

const DAY: i64 = time::NANOS_PER_DAY;
const HOUR: i64 = DAY / 24;
const NOON: i64 = 20_000 * DAY + DAY / 2;

fn options() -> Options {
    Options { idle_after_nanos: 0, seal_bytes_per_second: 0, ..Options::default() }
}

fn open(root: &Path) -> Store {
    Store::open(root, options()).unwrap()
}

fn add(worker: &mut Worker, position: u64, ts: i64, line: &str) {
    let stream = Arc::new(Stream {
        key: StreamKey(1001),
        canonical: "{}".to_owned(),
        fields: serde_json::Map::new(),
        sender: "node-1".to_owned(),
        identity_seed: 5,
        memory: AtomicU64::new(0),
    });
    let event = Event {
        stream,
        timestamp: ts,
        message: Some(line),
        offset: Some(position * 10),
        mark: WHOLE | position,
        positioned: true,
        extra: None,
    };
    let fields = Fields::new();
    worker.add(position, ts, &Record { event: &event, grammar: None, template: None, fields: &fields }, false).unwrap();
}

/// Three commits a day, for `days` days from NOON on; returns the next position.
fn fill(store: &Store, days: i64) -> u64 {
    let mut worker = store.worker();
    let mut position = 1;
    for day in 0..days {
        for n in 0..3 {
            add(&mut worker, position, NOON + day * DAY + n, "a line of some words");
            store.commit(position, vec![worker.cut().unwrap()]).unwrap();
            position += 1;
        }
    }
    position
}

fn tend(store: &Store, now: i64) -> Vec<i32> {
    store.idle(now).unwrap();
    let (sealed, failed) = store.seal_ended(now, &|| true);
    assert!(failed.is_none(), "{failed:?}");
    sealed
}

fn states(store: &Store, now: i64) -> Vec<(ShardState, u64)> {
    let records = store.shards().into_iter().map(|view| view.docs());
    store.states(now).into_iter().map(|(_, state)| state).zip(records).collect()
}

fn segments(store: &Store) -> usize {
    store.shards()[0].searcher().segment_readers().len()
}

fn is_sound(root: &Path) -> bool {
    verify(root, None).unwrap().iter().all(|day| day.problems.is_empty())
}

#[test]
fn a_day_is_open_then_late_then_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 1);
    let end = NOON + DAY / 2;
    for (now, state) in [(NOON, ShardState::Open), (end - 1, ShardState::Open), (end, ShardState::Late)] {
        assert!(tend(&store, now).is_empty());
        assert_eq!(states(&store, now), [(state, 3)]);
    }
    assert_eq!(states(&store, end + HOUR), [(ShardState::Ended, 3)]);
    assert_eq!(segments(&store), 3);
    assert_eq!(tend(&store, end + HOUR), [20_000]);
    assert_eq!(states(&store, end + HOUR), [(ShardState::Sealed, 3)]);
    assert_eq!(segments(&store), 1);
    assert!(tend(&store, end + 2 * HOUR).is_empty());
    drop(store);
    assert_eq!(states(&open(dir.path()), end), [(ShardState::Sealed, 3)]);
    assert!(is_sound(dir.path()));
}

#[test]
fn a_late_line_opens_a_sealed_day_and_it_is_sealed_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let position = fill(&store, 1);
    let now = NOON + 2 * DAY;
    tend(&store, now);
    let mut worker = store.worker();
    add(&mut worker, position, NOON, "late");
    // Its segment is on disk and in no commit: the seal still tells the truth.
    let cut = worker.cut().unwrap();
    assert!(is_sound(dir.path()));
    assert_eq!(states(&store, now), [(ShardState::Sealed, 3)]);
    store.commit(position, vec![cut]).unwrap();
    assert_eq!(states(&store, now), [(ShardState::Ended, 4)]);
    assert!(!dir.path().join("2024-10-04/seal.json").exists());
    assert_eq!(tend(&store, now), [20_000]);
    assert_eq!(states(&store, now), [(ShardState::Sealed, 4)]);
    assert!(is_sound(dir.path()));
}

#[test]
fn a_commit_in_the_middle_of_sealing_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let position = fill(&store, 1);
    let now = NOON + 2 * DAY;
    store.idle(now).unwrap();
    let late = AtomicU64::new(0);
    let (sealed, failed) = store.seal_ended(now, &|| {
        // The first question comes before the day, the second while its files are read.
        if late.fetch_add(1, Ordering::Relaxed) == 1 {
            let mut worker = store.worker();
            add(&mut worker, position, NOON, "late");
            store.commit(position, vec![worker.cut().unwrap()]).unwrap();
        }
        true
    });
    assert!(late.load(Ordering::Relaxed) > 1 && failed.is_none());
    assert_eq!(sealed, [] as [i32; 0]);
    assert_eq!(states(&store, now), [(ShardState::Ended, 4)]);
    assert_eq!(tend(&store, now), [20_000]);
}

#[test]
fn sealing_stopped_anywhere_goes_on_after_a_restart() {
    // As often as `go_on` is asked: a stop at each of these places.
    for stop_at in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let now = NOON + 2 * DAY;
        {
            let store = open(dir.path());
            fill(&store, 1);
            store.idle(now).unwrap();
            let asked = AtomicU64::new(0);
            store.seal_ended(now, &|| asked.fetch_add(1, Ordering::Relaxed) < stop_at);
        }
        // A crash between the seal's file and its name.
        fs::write(dir.path().join("2024-10-04/.seal.json.new"), "half a se").unwrap();
        let store = open(dir.path());
        assert!(is_sound(dir.path()));
        tend(&store, now);
        assert_eq!(states(&store, now), [(ShardState::Sealed, 3)], "{stop_at}");
        assert!(is_sound(dir.path()));
    }
}

#[test]
fn a_flipped_byte_in_any_file_of_a_sealed_day_is_found() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        fill(&store, 1);
        tend(&store, NOON + 2 * DAY);
    }
    let day = dir.path().join("2024-10-04");
    let mut kinds = 0;
    for file in fs::read_dir(&day).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        if name == ".managed.json" || name.ends_with(".lock") {
            continue;
        }
        let whole = fs::read(file.path()).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut broken = whole.clone();
            broken[at] ^= 1;
            fs::write(file.path(), &broken).unwrap();
            let [found] = &verify(dir.path(), None).unwrap()[..] else { panic!() };
            assert!(found.problems.iter().any(|problem| problem.contains(&name)), "{name} at {at}: {found:?}");
        }
        fs::write(file.path(), &whole[..whole.len() - 1]).unwrap();
        assert!(!is_sound(dir.path()), "{name} cut");
        fs::write(file.path(), &whole).unwrap();
        kinds += 1;
    }
    assert!(kinds >= 9, "{kinds}");
    assert!(is_sound(dir.path()));
}

#[test]
fn damage_is_not_sealed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut worker = store.worker();
    add(&mut worker, 1, NOON, "one segment");
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let now = NOON + 2 * DAY;
    store.idle(now).unwrap();
    let files = fs::read_dir(dir.path().join("2024-10-04")).unwrap().flatten();
    let terms = files.map(|file| file.path()).find(|path| path.extension().is_some_and(|e| e == "term")).unwrap();
    let mut bytes = fs::read(&terms).unwrap();
    bytes[0] ^= 1;
    fs::write(&terms, bytes).unwrap();
    let (sealed, failed) = store.seal_ended(now, &|| true);
    assert_eq!(sealed, [] as [i32; 0]);
    assert!(failed.unwrap().to_string().contains("does not match its checksum"));
    assert!(!is_sound(dir.path()));
}
