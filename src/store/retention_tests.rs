use std::path::Path;
use std::sync::atomic::AtomicU64;

use serde_json::json;

use super::*;
use crate::record::time::NANOS_PER_DAY;
use crate::record::{Event, Fields, Record, Stream, StreamKey, WHOLE};
use crate::store::{Believable, Options, Store, Worker};

const TODAY: i32 = 20_000;
const NOW: i64 = TODAY as i64 * NANOS_PER_DAY + NANOS_PER_DAY / 2;

fn options(days: Option<u32>, bytes_max: Option<u64>) -> Options {
    Options {
        believable: Believable { days, ahead_nanos: NANOS_PER_DAY },
        retention: Retention { days, bytes_max },
        ..Options::default()
    }
}

/// Adds a line logged so many days before now, received now.
fn add(worker: &mut Worker, position: u64, days_ago: i64) {
    let fields = json!({"log": {"file": {"path": "/x.log"}}});
    let stream = Arc::new(Stream {
        key: StreamKey(1),
        canonical: fields.to_string(),
        fields: fields.as_object().unwrap().clone(),
        sender: "n".into(),
        identity_seed: 5,
        memory: AtomicU64::new(0),
    });
    let event = Event {
        stream,
        timestamp: NOW - days_ago * NANOS_PER_DAY,
        message: Some("a line"),
        offset: Some(position),
        mark: WHOLE | position,
        positioned: true,
        extra: None,
    };
    let fields = Fields::new();
    let record = Record { event: &event, grammar: None, template: None, fields: &fields };
    worker.add(position, NOW, &record, false).unwrap();
}

fn days(store: &Store) -> Vec<(String, u64)> {
    store.shards().iter().map(|view| (shard_name(view.day), view.docs())).collect()
}

fn on_disk(root: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "LOCK" && name != "VERSION");
    names.sort();
    names
}

fn enforce(store: &Store, now: i64) -> Vec<(String, Reason)> {
    let plan = store.plan(now);
    plan.iter().for_each(|removal| store.remove(removal.day).unwrap());
    plan.into_iter().map(|removal| (removal.name, removal.reason)).collect()
}

#[test]
fn days_go_by_age_and_lines_of_unkept_times_are_quarantined() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(Some(3), None)).unwrap();
    let mut worker = store.worker();
    for (position, days_ago) in [0, 0, 1, 2, 3, 20_000, -1, -2, -1_000].into_iter().enumerate() {
        add(&mut worker, position as u64 + 1, days_ago);
    }
    assert_eq!((worker.take_quarantined(), worker.take_quarantined()), (4, 0));
    store.commit(9, vec![worker.cut().unwrap()]).unwrap();
    let named =
        |names: &[(&str, u64)]| names.iter().map(|(name, docs)| ((*name).to_owned(), *docs)).collect::<Vec<_>>();
    let kept = named(&[("2024-10-05", 1), ("2024-10-04", 2), ("2024-10-03", 1), ("2024-10-02", 1), ("quarantine", 4)]);
    assert_eq!(days(&store), kept);
    assert_eq!(enforce(&store, NOW), []);
    assert_eq!(enforce(&store, NOW + NANOS_PER_DAY), [("2024-10-02".to_owned(), Reason::Age)]);
    assert_eq!(on_disk(dir.path()), ["2024-10-03", "2024-10-04", "2024-10-05", "quarantine"]);
    drop((store, worker));
    let store = Store::open(dir.path(), options(Some(3), None)).unwrap();
    assert_eq!(days(&store).len(), 4);
    // After weeks, all but the quarantine.
    assert_eq!(enforce(&store, NOW + 60 * NANOS_PER_DAY).len(), 3);
    assert_eq!(days(&store), named(&[("quarantine", 4)]));
}

#[test]
fn the_oldest_go_where_the_disk_is_short_but_never_today() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(None, Some(1))).unwrap();
    let mut worker = store.worker();
    for (position, days_ago) in [0, 1, 2, -3].into_iter().enumerate() {
        add(&mut worker, position as u64 + 1, days_ago);
    }
    store.commit(4, vec![worker.cut().unwrap()]).unwrap();
    let gone = enforce(&store, NOW);
    assert!(gone.iter().all(|(_, reason)| *reason == Reason::DiskUse));
    assert_eq!(
        gone.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["quarantine", "2024-10-02", "2024-10-03"]
    );
    assert_eq!(days(&store), [("2024-10-04".to_owned(), 1)]);
    assert_eq!(enforce(&store, NOW), []);
}

#[test]
fn a_deleted_day_takes_what_was_on_its_way_and_a_later_line_begins_it_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(None, None)).unwrap();
    let mut worker = store.worker();
    add(&mut worker, 1, 1);
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let reading = store.shards();
    // One line still with the worker, one finished and handed over, when the day goes.
    add(&mut worker, 2, 1);
    let cut = worker.cut().unwrap();
    add(&mut worker, 3, 1);
    store.remove(TODAY - 1).unwrap();
    store.remove(TODAY - 1).unwrap();
    add(&mut worker, 4, 1);
    store.commit(2, vec![cut]).unwrap();
    assert_eq!(days(&store), [("2024-10-03".to_owned(), 0)]);
    store.commit(4, vec![worker.cut().unwrap()]).unwrap();
    assert_eq!(days(&store), [("2024-10-03".to_owned(), 1)]);
    // A query that had begun reads on.
    assert_eq!(reading[0].docs(), 1);
    let stored = crate::store::Documents::open(reading[0].searcher().segment_reader(0), reading[0].fields).unwrap();
    assert_eq!(stored.stored(0).unwrap().line(), Some("a line"));
}

#[test]
fn a_deletion_that_was_interrupted_ends_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(None, None)).unwrap();
    let mut worker = store.worker();
    add(&mut worker, 1, 1);
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    drop((store, worker));
    fs::rename(dir.path().join("2024-10-03"), dir.path().join(".deleted-2024-10-03")).unwrap();
    let store = Store::open(dir.path(), options(None, None)).unwrap();
    assert_eq!((days(&store), store.set_aside().len()), (vec![], 0));
    assert!(on_disk(dir.path()).is_empty());
}
