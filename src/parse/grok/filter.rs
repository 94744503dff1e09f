//! Logstash's grok filter over an event.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::CompileError;
use super::explain::{Explanation, explain};
use super::field::FieldRef;
use super::library::{Library, LibraryError};
use super::options::FilterOptions;
use super::program::{Captures, Outcome, Pattern};

/// A compiled grok filter. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct Filter {
    matches: Vec<(FieldRef, Vec<Pattern>)>,
    library: Library,
    keep_empty_captures: bool,
    break_on_match: bool,
    overwrite: HashSet<FieldRef>,
    target: Option<FieldRef>,
    tag_on_failure: Vec<String>,
    tag_on_timeout: String,
}

/// Options that make no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("pattern_definitions: {0}")]
    Definition(#[from] LibraryError),
    /// `index` counts the field's patterns from 0.
    #[error("match: {field}: {index}: {cause}")]
    Pattern { field: String, index: usize, cause: Box<CompileError> },
}

/// What the filter did to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Something matched: its fields are in the event.
    Matched,
    /// Nothing matched: the event has the failure tags, and is else as it was.
    Failed,
    /// A pattern reached its limit of steps: the event has the tag for that.
    TimedOut,
}

impl Filter {
    /// Compiles every pattern. `library` has the standard names and those of [`FilterOptions::patterns_dir`].
    pub fn new(options: FilterOptions, mut library: Library) -> Result<Self, FilterError> {
        for (name, text) in &options.pattern_definitions {
            library.define(name, text)?;
        }
        let mut matches = Vec::new();
        for (field, patterns) in options.matches {
            let compile = |(index, text): (usize, &String)| {
                Pattern::compile_with(&library, text, options.named_captures_only)
                    .map_err(|cause| FilterError::Pattern { field: field.clone(), index, cause: Box::new(cause) })
            };
            let patterns = patterns.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
            matches.push((FieldRef::new(&field), patterns));
        }
        Ok(Self {
            matches,
            library,
            keep_empty_captures: options.keep_empty_captures,
            break_on_match: options.break_on_match,
            overwrite: options.overwrite.iter().map(|field| FieldRef::new(field)).collect(),
            target: options.target.as_deref().map(FieldRef::new),
            tag_on_failure: options.tag_on_failure,
            tag_on_timeout: options.tag_on_timeout,
        })
    }

    /// Every pattern, in the order they are tried.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.matches.iter().flat_map(|(_, patterns)| patterns)
    }

    /// Matches the event's fields and puts in what was captured, or tags it. `captures` is only lent, to be used again.
    pub fn apply(&self, event: &mut Map<String, Value>, captures: &mut Captures) -> Applied {
        let mut matched = false;
        for (field, patterns) in &self.matches {
            for text in texts(field.get(event)) {
                match self.first_match(patterns, &text, event, captures) {
                    Outcome::Match => matched = true,
                    Outcome::NoMatch => {}
                    // Upstream's time-out ends the filter, too.
                    Outcome::StepLimit => {
                        tag(event, &self.tag_on_timeout);
                        return Applied::TimedOut;
                    }
                }
            }
            if matched && self.break_on_match {
                break;
            }
        }
        if matched {
            return Applied::Matched;
        }
        self.tag_on_failure.iter().for_each(|name| tag(event, name));
        Applied::Failed
    }

    /// Tries the patterns of one field on one text; with `break_on_match`, up to the first match.
    fn first_match(
        &self,
        patterns: &[Pattern],
        text: &str,
        event: &mut Map<String, Value>,
        captures: &mut Captures,
    ) -> Outcome {
        let mut outcome = Outcome::NoMatch;
        for pattern in patterns {
            match pattern.matches(text, captures) {
                Outcome::Match => {
                    outcome = Outcome::Match;
                    self.store(pattern, text, captures, event);
                    if self.break_on_match {
                        break;
                    }
                }
                Outcome::NoMatch => {}
                Outcome::StepLimit => return Outcome::StepLimit,
            }
        }
        outcome
    }

    fn store(&self, pattern: &Pattern, text: &str, captures: &Captures, event: &mut Map<String, Value>) {
        // Few fields: looking them up one by one is faster than a map.
        let mut found: Vec<(&FieldRef, Vec<Value>)> = Vec::with_capacity(pattern.groups().len());
        for (group, value) in pattern.values(text, captures) {
            let value = value.map_or(Value::Null, |text| group.kind.value(text));
            if !self.keep_empty_captures && (value.is_null() || value == "") {
                continue;
            }
            match found.iter_mut().find(|(field, _)| **field == group.field) {
                Some((_, values)) => values.push(value),
                None => found.push((&group.field, vec![value])),
            }
        }
        for (field, values) in found {
            let overwrite = self.overwrite.contains(field);
            let place = match &self.target {
                Some(target) => Cow::Owned(field.under(target)),
                None => Cow::Borrowed(field),
            };
            // Where a text or number stands in the way of a nested field, that value is kept.
            if let Some(slot) = place.slot(event) {
                put(slot, values, overwrite);
            }
        }
    }

    /// Why no pattern matches an event: of all patterns, the one that came furthest. `None` where one does match, or
    /// only look-around forbids it. Slow: for a person who asks.
    pub fn explain(&self, event: &Map<String, Value>) -> Option<Explanation> {
        let mut best: Option<Explanation> = None;
        for (field, patterns) in &self.matches {
            for text in texts(field.get(event)) {
                for pattern in patterns {
                    let found = explain(&self.library, pattern.source(), &text);
                    if best.as_ref().map(|best| best.offset) < found.as_ref().map(|found| found.offset) {
                        best = found;
                    }
                }
            }
        }
        best
    }
}

/// What is matched: a field that is not there is an empty text, as upstream; each element of an array by itself.
/// Owned, because the event is changed while they are used.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match value {
        None => vec![String::new()],
        Some(Value::Array(values)) => values.iter().map(text).collect(),
        Some(value) => vec![text(value)],
    }
}

/// Puts a field's captured values, at least one, where the field is: several become an array; a text and an array
/// that are there already grow; any other value stays and the new ones are dropped, as upstream does.
fn put(slot: &mut Value, mut values: Vec<Value>, overwrite: bool) {
    if overwrite {
        // Upstream stores them one after the other: the last one stays.
        if let Some(last) = values.pop() {
            *slot = last;
        }
        return;
    }
    match slot {
        Value::Null => {
            // Where nothing is there yet, nothing is lost by a null in front.
            let from = values.iter().position(|value| !value.is_null()).unwrap_or(values.len() - 1);
            values.drain(..from);
            let only = if values.len() == 1 { values.pop() } else { None };
            *slot = only.unwrap_or(Value::Array(values));
        }
        Value::Array(array) => array.append(&mut values),
        Value::String(_) => {
            values.insert(0, slot.take());
            *slot = Value::Array(values);
        }
        _ => {}
    }
}

/// Adds a tag that the event does not have yet.
fn tag(event: &mut Map<String, Value>, name: &str) {
    let tags = event.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
    match tags {
        Value::Array(tags) if tags.iter().any(|tag| tag == name) => {}
        Value::Array(tags) => tags.push(name.into()),
        Value::String(tag) if tag == name => {}
        other => *other = Value::Array(vec![other.take(), name.into()]),
    }
}
