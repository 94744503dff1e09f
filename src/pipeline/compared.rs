//! What `/api/v1/compare` shows: differences from the records, texts of log statements from the registry.

use super::Context;
use super::backend::{between, parse, stopped};
use crate::api::{Changed, CompareAnswer, CompareRequest, Difference, QueryError, Spread};
use crate::parse::template::TemplateId;
use crate::query::{self, Side, What};

pub fn compare(context: &Context, request: CompareRequest) -> Result<CompareAnswer, QueryError> {
    let now = context.clock.now();
    let [before, after] = &request.queries;
    let queries = [parse(before, now)?, parse(after, now)?];
    let side = |at: usize| Side { expr: &queries[at], between: between(request.ranges[at]) };
    let (fields, limit) = (&request.fields, request.limit);
    let found = context.engine.compare([side(0), side(1)], fields, limit, request.deadline).map_err(stopped)?;
    let differences = found.differences.into_iter().map(|difference| described(context, difference));
    Ok(CompareAnswer {
        totals: found.totals,
        differences: differences.collect(),
        found: found.found,
        compared: found.compared,
        fields: found.fields,
        skipped: found.skipped,
        partial: found.partial,
    })
}

fn described(context: &Context, difference: query::Difference) -> Difference {
    let query::Difference { field, what, surprise } = difference;
    let spread = |spread: query::Spread| Spread { count: spread.count, p50: spread.p50, p95: spread.p95 };
    let changed = match what {
        What::Value { key, counts } => Changed::Value { value: key.to_json(), counts },
        What::Numbers(spreads) => Changed::Numbers(spreads.map(spread)),
    };
    let text = match (&changed, &context.templates) {
        // The lock is let go after each: workers wait for it.
        (Changed::Value { value, .. }, Some(templates)) if field == "template" => value
            .as_u64()
            .and_then(|id| templates.with(|miner| miner.template(TemplateId::from(id))))
            .map(|template| template.text),
        _ => None,
    };
    Difference { field, changed, text, surprise }
}
