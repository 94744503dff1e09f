//! What of a record is mined.

use std::borrow::Cow;

use super::hash::{hash_word, mix};
use crate::parse::Grammar;
use crate::record::{Field, Fields, PATH_SEPARATOR, Role, Value};

/// Where formats that name their own fields put what a line says in words: zap, logrus, slog, pino, ECS (whose `message`
/// makes room for the line), Serilog, structlog, Google. Of several that are there the lowest counts.
fn rank(name: &str) -> Option<u8> {
    Some(match name {
        "msg" => 0,
        "message" | "parsed\u{1}message" => 1,
        "@m" => 2,
        "event" | "parsed\u{1}event" => 3,
        "textPayload" => 4,
        "log" => 5,
        _ => return None,
    })
}

/// The number of a log statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Site(pub(super) u64);

impl Site {
    /// A line of a source file.
    pub fn new(file: &str, line: u64) -> Self {
        Self(mix(hash_word(file.as_bytes()), line))
    }
}

/// Free text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'r> {
    pub text: &'r str,
    /// Where in the source it was logged, where the format tells.
    pub site: Option<Site>,
}

impl<'r> Text<'r> {
    /// The text that its grammar calls one; else the field that by its name is the message; the whole line where no
    /// grammar knew it; nothing where all is fields, as in access logs.
    ///
    /// `fields` as they were parsed or after [`Fields::leave_envelope_alone`].
    pub fn of(grammar: Option<&Grammar>, line: Option<&'r str>, fields: &'r Fields<'_>) -> Option<Self> {
        let Some(grammar) = grammar else { return line.map(|text| Self { text, site: None }) };
        let declares_text = grammar.fields.iter().any(|field| field.role == Role::Text && !field.number);
        let message = if declares_text { fields.iter().find(|field| field.role == Role::Text) } else { named(fields) };
        let text = str_of(message?)?;
        Some(Self { text, site: site(fields) })
    }
}

fn named<'r, 'a>(fields: &'r Fields<'a>) -> Option<&'r Field<'a>> {
    let ranked = fields.iter().filter_map(|field| Some((rank(&field.name)?, field)));
    let strings = ranked.filter(|(_, field)| matches!(field.value, Value::Str(_)));
    strings.min_by_key(|(rank, _)| *rank).map(|(_, field)| field)
}

/// klog's `filename` and `line_number`.
fn site(fields: &Fields<'_>) -> Option<Site> {
    let (mut file, mut line) = (None, None);
    for field in fields.iter().take_while(|field| !field.name.contains(PATH_SEPARATOR)) {
        match (&*field.name, &field.value) {
            ("filename", Value::Str(name)) => file = Some(&**name),
            ("line_number", Value::U64(number)) => line = Some(*number),
            _ => {}
        }
    }
    Some(Site::new(file?, line?))
}

fn str_of<'r>(field: &'r Field<'_>) -> Option<&'r str> {
    match &field.value {
        Value::Str(Cow::Borrowed(text)) => Some(text),
        Value::Str(Cow::Owned(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Parser;

    #[test]
    fn the_free_text_of_each_format() {
        let parser = Parser::builtin();
        let klog = "I0817 17:51:22.123456       1 lease.go:223] Resetting endpoints";
        let klog_text = ("Resetting endpoints", Some(Site::new("lease.go", 223)));
        for (line, expected) in [
            (klog, Some(klog_text)),
            (&format!("2016-10-06T00:17:09Z stdout F {klog}"), Some(klog_text)),
            ("2016-10-06T00:17:09Z stdout F well then", Some(("well then", None))),
            (r#"{"log":"well then\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}"#, Some(("well then", None))),
            (r#"{"level":"info","message":"b","msg":"a"}"#, Some(("a", None))),
            (r#"{"level":"info","message":"b","x":1}"#, Some(("b", None))),
            (r#"{"level":"info","n":7}"#, None),
            ("level=info msg=\"well then\" n=7", Some(("well then", None))),
            ("2026-02-22 21:31:05.460 2717 INFO nova.api [req-1 u p - - -] started", Some(("started", None))),
            ("<34>Oct 11 22:14:15 mymachine su: failed for lonvick", Some(("failed for lonvick", None))),
            ("no grammar knows this", Some(("no grammar knows this", None))),
            (r#"10.0.0.1 - - [22/Nov/2026:10:30:05 +0000] "GET /a HTTP/1.1" 200 5 "-" "a b c d e f g""#, None),
        ] {
            for leave in [false, true] {
                let mut fields = Fields::new();
                let grammar = parser.parse_auto(line, &mut fields).map(|grammar| &**grammar);
                if leave {
                    fields.leave_envelope_alone();
                }
                let found = Text::of(grammar, Some(line), &fields).map(|text| (text.text, text.site));
                assert_eq!(found, expected, "{line}");
            }
        }
        assert_eq!(Text::of(None, None, &Fields::new()), None);
    }
}
