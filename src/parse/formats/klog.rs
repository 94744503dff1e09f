//! klog's text header: `Lmmdd hh:mm:ss.uuuuuu threadid file:line] msg`.
//!
//! Source: `kubernetes/klog: internal/buffer/buffer.go`. By byte: 0 the severity, 1-4 month and day, 6-20 the local
//! time of day to the microsecond (no year, no zone: see [`super::klog_time`]), then the process id padded with
//! blanks on its left (called thread id; glog in C++ prints real ones, up to 15 digits), file, `:`, line, `]`, one
//! blank, the message. The file is a base name, a path under `--add_dir_header`, or `???` for an unknown caller.

use crate::parse::FieldSpec;
use crate::parse::number::{digits, two};
use crate::record::{Fields, Role};

use super::klog_kv;

pub(in crate::parse) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("level", Role::Keyword),
    FieldSpec::number("month"),
    FieldSpec::number("day"),
    FieldSpec::text("time", Role::Stamp),
    FieldSpec::number("thread_id"),
    FieldSpec::text("filename", Role::Keyword),
    FieldSpec::number("line_number"),
    FieldSpec::text("msg", Role::Text),
    FieldSpec::text("msg_key", Role::Keyword),
    FieldSpec::text("kv.*", Role::Keyword),
];

pub(in crate::parse) const ALIASES: &[(&str, &str)] = &[
    ("log.level", "level"),
    ("log.origin.file.name", "filename"),
    ("log.origin.file.line", "line_number"),
    ("process.thread.id", "thread_id"),
    ("process.pid", "thread_id"),
    ("error.message", "kv.err"),
    ("log.logger", "kv.logger"),
];

/// Bytes up to and with the blank after the time.
const FIXED: usize = 22;

pub(in crate::parse) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let bytes = line.as_bytes();
    let Some(head) = bytes.first_chunk::<FIXED>() else { return false };
    if !matches!(head[0], b'I' | b'W' | b'E' | b'F') {
        return false;
    }
    if head[5] != b' ' || head[8] != b':' || head[11] != b':' || head[14] != b'.' || head[21] != b' ' {
        return false;
    }
    let (month, day) = (two(head[1], head[2]), two(head[3], head[4]));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return false;
    }
    if two(head[6], head[7]) > 23 || two(head[9], head[10]) > 59 || two(head[12], head[13]) > 59 {
        return false;
    }
    if two(head[15], head[16]) > 99 || two(head[17], head[18]) > 99 || two(head[19], head[20]) > 99 {
        return false;
    }

    let mut at = FIXED;
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    let thread_start = at;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    let Some(thread_id) = digits(&bytes[thread_start..at]) else { return false };
    if bytes.get(at) != Some(&b' ') {
        return false;
    }

    let file_start = at + 1;
    // The first of these ends the place: a file name holds no blank.
    let Some(place_len) = memchr::memchr3(b']', b' ', b'\t', &bytes[file_start..]) else { return false };
    let close = file_start + place_len;
    if bytes[close] != b']' || bytes.get(close + 1) != Some(&b' ') {
        return false;
    }
    let mut colon = close;
    while colon > file_start && bytes[colon - 1].is_ascii_digit() {
        colon -= 1;
    }
    let Some(line_number) = digits(&bytes[colon..close]) else { return false };
    if colon < file_start + 2 || bytes[colon - 1] != b':' {
        return false;
    }

    let msg = &line[close + 2..];
    fields.str("level", Role::Keyword, &line[..1]);
    fields.u64("month", u64::from(month));
    fields.u64("day", u64::from(day));
    fields.str("time", Role::Stamp, &line[6..21]);
    fields.u64("thread_id", thread_id);
    fields.str("filename", Role::Keyword, &line[file_start..colon - 1]);
    fields.u64("line_number", line_number);
    fields.str("msg", Role::Text, msg);
    if msg.starts_with('"') {
        klog_kv::parse(msg, fields);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(line: &str) -> Option<serde_json::Value> {
        let mut fields = Fields::new();
        let fits = parse(line, &mut fields);
        assert_eq!(fits, !fields.is_empty(), "{line:?}");
        fits.then(|| fields.to_json().into())
    }

    #[test]
    fn headers() {
        let check = |line: &str, expected: Option<(&str, u64, &str, u64, &str)>| {
            let found = parsed(line);
            let found = found.as_ref().map(|f| {
                (
                    f["time"].as_str().unwrap(),
                    f["thread_id"].as_u64().unwrap(),
                    f["filename"].as_str().unwrap(),
                    f["line_number"].as_u64().unwrap(),
                    f["msg"].as_str().unwrap(),
                )
            });
            assert_eq!(found, expected, "{line:?}");
        };
        let time = "00:58:17.986343";
        check("W1124 00:58:17.986343       1 lease.go:223] Resetting", Some((time, 1, "lease.go", 223, "Resetting")));
        check("W1124 00:58:17.986343 1 a/b.go:2] ", Some((time, 1, "a/b.go", 2, "")));
        check("F1231 00:58:17.986343 140234567890123 ???:1] x", Some((time, 140234567890123, "???", 1, "x")));
        check("E0101 00:58:17.986343 1 x:y.go:1] z] w", Some((time, 1, "x:y.go", 1, "z] w")));
        check("I0229 00:58:17.986343 1 日.go:1] 本\0", Some((time, 1, "日.go", 1, "本\0")));
        check("I0101 23:59:59.999999 1 -:0] -", Some(("23:59:59.999999", 1, "-", 0, "-")));
        check("I0101 23:59:60.999999 1 x.go:1] leap", None);
        check("I0001 00:58:17.986343 1 x.go:1] month 0", None);
        check("I0132 00:58:17.986343 1 x.go:1] day 32", None);
        check("I0101 00:58:17.98634x 1 x.go:1] fraction", None);
        check("I0101 00:58:17.986343 1 x.go:1]no blank", None);
        check("I0101 00:58:17.986343 1 x.go:] no line", None);
        check("I0101 00:58:17.986343 1 x.go1] no colon", None);
        check("I0101 00:58:17.986343 1 :1] no file", None);
        check("I0101 00:58:17.986343 x x.go:1] no thread", None);
        check("I0101 00:58:17.986343 99999999999999999999 x.go:1] thread beyond 64 bits", None);
        check("I01é 00:58:17.986343 1 x.go:1] wide", None);
        check("-", None);
        check("", None);
        let whole = "W1124 00:58:17.986343       1 lease.go:223] ";
        for cut in 0..whole.len() {
            check(&whole[..cut], None);
        }
    }

    #[test]
    fn numbers_are_numbers() {
        assert_eq!(
            parsed("W1124 00:58:17.986343       1 lease.go:223] m"),
            Some(json!({"level": "W", "month": 11, "day": 24, "time": "00:58:17.986343", "thread_id": 1,
                "filename": "lease.go", "line_number": 223, "msg": "m"}))
        );
    }
}
