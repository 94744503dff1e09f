//! Flipped bytes in a day's files, and what `loghound shards repair` makes of it.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::{LogFile, Server, windows};
use loghound::ship::{self, Options, Stats, Windows};

const SOON: Duration = Duration::from_secs(30);

fn loghound(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loghound")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn send(server: &Server, file: &mut LogFile, lines: &[String]) {
    let events = file.events(lines);
    let options = Options::new(server.beats.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = Windows::Prepared(windows(&events, 100, 3).into_iter());
    runtime.block_on(ship::send(&options, sent, &Stats::default())).unwrap();
}

fn klog(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("E1122 10:00:00.{n:06}       1 lease.go:{n}] failed to renew lease number {n}")).collect()
}

/// The day's files of a kind, the largest last.
fn files(day: &Path, kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == kind));
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    files
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    // The file may be linked from elsewhere: what is there stays whole.
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
}

/// A server that has stopped after two commits, its data and its one day.
fn filled() -> (Server, String, PathBuf) {
    let mut server = Server::start_in(None, &[], &[("LOGHOUND_STORE_WORKERS", "1")]);
    let mut file = LogFile::new("node-1");
    send(&server, &mut file, &klog(0..200));
    server.wait_for_lines("lease", &klog(0..200), SOON);
    send(&server, &mut file, &klog(200..500));
    server.wait_for_lines("lease", &klog(0..500), SOON);
    assert!(server.terminate().success());
    let data = server.data_dir.to_str().unwrap().to_owned();
    let days = std::fs::read_dir(server.data_dir.join("shards")).unwrap().map(|day| day.unwrap().path());
    let day = days.filter(|path| path.is_dir()).last().unwrap();
    (server, data, day)
}

fn is_sound(data: &str) -> bool {
    loghound(&["shards", "verify", "--data-dir", data]).status.success()
}

#[test]
fn a_damaged_index_is_made_anew_and_nothing_is_lost() {
    for kind in ["term", "idx", "pos"] {
        let (mut server, data, day) = filled();
        let name = day.file_name().unwrap().to_str().unwrap();
        let sound = loghound(&["shards", "repair", name, "--data-dir", &data]);
        assert!(text(&sound.stderr).contains("nothing to repair"), "{}", text(&sound.stderr));
        let Some(file) = files(&day, kind).pop() else { panic!("a segment has no .{kind} file any more") };
        flip(&file);
        assert!(!is_sound(&data), "{kind}");
        let done = loghound(&["shards", "repair", name, "--data-dir", &data]);
        let said = text(&done.stdout);
        assert!(done.status.success(), "{kind}: {}", text(&done.stderr));
        assert!(said.contains("nothing of them is lost") && !said.contains("left out"), "{kind}: {said}");
        assert!(is_sound(&data), "{kind}");
        server.restart();
        server.wait_for_lines("lease AND filename:lease.go AND level:E", &klog(0..500), SOON);
        // What comes again is known.
        send(&server, &mut LogFile::new("node-1"), &klog(0..500));
        send(&server, &mut LogFile::new("node-2"), &["the last".to_owned()]);
        server.wait_for_lines("\"the last\"", &["the last"], SOON);
        assert_eq!(server.search("lease", 0, None)["total"], 500);
    }
}

#[test]
fn damaged_records_are_left_out_and_kept_beside() {
    let (mut server, data, day) = filled();
    let name = day.file_name().unwrap().to_str().unwrap();
    let stores = files(&day, "store");
    assert!(stores.len() > 1, "the commits were merged: {stores:?}");
    flip(&stores[0]);
    let done = loghound(&["shards", "repair", name, "--data-dir", &data]);
    let said = text(&done.stdout);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let counts: Vec<u64> = said.split([' ', '\n']).filter_map(|word| word.parse().ok()).collect();
    assert!(counts.len() == 2 && counts[0] > 0 && counts[1] > 0 && counts[0] + counts[1] == 500, "{said}");
    let kept = day.with_file_name(format!("{name}.replaced-1"));
    assert!(said.contains(&*kept.to_string_lossy()) && kept.is_dir(), "{said}");
    server.restart();
    assert_eq!(server.search("lease", 0, None)["total"], counts[0]);
    // The shipper sends again what it still has.
    send(&server, &mut LogFile::new("node-1"), &klog(0..500));
    server.wait_for_lines("lease", &klog(0..500), SOON);
}

#[test]
fn a_day_that_was_set_aside_comes_back() {
    let (mut server, data, day) = filled();
    let name = day.file_name().unwrap().to_str().unwrap().to_owned();
    // Cut off: it cannot even be opened.
    let file = files(&day, "fast").remove(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    server.restart();
    assert!(server.log().contains("set aside"), "{}", server.log());
    // What comes meanwhile is not lost with the repair; of what comes again nothing is there twice.
    send(&server, &mut LogFile::new("node-2"), &["after the fact".to_owned()]);
    send(&server, &mut LogFile::new("node-1"), &klog(0..10));
    server.wait_for_lines("\"after the fact\"", &["after the fact"], SOON);
    assert!(server.terminate().success());
    let (aside, missing) = (format!("{name}.damaged-1"), "1999-01-01");
    let wrong = loghound(&["shards", "repair", missing, "--data-dir", &data]);
    assert!(text(&wrong.stderr).contains("there is no 1999-01-01"), "{}", text(&wrong.stderr));
    let done = loghound(&["shards", "repair", &aside, "--data-dir", &data]);
    let said = text(&done.stdout);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let counts: Vec<u64> = said.split([' ', '\n']).filter_map(|word| word.parse().ok()).collect();
    let [sound, added, lost] = counts[..] else { panic!("{said}") };
    assert!(sound + lost == 500 && added >= 1 && said.contains(&aside), "{said}");
    server.restart();
    server.wait_for_lines("\"after the fact\"", &["after the fact"], SOON);
    let lines = server.messages("lease");
    let distinct: std::collections::BTreeSet<_> = lines.iter().collect();
    assert_eq!(lines.len(), distinct.len(), "{said}");
    assert_eq!(lines.len() as u64, sound + added - 1, "{said}");
}

#[test]
fn a_day_of_which_nothing_is_left_stays_as_it_is() {
    let (_server, data, day) = filled();
    let name = day.file_name().unwrap().to_str().unwrap();
    let before = files(&day, "store");
    before.iter().for_each(|file| flip(file));
    let refused = loghound(&["shards", "repair", name, "--data-dir", &data]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("nothing of "), "{}", text(&refused.stderr));
    assert_eq!(files(&day, "store"), before);
    assert!(!Path::new(&data).join(".repair").exists());
}
