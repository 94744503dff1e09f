//! A grammar's patterns, compiled: from a line to fields that borrow from it.

use std::cell::RefCell;
use std::sync::OnceLock;

use regex_syntax::hir::Hir;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::record::{Fields, PATH_SEPARATOR, Role, Value};

use super::grammar::FieldSpec;
use super::grok::{Captures, CompileError, Library, Outcome, Pattern, Type};
use super::names::intern;
use super::number::digits;
use super::scanner::PatternSet;

/// What a captured text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    Text,
    Int,
    Float,
}

/// Where a pattern's group goes.
#[derive(Debug, Clone)]
struct Slot {
    /// Segments joined by [`PATH_SEPARATOR`].
    name: &'static str,
    dotted: &'static str,
    role: Role,
    kind: Kind,
    /// Whether another group of the pattern goes there too.
    shared: bool,
}

/// The patterns of one grammar; the first that fits counts.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    patterns: Vec<(Pattern, Vec<Slot>)>,
    /// Values that stand for none, except as free text.
    absent: Vec<String>,
    /// Strikes out most of many patterns; made when it is first asked.
    set: OnceLock<PatternSet>,
}

/// So many patterns are tried one by one.
const ALL_TRIED_MAX: usize = 4;

thread_local! {
    static CAPTURES: RefCell<Captures> = RefCell::new(Captures::new());
    static CANDIDATES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Patterns {
    pub fn new(absent: Vec<String>) -> Self {
        Self { absent, ..Self::default() }
    }

    /// Compiles one more pattern. `role` and `kind` say what a field is, by its dotted name; a type in the pattern
    /// itself (`%{INT:code:int}`) counts as well.
    pub fn add(
        &mut self,
        library: &Library,
        text: &str,
        role: impl Fn(&str) -> Role,
        kind: impl Fn(&str) -> Kind,
    ) -> Result<(), CompileError> {
        let pattern = Pattern::compile(library, text)?;
        let slots = pattern.groups().iter().map(|group| {
            let path = group.field.path();
            let dotted = intern(&path.join("."));
            let kind = match (kind(dotted), group.kind) {
                (Kind::Text, Type::Text) => Kind::Text,
                (Kind::Text, Type::Int) => Kind::Int,
                (Kind::Text, Type::Float) => Kind::Float,
                (given, _) => given,
            };
            let name = intern(&path.join(&PATH_SEPARATOR.to_string()));
            let shared = pattern.groups().iter().filter(|other| other.field == group.field).count() > 1;
            Slot { name, dotted, role: role(dotted), kind, shared }
        });
        let slots = slots.collect();
        self.patterns.push((pattern, slots));
        Ok(())
    }

    /// The fields the patterns capture, each once.
    pub fn fields(&self) -> impl Iterator<Item = FieldSpec> {
        let mut seen: Vec<&'static str> = Vec::new();
        let mut first = move |slot: &&Slot| {
            let first = !seen.contains(&slot.dotted);
            seen.push(slot.dotted);
            first
        };
        let slots = self.patterns.iter().flat_map(|(_, slots)| slots).filter(move |slot| first(slot));
        slots.map(|slot| FieldSpec { name: slot.dotted, role: slot.role, number: slot.kind != Kind::Text })
    }

    /// The patterns' texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|(pattern, _)| pattern.source())
    }

    /// The patterns, for choosing among those of several grammars.
    pub fn hirs(&self) -> impl Iterator<Item = &Hir> {
        self.patterns.iter().map(|(pattern, _)| pattern.hir())
    }

    /// The slots of the first pattern that matches.
    fn first(&self, text: &str, captures: &mut Captures) -> Option<&[Slot]> {
        let mut matches = |(pattern, _): &&(Pattern, Vec<Slot>)| pattern.matches(text, captures) == Outcome::Match;
        let found = if self.patterns.len() <= ALL_TRIED_MAX {
            self.patterns.iter().find(&mut matches)
        } else {
            let set = self.set.get_or_init(|| PatternSet::new(&self.hirs().cloned().collect::<Vec<_>>()));
            let mut candidates = CANDIDATES.take();
            set.candidates(text, &mut candidates);
            let found = candidates.iter().map(|number| &self.patterns[*number]).find(&mut matches);
            CANDIDATES.set(candidates);
            found
        };
        found.map(|(_, slots)| slots.as_slice())
    }

    /// Appends the fields of a line that one of the patterns fits, or leaves `fields` alone.
    pub fn parse<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> bool {
        CAPTURES.with_borrow_mut(|captures| {
            let Some(slots) = self.first(text, captures) else { return false };
            let mark = fields.len();
            for (group, slot) in slots.iter().enumerate() {
                let Some(value) = captures.get(group).map(|span| &text[span]) else { continue };
                // Free text may well be the word that elsewhere stands for nothing.
                if slot.role != Role::Text && self.absent.iter().any(|absent| absent == value) {
                    continue;
                }
                let value = slot.kind.value(value);
                if slot.shared {
                    put(mark, fields, slot, value);
                } else {
                    fields.push(slot.name, slot.role, value);
                }
            }
            true
        })
    }
}

impl Kind {
    pub fn value(self, text: &str) -> Value<'_> {
        let number = match self {
            Self::Text => return Value::Str(text.into()),
            // Digits and nothing else are what most numbers are.
            Self::Int if let Some(n) = digits(text.as_bytes()).filter(|n| *n <= i64::MAX as u64) => {
                return Value::U64(n);
            }
            Self::Int => Type::Int.value(text),
            Self::Float => Type::Float.value(text),
        };
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(n), _, _) => Value::U64(n),
            (_, Some(n), _) => Value::I64(n),
            (_, _, Some(n)) => Value::F64(n),
            _ => Value::Str(text.into()),
        }
    }
}

/// Adds a value; of a name that is captured twice the values become an array.
fn put<'a>(mark: usize, fields: &mut Fields<'a>, slot: &Slot, value: Value<'a>) {
    let Some(field) = fields.iter_mut().skip(mark).find(|field| field.name == slot.name) else {
        return fields.push(slot.name, slot.role, value);
    };
    let more = value.to_json();
    match &mut field.value {
        Value::Json(array) if array.is_array() => {
            if let Json::Array(values) = &mut **array {
                values.push(more);
            }
        }
        first => *first = Value::Json(Box::new(Json::Array(vec![first.to_json(), more]))),
    }
}
