//! A field that measures something: its typical value and its tail, minute by minute and over ten minutes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use super::finding::{Condition, Finding, Measure};
use super::series::Kind;
use super::watched::{BUCKET_SECONDS, COARSE_SECONDS, Watched, is_high};

/// Fewer numbers in a bucket say nothing of its quantiles.
const SAMPLES_MIN: usize = 8;
/// Fewer say nothing of them while the bucket is open.
const OPEN_SAMPLES_MIN: usize = 20;
/// Standard deviations of a quantile's rank beyond which there is no doubt.
const CERTAIN: f64 = 4.0;
/// Relative error of quantiles.
const QUANTILE_ERROR: f64 = 0.02;

/// The numbers of one bucket.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sketch(DDSketch);

impl Sketch {
    pub fn new() -> Self {
        Self(DDSketch::new(Config::new(QUANTILE_ERROR, 1_024, 1e-6)))
    }

    #[inline]
    pub fn add(&mut self, n: f64) {
        self.0.add(n);
    }

    pub fn count(&self) -> usize {
        self.0.count()
    }

    pub fn bytes(&self) -> usize {
        self.0.length() * 8 + size_of::<Self>()
    }

    /// 0 where nothing was added.
    fn quantile(&self, q: f64) -> f64 {
        // It fails only outside 0 to 1, and has none only where nothing was added.
        self.0.quantile(q).ok().flatten().unwrap_or(0.0)
    }

    fn merge(&mut self, other: &Self) {
        // It fails only where configurations differ, and all are made above.
        self.0.merge(&other.0).ok();
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch of {}", self.0.count())
    }
}

/// The series of one number.
#[derive(Debug, Serialize, Deserialize)]
pub struct NumberSeries {
    median: Watched,
    tail: Watched,
    coarse_median: Watched,
    coarse_tail: Watched,
    coarse: Option<(i64, Sketch)>,
    /// Numbers of a bucket, averaged.
    usual: f64,
    /// Above this a number is unusual: the end of the tail's last band.
    pub high: f64,
}

impl NumberSeries {
    pub fn new() -> Self {
        let new = |seconds| Watched::new(Kind::Continuous, seconds);
        Self {
            median: new(BUCKET_SECONDS),
            tail: new(BUCKET_SECONDS),
            coarse_median: new(COARSE_SECONDS),
            coarse_tail: new(COARSE_SECONDS),
            coarse: None,
            usual: 0.0,
            high: f64::INFINITY,
        }
    }

    /// A closed bucket of the field in `place`.
    pub fn close(&mut self, place: u16, start: i64, sketch: Option<&Sketch>, out: &mut Vec<Finding>) {
        let count = sketch.map_or(0, Sketch::count);
        self.usual += (count as f64 - self.usual) * 0.05;
        if let Some(sketch) = sketch.filter(|_| count >= SAMPLES_MIN) {
            out.extend(pushed(&mut self.median, Measure::Median, place, start, sketch));
            out.extend(pushed(&mut self.tail, Measure::Tail, place, start, sketch));
            self.high = self.tail.typical(start + BUCKET_SECONDS).high;
        }
        let coarse_start = start - start.rem_euclid(COARSE_SECONDS);
        if let Some((begun, sketch)) = self.coarse.take_if(|(begun, _)| *begun < coarse_start)
            && sketch.count() >= SAMPLES_MIN
        {
            out.extend(pushed(&mut self.coarse_median, Measure::Median, place, begun, &sketch));
            out.extend(pushed(&mut self.coarse_tail, Measure::Tail, place, begun, &sketch));
        }
        if let Some(sketch) = sketch {
            let (_, coarse) = self.coarse.get_or_insert_with(|| (coarse_start, Sketch::new()));
            coarse.merge(sketch);
        }
    }

    /// A bucket that is still open: whether it is far too high already.
    pub fn peek(&self, place: u16, start: i64, sketch: &Sketch, out: &mut Vec<Finding>) {
        if sketch.count() < OPEN_SAMPLES_MIN || (sketch.count() as f64) < self.usual * 0.3 {
            return;
        }
        for (series, measure) in [(&self.median, Measure::Median), (&self.tail, Measure::Tail)] {
            let q = part(measure);
            let found = series.peek(start, sketch.quantile(q));
            let found = found.filter(|finding| is_high(finding) && is_beyond(sketch, q, finding));
            out.extend(found.map(|finding| about(finding, measure, place)));
        }
    }

    /// The usual median and 95th percentile at a time; none before they are known.
    pub fn usual(&self, start: i64) -> Option<[f64; 2]> {
        let known = self.median.is_warm() && self.tail.is_warm();
        known.then(|| [self.median.typical(start).typical, self.tail.typical(start).typical])
    }

    pub fn series(&self) -> impl Iterator<Item = (&Watched, Measure)> {
        [
            (&self.median, Measure::Median),
            (&self.tail, Measure::Tail),
            (&self.coarse_median, Measure::Median),
            (&self.coarse_tail, Measure::Tail),
        ]
        .into_iter()
    }

    pub fn bytes(&self) -> usize {
        let coarse = self.coarse.as_ref().map_or(0, |(_, sketch)| sketch.bytes());
        self.series().map(|(series, _)| series.bytes()).sum::<usize>() + coarse + size_of::<Self>()
    }
}

/// Learns a quantile of a bucket.
fn pushed(series: &mut Watched, measure: Measure, place: u16, start: i64, sketch: &Sketch) -> Option<Finding> {
    let q = part(measure);
    let found = series.push(start, sketch.quantile(q)).filter(|finding| is_beyond(sketch, q, finding));
    found.map(|finding| about(finding, measure, place))
}

fn part(measure: Measure) -> f64 {
    if measure == Measure::Tail { 0.95 } else { 0.5 }
}

/// Whether the bucket's own numbers leave no doubt of the side. Where half of them are 0 the median of a few hundred is now 0
/// and now large, which says nothing: the quantile's confidence interval (by rank, so for any distribution) holds both.
fn is_beyond(sketch: &Sketch, q: f64, finding: &Finding) -> bool {
    let reach = CERTAIN * (q * (1.0 - q) / sketch.count().max(1) as f64).sqrt();
    if is_high(finding) {
        sketch.quantile((q - reach).max(0.0)) > finding.typical
    } else {
        sketch.quantile((q + reach).min(1.0)) < finding.typical
    }
}

/// The records meant: of a median or tail that rose, those above what was usual.
fn about(finding: Finding, measure: Measure, field: u16) -> Finding {
    let condition =
        if is_high(&finding) { Condition::Above(field, finding.high) } else { Condition::Below(field, finding.low) };
    Finding { measure, field, condition, ..finding }
}
