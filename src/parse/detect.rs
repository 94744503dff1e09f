//! Which grammar a line has, at the cost of a look at its first bytes, and what a stream remembers of it.
//!
//! The grammars exclude each other: klog begins with its level's letter and a digit, Envoy's text with a bracket, the
//! JSON forms with a brace, CRI's prefix with a digit, syslog with a priority or a month; what else begins with a pair
//! may be logfmt. So at most a few of them are tried on a line, and no order of trying changes the answer. The JSON
//! forms share one pass. A remembered grammar goes first and spares the rest.

use std::sync::atomic::Ordering::Relaxed;

use crate::record::{Field, Fields, Stream, Value};

use super::formats::{cri, docker, envoy, envoy_json, json, klog, logfmt, syslog};

/// A name that no grammar has.
#[derive(Debug, thiserror::Error)]
#[error("unknown grammar {name:?}: known are auto, {known}")]
pub struct UnknownGrammar {
    pub name: String,
    pub known: String,
}

/// A built-in grammar; its number is what [`Stream::grammar`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Id {
    Klog = 1,
    Envoy = 2,
    Json = 3,
    Cri = 4,
    Docker = 5,
    Syslog3164 = 6,
    Syslog5424 = 7,
    Logfmt = 8,
}

impl Id {
    pub(super) const ALL: [Self; 8] = [
        Self::Klog,
        Self::Envoy,
        Self::Json,
        Self::Cri,
        Self::Docker,
        Self::Syslog3164,
        Self::Syslog5424,
        Self::Logfmt,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Klog => "klog",
            Self::Envoy => "envoy",
            Self::Json => "json",
            Self::Cri => "cri",
            Self::Docker => "docker",
            Self::Syslog3164 => "syslog3164",
            Self::Syslog5424 => "syslog5424",
            Self::Logfmt => "logfmt",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.name() == name)
    }
}

/// Lines of another grammar in a row after which a stream is taken to have changed (a container restarted with other
/// flags); a single stray line is no reason.
const MISSES_BEFORE_CHANGE: u32 = 8;

pub(super) fn remembered(stream: &Stream) -> Option<Id> {
    let number = stream.grammar.load(Relaxed);
    Id::ALL.into_iter().find(|id| *id as u32 == number)
}

/// Writes only where something changed: a stream's lines are parsed on several threads.
pub(super) fn remember(stream: &Stream, remembered: Option<Id>, found: Option<Id>) {
    match (remembered, found) {
        (None, None) => {}
        (None, Some(found)) => stream.grammar.store(found as u32, Relaxed),
        (Some(old), Some(found)) if old == found => {
            if stream.misses.load(Relaxed) != 0 {
                stream.misses.store(0, Relaxed);
            }
        }
        // Lines of no grammar are stack traces and continuations: they say nothing against the remembered one.
        (Some(_), None) => {}
        (Some(_), Some(found)) => {
            if stream.misses.fetch_add(1, Relaxed) + 1 >= MISSES_BEFORE_CHANGE {
                stream.grammar.store(found as u32, Relaxed);
                stream.misses.store(0, Relaxed);
            }
        }
    }
}

/// Parses by what the line looks like. `first` only says what to try before looking.
pub(super) fn parse<'a>(first: Option<Id>, line: &'a str, fields: &mut Fields<'a>) -> Option<Id> {
    // These two shortcuts are exclusive of all other grammars, so they cannot change the answer.
    match first {
        Some(Id::Klog) if klog::parse(line, fields) => return Some(Id::Klog),
        Some(Id::Envoy) if envoy::parse(line, fields) => return Some(Id::Envoy),
        _ => {}
    }
    match *line.as_bytes().first()? {
        b'0'..=b'9' => {
            let wrapper = cri::split(line)?;
            match content(wrapper.message, fields) {
                Some(id) => {
                    wrapper.push_outer(fields);
                    Some(id)
                }
                None => {
                    wrapper.push_all(fields);
                    Some(Id::Cri)
                }
            }
        }
        b'{' if docker::may_be(line) => match docker::split(line) {
            None => content(line, fields),
            Some(wrapper) => {
                let mut inner = Fields::new();
                match content(&wrapper.message, &mut inner) {
                    Some(id) => {
                        append_owned(inner, fields);
                        wrapper.push_outer(fields);
                        Some(id)
                    }
                    None => {
                        drop(inner);
                        wrapper.push_all(fields);
                        Some(Id::Docker)
                    }
                }
            }
        },
        _ => content(line, fields),
    }
}

/// Parses with one grammar.
pub(super) fn parse_as<'a>(id: Id, line: &'a str, fields: &mut Fields<'a>) -> bool {
    match id {
        Id::Cri => return cri::split(line).map(|wrapper| wrapper.push_all(fields)).is_some(),
        Id::Docker => return docker::split(line).map(|wrapper| wrapper.push_all(fields)).is_some(),
        _ => {}
    }
    match line.as_bytes().first() {
        Some(b'0'..=b'9') => cri::split(line).is_some_and(|wrapper| {
            let fits = content_as(id, wrapper.message, fields);
            if fits {
                wrapper.push_outer(fields);
            }
            fits
        }),
        Some(b'{') if docker::may_be(line) => {
            if let Some(wrapper) = docker::split(line) {
                let mut inner = Fields::new();
                if content_as(id, &wrapper.message, &mut inner) {
                    append_owned(inner, fields);
                    wrapper.push_outer(fields);
                    return true;
                }
            }
            // Docker's object is a JSON object too, for who asks for that.
            content_as(id, line, fields)
        }
        _ => content_as(id, line, fields),
    }
}

/// The content of a wrapper, or a line without one.
fn content<'a>(text: &'a str, fields: &mut Fields<'a>) -> Option<Id> {
    match *text.as_bytes().first()? {
        b'I' | b'W' | b'E' | b'F' if klog::parse(text, fields) => Some(Id::Klog),
        b'[' | b'A' if envoy::parse(text, fields) => Some(Id::Envoy),
        b'<' if syslog::parse_5424(text, fields) => Some(Id::Syslog5424),
        b'<' | b'A' | b'D' | b'F' | b'J' | b'M' | b'N' | b'O' | b'S' if syslog::parse_3164(text, fields) => {
            Some(Id::Syslog3164)
        }
        b'{' | b' ' | b'\t' => {
            let mark = fields.len();
            if !json::parse(text, fields) {
                None
            } else if envoy_json::refine(fields, mark) {
                Some(Id::Envoy)
            } else {
                Some(Id::Json)
            }
        }
        _ => (logfmt::begins(text) && logfmt::parse(text, fields)).then_some(Id::Logfmt),
    }
}

fn content_as<'a>(id: Id, text: &'a str, fields: &mut Fields<'a>) -> bool {
    match id {
        Id::Klog => klog::parse(text, fields),
        Id::Json => json::parse(text, fields),
        Id::Envoy if text.starts_with(['{', ' ', '\t']) => {
            let mark = fields.len();
            if json::parse(text, fields) {
                if envoy_json::refine(fields, mark) {
                    return true;
                }
                fields.truncate(mark);
            }
            false
        }
        Id::Envoy => envoy::parse(text, fields),
        Id::Syslog3164 => syslog::parse_3164(text, fields),
        Id::Syslog5424 => syslog::parse_5424(text, fields),
        Id::Logfmt => logfmt::parse(text, fields),
        Id::Cri | Id::Docker => false,
    }
}

/// Fields found in a text that had to be built (Docker escapes its lines) outlive it as owned ones.
fn append_owned(inner: Fields<'_>, fields: &mut Fields<'_>) {
    for Field { name, role, value } in inner.iter() {
        let value = match value {
            Value::Str(text) => Value::Str(text.clone().into_owned().into()),
            Value::U64(n) => Value::U64(*n),
            Value::I64(n) => Value::I64(*n),
            Value::F64(n) => Value::F64(*n),
            Value::Bool(b) => Value::Bool(*b),
            Value::Json(json) => Value::Json(json.clone()),
        };
        fields.push(name.clone().into_owned(), *role, value);
    }
}
