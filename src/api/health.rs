//! Probes and metrics. Liveness says only that the event loop moves; readiness names what does not work.

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::Problem;
use super::run::Shared;

/// Whether the process lives. Depends on nothing else: restarting cures no full disk.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn live() -> &'static str {
    "ok\n"
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ReadyBody {
    ready: bool,
    checks: Vec<CheckBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct CheckBody {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Whether the process can take and answer: 200 or 503; `?verbose` lists the checks.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("verbose" = Option<String>, Query, description = "present: list every check as JSON")),
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)))]
pub async fn ready(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let mut checks: Vec<CheckBody> = vec![CheckBody {
        name: "running",
        ok: !shared.closing.is_cancelled(),
        detail: if shared.closing.is_cancelled() { "stopping" } else { "ok" }.to_owned(),
    }];
    let found = shared.backend.ready().checks;
    checks.extend(found.into_iter().map(|c| CheckBody { name: c.name, ok: c.ok, detail: c.detail }));
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = query.is_some_and(|q| q.split('&').any(|p| p.split('=').next() == Some("verbose")));
    if verbose {
        return (status, axum::Json(ReadyBody { ready, checks })).into_response();
    }
    if ready {
        return (status, "ready\n").into_response();
    }
    let failing: Vec<String> =
        checks.iter().filter(|c| !c.ok).map(|c| format!("not ready: {}: {}\n", c.name, c.detail)).collect();
    (status, failing.concat()).into_response()
}

/// loghound's own numbers, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let work = move || {
        shared.backend.refresh_metrics();
        shared.metrics.render()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(text)) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
        }
        Ok(Err(err)) => {
            tracing::error!(error = %err, "cannot render metrics");
            Err(Problem::internal())
        }
        Err(panic) => {
            tracing::error!(error = %panic, "rendering metrics panicked");
            Err(Problem::internal())
        }
    }
}
