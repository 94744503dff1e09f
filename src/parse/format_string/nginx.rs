//! nginx's `log_format`: text with `$variables`.
//!
//! Accepted are the bare text and the whole directive as it stands in a configuration, over several lines. Values are
//! escaped (`\x22`); with `escape=json`, or where the text is a JSON object, lines are JSON and are read as such. A name
//! is the variable's, but for those that the `nginx` grammar calls otherwise: `remote_user` is `user`, `body_bytes_sent`
//! `bytes`, `http_user_agent` `user_agent`, `time_local` and `time_iso8601` `time`, `request` becomes `method`, `path`
//! and `protocol`, and so do the variables that hold these.

use super::nginx_variables;
use super::quoted::{self, Char};
use super::{Compiled, Escape, FormatError, FormatFault, Piece, Placed, error, json, of_text, push_char, trim_end};

pub(super) const ALIASES: &[(&str, &str)] = &[
    ("source.address", "remote_addr"),
    ("client.address", "remote_addr"),
    ("user.name", "user"),
    ("http.request.method", "method"),
    ("url.path", "path"),
    ("url.original", "path"),
    ("url.domain", "host"),
    ("http.request.id", "request_id"),
    ("http.request.bytes", "request_length"),
    ("http.response.status_code", "status"),
    ("http.response.body.bytes", "bytes"),
    ("http.response.bytes", "bytes_sent"),
    ("http.request.referrer", "referer"),
    ("user_agent.original", "user_agent"),
];

pub(super) fn compile(text: &str) -> Result<Compiled, FormatError> {
    let (chars, escape) = unquote(text).map_err(|(offset, fault)| error(text, offset, fault))?;
    let begins = chars.iter().map(|(_, c)| *c).find(|c| !c.is_whitespace());
    // Without a word on escaping, an object is taken for what its author wanted: JSON.
    if begins == Some('{') && matches!(escape, None | Some("json")) {
        let object = json::object(&as_json(&chars)).map_err(|cause| error(text, 0, FormatFault::NotJson(cause)))?;
        let compiled = json::compile(&object, &|text| bare(text), ALIASES)?;
        // A number that is missing leaves a line that is no JSON (`"took":,`), but still one that the text describes.
        let patterns = of_text(text, pieces(text, &chars)?, Escape::Backslash, ALIASES)?.patterns;
        return Ok(Compiled { patterns, ..compiled });
    }
    let escape = if escape == Some("none") { Escape::None } else { Escape::Backslash };
    of_text(text, pieces(text, &chars)?, escape, ALIASES)
}

/// The characters of the format, and what the directive says of escaping.
fn unquote(text: &str) -> Placed<(Vec<Char>, Option<&str>)> {
    let trimmed = text.trim_start();
    let start = text.len() - trimmed.len();
    let directive = trimmed.strip_prefix("log_format").filter(|rest| rest.starts_with(char::is_whitespace));
    let Some(rest) = directive else {
        let strings = trimmed.starts_with('\'') && trimmed.trim_end().trim_end_matches(';').ends_with('\'');
        if strings {
            return Ok((quoted::strings(text, start)?, None));
        }
        return Ok((text.char_indices().collect(), None));
    };
    // The directive's name, its format's name, perhaps `escape=…`, and the strings.
    let mut at = text.len() - rest.len();
    let mut escape = None;
    for number in 0.. {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with(['\'', '"']) && number > 0 {
            break;
        }
        let word = text[at..].split(char::is_whitespace).next().unwrap_or_default();
        match (number, word.strip_prefix("escape=")) {
            (0, None) if !word.is_empty() && !word.contains(['\'', '"']) => {}
            (1, Some(kind @ ("default" | "json" | "none"))) => escape = Some(kind),
            _ => return Err((at, FormatFault::Directive)),
        }
        at += word.len();
    }
    // A directive says by its silence that values are escaped as by default.
    Ok((quoted::strings(text, at)?, escape.or(Some("default"))))
}

/// The pieces of a text that is nothing but the format.
fn bare(text: &str) -> Result<Vec<Piece>, FormatError> {
    pieces(text, &text.char_indices().collect::<Vec<_>>())
}

fn pieces(text: &str, chars: &[Char]) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&(offset, c)) = chars.get(at) {
        if c != '$' {
            push_char(&mut pieces, c);
            at += 1;
            continue;
        }
        let (name, end) = variable(chars, at + 1);
        if name.is_empty() {
            return Err(error(text, offset, FormatFault::NoVariable));
        }
        let written = format!("${name}");
        pieces.push(Piece::Value(nginx_variables::value(&name, written, offset)));
        at = end;
    }
    Ok(trim_end(pieces))
}

/// The name of the variable whose name or brace is at `start`, and where it ends.
fn variable(chars: &[Char], start: usize) -> (String, usize) {
    let braced = chars.get(start).is_some_and(|(_, c)| *c == '{');
    let from = start + usize::from(braced);
    let name: String = chars[from.min(chars.len())..]
        .iter()
        .map(|(_, c)| *c)
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let end = from + name.len();
    match (braced, chars.get(end)) {
        (true, Some((_, '}'))) => (name, end + 1),
        (true, _) => (String::new(), end),
        (false, _) => (name, end),
    }
}

/// The format as a JSON text: variables outside strings are put in quotes.
fn as_json(chars: &[Char]) -> String {
    let (mut json, mut inside, mut escaped, mut at) = (String::new(), false, false, 0);
    while let Some(&(_, c)) = chars.get(at) {
        if c == '$' && !inside {
            let (name, end) = variable(chars, at + 1);
            json.push_str(&format!("\"${name}\""));
            at = end.max(at + 1);
            continue;
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = c == '\\' && !escaped;
        json.push(c);
        at += 1;
    }
    json
}
