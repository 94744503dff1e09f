//! Errors as Elasticsearch's clients read them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json_, json};

use crate::api::QueryError;
use crate::api::error::Problem;
use crate::api::insert::status_of;
use crate::ingest::http::Declined;

/// Why a request is not answered.
#[derive(Debug, Clone)]
pub struct ElasticError {
    pub status: StatusCode,
    /// In Elasticsearch's words.
    pub kind: &'static str,
    pub reason: String,
    retry_after: Option<&'static str>,
}

impl ElasticError {
    pub fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self { status, kind, reason: reason.into(), retry_after: None }
    }

    /// A part of a query that cannot be worked out as it is written.
    pub fn parsing(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "parsing_exception", reason)
    }

    pub fn illegal(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "illegal_argument_exception", reason)
    }

    pub fn no_index(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "index_not_found_exception", format!("no such index [{name}]"))
    }

    /// The error with its status, as one entry of several answers.
    pub fn to_json(&self) -> Json_ {
        let cause = json!({"type": self.kind, "reason": self.reason});
        let error = json!({"root_cause": [cause], "type": self.kind, "reason": self.reason});
        json!({"error": error, "status": self.status.as_u16()})
    }
}

impl From<Declined> for ElasticError {
    fn from(declined: Declined) -> Self {
        let (status, retry_after) = status_of(&declined);
        let kind = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "content_too_long_exception",
            StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable_exception",
            _ => "illegal_argument_exception",
        };
        Self { status, kind, reason: declined.to_string(), retry_after }
    }
}

impl From<QueryError> for ElasticError {
    fn from(error: QueryError) -> Self {
        let reason = match &error {
            QueryError::Syntax { rendered, .. } => rendered.clone(),
            other => other.to_string(),
        };
        match error {
            QueryError::Syntax { .. } => Self::new(StatusCode::BAD_REQUEST, "query_shard_exception", reason),
            QueryError::Deadline => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout_exception", reason),
            QueryError::BadParameter { .. } => Self::illegal(reason),
            QueryError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "resource_not_found_exception", reason),
            QueryError::Conflict(_) => Self::new(StatusCode::CONFLICT, "version_conflict_engine_exception", reason),
            QueryError::Internal(_) => {
                tracing::error!(error = %reason, "query failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", "loghound failed: its log says more")
            }
        }
    }
}

impl From<Problem> for ElasticError {
    fn from(problem: Problem) -> Self {
        let (status, reason) = problem.status_and_detail();
        let (kind, retry_after) = match status {
            StatusCode::SERVICE_UNAVAILABLE => ("es_rejected_execution_exception", Some("1")),
            StatusCode::GATEWAY_TIMEOUT => ("timeout_exception", None),
            status if status.is_server_error() => ("exception", None),
            _ => ("illegal_argument_exception", None),
        };
        // Clients of Elasticsearch know 429 as "later".
        let status = if status == StatusCode::SERVICE_UNAVAILABLE { StatusCode::TOO_MANY_REQUESTS } else { status };
        Self { status, kind, reason, retry_after }
    }
}

impl IntoResponse for ElasticError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}
