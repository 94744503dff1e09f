//! Tables: under each other for people, comma-separated for programs.

use std::io::{self, Write};

use serde_json::{Map, Value as Json};

use super::show::printable;
use crate::api::{csv_cell, csv_value as plain};

/// A cell for people is cut after so many characters.
const CELL_CHARS_MAX: usize = 80;

/// Columns under each other, numbers to the right.
pub fn text(out: &mut impl Write, columns: &[String], rows: &[Map<String, Json>]) -> io::Result<()> {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| short(&plain(row.get(column)))).collect()).collect();
    let numeric: Vec<bool> = columns
        .iter()
        .map(|column| rows.iter().all(|row| row.get(column).is_none_or(|v| v.is_number() || v.is_null())))
        .collect();
    let width = |at: usize| {
        let cells = cells.iter().map(|row| row[at].chars().count());
        cells.chain([columns[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (at, cell) in cells.enumerate() {
            let pad = " ".repeat(widths[at].saturating_sub(cell.chars().count()));
            let (before, after) = if numeric[at] { (pad.as_str(), "") } else { ("", pad.as_str()) };
            text.push_str(if at == 0 { "" } else { "  " });
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(&mut columns.iter().map(String::as_str))?;
    cells.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
}

/// RFC 4180, lines ended by a line feed; an array is its values behind each other, `; ` between.
pub fn csv(out: &mut impl Write, columns: &[String], rows: &[Map<String, Json>]) -> io::Result<()> {
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.map(|cell| csv_cell(&cell)).collect();
        writeln!(out, "{}", cells.join(","))
    };
    line(&mut columns.iter().cloned())?;
    rows.iter().try_for_each(|row| line(&mut columns.iter().map(|column| plain(row.get(column)))))
}

fn short(text: &str) -> String {
    let text = printable(text).replace(['\n', '\t'], " ");
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_drawn() {
        let columns = ["path".to_owned(), "n".to_owned()];
        let rows: Vec<Map<String, Json>> = [
            json!({"path": "/a,b\"c\u{1b}", "n": 12.5}),
            json!({"path": ["x", "y"], "n": 300}),
            json!({"path": "é".repeat(99), "n": null}),
            json!({"n": 1.0 / 3.0}),
        ]
        .iter()
        .map(|row| row.as_object().unwrap().clone())
        .collect();
        let mut out = Vec::new();
        text(&mut out, &columns, &rows).unwrap();
        let wide = |cell: &str| format!("{cell}{}", " ".repeat(81 - cell.chars().count()));
        let wanted = format!(
            "{}         n\n{}      12.5\n{}       300\n{}…\n{}  0.333333\n",
            wide("path"),
            wide("/a,b\"c␛"),
            wide("x; y"),
            "é".repeat(80),
            wide("")
        );
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        let mut out = Vec::new();
        csv(&mut out, &columns, &rows[..2]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "path,n\n\"/a,b\"\"c\u{1b}\",12.5\nx; y,300\n");
    }
}
