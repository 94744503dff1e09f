//! What is asked for: a tree of groups with measures in them.

use std::sync::Arc;

use super::key::Key;
use super::steps::Step;
use crate::query::ast::Expr;

/// One aggregation with what is wanted of each of its groups.
#[derive(Debug, Clone)]
pub struct Aggregation {
    /// What the answer calls it.
    pub name: String,
    pub kind: Kind,
    /// Empty for measures.
    pub subs: Vec<Aggregation>,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// A group for each value of a field.
    Terms(Terms),
    /// A group for each step of time or of a number.
    Steps(StepsOf),
    /// A group for each range of numbers or times; a record can be in several.
    Ranges(Ranges),
    /// A group for each query; a record can be in several. Named, or by place.
    Filters(Vec<(Option<String>, Expr)>),
    /// One group: the records that match.
    Filter(Expr),
    /// One group: the records without the field.
    Missing(String),
    /// Numbers of a field: how many, sum, least, greatest and what follows from these.
    Stats(String, Shown),
    Percentiles {
        field: String,
        /// 0 to 100.
        percents: Vec<f64>,
        keyed: bool,
    },
    /// How many different values a field has.
    Unique(String),
    /// How many values a field has, a record's different ones each.
    ValueCount(String),
    /// The newest, or oldest, records.
    Hits { limit: usize, newest_first: bool },
    /// Values of the newest, or oldest, records.
    TopMetrics { fields: Vec<String>, limit: usize, newest_first: bool },
}

/// What of the numbers an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Sum,
    Avg,
    Min,
    Max,
    /// All of these.
    Stats,
    /// And how far they spread.
    Extended,
}

#[derive(Debug, Clone)]
pub struct Terms {
    pub field: String,
    /// Groups in the answer.
    pub limit: usize,
    pub order: Vec<(OrderBy, Direction)>,
    pub count_min: u64,
    /// Records without a value are counted as if they had this one.
    pub missing: Option<Key>,
    pub include: Option<Chosen>,
    pub exclude: Option<Chosen>,
}

impl Terms {
    /// The most frequent values.
    pub fn top(field: impl Into<String>, limit: usize) -> Self {
        Self {
            field: field.into(),
            limit,
            order: vec![(OrderBy::Count, Direction::Descending)],
            count_min: 1,
            missing: None,
            include: None,
            exclude: None,
        }
    }
}

/// Which values become groups.
#[derive(Debug, Clone)]
pub enum Chosen {
    These(Vec<Key>),
    /// By the whole value.
    Like(Arc<regex::Regex>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    Count,
    Key,
    /// A measure below: its name, and which of its values (`max`, a percentile).
    Measure {
        name: String,
        part: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

#[derive(Debug, Clone)]
pub struct StepsOf {
    /// `@timestamp` and others.
    pub field: String,
    pub step: Step,
    /// Steps with fewer records are left out; 0 fills the gaps between the first and the last.
    pub count_min: u64,
    /// Empty steps are shown from here to there at least: nanoseconds, or the number.
    pub extended: Option<(f64, f64)>,
    /// No steps are shown beyond.
    pub hard: Option<(f64, f64)>,
    pub descending: bool,
    pub keyed: bool,
}

impl StepsOf {
    pub fn new(field: impl Into<String>, step: Step) -> Self {
        Self { field: field.into(), step, count_min: 0, extended: None, hard: None, descending: false, keyed: false }
    }
}

#[derive(Debug, Clone)]
pub struct Ranges {
    pub field: String,
    pub ranges: Vec<Range>,
    /// Bounds are Unix milliseconds.
    pub is_time: bool,
    pub keyed: bool,
}

/// From, included, to, not.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    pub key: String,
    pub from: Option<f64>,
    pub to: Option<f64>,
}

/// What an aggregation may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Values, groups and sketches together: bytes. An answer that needs more is refused, not cut.
    pub memory_bytes: usize,
    /// Groups in the answer, all levels together.
    pub groups: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 128 << 20, groups: 65_536 }
    }
}
