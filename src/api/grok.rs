//! Patterns and whole grammar files tried out, with nothing kept of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemBody};
use super::run::{Clock, Shared};
use super::{Backend, QueryError};
use crate::parse::grok::{Captured, Debugger, Failure, Library, Outcome, Type, under};
use crate::parse::load;

const LINES_MAX: usize = 1_000;
const PATTERNS_MAX: usize = 100;
const DEFINITIONS_MAX: usize = 1_000;

/// Bytes of grammar files that are checked in a process's life. The names in them are kept as long as the program runs
/// (see `parse::names`), so that without a bound a client could fill the memory.
const TESTED_BYTES_MAX: usize = 64 << 20;
static TESTED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Patterns and the lines to try them on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DebugRequest {
    /// Tried in order, as a list in Logstash's `match`: the first that fits counts. At most 100.
    patterns: Vec<String>,
    /// More names for the patterns to use, as Logstash's `pattern_definitions`.
    #[serde(default)]
    definitions: BTreeMap<String, String>,
    /// At most 1,000.
    lines: Vec<String>,
    /// Makes `%{INT}` a field named `INT`.
    #[serde(default)]
    all_captures: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DebugBody {
    took_ms: u64,
    /// In the request's order.
    patterns: Vec<DebugPattern>,
    /// In the request's order.
    lines: Vec<DebugLine>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DebugPattern {
    pattern: String,
    /// `scanner`, `linear` or `backtracking`.
    engine: &'static str,
    warnings: Vec<&'static str>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DebugLine {
    /// `match`, `no_match` or `step_limit`.
    outcome: &'static str,
    /// The pattern that fits, or that reached its limit of steps: its place, from 0.
    pattern: Option<usize>,
    /// Where that pattern matched.
    span: Option<Span>,
    captures: Vec<DebugCapture>,
    /// Of each pattern that does not fit, up to the one that does.
    failures: Vec<DebugFailure>,
    /// What trying, and explaining what fails, took: nanoseconds.
    took_ns: u64,
}

/// A part of a line; the ends are not included.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Span {
    /// Bytes of UTF-8.
    start: usize,
    end: usize,
    /// Characters (Unicode code points).
    start_char: usize,
    end_char: usize,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DebugCapture {
    field: String,
    /// `text`, `int` or `float`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the pattern that captured it; null for a named group.
    pattern: Option<String>,
    value: serde_json::Value,
    #[serde(flatten)]
    span: Span,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DebugFailure {
    /// Its place, from 0.
    pattern: usize,
    /// How far it came: bytes. The members from here on are null where each piece fits but look-around forbids it.
    offset: Option<usize>,
    offset_char: Option<usize>,
    /// The piece that does not fit there, as it is written.
    atom: Option<String>,
    /// The definition that holds that piece; null for the pattern itself.
    definition: Option<String>,
    /// The line with a caret under the place.
    rendered: Option<String>,
}

fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(request)| request).map_err(|error| Problem::bad_body(error.status(), error.body_text()))
}

fn at_most(name: &'static str, found: usize, most: usize) -> Result<(), Problem> {
    if found <= most {
        return Ok(());
    }
    Err(Problem::bad_parameter(name, format!("{found} {name} are more than {most}: send fewer at a time")))
}

/// Tries patterns on lines: what each captures and where, or how far it came and what stopped it.
#[utoipa::path(post, path = "/api/v1/grok/debug", tag = "grammars", request_body = DebugRequest,
    responses((status = 200, body = DebugBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn debug(State(shared): State<Shared>, request: Result<Json<DebugRequest>, JsonRejection>) -> Response {
    let request = body(request).and_then(|request| {
        at_most("lines", request.lines.len(), LINES_MAX)?;
        at_most("patterns", request.patterns.len(), PATTERNS_MAX)?;
        at_most("definitions", request.definitions.len(), DEFINITIONS_MAX)?;
        if request.patterns.is_empty() {
            return Err(Problem::bad_parameter("patterns", "there are no patterns: send at least one"));
        }
        Ok(request)
    });
    shared.answer("grok", request, |_: &dyn Backend, request, clock| debugged(&request, clock)).await
}

fn debugged(request: &DebugRequest, clock: Clock) -> Result<DebugBody, QueryError> {
    let mut library = Library::standard();
    for (name, text) in &request.definitions {
        let wrong = |error| QueryError::BadParameter { name: "definitions", message: format!("{name}: {error}") };
        library.define(name, text).map_err(wrong)?;
    }
    let mut debugger = Debugger::new(&library, &request.patterns, !request.all_captures).map_err(|(at, error)| {
        QueryError::BadParameter { name: "patterns", message: format!("patterns[{at}]: {}", error.render()) }
    })?;
    let patterns = debugger.patterns().map(|pattern| DebugPattern {
        pattern: pattern.source().to_owned(),
        engine: pattern.engine(),
        warnings: Vec::from_iter(pattern.needs_backtracking().then_some(
            "needs backtracking (look-around, atomic groups or references back): limited in steps and to 64 KiB of text",
        )),
    });
    let patterns = patterns.collect();
    let mut lines = Vec::with_capacity(request.lines.len());
    for line in &request.lines {
        if Instant::now() > clock.deadline {
            return Err(QueryError::Deadline);
        }
        lines.push(debugged_line(&mut debugger, line));
    }
    Ok(DebugBody { took_ms: clock.took_ms(), patterns, lines })
}

fn debugged_line(debugger: &mut Debugger, line: &str) -> DebugLine {
    let started = Instant::now();
    let result = debugger.text(line);
    let took_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let chars = |offset: usize| line[..offset].chars().count();
    let span = |at: std::ops::Range<usize>| Span {
        start: at.start,
        end: at.end,
        start_char: chars(at.start),
        end_char: chars(at.end),
    };
    let capture = |Captured { field, kind, pattern, value, at }| DebugCapture {
        field,
        kind: match kind {
            Type::Text => "text",
            Type::Int => "int",
            Type::Float => "float",
        },
        pattern,
        value,
        span: span(at),
    };
    let failure = |Failure { pattern, explanation }| {
        let offset = explanation.as_ref().map(|why| why.offset);
        DebugFailure {
            pattern,
            offset,
            offset_char: offset.map(chars),
            rendered: offset.map(|offset| under(line, offset)),
            atom: explanation.as_ref().map(|why| why.atom.clone()),
            definition: explanation.and_then(|why| why.definition),
        }
    };
    DebugLine {
        outcome: match result.outcome {
            Outcome::Match => "match",
            Outcome::NoMatch => "no_match",
            Outcome::StepLimit => "step_limit",
        },
        pattern: result.pattern,
        span: result.whole.map(span),
        captures: result.captures.into_iter().map(capture).collect(),
        failures: result.failures.into_iter().map(failure).collect(),
        took_ns,
    }
}

/// A grammar file to be checked.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// The file's text, YAML.
    source: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct TestBody {
    took_ms: u64,
    /// Whether it would load: it is understood, and its samples give the fields they show.
    ok: bool,
    /// Null where it would not.
    name: Option<String>,
    /// The fields its patterns give.
    fields: Vec<String>,
    /// What is wrong, with the line, the pattern and place, or the sample.
    error: Option<String>,
}

/// Checks a grammar file and proves it by its samples, without taking it into use.
#[utoipa::path(post, path = "/api/v1/grammars/test", tag = "grammars", request_body = TestRequest,
    responses((status = 200, body = TestBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn test(State(shared): State<Shared>, request: Result<Json<TestRequest>, JsonRejection>) -> Response {
    let ask = |_: &dyn Backend, request: TestRequest, clock: Clock| {
        let bytes = request.source.len();
        if TESTED_BYTES.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > TESTED_BYTES_MAX {
            TESTED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
            let text = "too many grammar files were checked since the start: use `loghound grammars test FILE`";
            return Err(QueryError::Conflict(text.to_owned()));
        }
        let (name, fields, error) = match load(&request.source) {
            Ok(grammar) => {
                let fields = grammar.fields.iter().map(|field| field.name.to_owned()).collect();
                (Some(grammar.name.to_owned()), fields, None)
            }
            Err(error) => (None, Vec::new(), Some(error.to_string())),
        };
        Ok(TestBody { took_ms: clock.took_ms(), ok: error.is_none(), name, fields, error })
    };
    shared.answer("grammars", body(request), ask).await
}
