//! The five queries: search, histogram, facets, fields, context.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Shared, now};
use super::{ContextRequest, FacetsRequest, FieldInfo, HistogramRequest, SearchRequest};
use crate::record::time::format_rfc3339;

/// Records on one page. A page of the largest Filebeat events of usual size (2 KB) is then some 20 MB.
const LIMIT_MAX: usize = 10_000;
const LIMIT_DEFAULT: usize = 100;
const FACET_VALUES_MAX: usize = 1_000;
const FACET_FIELDS_MAX: usize = 32;
const CONTEXT_MAX: usize = 1_000;

type Record = Map<String, Json>;

#[derive(Serialize, utoipa::ToSchema)]
pub struct SearchBody {
    took_ms: u64,
    /// Records that match, not only those on this page, whatever pipes made of them.
    total: u64,
    /// Nested JSON objects, as Filebeat sends them, with the parsed fields; or the rows of a table, column by column.
    #[schema(value_type = Vec<Object>)]
    hits: Vec<Record>,
    /// The table's columns in their order, where pipes made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    /// What looks like a slip: names that no record has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Give it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// The time limit came before everything was read.
    partial: bool,
}

/// Records that match a query, newest first; or what its pipes (`| stats count() by host.name`) make of them.
#[utoipa::path(get, path = "/api/v1/search", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query, e.g. `level:E AND filename:lease.go`, pipes and all; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on: RFC 3339, a date, Unix ms, or `now-15m`"),
    ("to" = Option<String>, Query, description = "before this time; a date means to the end of that day"),
    ("limit" = Option<u32>, Query, description = "records on this page, 0 to 10000, default 100; a table is as long as its pipes make it"),
    ("sort" = Option<String>, Query, description = "`newest` (default) or `oldest` first"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
), responses((status = 200, body = SearchBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn search(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "limit", "sort", "cursor"])?;
        Ok((
            params.get("q").unwrap_or_default().to_owned(),
            params.range(now())?,
            params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
            params.sort()?,
            params.get("cursor").map(str::to_owned),
        ))
    });
    let ask = |backend: &dyn super::Backend, (query, range, limit, sort, cursor), clock: super::run::Clock| {
        let request = SearchRequest { query, range, limit, sort, cursor, deadline: clock.deadline };
        let answer = backend.search(request)?;
        Ok(SearchBody {
            took_ms: clock.took_ms(),
            total: answer.total,
            hits: answer.hits,
            columns: answer.columns,
            warnings: answer.warnings,
            next_cursor: answer.next_cursor,
            partial: answer.partial,
        })
    };
    shared.answer("search", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct HistogramBody {
    took_ms: u64,
    total: u64,
    interval_ms: i64,
    /// Oldest first, empty ones included.
    buckets: Vec<Bucket>,
    partial: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Bucket {
    /// When it starts, RFC 3339.
    time: String,
    count: u64,
}

/// Matching records over time.
#[utoipa::path(get, path = "/api/v1/histogram", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on"),
    ("to" = Option<String>, Query, description = "before this time"),
    ("interval" = Option<String>, Query, description = "width of a bar: `30s`, `1m`, `1h`, or `auto` (default)"),
), responses((status = 200, body = HistogramBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn histogram(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "interval"])?;
        let interval = params.interval("interval")?;
        Ok((params.get("q").unwrap_or_default().to_owned(), params.range(now())?, interval))
    });
    let ask = |backend: &dyn super::Backend, (query, range, interval), clock: super::run::Clock| {
        let request = HistogramRequest { query, range, interval, deadline: clock.deadline };
        let answer = backend.histogram(request)?;
        let bucket = |(time, count)| Bucket { time: format_rfc3339(time), count };
        Ok(HistogramBody {
            took_ms: clock.took_ms(),
            total: answer.total,
            interval_ms: answer.interval / 1_000_000,
            buckets: answer.buckets.into_iter().map(bucket).collect(),
            partial: answer.partial,
        })
    };
    shared.answer("histogram", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct FacetsBody {
    took_ms: u64,
    total: u64,
    /// One for each field asked for, in that order.
    facets: Vec<FacetBody>,
    partial: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct FacetBody {
    field: String,
    /// Most frequent first.
    values: Vec<ValueBody>,
    /// Records whose value is none of these.
    other: u64,
    /// Records without the field.
    missing: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ValueBody {
    #[schema(value_type = Value)]
    value: Json,
    count: u64,
}

/// The most frequent values of some fields among the matching records.
#[utoipa::path(get, path = "/api/v1/facets", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on"),
    ("to" = Option<String>, Query, description = "before this time"),
    ("fields" = String, Query, description = "names separated by commas, at most 32"),
    ("limit" = Option<u32>, Query, description = "values per field, 0 to 1000, default 10"),
), responses((status = 200, body = FacetsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn facets(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "fields", "limit"])?;
        let fields = params.list("fields");
        if fields.is_empty() || fields.len() > FACET_FIELDS_MAX {
            let detail =
                format!("{} fields are given: name 1 to {FACET_FIELDS_MAX}, separated by commas", fields.len());
            return Err(Problem::bad_parameter("fields", detail).accepting(["level,filename (see /api/v1/fields)"]));
        }
        let limit = params.number("limit", 10, FACET_VALUES_MAX)?;
        Ok((params.get("q").unwrap_or_default().to_owned(), params.range(now())?, fields, limit))
    });
    let ask = |backend: &dyn super::Backend, (query, range, fields, limit), clock: super::run::Clock| {
        let request = FacetsRequest { query, range, fields, limit, deadline: clock.deadline };
        let answer = backend.facets(request)?;
        let facet = |facet: super::Facet| FacetBody {
            field: facet.field,
            values: facet.values.into_iter().map(|v| ValueBody { value: v.value, count: v.count }).collect(),
            other: facet.other,
            missing: facet.missing,
        };
        Ok(FacetsBody {
            took_ms: clock.took_ms(),
            total: answer.total,
            facets: answer.facets.into_iter().map(facet).collect(),
            partial: answer.partial,
        })
    };
    shared.answer("facets", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct FieldsBody {
    fields: Vec<FieldInfo>,
}

/// The fields that records have, with their types and the other names that queries accept.
#[utoipa::path(get, path = "/api/v1/fields", tag = "query",
    responses((status = 200, body = FieldsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn fields(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let ask = |backend: &dyn super::Backend, (), clock: super::run::Clock| {
        Ok(FieldsBody { fields: backend.fields(clock.deadline)? })
    };
    shared.answer("fields", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ContextBody {
    took_ms: u64,
    /// The lines before it, in the file's order.
    #[schema(value_type = Vec<Object>)]
    before: Vec<Record>,
    #[schema(value_type = Object)]
    record: Record,
    #[schema(value_type = Vec<Object>)]
    after: Vec<Record>,
}

/// The lines around a line, in its own file.
#[utoipa::path(get, path = "/api/v1/context", tag = "query", params(
    ("id" = String, Query, description = "`event.id` of the record"),
    ("before" = Option<u32>, Query, description = "lines before it, 0 to 1000, default 5"),
    ("after" = Option<u32>, Query, description = "lines after it, 0 to 1000, default 5"),
), responses((status = 200, body = ContextBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn context(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["id", "before", "after"])?;
        let id = params.required("id", "give a record's event.id")?;
        Ok((id, params.number("before", 5, CONTEXT_MAX)?, params.number("after", 5, CONTEXT_MAX)?))
    });
    let ask = |backend: &dyn super::Backend, (id, before, after), clock: super::run::Clock| {
        let answer = backend.context(ContextRequest { id, before, after, deadline: clock.deadline })?;
        Ok(ContextBody { took_ms: clock.took_ms(), before: answer.before, record: answer.record, after: answer.after })
    };
    shared.answer("context", request, ask).await
}
