//! `/api/v1/snapshots`: the store as it was at one moment, by hard link.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared};
use super::{Backend, QueryError};

/// A snapshot.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotInfo {
    pub name: String,
    pub taken_at: String,
    /// Newest first.
    pub days: Vec<SnapshotDay>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotDay {
    pub name: String,
    pub records: u64,
    /// Of its files; they take no room of their own while the store still has them.
    pub bytes: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SnapshotsBody {
    /// Newest first.
    snapshots: Vec<SnapshotInfo>,
}

/// The snapshots there are.
#[utoipa::path(get, path = "/api/v1/snapshots", tag = "store",
    responses((status = 200, body = SnapshotsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(SnapshotsBody { snapshots: backend.snapshots()? });
    shared.answer("snapshots", request, ask).await
}

/// Takes one; it costs next to no room until days are deleted or merged.
#[utoipa::path(post, path = "/api/v1/snapshots", tag = "store", params(
    ("name" = Option<String>, Query, description = "up to 64 letters, digits, - _ and .; the time without one"),
), responses((status = 200, body = SnapshotInfo), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn take(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["name"])?;
        Ok(params.get("name").map(str::to_owned))
    });
    let ask = |backend: &dyn Backend, name: Option<String>, _: Clock| backend.take_snapshot(name.as_deref());
    shared.answer("snapshots", request, ask).await
}

/// Deletes one.
#[utoipa::path(delete, path = "/api/v1/snapshots/{name}", tag = "store", params(("name" = String, Path)),
    responses((status = 200, body = SnapshotsBody, description = "those that are left"), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn delete(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, name: String, _: Clock| match backend.delete_snapshot(&name)? {
        true => Ok(SnapshotsBody { snapshots: backend.snapshots()? }),
        false => {
            Err(QueryError::NotFound(format!("there is no snapshot {name:?}: /api/v1/snapshots lists those there are")))
        }
    };
    shared.answer("snapshots", Ok(name), ask).await
}
