//! Which grammars are in use, and why changed files are not.

use axum::extract::State;
use axum::response::Response;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared};
use super::{Backend, GrammarsAnswer};

/// The grammars in use, in the order in which a line of an unknown format is tried.
#[utoipa::path(get, path = "/api/v1/grammars", tag = "grammars",
    responses((status = 200, body = GrammarsAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn grammars(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(backend.grammars());
    shared.answer("grammars", request, ask).await
}
