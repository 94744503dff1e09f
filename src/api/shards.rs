//! The days that are kept: what state each is in, what it takes, when it will be deleted, and how long the disk lasts.

use axum::extract::State;
use axum::response::Response;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared};
use super::{Backend, ShardsAnswer};

/// The daily shards, newest first.
#[utoipa::path(get, path = "/api/v1/shards", tag = "shards",
    responses((status = 200, body = ShardsAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn shards(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(backend.shards());
    shared.answer("shards", request, ask).await
}
