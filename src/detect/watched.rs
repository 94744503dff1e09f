//! A series and how long it has been one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::finding::{Condition, Direction, Finding, Measure, NO_FIELD};
use super::series::{Kind, Scored, Series};

/// A bucket of the series that every service has: seconds.
pub const BUCKET_SECONDS: i64 = 60;
/// The same over ten of them: what creeps shows here.
pub const COARSE_SECONDS: i64 = 600;
/// Buckets before a series may say anything: what it calls typical is a guess until then.
pub const WARM_UP: u32 = 20;
/// Findings less rare than this are not looked at further.
const P_MAX: f64 = 1e-2;

/// One series with its age.
#[derive(Debug, Serialize, Deserialize)]
pub struct Watched {
    #[serde(serialize_with = "save", deserialize_with = "load")]
    series: Series,
    pub buckets: u32,
    pub bucket_seconds: u32,
}

impl Watched {
    pub fn new(kind: Kind, bucket_seconds: i64) -> Self {
        Self { series: Series::new(kind, bucket_seconds as u32), buckets: 0, bucket_seconds: bucket_seconds as u32 }
    }

    /// A count that was 0 for so many buckets before `start`.
    pub fn after_zeros(bucket_seconds: i64, zeros: i64, start: i64) -> Self {
        let mut watched = Self::new(Kind::Count, bucket_seconds);
        for back in (1..=zeros).rev() {
            watched.series.push(start - back * bucket_seconds, 0.0);
            watched.buckets += 1;
        }
        watched
    }

    /// Learns a closed bucket, and says if it was out of the ordinary.
    pub fn push(&mut self, start: i64, value: f64) -> Option<Finding> {
        let warm = self.buckets >= WARM_UP;
        self.buckets = self.buckets.saturating_add(1);
        let scored = self.series.push(start, value);
        warm.then(|| self.finding(scored, value)).flatten()
    }

    /// What an open bucket would be said to be, were it closed with this value.
    pub fn peek(&self, start: i64, value: f64) -> Option<Finding> {
        if self.buckets < WARM_UP {
            return None;
        }
        self.finding(self.series.peek(start, value), value)
    }

    /// What is typical at a time, without a value.
    pub fn typical(&self, start: i64) -> Scored {
        self.series.peek(start, 0.0)
    }

    pub fn is_warm(&self) -> bool {
        self.buckets >= WARM_UP
    }

    pub fn bytes(&self) -> usize {
        self.series.bytes() + size_of::<Self>()
    }

    fn finding(&self, scored: Scored, actual: f64) -> Option<Finding> {
        (scored.p < P_MAX).then(|| Finding {
            measure: Measure::Lines,
            field: NO_FIELD,
            value: 0,
            shown: String::new(),
            bucket: self.bucket_seconds,
            p: scored.p,
            direction: scored.direction,
            actual,
            typical: scored.typical,
            low: scored.low,
            high: scored.high,
            condition: Condition::All,
        })
    }
}

/// Whether a finding is of more than usual.
pub fn is_high(finding: &Finding) -> bool {
    matches!(finding.direction, Direction::High)
}

fn save<S: Serializer>(series: &Series, serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(series.bytes());
    series.save(&mut bytes);
    serializer.serialize_bytes(&bytes)
}

fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Series, D::Error> {
    let bytes = <Vec<u8>>::deserialize(deserializer)?;
    Series::load(&mut &bytes[..]).map_err(serde::de::Error::custom)
}
