//! Real lines: the corpus beside the repository, `$LOGHOUND_SHARED` or `../shared`.

use std::path::PathBuf;

use serde_json::Value;

/// The lines of a corpus folder, those that are text; `None` without a corpus.
pub fn corpus_lines(format: &str) -> Option<Vec<String>> {
    let shared = std::env::var_os("LOGHOUND_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("corpus").join(format).join("lines.ndjson");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("no corpus at {}: set LOGHOUND_SHARED to the directory that holds corpus/", path.display());
        return None;
    };
    let line = |row: &str| serde_json::from_str::<Value>(row).ok()?.get("line")?.as_str().map(str::to_owned);
    Some(text.lines().filter_map(line).collect())
}
