//! Envoy's access log format: text with operators between percent signs, `%OPERATOR(PARAMETERS):LIMIT%`.
//!
//! Source: Envoy's documentation of its substitution formatter. Nothing is escaped. An operator that is not known gives
//! a field of its own name in lower case. Names are those of the `envoy` grammar; a header is called as it is, lower case
//! with `_` for every other character; where the same header of request, response or trailers is logged too, the later
//! one gets `response_` (`request_`, `trailer_`) in front. Operators with parameters keep these in the name:
//! `%DYNAMIC_METADATA(a.b:c)%` is `dynamic_metadata_a_b_c`.

use crate::parse::formats::envoy;
use crate::parse::patterns::Kind;
use crate::record::Role;

use super::envoy_operators::OPERATORS;
use super::names::plain;
use super::{FormatError, FormatFault, Piece, Shape, Value, error, header, push_char, strftime, trim_end};

pub(super) const ALIASES: &[(&str, &str)] = envoy::ALIASES;

/// The pieces of a format.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, FormatError> {
    // What people paste from a configuration in which the line end is still an escape.
    let text = text.trim_end();
    let text = text.strip_suffix("\\n").unwrap_or(text);
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c != '%' {
            push_char(&mut pieces, c);
            at += c.len_utf8();
        } else if text[at + 1..].starts_with('%') {
            push_char(&mut pieces, '%');
            at += 2;
        } else {
            let operator = operator(text, at)?;
            pieces.push(Piece::Value(value(text, at, &operator)?));
            at = operator.end;
        }
    }
    Ok(trim_end(pieces))
}

struct Operator<'a> {
    name: &'a str,
    parameters: Option<&'a str>,
    /// Behind the percent sign that ends it.
    end: usize,
}

/// The operator whose percent sign is at `start`.
fn operator(text: &str, start: usize) -> Result<Operator<'_>, FormatError> {
    let fault = |offset, fault| Err(error(text, offset, fault));
    let rest = &text[start + 1..];
    let name = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(rest, |end| &rest[..end]);
    let mut at = start + 1 + name.len();
    let mut parameters = None;
    if text[at..].starts_with('(') {
        let Some(len) = parameters_len(&text[at + 1..]) else { return fault(start, FormatFault::Unclosed(")%")) };
        parameters = Some(&text[at + 1..at + 1 + len]);
        at += len + 2;
    }
    if name.is_empty() {
        return fault(start, FormatFault::Unclosed("%"));
    }
    if let Some(limit) = text[at..].strip_prefix(':') {
        let Some(len) = limit.find('%') else { return fault(start, FormatFault::Unclosed("%")) };
        if len == 0 || !limit[..len].bytes().all(|b| b.is_ascii_digit()) {
            return fault(at, FormatFault::Limit(limit[..len].to_owned()));
        }
        at += 1 + len;
    }
    if !text[at..].starts_with('%') {
        return fault(start, FormatFault::Unclosed("%"));
    }
    Ok(Operator { name, parameters, end: at + 1 })
}

/// The length of what is in parentheses. It may hold percent signs (of a time's format) and parentheses (of an
/// expression), so the end is the first parenthesis with a percent sign or a limit behind it.
fn parameters_len(text: &str) -> Option<usize> {
    text.match_indices(')').map(|(at, _)| at).find(|at| {
        let rest = &text[at + 1..];
        let limit = rest.strip_prefix(':').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        limit.unwrap_or(rest).starts_with('%')
    })
}

fn value(text: &str, offset: usize, operator: &Operator<'_>) -> Result<Value, FormatError> {
    let Operator { name, parameters, end } = *operator;
    let written = text[offset..end].to_owned();
    let given = parameters.filter(|parameters| !parameters.is_empty());
    let needed = || given.ok_or_else(|| error(text, offset, FormatFault::NoParameter(name.to_owned())));
    let headers = |side| -> Result<Value, FormatError> {
        // Of `X?Y` the first names the value: the other is where it comes from when that is not set.
        let main = needed()?.split('?').next().unwrap_or_default();
        Ok(header::value(main, side, written.clone(), offset))
    };
    match name {
        "REQ" | "REQUEST_HEADER" => return headers("request"),
        "RESP" | "RESPONSE_HEADER" => return headers("response"),
        "TRAILER" | "RESPONSE_TRAILER" => return headers("trailer"),
        "REQ_WITHOUT_QUERY" => return Ok(Value { shape: Shape::Path, role: Role::Path, ..headers("request")? }),
        _ => {}
    }
    let known = OPERATORS.iter().find(|(known, ..)| *known == name);
    let (field, shape, role) =
        known.map_or((None, Shape::Any, Role::Keyword), |(_, field, shape, role)| (Some(*field), shape.clone(), *role));
    let named = |first: &str| plain(&format!("{first} {}", given.unwrap_or_default()));
    let (field, shape, role) = match (name, given) {
        ("START_TIME" | "EMIT_TIME", Some(format)) => {
            (field.unwrap_or_default().to_owned(), strftime::shape(format), Role::Id)
        }
        (_, Some(format)) if name.ends_with("_CERT_V_START") || name.ends_with("_CERT_V_END") => {
            (name.to_ascii_lowercase(), strftime::shape(format), Role::Keyword)
        }
        ("GRPC_STATUS", Some("NUMBER")) => ("grpc_status".to_owned(), Shape::Int, role),
        // How a value is taken or written, not which: the name stays.
        ("PATH" | "QUERY_PARAMS" | "REQUESTED_SERVER_NAME" | "GRPC_STATUS", _) => {
            (field.unwrap_or_default().to_owned(), shape, role)
        }
        _ if name.ends_with("_WITHOUT_PORT") => (field.map_or_else(|| plain(name), str::to_owned), shape, role),
        _ => (named(field.unwrap_or(name)), shape, role),
    };
    debug_assert!(shape.kind() != Kind::Text || role != Role::Text, "a text would keep its -");
    let other_name = if given.is_some() { named(name) } else { plain(name) };
    Ok(Value { name: field, other_name, shape, role, written, offset, captured: true })
}
