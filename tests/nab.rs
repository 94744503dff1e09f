//! The Numenta Anomaly Benchmark: `loghound detect`'s scores against labelled windows, with NAB's own rules of scoring.
//!
//! The labelled data is not part of this repository: `NAB_DIR` says where it is, else it is looked for beside the working copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use loghound::cli::detect::score_rows;

/// NAB's profiles: what a false row and a missed window cost, a window found being worth 1.
const STANDARD: (f64, f64) = (0.11, 1.0);
const LOW_FP: (f64, f64) = (0.22, 1.0);
const LOW_FN: (f64, f64) = (0.11, 2.0);
/// A threshold nothing reaches.
const NEVER: f64 = 1.1;

/// A row that is scored: its score, its window if it is in one, and what a detection there is worth before weights.
type Row = (f64, Option<usize>, f64);

struct Scored {
    key: String,
    rows: Vec<Row>,
    windows: usize,
}

#[test]
fn labelled_windows_are_found_and_little_else() {
    let Some(dir) = data() else {
        println!("skipped: no NAB data beside the working copy; NAB_DIR names its directory");
        return;
    };
    let windows: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&fs::read_to_string(dir.join("windows.json")).unwrap()).unwrap();
    let files: Vec<Scored> = windows.iter().map(|(key, windows)| scored(&dir, key, windows)).collect();
    let mut reached = Vec::new();
    for (name, profile) in [("standard", STANDARD), ("low FP", LOW_FP), ("low FN", LOW_FN)] {
        let threshold = choose(&files, profile);
        let (mut raw, mut hit, mut outside) = (0.0, 0, 0);
        for file in &files {
            let (score, windows, rows) = at(file, threshold, profile);
            raw += score;
            hit += windows;
            outside += rows;
            if name == "standard" {
                println!("{:60} {score:7.3}  {windows}/{} windows, {rows} rows outside", file.key, file.windows);
            }
        }
        let all: usize = files.iter().map(|file| file.windows).sum();
        let live: usize = files.iter().map(live).sum();
        let nothing = -profile.1 * live as f64;
        let score = 100.0 * (raw - nothing) / (all as f64 - nothing);
        println!("{name:9} {score:5.1}  threshold {threshold}  {hit} of {all} windows, {outside} rows outside");
        reached.push(score);
    }
    assert!(reached[0] >= 72.0 && reached[1] >= 65.0, "{reached:?}");
}

fn data() -> Option<PathBuf> {
    let named = std::env::var_os("NAB_DIR").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = ["../shared/nab", "../../shared/nab"].map(|place| root.join(place));
    named.into_iter().chain(beside).find(|dir| dir.join("windows.json").is_file())
}

fn scored(dir: &Path, key: &str, windows: &[(String, String)]) -> Scored {
    let mut output = Vec::new();
    score_rows(fs::File::open(dir.join("data").join(key)).unwrap(), &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let rows: Vec<(&str, f64)> = output
        .lines()
        .skip(1)
        .map(|line| (line.split(',').next().unwrap(), line.rsplit(',').next().unwrap().parse().unwrap()))
        .collect();
    let place = |edge: &str| {
        let edge = edge.trim_end_matches(".000000");
        rows.iter().position(|(time, _)| *time == edge).unwrap_or_else(|| panic!("{key} has no row at {edge}"))
    };
    let spans: Vec<(usize, usize)> = windows.iter().map(|(first, last)| (place(first), place(last))).collect();
    let probation = (rows.len() * 15 / 100).min(750);
    let rows = rows.iter().enumerate().skip(probation).map(|(row, (_, score))| {
        let window = spans.iter().position(|(first, last)| (*first..=*last).contains(&row));
        (*score, window, worth(row, &spans))
    });
    Scored { key: key.to_owned(), rows: rows.collect(), windows: spans.len() }
}

/// What a detection at a row is worth: in a window nearly 1 at its beginning and 0 at its end; behind one, less and less to -1.
fn worth(row: usize, spans: &[(usize, usize)]) -> f64 {
    let sigmoid = |x: f64| if x > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * x).exp()) - 1.0 };
    if let Some((first, last)) = spans.iter().find(|(first, last)| (*first..=*last).contains(&row)) {
        return sigmoid(-((last - row + 1) as f64) / (last - first + 1) as f64) / sigmoid(-1.0);
    }
    match spans.iter().rev().find(|(_, last)| *last < row) {
        Some((first, last)) => sigmoid((row - last) as f64 / (last - first).max(1) as f64),
        None => -1.0,
    }
}

fn live(file: &Scored) -> usize {
    (0..file.windows).filter(|window| file.rows.iter().any(|row| row.1 == Some(*window))).count()
}

/// The score of a file at a threshold, windows found, rows outside of any.
fn at(file: &Scored, threshold: f64, (false_row, missed): (f64, f64)) -> (f64, usize, usize) {
    let mut best: Vec<Option<f64>> = vec![None; file.windows];
    let (mut raw, mut outside) = (0.0, 0);
    for (_, window, worth) in file.rows.iter().filter(|row| row.0 >= threshold) {
        match window {
            Some(window) => best[*window] = Some(best[*window].map_or(*worth, |best| best.max(*worth))),
            None => {
                raw += false_row * worth;
                outside += 1;
            }
        }
    }
    let found = best.iter().flatten().count();
    raw += best.iter().flatten().sum::<f64>() - missed * (live(file) - found) as f64;
    (raw, found, outside)
}

/// The one threshold for all files with the highest score.
fn choose(files: &[Scored], profile: (f64, f64)) -> f64 {
    let mut thresholds: Vec<f64> = files.iter().flat_map(|file| file.rows.iter().map(|row| row.0)).collect();
    thresholds.retain(|score| *score > 0.05);
    thresholds.push(NEVER);
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    // Below a twentieth half of all rows would be told.
    let of = |threshold: f64| files.iter().map(|file| at_fast(file, threshold, profile)).sum::<f64>();
    let coarse = (1..=1_000).map(|step| f64::from(step) / 1_000.0).chain([NEVER]);
    let best = coarse.map(|t| (of(t), t)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    thresholds.retain(|score| (score - best).abs() <= 0.001);
    thresholds.push(best);
    thresholds.into_iter().map(|t| (of(t), t)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
}

fn at_fast(file: &Scored, threshold: f64, profile: (f64, f64)) -> f64 {
    at(file, threshold, profile).0
}
