//! What clients ask before they send or search anything: who is there, is it well, may it do this.

use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::api::run::Shared;

/// The version of Elasticsearch whose interface this is. Shippers compare it with their own and with what they need.
pub const VERSION: &str = "8.17.0";

/// Who is there.
pub async fn ping() -> Json<Value> {
    Json(json!({
        "name": "loghound",
        "cluster_name": "loghound",
        "cluster_uuid": "loghound",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/_license", get(license))
        .route("/_xpack", get(xpack))
        .route("/_cluster/health", get(health))
        .route("/_cluster/health/{index}", get(health))
        .route("/_cluster/settings", any(settings))
        .route("/_nodes", get(nodes))
        .route("/_nodes/{*what}", get(nodes))
        .route("/_template/{name}", any(set_up))
        .route("/_index_template/{name}", any(set_up))
        .route("/_component_template/{name}", any(set_up))
        .route("/_ilm/policy/{name}", any(set_up))
        .route("/_ingest/pipeline", any(set_up_all))
        .route("/_ingest/pipeline/{name}", any(set_up))
        .route("/_data_stream/{name}", any(set_up))
}

async fn license() -> Json<Value> {
    Json(json!({"license": {
        "status": "active", "uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic",
        "issued_to": "loghound", "issuer": "loghound", "expiry_date_in_millis": 4_000_000_000_000_u64,
    }}))
}

async fn xpack() -> Json<Value> {
    let off = json!({"available": false, "enabled": false});
    Json(json!({
        "build": {"hash": env!("CARGO_PKG_VERSION"), "date": "2026-01-01T00:00:00.000Z"},
        "license": {"uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic", "status": "active"},
        "features": {"ilm": off, "ml": off, "security": off, "monitoring": off, "data_streams": off},
        "tagline": "You know, for X",
    }))
}

async fn health() -> Json<Value> {
    Json(json!({
        "cluster_name": "loghound", "status": "green", "timed_out": false,
        "number_of_nodes": 1, "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1,
        "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0,
    }))
}

async fn settings() -> Json<Value> {
    Json(json!({"acknowledged": true, "persistent": {}, "transient": {}}))
}

/// One node, without an address: a client that looks for further nodes stays with the address it has.
async fn nodes() -> Json<Value> {
    Json(json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0},
        "cluster_name": "loghound",
        "nodes": {"loghound": {"name": "loghound", "version": VERSION, "roles": ["data", "ingest", "master"]}},
    }))
}

/// Templates, policies, pipelines and data streams: shippers set them up before they send. Nothing here needs them, so they
/// are acknowledged and not kept.
async fn set_up(Path(name): Path<String>, request: Request) -> Response {
    match request.method().as_str() {
        "PUT" | "POST" | "DELETE" => Json(json!({"acknowledged": true})).into_response(),
        // As if it were set up: who asks wants to know whether it has to do that.
        "HEAD" => StatusCode::OK.into_response(),
        _ => {
            let path = request.uri().path();
            if path.starts_with("/_index_template") {
                return Json(json!({"index_templates": []})).into_response();
            }
            if path.starts_with("/_data_stream") {
                return Json(json!({"data_streams": []})).into_response();
            }
            Json(json!({ name: {} })).into_response()
        }
    }
}

async fn set_up_all() -> Json<Value> {
    Json(json!({}))
}
