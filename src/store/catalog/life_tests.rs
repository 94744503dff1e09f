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
    worker.add(position, &Record { event: &event, grammar: None, template: None, fields: &fields }, false).unwrap();
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

fn tend(store: &Store, now: i64) -> (Vec<i32>, Vec<(i32, &'static str)>) {
    store.idle(now).unwrap();
    let (tended, failed) = store.tend(now, &|| true);
    assert!(failed.is_none(), "{failed:?}");
    (tended.sealed, tended.deleted.iter().map(|deleted| (deleted.day, deleted.limit)).collect())
}

fn states(store: &Store, now: i64) -> Vec<(ShardState, u64)> {
    store.infos(now).iter().map(|info| (info.state, info.records)).collect()
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
        assert_eq!(tend(&store, now), (vec![], vec![]));
        assert_eq!(states(&store, now), [(state, 3)]);
    }
    assert_eq!(states(&store, end + HOUR), [(ShardState::Ended, 3)]);
    assert_eq!(store.infos(end)[0].segments, 3);
    assert_eq!(tend(&store, end + HOUR), (vec![20_000], vec![]));
    assert_eq!(states(&store, end + HOUR), [(ShardState::Sealed, 3)]);
    assert_eq!(store.infos(end)[0].segments, 1);
    assert_eq!(tend(&store, end + 2 * HOUR), (vec![], vec![]));
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
    assert_eq!(tend(&store, now), (vec![20_000], vec![]));
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
    let (tended, failed) = store.tend(now, &|| {
        // The first question comes before the day, the second while its files are read.
        if late.fetch_add(1, Ordering::Relaxed) == 1 {
            let mut worker = store.worker();
            add(&mut worker, position, NOON, "late");
            store.commit(position, vec![worker.cut().unwrap()]).unwrap();
        }
        true
    });
    assert!(late.load(Ordering::Relaxed) > 1 && failed.is_none());
    assert_eq!(tended.sealed, [] as [i32; 0]);
    assert_eq!(states(&store, now), [(ShardState::Ended, 4)]);
    assert_eq!(tend(&store, now), (vec![20_000], vec![]));
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
            store.tend(now, &|| asked.fetch_add(1, Ordering::Relaxed) < stop_at);
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
fn age_takes_the_oldest_days() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { retention_nanos: 4 * DAY, ..options() }).unwrap();
    fill(&store, 7);
    // At noon of day 20,006 day 20,002 ended three and a half days ago, 20,003 two and a half.
    let now = NOON + 6 * DAY;
    let (sealed, deleted) = tend(&store, now);
    assert_eq!(deleted, [(20_000, "age"), (20_001, "age")]);
    assert_eq!(sealed, [20_002, 20_003, 20_004, 20_005]);
    let infos = store.infos(now);
    assert_eq!(infos.len(), 5);
    let due = infos[4].delete_after.unwrap();
    assert_eq!((infos[4].day, due), (20_002, (20_003 + 4) * DAY));
    assert_eq!(tend(&store, due - 1).1, []);
    assert_eq!(tend(&store, due).1, [(20_002, "age")]);
    drop(store);
    assert_eq!(open(dir.path()).shards().len(), 4);
}

#[test]
fn size_takes_the_oldest_days_and_never_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 4);
    let now = NOON + 6 * DAY;
    tend(&store, now);
    let bytes: Vec<u64> = store.infos(now).iter().map(|info| info.bytes).collect();
    drop(store);
    let limited = |bytes_max| Store::open(dir.path(), Options { bytes_max, ..options() }).unwrap();
    assert_eq!(tend(&limited(bytes.iter().sum()), now).1, []);
    assert_eq!(tend(&limited(bytes.iter().sum::<u64>() - 1), now).1, [(20_000, "size")]);
    assert_eq!(tend(&limited(1), now).1, [(20_001, "size"), (20_002, "size")]);
    assert_eq!(limited(1).shards().len(), 1);
}

#[test]
fn a_deletion_cut_short_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()), 2);
    fs::rename(dir.path().join("2024-10-04"), dir.path().join(".gone-2024-10-04-1")).unwrap();
    assert_eq!(open(dir.path()).shards().len(), 1);
    assert!(!dir.path().join(".gone-2024-10-04-1").exists());
}

#[test]
fn what_a_worker_holds_of_a_deleted_day_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { retention_nanos: DAY, ..options() }).unwrap();
    let position = fill(&store, 1);
    let mut worker = store.worker();
    add(&mut worker, position, NOON, "too late");
    let cut = worker.cut().unwrap();
    assert_eq!(tend(&store, NOON + 9 * DAY).1, [(20_000, "age")]);
    store.commit(position, vec![cut]).unwrap();
    assert_eq!(store.shards().len(), 0);
    // A worker that meets a day's directory gone starts again from the journal, as after any error.
    let mut worker = store.worker();
    add(&mut worker, position + 1, NOON + 9 * DAY, "goes on");
    store.commit(position + 1, vec![worker.cut().unwrap()]).unwrap();
    assert_eq!(store.shards().len(), 1);
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
    let (tended, failed) = store.tend(now, &|| true);
    assert_eq!(tended.sealed, [] as [i32; 0]);
    assert!(failed.unwrap().to_string().contains("does not match its checksum"));
    assert!(!is_sound(dir.path()));
}
