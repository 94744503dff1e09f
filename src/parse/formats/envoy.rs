//! Envoy's text access logs: the default format, the default with response code details, and (in [`super::istio`])
//! Istio's columns.
//!
//! ```text
//! [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS RECEIVED SENT DURATION UPSTREAM_TIME "XFF" "USER_AGENT" "ID" "AUTHORITY" "HOST"
//! ```
//!
//! Sources: `envoyproxy/envoy: source/common/formatter/substitution_formatter.cc`. Nothing is escaped, so a path and a
//! user agent may hold blanks and quotes: fixed columns are read from the left, the quoted ones from the right. A
//! missing value is `-`, or nothing under `omit_empty_values`. A TCP connection has `"- - -"` for a request.

use crate::parse::FieldSpec;
use crate::parse::number::{digits, is_stamp};
use crate::record::{Fields, Role};

use super::istio;

pub(in crate::parse) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("start_time", Role::Stamp),
    FieldSpec::text("method", Role::Keyword),
    FieldSpec::text("path", Role::Path),
    FieldSpec::text("protocol", Role::Keyword),
    FieldSpec::number("response_code"),
    FieldSpec::text("response_flags", Role::Keyword),
    FieldSpec::text("response_code_details", Role::Keyword),
    FieldSpec::text("connection_termination_details", Role::Keyword),
    FieldSpec::text("upstream_transport_failure_reason", Role::Keyword),
    FieldSpec::number("bytes_received"),
    FieldSpec::number("bytes_sent"),
    FieldSpec::number("duration"),
    FieldSpec::number("upstream_service_time"),
    FieldSpec::text("x_forwarded_for", Role::Keyword),
    FieldSpec::text("user_agent", Role::Keyword),
    FieldSpec::text("request_id", Role::Id),
    FieldSpec::text("authority", Role::Keyword),
    FieldSpec::text("upstream_host", Role::Keyword),
    FieldSpec::text("upstream_cluster", Role::Keyword),
    // A connection's own port makes these two different on nearly every line.
    FieldSpec::text("upstream_local_address", Role::Id),
    FieldSpec::text("downstream_local_address", Role::Keyword),
    FieldSpec::text("downstream_remote_address", Role::Id),
    FieldSpec::text("requested_server_name", Role::Keyword),
    FieldSpec::text("route_name", Role::Keyword),
];

pub(in crate::parse) const ALIASES: &[(&str, &str)] = &[
    ("http.request.method", "method"),
    ("url.path", "path"),
    ("url.original", "path"),
    ("http.response.status_code", "response_code"),
    ("http.request.bytes", "bytes_received"),
    ("http.response.bytes", "bytes_sent"),
    ("http.request.id", "request_id"),
    ("user_agent.original", "user_agent"),
    ("url.domain", "authority"),
    ("destination.address", "upstream_host"),
    ("source.address", "downstream_remote_address"),
    ("tls.client.server_name", "requested_server_name"),
];

pub(in crate::parse) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let mark = fields.len();
    let fits = columns(line, fields).is_some();
    if !fits {
        fields.truncate(mark);
    }
    fits
}

fn columns<'a>(line: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    // Some control planes send access logs through a logger that puts this word first.
    let line = line.strip_prefix("ACCESS ").unwrap_or(line);
    let bytes = line.as_bytes();
    let close = start_time_end(bytes)?;
    let time = &line[1..close];
    if !bytes[close..].starts_with(b"] \"") || !is_stamp(time) {
        return None;
    }
    let request = request(line, close + 3)?;
    let mut row = Row { line, at: request.end };
    let flags = row.token()?;
    if !is_flags(flags.as_bytes()) {
        return None;
    }

    fields.str("start_time", Role::Stamp, time);
    text(fields, "method", Role::Keyword, request.method);
    text(fields, "path", Role::Path, request.path);
    text(fields, "protocol", Role::Keyword, request.protocol);
    fields.u64("response_code", request.code);
    text(fields, "response_flags", Role::Keyword, flags);

    // The count of words before the first quote tells the formats apart.
    let mut words = [""; 5];
    let mut count = 0;
    while bytes.get(row.at) != Some(&b'"') {
        *words.get_mut(count)? = row.token()?;
        count += 1;
    }
    match (count, words) {
        (4, [received, sent, duration, upstream, _]) => {
            numbers(fields, [received, sent, duration, upstream])?;
            quoted(&line[row.at..], fields)
        }
        (5, [details, received, sent, duration, upstream]) => {
            text(fields, "response_code_details", Role::Keyword, details);
            numbers(fields, [received, sent, duration, upstream])?;
            quoted(&line[row.at..], fields)
        }
        (2, [details, termination, ..]) => {
            text(fields, "response_code_details", Role::Keyword, details);
            text(fields, "connection_termination_details", Role::Keyword, termination);
            istio::parse(row, istio::Since::V1_8, fields)
        }
        (0, _) => istio::parse(row, istio::Since::V1_1, fields),
        _ => None,
    }
}

/// Where the bracket after the start time stands.
fn start_time_end(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'[') {
        return None;
    }
    // The default precision is milliseconds; others are searched for, up to nanoseconds and an offset.
    if bytes.get(25) == Some(&b']') {
        return Some(25);
    }
    memchr::memchr(b']', &bytes[..bytes.len().min(37)])
}

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'a str,
    code: u64,
    /// Where the flags begin.
    end: usize,
}

/// `METHOD PATH PROTOCOL" CODE `, from `start` on. The path ends where a protocol, a quote and a code follow it.
fn request(line: &str, start: usize) -> Option<Request<'_>> {
    let bytes = line.as_bytes();
    let method_end = start + memchr::memchr(b' ', &bytes[start..])?;
    if method_end == start {
        return None;
    }
    for quote in memchr::memchr_iter(b'"', &bytes[method_end..]).map(|at| method_end + at) {
        let Some((code, end)) = code(bytes, quote + 1) else { continue };
        // `HTTP/1.1` is 8 bytes: the blank before it is near.
        let near = quote.saturating_sub(12).max(method_end);
        let Some(blank) = memchr::memrchr(b' ', &bytes[near..quote]).map(|at| near + at) else { continue };
        let protocol = &line[blank + 1..quote];
        if blank <= method_end || !(protocol.starts_with("HTTP/") || protocol == "-" || protocol.is_empty()) {
            continue;
        }
        return Some(Request {
            method: &line[start..method_end],
            path: &line[method_end + 1..blank],
            protocol,
            code,
            end,
        });
    }
    None
}

/// ` CODE `: one to three digits between blanks.
fn code(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    if bytes.get(at) != Some(&b' ') {
        return None;
    }
    let len = (1..4).find(|len| bytes.get(at + 1 + len) == Some(&b' '))?;
    Some((digits(&bytes[at + 1..at + 1 + len])?, at + len + 2))
}

/// Short names of Envoy and its extensions, joined by commas.
fn is_flags(flags: &[u8]) -> bool {
    flags == b"-" || flags.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b',' | b'_'))
}

/// A place in a line between two columns.
pub(super) struct Row<'a> {
    pub line: &'a str,
    pub at: usize,
}

impl<'a> Row<'a> {
    /// The word up to the next blank, which may be empty; the blank is passed.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        // Most columns are a few bytes: not worth a wide search.
        let rest = self.line.as_bytes().get(self.at..)?;
        let len = rest.iter().position(|b| *b == b' ')?;
        let token = &self.line[self.at..self.at + len];
        self.at += len + 1;
        Some(token)
    }
}

/// Pushes a column that has a value.
#[inline]
pub(super) fn text<'a>(fields: &mut Fields<'a>, name: &'static str, role: Role, value: &'a str) {
    if !matches!(value.as_bytes(), b"" | b"-") {
        fields.str(name, role, value);
    }
}

/// Pushes bytes received, bytes sent, duration and upstream time. `None` where one is neither number nor missing.
pub(super) fn numbers(fields: &mut Fields<'_>, values: [&str; 4]) -> Option<()> {
    for (name, value) in ["bytes_received", "bytes_sent", "duration", "upstream_service_time"].into_iter().zip(values) {
        if !matches!(value.as_bytes(), b"" | b"-") {
            fields.u64(name, digits(value.as_bytes())?);
        }
    }
    Some(())
}

/// The five quoted columns, and nothing after them.
pub(super) fn quoted<'a>(rest: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let inner = rest.strip_prefix('"')?.strip_suffix('"')?;
    // Addresses hold no quotes, so the first column is read from the left; the three last likewise from the right.
    let (forwarded, inner) = split_first(inner)?;
    let (inner, host) = split_last(inner)?;
    let (inner, authority) = split_last(inner)?;
    let (agent, id) = split_last(inner)?;
    text(fields, "x_forwarded_for", Role::Keyword, forwarded);
    text(fields, "user_agent", Role::Keyword, agent);
    text(fields, "request_id", Role::Id, id);
    text(fields, "authority", Role::Keyword, authority);
    text(fields, "upstream_host", Role::Keyword, host);
    Some(())
}

/// Around the first `" "`.
fn split_first(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'"', bytes)
        .find(|at| bytes[*at..].starts_with(b"\" \""))
        .map(|at| (&text[..at], &text[at + 3..]))
}

/// Around the last `" "`.
fn split_last(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    loop {
        let quote = memchr::memrchr(b'"', &bytes[..end])?;
        if quote >= 2 && &bytes[quote - 2..quote] == b"\" " {
            return Some((&text[..quote - 2], &text[quote + 1..]));
        }
        end = quote;
    }
}

#[cfg(test)]
#[path = "envoy_tests.rs"]
mod tests;
