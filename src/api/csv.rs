//! Comma-separated values (RFC 4180).

/// A cell as it stands in a line: in quotes where it needs them.
pub fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
