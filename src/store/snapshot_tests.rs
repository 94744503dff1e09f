//! Days beside themselves, while the store goes on.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::record::{Event, Fields, Record, Stream, StreamKey, WHOLE, time};
use crate::store::{Options, Worker};

const NOON: i64 = 20_000 * time::NANOS_PER_DAY + time::NANOS_PER_DAY / 2;

fn add(worker: &mut Worker, position: u64, day: i64) {
    let stream = Arc::new(Stream {
        key: StreamKey(1001 + u128::from(position % 7)),
        canonical: "{}".to_owned(),
        fields: serde_json::Map::new(),
        sender: "node-1".to_owned(),
        identity_seed: 5,
        memory: AtomicU64::new(0),
    });
    let (timestamp, message) = (NOON + day * time::NANOS_PER_DAY, Some("a line of some words"));
    let (offset, mark) = (Some(position * 10), WHOLE | position);
    let event = Event { stream, timestamp, message, offset, mark, positioned: true, extra: None };
    let fields = Fields::new();
    let record = Record { event: &event, grammar: None, template: None, fields: &fields };
    worker.add(position, timestamp, &record, false).unwrap();
}

fn commit(store: &Store, position: u64, days: i64) {
    let mut worker = store.worker();
    (0..days).for_each(|day| add(&mut worker, position, day));
    store.commit(position, vec![worker.cut().unwrap()]).unwrap();
}

fn open(root: &Path) -> Store {
    Store::open(root, Options { idle_after_nanos: 0, ..Options::default() }).unwrap()
}

/// (Day, records, position), newest first.
fn content(store: &Store) -> Vec<(i32, u64, u64)> {
    store.shards().iter().map(|view| (view.day, view.docs(), view.position())).collect()
}

/// Name and content of every file.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![(path.clone(), fs::read(&path).unwrap())] })
        .collect();
    found.sort();
    found
}

#[test]
fn a_snapshot_is_of_one_commit_while_others_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("shards"));
    commit(&store, 1, 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Enough small commits for merges on several levels.
            for position in 2..600 {
                commit(&store, position, 1);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut last = 0;
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) && n < 40 {
            let to = dir.path().join(format!("snapshot-{n}"));
            let linked = store.snapshot(&to).unwrap();
            let [(day, records, position)] = content(&open(&to))[..] else { panic!("one day") };
            // One record a commit.
            assert_eq!((day, records), (20_000, position));
            assert_eq!(linked.iter().map(|day| day.records).sum::<u64>(), records);
            assert!(records >= last);
            last = records;
            n += 1;
        }
        stop.store(true, Ordering::Relaxed);
        assert!(n > 3 && last > 10, "{n} snapshots, the last of {last} records");
    });
    // What is written to a snapshot is written there alone, and the other way round.
    let (last, before) = (dir.path().join("snapshot-1"), content(&store));
    let copy = open(&last);
    commit(&copy, 1_000_000, 1);
    copy.finish_merges().unwrap();
    drop(copy);
    store.finish_merges().unwrap();
    drop(store);
    assert_eq!(content(&open(&dir.path().join("shards"))), before);
    assert_eq!(content(&open(&last))[0].2, 1_000_000);
}

#[test]
fn a_copy_that_is_looked_at_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("shards"));
    (1..=20).for_each(|position| commit(&store, position, 2));
    let expected = content(&store);
    store.finish_merges().unwrap();
    drop(store);
    let before = files(dir.path());
    // By its directory, by that of its days, and by one of them.
    for (n, path) in [".", "shards", "shards/2024-10-04"].iter().enumerate() {
        let (root, days) = days_under(&dir.path().join(path)).unwrap();
        assert_eq!(days.len(), if n == 2 { 1 } else { 2 });
        let to = dir.path().with_extension(format!("look-{n}"));
        link_days(&root, &days, &to, Link::Symbolic).unwrap();
        let look = open(&to);
        assert!(content(&look).iter().all(|day| expected.contains(day)));
        commit(&look, 500, 2);
        look.seal_ended(i64::MAX, &|| true);
        drop(look);
        fs::remove_dir_all(to).unwrap();
    }
    assert!(files(dir.path()) == before);
    assert!(days_under(&dir.path().join("nowhere")).is_err());
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert!(days_under(&dir.path().join("empty")).unwrap_err().to_string().contains("no days"));
}

#[test]
fn a_day_is_put_back_and_the_journal_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (root, kept) = (dir.path().join("shards"), dir.path().join("kept"));
    let store = open(&root);
    (1..=5).for_each(|position| commit(&store, position, 2));
    store.snapshot(&kept).unwrap();
    (6..=9).for_each(|position| commit(&store, position, 2));
    store.remove(20_000).unwrap();
    drop(store);
    let (gone, there) = (put_back(&kept, &root, 20_000, 9).unwrap(), put_back(&kept, &root, 20_001, 9).unwrap());
    assert_eq!(gone, None);
    assert!(there.unwrap().ends_with("2024-10-05.replaced-1"));
    let store = open(&root);
    assert_eq!(content(&store), [(20_001, 5, 9), (20_000, 5, 9)]);
    // What the journal holds up to there is not added again, what comes behind is.
    commit(&store, 9, 2);
    commit(&store, 10, 2);
    assert_eq!(content(&store), [(20_001, 6, 10), (20_000, 6, 10)]);
    drop(store);
    assert_eq!(content(&open(&kept)), [(20_001, 5, 5), (20_000, 5, 5)]);
}
