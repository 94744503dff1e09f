//! Syslog, the old form (RFC 3164, as programs really write it) and the new one (RFC 5424).
//!
//! ```text
//! <PRI>Mmm dd hh:mm:ss HOST PROGRAM[PID]: MSG
//! <PRI>1 TIMESTAMP HOST APP PROCID MSGID [id name="value"]… MSG
//! ```
//!
//! In a file the old form has no `<PRI>`, no year and no zone. Under the new one `-` is a missing value.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::parse::FieldSpec;
use crate::parse::number::{digits, is_stamp};
use crate::record::{Fields, PATH_SEPARATOR, Role, Value};

pub(in crate::parse) const FIELDS_3164: &[FieldSpec] = &[
    FieldSpec::number("pri"),
    FieldSpec::text("facility", Role::Keyword),
    FieldSpec::text("severity", Role::Keyword),
    FieldSpec::text("time", Role::Keyword),
    FieldSpec::text("host", Role::Keyword),
    FieldSpec::text("program", Role::Keyword),
    FieldSpec::text("pid", Role::Keyword),
    FieldSpec::text("msg", Role::Text),
];

pub(in crate::parse) const FIELDS_5424: &[FieldSpec] = &[
    FieldSpec::number("pri"),
    FieldSpec::text("facility", Role::Keyword),
    FieldSpec::text("severity", Role::Keyword),
    FieldSpec::number("version"),
    FieldSpec::text("time", Role::Stamp),
    FieldSpec::text("host", Role::Keyword),
    FieldSpec::text("app_name", Role::Keyword),
    FieldSpec::text("procid", Role::Keyword),
    FieldSpec::text("msgid", Role::Keyword),
    FieldSpec::text("structured_data.*", Role::Keyword),
    FieldSpec::text("msg", Role::Text),
];

pub(in crate::parse) const ALIASES_3164: &[(&str, &str)] = &[
    ("log.level", "severity"),
    ("log.syslog.priority", "pri"),
    ("log.syslog.facility.name", "facility"),
    ("log.syslog.severity.name", "severity"),
    ("process.name", "program"),
    ("process.pid", "pid"),
];

pub(in crate::parse) const ALIASES_5424: &[(&str, &str)] = &[
    ("log.level", "severity"),
    ("log.syslog.priority", "pri"),
    ("log.syslog.facility.name", "facility"),
    ("log.syslog.severity.name", "severity"),
    ("log.syslog.appname", "app_name"),
    ("log.syslog.procid", "procid"),
    ("log.syslog.msgid", "msgid"),
];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// `Aug 17 17:50:16`.
const STAMP_BYTES: usize = 15;

/// `<PRI>`: its number, and what follows. No leading zeros, at most 191.
fn priority(line: &str) -> Option<(u64, &str)> {
    let (number, rest) = line.strip_prefix('<')?.split_once('>').filter(|(number, _)| number.len() <= 3)?;
    let pri = digits(number.as_bytes())?;
    (pri <= 191 && (number == "0" || !number.starts_with('0'))).then_some((pri, rest))
}

fn push_priority(pri: u64, fields: &mut Fields) {
    fields.u64("pri", pri);
    fields.str("facility", Role::Keyword, FACILITIES[pri as usize / 8]);
    fields.str("severity", Role::Keyword, SEVERITIES[pri as usize % 8]);
}

/// Whether 15 bytes are `Mmm dd hh:mm:ss`, the day padded with a blank or a zero.
fn is_old_stamp(stamp: &[u8]) -> bool {
    let number = |at: usize| match stamp[at..at + 2] {
        [b' ' | b'0', b @ b'0'..=b'9'] => b - b'0',
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => (a - b'0') * 10 + (b - b'0'),
        _ => u8::MAX,
    };
    stamp.len() == STAMP_BYTES
        && MONTHS.iter().any(|month| stamp.starts_with(*month))
        && (stamp[3], stamp[6], stamp[9], stamp[12]) == (b' ', b' ', b':', b':')
        && (1..=31).contains(&number(4))
        && stamp[7] != b' '
        && (number(7) < 24 && number(10) < 60 && number(13) < 61)
}

pub(in crate::parse) fn parse_3164<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let (pri, rest) = match line.as_bytes().first() {
        Some(b'<') => match priority(line) {
            Some((pri, rest)) => (Some(pri), rest),
            None => return false,
        },
        _ => (None, line),
    };
    let Some(stamp) = rest.as_bytes().get(..STAMP_BYTES).filter(|stamp| is_old_stamp(stamp)) else { return false };
    let (time, rest) = rest.split_at(stamp.len());
    let Some((host, rest)) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(' ')) else { return false };
    if host.is_empty() {
        return false;
    }
    if let Some(pri) = pri {
        push_priority(pri, fields);
    }
    fields.str("time", Role::Keyword, time);
    fields.str("host", Role::Keyword, host);
    let msg = match tag(rest) {
        Some((program, pid, msg)) => {
            fields.str("program", Role::Keyword, program);
            if let Some(pid) = pid {
                fields.str("pid", Role::Keyword, pid);
            }
            msg
        }
        None => rest,
    };
    fields.str("msg", Role::Text, msg);
    true
}

/// `PROGRAM[PID]: ` or `PROGRAM: `; a tag holds no blank.
fn tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.find([' ', ':', '['])?;
    let (program, rest) = text.split_at(end);
    let (pid, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']').map(|(pid, rest)| (Some(pid), rest))?,
        None => (None, rest),
    };
    let msg = rest.strip_prefix(':')?;
    let sound = !program.is_empty() && pid.is_none_or(|pid| !pid.is_empty() && !pid.contains(' '));
    sound.then(|| (program, pid, msg.strip_prefix(' ').unwrap_or(msg)))
}

pub(in crate::parse) fn parse_5424<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let mark = fields.len();
    let fits = new_form(line, fields).is_some();
    if !fits {
        fields.truncate(mark);
    }
    fits
}

fn new_form<'a>(line: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let (pri, rest) = priority(line)?;
    let rest = rest.strip_prefix("1 ")?;
    push_priority(pri, fields);
    fields.u64("version", 1);
    let (time, mut rest) = rest.split_once(' ')?;
    if time != "-" {
        if time.as_bytes().get(10) != Some(&b'T') || !is_stamp(time) {
            return None;
        }
        fields.str("time", Role::Stamp, time);
    }
    for name in ["host", "app_name", "procid", "msgid"] {
        let (value, after) = rest.split_once(' ')?;
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        if value != "-" {
            fields.str(name, Role::Keyword, value);
        }
        rest = after;
    }
    let rest = match rest.strip_prefix('-') {
        Some(rest) => rest,
        None => structured_data(rest, fields)?,
    };
    match rest.strip_prefix(' ') {
        Some(msg) => fields.str("msg", Role::Text, msg.strip_prefix('\u{feff}').unwrap_or(msg)),
        None if rest.is_empty() => {}
        None => return None,
    }
    Some(())
}

/// One element or more, `[id name="value" …]`, with nothing between; what follows them.
fn structured_data<'a>(mut rest: &'a str, fields: &mut Fields<'a>) -> Option<&'a str> {
    loop {
        let inner = rest.strip_prefix('[')?;
        let (id, mut inner) = name(inner)?;
        let mut empty = true;
        while let Some(parameter) = inner.strip_prefix(' ') {
            let (key, after) = name(parameter)?;
            let (value, after) = value(after.strip_prefix("=\"")?)?;
            let path = ["structured_data", id, key].join(&PATH_SEPARATOR.to_string());
            fields.push(path, Role::Keyword, Value::Str(value));
            (inner, empty) = (after, false);
        }
        if empty {
            let path = ["structured_data", id].join(&PATH_SEPARATOR.to_string());
            fields.push(path, Role::Keyword, Value::Json(Box::new(Json::Object(Map::new()))));
        }
        rest = inner.strip_prefix(']')?;
        if !rest.starts_with('[') {
            return Some(rest);
        }
    }
}

/// An id or a parameter's name: 1 to 32 printable ASCII characters without `=`, `]`, `"` and blanks.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_graphic() || matches!(b, b'=' | b']' | b'"'))?;
    (1..=32).contains(&end).then(|| text.split_at(end))
}

/// A value up to its closing quote; before `"`, `\` and `]` a backslash is an escape, elsewhere it is itself.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = memchr::memchr3(b'"', b'\\', b']', bytes)?;
    if bytes[at] == b'"' {
        return Some((Cow::Borrowed(&text[..at]), &text[at + 1..]));
    }
    let (mut out, mut run) = (String::new(), 0);
    loop {
        match bytes[at] {
            b'"' => {
                out.push_str(&text[run..at]);
                return Some((Cow::Owned(out), &text[at + 1..]));
            }
            b'\\' => {
                if matches!(bytes.get(at + 1), Some(b'"' | b'\\' | b']')) {
                    out.push_str(&text[run..at]);
                    run = at + 1;
                    at += 1;
                }
            }
            // The standard wants it escaped.
            _ => return None,
        }
        at += 1;
        at += memchr::memchr3(b'"', b'\\', b']', &bytes[at..])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_old_form() {
        let check = |line: &str, expected: Json| {
            let mut fields = Fields::new();
            let fits = parse_3164(line, &mut fields);
            assert_eq!(if fits { Json::Object(fields.to_json()) } else { Json::Null }, expected, "{line:?}");
            assert!(fits || fields.is_empty());
        };
        let time = "Aug 17 17:50:16";
        check("Aug 17 17:50:16 h p[1]: m", json!({"time": time, "host": "h", "program": "p", "pid": "1", "msg": "m"}));
        check("Aug 17 17:50:16 h p:m", json!({"time": time, "host": "h", "program": "p", "msg": "m"}));
        check("Aug 17 17:50:16 h p 1.4: m", json!({"time": time, "host": "h", "msg": "p 1.4: m"}));
        check("Aug 17 17:50:16 h p[1 2]: m", json!({"time": time, "host": "h", "msg": "p[1 2]: m"}));
        check("Aug 17 17:50:16 h [1]: m", json!({"time": time, "host": "h", "msg": "[1]: m"}));
        check(
            "<13>Aug  7 17:50:16 h é",
            json!({"pri": 13, "facility": "user", "severity": "notice", "time": "Aug  7 17:50:16", "host": "h", "msg": "é"}),
        );
        for no in [
            "Aug 32 17:50:16 h m",
            "Aug 17 24:50:16 h m",
            "Aug 17  7:50:16 h m",
            "<192>Aug 17 17:50:16 h m",
            "<013>Aug 17 17:50:16 h m",
            "Aug 17 17:50:16",
            "Aug 17 17:50:16 h",
            "Auc 17 17:50:16 h m",
            "Aug 17 17:50:1é h m",
            "",
        ] {
            check(no, Json::Null);
        }
    }

    #[test]
    fn the_new_form() {
        let check = |line: &str, expected: Json| {
            let mut fields = Fields::new();
            let fits = parse_5424(line, &mut fields);
            assert_eq!(if fits { Json::Object(fields.to_json()) } else { Json::Null }, expected, "{line:?}");
            assert!(fits || fields.is_empty());
        };
        let head = json!({"pri": 0, "facility": "kern", "severity": "emerg", "version": 1});
        let with = |more: Json| {
            let mut all = head.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        check("<0>1 - - - - - -", head.clone());
        check("<0>1 - - - - - - ", with(json!({"msg": ""})));
        check(
            "<0>1 - h a p m - x",
            with(json!({"host": "h", "app_name": "a", "procid": "p", "msgid": "m", "msg": "x"})),
        );
        check(r#"<0>1 - - - - - [i a="\q\]"][j]"#, with(json!({"structured_data": {"i": {"a": "\\q]"}, "j": {}}})));
        for no in [
            r#"<0>1 - - - - - [i a="]"]"#,
            "<0>1 - - - - - []",
            "<0>1 - - - - - [i",
            "<0>1 - - - - - -x",
            "<0>2 - - - - - -",
            "<0>1 2024-01-01 - - - - -",
            "<0>1 - é - - - -",
            r#"<0>1 - - - - - [i a="\"#,
        ] {
            check(no, Json::Null);
        }
    }
}
