//! A grammar file: one format, described by patterns, and the samples that prove them.
//!
//! ```yaml
//! name: example
//! about: what writes it
//! definitions: {WHEN: '\d+'}            # patterns that only this file knows; `pattern_definitions` is the same
//! patterns_dir: ./patterns              # files of patterns as Logstash has them: see `patterns_dir`
//! when: {log.file.path: '/var/log/example/*'}   # only lines of such streams; several values: a list
//! patterns: ['^%{WHEN:time} %{GREEDYDATA:msg}$']   # the first that fits counts
//! format: {nginx: '$remote_addr [$time_local] …'}  # in place of patterns: a server's own format, see [`format_string`]
//! fields: {time: {type: int, unit: s}, msg: {role: text}}
//! absent: ['-']                         # values that stand for none, except as text
//! steps: []                             # what is done with the fields then: see `steps`
//! aliases: {log.level: level}
//! fallback: true                        # tried after all grammars that are none
//! only_by_name: true                    # never tried: for lines that a route or a person sends to it
//! samples: [{line: '7 x', fields: {time: 7, msg: x}}, {line: 'x', fields: null}]
//! ```
//!
//! A file whose samples come out otherwise is refused, so a grammar that loads does what it shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::record::time::{format_rfc3339, parse_rfc3339};
use crate::record::{Fields, Role, When};

use super::format_string::{self, ABSENT, FormatError, FormatText};
use super::grammar::{FieldSpec, Grammar};
use super::grok::{CompileError, Library};
use super::names::intern;
use super::patterns::{Kind, Patterns};
use super::patterns_dir::inlined;
use super::steps::{self, StepText, Steps};

/// The files that are part of the program.
const EMBEDDED: &[(&str, &str)] = &[
    ("oslo.yaml", include_str!("../../grammars/oslo.yaml")),
    ("nginx.yaml", include_str!("../../grammars/nginx.yaml")),
    ("apache.yaml", include_str!("../../grammars/apache.yaml")),
    ("klog-book.yaml", include_str!("../../grammars/klog-book.yaml")),
    ("klog-book-all.yaml", include_str!("../../grammars/klog-book-all.yaml")),
    ("istio.yaml", include_str!("../../grammars/istio.yaml")),
    ("go-panic.yaml", include_str!("../../grammars/go-panic.yaml")),
    ("generic.yaml", include_str!("../../grammars/generic.yaml")),
];

/// Why a grammar file is refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Yaml(String),
    #[error("name {0:?}: a grammar's name is letters, digits, - and _, and not auto")]
    Name(String),
    #[error("definition {name}: {cause}")]
    Definition { name: String, cause: String },
    #[error("pattern {number}: {}", .cause.render())]
    Pattern { number: usize, cause: Box<CompileError> },
    #[error("format: {0}")]
    Format(#[from] FormatError),
    #[error("say either patterns or format: a grammar is described by one of them")]
    PatternsOrFormat,
    #[error("{0}")]
    Step(String),
    #[error("fields: no pattern captures {0}")]
    NoSuchField(String),
    #[error("alias {alias}: no pattern captures {field}")]
    NoSuchAlias { alias: String, field: String },
    #[error("when: {{}} holds for every stream; name a field, or leave `when` out")]
    WhenEmpty,
    #[error("no samples: show at least one line with the fields it gives")]
    NoSamples,
    #[error("sample {number}: {text:?} is no time: write RFC 3339, such as 2026-11-22T10:00:00Z")]
    SampleTime { number: usize, text: String },
    #[error("sample {number}: {line}\n  gives    {found}\n  expected {expected}")]
    Sample { number: usize, line: String, found: Json, expected: Json },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    about: String,
    #[serde(default, alias = "pattern_definitions")]
    definitions: BTreeMap<String, String>,
    #[serde(default)]
    when: WhenText,
    #[serde(default)]
    patterns: Vec<String>,
    format: Option<FormatText>,
    #[serde(default)]
    fields: BTreeMap<String, FieldText>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    fallback: bool,
    #[serde(default)]
    only_by_name: bool,
    #[serde(default)]
    steps: Vec<StepText>,
    #[serde(default)]
    samples: Vec<Sample>,
}

/// Conditions, or a list of which any may hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum WhenText {
    One(When),
    Any(Vec<When>),
}

impl Default for WhenText {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

impl WhenText {
    fn into_vec(self) -> Vec<When> {
        match self {
            Self::One(when) => vec![when],
            Self::Any(any) => any,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    role: Option<RoleText>,
    /// What its numbers are in, for people: `ms`, `bytes`.
    unit: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleText {
    Keyword,
    Text,
    Path,
    Id,
    Stamp,
}

/// A line, and what the grammar makes of it; `fields` is null for a line it must not fit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub line: String,
    pub fields: Option<Map<String, Json>>,
    /// RFC 3339: when the line was written, as its `date` step tells.
    pub timestamp: Option<String>,
    /// RFC 3339: the event's own time, for what the line leaves out.
    pub reference: Option<String>,
}

/// The grammars of the files that are part of the program. Their samples are proven by a test, not at each start.
pub(super) fn embedded() -> Vec<Grammar> {
    EMBEDDED
        .iter()
        .filter_map(|(name, text)| match read(text) {
            Ok((grammar, _)) => Some(grammar),
            Err(error) => {
                tracing::error!(file = name, %error, "a grammar that is built in does not load");
                None
            }
        })
        .collect()
}

/// A larger file is no grammar.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file, with its text or why there is none.
pub(super) type Read = (PathBuf, Result<String, String>);

/// The `*.yaml` files of a directory in the order of their names.
pub(super) fn texts(dir: &Path) -> Result<Vec<Read>, String> {
    let unreadable = |error: std::io::Error| format!("{}: cannot be read: {error}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    let with_text = |path: PathBuf| {
        let text = text(&path);
        (path, text)
    };
    Ok(paths.into_iter().map(with_text).collect())
}

/// The text of a grammar file, with what it needs of other files.
pub fn text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes: a grammar has at most {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    inlined(text, path.parent().unwrap_or(Path::new(".")))
}

/// The text of an embedded grammar's file.
pub fn embedded_text(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(file, _)| file.strip_suffix(".yaml") == Some(name)).map(|(_, text)| *text)
}

/// Reads a grammar and proves it by its samples.
pub fn load(text: &str) -> Result<Grammar, FileError> {
    let (grammar, samples) = read(text)?;
    if samples.is_empty() {
        return Err(FileError::NoSamples);
    }
    for (number, sample) in (1..).zip(samples) {
        let mut fields = Fields::new();
        let fits = grammar.parse(&sample.line, &mut fields);
        let found = if fits { Json::Object(fields.to_json()) } else { Json::Null };
        let expected = sample.fields.map_or(Json::Null, Json::Object);
        if found != expected {
            return Err(FileError::Sample { number, line: sample.line, found, expected });
        }
        let time = |text: &Option<String>| match text.as_deref().map(|text| (text, parse_rfc3339(text))) {
            None => Ok(None),
            Some((_, Some(at))) => Ok(Some(at)),
            Some((text, None)) => Err(FileError::SampleTime { number, text: text.to_owned() }),
        };
        let (expected, reference) = (time(&sample.timestamp)?, time(&sample.reference)?);
        let found = grammar.timestamp(&fields, reference.unwrap_or(0));
        if sample.timestamp.is_some() && found != expected {
            let json = |at: Option<i64>| at.map_or(Json::Null, |at| Json::String(format_rfc3339(at)));
            return Err(FileError::Sample { number, line: sample.line, found: json(found), expected: json(expected) });
        }
    }
    Ok(grammar)
}

/// The samples of a grammar's text; none where it cannot be read.
pub fn samples(text: &str) -> Vec<Sample> {
    serde_saphyr::from_str::<File>(text).map(|file| file.samples).unwrap_or_default()
}

/// Reads a grammar without proving it: its text was proven when it was loaded first.
pub(super) fn read(text: &str) -> Result<(Grammar, Vec<Sample>), FileError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| FileError::Yaml(error.to_string()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if file.name.is_empty() || file.name == "auto" || !file.name.chars().all(plain) {
        return Err(FileError::Name(file.name));
    }
    let when = file.when.into_vec();
    if when.iter().any(When::is_empty) {
        return Err(FileError::WhenEmpty);
    }
    let mut library = Library::standard();
    for (name, text) in &file.definitions {
        library
            .define(name, text)
            .map_err(|cause| FileError::Definition { name: name.clone(), cause: cause.to_string() })?;
    }
    if file.patterns.is_empty() == file.format.is_none() {
        return Err(FileError::PatternsOrFormat);
    }
    let format = file.format.as_ref().map(format_string::compile).transpose()?.unwrap_or_default();
    // What the file says of a field goes before what its format's operator does.
    let by_format = |name: &str| format.fields.iter().find(|field| field.name == name);
    let role = |name: &str| match file.fields.get(name).and_then(|field| field.role) {
        None => by_format(name).map_or(Role::Keyword, |field| field.role),
        Some(RoleText::Keyword) => Role::Keyword,
        Some(RoleText::Text) => Role::Text,
        Some(RoleText::Path) => Role::Path,
        Some(RoleText::Id) => Role::Id,
        Some(RoleText::Stamp) => Role::Stamp,
    };
    let kind = |name: &str| {
        let given = file.fields.get(name).and_then(|field| field.kind);
        given.unwrap_or_else(|| by_format(name).map_or(Kind::Text, |field| field.kind))
    };
    let mut absent = file.absent;
    if file.format.is_some() {
        absent.extend(ABSENT.map(str::to_owned));
    }
    let mut patterns = Patterns::new(absent);
    for (number, pattern) in (1..).zip(file.patterns.iter().chain(&format.patterns)) {
        patterns
            .add(&library, pattern, role, kind)
            .map_err(|cause| FileError::Pattern { number, cause: Box::new(cause) })?;
    }
    let json = format.json.as_ref().map(|members| members.finish(role, kind)).transpose();
    let json = json.map_err(|cause| FileError::Pattern { number: 1, cause })?;
    let mut fields: Vec<FieldSpec> =
        json.as_ref().map_or_else(|| patterns.fields().collect(), format_string::JsonFormat::fields);
    let by_patterns: Vec<&str> = fields.iter().map(|spec| spec.name).collect();
    let (mut steps, open) = Steps::compile(&file.steps, &library, &mut fields, role, kind).map_err(FileError::Step)?;
    let by_steps = file.fields.keys().filter(|name| !by_patterns.contains(&name.as_str()));
    steps.set_types(by_steps.map(|name| (name.clone(), kind(name), role(name))).collect());
    let redactor = steps::redactor(&file.steps).map_err(FileError::Step)?;
    let captured = |name: &str| open || fields.iter().any(|spec| spec.name == name);
    if let Some(name) = file.fields.keys().find(|name| !captured(name) && !by_patterns.contains(&name.as_str())) {
        return Err(FileError::NoSuchField(name.clone()));
    }
    if let Some((alias, field)) = file.aliases.iter().find(|(_, field)| !captured(field)) {
        return Err(FileError::NoSuchAlias { alias: alias.clone(), field: field.clone() });
    }
    let mut aliases: Vec<_> = file.aliases.iter().map(|(alias, field)| (intern(alias), intern(field))).collect();
    aliases.extend(format.aliases.iter().filter(|(alias, _)| !file.aliases.contains_key(*alias)));
    let unit = |(name, field): (&String, &FieldText)| Some((name.clone(), field.unit.clone()?));
    let units = file.fields.iter().filter_map(unit).collect();
    let grammar = Grammar {
        name: intern(&file.name),
        version: xxhash_rust::xxh3::xxh3_64(text.as_bytes()),
        source: text.to_owned(),
        about: file.about,
        aliases,
        fields,
        covers_line: false,
        fallback: file.fallback,
        only_by_name: file.only_by_name,
        hand: None,
        when,
        library: Arc::new(library),
        explainers: OnceLock::new(),
        patterns: Some(patterns),
        units,
        redactor,
        steps,
        json,
    };
    Ok((grammar, file.samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Parser;

    #[test]
    fn the_embedded_files_do_what_they_show() {
        for (name, text) in EMBEDDED {
            let grammar = load(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(format!("{}.yaml", grammar.name), *name);
        }
        // None is forgotten.
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("grammars");
        let mut files: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let mut known: Vec<_> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
        files.sort();
        known.sort();
        assert_eq!(files, known);
    }

    #[test]
    fn a_directory_adds_and_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, grammar: &str, pattern: &str| {
            let text =
                format!("name: {grammar}\npatterns: ['{pattern}']\nsamples: [{{line: 'x1', fields: {{a: x1}}}}]");
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("1.yaml", "mine", "^(?<a>x.)$");
        write("2.yaml", "nginx", "^(?<a>x..?)$");
        std::fs::write(dir.path().join("README"), "no grammar").unwrap();
        let parser = Parser::with_directory(dir.path()).unwrap();
        let auto = |line: &str| parser.parse_auto(line, &mut Fields::new()).map(|grammar| grammar.name);
        assert_eq!((auto("xy"), auto("xyz"), auto("y")), (Some("nginx"), Some("nginx"), None));
        assert!(parser.parse_as("mine", "xy", &mut Fields::new()));
        write("2.yaml", "klog", "^(?<a>x..?)$");
        write("3.yaml", "other", "^(?<a>x.$");
        let problems = Parser::with_directory(dir.path()).unwrap_err();
        assert!(problems[0].ends_with("2.yaml: klog is built in: take another name"), "{problems:?}");
        assert!(problems[1].contains("3.yaml: pattern 1: "), "{problems:?}");
        assert!(Parser::with_directory(&dir.path().join("none")).unwrap_err()[0].contains("cannot be read"));
    }

    #[test]
    fn what_a_grammar_hides_is_hidden_before_its_fields_are_taken() {
        let text = "name: pay\npatterns: ['^pay %{NOTSPACE:who} code=%{NOTSPACE:code} %{GREEDYDATA:msg}$']\n\
                    steps: [{redact: [email, '/code=(\\d+)/']}]\n\
                    samples: [{line: 'pay a@example.org code=77 by b@example.org', fields: {who: '[redacted:email]', \
                    code: '[redacted]', msg: 'by [redacted:email]'}}]\n";
        let grammar = load(text).unwrap();
        let line = "pay a@example.org code=77 x";
        let masked = grammar.masked(line).unwrap();
        assert_eq!(masked, "pay [redacted:email] code=[redacted] x");
        // The line that is kept gives what the line that came gave, and is not masked again.
        assert_eq!(grammar.masked(&masked), None);
        let fields = |line: &str| {
            let mut fields = Fields::new();
            assert!(grammar.parse_line(line, &mut fields));
            Json::Object(fields.to_json())
        };
        assert_eq!(fields(line), fields(&masked));
        let dir = tempfile::tempdir().unwrap();

        // A pattern that fits the masked line alone is found all the same.
        let wanted =
            text.replace("^pay %{NOTSPACE:who}", "^pay \\[redacted:email\\]").replace("who: '[redacted:email]', ", "");
        std::fs::write(dir.path().join("pay.yaml"), wanted).unwrap();
        let parser = Parser::with_directory(dir.path()).unwrap();
        assert_eq!(parser.parse_auto(line, &mut Fields::new()).map(|grammar| grammar.name), Some("pay"));
        let bad = load(&text.replace("email,", "mail,")).map(|_| ()).unwrap_err().to_string();
        assert!(bad.contains("step 1: redact: \"mail\" is no mask"), "{bad}");
    }

    #[test]
    fn a_fallback_waits_for_all_others() {
        let line = "2026-01-22 03:57:30 INFO cart: added";
        let name = |parser: &Parser| parser.parse_auto(line, &mut Fields::new()).map(|grammar| grammar.name);
        assert_eq!(name(&Parser::builtin()), Some("generic"));
        let dir = tempfile::tempdir().unwrap();
        let text =
            "name: zoo\npatterns: ['^(?<a>[0-9-]+) .* cart: ']\nsamples: [{line: '1  cart: ', fields: {a: '1'}}]\n";
        std::fs::write(dir.path().join("zoo.yaml"), text).unwrap();
        assert_eq!(name(&Parser::with_directory(dir.path()).unwrap()), Some("zoo"));
        std::fs::write(dir.path().join("zoo.yaml"), format!("{text}fallback: true\n")).unwrap();
        assert_eq!(name(&Parser::with_directory(dir.path()).unwrap()), Some("generic"));
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_place() {
        let good = "name: x\npatterns: ['^(?<a>\\d+) %{WORD:b}$']\nfields: {a: {type: int}}\nabsent: ['-']\n\
                    samples: [{line: '7 x', fields: {a: 7, b: x}}, {line: '- x', fields: null}]\n";
        assert_eq!(load(good).unwrap().name, "x");
        let check = |from: &str, to: &str, says: &str| {
            let error = load(&good.replace(from, to)).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(says), "{from} → {to}: {error}");
        };
        check("name: x", "name: auto", "name \"auto\"");
        check("name: x", "nmae: x", "nmae");
        check("a: {type: int}", "c: {type: int}", "no pattern captures c");
        check("a: {type: int}", "a: {type: long}", "long");
        check("WORD:b", "WRD:b", "WRD");
        check("a: 7,", "a: 8,", "sample 1: 7 x\n  gives    {\"a\":7,\"b\":\"x\"}\n  expected {\"a\":8,\"b\":\"x\"}");
        check("'- x'", "'7 x'", "sample 2");
        check("samples", "aliases: {q: z}\nsamples", "alias q: no pattern captures z");
        let end = good.find("samples").unwrap();
        assert!(matches!(load(&good[..end]), Err(FileError::NoSamples)));
    }
}
