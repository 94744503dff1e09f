//! Which grammar a line has, at the cost of a look at its first bytes, and what a stream remembers of it.
//!
//! The grammars exclude each other: klog begins with its level's letter and a digit, Envoy's text with a bracket, the
//! JSON forms with a brace, CRI's prefix with a digit, syslog with a priority or a month; what else begins with a pair
//! may be logfmt. So at most a few of them are tried on a line, and no order of trying changes the answer. The JSON
//! forms share one pass. A remembered grammar goes first and spares the rest.
//!
//! Lines that no parser written by hand knows go to the grammars of files, in their order. Those may overlap: there the
//! remembered grammar of a stream wins over one that stands before it.

use std::borrow::Cow;

use crate::record::{Field, Fields, Value};

use super::Parser;
use super::formats::{cri, docker, envoy, envoy_json, json, klog, logfmt, syslog};
use super::grammar::Grammar;

/// A name that no grammar has.
#[derive(Debug, thiserror::Error)]
#[error("unknown grammar {name:?}: known are auto, {known}")]
pub struct UnknownGrammar {
    pub name: String,
    pub known: String,
}

/// A grammar whose parser is written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Klog,
    Envoy,
    Json,
    Cri,
    Docker,
    Syslog3164,
    Syslog5424,
    Logfmt,
}

impl Builtin {
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
}

/// A grammar of a [`Parser`]: its place among [`Parser::grammars`], where those written by hand come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u16);

impl Id {
    const fn of(builtin: Builtin) -> Self {
        Self(builtin as u16)
    }

    const KLOG: Self = Self::of(Builtin::Klog);
    const ENVOY: Self = Self::of(Builtin::Envoy);
    const JSON: Self = Self::of(Builtin::Json);
    const CRI: Self = Self::of(Builtin::Cri);
    const DOCKER: Self = Self::of(Builtin::Docker);
    const SYSLOG_3164: Self = Self::of(Builtin::Syslog3164);
    const SYSLOG_5424: Self = Self::of(Builtin::Syslog5424);
    const LOGFMT: Self = Self::of(Builtin::Logfmt);

    /// The grammar at that place, which is below [`GRAMMARS_MAX`](super::GRAMMARS_MAX).
    pub(super) fn at(index: usize) -> Self {
        Self(index as u16)
    }

    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    fn is_builtin(self) -> bool {
        self.index() < Builtin::ALL.len()
    }
}

/// What to try before looking at the line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct First {
    /// A rule sends the stream's lines to this grammar.
    pub route: Option<Id>,
    /// The stream's lines so far had this one.
    pub remembered: Option<Id>,
}

/// Parses by what the line looks like. `first` says what to try before looking.
pub(super) fn parse<'a>(parser: &Parser, first: First, line: &'a str, fields: &mut Fields<'a>) -> Option<Id> {
    // These two shortcuts are exclusive of all other grammars, so they cannot change the answer.
    match first.remembered.filter(|_| first.route.is_none()) {
        Some(Id::KLOG) if klog::parse(line, fields) => return Some(Id::KLOG),
        Some(Id::ENVOY) if envoy::parse(line, fields) => return Some(Id::ENVOY),
        _ => {}
    }
    match *line.as_bytes().first()? {
        b'0'..=b'9' => {
            let Some(wrapper) = cri::split(line) else { return content(parser, first, line, fields) };
            match content(parser, first, wrapper.message, fields) {
                Some(id) => {
                    wrapper.push_outer(fields);
                    Some(id)
                }
                None => {
                    wrapper.push_all(fields);
                    Some(Id::CRI)
                }
            }
        }
        b'{' if docker::may_be(line) => match docker::split(line) {
            None => content(parser, first, line, fields),
            Some(wrapper) => {
                let mut inner = Fields::new();
                match content(parser, first, &wrapper.message, &mut inner) {
                    Some(id) => {
                        append_owned(inner, fields);
                        wrapper.push_outer(fields);
                        Some(id)
                    }
                    None => {
                        drop(inner);
                        wrapper.push_all(fields);
                        Some(Id::DOCKER)
                    }
                }
            }
        },
        _ => content(parser, first, line, fields),
    }
}

/// Parses with one grammar.
pub(super) fn parse_as<'a>(grammar: &Grammar, line: &'a str, fields: &mut Fields<'a>) -> bool {
    match grammar.hand {
        Some(Builtin::Cri) => return cri::split(line).map(|wrapper| wrapper.push_all(fields)).is_some(),
        Some(Builtin::Docker) => return docker::split(line).map(|wrapper| wrapper.push_all(fields)).is_some(),
        _ => {}
    }
    match line.as_bytes().first() {
        Some(b'0'..=b'9') => match cri::split(line) {
            Some(wrapper) => {
                let fits = content_as(grammar, wrapper.message, fields);
                if fits {
                    wrapper.push_outer(fields);
                }
                fits
            }
            None => content_as(grammar, line, fields),
        },
        Some(b'{') if docker::may_be(line) => {
            if let Some(wrapper) = docker::split(line) {
                let mut inner = Fields::new();
                if content_as(grammar, &wrapper.message, &mut inner) {
                    append_owned(inner, fields);
                    wrapper.push_outer(fields);
                    return true;
                }
            }
            // Docker's object is a JSON object too, for who asks for that.
            content_as(grammar, line, fields)
        }
        _ => content_as(grammar, line, fields),
    }
}

/// The content of a wrapper, or a line without one.
fn content<'a>(parser: &Parser, first: First, text: &'a str, fields: &mut Fields<'a>) -> Option<Id> {
    // What is written by hand comes next anyway, and no order among those changes the answer.
    let remembered = first.remembered.filter(|id| !id.is_builtin() && first.route != Some(*id));
    for id in first.route.into_iter().chain(remembered) {
        if parser.grammars.get(id.index()).is_some_and(|grammar| content_as(grammar, text, fields)) {
            return Some(id);
        }
    }
    by_hand(text, fields)
        .or_else(|| parser.choice.first(text, |place| parser.grammars[place].parse(text, fields)).map(Id::at))
}

/// What a parser written by hand makes of it.
fn by_hand<'a>(text: &'a str, fields: &mut Fields<'a>) -> Option<Id> {
    match *text.as_bytes().first()? {
        b'I' | b'W' | b'E' | b'F' if klog::parse(text, fields) => Some(Id::KLOG),
        b'[' | b'A' if envoy::parse(text, fields) => Some(Id::ENVOY),
        b'<' if syslog::parse_5424(text, fields) => Some(Id::SYSLOG_5424),
        b'<' | b'A' | b'D' | b'F' | b'J' | b'M' | b'N' | b'O' | b'S' if syslog::parse_3164(text, fields) => {
            Some(Id::SYSLOG_3164)
        }
        b'{' | b' ' | b'\t' => {
            let mark = fields.len();
            if !json::parse(text, fields) {
                None
            } else if envoy_json::refine(fields, mark) {
                Some(Id::ENVOY)
            } else {
                Some(Id::JSON)
            }
        }
        _ => (logfmt::begins(text) && logfmt::parse(text, fields)).then_some(Id::LOGFMT),
    }
}

fn content_as<'a>(grammar: &Grammar, text: &'a str, fields: &mut Fields<'a>) -> bool {
    match grammar.hand {
        Some(Builtin::Klog) => klog::parse(text, fields),
        Some(Builtin::Json) => json::parse(text, fields),
        Some(Builtin::Envoy) if text.starts_with(['{', ' ', '\t']) => {
            let mark = fields.len();
            if json::parse(text, fields) {
                if envoy_json::refine(fields, mark) {
                    return true;
                }
                fields.truncate(mark);
            }
            false
        }
        Some(Builtin::Envoy) => envoy::parse(text, fields),
        Some(Builtin::Syslog3164) => syslog::parse_3164(text, fields),
        Some(Builtin::Syslog5424) => syslog::parse_5424(text, fields),
        Some(Builtin::Logfmt) => logfmt::parse(text, fields),
        Some(Builtin::Cri | Builtin::Docker) => false,
        None => grammar.parse(text, fields),
    }
}

/// What is left of a line when a container runtime's wrapper is taken off.
pub(super) fn unwrapped(line: &str) -> Cow<'_, str> {
    match line.as_bytes().first() {
        Some(b'0'..=b'9') => cri::split(line).map_or(line, |wrapper| wrapper.message).into(),
        Some(b'{') if docker::may_be(line) => docker::split(line).map_or(line.into(), |wrapper| wrapper.message),
        _ => line.into(),
    }
}

/// Fields found in a text that had to be built (Docker escapes its lines) outlive it as owned ones.
pub(super) fn append_owned(inner: Fields<'_>, fields: &mut Fields<'_>) {
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
