//! `/loki/api/v1/push` and `/v1/logs`: what Loki's and OpenTelemetry's senders push, answered as they expect once it is on disk.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::error::{Problem, ProblemBody};
use super::foreign::{loki, otlp};
use super::insert::{refuse, status_of};
use super::run::Shared;
use crate::ingest::http::{Declined, Encoding, Options, Source, Taken};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Takes what Loki's clients push: protobuf in snappy, or JSON, gzip or not. Labels stand with the stream: `namespace`, `pod`,
/// `container`, `node`, `service`, `host` and `filename` under their names here, others under `fields`; structured metadata
/// under `metadata`.
#[utoipa::path(post, path = "/loki/api/v1/push", tag = "ingest",
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn loki(State(shared): State<Shared>, request: Request) -> Response {
    let is_json = kind(request.headers()).contains("json");
    let pushed = push(&shared, request, move |body, bytes_max| match is_json {
        true => loki::of_json(body, bytes_max),
        false => loki::of_snappy(body, bytes_max),
    });
    match pushed.await {
        Ok(Pushed { rejected: 0, .. }) => StatusCode::NO_CONTENT.into_response(),
        // As Loki answers when entries of a push are refused; the others are taken.
        Ok(Pushed { why, .. }) => (StatusCode::BAD_REQUEST, why).into_response(),
        Err(declined) => plainly(&declined),
    }
}

/// Takes OpenTelemetry's logs: protobuf or JSON, gzip or not. Resources stand with the stream (`service`, `kubernetes`, `host` …,
/// else under `fields`); a text body is the line, attributes stand under `attributes`.
#[utoipa::path(post, path = "/v1/logs", tag = "ingest",
    responses((status = 200), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn otlp(State(shared): State<Shared>, request: Request) -> Response {
    let kind = kind(request.headers());
    let is_json = kind == JSON;
    if !is_json && kind != PROTOBUF {
        // Read all the same: a client that is still sending would see a broken connection, not the answer.
        if let Err(declined) = shared.arriving.read(request, shared.settings.documents_bytes_max).await {
            return refuse(declined);
        }
        let detail = format!("the body is {kind:?}: send {PROTOBUF} or {JSON}");
        return Problem::bad_body(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response();
    }
    let pushed = push(&shared, request, move |body, bytes_max| match is_json {
        true => otlp::of_json(body, bytes_max),
        false => otlp::of_protobuf(body, bytes_max),
    });
    match pushed.await {
        Ok(Pushed { rejected, why }) => {
            let kind = HeaderValue::from_static(if is_json { JSON } else { PROTOBUF });
            ([(header::CONTENT_TYPE, kind)], otlp::answer(rejected, &why, is_json)).into_response()
        }
        Err(declined) => refuse(declined),
    }
}

/// What became of a push.
struct Pushed {
    rejected: usize,
    /// Why the first was.
    why: String,
}

/// Reads a push, makes documents of it and hands them on; returns when they are durable.
async fn push(
    shared: &Shared,
    request: Request,
    documents: impl FnOnce(&[u8], usize) -> Result<(Vec<u8>, usize), Declined> + Send + 'static,
) -> Result<Pushed, Declined> {
    let bytes_max = shared.settings.documents_bytes_max;
    let mut arrived = shared.arriving.read(request, bytes_max).await?;
    let came = arrived.text.clone();
    let made = tokio::task::spawn_blocking(move || documents(&came, bytes_max)).await;
    let made = made.unwrap_or_else(|panic| {
        tracing::error!(error = %panic, "reading a push panicked");
        Err(Declined::Stopping("loghound failed: its log says more".to_owned()))
    });
    let (lines, count) = made?;
    if count == 0 {
        return Ok(Pushed { rejected: 0, why: String::new() });
    }
    // What a sender says once for many lines is now with each of them.
    shared.arriving.grow(&mut arrived, lines.len()).await?;
    arrived.body = Bytes::from(lines);
    arrived.text = arrived.body.clone();
    arrived.encoding = Encoding::Identity;
    let received = shared.receive(arrived, Source::Lines, Options::default(), false).await?;
    let refused = |taken: &Taken| match taken {
        Taken::Refused(refused) => Some(refused.reason.clone()),
        Taken::Stored | Taken::Known => None,
    };
    let mut rejected = received.outcomes.iter().filter_map(|outcome| refused(&outcome.result));
    let why = rejected.next();
    Ok(Pushed { rejected: usize::from(why.is_some()) + rejected.count(), why: why.unwrap_or_default() })
}

/// The media type, without its parameters.
fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Loki's clients log an answer's text as it is.
fn plainly(declined: &Declined) -> Response {
    let (status, wait) = status_of(declined);
    let mut response = (status, declined.to_string()).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
    }
    response
}
