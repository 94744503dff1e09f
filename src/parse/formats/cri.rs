//! The prefix that container runtimes write before each line: `2016-10-06T00:17:09.669794202Z stdout F text`.
//!
//! Source: `kubernetes/kubernetes: pkg/kubelet/kuberuntime/logs/logs.go`. An RFC 3339 stamp (0 to 9 fraction digits,
//! `Z` or an offset), the stream, tags joined by `:` of which the first is `F` (full) or `P` (partial: the runtime cut
//! the line and more of it follows), the content; one blank between each, also before an empty content.

use crate::parse::FieldSpec;
use crate::record::{Fields, Role, time::parse_rfc3339};

pub(in crate::parse) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("time", Role::Stamp),
    FieldSpec::text("stream", Role::Keyword),
    FieldSpec::text("logtag", Role::Keyword),
    FieldSpec::text("message", Role::Text),
];

/// A line taken out of its wrapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::parse) struct Wrapper<'a> {
    pub time: &'a str,
    pub stream: &'a str,
    pub logtag: &'a str,
    pub message: &'a str,
}

/// Longest stamp: nanoseconds and an offset.
const TIME_BYTES_MAX: usize = 35;

pub(in crate::parse) fn split(line: &str) -> Option<Wrapper<'_>> {
    let bytes = line.as_bytes();
    let head = &bytes[..bytes.len().min(TIME_BYTES_MAX + 1)];
    let time_end = memchr::memchr(b' ', head)?;
    let rest = &bytes[time_end + 1..];
    if !(rest.starts_with(b"stdout ") || rest.starts_with(b"stderr ")) || !matches!(rest.get(7), Some(b'F' | b'P')) {
        return None;
    }
    let tags = time_end + 8;
    let tags_end = match bytes.get(tags + 1)? {
        b' ' => tags + 1,
        b':' => tags + memchr::memchr(b' ', &bytes[tags..])?,
        _ => return None,
    };
    let time = &line[..time_end];
    // The reader of stamps allows a blank or a small `t` as well; this format does not.
    if bytes.get(10) != Some(&b'T') || parse_rfc3339(time).is_none() {
        return None;
    }
    let stream = &line[time_end + 1..time_end + 7];
    Some(Wrapper { time, stream, logtag: &line[tags..tags_end], message: &line[tags_end + 1..] })
}

impl<'a> Wrapper<'a> {
    /// The wrapper's own grammar: nothing knows the content.
    pub(in crate::parse) fn push_all(self, fields: &mut Fields<'a>) {
        fields.str("time", Role::Stamp, self.time);
        fields.str("stream", Role::Keyword, self.stream);
        fields.str("logtag", Role::Keyword, self.logtag);
        fields.str("message", Role::Text, self.message);
    }

    /// The wrapper beside what the content's grammar found.
    pub(in crate::parse) fn push_outer(self, fields: &mut Fields<'a>) {
        fields.str("cri\u{1}time", Role::Stamp, self.time);
        fields.str("cri\u{1}stream", Role::Keyword, self.stream);
        fields.str("cri\u{1}logtag", Role::Keyword, self.logtag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let check = |line: &str, expected: Option<[&str; 4]>| {
            let found = split(line).map(|w| [w.time, w.stream, w.logtag, w.message]);
            assert_eq!(found, expected, "{line:?}");
        };
        let time = "2016-10-06T00:17:09.669794202Z";
        check("2016-10-06T00:17:09.669794202Z stdout F text", Some([time, "stdout", "F", "text"]));
        check("2016-10-06T00:17:09.669794202Z stderr P ", Some([time, "stderr", "P", ""]));
        check("2016-10-06T00:17:09.669794202Z stderr P:x:y  a b", Some([time, "stderr", "P:x:y", " a b"]));
        check("2016-10-06T00:17:09Z stdout F \0", Some(["2016-10-06T00:17:09Z", "stdout", "F", "\0"]));
        let offset = "2016-10-06T00:17:09.1+05:30";
        check("2016-10-06T00:17:09.1+05:30 stdout F 日本", Some([offset, "stdout", "F", "日本"]));
        check("2016-10-06T00:17:09.669794202Z  stdout F text", None);
        check("2016-10-06T00:17:09.669794202Z stdlog F text", None);
        check("2016-10-06T00:17:09.669794202Z stdout Q text", None);
        check("2016-10-06T00:17:09.669794202Z stdout FP text", None);
        check("2016-10-06t00:17:09.669794202Z stdout F text", None);
        check("2016-13-06T00:17:09.669794202Z stdout F text", None);
        check("2016-10-06T00:17:09.6697942021Z stdout F text", None);
        check("2016-10-06 00:17:09.669 stdout F text", None);
        check("stdout F text", None);
        check("-", None);
        check("", None);
        let whole = "2016-10-06T00:17:09.669794202Z stdout F ";
        for cut in 0..whole.len() {
            check(&whole[..cut], None);
        }
    }
}
