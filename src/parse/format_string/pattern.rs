//! From a format's pieces to grok patterns: where each value ends.
//!
//! A value that nothing is known of is taken as short as what follows it allows (`.*?`). That alone tells
//! `"AGENT" "ID" "HOST"` wrongly as soon as the agent holds a quote, so every value is said as narrowly as its operator
//! allows: an id has no quotes, and then the agent's end is the one place that leaves an id, a host and the line's end.

use super::names::{BEFORE, REQUEST};
use super::{Escape, FormatFault, Piece, Placed, Shape, Value};
use crate::parse::format_string::CLF_TIME;

/// What is in quotes, with its escapes.
const ESCAPED: &str = "(?:[^\"\\\\]|\\\\.)*";

/// Anything, as little as will do.
const SHORTEST: &str = ".*?";

/// Each of its parts is decided by its first byte, which is what the scanner is fastest at.
const STAMP: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.?[0-9]*[Z+-][0-9:]*";

/// The patterns of a format: one for lines whose values look as they should, and, where it would take other lines, one
/// in which texts may hold anything.
pub(super) fn patterns(pieces: &[Piece], escape: Escape) -> Placed<Vec<String>> {
    let mut patterns = vec![pattern(pieces, escape, false)?];
    let loose = pattern(pieces, escape, true)?;
    if loose != patterns[0] {
        patterns.push(loose);
    }
    Ok(patterns)
}

fn pattern(pieces: &[Piece], escape: Escape, loose: bool) -> Placed<String> {
    let mut pattern = String::from("\\A");
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(text) => text.chars().for_each(|c| push_escaped(&mut pattern, c)),
            Piece::Value(value) => {
                let next = match pieces.get(at + 1) {
                    None => Next::End,
                    Some(Piece::Literal(text)) => text.chars().next().map_or(Next::End, Next::Char),
                    Some(Piece::Value(next)) => after(value, next)?,
                };
                let before = at.checked_sub(1).and_then(|before| pieces.get(before));
                let opened = matches!(before, Some(Piece::Literal(text)) if text.ends_with('"'));
                let quoted = opened && next == Next::Char('"');
                push_value(&mut pattern, value, Around { quoted, next, escape, loose });
            }
        }
    }
    pattern.push_str("\\s*\\z");
    Ok(pattern)
}

/// What follows a value that another value follows.
fn after(value: &Value, next: &Value) -> Placed<Next> {
    let ends_itself = matches!(value.shape, Shape::Stamp | Shape::Like { ends_itself: true, .. });
    let stops = matches!(value.shape, Shape::Int | Shape::Float | Shape::Word | Shape::Any | Shape::Path);
    match next.shape.first() {
        _ if ends_itself => Ok(Next::Any),
        Some(first) if stops => Ok(Next::Value(first)),
        _ => {
            let (first, second) = (value.written.clone(), next.written.clone());
            Err((next.offset, FormatFault::Ambiguous { first, second }))
        }
    }
}

/// What follows a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    End,
    Char(char),
    /// Another value, which begins with this character and is the first to hold it.
    Value(char),
    /// Another value, of any kind.
    Any,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
struct Around {
    quoted: bool,
    next: Next,
    escape: Escape,
    loose: bool,
}

fn push_value(pattern: &mut String, value: &Value, around: Around) {
    match value.shape {
        Shape::Request => push_request(pattern, value.captured, around),
        Shape::Numbers { float } => {
            let item = if float { "[0-9]+(?:\\.[0-9]+)?|-" } else { "[0-9]+|-" };
            let several = format!("(?:{item})(?:(?:, | : )(?:{item}))*");
            pattern.push_str("(?:");
            push_group(pattern, value.captured, &format!("{}{BEFORE}", value.name), &several);
            pattern.push_str("(?:, | : ))?");
            push_group(pattern, value.captured, &value.name, &format!("{item}|"));
        }
        _ => push_group(pattern, value.captured, &value.name, &body(&value.shape, around)),
    }
}

/// A request that is not HTTP (a TLS hello, `-`) is kept whole.
fn push_request(pattern: &mut String, captured: bool, around: Around) {
    let path = if around.quoted && around.escape == Escape::Backslash { ESCAPED } else { SHORTEST };
    let whole = text(around);
    let [(method, _), (path_name, _), (protocol, _), (request, _)] = REQUEST;
    pattern.push_str("(?:");
    push_group(pattern, captured, method, "[A-Z]+");
    pattern.push(' ');
    push_group(pattern, captured, path_name, path);
    pattern.push(' ');
    push_group(pattern, captured, protocol, "HTTP/[0-9.]+");
    pattern.push('|');
    push_group(pattern, captured, request, whole);
    pattern.push(')');
}

fn push_group(pattern: &mut String, captured: bool, name: &str, body: &str) {
    if captured {
        pattern.push_str("(?<");
        pattern.push_str(name);
        pattern.push('>');
    } else {
        pattern.push_str("(?:");
    }
    pattern.push_str(body);
    pattern.push(')');
}

fn body(shape: &Shape, around: Around) -> String {
    let fixed = match shape {
        Shape::Int => "-?[0-9]*",
        Shape::Float => "-?[0-9]*(?:\\.[0-9]+)?",
        Shape::Code => "[0-9]{1,3}|-",
        Shape::Stamp => STAMP,
        Shape::Protocol => "HTTP/[0-9.]+|-|",
        Shape::Flags => "[A-Z0-9_,-]*",
        Shape::Like { pattern, ends_itself: true, .. } => pattern,
        Shape::Like { pattern, .. } if pattern == CLF_TIME => pattern,
        Shape::Like { pattern, .. } => return format!("{pattern}|-"),
        Shape::Text | Shape::Request | Shape::Numbers { .. } => text(around),
        Shape::Path if !matches!(around.next, Next::Value(_)) => text(around),
        Shape::Any if around.quoted => text(around),
        Shape::List if around.quoted && around.escape == Escape::Backslash => ESCAPED,
        _ if around.loose && !matches!(around.next, Next::Value(_)) => text(around),
        Shape::List if around.quoted => "[^\"]*",
        Shape::List => "[^ \",]*(?:(?:, ?| : )[^ \",]+)*",
        Shape::Word | Shape::Any | Shape::Path => return word(around.next),
    };
    fixed.to_owned()
}

fn text(around: Around) -> &'static str {
    if around.quoted && around.escape == Escape::Backslash { ESCAPED } else { SHORTEST }
}

/// No blanks and no quotes; as much as there is where what follows is none of it, else as little as will do.
fn word(next: Next) -> String {
    match next {
        Next::End | Next::Any | Next::Char(' ' | '"') => "[^ \"]*".to_owned(),
        Next::Char(_) => "[^ \"]*?".to_owned(),
        Next::Value(first) => format!("[^ \"{first}]*"),
    }
}

/// Writes a character that means itself.
pub(super) fn push_escaped(pattern: &mut String, c: char) {
    match c {
        '\n' => pattern.push_str("\\n"),
        '\r' => pattern.push_str("\\r"),
        '\t' => pattern.push_str("\\t"),
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' => {
            pattern.push('\\');
            pattern.push(c);
        }
        _ => pattern.push(c),
    }
}
