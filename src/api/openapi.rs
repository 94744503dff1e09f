//! `/openapi.json`, from the handlers' own descriptions.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Required};

use super::error::{Problem, ProblemBody};
use super::{
    aggregate, alerts, anomalies, compare, erase, export, feedback, grammars, grok, handlers, health, insert, jobs,
    models, patterns, push, saved, score, shards, snapshots, tail,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "loghound", description = "Search, watch and count the records that loghound keeps."),
    paths(
        handlers::search, handlers::histogram, handlers::facets, handlers::fields, handlers::context, tail::tail,
        grammars::grammars, grammars::grammar, grammars::preview, grammars::reparse, grammars::progress, grok::debug, grok::test,
        patterns::patterns, compare::compare, aggregate::aggregate, export::export,
        insert::lines, push::loki, push::otlp,
        saved::list, saved::show, saved::save, saved::delete,
        anomalies::anomalies, anomalies::detectors, feedback::give, feedback::show, feedback::precision,
        models::backtest, models::progress, models::stop, models::models, models::train, models::activate, models::roll_back, score::score,
        jobs::list, jobs::show, jobs::put, jobs::delete, shards::shards,
        snapshots::list, snapshots::take, snapshots::delete, erase::preview, erase::begin, erase::progress, erase::audit,
        alerts::incidents, alerts::incident, alerts::acknowledge, alerts::close, alerts::merge, alerts::split, alerts::alerts,
        alerts::silences, alerts::silence, alerts::expire, alerts::receivers, alerts::rules, alerts::test, alerts::deliveries,
        alerts::delivery, alerts::resend, alerts::deploys, alerts::deploy, alerts::dry_run,
        health::live, health::ready, health::metrics,
    ),
    components(schemas(ProblemBody)),
    tags((name = "query"), (name = "detect"), (name = "alert"), (name = "grammars"), (name = "health")),
)]
struct Description;

/// The paths that a POST asks as well, with the GET's parameters as a JSON object.
const POSTED: &[&str] = &[
    "/api/v1/search",
    "/api/v1/histogram",
    "/api/v1/facets",
    "/api/v1/context",
    "/api/v1/patterns",
    "/api/v1/compare",
    "/api/v1/aggregate",
    "/api/v1/export",
    "/api/v1/anomalies",
    "/api/v1/rules/dry-run",
];

pub(super) fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    for path in POSTED {
        if let Some(item) = description.paths.paths.get_mut(*path) {
            item.post = item.get.as_ref().map(posted);
        }
    }
    description
}

/// The same operation with its query parameters as members of a JSON body.
fn posted(get: &Operation) -> Operation {
    let mut post = get.clone();
    let mut body = ObjectBuilder::new().schema_type(Type::Object);
    for parameter in post.parameters.take().unwrap_or_default() {
        let RefOr::T(parameter) = parameter else { continue };
        if let Some(schema) = parameter.schema {
            body = body.property(parameter.name.clone(), schema);
        }
        if matches!(parameter.required, Required::True) {
            body = body.required(parameter.name);
        }
    }
    let content = ContentBuilder::new().schema(Some(body)).build();
    post.request_body = Some(RefOr::T(RequestBodyBuilder::new().content("application/json", content).build()));
    post.operation_id = post.operation_id.map(|id| format!("{id}_post"));
    post
}

pub async fn document() -> Result<Response, Problem> {
    let text = description().to_json().map_err(|err| {
        tracing::error!(error = %err, "cannot render the API's description");
        Problem::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}
