//! What the rest of the program may know of a grammar: its fields, their roles, the names queries may use for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::record::{Fields, GrammarRef, Role, When};

use super::detect::{self, Builtin};
use super::format_string::JsonFormat;
use super::formats::{cri, docker, envoy, klog, logfmt, syslog};
use super::grok::{Explainer, Explanation, Library};
use super::patterns::Patterns;
use super::redact::Redactor;
use super::steps::Steps;

/// A field a grammar can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Dotted, as a query writes it; `kv.*` stands for every field below.
    pub name: &'static str,
    pub role: Role,
    /// Whether the value is a number (its role then means nothing).
    pub number: bool,
}

impl FieldSpec {
    pub(super) const fn text(name: &'static str, role: Role) -> Self {
        Self { name, role, number: false }
    }

    pub(super) const fn number(name: &'static str) -> Self {
        Self { name, role: Role::Keyword, number: true }
    }
}

/// Version of the parsers written by hand. Raise it when one of them gives other fields for a line than before.
pub const HAND_VERSION: u64 = 1;

/// A grammar, described.
#[derive(Debug)]
pub struct Grammar {
    pub name: &'static str,
    /// Differs where what the grammar says does; of a parser written by hand [`HAND_VERSION`].
    pub version: u64,
    /// The file's text; empty for a parser written by hand.
    pub source: String,
    /// What writes it.
    pub about: String,
    /// Other names for fields, ECS first: (alias, field), both dotted.
    pub aliases: Vec<(&'static str, &'static str)>,
    /// The fields it can give; empty where they are the line's own, as for `json`.
    pub fields: Vec<FieldSpec>,
    /// Whether every word of a line written as text stands in one of its fields. See [`Grammar::covers`].
    pub covers_line: bool,
    /// Whether it is tried last: it says little of a line, and others that fit say more.
    pub(super) fallback: bool,
    /// Whether no line is tried with it that nobody sent to it.
    pub(super) only_by_name: bool,
    pub(super) hand: Option<Builtin>,
    /// Which streams' lines it is for, any of these; where none is said, it is tried on all.
    pub(super) when: Vec<When>,
    /// What its patterns refer to.
    pub(super) library: Arc<Library>,
    /// Made when a failure is to be explained.
    pub(super) explainers: OnceLock<Vec<Explainer>>,
    /// What a grammar file says; `None` for a parser written by hand.
    pub(super) patterns: Option<Patterns>,
    /// What numbers are in, by the field's name.
    pub(super) units: BTreeMap<String, String>,
    /// What is hidden of a line before its fields are taken.
    pub(super) redactor: Option<Redactor>,
    /// What is done with the fields then.
    pub(super) steps: Steps,
    /// For a format string whose lines are JSON objects: what their members are.
    pub(super) json: Option<JsonFormat>,
}

impl Grammar {
    /// Whether every word of this line, which this grammar parsed, stands in one of its fields. Not so for JSON
    /// forms: their key names, and Envoy's keys that are none of its operators, stand in none.
    pub fn covers(&self, line: &str) -> bool {
        if !self.covers_line {
            return false;
        }
        let content = cri::split(line).map_or(line, |wrapper| wrapper.message);
        matches!(content.as_bytes().first(), Some(b'I' | b'W' | b'E' | b'F' | b'['))
    }

    /// How a record names it.
    pub fn key(&self) -> GrammarRef<'_> {
        GrammarRef { name: self.name, version: self.version, source: &self.source }
    }

    /// The texts of its patterns; none where the parser is written by hand.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().flat_map(Patterns::texts)
    }

    /// Parses a line, a container runtime's wrapper included; leaves `fields` alone where it is of another grammar.
    pub fn parse_line<'a>(&self, line: &'a str, fields: &mut Fields<'a>) -> bool {
        detect::parse_as(self, line, fields)
    }

    /// What a field's numbers are in, where that is known.
    pub fn unit(&self, field: &str) -> Option<&str> {
        self.units.get(field).map(String::as_str)
    }

    /// Which streams' lines it is for, any of these; empty for all.
    pub fn when(&self) -> &[When] {
        &self.when
    }

    /// Whether it is tried on lines of any stream.
    pub(super) fn is_for_all(&self) -> bool {
        self.when.is_empty() && !self.only_by_name
    }

    /// The line with what its `redact` steps hide; `None` where that changes nothing.
    pub fn masked(&self, line: &str) -> Option<String> {
        match self.redactor.as_ref()?.mask(line) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        }
    }

    /// Parses by what its file says.
    pub(super) fn parse<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> bool {
        // As it will be read when it is stored.
        if let Some(masked) = self.masked(text) {
            let mut inner = Fields::new();
            let fits = self.parse_masked(&masked, &mut inner);
            detect::append_owned(inner, fields);
            return fits;
        }
        self.parse_masked(text, fields)
    }

    fn parse_masked<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> bool {
        let mark = fields.len();
        let fits = self.json.as_ref().is_some_and(|json| json.parse(text, fields))
            || self.patterns.as_ref().is_some_and(|patterns| patterns.parse(text, fields));
        if fits {
            self.steps.run(mark, fields);
        }
        fits
    }

    /// When the line was written, Unix nanoseconds, if the grammar says how its fields tell; `reference`, the event's own
    /// time, stands in for what a line leaves out.
    pub fn timestamp(&self, fields: &Fields<'_>, reference: i64) -> Option<i64> {
        self.steps.timestamp(fields, reference)
    }

    /// Which of its patterns comes furthest in a text that none of them fits, and what stopped it there.
    pub fn explain(&self, text: &str) -> Option<Explanation> {
        let explainers = self.explainers.get_or_init(|| {
            self.patterns().map(|pattern| Explainer::new(Arc::clone(&self.library), pattern)).collect()
        });
        let explained = explainers.iter().filter_map(|explainer| explainer.explain(text));
        // Of equals the first, which is the one its author would try.
        explained.reduce(|best, next| if next.offset > best.offset { next } else { best })
    }

    /// The field that an alias stands for.
    pub fn resolve(&self, alias: &str) -> Option<&'static str> {
        self.aliases.iter().find(|(name, _)| *name == alias).map(|(_, field)| *field)
    }
}

/// What the numbers of formats known by heart are in.
fn units(id: Builtin) -> BTreeMap<String, String> {
    let units: &[(&str, &str)] = match id {
        Builtin::Envoy => {
            &[("duration", "ms"), ("upstream_service_time", "ms"), ("bytes_received", "bytes"), ("bytes_sent", "bytes")]
        }
        _ => &[],
    };
    units.iter().map(|(field, unit)| ((*field).to_owned(), (*unit).to_owned())).collect()
}

/// The grammars whose parsers are written by hand, in the order of [`Builtin::ALL`].
pub(super) fn builtin() -> Vec<Grammar> {
    let library = Arc::new(Library::default());
    let grammar = |id: Builtin| {
        let (about, aliases, fields, covers_line): (_, &[_], &[_], _) = match id {
            Builtin::Klog => ("klog, the log of Kubernetes' own programs", klog::ALIASES, klog::FIELDS, true),
            Builtin::Envoy => ("Envoy's and Istio's access logs, text and JSON", envoy::ALIASES, envoy::FIELDS, true),
            Builtin::Json => ("a JSON object a line", &[], &[], false),
            Builtin::Cri => ("what a container runtime writes, of unknown content", &[], cri::FIELDS, false),
            Builtin::Docker => ("Docker's json-file, of unknown content", &[], docker::FIELDS, false),
            Builtin::Syslog3164 => ("syslog, the old form", syslog::ALIASES_3164, syslog::FIELDS_3164, false),
            Builtin::Syslog5424 => ("syslog, the new form", syslog::ALIASES_5424, syslog::FIELDS_5424, false),
            Builtin::Logfmt => ("key=value pairs", logfmt::ALIASES, logfmt::FIELDS, false),
        };
        let (aliases, fields) = (aliases.to_vec(), fields.to_vec());
        Grammar {
            name: id.name(),
            version: HAND_VERSION,
            source: String::new(),
            about: about.to_owned(),
            aliases,
            fields,
            covers_line,
            only_by_name: false,
            fallback: false,
            hand: Some(id),
            when: Vec::new(),
            library: Arc::clone(&library),
            explainers: OnceLock::new(),
            patterns: None,
            units: units(id),
            redactor: None,
            steps: Steps::default(),
            json: None,
        }
    };
    Builtin::ALL.into_iter().map(grammar).collect()
}
