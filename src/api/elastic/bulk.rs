//! `_bulk` and its like: documents in, an answer for each.

use std::fmt::Write as _;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::error::ElasticError;
use super::filter_path::filtered;
use crate::api::params::Params;
use crate::api::run::Shared;
use crate::ingest::http::{Action, Encoding, Options, Outcome, Source, Taken};

pub async fn bulk(State(shared): State<Shared>, request: Request) -> Response {
    taken(&shared, None, request).await.unwrap_or_else(IntoResponse::into_response)
}

pub async fn bulk_of(State(shared): State<Shared>, Path(index): Path<String>, request: Request) -> Response {
    taken(&shared, Some(index), request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn taken(shared: &Shared, index: Option<String>, request: Request) -> Result<Response, ElasticError> {
    let started = Instant::now();
    let params = Params::of_query(request.uri().query().unwrap_or_default());
    let arrived = shared.arriving.read(request, shared.settings.documents_bytes_max).await?;
    let options = Options { index, ..Options::default() };
    let received = shared.receive(arrived, Source::Bulk, options, refreshes(&params)).await?;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(answer(took, &received.outcomes, params.get("filter_path")))
}

fn refreshes(params: &Params) -> bool {
    params.has("refresh") && params.get("refresh") != Some("false")
}

/// What an item's answer says.
#[derive(Serialize)]
struct Said<'o> {
    _index: &'o str,
    _id: &'o str,
    #[serde(skip_serializing_if = "Option::is_none")]
    _version: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Json>,
}

fn said(outcome: &Outcome) -> Said<'_> {
    let (_index, _id) = (outcome.index.as_str(), outcome.id.as_str());
    let stored = |status, result| Said { _index, _id, _version: Some(1), result: Some(result), status, error: None };
    let refused = |status, kind: &str, reason: &str| {
        let error = Some(json!({"type": kind, "reason": reason, "index": _index}));
        Said { _index, _id, _version: None, result: None, status, error }
    };
    match &outcome.result {
        Taken::Stored => stored(201, "created"),
        // The client did not name it, so it cannot ask whether it is there: it is.
        Taken::Known if !outcome.is_named => stored(201, "created"),
        Taken::Known if outcome.action == Action::Create => {
            let reason = format!("[{_id}]: version conflict, document already exists (current version [1])");
            refused(409, "version_conflict_engine_exception", &reason)
        }
        Taken::Known => stored(200, "noop"),
        Taken::Refused(why) => refused(400, why.kind, &why.reason),
    }
}

/// Compact, `took`, `errors`, `items` in this order: shippers look for the bytes `"errors":false,"items":[`.
fn answer(took: u64, outcomes: &[Outcome], filter_path: Option<&str>) -> Response {
    let said: Vec<Said<'_>> = outcomes.iter().map(said).collect();
    let errors = said.iter().any(|said| said.error.is_some());
    let mut out = format!("{{\"took\":{took},\"errors\":{errors},\"items\":[");
    for (nth, (said, outcome)) in said.iter().zip(outcomes).enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        // Names and numbers can always be written; so can a string be written to.
        let item = serde_json::to_string(said).unwrap_or_default();
        let _ = write!(out, "{comma}{{\"{}\":{item}}}", outcome.action.name());
    }
    out.push_str("]}");
    if let Some(paths) = filter_path {
        let whole = serde_json::from_str(&out).unwrap_or_default();
        out = filtered(whole, paths).to_string();
    }
    ([(header::CONTENT_TYPE, "application/json")], out).into_response()
}

/// One document; the client leaves its identity to us.
pub async fn document(State(shared): State<Shared>, Path(index): Path<String>, request: Request) -> Response {
    one(&shared, index, None, request).await.unwrap_or_else(IntoResponse::into_response)
}

/// One document that must not be there yet.
pub async fn create(
    State(shared): State<Shared>,
    Path((index, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    one(&shared, index, Some(id), request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn one(shared: &Shared, index: String, id: Option<String>, request: Request) -> Result<Response, ElasticError> {
    let params = Params::of_query(request.uri().query().unwrap_or_default());
    let mut arrived = shared.arriving.read(request, shared.settings.documents_bytes_max).await?;
    // Written over several lines it would end at the first.
    let document: Json = serde_json::from_slice(&arrived.text)
        .map_err(|err| ElasticError::new(StatusCode::BAD_REQUEST, "document_parsing_exception", err.to_string()))?;
    arrived.body = in_bulk(&index, id.as_deref(), &document);
    arrived.encoding = Encoding::Identity;
    arrived.text = arrived.body.clone();
    let received = shared.receive(arrived, Source::Bulk, Options::default(), refreshes(&params)).await?;
    let Some(outcome) = received.outcomes.first() else { return Err(ElasticError::illegal("there is no document")) };
    let said = said(outcome);
    let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let (Some(error), Some(kind)) = (&said.error, kind_of(outcome)) {
        let reason = error.get("reason").and_then(Json::as_str).unwrap_or_default();
        return Err(ElasticError::new(status, kind, reason));
    }
    let body = json!({
        "_index": said._index, "_id": said._id, "_version": 1, "result": said.result,
        "_shards": {"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1,
    });
    Ok((status, axum::Json(body)).into_response())
}

fn kind_of(outcome: &Outcome) -> Option<&'static str> {
    match &outcome.result {
        Taken::Refused(why) => Some(why.kind),
        Taken::Known => Some("version_conflict_engine_exception"),
        Taken::Stored => None,
    }
}

fn in_bulk(index: &str, id: Option<&str>, document: &Json) -> Bytes {
    let action = match id {
        Some(id) => json!({"create": {"_index": index, "_id": id}}),
        None => json!({"create": {"_index": index}}),
    };
    let mut out = BytesMut::new();
    out.put(format!("{action}\n{document}\n").as_bytes());
    out.freeze()
}

/// Answers when everything that was taken can be found.
pub async fn refresh(State(shared): State<Shared>) -> Response {
    let backend = std::sync::Arc::clone(&shared.backend);
    let found = tokio::task::spawn_blocking(move || backend.wait_searchable()).await.unwrap_or(false);
    let (successful, failed) = if found { (1, 0) } else { (0, 1) };
    axum::Json(json!({"_shards": {"total": 1, "successful": successful, "failed": failed}})).into_response()
}
