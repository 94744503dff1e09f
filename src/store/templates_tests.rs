//! The registry is closed, torn, damaged and reopened.

use std::path::Path;

use super::*;
use crate::parse::template::{Pending, TemplateId};

const LIMITS: Limits =
    Limits { bytes: 8 << 20, rules: crate::parse::template::Rules { words: 5, words_first: 12, words_announced: 2 } };

fn open(dir: &Path, held: u64) -> OpenedRegistry {
    TemplateRegistry::open(dir, LIMITS, held).unwrap()
}

fn save(opened: &mut OpenedRegistry) {
    match opened.miner.take_pending() {
        Pending::Nothing => {}
        Pending::Changes(body) => opened.registry.append(&body).unwrap(),
        Pending::Everything(saved) => opened.registry.replace(&saved).unwrap(),
    }
}

/// Saves three times, so that there is a registry and there are two changes; gives each line with its id.
fn filled(dir: &Path) -> Vec<(String, u64)> {
    let mut opened = open(dir, 0);
    let mut ids = Vec::new();
    for lines in [["volume mounted", "lease of 5 expired"], ["bye user ann", "bye user bob"], ["größe 7 µm", "x: y"]]
    {
        for line in lines {
            ids.push((line.to_owned(), opened.miner.observe(line).id.get()));
        }
        save(&mut opened);
    }
    ids
}

fn found_again(opened: &mut OpenedRegistry, ids: &[(String, u64)]) {
    for (line, id) in ids {
        let now = opened.miner.observe(line);
        assert_eq!((now.id, now.new), (opened.miner.resolve(TemplateId::from(*id)), false), "{line}");
    }
}

#[test]
fn what_was_saved_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    assert!(dir.path().join(REGISTRY).exists() && dir.path().join(CHANGES).exists());
    let mut opened = open(dir.path(), 6);
    assert_eq!((opened.damages.len(), &opened.torn), (0, &None));
    found_again(&mut opened, &ids);
    assert_eq!(opened.miner.observe("brand new").id.get(), 7);
    // It goes on behind what is there.
    save(&mut opened);
    assert_eq!(open(dir.path(), 7).miner.observe("brand new").id.get(), 7);
}

#[test]
fn long_changes_make_a_new_registry() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let mut opened = open(dir.path(), 0);
    assert!(!opened.registry.is_long());
    opened.registry.changes_bytes = CHANGES_BYTES_MIN + 1;
    assert!(opened.registry.is_long());
    let changes = fs::read(dir.path().join(CHANGES)).unwrap();
    opened.registry.replace(&opened.miner.saved()).unwrap();
    assert!(!opened.registry.is_long() && !dir.path().join(CHANGES).exists());
    // After a crash at this moment the old changes are still there; they are not taken a second time.
    fs::write(dir.path().join(CHANGES), changes).unwrap();
    let mut opened = open(dir.path(), 0);
    assert_eq!((opened.damages.len(), &opened.torn), (0, &None));
    found_again(&mut opened, &ids);
    opened.miner.observe("one more");
    save(&mut opened);
    let mut opened = open(dir.path(), 0);
    assert_eq!(opened.damages, [""; 0]);
    found_again(&mut opened, &ids);
}

/// A crash cuts the last write anywhere: what was confirmed before it is there.
#[test]
fn a_cut_change_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let changes = fs::read(dir.path().join(CHANGES)).unwrap();
    let Frame::Whole(_, second) = frame(&changes, HEADER_BYTES) else { panic!() };
    for end in 0..changes.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join(REGISTRY), copy.path().join(REGISTRY)).unwrap();
        fs::write(copy.path().join(CHANGES), &changes[..end]).unwrap();
        let held = if end < second { 2 } else { 4 };
        let mut opened = open(copy.path(), held);
        assert_eq!(opened.damages, [""; 0], "cut at {end}");
        assert_eq!(opened.torn.is_some(), end != HEADER_BYTES && end != second, "cut at {end}");
        found_again(&mut opened, &ids[..held as usize]);
        assert!(opened.miner.observe("brand new").id.get() > held);
        save(&mut opened);
        assert_eq!(open(copy.path(), 0).torn, None, "cut at {end}");
    }
}

/// Any byte of either file is changed: it opens, says so, and gives no id twice.
#[test]
fn damage_is_told_and_costs_no_id() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let held = ids.iter().map(|(_, id)| *id).max().unwrap();
    for name in [REGISTRY, CHANGES] {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        for at in 0..bytes.len() {
            let copy = tempfile::tempdir().unwrap();
            for file in [REGISTRY, CHANGES] {
                fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
            }
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            fs::write(copy.path().join(name), damaged).unwrap();
            // The version stands outside the registry's checksum: another one is another program's.
            let opened = TemplateRegistry::open(copy.path(), LIMITS, held);
            if name == REGISTRY && (6..8).contains(&at) {
                assert!(matches!(opened, Err(Error::Version { .. })));
                continue;
            }
            let mut opened = opened.unwrap();
            assert!(!opened.damages.is_empty() || opened.torn.is_some(), "{name} at {at}");
            assert!(opened.miner.observe("brand new, in four words").id.get() > held, "{name} at {at}");
            save(&mut opened);
            let again = open(copy.path(), held + 1);
            assert_eq!(again.damages, [""; 0], "{name} at {at}");
        }
    }
}

#[test]
fn a_lost_registry_is_told_where_records_have_ids() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::remove_file(dir.path().join(REGISTRY)).unwrap();
    let mut opened = open(dir.path(), 6);
    assert!(opened.damages[0].contains("continue a registry that is not there"), "{:?}", opened.damages);
    assert_eq!(opened.miner.observe("volume mounted").id.get(), 7);
}

/// Every version ever written stays readable. `UPDATE_EXPECT=1` writes the files anew: for a new version, under a new name.
#[test]
fn version_1_reads() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/registry-v1");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        fs::create_dir_all(&kept).unwrap();
        for name in [REGISTRY, CHANGES] {
            fs::copy(dir.path().join(name), kept.join(name)).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for name in [REGISTRY, CHANGES] {
        fs::copy(kept.join(name), dir.path().join(name)).unwrap();
    }
    let opened = open(dir.path(), 6);
    assert_eq!((opened.damages.len(), opened.torn), (0, None));
    let texts: Vec<_> =
        opened.miner.ids().into_iter().map(|id| (id.get(), opened.miner.template(id).unwrap().text)).collect();
    let text = |id, text: &str| (id, text.to_owned());
    assert_eq!(
        texts,
        [
            text(1, "volume mounted"),
            text(2, "lease of <*> expired"),
            text(3, "bye user <*>"),
            text(5, "größe <*> µm"),
            text(6, "x: y")
        ]
    );
    assert_eq!(opened.miner.resolve(TemplateId::from(4)).get(), 3);
}
