//! Templates of stored records: the same text keeps its template over kills and restarts, and the counts are those of
//! the records. `LOGHOUND_CRASH_ROUNDS` kills (12), `LOGHOUND_CRASH_SEED` repeats a run.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LogFile, Server, eventually, now_nanos, windows};
use loghound::ship::{self, Options, Pace, Random, Stats, Window, Windows};
use serde_json::Value;
use tokio::sync::mpsc;

const EVENTS_PER_SECOND: f64 = 2500.0;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A word without digits.
fn word(random: &mut Random) -> String {
    (0..6).map(|_| char::from(b'a' + random.below(20) as u8)).collect()
}

/// klog lines of many statements, and lines that no grammar knows. New words come up all the time, so that templates are
/// made and joined between any two commits.
fn line(random: &mut Random, vocabulary: &mut Vec<String>) -> String {
    if vocabulary.len() < 40 || random.chance(0.02) {
        vocabulary.push(word(random));
    }
    let mut pick = || vocabulary[random.below(vocabulary.len())].clone();
    let (a, b) = (pick(), pick());
    let n = random.below(900);
    let site = random.below(60);
    let file = char::from(b'a' + n as u8 % 5);
    match random.below(4) {
        0 => format!("I0817 17:51:22.{n:06}       1 {file}.go:{site}] \"Sync\" pod=\"{a}/{b}\" took={n}"),
        1 => format!("W0817 17:51:22.{n:06}       1 lease.go:{site}] Resetting endpoints for {b} to {n}"),
        2 => format!("{} cannot reach 10.0.0.{n} ({b})", char::from(b'a' + site as u8 % 9)),
        _ => format!("session of user {b} opened by {a} in {n} ms"),
    }
}

/// What decides a line's template: klog's log statement, else the text without the numbers.
fn text_of(message: &str) -> String {
    match message.split_once("] ").filter(|(header, _)| header.contains("0817 ")) {
        Some((header, _)) => header.rsplit(' ').next().unwrap().to_owned(),
        None => message.chars().filter(|c| !c.is_ascii_digit()).collect(),
    }
}

/// One Filebeat: makes windows until told to stop; gives the lines it sent.
async fn feed(name: &'static str, seed: u64, stop: Arc<AtomicBool>, out: mpsc::Sender<Window>) -> Vec<String> {
    let (mut random, mut vocabulary, mut file) = (Random::new(seed), Vec::new(), LogFile::new(name));
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let lines: Vec<String> = (0..1 + random.below(200)).map(|_| line(&mut random, &mut vocabulary)).collect();
        for window in windows(&file.events(&lines), lines.len(), 3) {
            out.send(window).await.unwrap();
        }
        sent.extend(lines);
    }
    sent
}

fn send(server: &Server, file: &mut LogFile, lines: &[String]) {
    let options = Options::new(server.beats.to_string());
    let stats = Arc::new(Stats::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ship::send(&options, windows(&file.events(lines), 500, 3).into(), &stats)).unwrap();
}

fn id_of(record: &Value) -> u64 {
    record["template"].as_u64().unwrap_or_else(|| panic!("no template: {record}"))
}

/// Every record's template by its text; panics where one text has two.
fn templates(records: &[Value]) -> HashMap<String, u64> {
    let mut ids = HashMap::new();
    for record in records {
        let (text, id) = (text_of(record["message"].as_str().unwrap()), id_of(record));
        let known = *ids.entry(text.clone()).or_insert(id);
        assert_eq!(known, id, "{text}");
    }
    ids
}

fn patterns(server: &Server, parameters: &str) -> Value {
    let (status, answer) = server.get(&format!("/api/v1/patterns?limit=1000{parameters}"));
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Says where the two differ and no more.
fn same(expected: &BTreeMap<u64, u64>, found: impl Iterator<Item = (u64, u64)>) {
    let found: BTreeMap<u64, u64> = found.collect();
    let ids: BTreeSet<&u64> = expected.keys().chain(found.keys()).collect();
    let differing: Vec<_> = ids.into_iter().filter(|id| expected.get(id) != found.get(id)).take(5).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// Counts of the API, by facet and by pattern, are those of the records.
fn counts_agree(server: &Server, records: &[Value]) {
    let mut counted = BTreeMap::new();
    for record in records {
        *counted.entry(id_of(record)).or_insert(0u64) += 1;
    }
    let answer = patterns(server, "");
    let rows = answer["patterns"].as_array().unwrap();
    let of = |row: &Value, id: &str| (row[id].as_u64().unwrap(), row["count"].as_u64().unwrap());
    same(&counted, rows.iter().map(|row| of(row, "id")));
    assert_eq!((answer["total"].as_u64(), answer["without"].as_u64()), (Some(records.len() as u64), Some(0)));
    for row in rows {
        assert!(row["text"].is_string(), "{row}");
    }
    let (_, facets) = server.get("/api/v1/facets?fields=template&limit=1000");
    let values = facets["facets"][0]["values"].as_array().unwrap();
    same(&counted, values.iter().map(|row| of(row, "value")));
    // Each is found by its id.
    for (id, count) in counted.iter().step_by(7) {
        assert_eq!(server.search(&format!("template:{id}"), 0, None)["total"].as_u64(), Some(*count), "{id}");
    }
}

#[test]
fn the_same_text_keeps_its_template_over_many_kills() {
    let rounds = number("LOGHOUND_CRASH_ROUNDS", 12);
    let seed = number("LOGHOUND_CRASH_SEED", now_nanos() as u64);
    eprintln!("LOGHOUND_CRASH_ROUNDS={rounds} LOGHOUND_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stats = Arc::new(Stats::default());
    let mut options = Options::new(server.beats.to_string());
    options.backoff_init = Duration::from_millis(20);
    options.backoff_max = Duration::from_millis(200);
    options.give_up = Some(Duration::from_secs(180));
    options.pace =
        Some(Arc::new(runtime.block_on(async { Pace::new(tokio::time::Instant::now(), EVENTS_PER_SECOND) })));
    let mut clients = Vec::new();
    for (name, seed) in [("patterns-a", seed), ("patterns-b", seed ^ 1)] {
        let (sender, receiver) = mpsc::channel(1);
        let feeding = runtime.spawn(feed(name, seed, stop.clone(), sender));
        let (options, stats) = (options.clone(), stats.clone());
        let sending = runtime.spawn(async move { ship::send(&options, Windows::Channel(receiver), &stats).await });
        clients.push((feeding, sending));
    }
    for round in 0..rounds {
        // Around the commits, which come each second: before, within and after the save of templates.
        std::thread::sleep(Duration::from_millis(random.below(1500) as u64));
        assert!(server.is_running(), "the server died by itself in round {round}\n{}", server.log());
        server.kill9();
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let mut lines = Vec::new();
    for (feeding, sending) in clients {
        lines.extend(runtime.block_on(feeding).unwrap());
        runtime.block_on(sending).unwrap().unwrap();
    }
    server.wait_for_lines("*", &lines, Duration::from_secs(60));
    assert!(!server.log().contains("templates: "), "{}", server.log());
    let before = server.records("*");
    let ids = templates(&before);
    counts_agree(&server, &before);
    eprintln!("{} lines, {} texts, {} templates", lines.len(), ids.len(), patterns(&server, "")["templates"]);

    // The same lines once more, after one more kill: the same templates.
    server.kill9();
    server.restart();
    let mut again = LogFile::new("patterns-again");
    let sample: Vec<String> = lines.iter().step_by(3).cloned().collect();
    send(&server, &mut again, &sample);
    server.wait_for_lines("kubernetes.container.name:patterns-again", &sample, Duration::from_secs(30));
    let after = server.records("*");
    let now = templates(&after);
    let moved: Vec<_> = ids.iter().filter(|(text, id)| now.get(*text) != Some(id)).take(5).collect();
    assert!(moved.is_empty() && now.len() == ids.len(), "{moved:?}");
    counts_agree(&server, &after);
}

#[test]
fn a_new_statement_is_told_with_the_nearest() {
    let server = Server::start();
    let mut file = LogFile::new("news");
    let known: Vec<String> = (0..40).map(|n| format!("lease of node-{n} expired after {n} s")).collect();
    send(&server, &mut file, &known);
    server.wait_for_lines("*", &known, Duration::from_secs(30));
    let last = server.search("*", 1, None)["hits"][0]["@timestamp"].as_str().unwrap().to_owned();
    // Later than all of them, by the clock of the lines.
    let from = eventually_after(&last);
    send(
        &server,
        &mut file,
        &["lease of node-7 expired early after 3 s".into(), "lease of node-8 expired after 9 s".into()],
    );
    eventually(Duration::from_secs(30), || match server.search("*", 0, None)["total"].as_u64() {
        Some(42) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let answer = patterns(&server, &format!("&from={from}"));
    let rows = answer["patterns"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{answer}");
    let row = |new: bool| rows.iter().find(|row| row["new"] == new).unwrap();
    let (old, new) = (row(false), row(true));
    assert_eq!((&old["text"], &old["count"]), (&"lease of <*> expired after <*>".into(), &1.into()));
    assert_eq!(new["text"], "lease of <*> expired early after <*>");
    assert_eq!(new["example"], "lease of node-7 expired early after 3 s");
    assert_eq!(new["examples"], serde_json::json!([["node-7"], ["3 s"]]));
    let step = |change: &str, text: &str| serde_json::json!({"change": change, "text": text});
    assert_eq!(new["nearest"]["id"], old["id"]);
    assert_eq!(
        new["nearest"]["difference"],
        serde_json::json!([step("same", "lease of <*> expired"), step("new", "early"), step("same", "after <*>")])
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["patterns", "lease", "--from", &from, "--server", &format!("http://{}", server.http)])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("  new ") && table.contains("expired {+early+} after"), "{table}");
    let metrics = server.text("/metrics");
    assert!(metrics.contains("loghound_parse_templates 2\n"), "{metrics}");
    assert!(metrics.contains("loghound_parse_templates_new_total 2\n"), "{metrics}");
}

/// A time after `last`, once it has come: RFC 3339.
fn eventually_after(last: &str) -> String {
    let last: jiff::Timestamp = last.parse().unwrap();
    let next = last + Duration::from_millis(1);
    eventually(Duration::from_secs(5), || {
        if jiff::Timestamp::now() > next { Ok(()) } else { Err("the clock stands still".to_owned()) }
    });
    next.to_string()
}

#[test]
fn a_damaged_registry_costs_texts_and_nothing_else() {
    let mut server = Server::start();
    let mut file = LogFile::new("damage");
    let lines: Vec<String> = (0..30).map(|n| format!("statement {}", char::from(b'a' + n % 26))).collect();
    send(&server, &mut file, &lines);
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
    let highest = server.records("*").iter().map(id_of).max().unwrap();
    server.kill9();
    let registry = server.data_dir.join("templates/registry");
    let mut bytes = std::fs::read(&registry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&registry, bytes).unwrap();
    server.restart();
    assert!(server.log().contains("templates: cannot use"), "{}", server.log());
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
    send(&server, &mut file, &["something that is new".into()]);
    eventually(Duration::from_secs(30), || match server.records("something").first() {
        Some(record) if id_of(record) > highest => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Lines of before are still found by their ids, and shown by an example.
    let answer = patterns(&server, "");
    assert_eq!(answer["total"], 31);
    assert!(answer["patterns"].as_array().unwrap().iter().all(|row| row["example"].is_string()));
}

#[test]
fn nothing_is_committed_before_its_templates_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    // A registry cannot be written where a directory has its name.
    let in_the_way = dir.path().join("templates/registry.tmp");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let server = Server::start_with(Some(dir.path()), &[]);
    let lines = ["volume mounted".to_owned()];
    send(&server, &mut LogFile::new("order"), &lines);
    eventually(Duration::from_secs(30), || {
        if server.log().contains("cannot save new templates") { Ok(()) } else { Err(server.log()) }
    });
    assert_eq!(server.search("*", 0, None)["total"], 0);
    std::fs::remove_dir(&in_the_way).unwrap();
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
    assert_eq!(id_of(&server.records("*")[0]), 1);
}

#[test]
fn templates_can_be_turned_off() {
    let mut server = Server::start_in(None, &[], &[("LOGHOUND_TEMPLATES_MEMORY", "0")]);
    let lines = ["volume mounted".to_owned()];
    send(&server, &mut LogFile::new("off"), &lines);
    server.wait_for_lines("*", &lines, Duration::from_secs(30));
    assert!(server.records("*")[0].get("template").is_none());
    assert_eq!(patterns(&server, "")["without"], 1);
    assert!(!server.data_dir.join("templates").exists());
    // And on again: what comes then has one.
    assert!(server.terminate().success());
    let on = Server::start_with(Some(&server.data_dir), &[]);
    send(&on, &mut LogFile::new("on"), &lines);
    eventually(Duration::from_secs(30), || match patterns(&on, "")["total"].as_u64() {
        Some(2) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let answer = patterns(&on, "");
    assert_eq!((&answer["without"], &answer["patterns"][0]["count"]), (&1.into(), &1.into()));
    assert_eq!(on.search("template:1", 0, None)["total"], 1);
}
