//! What follows a query behind `|`: tables out of records, and work on tables.
//!
//! ```text
//! pipeline := query ("|" stage)*
//! stage    := "stats" measure ("," measure)* ["by" key ("," key)*]
//!           | "top" [N] ["by" field ("," field)*]       the most frequent, or the rows with the highest first measure
//!           | "rate" [STEP] ["by" key ("," key)*]       records a second
//!           | "uniq" ["by"] field ("," field)*          different values, with how often
//!           | "sort" ["by"] field ["desc" | "asc"] ("," …)*
//!           | "limit" N  |  "fields" field ("," field)*
//!           | "where" query                             of records, rows, and what extract found
//!           | "extract" "\"" grok pattern "\"" ["from" field]
//! measure  := count() | count(f) | sum(f) | avg(f) | min(f) | max(f) | median(f) | p50(f) … p99.9(f)
//!           | count_uniq(f) | values(f) | rate(), each with ["as" name]; else count, sum_f, p99_f …
//! key      := field [":" STEP]                          STEP: 5m, day, auto for times, 100 for numbers
//! ```
//!
//! `_time` is short for `@timestamp`: `level:E | stats count(), p99(duration) by _time:5m, upstream_host | top 10`.
//! A record without one of the keys is in no row; one with several values of a key is in a row for each.

mod parse;
mod plan;
mod row_stats;
mod rows;

pub use parse::{Pipeline, parse_pipeline, parse_pipeline_at};
pub use plan::{Piped, Run};

use std::sync::Arc;

use super::aggregate::{Direction, Step};
use super::ast::Expr;
use crate::parse::grok::Pattern;

/// One stage of a pipeline.
#[derive(Debug, Clone)]
pub enum Stage {
    Stats(StatsStage),
    /// Without fields: the rows with the highest first measure.
    Top {
        limit: usize,
        fields: Vec<String>,
    },
    Uniq(Vec<String>),
    Sort(Vec<(String, Direction)>),
    Limit(usize),
    Fields(Vec<String>),
    Where(Expr),
    Extract {
        pattern: Arc<Pattern>,
        from: String,
    },
}

#[derive(Debug, Clone)]
pub struct StatsStage {
    pub measures: Vec<(Measure, String)>,
    pub by: Vec<By>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    Count(Option<String>),
    Sum(String),
    Avg(String),
    Min(String),
    Max(String),
    /// 0 to 100.
    Percentile(String, f64),
    Unique(String),
    /// The most frequent ones.
    Values(String),
    /// Records a second.
    Rate,
}

impl Measure {
    pub fn field(&self) -> Option<&str> {
        match self {
            Measure::Count(field) => field.as_deref(),
            Measure::Sum(field)
            | Measure::Avg(field)
            | Measure::Min(field)
            | Measure::Max(field)
            | Measure::Percentile(field, _)
            | Measure::Unique(field)
            | Measure::Values(field) => Some(field),
            Measure::Rate => None,
        }
    }
}

/// What rows are made by.
#[derive(Debug, Clone)]
pub struct By {
    pub field: String,
    pub step: StepBy,
}

#[derive(Debug, Clone)]
pub enum StepBy {
    /// Every value for itself.
    Value,
    Step(Step),
    /// Some sixty steps of the time that is looked at.
    Auto,
}

/// Values that `values()` lists.
const VALUES_SHOWN: usize = 10;
/// Rows of a table.
pub const ROWS_MAX: usize = 65_536;
