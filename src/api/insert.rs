//! `/insert/jsonline`: documents, a JSON object a line.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::Shared;
use crate::ingest::http::{BodyError, Declined, Options, Source, Taken};

/// Refused lines that an answer names; all are counted.
const NAMED_MAX: usize = 100;

#[derive(Serialize, utoipa::ToSchema)]
pub struct InsertBody {
    /// Lines that are durable by now.
    accepted: usize,
    /// Of these, the ones that were here before.
    duplicates: usize,
    rejected: usize,
    /// The first of the rejected lines, with what is wrong with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<InsertError>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct InsertError {
    /// Counted among the lines that are not empty, from 1.
    line: usize,
    reason: String,
}

/// Takes documents, a JSON object a line, gzip or not; answers when they are durable. `@timestamp` is a document's time and
/// `message` its line, else the members that the parameters name.
#[utoipa::path(post, path = "/insert/jsonline", tag = "ingest", params(
    ("_time_field" = Option<String>, Query, description = "members that may hold the time, separated by commas; default `_time`. RFC 3339, or a number since 1970"),
    ("_msg_field" = Option<String>, Query, description = "members that may hold the line; default `_msg`"),
    ("_stream_fields" = Option<String>, Query, description = "taken and without effect: streams are told apart by their own fields"),
    ("index" = Option<String>, Query, description = "the index of the documents, as Elasticsearch's clients name one; default `loghound`"),
    ("refresh" = Option<String>, Query, description = "`true`: answer only when the documents can be found"),
), responses((status = 200, body = InsertBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn lines(State(shared): State<Shared>, request: Request) -> Response {
    let params = Params::of_query(request.uri().query().unwrap_or_default());
    let known = ["_time_field", "_msg_field", "_stream_fields", "index", "refresh"];
    if let Err(problem) = params.only(&known) {
        return problem.into_response();
    }
    let names = |name: &str, default: &str| match params.list(name) {
        names if names.is_empty() => vec![default.to_owned()],
        names => names,
    };
    let options = Options {
        index: params.get("index").map(str::to_owned),
        time_fields: names("_time_field", "_time"),
        message_fields: names("_msg_field", "_msg"),
        skip: Vec::new(),
    };
    let searchable = params.get("refresh").is_some_and(|value| value != "false");
    let arrived = match shared.arriving.read(request, shared.settings.documents_bytes_max).await {
        Ok(arrived) => arrived,
        Err(declined) => return refuse(declined),
    };
    let received = match shared.receive(arrived, Source::Lines, options, searchable).await {
        Ok(received) => received,
        Err(declined) => return refuse(declined),
    };
    let (mut body, mut line) = (InsertBody { accepted: 0, duplicates: 0, rejected: 0, errors: Vec::new() }, 0);
    for outcome in received.outcomes {
        line += 1;
        match outcome.result {
            Taken::Stored => body.accepted += 1,
            Taken::Known => {
                body.accepted += 1;
                body.duplicates += 1;
            }
            Taken::Refused(refused) => {
                body.rejected += 1;
                if body.errors.len() < NAMED_MAX {
                    body.errors.push(InsertError { line, reason: refused.reason });
                }
            }
        }
    }
    // Nothing was taken: a client that looks at the status alone must see it.
    let status = if body.accepted == 0 && body.rejected > 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

pub fn refuse(declined: Declined) -> Response {
    let text = declined.to_string();
    let (status, wait) = status_of(&declined);
    let mut response = Problem::bad_body(status, text).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
    }
    response
}

/// The status of an answer to a request that was not taken, and when its client may come again: seconds.
pub fn status_of(declined: &Declined) -> (StatusCode, Option<&'static str>) {
    match declined {
        Declined::Body(BodyError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Declined::Body(_) | Declined::Items(_) => (StatusCode::BAD_REQUEST, None),
        Declined::Busy(_) => (StatusCode::TOO_MANY_REQUESTS, Some("2")),
        Declined::Stopping(_) => (StatusCode::SERVICE_UNAVAILABLE, Some("5")),
    }
}
