//! Indices: what their names and patterns mean, and what is told of them.
//!
//! Documents belong to the index they were sent to (`_index`). All other records are in one index a UTC day,
//! `loghound-2026.11.22`; `loghound` is all of these.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::error::ElasticError;
use super::filter_path::fits;
use super::search::body_of;
use crate::api::run::Shared;
use crate::api::{Backend, FieldInfo, FindRequest, IndexInfo, Sort, TimeRange};
use crate::ingest::http::INDEX;
use crate::query::dsl::nothing;
use crate::query::{Bound, Expr, Range, Test};
use crate::record::time::{NANOS_PER_DAY, format_day, format_rfc3339};

/// The name of the index of a UTC day.
pub fn day_index(day: i32) -> String {
    format!("{INDEX}-{}", format_day(day).replace('-', "."))
}

/// Which records names and patterns mean, separated by commas, `-` in front leaving some out. A name that is none is an
/// error, unless `lenient`.
pub fn records_of(names: &str, known: &[IndexInfo], lenient: bool) -> Result<Expr, ElasticError> {
    let mut with = Vec::new();
    let mut without = Vec::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.strip_prefix('-') {
            Some(name) => without.push(Expr::Not(Box::new(records_of_one(name, known, true)?))),
            None => with.push(records_of_one(name, known, lenient)?),
        }
    }
    let mut all = vec![if with.is_empty() { Expr::All } else { Expr::or(with) }];
    all.extend(without);
    Ok(Expr::and(all.into_iter().filter(|part| !matches!(part, Expr::All)).collect()))
}

fn records_of_one(name: &str, known: &[IndexInfo], lenient: bool) -> Result<Expr, ElasticError> {
    if matches!(name, "_all" | "*") {
        return Ok(Expr::All);
    }
    let of_index = |name: &str| Expr::leaf(Some("_index".to_owned()), Test::value(name));
    let named: Vec<&IndexInfo> = known.iter().filter(|index| index.day.is_none()).collect();
    let days: Vec<i32> = known.iter().filter_map(|index| index.day).collect();
    // What has no index of its own; where nothing has one, that is everything.
    let ours = || match named.is_empty() {
        true => Expr::All,
        false => {
            let any_index = Expr::leaf(Some("_index".to_owned()), Test::Exists);
            Expr::Or(vec![Expr::Not(Box::new(any_index)), of_index(INDEX)])
        }
    };
    let mut parts: Vec<Expr> =
        named.iter().filter(|index| fits(name, &index.name)).map(|index| of_index(&index.name)).collect();
    let fitting: Vec<i32> = days.iter().copied().filter(|day| fits(name, &day_index(*day))).collect();
    // Every day is meant, those to come as well.
    if name == INDEX || (name.contains('*') && fits(name, &format!("{INDEX}-"))) {
        parts.push(ours());
    } else if !fitting.is_empty() {
        let of_day = |day: &i32| {
            let at = |day: i64| format_rfc3339(day * NANOS_PER_DAY);
            let low = Some(Bound { text: at(i64::from(*day)), inclusive: true });
            let high = Some(Bound { text: at(i64::from(*day) + 1), inclusive: false });
            Expr::leaf(Some("@timestamp".to_owned()), Test::Range(Range { low, high }))
        };
        let days = Expr::or(fitting.iter().map(of_day).collect());
        parts.push(match ours() {
            Expr::All => days,
            ours => Expr::And(vec![days, ours]),
        });
    }
    match parts.is_empty() {
        false => Ok(Expr::or(parts)),
        true if lenient || name.contains('*') => Ok(nothing()),
        true => Err(ElasticError::no_index(name)),
    }
}

/// The index that a record shows: its own, else its day's.
pub fn index_of(record: &Map<String, Value>) -> String {
    match record.get("_index").and_then(Value::as_str) {
        Some(name) if name != INDEX => name.to_owned(),
        _ => {
            let day = record.get("@timestamp").and_then(Value::as_str).and_then(|at| at.get(..10)).unwrap_or_default();
            format!("{INDEX}-{}", day.replace('-', "."))
        }
    }
}

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/{index}", get(about).put(created).delete(kept))
        .route("/_mapping", get(mapping_of_all))
        .route("/{index}/_mapping", get(mapping).put(acknowledged))
        .route("/{index}/_mappings", get(mapping))
        .route("/{index}/_settings", get(settings).put(acknowledged))
        .route("/_field_caps", any(field_caps_of_all))
        .route("/{index}/_field_caps", any(field_caps))
        .route("/_cat/indices", get(cat_all))
        .route("/_cat/indices/{index}", get(cat))
        .route("/_resolve/index/{index}", get(resolve))
        .route("/_alias", get(aliases))
        .route("/_aliases", get(aliases).post(acknowledged))
        .route("/{index}/_alias", get(aliases))
}

/// The indices that fit; an error where a name is none of them.
fn chosen(names: &str, known: Vec<IndexInfo>) -> Result<Vec<IndexInfo>, ElasticError> {
    let mut out: Vec<IndexInfo> = Vec::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let all = matches!(name, "_all" | "*");
        let fitting =
            known.iter().filter(|index| all || fits(name, &index.name) || (name == INDEX && index.day.is_some()));
        let fitting: Vec<_> = fitting.cloned().collect();
        if fitting.is_empty() && !name.contains('*') && !all {
            return Err(ElasticError::no_index(name));
        }
        out.extend(fitting);
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out.dedup();
    Ok(out)
}

async fn asked<T: Send + 'static>(
    shared: &Shared,
    names: String,
    make: impl FnOnce(&dyn Backend, Vec<IndexInfo>, crate::api::run::Clock) -> Result<T, ElasticError> + Send + 'static,
) -> Result<T, ElasticError> {
    shared
        .blocking("elasticsearch", move |backend, clock| make(backend, chosen(&names, backend.indices())?, clock))
        .await?
}

async fn about(State(shared): State<Shared>, Path(names): Path<String>) -> Result<Json<Value>, ElasticError> {
    asked(&shared, names, |backend, indices, clock| {
        let properties = properties(&backend.fields(clock.deadline)?);
        let about = |index: &IndexInfo| {
            let mappings = json!({"properties": properties});
            (index.name.clone(), json!({"aliases": {}, "mappings": mappings, "settings": {"index": {}}}))
        };
        Ok(Json(Value::Object(indices.iter().map(about).collect())))
    })
    .await
}

/// An index begins with its first document; making one needs nothing.
async fn created(Path(name): Path<String>) -> Json<Value> {
    Json(json!({"acknowledged": true, "shards_acknowledged": true, "index": name}))
}

async fn acknowledged() -> Json<Value> {
    Json(json!({"acknowledged": true}))
}

async fn kept(Path(name): Path<String>) -> ElasticError {
    ElasticError::illegal(format!(
        "[{name}] is not deleted: records go by age, when their day is over, and not by index"
    ))
}

async fn settings(State(shared): State<Shared>, Path(names): Path<String>) -> Result<Json<Value>, ElasticError> {
    let settings = |index: &IndexInfo| {
        let settings = json!({"number_of_shards": "1", "number_of_replicas": "0", "provided_name": index.name});
        (index.name.clone(), json!({"settings": {"index": settings}}))
    };
    asked(&shared, names, move |_, indices, _| Ok(Json(Value::Object(indices.iter().map(settings).collect())))).await
}

async fn mapping_of_all(state: State<Shared>) -> Result<Json<Value>, ElasticError> {
    mapping(state, Path("*".to_owned())).await
}

async fn mapping(State(shared): State<Shared>, Path(names): Path<String>) -> Result<Json<Value>, ElasticError> {
    asked(&shared, names, |backend, indices, clock| {
        let properties = properties(&backend.fields(clock.deadline)?);
        let of = |index: &IndexInfo| (index.name.clone(), json!({"mappings": {"properties": properties}}));
        Ok(Json(Value::Object(indices.iter().map(of).collect())))
    })
    .await
}

/// In Elasticsearch's words.
fn type_of(field: &FieldInfo) -> &'static str {
    match field.kind.as_str() {
        "number" => "double",
        "date" => "date",
        "boolean" => "boolean",
        "text" => "text",
        _ => "keyword",
    }
}

/// Fields as nested properties.
fn properties(fields: &[FieldInfo]) -> Map<String, Value> {
    let mut out = Map::new();
    for field in fields.iter().filter(|field| !field.name.starts_with('_')) {
        let mut at = &mut out;
        let mut parts = field.name.split('.').peekable();
        while let Some(part) = parts.next() {
            let slot = at.entry(part).or_insert_with(|| json!({}));
            if parts.peek().is_none() {
                // What is a value here and an object there has its members alone: a field has one of both.
                if slot.get("properties").is_none() {
                    *slot = json!({"type": type_of(field)});
                }
                break;
            }
            if slot.get("properties").is_none() {
                *slot = json!({"properties": {}});
            }
            let Some(Value::Object(inner)) = slot.get_mut("properties") else { break };
            at = inner;
        }
    }
    out
}

async fn field_caps_of_all(
    state: State<Shared>,
    query: Query<BTreeMap<String, String>>,
    request: Request,
) -> Result<Json<Value>, ElasticError> {
    field_caps(state, Path("*".to_owned()), query, request).await
}

async fn field_caps(
    State(shared): State<Shared>,
    Path(names): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Result<Json<Value>, ElasticError> {
    let body = body_of(&shared, request).await?;
    let mut wanted: Vec<String> =
        query.get("fields").map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default();
    if !body.is_empty() {
        let body: Value = serde_json::from_slice(&body).map_err(|err| ElasticError::parsing(err.to_string()))?;
        if let Some(name) = body.as_object().and_then(|body| body.keys().find(|name| *name != "fields")) {
            return Err(ElasticError::illegal(format!("_field_caps does not support [{name}]")));
        }
        let list = body.get("fields").map(|fields| match fields {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            other => vec![other.as_str().unwrap_or_default().to_owned()],
        });
        wanted.extend(list.unwrap_or_default());
    }
    if wanted.is_empty() {
        return Err(ElasticError::illegal("_field_caps needs fields: ?fields=* gives all"));
    }
    asked(&shared, names, move |backend, indices, clock| {
        let mut fields = Map::new();
        for field in backend.fields(clock.deadline)? {
            let kind = type_of(&field);
            let names = std::iter::once(&field.name).chain(&field.aliases);
            for name in names.filter(|name| !name.starts_with('_') && wanted.iter().any(|wanted| fits(wanted, name))) {
                let caps =
                    json!({"type": kind, "metadata_field": false, "searchable": true, "aggregatable": kind != "text"});
                fields.insert(name.clone(), json!({kind: caps}));
            }
        }
        let names: Vec<String> = indices.into_iter().map(|index| index.name).collect();
        Ok(Json(json!({"indices": names, "fields": fields})))
    })
    .await
}

async fn cat_all(state: State<Shared>, query: Query<BTreeMap<String, String>>) -> Result<Response, ElasticError> {
    cat(state, Path("*".to_owned()), query).await
}

const COLUMNS: [&str; 10] =
    ["health", "status", "index", "uuid", "pri", "rep", "docs.count", "docs.deleted", "store.size", "pri.store.size"];

async fn cat(
    State(shared): State<Shared>,
    Path(names): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, ElasticError> {
    let rows = asked(&shared, names, |backend, indices, clock| {
        let known = backend.indices();
        let mut rows = Vec::new();
        for index in indices {
            let expr = records_of(&index.name, &known, true)?;
            let found = backend.find(FindRequest {
                expr,
                range: TimeRange::default(),
                limit: 0,
                sort: Sort::Newest,
                after: None,
                aggregations: Vec::new(),
                deadline: clock.deadline,
            })?;
            let bytes = format!("{}b", index.bytes);
            let values = [
                "green".to_owned(),
                "open".to_owned(),
                index.name.clone(),
                index.name,
                "1".to_owned(),
                "0".to_owned(),
                found.total.to_string(),
                "0".to_owned(),
                bytes.clone(),
                bytes,
            ];
            rows.push(values);
        }
        Ok(rows)
    })
    .await?;
    let wanted: Vec<usize> = match query.get("h") {
        None => (0..COLUMNS.len()).collect(),
        Some(names) => {
            names.split(',').filter_map(|name| COLUMNS.iter().position(|column| *column == name.trim())).collect()
        }
    };
    if query.get("format").is_some_and(|format| format == "json") {
        let row = |row: &[String; 10]| {
            wanted.iter().map(|at| (COLUMNS[*at].to_owned(), Value::from(row[*at].clone()))).collect::<Map<_, _>>()
        };
        return Ok(Json(rows.iter().map(row).collect::<Vec<_>>()).into_response());
    }
    let line = |cells: Vec<&str>| cells.join(" ") + "\n";
    let mut text = String::new();
    if query.get("v").is_some_and(|v| v != "false") {
        text += &line(wanted.iter().map(|at| COLUMNS[*at]).collect());
    }
    rows.iter().for_each(|row| text += &line(wanted.iter().map(|at| row[*at].as_str()).collect()));
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], text).into_response())
}

async fn resolve(State(shared): State<Shared>, Path(names): Path<String>) -> Result<Json<Value>, ElasticError> {
    asked(&shared, names, |_, indices, _| {
        let indices: Vec<Value> =
            indices.iter().map(|index| json!({"name": index.name, "attributes": ["open"]})).collect();
        Ok(Json(json!({"indices": indices, "aliases": [], "data_streams": []})))
    })
    .await
}

async fn aliases(State(shared): State<Shared>) -> Result<Json<Value>, ElasticError> {
    let of = |index: &IndexInfo| (index.name.clone(), json!({"aliases": {}}));
    asked(&shared, "*".to_owned(), move |_, indices, _| Ok(Json(Value::Object(indices.iter().map(of).collect())))).await
}
