//! What a grammar does with the fields its patterns found: a short ordered list, no language.
//!
//! ```yaml
//! steps:
//!   - dissect: {field: msg, with: '%{code} %{rest}'}
//!   - kv: {field: rest, pairs: '&', is: '='}      # `logfmt: {field: rest}` for what Go's services write
//!   - json: {field: body, into: app}              # without `into`, at the top
//!   - grok: {field: msg, with: ['%{WORD:call}: %{GREEDYDATA:why}']}
//!   - date: {field: time, formats: [ISO8601, 'dd/MMM/yyyy:HH:mm:ss Z'], zone: Europe/Berlin}
//!   - rename: {old: new}
//!   - drop: [rest]
//!   - redact: [token, email, card, ip, '/code=(\d+)/']   # of the line itself, before all else
//! ```
//!
//! A step is a function of the fields alone, so that a record can be found again from its line. Where a text is not what
//! a step takes it for, the fields stay as they were.

mod date;
mod dissect;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::record::{Field, Fields, PATH_SEPARATOR, Role, Value};

use super::detect::append_owned;
use super::formats::{json, logfmt};
use super::grammar::FieldSpec;
use super::grok::Library;
use super::names::intern;
use super::patterns::{Kind, Patterns};
use super::redact::Redactor;
use date::Date;
use dissect::Dissect;

/// A step as a file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum StepText {
    Dissect(DissectText),
    Json(IntoText),
    Kv(KvText),
    Logfmt(IntoText),
    Grok(GrokText),
    Date(DateText),
    Rename(BTreeMap<String, String>),
    Drop(Vec<String>),
    Redact(Vec<String>),
}

/// The masks of all `redact` steps. They are put on the line before its fields are taken, wherever they stand in the list: the
/// line is kept, and every field is found in it again.
pub(super) fn redactor(texts: &[StepText]) -> Result<Option<Redactor>, String> {
    let mut wanted = Vec::new();
    for (number, text) in (1..).zip(texts) {
        if let StepText::Redact(masks) = text {
            Redactor::new(masks).map_err(|problem| format!("step {number}: redact: {problem}"))?;
            wanted.extend_from_slice(masks);
        }
    }
    Redactor::new(&wanted)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DissectText {
    field: String,
    with: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntoText {
    field: String,
    into: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvText {
    field: String,
    into: Option<String>,
    #[serde(default = "blank")]
    pairs: String,
    #[serde(default = "equals")]
    is: String,
}

fn blank() -> String {
    " ".to_owned()
}

fn equals() -> String {
    "=".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrokText {
    field: String,
    with: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateText {
    field: String,
    formats: Vec<String>,
    zone: Option<String>,
}

#[derive(Debug)]
enum Step {
    Dissect { field: String, dissect: Dissect },
    Json { field: String, into: Option<String> },
    Kv { field: String, into: Option<String>, pairs: String, is: String },
    Logfmt { field: String, into: Option<String> },
    Grok { field: String, patterns: Patterns },
    Rename(Vec<(String, &'static str)>),
    Drop(Vec<String>),
}

/// The steps of one grammar.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    /// The last one counts.
    date: Option<(String, Date)>,
    /// What the file says of fields that steps give.
    typed: Vec<(String, Kind, Role)>,
}

impl Steps {
    /// Compiles the steps. `fields` are those the patterns give, and afterwards those there are in the end; `kind` and
    /// `role` say what the file says of a field. An error says which step and what to do. True: other fields may come
    /// out of the lines themselves.
    pub fn compile(
        texts: &[StepText],
        library: &Library,
        fields: &mut Vec<FieldSpec>,
        role: impl Fn(&str) -> Role,
        kind: impl Fn(&str) -> Kind,
    ) -> Result<(Self, bool), String> {
        let mut steps = Self::default();
        let mut open = false;
        for (number, text) in (1..).zip(texts) {
            let wrong = |problem: String| format!("step {number}: {problem}");
            let known = |fields: &[FieldSpec], open: bool, name: &str| {
                if open || fields.iter().any(|spec| spec.name == name) {
                    return Ok(());
                }
                let names = fields.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ");
                Err(wrong(format!("there is no field {name} then: there are {names}")))
            };
            let give = |fields: &mut Vec<FieldSpec>, name: &str| {
                if !fields.iter().any(|spec| spec.name == name) {
                    let (role, kind) = (role(name), kind(name));
                    fields.push(FieldSpec { name: intern(name), role, number: kind != Kind::Text });
                }
            };
            match text {
                StepText::Dissect(DissectText { field, with }) => {
                    known(fields, open, field)?;
                    let dissect = Dissect::compile(with).map_err(wrong)?;
                    dissect.names().for_each(|name| give(fields, name));
                    open |= dissect.names_itself();
                    steps.steps.push(Step::Dissect { field: field.clone(), dissect });
                }
                StepText::Json(IntoText { field, into }) => {
                    known(fields, open, field)?;
                    open = true;
                    steps.steps.push(Step::Json { field: field.clone(), into: into.clone() });
                }
                StepText::Logfmt(IntoText { field, into }) => {
                    known(fields, open, field)?;
                    open = true;
                    steps.steps.push(Step::Logfmt { field: field.clone(), into: into.clone() });
                }
                StepText::Kv(KvText { field, into, pairs, is }) => {
                    known(fields, open, field)?;
                    if pairs.is_empty() || is.is_empty() {
                        return Err(wrong(
                            "kv: `pairs` and `is` are what stands between pairs, and between name and value".into(),
                        ));
                    }
                    open = true;
                    let (pairs, is) = (pairs.clone(), is.clone());
                    steps.steps.push(Step::Kv { field: field.clone(), into: into.clone(), pairs, is });
                }
                StepText::Grok(GrokText { field, with }) => {
                    known(fields, open, field)?;
                    let mut patterns = Patterns::new(Vec::new());
                    for pattern in with {
                        patterns.add(library, pattern, &role, &kind).map_err(|cause| wrong(cause.render()))?;
                    }
                    patterns.fields().for_each(|spec| give(fields, spec.name));
                    steps.steps.push(Step::Grok { field: field.clone(), patterns });
                }
                StepText::Date(DateText { field, formats, zone }) => {
                    known(fields, open, field)?;
                    if steps.date.is_some() {
                        return Err(wrong("date: a line has one time; name all formats in one step".into()));
                    }
                    let date = Date::compile(formats, zone.as_deref()).map_err(wrong)?;
                    steps.date = Some((field.clone(), date));
                }
                StepText::Rename(names) => {
                    let mut pairs = Vec::new();
                    for (old, new) in names {
                        known(fields, open, old)?;
                        pairs.push((old.clone(), intern(&new.replace('.', &PATH_SEPARATOR.to_string()))));
                        for spec in fields.iter_mut().filter(|spec| spec.name == old) {
                            spec.name = intern(new);
                        }
                    }
                    steps.steps.push(Step::Rename(pairs));
                }
                StepText::Drop(names) => {
                    for name in names {
                        known(fields, open, name)?;
                        fields.retain(|spec| spec.name != name);
                    }
                    if let Some((dated, _)) = &steps.date
                        && names.contains(dated)
                    {
                        return Err(wrong(format!("{dated} is the line's time: it cannot be dropped")));
                    }
                    steps.steps.push(Step::Drop(names.clone()));
                }
                StepText::Redact(_) => {}
            }
        }
        if let Some((field, _)) = &steps.date
            && !open
            && !fields.iter().any(|spec| spec.name == field)
        {
            return Err(format!("date: {field} is renamed or dropped by another step: name it as it is in the end"));
        }
        Ok((steps, open))
    }

    /// Says what fields are that steps give.
    pub fn set_types(&mut self, typed: Vec<(String, Kind, Role)>) {
        self.typed = typed;
    }

    /// Runs over the fields from the `mark`th on.
    pub fn run(&self, mark: usize, fields: &mut Fields<'_>) {
        for step in &self.steps {
            match step {
                Step::Dissect { field, dissect } => {
                    within(mark, fields, field, None, |text, out| _ = dissect.run(text, out))
                }
                Step::Json { field, into } => {
                    within(mark, fields, field, into.as_deref(), |text, out| _ = json::parse(text, out))
                }
                Step::Logfmt { field, into } => {
                    within(mark, fields, field, into.as_deref(), |text, out| _ = logfmt::parse(text, out));
                }
                Step::Kv { field, into, pairs, is } => {
                    within(mark, fields, field, into.as_deref(), |text, out| kv(text, pairs, is, out));
                }
                Step::Grok { field, patterns } => {
                    within(mark, fields, field, None, |text, out| _ = patterns.parse(text, out))
                }
                Step::Rename(pairs) => {
                    for field in fields.iter_mut().skip(mark) {
                        if let Some((_, new)) = pairs.iter().find(|(old, _)| field.is_named(old)) {
                            field.name = Cow::Borrowed(new);
                        }
                    }
                }
                Step::Drop(names) => {
                    let mut at = 0;
                    fields.retain_mut(|field| {
                        at += 1;
                        at <= mark || !names.iter().any(|name| field.is_named(name))
                    });
                }
            }
        }
        for field in fields.iter_mut().skip(mark) {
            let Some((_, kind, role)) = self.typed.iter().find(|(name, ..)| field.is_named(name)) else { continue };
            field.role = *role;
            if let Value::Str(Cow::Borrowed(text)) = &field.value {
                field.value = kind.value(text);
            }
        }
    }

    /// The time that the fields say, Unix nanoseconds; `reference` is the event's own.
    pub fn timestamp(&self, fields: &Fields<'_>, reference: i64) -> Option<i64> {
        let (field, date) = self.date.as_ref()?;
        match fields.get(field)? {
            Value::Str(text) => date.read(text, reference),
            Value::U64(n) => date.read(&n.to_string(), reference),
            Value::F64(n) => date.read(&n.to_string(), reference),
            _ => None,
        }
    }
}

/// Gives a field's text to `step` and puts what that finds behind the fields, below `into`. Names that were there already
/// keep their values.
fn within<'a>(
    mark: usize,
    fields: &mut Fields<'a>,
    field: &str,
    into: Option<&str>,
    step: impl for<'t> Fn(&'t str, &mut Fields<'t>),
) {
    let found = fields.iter().skip(mark).find(|other| other.is_named(field));
    let Some(Value::Str(text)) = found.map(|found| &found.value) else { return };
    match text.clone() {
        Cow::Borrowed(text) => {
            let mut found = Fields::new();
            step(text, &mut found);
            for field in found.iter() {
                put(mark, fields, into, field.clone());
            }
        }
        Cow::Owned(text) => {
            let mut borrowed = Fields::new();
            step(&text, &mut borrowed);
            let mut found = Fields::new();
            append_owned(borrowed, &mut found);
            for field in found.iter() {
                put(mark, fields, into, field.clone());
            }
        }
    }
}

fn put<'a>(mark: usize, fields: &mut Fields<'a>, into: Option<&str>, field: Field<'a>) {
    let name = match into.filter(|into| !into.is_empty()) {
        Some(into) => {
            Cow::Owned(format!("{}{PATH_SEPARATOR}{}", into.replace('.', &PATH_SEPARATOR.to_string()), field.name))
        }
        None => field.name,
    };
    if fields.iter().skip(mark).all(|other| other.name != name) {
        fields.push(name, field.role, field.value);
    }
}

/// Pairs of a more, a quoted value among them.
fn kv<'a>(text: &'a str, pairs: &str, is: &str, fields: &mut Fields<'a>) {
    let mut rest = text;
    while !rest.is_empty() && fields.len() < PAIRS_MAX {
        let end = memchr::memmem::find(rest.as_bytes(), pairs.as_bytes()).unwrap_or(rest.len());
        let Some((name, value)) = rest[..end].split_once(is) else {
            // A word between the pairs.
            rest = rest.get(end + pairs.len()..).unwrap_or_default();
            continue;
        };
        let start = name.len() + is.len();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let (value, end) = match quote.and_then(|quote| Some((quote, rest[start + 1..].find(quote)?))) {
            Some((_, length)) => (&rest[start + 1..start + 1 + length], start + 2 + length),
            None => (value, end),
        };
        let name = name.trim();
        if !name.is_empty() && fields.iter().all(|field| field.name != name) {
            fields.push(name, Role::Keyword, Value::Str(value.into()));
        }
        rest = rest.get(end..).unwrap_or_default();
        rest = rest.strip_prefix(pairs).unwrap_or(rest);
        if !rest.is_empty() && end == 0 {
            return;
        }
    }
}

/// More pairs are left where they are.
const PAIRS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::parse::file::load;
    use crate::record::Fields;

    fn file(pattern: &str, steps: &str, more: &str) -> String {
        format!("name: t\npatterns: ['{pattern}']\nsteps: {steps}\n{more}\nsamples: [{{line: '', fields: null}}]")
    }

    #[test]
    fn steps_go_one_after_the_other() {
        for (steps, more, line, expected) in [
            (
                "[{dissect: {field: msg, with: '%{code} %{rest}'}}, {drop: [msg]}]",
                "",
                "7 x y",
                json!({"code": "7", "rest": "x y"}),
            ),
            (
                "[{dissect: {field: msg, with: '%{code} %{rest}'}}]",
                "fields: {code: {type: int}}",
                "7 x",
                json!({"msg": "7 x", "code": 7, "rest": "x"}),
            ),
            (
                "[{kv: {field: msg}}]",
                "fields: {port: {type: int}}",
                "a=1 word port=80 q=\"x y\" z='v'",
                json!({"msg": "a=1 word port=80 q=\"x y\" z='v'", "a": "1", "port": 80, "q": "x y", "z": "v"}),
            ),
            (
                "[{kv: {field: msg, pairs: '&', is: ':', into: q}}, {drop: [msg]}]",
                "",
                "a:1&b:&c",
                json!({"q": {"a": "1", "b": ""}}),
            ),
            (
                "[{logfmt: {field: msg, into: kv}}, {drop: [msg]}]",
                "",
                "a=1 b=\"x\\ty\"",
                json!({"kv": {"a": "1", "b": "x\ty"}}),
            ),
            (
                "[{json: {field: msg, into: app}}, {rename: {msg: raw}}]",
                "",
                "{\"a\":{\"b\":1}}",
                json!({"raw": "{\"a\":{\"b\":1}}", "app": {"a": {"b": 1}}}),
            ),
            ("[{json: {field: msg}}]", "", "no json", json!({"msg": "no json"})),
            // An escape makes a text of its own, out of which the next step takes its fields.
            (
                "[{json: {field: msg}}, {dissect: {field: m, with: '%{x}\t%{y}'}}, {drop: [msg, m]}]",
                "",
                "{\"m\":\"1\\t2\"}",
                json!({"x": "1", "y": "2"}),
            ),
            (
                "[{grok: {field: msg, with: ['%{WORD:call}: %{GREEDYDATA:why}', '%{INT:n:int}']}}, {drop: [msg]}]",
                "",
                "reset_master_service: gone",
                json!({"call": "reset_master_service", "why": "gone"}),
            ),
            ("[{grok: {field: msg, with: ['^%{INT:n:int}$']}}]", "", "12", json!({"msg": "12", "n": 12})),
            // What was there already stays.
            ("[{dissect: {field: msg, with: '%{msg} %{b}'}}]", "", "1 2", json!({"msg": "1 2", "b": "2"})),
        ] {
            let grammar = load(&file(
                "^(?<msg>.+)$",
                &steps.replace('\t', "\\t").replace("'%{x}\\t%{y}'", "\"%{x}\\t%{y}\""),
                more,
            ))
            .unwrap_or_else(|error| panic!("{steps}: {error}"));
            let mut fields = Fields::new();
            assert!(grammar.parse_line(line, &mut fields), "{steps}");
            assert_eq!(serde_json::Value::Object(fields.to_json()), expected, "{steps}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_step() {
        for (steps, more, says) in [
            ("[{drop: [msg]}, {kv: {field: msg}}]", "", "step 2: there is no field msg then"),
            ("[{dissect: {field: msg, with: 'x'}}]", "", "step 1: there is no %{key}"),
            ("[{grok: {field: msg, with: ['(?<a']}}]", "", "step 1: "),
            ("[{date: {field: msg, formats: ['QQ']}}]", "", "the letter Q"),
            ("[{date: {field: msg, formats: [UNIX]}}, {drop: [msg]}]", "", "it cannot be dropped"),
            ("[{date: {field: msg, formats: [UNIX]}}, {rename: {msg: m}}]", "", "name it as it is in the end"),
            ("[{kv: {field: msg, is: ''}}]", "", "kv: `pairs` and `is`"),
            ("[{shout: {field: msg}}]", "", "shout"),
            ("[{drop: [msg]}]", "fields: {msg: {role: text}}\naliases: {m: msg}", "alias m"),
            ("[{rename: {msg: m}}]", "fields: {x: {type: int}}", "captures x"),
        ] {
            let error = load(&file("^(?<msg>.+)$", steps, more)).unwrap_err().to_string();
            assert!(error.contains(says), "{steps}: {error}");
        }
    }

    #[test]
    fn a_line_says_its_time() {
        let text = file(
            "^(?<time>\\S+ \\S+ \\S+) (?<msg>.+)$",
            "[{date: {field: time, formats: ['MMM dd HH:mm:ss'], zone: UTC}}]",
            "",
        );
        let grammar = load(&text).unwrap();
        let mut fields = Fields::new();
        assert!(grammar.parse_line("Dec 31 23:59:00 x", &mut fields));
        let at = |text: &str| crate::record::time::parse_rfc3339(text).unwrap();
        assert_eq!(grammar.timestamp(&fields, at("2026-01-02T00:00:00Z")), Some(at("2025-12-31T23:59:00Z")));
        fields.clear();
        assert!(grammar.parse_line("not a time x", &mut fields));
        assert_eq!(grammar.timestamp(&fields, 0), None);
    }
}
