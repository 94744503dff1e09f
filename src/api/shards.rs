//! `/api/v1/shards`: the days on disk, and what goes next.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared};
use super::{Backend, QueryError};
use crate::record::time::format_rfc3339;

#[derive(Serialize, utoipa::ToSchema)]
pub struct ShardsBody {
    took_ms: u64,
    /// Newest day first; the quarantine, with lines whose time cannot be believed, last.
    shards: Vec<ShardBody>,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_bytes: Option<u64>,
    /// What a day has brought lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_a_day: Option<u64>,
    /// At that pace, were nothing deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_full_in_days: Option<f64>,
    retention: RetentionBody,
    /// What is deleted next for each reason, the first first.
    next: Vec<NextBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ShardBody {
    /// `2026-11-22`, or `quarantine`.
    name: String,
    /// `open`, `late` (it waits for late lines), `ended` (it is merged soon), `sealed`: merged, its files with checksums, or
    /// `warm`: and on the warm volume.
    state: &'static str,
    records: u64,
    /// Hot and warm.
    bytes: u64,
    /// Of these, on the warm volume.
    warm_bytes: u64,
    segments: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
}

/// What is kept; all of it where a member is null.
#[derive(Serialize, utoipa::ToSchema)]
struct RetentionBody {
    days: Option<u32>,
    bytes_max: Option<u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct NextBody {
    name: String,
    /// Of its records those that match; where there is none, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// `age`, `disk_use`, or `keep`.
    reason: &'static str,
    at: String,
}

/// The days on disk, how fast they grow, and what is deleted next.
#[utoipa::path(get, path = "/api/v1/shards", tag = "store",
    responses((status = 200, body = ShardsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn shards(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), clock: Clock| -> Result<ShardsBody, QueryError> {
        let answer = backend.shards();
        let shard = |shard: super::ShardInfo| ShardBody {
            name: shard.name,
            state: shard.state,
            records: shard.records,
            bytes: shard.bytes,
            warm_bytes: shard.warm_bytes,
            segments: shard.segments,
            oldest: shard.oldest.map(format_rfc3339),
            newest: shard.newest.map(format_rfc3339),
        };
        let next = |next: super::NextRemoval| NextBody {
            name: next.name,
            query: next.query,
            reason: next.reason,
            at: format_rfc3339(next.at),
        };
        Ok(ShardsBody {
            took_ms: clock.took_ms(),
            shards: answer.shards.into_iter().map(shard).collect(),
            bytes: answer.bytes,
            free_bytes: answer.free_bytes,
            bytes_a_day: answer.bytes_a_day,
            disk_full_in_days: answer.disk_full_in_days,
            retention: RetentionBody { days: answer.retention_days, bytes_max: answer.bytes_max },
            next: answer.next.into_iter().map(next).collect(),
        })
    };
    shared.answer("shards", request, ask).await
}
