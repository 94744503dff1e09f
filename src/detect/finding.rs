//! What a bucket of one series was found to be, before it is weighed against all other series.

use serde::{Deserialize, Serialize};

pub use super::series::Direction;

/// What of a service is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Lines a bucket.
    Lines,
    /// Lines that no grammar knew.
    Unparsed,
    /// A number's median.
    Median,
    /// A number's 95th percentile.
    Tail,
    /// How often each value comes, all together.
    Mix,
    /// Lines with one value.
    Rate,
    /// Values never seen before.
    New,
    /// How many different values.
    Distinct,
    /// No lines where there were some: of a service, a pod, a node.
    Silence,
    /// A source whose clock is ahead.
    Clock,
    /// What an operator's job measures.
    Job,
}

impl Measure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Unparsed => "unparsed",
            Self::Median => "median",
            Self::Tail => "p95",
            Self::Mix => "mix",
            Self::Rate => "rate",
            Self::New => "new",
            Self::Distinct => "distinct_count",
            Self::Silence => "silence",
            Self::Clock => "clock",
            Self::Job => "job",
        }
    }
}

/// Which records of the bucket are meant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    All,
    /// A field (its place in the service) has the value with this hash.
    Is(u16, u64),
    /// A numeric field is above or below a value.
    Above(u16, f64),
    Below(u16, f64),
    Unparsed,
    /// There are none.
    None,
}

/// One series, one bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub measure: Measure,
    /// The field's place in its service; [`NO_FIELD`] where it is about all lines.
    pub field: u16,
    /// The value's hash, where it is about one.
    pub value: u64,
    /// How that value is shown.
    pub shown: String,
    /// Seconds of the series' buckets.
    pub bucket: u32,
    /// Chance does as much in one bucket of this series with this probability.
    pub p: f64,
    pub direction: Direction,
    pub actual: f64,
    pub typical: f64,
    pub low: f64,
    pub high: f64,
    pub condition: Condition,
}

/// In place of a field.
pub const NO_FIELD: u16 = u16::MAX;
