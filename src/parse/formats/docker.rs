//! Docker's json-file log driver: `{"log":"text\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}`.
//!
//! A text that does not end in a line break was cut by Docker at 16 KiB and goes on in the next object; that is told
//! as CRI tells it, `logtag` `F` or `P`, so that both wrappers read alike.

use std::borrow::Cow;

use crate::parse::FieldSpec;
use crate::record::{Fields, Role, Value, time::parse_rfc3339};

use super::json;

pub(in crate::parse) const FIELDS: &[FieldSpec] = super::cri::FIELDS;

/// A line taken out of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::parse) struct Wrapper<'a> {
    pub time: Cow<'a, str>,
    pub stream: Cow<'a, str>,
    pub logtag: &'static str,
    pub message: Cow<'a, str>,
}

/// Docker writes the keys in this order always; anything else is somebody's own JSON with a key `log`.
pub(in crate::parse) fn may_be(line: &str) -> bool {
    line.starts_with("{\"log\":\"")
}

pub(in crate::parse) fn split(line: &str) -> Option<Wrapper<'_>> {
    if !may_be(line) {
        return None;
    }
    let mut members = Fields::new();
    if !json::parse(line, &mut members) {
        return None;
    }
    let (mut log, mut stream, mut time) = (None, None, None);
    for field in members.iter_mut() {
        let slot = match &*field.name {
            "log" => &mut log,
            "stream" => &mut stream,
            "time" => &mut time,
            // Labels and environment variables the user asked the driver to add.
            name if name == "attrs" || name.starts_with("attrs\u{1}") => continue,
            _ => return None,
        };
        match std::mem::replace(&mut field.value, Value::Bool(false)) {
            Value::Str(text) => *slot = Some(text),
            _ => return None,
        }
    }
    let (log, stream, time) = (log?, stream?, time?);
    if !matches!(&*stream, "stdout" | "stderr") || parse_rfc3339(&time).is_none() {
        return None;
    }
    let full = log.ends_with('\n');
    let message = match log {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_suffix('\n').unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(text.len() - usize::from(full));
            Cow::Owned(text)
        }
    };
    let logtag = if full { "F" } else { "P" };
    Some(Wrapper { time, stream, logtag, message })
}

impl<'a> Wrapper<'a> {
    /// The wrapper's own grammar: nothing knows the content.
    pub(in crate::parse) fn push_all(self, fields: &mut Fields<'a>) {
        fields.push("time", Role::Stamp, Value::Str(self.time));
        fields.push("stream", Role::Keyword, Value::Str(self.stream));
        fields.str("logtag", Role::Keyword, self.logtag);
        fields.push("message", Role::Text, Value::Str(self.message));
    }

    /// The wrapper beside what the content's grammar found.
    pub(in crate::parse) fn push_outer(self, fields: &mut Fields<'a>) {
        fields.push("cri\u{1}time", Role::Stamp, Value::Str(self.time));
        fields.push("cri\u{1}stream", Role::Keyword, Value::Str(self.stream));
        fields.str("cri\u{1}logtag", Role::Keyword, self.logtag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects() {
        let check = |line: &str, expected: Option<[&str; 3]>| {
            let found = split(line);
            let found = found.as_ref().map(|w| [&*w.stream, w.logtag, &*w.message]);
            assert_eq!(found, expected, "{line:?}");
        };
        let time = r#""time":"2016-10-06T00:17:09.669794202Z"}"#;
        check(&format!(r#"{{"log":"a \"b\"\n","stream":"stdout",{time}"#), Some(["stdout", "F", "a \"b\""]));
        check(&format!(r#"{{"log":"a","stream":"stderr",{time}"#), Some(["stderr", "P", "a"]));
        check(&format!(r#"{{"log":"","stream":"stderr",{time}"#), Some(["stderr", "P", ""]));
        check(&format!(r#"{{"log":"\n","stream":"stderr","attrs":{{"a":"b"}},{time}"#), Some(["stderr", "F", ""]));
        check(&format!(r#"{{"log":"a","stream":"stdin",{time}"#), None);
        check(&format!(r#"{{"log":"a","stream":"stdout","more":1,{time}"#), None);
        check(&format!(r#"{{"log":1,"stream":"stdout",{time}"#), None);
        check(r#"{"log":"a","stream":"stdout","time":"now"}"#, None);
        check(r#"{"log":"a"}"#, None);
        check("", None);
    }
}
