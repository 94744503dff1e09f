//! `/api/v1/compare`: what is different between two times, or between two queries.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value as Json;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Shared, now};
use super::{Changed, CompareRequest, Difference, Spread, TimeRange};

const LIMIT_MAX: usize = 1_000;
const LIMIT_DEFAULT: usize = 100;
const FIELDS_MAX: usize = 100;

#[derive(Serialize, utoipa::ToSchema)]
pub struct CompareBody {
    took_ms: u64,
    /// Records before.
    before: u64,
    /// Records after.
    after: u64,
    /// Differences that chance does not explain, those beyond the limit included.
    total: usize,
    /// Values and distributions that were looked at.
    compared: usize,
    /// The fields that were looked at.
    fields: Vec<String>,
    /// Those of them that have too many different values to be compared.
    skipped: Vec<String>,
    /// Most surprising first.
    differences: Vec<DifferenceBody>,
    partial: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DifferenceBody {
    /// `new`, `gone`, `more`, `less`, or `spread` of numbers.
    change: &'static str,
    /// `template` for log statements.
    field: String,
    /// Null for numbers.
    #[schema(value_type = Value)]
    value: Json,
    /// Of a log statement: what all its lines have in common; null where it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Records with the value; of numbers, records with the field.
    before: u64,
    after: u64,
    /// Of all records of that side, 0 to 1.
    share_before: f64,
    share_after: f64,
    /// Decimal digits of how unlikely it is by chance, everything that was looked at considered: at least 2.
    surprise: f64,
    /// Of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<NumbersBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct NumbersBody {
    before: SpreadBody,
    after: SpreadBody,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SpreadBody {
    p50: f64,
    p95: f64,
}

impl From<Spread> for SpreadBody {
    fn from(spread: Spread) -> Self {
        Self { p50: spread.p50, p95: spread.p95 }
    }
}

impl DifferenceBody {
    fn new(difference: Difference, totals: [u64; 2]) -> Self {
        let share = |count: u64, side: usize| count as f64 / totals[side].max(1) as f64;
        let (counts, value, numbers) = match difference.changed {
            Changed::Value { value, counts } => (counts, value, None),
            Changed::Numbers([before, after]) => {
                let numbers = NumbersBody { before: before.into(), after: after.into() };
                ([before.count, after.count], Json::Null, Some(numbers))
            }
        };
        let (share_before, share_after) = (share(counts[0], 0), share(counts[1], 1));
        let change = match counts {
            _ if numbers.is_some() => "spread",
            [0, _] => "new",
            [_, 0] => "gone",
            _ if share_after > share_before => "more",
            _ => "less",
        };
        Self {
            change,
            field: difference.field,
            value,
            text: difference.text,
            before: counts[0],
            after: counts[1],
            share_before,
            share_after,
            surprise: difference.surprise,
            numbers,
        }
    }
}

/// What differs between two sets of records: values, log statements, and how numbers are spread, most surprising first.
///
/// Shares are compared, not rates: twice as many records of the same kind are no difference but in `before` and `after`.
#[utoipa::path(get, path = "/api/v1/compare", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query after; empty matches all"),
    ("from" = String, Query, description = "after: from this time on"),
    ("to" = Option<String>, Query, description = "after: before this time; default now"),
    ("base_q" = Option<String>, Query, description = "the query before; default `q`"),
    ("base_from" = Option<String>, Query, description = "before: from this time on; default as long before `from` as `to` is after it, or with another `base_q` the same time"),
    ("base_to" = Option<String>, Query, description = "before: before this time; default `from`, or with another `base_q` `to`"),
    ("fields" = Option<String>, Query, description = "names separated by commas, at most 100; default those that say more than which line it is"),
    ("limit" = Option<u32>, Query, description = "differences, 0 to 1000, default 100"),
), responses((status = 200, body = CompareBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn compare(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["q", "from", "to", "base_q", "base_from", "base_to", "fields", "limit"])?;
        let now = now();
        let queries = [params.get("base_q").or(params.get("q")), params.get("q")];
        let [base_query, query] = queries.map(|query| query.unwrap_or_default().to_owned());
        let after = params.range(now)?;
        let Some(from) = after.from else {
            let detail = "parameter \"from\" is missing: when what is compared begins".to_owned();
            return Err(Problem::bad_parameter("from", detail).accepting(["now-1h"]));
        };
        let to = after.to.unwrap_or(now);
        let given = params.range_named(["base_from", "base_to"], now)?;
        let usual = match base_query == query {
            true => TimeRange { from: Some(from.saturating_sub(to.saturating_sub(from))), to: Some(from) },
            false => TimeRange { from: Some(from), to: Some(to) },
        };
        let before = TimeRange { from: given.from.or(usual.from), to: given.to.or(usual.to) };
        if before.from > before.to {
            let detail = "base_from lies after base_to, or after from: give both".to_owned();
            return Err(Problem::bad_parameter("base_from", detail).accepting(["a time before base_to"]));
        }
        if base_query == query && (before.from, before.to) == (Some(from), Some(to)) {
            let detail = "both sides are the same: give another base_q, or another base_from and base_to".to_owned();
            return Err(Problem::bad_parameter("base_from", detail));
        }
        let fields = params.list("fields");
        if fields.len() > FIELDS_MAX {
            let detail = format!("{} fields are given: name at most {FIELDS_MAX}", fields.len());
            return Err(Problem::bad_parameter("fields", detail));
        }
        let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
        let ranges = [before, TimeRange { from: Some(from), to: Some(to) }];
        Ok(([base_query, query], ranges, fields, limit))
    });
    let ask = |backend: &dyn super::Backend, (queries, ranges, fields, limit), clock: super::run::Clock| {
        let answer = backend.compare(CompareRequest { queries, ranges, fields, limit, deadline: clock.deadline })?;
        let totals = answer.totals;
        Ok(CompareBody {
            took_ms: clock.took_ms(),
            before: totals[0],
            after: totals[1],
            total: answer.found,
            compared: answer.compared,
            fields: answer.fields,
            skipped: answer.skipped,
            differences: answer.differences.into_iter().map(|each| DifferenceBody::new(each, totals)).collect(),
            partial: answer.partial,
        })
    };
    shared.answer("compare", request, ask).await
}
