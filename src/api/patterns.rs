//! `/api/v1/patterns`: which log statements the matching records come from, and which of them are new.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Shared, now};
use super::{Change, Pattern, PatternsRequest};
use crate::record::time::format_rfc3339;

const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 100;

#[derive(Serialize, utoipa::ToSchema)]
pub struct PatternsBody {
    took_ms: u64,
    /// Records that match.
    total: u64,
    /// Those of them that have no template: they are all fields, or carry no text.
    without: u64,
    /// Different templates among them, those beyond the limit included.
    templates: u64,
    /// When the sparklines begin, RFC 3339, and how wide their steps are.
    sparkline_start: String,
    sparkline_interval_ms: f64,
    /// Most frequent first.
    patterns: Vec<PatternBody>,
    partial: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct PatternBody {
    /// As in a record's `template`.
    id: u64,
    /// What all its lines have in common, `<*>` where they differ; null where it was forgotten.
    text: Option<String>,
    /// Records, exactly.
    count: u64,
    /// Its first and its last record among those that match, RFC 3339.
    first_seen: String,
    last_seen: String,
    /// Records in each thirtieth of the time that the records looked at span.
    sparkline: Vec<u32>,
    /// The grammar of the last one; null where none knew the line.
    grammar: Option<String>,
    /// The last one's line.
    example: Option<String>,
    /// Up to three values of each `<*>`, in the order of the text.
    examples: Vec<Vec<String>>,
    /// No record has it from before `from`. Always false where no `from` is given.
    new: bool,
    /// Of a new one: the template most like it among those known before.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct NearestBody {
    id: u64,
    text: String,
    /// The steps from its text to the new one's.
    difference: Vec<StepBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct StepBody {
    /// `same` (in both), `gone` (only in the older one) or `new`.
    change: &'static str,
    text: String,
}

impl From<Pattern> for PatternBody {
    fn from(pattern: Pattern) -> Self {
        let step = |(change, text)| StepBody {
            change: match change {
                Change::Same => "same",
                Change::Gone => "gone",
                Change::New => "new",
            },
            text,
        };
        Self {
            id: pattern.id,
            text: pattern.text,
            count: pattern.count,
            first_seen: format_rfc3339(pattern.first),
            last_seen: format_rfc3339(pattern.last),
            sparkline: pattern.sparkline,
            grammar: pattern.grammar,
            example: pattern.example,
            examples: pattern.examples,
            new: pattern.new,
            nearest: pattern.nearest.map(|nearest| NearestBody {
                id: nearest.id,
                text: nearest.text,
                difference: nearest.difference.into_iter().map(step).collect(),
            }),
        }
    }
}

/// The templates of the matching records with their counts, and of each new one the nearest that was known.
#[utoipa::path(get, path = "/api/v1/patterns", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on; templates that begin after it are new"),
    ("to" = Option<String>, Query, description = "before this time"),
    ("limit" = Option<u32>, Query, description = "templates, 0 to 1000, default 100"),
), responses((status = 200, body = PatternsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn patterns(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "limit"])?;
        let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
        Ok((params.get("q").unwrap_or_default().to_owned(), params.range(now())?, limit))
    });
    let ask = |backend: &dyn super::Backend, (query, range, limit), clock: super::run::Clock| {
        let request = PatternsRequest { query, range, limit, deadline: clock.deadline };
        let answer = backend.patterns(request)?;
        Ok(PatternsBody {
            took_ms: clock.took_ms(),
            total: answer.total,
            without: answer.without,
            templates: answer.templates,
            sparkline_start: format_rfc3339(answer.start),
            sparkline_interval_ms: answer.interval as f64 / 1e6,
            patterns: answer.patterns.into_iter().map(PatternBody::from).collect(),
            partial: answer.partial,
        })
    };
    shared.answer("patterns", request, ask).await
}
