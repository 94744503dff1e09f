//! What is taken out is gone, what stays is as it was, and a crash leaves all or nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use crate::record::{Event, Fields, Record, Role, Stream, StreamKey, Value, WHOLE, time};
use crate::store::{Documents, Options, Store, verify};

const NOON: i64 = 20_000 * time::NANOS_PER_DAY + time::NANOS_PER_DAY / 2;

fn open(root: &Path) -> Store {
    Store::open(root, Options { idle_after_nanos: 0, seal_bytes_per_second: 0, ..Options::default() }).unwrap()
}

/// Commits `records`, each with a line and fields of its own.
fn fill(store: &Store, position: u64, records: std::ops::Range<u64>) {
    let mut worker = store.worker();
    for n in records {
        let stream = Arc::new(Stream {
            key: StreamKey(1001 + u128::from(n % 3)),
            canonical: "{}".to_owned(),
            fields: serde_json::Map::new(),
            sender: "node-1".to_owned(),
            identity_seed: 5,
            memory: AtomicU64::new(0),
        });
        let line = format!("user {n} did {} things", n * 7);
        let (timestamp, offset, mark) = (NOON + n as i64, Some(n * 10), WHOLE | n);
        let event = Event { stream, timestamp, message: Some(&line), offset, mark, positioned: true, extra: None };
        let mut fields = Fields::new();
        fields.push("who", Role::Keyword, Value::Str(format!("user-{n}").into()));
        fields.push("things", Role::Keyword, Value::U64(n * 7));
        let record = Record { event: &event, grammar: None, template: None, fields: &fields };
        worker.add(position, timestamp, &record, false).unwrap();
    }
    store.commit(position, vec![worker.cut().unwrap()]).unwrap();
}

/// Every record: (time, identity mark, line, things).
fn content(store: &Store) -> BTreeSet<(i64, u64, String, Option<i64>)> {
    let mut found = BTreeSet::new();
    for view in store.shards() {
        for reader in view.searcher().segment_readers() {
            let documents = Documents::open(reader, view.fields).unwrap();
            let things = reader.fast_fields().column_opt::<i64>("num.things").unwrap();
            for doc in reader.doc_ids_alive() {
                let stored = documents.stored(doc).unwrap();
                let things = things.as_ref().and_then(|column| column.first(doc));
                let line = stored.line().unwrap().to_owned();
                let time = documents.timestamps.first(doc).unwrap();
                assert!(found.insert((time, documents.marks.first(doc).unwrap(), line, things)));
            }
        }
    }
    found
}

/// Takes out the records whose number is chosen; whether that was done.
fn erase(store: &Store, chosen: impl Fn(u64) -> bool, go_on: &dyn Fn() -> bool) -> bool {
    let rewrite = store.rewrite(20_000).unwrap().unwrap();
    let view = Arc::clone(rewrite.view());
    let mut gone = Vec::new();
    for reader in view.searcher().segment_readers() {
        let documents = Documents::open(reader, view.fields).unwrap();
        let number = |doc: u32| (documents.timestamps.first(doc).unwrap() - NOON) as u64;
        gone.push((reader.segment_id(), reader.doc_ids_alive().filter(|doc| chosen(number(*doc))).collect::<Vec<_>>()));
    }
    gone.retain(|(_, docs)| !docs.is_empty());
    rewrite.erase(&gone, go_on).unwrap()
}

#[test]
fn all_of_a_day_some_of_it_and_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let store = open(root);
    fill(&store, 1, 0..50);
    fill(&store, 2, 50..90);
    let before = content(&store);
    assert!(erase(&store, |_| false, &|| true));
    assert!(!erase(&store, |n| n < 10, &|| false));
    assert_eq!(content(&store), before);
    // A whole segment goes, and half of the other.
    assert!(erase(&store, |n| n < 70, &|| true));
    let left: BTreeSet<_> = before.iter().filter(|record| record.0 >= NOON + 70).cloned().collect();
    assert_eq!(content(&store), left);
    // Life goes on: more comes, the day is merged and sealed, and sound.
    fill(&store, 3, 100..110);
    store.finish_merges().unwrap();
    store.idle(i64::MAX).unwrap();
    let (sealed, failed) = store.seal_ended(NOON + 3 * time::NANOS_PER_DAY, &|| true);
    assert!(failed.is_none() && sealed == [20_000], "{failed:?}");
    assert_eq!(content(&store).len(), 30);
    assert!(erase(&store, |n| n < 80, &|| true));
    assert_eq!(store.states(NOON + 3 * time::NANOS_PER_DAY)[0].1.name(), "ended");
    drop(store);
    // What a crash leaves behind goes at the next start.
    fs::create_dir(root.join(".new-erase-2024-10-04")).unwrap();
    let store = open(root);
    assert!(!root.join(".new-erase-2024-10-04").exists());
    assert_eq!((content(&store).len(), store.committed()), (20, vec![(20_000, 3)]));
    assert!(erase(&store, |_| true, &|| true));
    assert!(content(&store).is_empty());
    fill(&store, 4, 200..203);
    assert_eq!(content(&store).len(), 3);
    drop(store);
    assert!(verify(root, None).unwrap().iter().all(|day| day.problems.is_empty()));
    let files = fs::read_dir(root.join("2024-10-04")).unwrap().count();
    assert!(files < 25, "{files} files: those of erased segments are left behind");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_stays_is_as_it_was(
        cuts in prop::collection::vec(1u64..40, 1..5),
        chosen in prop::collection::hash_set(0u64..160, 0..120),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut n = 0;
        for (position, cut) in cuts.into_iter().enumerate() {
            fill(&store, position as u64 + 1, n..n + cut);
            n += cut;
        }
        let before = content(&store);
        prop_assert!(erase(&store, |n| chosen.contains(&n), &|| true));
        let left: BTreeSet<_> = before.into_iter().filter(|r| !chosen.contains(&((r.0 - NOON) as u64))).collect();
        prop_assert_eq!(&content(&store), &left);
        drop(store);
        prop_assert_eq!(content(&open(dir.path())), left);
    }
}
