//! `/api/v1/aggregate`: groups of the matching records and their measures, in Elasticsearch's words.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::AggregateRequest;
use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Shared, now};

#[derive(Serialize, utoipa::ToSchema)]
pub struct AggregateBody {
    took_ms: u64,
    /// Records that match.
    total: u64,
    /// By the names given to them, in the shapes of Elasticsearch's answers.
    #[schema(value_type = Object)]
    aggregations: Map<String, Json>,
    /// The time limit came before everything was read: the numbers are of what was.
    partial: bool,
}

/// Aggregations over the matching records: `terms`, `histogram`, `date_histogram`, `range`, `date_range`, `filter`,
/// `filters`, `missing`, and in each of their groups `avg`, `sum`, `min`, `max`, `stats`, `extended_stats`, `value_count`,
/// `percentiles`, `cardinality`, `top_hits`, `top_metrics` or further groups.
#[utoipa::path(get, path = "/api/v1/aggregate", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on"),
    ("to" = Option<String>, Query, description = "before this time"),
    ("aggs" = String, Query, description = "an object of named aggregations, e.g. `{\"hosts\": {\"terms\": {\"field\": \"host.name\"}}}`"),
), responses((status = 200, body = AggregateBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn aggregate(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "aggs"])?;
        let text = params.required("aggs", "an object of named aggregations")?;
        let aggregations: Json = serde_json::from_str(&text).map_err(|err| {
            Problem::bad_parameter("aggs", format!("aggs is no JSON: {err}"))
                .accepting([r#"{"NAME": {"terms": {"field": "host.name"}}}"#])
        })?;
        Ok((params.get("q").unwrap_or_default().to_owned(), params.range(now())?, aggregations))
    });
    let ask = |backend: &dyn super::Backend, (query, range, aggregations), clock: super::run::Clock| {
        let answer = backend.aggregate(AggregateRequest { query, range, aggregations, deadline: clock.deadline })?;
        Ok(AggregateBody {
            took_ms: clock.took_ms(),
            total: answer.total,
            aggregations: answer.aggregations,
            partial: answer.partial,
        })
    };
    shared.answer("aggregate", request, ask).await
}
