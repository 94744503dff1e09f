//! `/api/v1/score`: how unusual posted records are, by a model; nothing of them is kept.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ProblemBody;
use super::insert::refuse;
use super::params::Params;
use super::run::{Clock, Shared};
use super::{Backend, ScoreRequest, Scored};

/// What a request may hold, uncompressed.
const BODY_BYTES_MAX: usize = 16 << 20;
const RECORDS_MAX: usize = 10_000;

#[derive(Serialize, utoipa::ToSchema)]
pub struct ScoreBody {
    took_ms: u64,
    /// The model that answers: `streaming`, or a trained version.
    version: String,
    /// The highest score of all; 0 where there are none.
    score: f64,
    /// One for each record that could be read, in order.
    records: Vec<ScoredBody>,
    /// The records that could not be read.
    errors: Vec<ScoreError>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ScoredBody {
    /// Counted among the lines that are not empty, from 1.
    line: usize,
    service: String,
    /// False where the model has not seen enough of the service to say anything; the score is then 0.
    known: bool,
    /// 0 to 100, as anomalies': 25 is a line that this service writes once in ten hours, 50 once in four days.
    score: f64,
    /// `warning`, `minor`, `major` or `critical`.
    severity: &'static str,
    /// Of a line of this service to be as unusual.
    probability: f64,
    /// What was judged of it, the most unusual first, at most eight.
    values: Vec<ScoredValueBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ScoredValueBody {
    /// `template` for the log statement.
    field: String,
    value: String,
    /// Of a line of this service to have a value as unusual in this field.
    probability: f64,
    /// Of this value alone.
    score: f64,
    sentence: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ScoreError {
    line: usize,
    reason: String,
}

impl From<Scored> for ScoredBody {
    fn from(scored: Scored) -> Self {
        let value = |value: super::ScoredValue| ScoredValueBody {
            field: value.field,
            value: value.value,
            probability: value.probability,
            score: value.score,
            sentence: value.sentence,
        };
        Self {
            line: scored.place + 1,
            service: scored.service,
            known: scored.known,
            score: scored.score,
            severity: scored.severity,
            probability: scored.probability,
            values: scored.values.into_iter().map(value).collect(),
        }
    }
}

/// Scores records by a model without keeping them or learning from them: a JSON object a line, as `/insert/jsonline` takes them,
/// gzip or not. A record's service is `kubernetes.container.name`, `container.name` or `service.name`; its line is
/// `message`, and other members are values as they are: `{"service":{"name":"shop"},"latency":250}` scores a number.
#[utoipa::path(post, path = "/api/v1/score", tag = "detect", params(
    ("version" = Option<String>, Query, description = "a trained model, whether it is in use or not; default the one in use"),
), responses((status = 200, body = ScoreBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn score(State(shared): State<Shared>, request: Request) -> Response {
    let params = Params::of_query(request.uri().query().unwrap_or_default());
    if let Err(problem) = params.only(&["version"]) {
        return problem.into_response();
    }
    let version = params.get("version").map(str::to_owned);
    let arrived = match shared.arriving.read(request, BODY_BYTES_MAX).await {
        Ok(arrived) => arrived,
        Err(declined) => return refuse(declined),
    };
    let ask = |backend: &dyn Backend, (version, arrived): (_, super::arriving::Arrived), clock: Clock| {
        let body = arrived.text.clone();
        let request = ScoreRequest { version, body, records_max: RECORDS_MAX, deadline: clock.deadline };
        let answer = backend.score(request)?;
        Ok(ScoreBody {
            took_ms: clock.took_ms(),
            version: answer.version,
            score: answer.records.iter().map(|record| record.score).fold(0.0, f64::max),
            records: answer.records.into_iter().map(ScoredBody::from).collect(),
            errors: answer.errors.into_iter().map(|(at, reason)| ScoreError { line: at + 1, reason }).collect(),
        })
    };
    shared.answer("score", Ok((version, arrived)), ask).await
}
