//! The message of klog's structured calls: one Go-quoted string, then ` key=value` pairs and nothing else.
//!
//! Source: `kubernetes/klog: internal/serialize/keyvalues.go`. Values are Go-quoted strings, compact JSON, Go's own
//! print-outs of structs, maps and slices, bare words, or a text of several lines between `<` and ` >`. If any part of
//! the tail does not fit, nothing of it is taken: the line keeps its header and message.
//!
//! Keys are not escaped by klog. A key here is printable ASCII without `=` and `"`, blanks inside allowed
//! (`extension point="Balance"`): klog's keys are constants in source code, and letters beyond ASCII before a `=` are
//! far more often prose.

use std::borrow::Cow;

use crate::record::{Fields, Role, Value};

use super::go_quote;

/// More pairs than any call site writes; a line beyond it is no structured line. Bounds the search for repeated keys.
const PAIRS_MAX: usize = 128;

/// Pushes `msg_key` and `kv`; leaves the fields alone where the message is not structured.
pub(super) fn parse<'a>(msg: &'a str, fields: &mut Fields<'a>) {
    let mark = fields.len();
    if pairs(msg, fields, mark).is_none() {
        fields.truncate(mark);
    }
}

fn pairs<'a>(msg: &'a str, fields: &mut Fields<'a>, mark: usize) -> Option<()> {
    let bytes = msg.as_bytes();
    let (key, mut at) = go_quote::unquote(msg, 0)?;
    // Before the pairs are read: most quoted messages that are not structured fail here.
    if !matches!(bytes.get(at), None | Some(b' ')) {
        return None;
    }
    fields.push("msg_key", Role::Keyword, Value::Str(key));
    while at < bytes.len() {
        if bytes[at] != b' ' || fields.len() - mark > PAIRS_MAX {
            return None;
        }
        let key_end = key_end(bytes, at + 1)?;
        let name = name(&msg[at + 1..key_end]);
        let (value, end) = value(msg, key_end + 1)?;
        at = end;
        // The last of equal keys wins, in its first place.
        match fields.iter_mut().skip(mark + 1).find(|f| f.name == name) {
            Some(field) => field.value = Value::Str(value),
            None => fields.push(name, Role::Keyword, Value::Str(value)),
        }
    }
    Some(())
}

/// Where the `=` stands after the key that begins at `at`.
fn key_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        match bytes.get(end)? {
            b'=' if end > at => return Some(end),
            b' ' if end == at => return None,
            b'=' | b'"' => return None,
            0x20..=0x7e => end += 1,
            _ => return None,
        }
    }
}

/// The value that begins at `at`, and where it ends: at a blank or at the end.
fn value(msg: &str, at: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = msg.as_bytes();
    let (value, end) = match bytes.get(at) {
        Some(b'"') => go_quote::unquote(msg, at)?,
        Some(b'[' | b'{') => printed(msg, at, at)?,
        Some(b'm') if bytes[at..].starts_with(b"map[") => printed(msg, at, at + 3)?,
        Some(b'&') => match type_end(bytes, at + 1) {
            Some(brace) => printed(msg, at, brace)?,
            None => word(msg, at),
        },
        Some(b'<') if bytes.get(at + 1) == Some(&b'\n') => lines(msg, at + 2)?,
        _ => word(msg, at),
    };
    matches!(bytes.get(end), None | Some(b' ')).then_some((value, end))
}

fn word(msg: &str, at: usize) -> (Cow<'_, str>, usize) {
    let end = memchr::memchr2(b' ', b'\n', &msg.as_bytes()[at..]).map_or(msg.len(), |len| at + len);
    (Cow::Borrowed(&msg[at..end]), end)
}

/// The brace of `&v1.Pod{`, whose type begins at `at`.
fn type_end(bytes: &[u8], at: usize) -> Option<usize> {
    let len = bytes[at..].iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')))?;
    (bytes[at + len] == b'{').then_some(at + len)
}

/// Text that runs to the bracket that closes the one at `open`, brackets in strings not counted.
fn printed(msg: &str, at: usize, open: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = msg.as_bytes();
    let mut depth = 0usize;
    let mut i = open;
    loop {
        match bytes.get(i)? {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((Cow::Borrowed(&msg[at..=i]), i + 1));
                }
            }
            b'"' => i = go_quote::closing(bytes, i)?,
            _ => {}
        }
        i += 1;
    }
}

/// A text of several lines: each is indented by one tab, ` >` alone ends it.
fn lines(msg: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = msg.as_bytes();
    let mut text = String::new();
    let mut at = start;
    loop {
        if bytes[at..].starts_with(b" >") {
            return (at > start).then_some((Cow::Owned(text), at + 2));
        }
        if bytes.get(at) != Some(&b'\t') {
            return None;
        }
        let end = at + memchr::memchr(b'\n', &bytes[at..])?;
        if at > start {
            text.push('\n');
        }
        text.push_str(&msg[at + 1..end]);
        at = end + 1;
    }
}

/// `kv␁KEY`. The keys that Kubernetes writes most need no allocation.
fn name(key: &str) -> Cow<'static, str> {
    macro_rules! known {
        ($($key:literal)*) => {
            match key {
                $($key => Cow::Borrowed(concat!("kv\u{1}", $key)),)*
                _ => Cow::Owned(["kv\u{1}", key].concat()),
            }
        };
    }
    known! {
        "err" "error" "logger" "pod" "pods" "podUID" "podName" "podNamespace" "node" "nodeName" "name" "namespace" "path"
        "containerID" "containerName" "container" "containerStatusID" "apiVersion" "kind" "status" "event" "type" "object"
        "reason" "message" "source" "probe" "probeType" "volume" "volumeName" "uniqueVolumeName" "image" "resource"
        "resourceVersion" "key" "count" "timeout" "duration" "latency" "method" "verb" "URI" "userAgent" "srcIP" "resp"
        "audit-ID" "controller" "deployment" "replicaSet" "service" "job" "cronjob" "usage" "usagePercentage" "policy" "scope"
        "labels" "fields" "exitCode" "version" "port" "address" "id" "user" "queue" "worker" "plugin" "mountPoint"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tails() {
        let check = |msg: &str, expected: serde_json::Value| {
            let mut fields = Fields::new();
            parse(msg, &mut fields);
            assert_eq!(serde_json::Value::from(fields.to_json()), expected, "{msg:?}");
            assert_eq!(fields.iter().map(|f| &f.name).collect::<std::collections::HashSet<_>>().len(), fields.len());
        };
        let plain = || json!({});
        check(r#""m""#, json!({"msg_key": "m"}));
        check(r#""""#, json!({"msg_key": ""}));
        check(r#""m" a="b c" d=1 e="#, json!({"msg_key": "m", "kv": {"a": "b c", "d": "1", "e": ""}}));
        check(r#""m" a="\"q\" \\ \u00e9\x00" b="x""#, json!({"msg_key": "m", "kv": {"a": "\"q\" \\ é\0", "b": "x"}}));
        check(r#""m\n" extension point="Balance""#, json!({"msg_key": "m\n", "kv": {"extension point": "Balance"}}));
        check(r#""m" pod:="x" -v=-"#, json!({"msg_key": "m", "kv": {"pod:": "x", "-v": "-"}}));
        check(r#""m" a=["x]",{"y":1}] b=2"#, json!({"msg_key": "m", "kv": {"a": "[\"x]\",{\"y\":1}]", "b": "2"}}));
        check(r#""m" a=&v1.Pod{A: b} c=&d"#, json!({"msg_key": "m", "kv": {"a": "&v1.Pod{A: b}", "c": "&d"}}));
        check(r#""m" a=map[x:y z:w] b=mapped"#, json!({"msg_key": "m", "kv": {"a": "map[x:y z:w]", "b": "mapped"}}));
        check(r#""m" a=<nil> b=日本"#, json!({"msg_key": "m", "kv": {"a": "<nil>", "b": "日本"}}));
        check("\"m\" a=<\n\tx\n\t\ty\n > b=1", json!({"msg_key": "m", "kv": {"a": "x\n\ty", "b": "1"}}));
        check("\"m\" a=<\n\t\n >", json!({"msg_key": "m", "kv": {"a": ""}}));
        check(r#""m" a=1 b=2 a=3"#, json!({"msg_key": "m", "kv": {"a": "3", "b": "2"}}));
        for msg in [
            "\"m\" a=<\n > b=1",
            "\"m\" a=<\n\tx",
            "\"m\" a=<\nx\n >",
            "\"m\" a=b\nc=d",
            r#""m" a="b"#,
            r#""m" a="b"c="d""#,
            r#""m" a=[1"#,
            r#""m" a=[1]x"#,
            r#""m" a=["]"#,
            r#""m" but then plain text"#,
            r#""m"  a=1"#,
            r#""m" a=1 "#,
            r#""m" =1"#,
            r#""m" город=1"#,
            r#""m"x"#,
            r#""m\q""#,
            "\"m",
            "\"",
        ] {
            check(msg, plain());
        }
        check(&format!("\"m\"{}", " k=v".repeat(128)), json!({"msg_key": "m", "kv": {"k": "v"}}));
    }
}
