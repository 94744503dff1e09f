//! `/api/v1/jobs`: what operators want watched, in Kibana's words.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value as Json;

use super::error::{Problem, ProblemBody};
use super::run::{Clock, Shared};
use super::{Backend, QueryError};
use crate::detect::JobStats;

/// A job is written by hand: bytes.
const JOB_BYTES_MAX: usize = 256 << 10;

/// One job.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobBody {
    pub name: String,
    /// As it was written.
    #[schema(value_type = Object)]
    pub job: Json,
    /// It stands in the configuration, and is changed there.
    pub configured: bool,
    /// Records it took, those that came late and those there was no room for; its series, bytes, buckets and anomalies.
    #[schema(value_type = Object)]
    pub stats: JobStats,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct JobsBody {
    jobs: Vec<JobBody>,
}

/// All jobs.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "detect",
    responses((status = 200, body = JobsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(State(shared): State<Shared>) -> Response {
    shared.answer("jobs", Ok(()), |backend: &dyn Backend, (), _: Clock| all(backend)).await
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{name}", tag = "detect", params(("name" = String, Path)),
    responses((status = 200, body = JobBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, name: String, _: Clock| {
        let none = || QueryError::NotFound(format!("there is no job {name}: /api/v1/jobs lists those there are"));
        backend.jobs()?.into_iter().find(|job| job.name == name).ok_or_else(none)
    };
    shared.answer("jobs", Ok(name), ask).await
}

/// Puts a job, in the place of one that has its name: it runs from now on. The body is one job, JSON or YAML: `name`, `function`,
/// `field`, `by`, `over`, `partition`, `bucket_span`, `filter`, `influencers`, `custom_rules`, `calendars`, `memory`, `score`.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "detect", request_body(content = String, content_type = "application/json"),
    responses((status = 200, body = JobsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put(State(shared): State<Shared>, body: Bytes) -> Response {
    let ask = |backend: &dyn Backend, job: Json, _: Clock| {
        backend.put_job(&job)?;
        all(backend)
    };
    shared.answer("jobs", read(&body), ask).await
}

/// Deletes a job, and all it learned. What it found stays.
#[utoipa::path(delete, path = "/api/v1/jobs/{name}", tag = "detect", params(("name" = String, Path)),
    responses((status = 200, body = JobsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn delete(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, name: String, _: Clock| {
        backend.delete_job(&name)?;
        all(backend)
    };
    shared.answer("jobs", Ok(name), ask).await
}

fn all(backend: &dyn Backend) -> Result<JobsBody, QueryError> {
    Ok(JobsBody { jobs: backend.jobs()? })
}

fn read(body: &Bytes) -> Result<Json, Problem> {
    let bad = |detail: String| Problem::bad_body(StatusCode::BAD_REQUEST, detail);
    if body.len() > JOB_BYTES_MAX {
        return Err(bad(format!("the job has {} bytes: at most {JOB_BYTES_MAX}", body.len())));
    }
    let text = std::str::from_utf8(body).map_err(|error| bad(format!("the job is no UTF-8: {error}")))?;
    serde_saphyr::from_str(text).map_err(|error| bad(format!("the job is neither JSON nor YAML: {error}")))
}
