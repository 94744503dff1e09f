//! A server's own format string as a grammar: Envoy's access log format, nginx's `log_format`, Apache's `LogFormat`.
//!
//! ```text
//! text ──dialect──> pieces ──names──> pieces ──pattern──> grok patterns, field types, roles
//!                   (literal text | value)    └─json────> the same for the values of an object
//! ```
//!
//! A dialect knows what its operators are called, what their values may look like and how it escapes them. All else is
//! common: the pieces become a grok pattern, so that the scanner, the choice among grammars and every explanation work
//! as for patterns that a person wrote.
//!
//! Where a value ends is told by what it may look like and by the text that follows it. A second, looser pattern takes
//! lines with values that are not as they should be (a request id with blanks in it); it is tried after the first.
//! `-` and nothing stand for a value that is absent. Numbers keep the unit of their source: Envoy's durations are ms,
//! nginx's times seconds with a fraction; names of Apache's durations end in their unit.

mod apache;
mod envoy;
mod envoy_operators;
mod header;
mod json;
mod names;
mod nginx;
mod nginx_variables;
mod pattern;
mod quoted;
mod strftime;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::record::Role;

use super::grok::under;
use super::patterns::Kind;

pub(super) use json::{JsonFormat, Members};

/// `format:` of a grammar file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FormatText {
    /// A `text_format`.
    Envoy(String),
    /// A `json_format` (or `typed_json_format`), nested as it is there.
    EnvoyJson(Map<String, Json>),
    /// What `log_format` has behind its name, or the whole directive.
    Nginx(String),
    /// What is in `LogFormat`'s quotes, or the whole directive.
    Apache(String),
}

/// What a format string says.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// Grok patterns, to be tried in this order.
    pub patterns: Vec<String>,
    /// Every field that the patterns or the object give, each once.
    pub fields: Vec<FieldType>,
    /// Names that queries may use: (alias, field).
    pub aliases: Vec<(&'static str, &'static str)>,
    /// For a format whose lines are JSON objects: what their members are.
    pub json: Option<Members>,
}

/// What a field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldType {
    pub name: String,
    pub role: Role,
    pub kind: Kind,
}

/// Values that stand for none.
pub(super) const ABSENT: [&str; 2] = ["-", ""];

/// What is wrong with a format string, and where. Positions are bytes of `text`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {fault}\n{}", self.character(), under(.text, *.offset))]
pub struct FormatError {
    text: String,
    offset: usize,
    fault: FormatFault,
}

impl FormatError {
    fn character(&self) -> usize {
        self.text[..self.offset].chars().count() + 1
    }
}

/// What can be wrong with a format string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    #[error("the format has no operator: there would be no fields")]
    NoFields,
    #[error(
        "nothing stands between {first} and {second}, so no one can tell where the first ends: put a character between them"
    )]
    Ambiguous { first: String, second: String },
    #[error("an operator that begins here is not closed: end it with {0}, or write %% for a percent sign")]
    Unclosed(&'static str),
    #[error("{0} needs a parameter: write it as {0}(NAME)")]
    NoParameter(String),
    #[error("{0:?} is no length limit: write digits between the colon and the percent sign")]
    Limit(String),
    #[error("a variable's name is missing: write $name or ${{name}}")]
    NoVariable,
    #[error("unknown directive %{0}: mod_log_config's letters are known, %% is a percent sign")]
    UnknownDirective(String),
    #[error("unknown argument {{{argument}}} of %{directive}: known are {known}")]
    UnknownArgument { directive: char, argument: String, known: &'static str },
    #[error("%{0} needs an argument: write it as %{{NAME}}{0}")]
    NoArgument(char),
    #[error("a quote that is not closed")]
    UnclosedQuote,
    #[error("not understood here: a directive has its name, then its format in quotes")]
    Directive,
    #[error("the format is not a JSON object: {0}")]
    NotJson(String),
    #[error("a member of a format's object is a text, a number, true, false, null or an object")]
    NotText,
}

/// A result whose error has its place: bytes of the format's text.
type Placed<T> = Result<T, (usize, FormatFault)>;

/// A piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Value),
}

/// A value that the server puts in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    name: String,
    /// The name where another operator of the format has that one already.
    other_name: String,
    shape: Shape,
    role: Role,
    /// The operator as it is written, and where.
    written: String,
    offset: usize,
    /// Whether it gives a field: an operator that stands in a format twice gives one.
    captured: bool,
}

/// What a value may look like.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// A whole number, perhaps negative.
    Int,
    /// A decimal number.
    Float,
    /// A status of up to three digits.
    Code,
    /// No blanks, no quotes.
    Word,
    /// Short names in upper case, joined by commas.
    Flags,
    /// `HTTP/1.1` and its like.
    Protocol,
    /// Nothing is known of it. Taken for a word outside quotes, and for a text inside.
    Any,
    /// May hold anything.
    Text,
    /// A path or a URI. Begins with a slash where it follows another value.
    Path,
    /// Texts between commas, or colons with blanks around them, one for each try of an upstream server or each proxy on
    /// the way.
    List,
    /// Such a list of numbers. The field is the last, which is that of the answer; those before it stand together as a
    /// text under the name with `_before`.
    Numbers { float: bool },
    /// An HTTP request line: method, path and protocol, or whatever else the client sent, as `request`.
    Request,
    /// An instant by RFC 3339.
    Stamp,
    /// A regular expression says it.
    Like { pattern: String, kind: Kind, ends_itself: bool },
}

impl Shape {
    /// A text of which a regular expression is known.
    fn like(pattern: &str) -> Self {
        Self::Like { pattern: pattern.to_owned(), kind: Kind::Text, ends_itself: false }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Int | Self::Code | Self::Numbers { float: false } => Kind::Int,
            Self::Float | Self::Numbers { float: true } => Kind::Float,
            Self::Like { kind, .. } => *kind,
            _ => Kind::Text,
        }
    }

    /// What it begins with wherever another value stands right before it.
    fn first(&self) -> Option<char> {
        match self {
            Self::Path => Some('/'),
            // nginx's `$is_args`, Apache's `%q`.
            Self::Like { pattern, .. } if pattern.starts_with("\\?") => Some('?'),
            _ => None,
        }
    }
}

/// nginx's `$is_args`.
const IS_ARGS: &str = "\\??";

/// The time of the common log format: `22/Jan/2026:03:57:30 +0330`.
const CLF_TIME: &str = "[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}";

/// How a server writes quotes and backslashes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// As they are.
    None,
    /// Behind a backslash, or as `\x22`; as JSON does.
    Backslash,
}

/// Compiles a format. The result has at least one field.
pub(super) fn compile(format: &FormatText) -> Result<Compiled, FormatError> {
    match format {
        FormatText::Envoy(text) => of_text(text, envoy::pieces(text)?, Escape::None, envoy::ALIASES),
        FormatText::EnvoyJson(object) => json::compile(object, &envoy::pieces, envoy::ALIASES),
        FormatText::Apache(text) => of_text(text, apache::pieces(text)?, Escape::Backslash, nginx::ALIASES),
        FormatText::Nginx(text) => nginx::compile(text),
    }
}

fn of_text(
    text: &str,
    mut pieces: Vec<Piece>,
    escape: Escape,
    aliases: &[(&'static str, &'static str)],
) -> Result<Compiled, FormatError> {
    let fields = names::settle(&mut pieces);
    if fields.is_empty() {
        return Err(FormatError { text: text.to_owned(), offset: 0, fault: FormatFault::NoFields });
    }
    let patterns = pattern::patterns(&pieces, escape).map_err(|(offset, fault)| error(text, offset, fault))?;
    Ok(Compiled { patterns, aliases: names::aliases(&fields, aliases), fields, json: None })
}

fn error(text: &str, offset: usize, fault: FormatFault) -> FormatError {
    FormatError { text: text.to_owned(), offset, fault }
}

/// Adds a character to the literal at the end.
fn push_char(pieces: &mut Vec<Piece>, c: char) {
    match pieces.last_mut() {
        Some(Piece::Literal(text)) => text.push(c),
        _ => pieces.push(Piece::Literal(c.into())),
    }
}

/// Takes line ends and blanks off the end: a line has none.
fn trim_end(mut pieces: Vec<Piece>) -> Vec<Piece> {
    if let Some(Piece::Literal(text)) = pieces.last_mut() {
        text.truncate(text.trim_end().len());
        if text.is_empty() {
            pieces.pop();
        }
    }
    pieces
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
