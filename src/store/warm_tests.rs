//! Days between two volumes; the clock is an argument, and a crash is a state of the directories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::record::{Event, Fields, Record, Stream, StreamKey, WHOLE, time};
use crate::store::{Link, Options, Retention, ShardState, Store, Worker, link_days, put_back, verify};

const DAY: i64 = time::NANOS_PER_DAY;
const NOON: i64 = 20_000 * DAY + DAY / 2;
/// Two days after the end of the first.
const DUE: i64 = 20_003 * DAY;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("warm")).unwrap();
        Self { dir }
    }

    fn hot(&self) -> PathBuf {
        self.dir.path().join("shards")
    }

    fn warm(&self) -> PathBuf {
        self.dir.path().join("warm")
    }

    fn options(&self) -> Options {
        let warm = WarmOptions { dir: self.warm(), after_nanos: 2 * DAY };
        let retention = Retention { days: Some(30), bytes_max: None };
        Options { idle_after_nanos: 0, seal_bytes_per_second: 0, warm: Some(warm), retention, ..Options::default() }
    }

    fn open(&self) -> Store {
        Store::open(self.hot(), self.options()).unwrap()
    }

    /// A store with one day of three records.
    fn filled(&self) -> Store {
        let store = self.open();
        let mut worker = store.worker();
        for position in 1..=3 {
            commit(&store, &mut worker, position, NOON);
        }
        store
    }

    /// Names of the day's segment files on a volume; on the hot one those that are no links.
    fn files(&self, root: &Path) -> BTreeSet<String> {
        let all = entries(&root.join("2024-10-04")).unwrap().into_iter();
        all.filter(|path| !path.is_symlink() && is_segment_file(Path::new(path.file_name().unwrap())))
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }
}

fn commit(store: &Store, worker: &mut Worker, position: u64, ts: i64) {
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
        message: Some("a line of some words"),
        offset: Some(position * 10),
        mark: WHOLE | position,
        positioned: true,
        extra: None,
    };
    let fields = Fields::new();
    let record = Record { event: &event, grammar: None, template: None, fields: &fields };
    worker.add(position, ts, &record, false).unwrap();
    store.commit(position, vec![worker.cut().unwrap()]).unwrap();
}

fn tend(store: &Store, now: i64) -> Vec<i32> {
    store.idle(now).unwrap();
    let (_, failed) = store.seal_ended(now, &|| true);
    assert!(failed.is_none(), "{failed:?}");
    let (moved, failed) = store.cool_sealed(now, &|| true);
    assert!(failed.is_none(), "{failed:?}");
    moved
}

fn state(store: &Store) -> (ShardState, u64) {
    (store.states(DUE)[0].1, ids(store))
}

/// Records whose identities can be read, which reads the files.
fn ids(store: &Store) -> u64 {
    let mut count = 0;
    store
        .recent_ids(|_, _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    count
}

fn assert_sound(world: &World) {
    for day in verify(&world.hot(), None).unwrap() {
        assert_eq!(day.problems, Vec::<String>::new());
    }
}

#[test]
fn a_sealed_day_moves_when_it_is_due_and_is_read_from_there() {
    let world = World::new();
    let store = world.filled();
    assert!(tend(&store, DUE - 1).is_empty());
    assert_eq!(state(&store), (ShardState::Sealed, 3));
    assert_eq!(store.shards()[0].warm_bytes(), 0);
    let bytes = store.shards()[0].bytes();
    assert_eq!(tend(&store, DUE), [20_000]);
    assert!(tend(&store, DUE).is_empty(), "moved twice");
    assert_eq!(state(&store), (ShardState::Warm, 3));
    assert!(world.files(&world.hot()).is_empty());
    assert!(!world.files(&world.warm()).is_empty());
    let view = store.shards()[0].clone();
    assert_eq!(view.bytes(), bytes);
    assert!(view.warm_bytes() > 0 && view.warm_bytes() < bytes);
    assert_sound(&world);
    drop((view, store));
    assert_eq!(state(&world.open()), (ShardState::Warm, 3));
}

#[test]
fn no_map_of_the_hot_files_is_held_after_the_move() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE - 1);
    let is_mapped = |dir: &Path| {
        let dir = fs::canonicalize(dir).unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| line.contains(&*dir.to_string_lossy()))
    };
    assert!(is_mapped(&world.hot()), "this test proves nothing where tantivy does not map files");
    tend(&store, DUE);
    assert_eq!(ids(&store), 3);
    assert!(!is_mapped(&world.hot()));
    assert!(is_mapped(&world.warm()));
}

#[test]
fn a_late_line_is_written_to_the_hot_volume_and_follows() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE);
    let moved = world.files(&world.warm());
    commit(&store, &mut store.worker(), 4, NOON);
    assert_eq!(state(&store), (ShardState::Ended, 4));
    assert!(!world.files(&world.hot()).is_empty());
    assert_eq!(world.files(&world.warm()), moved);
    assert_eq!(tend(&store, DUE), [20_000]);
    assert_eq!(state(&store), (ShardState::Warm, 4));
    let merged = world.files(&world.warm());
    assert!(merged.is_disjoint(&moved), "what was merged stays behind: {merged:?}");
    assert_sound(&world);
    drop(store);
    assert_eq!(state(&world.open()), (ShardState::Warm, 4));
}

#[test]
fn a_line_that_comes_while_files_are_copied_wins() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE - 1);
    let late = std::cell::Cell::new(false);
    let (moved, failed) = store.cool_sealed(DUE, &|| {
        if !late.replace(true) {
            commit(&store, &mut store.worker(), 4, NOON);
        }
        true
    });
    // Asked once before the copy begins: the seal is gone by then.
    assert!(moved.is_empty() && failed.is_none(), "{moved:?} {failed:?}");
    assert_eq!(state(&store), (ShardState::Ended, 4));
    tend(&store, DUE - 1);
    let asked = std::cell::Cell::new(0);
    let (moved, failed) = store.cool_sealed(DUE, &|| {
        asked.set(asked.get() + 1);
        if asked.get() == 3 {
            commit(&store, &mut store.worker(), 5, NOON);
        }
        true
    });
    assert!(moved.is_empty() && failed.is_none(), "{moved:?} {failed:?}");
    assert_eq!(state(&store), (ShardState::Ended, 5));
    assert_eq!(tend(&store, DUE), [20_000]);
    assert_eq!(state(&store), (ShardState::Warm, 5));
    assert_sound(&world);
}

#[test]
fn a_crash_at_any_step_leaves_a_whole_day_that_moves_again() {
    let world = World::new();
    tend(&world.filled(), DUE - 1);
    let day = world.hot().join("2024-10-04");
    let warm = Warm::open(&world.warm(), &world.hot()).unwrap();
    let seal = Seal::read(&day).unwrap().unwrap();
    let as_fast = Pace { bytes_per_second: 0 };
    let files = world.files(&world.hot()).len();
    for copied in 0..=files {
        // The process dies after so many files were copied...
        let left = std::cell::Cell::new(copied);
        warm.copy(&day, &seal, as_fast, &|| left.replace(left.get().saturating_sub(1)) > 0).unwrap();
        let store = world.open();
        assert_eq!(state(&store), (ShardState::Sealed, 3), "{copied} copied");
        // ... and what is half there is swept away, since nothing links to it.
        store.cool_sealed(DUE - 1, &|| true);
        assert!(world.files(&world.warm()).is_empty());
    }
    for linked in 0..=files {
        let world = World::new();
        tend(&world.filled(), DUE - 1);
        let day = world.hot().join("2024-10-04");
        let warm = Warm::open(&world.warm(), &world.hot()).unwrap();
        let seal = Seal::read(&day).unwrap().unwrap();
        assert!(warm.copy(&day, &seal, as_fast, &|| true).unwrap());
        // ... or after so many links were made.
        let to = fs::canonicalize(world.warm()).unwrap().join("2024-10-04");
        for file in world.files(&world.hot()).into_iter().take(linked) {
            symlink(to.join(&file), day.join(format!("{UNFINISHED}{file}"))).unwrap();
            fs::rename(day.join(format!("{UNFINISHED}{file}")), day.join(file)).unwrap();
        }
        if let Some(file) = world.files(&world.hot()).into_iter().next() {
            symlink(to.join(&file), day.join(format!("{UNFINISHED}{file}"))).unwrap();
        }
        let store = world.open();
        assert_eq!(ids(&store), 3);
        tend(&store, DUE);
        assert_eq!(state(&store), (ShardState::Warm, 3), "{linked} linked");
        assert_sound(&world);
        let unfinished =
            entries(&day).unwrap().into_iter().any(|path| is_unfinished(Path::new(path.file_name().unwrap())));
        assert!(!unfinished);
    }
}

#[test]
fn deleted_days_leave_nothing_behind() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE);
    let now = 20_031 * DAY;
    for removal in store.plan(now) {
        store.remove(removal.day).unwrap();
    }
    tend(&store, now);
    assert_eq!(entries(&world.warm()).unwrap(), [world.warm().join(OWNER)]);
}

#[test]
fn a_volume_that_is_not_mounted_is_no_damage() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE);
    drop(store);
    let elsewhere = world.dir.path().join("elsewhere");
    fs::rename(world.warm(), &elsewhere).unwrap();
    let error = Store::open(world.hot(), world.options()).err().unwrap();
    assert!(matches!(error, Error::NoWarm { .. }), "{error}");
    // The mount point is there and empty; or the volume is not configured any more.
    fs::create_dir(world.warm()).unwrap();
    let error = Store::open(world.hot(), world.options()).err().unwrap();
    assert!(matches!(error, Error::Away { .. }), "{error}");
    fs::remove_dir_all(world.warm()).unwrap();
    let error = Store::open(world.hot(), Options::default()).err().unwrap();
    assert!(matches!(error, Error::Away { .. }), "{error}");
    fs::rename(&elsewhere, world.warm()).unwrap();
    assert_eq!(state(&world.open()), (ShardState::Warm, 3));
}

#[test]
fn a_damaged_file_on_the_warm_volume_sets_its_day_aside_and_one_on_the_hot_does_not_move() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE - 1);
    let file = world.files(&world.hot()).into_iter().find(|file| file.ends_with(".store")).unwrap();
    let path = world.hot().join("2024-10-04").join(&file);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[7] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (moved, failed) = store.cool_sealed(DUE, &|| true);
    assert!(moved.is_empty() && matches!(failed, Some(Error::Damaged { .. })), "{failed:?}");
    fs::write(&path, &whole).unwrap();
    assert_eq!(tend(&store, DUE), [20_000]);
    drop(store);
    fs::remove_file(world.warm().join("2024-10-04").join(&file)).unwrap();
    let store = world.open();
    assert_eq!(store.set_aside().len(), 1);
    // What is set aside still links to its files.
    tend(&store, DUE);
    assert!(!world.files(&world.warm()).is_empty());
}

#[test]
fn a_directory_serves_one_store() {
    let world = World::new();
    drop(world.filled());
    let other = tempfile::tempdir().unwrap();
    let error = Store::open(other.path().join("shards"), world.options()).err().unwrap();
    assert!(matches!(error, Error::WarmOwner { .. }), "{error}");
}

#[test]
fn a_snapshot_of_a_warm_day_needs_no_warm_volume() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE);
    let copy = world.dir.path().join("copy");
    store.snapshot(&copy).unwrap();
    drop(store);
    fs::remove_dir_all(world.warm()).unwrap();
    let opened = Store::open(&copy, Options::default()).unwrap();
    assert_eq!(state(&opened), (ShardState::Sealed, 3));
    drop(opened);
    let (laptop, back) = (world.dir.path().join("laptop"), world.dir.path().join("back"));
    link_days(&copy, &[20_000], &laptop, Link::Symbolic).unwrap();
    assert_eq!(ids(&Store::open(&laptop, Options::default()).unwrap()), 3);
    put_back(&copy, &back, 20_000, 3).unwrap();
    assert_eq!(ids(&Store::open(&back, Options::default()).unwrap()), 3);
}

#[test]
fn files_of_strangers_are_left_alone() {
    let world = World::new();
    let store = world.filled();
    tend(&store, DUE);
    let strange = [world.warm().join("notes.txt"), world.warm().join("2024-10-04/notes.txt")];
    for path in &strange {
        fs::write(path, "mine").unwrap();
    }
    store.remove(20_000).unwrap();
    tend(&store, DUE);
    assert!(strange.iter().all(|path| path.exists()));
    assert!(world.files(&world.warm()).is_empty());
}
