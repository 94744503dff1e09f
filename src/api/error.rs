//! The one error type at the HTTP edge: RFC 9457 problem details.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::QueryError;

/// What went wrong, for people (`title`, `detail`) and for programs (`type`, `status`, the members after them).
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Which kind of problem: stable, to be compared, not fetched.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What that parameter accepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Where in the query's text, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The query's text with a caret under the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
}

/// A problem on its way to the client; boxed, for it travels as the `Err` of most functions here.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<ProblemBody>);

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let (status, detail) = (status.as_u16(), detail.into());
        Self(Box::new(ProblemBody { kind, title, status, detail, ..ProblemBody::default() }))
    }

    pub fn bad_parameter(name: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "urn:loghound:problem:bad-parameter",
            "a parameter cannot be used",
            detail,
        );
        problem.0.parameter = Some(name.to_owned());
        problem
    }

    pub fn accepting(mut self, accepted: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.accepted = accepted.into_iter().map(Into::into).collect();
        self
    }

    pub fn bad_body(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "urn:loghound:problem:bad-body", "the request's body cannot be used", detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "urn:loghound:problem:not-found", "there is no such thing here", detail)
    }

    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:loghound:problem:overloaded",
            "too many queries at once",
            "as many queries as may run at once are running: try again in a second",
        )
    }

    pub fn deadline(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "urn:loghound:problem:deadline",
            "the query took longer than it may",
            detail,
        )
    }

    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:loghound:problem:internal",
            "loghound failed",
            "this is a fault of the server: its log says more",
        )
    }

    /// For those who show a problem in another shape.
    pub fn status_and_detail(&self) -> (StatusCode, String) {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.0.rendered.clone().unwrap_or_else(|| self.0.detail.clone()))
    }

    /// The `result` under which the metrics count a query that ended so.
    pub fn result_label(&self) -> &'static str {
        match self.0.status {
            503 => "overloaded",
            504 => "deadline",
            400..=499 => "rejected",
            _ => "failed",
        }
    }
}

impl From<QueryError> for Problem {
    fn from(err: QueryError) -> Self {
        let text = err.to_string();
        match err {
            QueryError::Syntax { offset, len, hint, rendered, .. } => {
                let mut problem = Self::bad_parameter("q", text);
                problem.0.kind = "urn:loghound:problem:query-syntax";
                problem.0.title = "the query cannot be read";
                problem.0.offset = Some(offset);
                problem.0.length = Some(len);
                problem.0.hint = hint;
                problem.0.rendered = Some(rendered);
                problem
            }
            QueryError::Deadline => Self::deadline(text),
            QueryError::BadParameter { name, .. } => Self::bad_parameter(name, text),
            QueryError::NotFound(_) => Self::not_found(text),
            QueryError::Conflict(_) => {
                Self::new(StatusCode::CONFLICT, "urn:loghound:problem:conflict", "this cannot be done now", text)
            }
            QueryError::Internal(_) => {
                tracing::error!(error = %text, "query failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
