//! How a record looks on a terminal: local time, level or status, who said it, the line.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde_json::{Map, Value as Json};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A line for people.
    Text,
    /// The server's whole answer.
    Json,
    /// One JSON record a line.
    Ndjson,
}

/// Writes records as lines for people.
pub struct Lines {
    colour: bool,
    zone: jiff::tz::TimeZone,
}

impl Lines {
    /// In local time; coloured on a terminal unless `NO_COLOR` is set.
    pub fn for_stdout() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: std::io::stdout().is_terminal() && !no_colour, zone: jiff::tz::TimeZone::system() }
    }

    /// One record, no newline at the end.
    pub fn line(&self, record: &Map<String, Json>) -> String {
        let mut line = self.time(record);
        let (mark, colour) = mark(record);
        if self.colour && !colour.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(line, " \x1b[{colour}m{mark:>3}\x1b[0m");
        } else {
            let _ = write!(line, " {mark:>3}");
        }
        if let Some(source) = source(record) {
            line.push(' ');
            line.push_str(&printable(&source));
        }
        line.push_str("  ");
        match text(record, "message") {
            Some(message) => line.push_str(&printable(message)),
            None => line.push_str(&printable(&Json::Object(record.clone()).to_string())),
        }
        line
    }

    fn time(&self, record: &Map<String, Json>) -> String {
        let Some(given) = text(record, "@timestamp") else { return " ".repeat(23) };
        match given.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            Err(_) => printable(given),
        }
    }
}

/// The value at a dotted path.
fn at<'r>(record: &'r Map<String, Json>, path: &str) -> Option<&'r Json> {
    let mut object = record;
    let mut segments = path.split('.').peekable();
    loop {
        let value = object.get(segments.next()?)?;
        if segments.peek().is_none() {
            return Some(value);
        }
        object = value.as_object()?;
    }
}

fn text<'r>(record: &'r Map<String, Json>, path: &str) -> Option<&'r str> {
    at(record, path)?.as_str()
}

/// Level or HTTP status, and its colour (an ANSI number; empty for none).
fn mark(record: &Map<String, Json>) -> (String, &'static str) {
    const RED: &str = "31";
    const YELLOW: &str = "33";
    const FAINT: &str = "2";
    if let Some(level) = ["level", "log.level", "severity"].iter().find_map(|name| text(record, name)) {
        let colour = match level.chars().next().map(|c| c.to_ascii_uppercase()) {
            Some('E' | 'F' | 'C' | 'A') => RED,
            Some('W') => YELLOW,
            Some('D' | 'T') => FAINT,
            _ => "",
        };
        return (printable(level), colour);
    }
    match at(record, "response_code").and_then(Json::as_u64) {
        Some(code @ 500..) => (code.to_string(), RED),
        Some(code @ 400..) => (code.to_string(), YELLOW),
        Some(code) => (code.to_string(), ""),
        None => ("-".to_owned(), ""),
    }
}

/// Who wrote the line: namespace/pod, else service, container, or host and file.
fn source(record: &Map<String, Json>) -> Option<String> {
    if let Some(pod) = text(record, "kubernetes.pod.name") {
        return Some(match text(record, "kubernetes.namespace") {
            Some(namespace) => format!("{namespace}/{pod}"),
            None => pod.to_owned(),
        });
    }
    if let Some(name) = ["service.name", "container.name"].iter().find_map(|name| text(record, name)) {
        return Some(name.to_owned());
    }
    let file = text(record, "log.file.path").and_then(|path| path.rsplit('/').next());
    match (text(record, "host.name"), file) {
        (Some(host), Some(file)) => Some(format!("{host}:{file}")),
        (host, file) => host.or(file).map(str::to_owned),
    }
}

/// The text without what would steer a terminal: a log line may hold anything. Further lines are indented.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        match c {
            '\n' => out.push_str("\n    "),
            '\t' => out.push(c),
            '\u{7f}' => out.push('␡'),
            // U+2400 on are the pictures of the control characters, in their order.
            '\0'..'\u{20}' => out.extend(char::from_u32(0x2400 + c as u32)),
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_become_lines() {
        let plain = Lines { colour: false, zone: jiff::tz::TimeZone::UTC };
        for (record, line) in [
            (
                json!({"@timestamp": "2026-03-01T12:00:00.123456Z", "level": "E", "message": "E0301 boom\n",
                    "kubernetes": {"namespace": "kube-system", "pod": {"name": "etcd-0"}}}),
                "2026-03-01 12:00:00.123   E kube-system/etcd-0  E0301 boom",
            ),
            (
                json!({"@timestamp": "2026-03-01T12:00:00Z", "response_code": 503, "message": "GET",
                    "host": {"name": "n1"}, "log": {"file": {"path": "/var/log/envoy.log"}}}),
                "2026-03-01 12:00:00.000 503 n1:envoy.log  GET",
            ),
            (
                json!({"@timestamp": "never", "service": {"name": "web"}, "message": "a\u{1b}[2J\u{9b}b\nc"}),
                "never   - web  a␛[2J\u{fffd}b\n    c",
            ),
            (json!({"a": 1}), "                          -  {\"a\":1}"),
        ] {
            assert_eq!(plain.line(record.as_object().unwrap()), line);
        }
    }

    #[test]
    fn levels_are_coloured_by_weight() {
        let lines = Lines { colour: true, zone: jiff::tz::TimeZone::UTC };
        for (record, colour) in [
            (json!({"level": "F", "message": ""}), "\x1b[31m"),
            (json!({"log": {"level": "warn"}, "message": ""}), "\x1b[33m"),
            (json!({"response_code": 404, "message": ""}), "\x1b[33m"),
        ] {
            assert!(lines.line(record.as_object().unwrap()).contains(colour), "{record}");
        }
        assert!(!lines.line(json!({"level": "I", "message": ""}).as_object().unwrap()).contains('\x1b'));
    }
}
