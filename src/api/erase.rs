//! `/api/v1/delete`: records deleted by query, and `/api/v1/audit`: who asked for it.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, QueryError, TimeRange};

/// What is to be deleted, by whom and why.
#[derive(Debug, Clone)]
pub struct EraseRequest {
    pub query: String,
    pub range: TimeRange,
    pub by: String,
    pub reason: String,
}

/// What a query would delete.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct ErasePreview {
    pub records: u64,
    /// Newest first.
    pub days: Vec<EraseDay>,
    /// Not everything was read in time: there may be more.
    pub partial: bool,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EraseDay {
    pub name: String,
    pub records: u64,
}

/// How far a deletion is.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct EraseProgress {
    /// `idle`, `running`, `done` or `failed`.
    pub state: &'static str,
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub deleted: u64,
    pub error: Option<String>,
}

/// A line of the audit.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    pub at: String,
    /// `delete_begun`, `delete_done` or `delete_failed`.
    pub action: String,
    pub by: String,
    pub reason: String,
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Deleted.
    pub records: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditBody {
    /// Newest first.
    entries: Vec<AuditEntry>,
}

/// Lines of the audit that one answer holds.
const AUDIT_MAX: usize = 1000;

/// A query that means everything has to be written as such.
fn query(params: &Params) -> Result<String, Problem> {
    let query = params.required("q", "which records to delete; * for all of them")?;
    if query.trim().is_empty() {
        return Err(Problem::bad_parameter("q", "q is empty: write * to delete all records".to_owned()));
    }
    Ok(query)
}

/// What would be deleted.
#[utoipa::path(get, path = "/api/v1/delete", tag = "store", params(
    ("q" = String, Query, description = "which records, in the query language without pipes"),
    ("from" = Option<String>, Query, description = "records from this time on"),
    ("to" = Option<String>, Query, description = "records before this time"),
), responses((status = 200, body = ErasePreview), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn preview(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to"])?;
        let (by, reason) = Default::default();
        Ok(EraseRequest { query: query(&params)?, range: params.range(now())?, by, reason })
    });
    let ask =
        |backend: &dyn Backend, request: EraseRequest, clock: Clock| backend.erase_preview(request, clock.deadline);
    shared.answer("delete", request, ask).await
}

/// Begins to delete the records that are searchable now, in the background and for good.
#[utoipa::path(post, path = "/api/v1/delete", tag = "store", params(
    ("q" = String, Query, description = "which records, in the query language without pipes"),
    ("from" = Option<String>, Query, description = "records from this time on"),
    ("to" = Option<String>, Query, description = "records before this time"),
    ("by" = String, Query, description = "who asks for it"),
    ("reason" = String, Query, description = "why"),
), responses((status = 200, body = EraseProgress), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn begin(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "by", "reason"])?;
        let said = |name, what| {
            let text = params.required(name, what)?;
            let empty = || Problem::bad_parameter(name, format!("{name} is empty: the audit keeps {what}"));
            if text.trim().is_empty() { Err(empty()) } else { Ok(text) }
        };
        let (by, reason) = (said("by", "who asks for it")?, said("reason", "why it is deleted")?);
        Ok(EraseRequest { query: query(&params)?, range: params.range(now())?, by, reason })
    });
    let ask = |backend: &dyn Backend, request: EraseRequest, _: Clock| backend.erase(request);
    shared.answer("delete", request, ask).await
}

/// How far that is.
#[utoipa::path(get, path = "/api/v1/delete/progress", tag = "store",
    responses((status = 200, body = EraseProgress), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn progress(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| -> Result<EraseProgress, QueryError> { backend.erase_progress() };
    shared.answer("delete", request, ask).await
}

/// Who asked for what to be deleted, why, and what went.
#[utoipa::path(get, path = "/api/v1/audit", tag = "store",
    responses((status = 200, body = AuditBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn audit(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(AuditBody { entries: backend.audit(AUDIT_MAX)? });
    shared.answer("audit", request, ask).await
}
