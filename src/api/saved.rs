//! `/api/v1/queries`: queries that people keep under a name.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, QueryError};
use crate::query::SavedQuery;

#[derive(Serialize, utoipa::ToSchema)]
pub struct SavedBody {
    /// By name.
    queries: Vec<SavedQuery>,
}

/// All saved queries.
#[utoipa::path(get, path = "/api/v1/queries", tag = "query",
    responses((status = 200, body = SavedBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(SavedBody { queries: backend.saved_queries() });
    shared.answer("queries", request, ask).await
}

/// One saved query.
#[utoipa::path(get, path = "/api/v1/queries/{name}", tag = "query", params(("name" = String, Path)),
    responses((status = 200, body = SavedQuery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, name: String, _: Clock| {
        let found = backend.saved_queries().into_iter().find(|query| query.name == name);
        found.ok_or_else(|| no_such(&name))
    };
    shared.answer("queries", Ok(name), ask).await
}

/// Saves a query under the name, in the place of one that has it. One that cannot be read is refused.
#[utoipa::path(put, path = "/api/v1/queries/{name}", tag = "query", params(
    ("name" = String, Path, description = "up to 100 bytes, no slash"),
    ("q" = String, Query, description = "the query, pipes and all"),
    ("description" = Option<String>, Query, description = "what it is for"),
    ("from" = Option<String>, Query, description = "from this time on; kept as it is written, so that `now-1h` moves on"),
    ("to" = Option<String>, Query, description = "before this time"),
), responses((status = 200, body = SavedQuery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn save(State(shared): State<Shared>, Path(name): Path<String>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "description", "from", "to"])?;
        // Read once to refuse what nobody could run later.
        params.range(now())?;
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        let query = params.required("q", "the query to save")?;
        Ok(SavedQuery { name, query, description: text("description"), from: text("from"), to: text("to") })
    });
    let ask = |backend: &dyn Backend, query: SavedQuery, _: Clock| {
        backend.save_query(query.clone())?;
        Ok(query)
    };
    shared.answer("queries", request, ask).await
}

/// Deletes a saved query.
#[utoipa::path(delete, path = "/api/v1/queries/{name}", tag = "query", params(("name" = String, Path)),
    responses((status = 200, body = SavedBody, description = "those that are left"), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn delete(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, name: String, _: Clock| match backend.delete_query(&name)? {
        true => Ok(SavedBody { queries: backend.saved_queries() }),
        false => Err(no_such(&name)),
    };
    shared.answer("queries", Ok(name), ask).await
}

fn no_such(name: &str) -> QueryError {
    QueryError::NotFound(format!("no query is saved as {name:?}: /api/v1/queries lists those that are"))
}
