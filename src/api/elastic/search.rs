//! `_search`, `_msearch`, `_count`, and documents by their `_id`.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::ElasticError;
use super::filter_path::filtered;
use super::indices::index_of;
use super::request::Search;
use super::source;
use crate::api::run::{Clock, Shared, now};
use crate::api::{Backend, FindAnswer, IndexInfo};

/// Searches in one request.
const SEARCHES_MAX: usize = 100;

type Query_ = Query<BTreeMap<String, String>>;
type Answer = Result<Response, ElasticError>;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/_search", get(search_all).post(search_all))
        .route("/{index}/_search", get(search_index).post(search_index))
        .route("/_msearch", get(searches_all).post(searches_all))
        .route("/{index}/_msearch", get(searches_index).post(searches_index))
        .route("/_count", get(count_all).post(count_all))
        .route("/{index}/_count", get(count_index).post(count_index))
        .route("/{index}/_doc/{id}", get(document))
        .route("/_search/scroll", any(no_scroll))
        .route("/{index}/_pit", any(no_scroll))
}

/// A request's body, whose compression is off.
pub async fn body_of(shared: &Shared, request: Request) -> Result<Bytes, ElasticError> {
    Ok(shared.arriving.read(request, shared.settings.body_bytes_max).await?.text)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ElasticError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|err| ElasticError::parsing(format!("the body is not a JSON object: {err}")))
}

fn answered(answer: Value, params: &BTreeMap<String, String>) -> Response {
    let answer = match params.get("filter_path") {
        Some(paths) => filtered(answer, paths),
        None => answer,
    };
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn search_all(state: State<Shared>, query: Query_, request: Request) -> Answer {
    search(state, "_all".to_owned(), query, request).await
}

async fn search_index(state: State<Shared>, Path(names): Path<String>, query: Query_, request: Request) -> Answer {
    search(state, names, query, request).await
}

async fn search(State(shared): State<Shared>, names: String, Query(params): Query_, request: Request) -> Answer {
    let mut body = object(&body_of(&shared, request).await?)?;
    // What a body may be given as in an address.
    if let Some(source) = params.get("source") {
        body = object(source.as_bytes())?;
    }
    let asked = params.clone();
    let answer = shared.blocking("elasticsearch", move |backend, clock| {
        one(backend, &names, is_lenient(&asked), &body, &asked, &backend.indices(), clock)
    });
    Ok(answered(answer.await??, &params))
}

fn is_lenient(params: &BTreeMap<String, String>) -> bool {
    params.get("ignore_unavailable").is_some_and(|value| value != "false")
}

/// One search, answered.
fn one(
    backend: &dyn Backend,
    names: &str,
    lenient: bool,
    body: &Map<String, Value>,
    params: &BTreeMap<String, String>,
    known: &[IndexInfo],
    clock: Clock,
) -> Result<Value, ElasticError> {
    let search = Search::read(names, lenient, body, params, known, now(), clock.deadline)?;
    let found = backend.find(search.find.clone())?;
    let as_number = params.get("rest_total_hits_as_int").is_some_and(|value| value != "false");
    Ok(shown(&search, found, as_number, clock))
}

fn shown(search: &Search, found: FindAnswer, as_number: bool, clock: Clock) -> Value {
    let hits: Vec<Value> = found
        .hits
        .into_iter()
        .skip(search.from)
        .map(|(place, record)| {
            let mut hit = Map::new();
            hit.insert("_index".into(), json!(index_of(&record)));
            hit.insert("_id".into(), json!(id_of(&record)));
            let score = if search.keys.is_empty() { json!(1.0) } else { Value::Null };
            hit.insert("_score".into(), score);
            if !search.fields.is_empty() {
                hit.insert("fields".into(), Value::Object(source::fields(&record, &search.fields)));
            }
            if !search.keys.is_empty() {
                hit.insert("sort".into(), search.sort_of(place));
            }
            if !search.source.hidden {
                hit.insert("_source".into(), Value::Object(search.source.shown(record)));
            }
            Value::Object(hit)
        })
        .collect();
    let max_score = if search.keys.is_empty() && !hits.is_empty() { json!(1.0) } else { Value::Null };
    let mut of_hits = json!({"max_score": max_score, "hits": hits});
    if search.counts {
        of_hits["total"] = if as_number { json!(found.total) } else { json!({"value": found.total, "relation": "eq"}) };
    }
    let mut answer = json!({
        "took": clock.took_ms(),
        "timed_out": found.partial,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": of_hits,
    });
    if !search.find.aggregations.is_empty() {
        answer["aggregations"] = Value::Object(found.aggregations);
    }
    answer
}

/// The identity that its sender gave a record, else ours.
fn id_of(record: &Map<String, Value>) -> &str {
    let given = record.get("_id").and_then(Value::as_str);
    let ours = || record.get("event").and_then(|event| event.get("id")).and_then(Value::as_str);
    given.or_else(ours).unwrap_or_default()
}

async fn searches_all(state: State<Shared>, query: Query_, request: Request) -> Answer {
    searches(state, "_all".to_owned(), query, request).await
}

async fn searches_index(state: State<Shared>, Path(names): Path<String>, query: Query_, request: Request) -> Answer {
    searches(state, names, query, request).await
}

/// Headers and bodies of searches, a line each; a search that fails leaves the others alone.
async fn searches(State(shared): State<Shared>, names: String, Query(params): Query_, request: Request) -> Answer {
    let body = body_of(&shared, request).await?;
    let as_number = params.get("rest_total_hits_as_int").cloned();
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut wanted = Vec::new();
    // A header may be an empty line, which means the indices of the address.
    while let Some(head) = lines.next() {
        let Some(body) = lines.next() else {
            if head.is_empty() {
                break;
            }
            return Err(ElasticError::illegal("a search's header has no body behind it: they are pairs of lines"));
        };
        if head.is_empty() && body.is_empty() {
            break;
        }
        if wanted.len() == SEARCHES_MAX {
            return Err(ElasticError::illegal(format!("more than {SEARCHES_MAX} searches in one request")));
        }
        wanted.push((object(head)?, object(body)));
    }
    if wanted.is_empty() {
        return Err(ElasticError::illegal("the request has no searches: a header a line, and its body in the next"));
    }
    let answer = shared.blocking("elasticsearch", move |backend, clock| {
        let known = backend.indices();
        let options: BTreeMap<_, _> =
            as_number.map(|value| ("rest_total_hits_as_int".to_owned(), value)).into_iter().collect();
        let responses: Vec<Value> = wanted
            .into_iter()
            .map(|(head, body)| {
                let names = match head.get("index") {
                    Some(Value::String(name)) => name.clone(),
                    Some(Value::Array(list)) if !list.is_empty() => {
                        list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                    }
                    _ => names.clone(),
                };
                let lenient = head.get("ignore_unavailable") == Some(&json!(true));
                let one = body.and_then(|body| one(backend, &names, lenient, &body, &options, &known, clock));
                match one {
                    Ok(mut answer) => {
                        answer["status"] = json!(200);
                        answer
                    }
                    Err(error) => error.to_json(),
                }
            })
            .collect();
        json!({"took": clock.took_ms(), "responses": responses})
    });
    Ok(answered(answer.await?, &params))
}

async fn count_all(state: State<Shared>, query: Query_, request: Request) -> Answer {
    count(state, "_all".to_owned(), query, request).await
}

async fn count_index(state: State<Shared>, Path(names): Path<String>, query: Query_, request: Request) -> Answer {
    count(state, names, query, request).await
}

async fn count(State(shared): State<Shared>, names: String, Query(params): Query_, request: Request) -> Answer {
    let mut body = object(&body_of(&shared, request).await?)?;
    if let Some(name) = body.keys().find(|name| *name != "query") {
        return Err(ElasticError::parsing(format!("[_count] does not support [{name}]: it takes a query")));
    }
    body.insert("size".into(), json!(0));
    let mut asked = params.clone();
    asked.remove("size");
    let answer = shared.blocking("elasticsearch", move |backend, clock| {
        one(backend, &names, is_lenient(&asked), &body, &asked, &backend.indices(), clock)
    });
    let found = answer.await??;
    let count = json!({"count": found["hits"]["total"]["value"], "_shards": found["_shards"]});
    Ok(answered(count, &params))
}

/// A document by its `_id`.
async fn document(State(shared): State<Shared>, Path((index, id)): Path<(String, String)>, query: Query_) -> Answer {
    let Query(params) = query;
    let body = object(json!({"query": {"ids": {"values": [id]}}, "size": 1}).to_string().as_bytes())?;
    let names = index.clone();
    let asked = params.clone();
    let found = shared.blocking("elasticsearch", move |backend, clock| {
        let mut asked: BTreeMap<String, String> = asked;
        asked.retain(|name, _| name.starts_with("_source"));
        one(backend, &names, false, &body, &asked, &backend.indices(), clock)
    });
    let mut found = found.await??;
    let Some(Value::Object(mut hit)) = found["hits"]["hits"].as_array_mut().and_then(|hits| hits.pop()) else {
        let missing = json!({"_index": index, "_id": id, "found": false});
        return Ok((StatusCode::NOT_FOUND, Json(missing)).into_response());
    };
    hit.remove("_score");
    hit.extend([("found".to_owned(), json!(true)), ("_version".to_owned(), json!(1))]);
    Ok(answered(Value::Object(hit), &params))
}

async fn no_scroll() -> ElasticError {
    ElasticError::illegal(
        "scrolls and points in time are not supported: page with sort on @timestamp and search_after, which needs no state here",
    )
}
