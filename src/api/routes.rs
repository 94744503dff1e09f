//! The paths, and what is true of all of them: sizes, times, panics, headers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::arriving::Arriving;
use super::error::Problem;
use super::run::Shared;
use super::{
    Backend, access, aggregate, alerts, anomalies, compare, elastic, erase, export, feedback, grammars, grok, handlers,
    health, home, insert, jobs, models, openapi, patterns, push, saved, score, shards, snapshots, tail, ui,
};
use crate::telemetry::Metrics;

/// Limits of the HTTP side.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may ask; without tokens everybody may.
    pub access: access::Access,
    /// Queries that run at once; each may take one core.
    pub queries_max: usize,
    /// How long one more waits for its turn before 503.
    pub queue_time_max: Duration,
    /// How long one may run.
    pub query_time_max: Duration,
    /// Tails that are open at once.
    pub tails_max: usize,
    /// A request's body.
    pub body_bytes_max: usize,
    /// What a request that brings documents may hold, uncompressed.
    pub documents_bytes_max: usize,
    /// Bodies of such requests in memory at once.
    pub documents_memory_max: usize,
    /// From a request's head to the head of its answer, whatever it asks for.
    pub request_time_max: Duration,
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// A connection on which nothing was read or written for so long is closed.
    pub idle_time_max: Duration,
    /// From a connection's beginning, or the last answer, to the end of a request's head, however often a byte of it comes.
    pub head_time_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: access::Access::default(),
            queries_max: 8,
            queue_time_max: Duration::from_secs(2),
            query_time_max: Duration::from_secs(30),
            tails_max: 64,
            body_bytes_max: 1 << 20,
            documents_bytes_max: 64 << 20,
            documents_memory_max: 128 << 20,
            request_time_max: Duration::from_secs(40),
            connections_max: 1024,
            idle_time_max: Duration::from_secs(120),
            head_time_max: Duration::from_secs(60),
        }
    }
}

/// The whole API over `backend`. When `closing` is cancelled, readiness fails and tails end.
pub fn router(
    backend: Arc<dyn Backend>,
    metrics: Arc<Metrics>,
    settings: Settings,
    closing: CancellationToken,
) -> Router {
    let shared = Shared {
        backend,
        metrics: Arc::clone(&metrics),
        queries: Arc::new(Semaphore::new(settings.queries_max)),
        tails: Arc::new(Semaphore::new(settings.tails_max)),
        arriving: Arc::new(Arriving::new(settings.documents_bytes_max, settings.documents_memory_max)),
        settings: settings.clone(),
        closing,
    };
    let time_max = settings.request_time_max;
    let (access, refusals) = (settings.access.clone(), Arc::clone(&metrics));
    Router::new()
        .route("/", get(home::home))
        .route("/api/v1/search", get(handlers::search).post(handlers::search))
        .route("/api/v1/histogram", get(handlers::histogram).post(handlers::histogram))
        .route("/api/v1/facets", get(handlers::facets).post(handlers::facets))
        .route("/api/v1/aggregate", get(aggregate::aggregate).post(aggregate::aggregate))
        .route("/api/v1/export", get(export::export).post(export::export))
        .route("/api/v1/queries", get(saved::list))
        .route("/api/v1/queries/{name}", get(saved::show).put(saved::save).delete(saved::delete))
        .route("/api/v1/patterns", get(patterns::patterns).post(patterns::patterns))
        .route("/api/v1/compare", get(compare::compare).post(compare::compare))
        .route("/api/v1/anomalies", get(anomalies::anomalies).post(anomalies::anomalies))
        .route("/api/v1/anomalies/{id}/feedback", get(feedback::show).post(feedback::give))
        .route("/api/v1/feedback", get(feedback::precision))
        .route("/api/v1/detectors", get(anomalies::detectors))
        .route("/api/v1/backtest", get(models::progress).post(models::backtest).delete(models::stop))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::put))
        .route("/api/v1/jobs/{name}", get(jobs::show).delete(jobs::delete))
        .route("/api/v1/score", post(score::score))
        .route("/api/v1/models", get(models::models).post(models::train))
        .route("/api/v1/models/{version}/activate", post(models::activate))
        .route("/api/v1/models/rollback", post(models::roll_back))
        .route("/api/v1/shards", get(shards::shards))
        .route("/api/v1/delete", get(erase::preview).post(erase::begin))
        .route("/api/v1/delete/progress", get(erase::progress))
        .route("/api/v1/audit", get(erase::audit))
        .route("/api/v1/snapshots", get(snapshots::list).post(snapshots::take))
        .route("/api/v1/snapshots/{name}", delete(snapshots::delete))
        .route("/api/v1/incidents", get(alerts::incidents))
        .route("/api/v1/incidents/{id}", get(alerts::incident))
        .route("/api/v1/incidents/{id}/acknowledge", post(alerts::acknowledge))
        .route("/api/v1/incidents/{id}/close", post(alerts::close))
        .route("/api/v1/incidents/{id}/merge", post(alerts::merge))
        .route("/api/v1/incidents/{id}/split", post(alerts::split))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/silences", get(alerts::silences).post(alerts::silence))
        .route("/api/v1/silences/{id}", delete(alerts::expire))
        .route("/api/v1/receivers", get(alerts::receivers))
        .route("/api/v1/receivers/{name}/test", post(alerts::test))
        .route("/api/v1/deliveries", get(alerts::deliveries))
        .route("/api/v1/deliveries/{seq}", get(alerts::delivery))
        .route("/api/v1/deliveries/{seq}/resend", post(alerts::resend))
        .route("/api/v1/deploys", get(alerts::deploys).post(alerts::deploy))
        .route("/api/v1/rules", get(alerts::rules))
        .route("/api/v1/rules/dry-run", get(alerts::dry_run).post(alerts::dry_run))
        .route("/api/v1/fields", get(handlers::fields))
        .route("/api/v1/context", get(handlers::context).post(handlers::context))
        .route("/api/v1/grammars", get(grammars::grammars))
        .route("/api/v1/grammars/{name}", get(grammars::grammar))
        .route("/api/v1/grammars/test", post(grok::test))
        .route("/api/v1/grok/debug", post(grok::debug))
        .route("/api/v1/reparse", get(grammars::preview).post(grammars::reparse))
        .route("/api/v1/reparse/progress", get(grammars::progress))
        .route("/api/v1/tail", get(tail::tail))
        .route("/ui", get(ui::front))
        .route("/ui/", get(ui::front))
        .route("/ui/{*path}", get(ui::asset))
        .route("/insert/jsonline", post(insert::lines))
        .route("/loki/api/v1/push", post(push::loki))
        .route("/v1/logs", post(push::otlp))
        .merge(elastic::routes())
        .route("/openapi.json", get(openapi::document))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::live))
        .route("/livez", get(health::live))
        .route("/-/healthy", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/ready", get(health::ready))
        .route("/-/ready", get(health::ready))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(settings.body_bytes_max))
        .layer(from_fn(move |request, next| guard(request, next, time_max)))
        .layer(from_fn(move |request, next| access::guard(access.clone(), Arc::clone(&refusals), request, next)))
        .with_state(shared)
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no path {}: /openapi.json lists those there are", uri.path()))
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} does not take {}: see the Allow header", request.uri().path(), request.method());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "urn:loghound:problem:wrong-method",
        "this path does not take this method",
        detail,
    )
}

/// Runs a request in its own task: a panic in it becomes a 500, an endless one a 504, and a client that goes away
/// ends it.
async fn guard(request: Request, next: Next, time_max: Duration) -> Response {
    let path = request.uri().path().to_owned();
    let task = AbortOnDropHandle::new(tokio::spawn(next.run(request)));
    let mut response = match tokio::time::timeout(time_max, task).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(path, error = %panic, "request panicked");
            Problem::internal().into_response()
        }
        Err(_) => Problem::deadline("the request did not arrive or was not answered in time").into_response(),
    };
    // Elasticsearch's clients speak to nothing that does not say so.
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
