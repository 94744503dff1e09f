//! The template miner against labelled lines: one setting for all systems, one pass.
//!
//! The lines are outside the repository and may not be copied into it: `$LOGHOUND_SHARED`, else `../shared` beside it.
//! Where they are absent the tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use loghound::parse::template::{Limits, Miner, Rules, TemplateId};

struct System {
    name: String,
    /// The message of each line, and the label it was given.
    lines: Vec<(String, String)>,
    /// The lines as they were logged.
    raw: Vec<String>,
}

/// Rows of a CSV file (RFC 4180), the header's names first.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// Every system that is there; none, loudly, where there is no directory.
fn systems() -> Vec<System> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let directory = shared.join("loghub");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("SKIPPED: no labelled lines in {}; set LOGHOUND_SHARED", directory.display());
        return Vec::new();
    };
    let names: BTreeSet<String> = entries
        .filter(|e| e.as_ref().unwrap().path().is_dir())
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    let system = |name: String| {
        let read = |end: &str| {
            let bytes = std::fs::read(directory.join(&name).join(format!("{name}_2k.log{end}"))).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let rows = csv(&read("_structured.csv"));
        let column = |title: &str| rows[0].iter().position(|t| t == title).unwrap();
        let (content, label) = (column("Content"), column("EventId"));
        let lines: Vec<_> = rows[1..].iter().map(|row| (row[content].clone(), row[label].clone())).collect();
        let raw: Vec<String> = read("").lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), raw.len(), "{name}");
        System { name, lines, raw }
    };
    names.into_iter().map(system).collect()
}

struct Score {
    /// Share of lines whose group holds exactly the lines of one label.
    ga: f64,
    /// F1 over groups.
    fga: f64,
    /// Lines whose id was another when they were observed.
    changed: usize,
}

fn score<'a>(lines: impl Iterator<Item = &'a str>, labels: impl Iterator<Item = &'a str>, rules: Rules) -> Score {
    let mut miner = Miner::new(Limits { rules, ..Limits::default() });
    let shown: Vec<TemplateId> = lines.map(|line| miner.observe(line).id).collect();
    let ids: Vec<TemplateId> = shown.iter().map(|id| miner.resolve(*id)).collect();
    let (mut found, mut wanted) = (BTreeMap::new(), BTreeMap::new());
    for (at, (id, label)) in ids.iter().zip(labels).enumerate() {
        found.entry(id).or_insert_with(BTreeSet::new).insert(at);
        wanted.entry(label).or_insert_with(BTreeSet::new).insert(at);
    }
    let wanted: BTreeSet<_> = wanted.into_values().collect();
    let right: Vec<_> = found.values().filter(|group| wanted.contains(group)).collect();
    Score {
        ga: right.iter().map(|group| group.len()).sum::<usize>() as f64 / ids.len() as f64,
        fga: 2.0 * right.len() as f64 / (found.len() + wanted.len()) as f64,
        changed: shown.iter().zip(&ids).filter(|(shown, id)| shown != id).count(),
    }
}

/// Means of GA and FGA; each system's on standard error.
fn means(systems: &[System], raw: bool, rules: Rules) -> (f64, f64) {
    let (mut ga, mut fga) = (0.0, 0.0);
    for system in systems {
        let labels = system.lines.iter().map(|(_, label)| label.as_str());
        let found = if raw {
            score(system.raw.iter().map(String::as_str), labels, rules)
        } else {
            score(system.lines.iter().map(|(content, _)| content.as_str()), labels, rules)
        };
        eprintln!("{:12} GA {:.3} FGA {:.3} ids changed {}", system.name, found.ga, found.fga, found.changed);
        ga += found.ga / systems.len() as f64;
        fga += found.fga / systems.len() as f64;
    }
    eprintln!("mean         GA {ga:.4} FGA {fga:.4} raw {raw} {rules:?}");
    (ga, fga)
}

#[test]
fn one_setting_groups_all_systems() {
    let systems = systems();
    for raw in [false, true] {
        if !systems.is_empty() {
            let (ga, fga) = means(&systems, raw, Rules::default());
            assert!(ga >= 0.95 && fga >= 0.90, "GA {ga:.4}, FGA {fga:.4}, raw {raw}");
        }
    }
}

#[test]
fn no_rule_stands_on_a_knife_edge() {
    let systems = systems();
    let rules = Rules::default();
    let third = |value: usize, up: bool| if up { value + value.div_ceil(4) } else { value - value.div_ceil(4) };
    for up in [false, true] {
        for changed in [
            Rules { words: if up { 6 } else { 4 }, ..rules },
            Rules { words_first: third(rules.words_first, up), ..rules },
            Rules { words_announced: third(rules.words_announced, up), ..rules },
        ] {
            if !systems.is_empty() {
                let (ga, fga) = means(&systems, false, changed);
                assert!(ga >= 0.95 && fga >= 0.90, "GA {ga:.4}, FGA {fga:.4}, {changed:?}");
            }
        }
    }
}
