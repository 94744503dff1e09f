//! Strings in quotes, as configurations of servers have them.

use super::{FormatFault, Placed};

/// A character of a format, and where it stands in the text that the user wrote.
pub(super) type Char = (usize, char);

/// The characters of the strings from `start` on, one after the other; between them blanks and comments, behind them a
/// semicolon or nothing.
pub(super) fn strings(text: &str, start: usize) -> Placed<Vec<Char>> {
    let mut chars = Vec::new();
    let mut at = start;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        match text[at..].chars().next() {
            None => return Ok(chars),
            Some('\'' | '"') => at = string(text, at, &mut chars)?,
            Some('#') => at += text[at..].find('\n').unwrap_or(text.len() - at),
            Some(';') if text[at + 1..].trim().is_empty() => return Ok(chars),
            Some(_) => return Err((at, FormatFault::Directive)),
        }
    }
}

/// Adds the characters of the string that begins at `start`, and tells where it ends.
pub(super) fn string(text: &str, start: usize, chars: &mut Vec<Char>) -> Placed<usize> {
    let quote = text[start..].chars().next().unwrap_or('"');
    let mut rest = text[start + 1..].char_indices().map(|(at, c)| (start + 1 + at, c));
    while let Some((at, c)) = rest.next() {
        match c {
            c if c == quote => return Ok(at + 1),
            '\\' => match rest.next() {
                Some((_, next)) => push_unescaped(chars, at, next),
                None => break,
            },
            _ => chars.push((at, c)),
        }
    }
    Err((start, FormatFault::UnclosedQuote))
}

/// What a backslash and this character mean: other ones than these keep their backslash.
pub(super) fn push_unescaped(chars: &mut Vec<Char>, at: usize, next: char) {
    match next {
        'n' => chars.push((at, '\n')),
        'r' => chars.push((at, '\r')),
        't' => chars.push((at, '\t')),
        '"' | '\'' | '\\' => chars.push((at, next)),
        _ => chars.extend([(at, '\\'), (at, next)]),
    }
}
