//! `/api/v1/anomalies` and `/api/v1/detectors`: what was out of the ordinary, and what is watched.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{AnomaliesRequest, Anomaly, AnomalyTemplate, Backend, DetectorsAnswer, Example, Influencer, QueryError};
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 50;

#[derive(Serialize, utoipa::ToSchema)]
pub struct AnomaliesBody {
    took_ms: u64,
    /// Those beyond the limit included.
    total: u64,
    /// Newest first.
    anomalies: Vec<AnomalyBody>,
}

/// One series, one run of buckets in which it was not itself.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AnomalyBody {
    /// The same for the same series and beginning.
    id: String,
    /// Anomalies of one service that go on together have one group.
    group: String,
    series: String,
    service: String,
    measure: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// 0 to 100: 25 is once in 10 hours by chance, 50 once in 4 days, 75 once in 6 weeks, among all that is watched.
    score: f64,
    /// `warning`, `minor` (25), `major` (50), `critical` (75).
    severity: &'static str,
    /// Of the most unlikely bucket, for its series alone.
    probability: f64,
    /// `high` or `low`.
    direction: &'static str,
    actual: f64,
    typical: f64,
    /// What would have been ordinary.
    low: f64,
    high: f64,
    bucket_seconds: i64,
    /// The first bucket and the last, RFC 3339, as the times that follow.
    since: String,
    last: String,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// `open`, `ended`, or `retracted`: lines that came late showed that nothing was wrong.
    state: &'static str,
    sentence: String,
    /// The best first.
    influencers: Vec<Influencer>,
    examples: Vec<ExampleBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<AnomalyTemplate>,
    /// Lines of its buckets that came after they were judged.
    late_lines: u64,
    /// The model that found it: `streaming`, or a trained version.
    version: String,
}

/// A line of it, kept when its day is deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ExampleBody {
    #[serde(rename = "event.id")]
    id: String,
    #[serde(rename = "@timestamp")]
    time: String,
    message: String,
}

impl From<Example> for ExampleBody {
    fn from(example: Example) -> Self {
        Self { id: example.id, time: format_rfc3339(example.time), message: example.line }
    }
}

impl From<Anomaly> for AnomalyBody {
    fn from(a: Anomaly) -> Self {
        Self {
            id: a.id,
            group: a.group,
            series: a.series,
            service: a.service,
            measure: a.measure,
            field: a.field,
            value: a.value,
            score: a.score,
            severity: a.severity,
            probability: a.probability,
            direction: a.direction,
            actual: a.actual,
            typical: a.typical,
            low: a.low,
            high: a.high,
            bucket_seconds: a.bucket / NANOS_PER_SECOND,
            since: format_rfc3339(a.since),
            last: format_rfc3339(a.last),
            found: format_rfc3339(a.found),
            ended: a.ended.map(format_rfc3339),
            state: a.state,
            sentence: a.sentence,
            influencers: a.influencers,
            examples: a.examples.into_iter().map(ExampleBody::from).collect(),
            template: a.template,
            late_lines: a.late_lines,
            version: a.version,
        }
    }
}

/// What was out of the ordinary, newest first.
#[utoipa::path(get, path = "/api/v1/anomalies", tag = "detect", params(
    ("from" = Option<String>, Query, description = "found from this time on"),
    ("to" = Option<String>, Query, description = "found before this time"),
    ("score" = Option<String>, Query, description = "at least this score (0 to 100), or a severity: minor, major, critical; default minor"),
    ("service" = Option<String>, Query, description = "of this service"),
    ("state" = Option<String>, Query, description = "open or ended; both where absent"),
    ("limit" = Option<u32>, Query, description = "anomalies, 0 to 1000, default 50"),
), responses((status = 200, body = AnomaliesBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn anomalies(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["from", "to", "score", "service", "state", "limit"])?;
        Ok(AnomaliesRequest {
            range: params.range(now())?,
            score_min: score_min(&params)?,
            service: params.get("service").map(str::to_owned),
            open: open(&params)?,
            limit: params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        })
    });
    let ask = |backend: &dyn Backend, request, clock: Clock| {
        let answer = backend.anomalies(request)?;
        let anomalies = answer.anomalies.into_iter().map(AnomalyBody::from).collect();
        Ok(AnomaliesBody { took_ms: clock.took_ms(), total: answer.total, anomalies })
    };
    shared.answer("anomalies", request, ask).await
}

/// What is watched: every series, what it expects next, and whether it is still learning.
#[utoipa::path(get, path = "/api/v1/detectors", tag = "detect", params(
    ("service" = Option<String>, Query, description = "of this service; of all where absent"),
), responses((status = 200, body = DetectorsAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn detectors(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["service"])?;
        Ok(params.get("service").map(str::to_owned))
    });
    let ask = |backend: &dyn Backend, service: Option<String>, _: Clock| -> Result<DetectorsAnswer, QueryError> {
        backend.detectors(service.as_deref())
    };
    shared.answer("detectors", request, ask).await
}

const SEVERITIES: [(&str, f64); 4] = [("warning", 0.0), ("minor", 25.0), ("major", 50.0), ("critical", 75.0)];

pub(super) fn score_min(params: &Params) -> Result<f64, Problem> {
    let Some(text) = params.get("score") else { return Ok(25.0) };
    if let Some((_, score)) = SEVERITIES.iter().find(|(name, _)| *name == text) {
        return Ok(*score);
    }
    text.parse().ok().filter(|score| (0.0..=100.0).contains(score)).ok_or_else(|| {
        let detail = format!("score is {text:?}: it is a number from 0 to 100, or minor, major or critical");
        Problem::bad_parameter("score", detail).accepting(["0 to 100", "minor", "major", "critical"])
    })
}

fn open(params: &Params) -> Result<Option<bool>, Problem> {
    match params.get("state") {
        None => Ok(None),
        Some("open") => Ok(Some(true)),
        Some("ended") => Ok(Some(false)),
        Some(other) => {
            let detail = format!("state is {other:?}: it is open or ended");
            Err(Problem::bad_parameter("state", detail).accepting(["open", "ended"]))
        }
    }
}
