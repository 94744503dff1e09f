//! Comma-separated values (RFC 4180).

use serde_json::Value as Json;

/// A cell as it stands in a line: in quotes where it needs them.
pub fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A value as a cell's text: nothing for null, an array's values behind each other.
pub fn plain(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(items)) => items.iter().map(|item| plain(Some(item))).collect::<Vec<_>>().join("; "),
        Some(Json::Number(n)) => match n.as_f64() {
            Some(f) if n.is_f64() => trimmed(f),
            _ => n.to_string(),
        },
        Some(other) => other.to_string(),
    }
}

/// Six digits behind the point at most: what is measured is not known better.
fn trimmed(n: f64) -> String {
    let text = format!("{n:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" || text == "-0" { n.to_string() } else { text.to_owned() }
}
