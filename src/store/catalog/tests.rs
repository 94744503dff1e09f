//! The store from outside: records in, commits, crashes, damage.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use serde_json::json;
use tantivy::collector::Count;
use tantivy::query::{PhraseQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{SegmentReader, Term};

use super::*;
use crate::record::{Event, Fields as RecordFields, GrammarRef, Record, Role, Stream, StreamKey, Value, WHOLE};
use crate::store::{Documents, GrammarEntry, Stored, words};

const DAY: i64 = time::NANOS_PER_DAY;
const NOON: i64 = 20_000 * DAY + DAY / 2;

fn stream(n: u128) -> Arc<Stream> {
    let fields = json!({"kubernetes": {"pod": {"name": format!("pod-{n}")}}});
    Arc::new(Stream {
        key: StreamKey(n + 1000),
        canonical: fields.to_string(),
        fields: fields.as_object().unwrap().clone(),
        sender: format!("node-{n}"),
        identity_seed: 5,
        memory: AtomicU64::new(0),
    })
}

fn grammar(name: &'static str) -> GrammarRef<'static> {
    GrammarRef { name, version: 7, source: "" }
}

fn event<'e>(ts: i64, id: u64, message: &'e str) -> Event<'e> {
    Event {
        stream: stream(1),
        timestamp: ts,
        message: Some(message),
        offset: Some(id * 10),
        mark: WHOLE | id,
        positioned: true,
        extra: None,
    }
}

fn add(worker: &mut Worker, position: u64, event: &Event<'_>) {
    let fields = RecordFields::new();
    worker.add(position, &Record { event, grammar: None, template: None, fields: &fields }, false).unwrap();
}

fn open(root: &Path) -> Store {
    Store::open(root, Options::default()).unwrap()
}

fn terms(view: &ShardView, term: Term) -> usize {
    view.searcher().search(&TermQuery::new(term, IndexRecordOption::Basic), &Count).unwrap()
}

fn word(view: &ShardView, word: &str) -> usize {
    terms(view, Term::from_field_text(view.fields.text, words::term_of(word).0))
}

fn json_term(field: Field, path: &str, value: &str) -> Term {
    let mut term = Term::from_field_json_path(field, path, true);
    term.append_type_and_str(value);
    term
}

/// Documents with a keyword.
fn keyword(view: &ShardView, path: &str, value: &str) -> usize {
    let count = |reader: &SegmentReader| {
        let Some(column) = reader.fast_fields().str(&format!("kw.{path}")).unwrap() else { return 0 };
        let Some(ordinal) = column.dictionary().term_ord(value).unwrap() else { return 0 };
        (0..reader.max_doc()).filter(|doc| column.term_ords(*doc).any(|found| found == ordinal)).count()
    };
    view.searcher().segment_readers().iter().map(count).sum()
}

fn docs(store: &Store) -> Vec<(String, u64)> {
    store.shards().iter().map(|view| (time::format_day(view.day), view.docs())).collect()
}

/// The stored lines, of all segments in turn.
fn lines(view: &ShardView) -> Vec<String> {
    each_stored(view, |stored| stored.line().map(str::to_owned))
}

fn each_stored<T>(view: &ShardView, what: impl Fn(&Stored) -> Option<T>) -> Vec<T> {
    let mut all = Vec::new();
    for reader in view.searcher().segment_readers() {
        let documents = Documents::open(reader, view.fields).unwrap();
        all.extend((0..reader.max_doc()).filter_map(|doc| what(&documents.stored(doc).unwrap())));
    }
    all
}

#[test]
fn a_record_comes_back_by_all_its_parts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut worker = store.worker();
    let line = r#"I0817 17:51:22.123456 9 reflector.go:42] "Unable to Sync" pod="a/b" path=/Api/v1"#;
    let mut event = event(NOON, 7, line);
    event.extra = Some(r#"{"log":{"flags":["multiline","truncated"]},"n":{"x.y":3},"parse":{"error":"no"},"ok":true}"#);
    let mut fields = RecordFields::new();
    fields.str("level", Role::Keyword, "I");
    fields.str("time", Role::Stamp, "17:51:22.123456");
    fields.str("odd", Role::Stamp, "yesterday");
    fields.u64("thread_id", 9);
    fields.str("msg", Role::Text, "Unable to Sync");
    fields.str("kv\u{1}pod", Role::Keyword, "a/b");
    fields.str("path", Role::Path, "/Api/v1");
    fields.str("request_id", Role::Id, "8f3a-11");
    fields.push("ratio", Role::Keyword, Value::F64(0.5));
    fields.push("delta", Role::Keyword, Value::I64(-4));
    worker
        .add(1, &Record { event: &event, grammar: Some(grammar("klog")), template: None, fields: &fields }, true)
        .unwrap();
    assert_eq!(docs(&store), [("2024-10-04".to_owned(), 0)]);
    let cut = worker.cut().unwrap();
    let stats = store.commit(1, vec![cut]).unwrap();
    assert_eq!(stats, CommitStats { shards: 1, segments: 1, records: 1 });

    let view = &store.shards()[0];
    let grammar = GrammarEntry { name: "klog".to_owned(), version: 7, source: String::new() };
    assert_eq!(view.grammars(), [Arc::new(grammar)]);
    let column = view.searcher().segment_reader(0).fast_fields().u64("grammar").unwrap();
    assert_eq!(column.first(0), Some(0));
    let f = view.fields;
    for (text, hits) in [("unable", 1), ("sync", 1), ("api", 1), ("v1", 1), ("reflector", 0), ("17", 0), ("Sync", 0)] {
        assert_eq!(word(view, text), hits, "{text}");
    }
    let phrase = |words: [&str; 2]| PhraseQuery::new(words.map(|w| Term::from_field_text(f.text, w)).to_vec());
    assert_eq!(view.searcher().search(&phrase(["to", "sync"]), &Count).unwrap(), 1);
    assert_eq!(view.searcher().search(&phrase(["sync", "api"]), &Count).unwrap(), 0);
    for (path, value, hits) in [
        ("level", "I", 1),
        ("odd", "yesterday", 1),
        ("kv.pod", "a/b", 1),
        ("path", "/Api/v1", 1),
        ("log.flags", "truncated", 1),
        ("parse.error", "no", 1),
        ("time", "17:51:22.123456", 0),
        ("msg", "Unable to Sync", 0),
        ("request_id", "8f3a-11", 0),
    ] {
        assert_eq!(keyword(view, path, value), hits, "{path}");
    }
    assert_eq!(terms(view, json_term(f.ident, "request_id", "8f3a-11")), 1);

    let columns = view.searcher().segment_readers()[0].fast_fields();
    assert_eq!(columns.i64("ts").unwrap().first(0), Some(NOON));
    assert_eq!(columns.u64("mark").unwrap().first(0), Some(WHOLE | 7));
    assert_eq!(columns.u64("offset").unwrap().first(0), Some(70));
    assert_eq!(columns.i64("num.thread_id").unwrap().first(0), Some(9));
    assert_eq!(columns.i64("num._stamp.time").unwrap().first(0), Some(64_282_123_456));
    assert_eq!(columns.f64("num.ratio").unwrap().first(0), Some(0.5));
    assert_eq!(columns.i64("num.delta").unwrap().first(0), Some(-4));
    assert_eq!(columns.i64("num.n.x.y").unwrap().first(0), Some(3));
    assert!(columns.str("kw.level").unwrap().is_some());
    assert!(columns.bool("kw.ok").unwrap().first(0) == Some(true));
    let number = columns.u64("stream").unwrap().first(0).unwrap();
    assert_eq!(view.streams()[number as usize].fields, stream(1).fields);
    assert_eq!(lines(view), [line]);
    assert_eq!(each_stored(view, |stored| stored.extra().map(str::to_owned)), [event.extra.unwrap()]);
    assert_eq!(view.position(), 1);
}

#[test]
fn an_uncovered_line_is_indexed_whole_and_escapes_besides() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut worker = store.worker();
    let event = event(NOON, 1, r#"{"msg":"caf\u00e9 open","n":404}"#);
    let mut fields = RecordFields::new();
    fields.push("msg", Role::Text, Value::Str(Cow::Owned("caf\u{e9} open".into())));
    worker
        .add(1, &Record { event: &event, grammar: Some(grammar("json")), template: None, fields: &fields }, false)
        .unwrap();
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let view = &store.shards()[0];
    for text in ["caf\u{e9}", "u00e9", "open", "404", "msg", "n"] {
        assert_eq!(word(view, text), 1, "{text}");
    }
}

#[test]
fn values_of_any_type_and_length_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut worker = store.worker();
    let long = format!("start {} end", "x".repeat(70_000));
    let nul = "a\u{0}b";
    for (id, value) in [
        Value::U64(200),
        Value::Str("OK".into()),
        Value::Bool(false),
        Value::F64(1.5),
        Value::I64(-1),
        Value::U64(u64::MAX),
        Value::Str((&*long).into()),
        Value::Str("".into()),
        Value::Str(nul.into()),
        Value::Json(Box::new(json!(["one", 2, null, {"deep": [true]}]))),
    ]
    .into_iter()
    .enumerate()
    {
        let event = event(NOON, id as u64, &long);
        let mut fields = RecordFields::new();
        fields.push("code", Role::Keyword, value.clone());
        fields.push("co\u{0}de", Role::Keyword, value.clone());
        fields.push("an.id", Role::Id, value);
        worker
            .add(1, &Record { event: &event, grammar: Some(grammar("g")), template: None, fields: &fields }, true)
            .unwrap();
    }
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let view = &store.shards()[0];
    assert_eq!(view.docs(), 10);
    assert_eq!(keyword(view, "code", "OK"), 1);
    assert_eq!(keyword(view, "code", "one"), 1);
    assert_eq!(keyword(view, "code", nul), 1);
    assert_eq!(terms(view, json_term(view.fields.ident, "an.id", "OK")), 1);
    assert_eq!((word(view, "start"), word(view, "end"), word(view, &"x".repeat(70_000))), (1, 1, 1));
    assert!(view.is_unindexed("co\u{0}de") && !view.is_unindexed("code"));
    let columns = view.searcher().segment_readers()[0].fast_fields();
    let code = columns.f64("num.code").unwrap();
    assert_eq!([0, 3, 4].map(|doc| code.first(doc)), [Some(200.0), Some(1.5), Some(-1.0)]);
    assert_eq!(lines(view)[6], long);
}

#[test]
fn names_beyond_the_limit_are_found_by_words() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { paths_max: 2, ..Options::default() };
    let store = Store::open(dir.path(), options.clone()).unwrap();
    let mut worker = store.worker();
    let event = event(NOON, 1, "line");
    let mut fields = RecordFields::new();
    fields.str("a", Role::Keyword, "in a");
    fields.str("b\u{1}c", Role::Keyword, "in b");
    fields.str("d", Role::Keyword, "over d");
    fields.u64("e", 555);
    fields.push("f", Role::Keyword, Value::Bool(true));
    worker
        .add(1, &Record { event: &event, grammar: Some(grammar("g")), template: None, fields: &fields }, true)
        .unwrap();
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let check = |store: &Store| {
        let view = &store.shards()[0];
        for (text, hits) in [("over", 1), ("555", 1), ("true", 1), ("in", 0)] {
            assert_eq!(word(view, text), hits, "{text}");
        }
        let unindexed = ["a", "b.c", "b\u{1}c", "d", "e", "f"].map(|path| view.is_unindexed(path));
        assert_eq!(unindexed, [false, false, false, true, true, true]);
    };
    check(&store);
    drop((worker, store));
    check(&Store::open(dir.path(), options).unwrap());
}

#[test]
fn late_lines_go_to_their_day_and_few_days_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { open_days_max: 2, ..Options::default() }).unwrap();
    let mut worker = store.worker();
    for n in 0..40 {
        add(&mut worker, 1, &event(NOON - (n % 5) * DAY, n as u64, "late"));
    }
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let days = ["2024-10-04", "2024-10-03", "2024-10-02", "2024-10-01", "2024-09-30"];
    assert_eq!(docs(&store), days.map(|day| (day.to_owned(), 8)));
    assert_eq!(store.commit(2, vec![worker.cut().unwrap()]).unwrap(), CommitStats::default());
}

#[test]
fn a_full_worker_finishes_early_and_shows_nothing_before_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { worker_memory_bytes: 1, ..Options::default() }).unwrap();
    let mut worker = store.worker();
    for n in 0..600 {
        add(&mut worker, 1, &event(NOON, n, "some words"));
    }
    let cut = worker.cut().unwrap();
    assert_eq!(docs(&store)[0].1, 0);
    assert_eq!(store.commit(1, vec![cut]).unwrap(), CommitStats { shards: 1, segments: 3, records: 600 });
    assert_eq!((docs(&store)[0].1, worker.memory_bytes()), (600, 0));
}

#[test]
fn two_workers_share_stream_numbers_and_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut workers = [store.worker(), store.worker()];
    for n in 0..100u64 {
        for (w, worker) in workers.iter_mut().enumerate() {
            let mut event = event(NOON + n as i64, n * 2 + w as u64, "x");
            event.stream = stream(u128::from(n % 7));
            add(worker, 3, &event);
        }
    }
    let cuts = workers.iter_mut().map(|worker| worker.cut().unwrap()).collect();
    assert_eq!(store.commit(3, cuts).unwrap(), CommitStats { shards: 1, segments: 2, records: 200 });
    let view = &store.shards()[0];
    assert_eq!((view.streams().len(), view.docs(), view.position()), (7, 200, 3));
    let mut ids = Vec::new();
    store
        .recent_ids(|sender, id| {
            assert_eq!(sender, format!("node-{}", id % WHOLE / 2 % 7));
            ids.push(id);
            if ids.len() < 150 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert_eq!((ids.len(), ids[0] % WHOLE / 2, ids[1] % WHOLE / 2, ids[100] % WHOLE / 2), (150, 99, 98, 99));
}

#[test]
fn after_a_crash_between_two_shards_replay_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let first = |worker: &mut Worker| {
        add(worker, 1, &event(NOON, 1, "one"));
        add(worker, 1, &event(NOON - DAY, 2, "two"));
    };
    let second = |worker: &mut Worker| {
        add(worker, 2, &event(NOON, 3, "three"));
        add(worker, 2, &event(NOON - DAY, 4, "four"));
    };
    {
        let store = open(dir.path());
        let mut worker = store.worker();
        first(&mut worker);
        store.commit(1, vec![worker.cut().unwrap()]).unwrap();
        second(&mut worker);
        // The crash: today's shard commits, yesterday's does not.
        let mut cut = worker.cut().unwrap();
        cut.parts.retain(|(shard, _)| shard.day == time::day_of(NOON));
        store.commit(2, vec![cut]).unwrap();
    }
    let store = open(dir.path());
    assert_eq!(docs(&store), [("2024-10-04".to_owned(), 2), ("2024-10-03".to_owned(), 1)]);
    let positions: Vec<u64> = store.committed().iter().map(|shard| shard.1).collect();
    assert_eq!(positions, [2, 1]);
    let mut worker = store.worker();
    first(&mut worker);
    second(&mut worker);
    assert_eq!(worker.dropped(), 3);
    store.commit(2, vec![worker.cut().unwrap()]).unwrap();
    assert_eq!(docs(&store), [("2024-10-04".to_owned(), 2), ("2024-10-03".to_owned(), 2)]);
    // In whichever order the segments stand.
    let mut lines = lines(&store.shards()[1]);
    lines.sort();
    assert_eq!(lines, ["four", "two"]);
}

#[test]
fn what_was_cut_and_never_committed_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let segment_files = || {
        let files = fs::read_dir(dir.path().join("2024-10-04")).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().len() > 32).count()
    };
    let store = open(dir.path());
    let mut worker = store.worker();
    add(&mut worker, 1, &event(NOON, 1, "kept"));
    store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    let kept = segment_files();
    add(&mut worker, 2, &event(NOON, 2, "lost"));
    drop(worker.cut().unwrap());
    assert!(segment_files() > kept);
    drop((worker, store));
    fs::create_dir(dir.path().join(".new-2024-10-05")).unwrap();
    let store = open(dir.path());
    assert_eq!(segment_files(), kept);
    assert_eq!(docs(&store), [("2024-10-04".to_owned(), 1)]);
    assert!(!dir.path().join(".new-2024-10-05").exists());
}

#[test]
fn a_damaged_shard_is_set_aside_and_the_others_serve() {
    for broken in ["meta.json", "streams.log", "store"] {
        let dir = tempfile::tempdir().unwrap();
        {
            let store = open(dir.path());
            let mut worker = store.worker();
            add(&mut worker, 1, &event(NOON, 1, "one"));
            add(&mut worker, 1, &event(NOON - DAY, 2, "two"));
            store.commit(1, vec![worker.cut().unwrap()]).unwrap();
        }
        let day = dir.path().join("2024-10-03");
        if broken == "store" {
            for file in fs::read_dir(&day).unwrap().flatten() {
                if file.path().extension().is_some_and(|e| e == "store") {
                    fs::remove_file(file.path()).unwrap();
                }
            }
        } else {
            fs::write(day.join(broken), "garbage, certainly").unwrap();
        }
        let store = open(dir.path());
        assert_eq!(docs(&store), [("2024-10-04".to_owned(), 1)], "{broken}");
        let [aside] = store.set_aside() else { panic!("{broken}: {:?}", store.set_aside()) };
        assert!(aside.message.contains("2024-10-03.damaged-1"), "{}", aside.message);
        assert!(aside.moved_to.as_ref().unwrap().exists());
        let mut worker = store.worker();
        add(&mut worker, 2, &event(NOON - DAY, 3, "three"));
        store.commit(2, vec![worker.cut().unwrap()]).unwrap();
        assert_eq!(docs(&store)[1], ("2024-10-03".to_owned(), 1));
    }
}

#[test]
fn a_lost_stream_table_tail_is_told_and_numbers_stay() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        let mut worker = store.worker();
        add(&mut worker, 1, &event(NOON, 1, "one"));
        store.commit(1, vec![worker.cut().unwrap()]).unwrap();
    }
    let log = dir.path().join("2024-10-04/streams.log");
    fs::write(&log, &fs::read(&log).unwrap()[..40]).unwrap();
    let store = open(dir.path());
    assert_eq!(store.set_aside().len(), 1);
    assert_eq!(store.set_aside()[0].moved_to, None);
    let view = &store.shards()[0];
    assert_eq!((view.docs(), view.streams().len()), (1, 1));
}

#[test]
fn a_directory_is_one_process_and_one_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(Store::open(dir.path(), Options::default()), Err(Error::Locked { .. })));
    drop(store);
    fs::write(dir.path().join("VERSION"), "99\n").unwrap();
    assert!(matches!(Store::open(dir.path(), Options::default()), Err(Error::Version { .. })));
}

#[test]
fn many_commits_merge_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut worker = store.worker();
    for position in 1..=40 {
        add(&mut worker, position, &event(NOON, position, "again"));
        store.commit(position, vec![worker.cut().unwrap()]).unwrap();
    }
    store.idle(NOON).unwrap();
    store.idle(NOON + 601 * time::NANOS_PER_SECOND).unwrap();
    let view = &store.shards()[0];
    assert_eq!((view.docs(), word(view, "again")), (40, 40));
    assert!(view.searcher().segment_readers().len() < 30);
    assert!(store.rewritten() >= 16);
    drop((worker, store));
    assert_eq!(docs(&open(dir.path()))[0].1, 40);
}
