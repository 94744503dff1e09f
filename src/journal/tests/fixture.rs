//! The format as it was shipped: a file of each version stays in `tests/formats/` and must open for ever.

use super::*;
use std::{fs, path::PathBuf};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/journal-v1")
}

const ENTRIES: [&[u8]; 3] = [b"first", b"", b"third, with \x00 and \xff"];

#[tokio::test]
async fn version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["00000000000000000041.seg", "checkpoint"] {
        fs::copy(shipped().join(name), dir.path().join(name)).unwrap();
    }
    let (journal, report) = open(dir.path());
    assert_eq!((report.first, report.last, report.damages.len(), report.torn), (Position(41), Position(43), 0, None));
    assert_eq!(journal.checkpoint(), Position(40));
    let expected: Vec<_> = (41..).zip(ENTRIES.map(Bytes::from_static)).collect();
    assert_eq!(read_all(&journal, 40), (expected, vec![]));
    assert_eq!(append(&journal, b"fourth").await, Position(44));
}

/// Writes the fixture of the current version: `cargo test --lib journal::tests::fixture -- --ignored`, once a version.
#[tokio::test]
#[ignore = "writes tests/formats"]
async fn write_the_fixture() {
    let dir = shipped();
    assert!(!dir.exists(), "a shipped fixture is never rewritten");
    let (journal, _) = open(&dir);
    journal.never_below(Position(40));
    for entry in ENTRIES {
        append(&journal, entry).await;
    }
}
