//! Which grammars are in use, why changed files are not, and stored lines parsed anew.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, GrammarDetail, GrammarsAnswer, QueryError, ReparseAnswer, ReparseProgress, ReparseRequest};

/// The grammars in use, in the order in which a line of an unknown format is tried.
#[utoipa::path(get, path = "/api/v1/grammars", tag = "grammars",
    responses((status = 200, body = GrammarsAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn grammars(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(backend.grammars());
    shared.answer("grammars", request, ask).await
}

/// One grammar: its text, fields, routing and samples.
#[utoipa::path(get, path = "/api/v1/grammars/{name}", tag = "grammars", params(("name" = String, Path)),
    responses((status = 200, body = GrammarDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn grammar(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    params: Result<Params, Problem>,
) -> Response {
    let request = params.and_then(|params| params.only(&[])).map(|()| name);
    let ask = |backend: &dyn Backend, name: String, _: Clock| {
        let none =
            || QueryError::NotFound(format!("there is no grammar {name:?}: /api/v1/grammars lists those there are"));
        backend.grammar(&name).ok_or_else(none)
    };
    shared.answer("grammars", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ReparseBody {
    took_ms: u64,
    #[serde(flatten)]
    answer: ReparseAnswer,
}

fn wish(params: Result<Params, Problem>) -> Result<ReparseRequest, Problem> {
    let params = params?;
    params.only(&["from", "to", "grammar", "all"])?;
    let all = match params.get("all") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let detail = format!("all is {other:?}: it is true or false");
            return Err(Problem::bad_parameter("all", detail).accepting(["true", "false"]));
        }
    };
    Ok(ReparseRequest { range: params.range(now())?, grammar: params.get("grammar").map(str::to_owned), all })
}

/// What would change if stored lines were parsed anew.
#[utoipa::path(get, path = "/api/v1/reparse", tag = "grammars", params(
    ("from" = Option<String>, Query, description = "lines from this time on"),
    ("to" = Option<String>, Query, description = "lines before this time"),
    ("grammar" = Option<String>, Query, description = "the grammar to try; without one, all as for a new line"),
    ("all" = Option<bool>, Query, description = "lines that have a grammar too, not only those without"),
), responses((status = 200, body = ReparseBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn preview(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let ask = |backend: &dyn Backend, request, clock: Clock| {
        let answer = backend.reparse_preview(request, clock.deadline)?;
        Ok(ReparseBody { took_ms: clock.took_ms(), answer })
    };
    shared.answer("reparse", wish(params), ask).await
}

/// Begins to write the days anew, in the background.
#[utoipa::path(post, path = "/api/v1/reparse", tag = "grammars", params(
    ("from" = Option<String>, Query, description = "lines from this time on"),
    ("to" = Option<String>, Query, description = "lines before this time"),
    ("grammar" = Option<String>, Query, description = "the grammar to try; without one, all as for a new line"),
    ("all" = Option<bool>, Query, description = "lines that have a grammar too, not only those without"),
), responses((status = 200, body = ReparseProgress), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn reparse(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let ask = |backend: &dyn Backend, request, _: Clock| backend.reparse(request);
    shared.answer("reparse", wish(params), ask).await
}

/// How far that is.
#[utoipa::path(get, path = "/api/v1/reparse/progress", tag = "grammars",
    responses((status = 200, body = ReparseProgress), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn progress(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(backend.reparse_progress());
    shared.answer("reparse", request, ask).await
}
