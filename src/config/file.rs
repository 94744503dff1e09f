//! The configuration file: YAML, flattened to dotted keys with the line each stands on.

use std::path::Path;

use serde_json::Value as Json;

pub struct Entry {
    pub key: String,
    /// A scalar's text, or a list as JSON.
    pub value: String,
    pub list: bool,
    /// From 1.
    pub line: usize,
}

/// A larger file is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub fn read(path: &Path, whole: &[&str]) -> Result<Vec<Entry>, String> {
    let size = std::fs::metadata(path).map_err(|err| format!("cannot be read: {err}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes: a configuration has at most {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|err| format!("cannot be read: {err}"))?;
    entries(&text, whole)
}

/// `whole` are the keys whose value is taken as it stands, mappings and all.
pub fn entries(text: &str, whole: &[&str]) -> Result<Vec<Entry>, String> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let document: Json = serde_saphyr::from_str(text).map_err(|err| err.to_string())?;
    if !document.is_object() {
        return Err("is no mapping of keys to values".to_owned());
    }
    let mut entries = Vec::new();
    flatten("", &document, whole, &mut entries);
    let lines = lines(text);
    for entry in &mut entries {
        // Flow style (`tls: {key: …}`) puts several keys on their parent's line.
        let mut name = entry.key.as_str();
        entry.line = loop {
            if let Some((_, line)) = lines.iter().find(|(key, _)| key == name) {
                break *line;
            }
            match name.rsplit_once('.') {
                Some((parent, _)) => name = parent,
                None => break 1,
            }
        };
    }
    Ok(entries)
}

fn flatten(prefix: &str, value: &Json, whole: &[&str], entries: &mut Vec<Entry>) {
    let mut push = |value, list| entries.push(Entry { key: prefix.to_owned(), value, list, line: 0 });
    match value {
        Json::Object(_) if whole.contains(&prefix) => push(value.to_string(), true),
        Json::Object(members) => {
            for (name, member) in members {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, member, whole, entries);
            }
        }
        // A key without a value keeps its default.
        Json::Null => {}
        Json::Array(_) => push(value.to_string(), true),
        Json::String(text) => push(text.clone(), false),
        Json::Number(_) | Json::Bool(_) => push(value.to_string(), false),
    }
}

/// The dotted key of each line in block style, by indentation.
fn lines(text: &str) -> Vec<(String, usize)> {
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((name, _)) = line.trim_start().split_once(':') else { continue };
        if name.is_empty() || name.starts_with(['#', '-']) {
            continue;
        }
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, name.trim_matches(['"', '\'', ' ']).to_owned()));
        found.push((open.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("."), at + 1));
    }
    found
}
