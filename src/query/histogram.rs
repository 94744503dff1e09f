//! How many records match over time.

use std::time::Instant;

use super::ast::Expr;
use super::engine::{Between, Engine};
use super::segment::Stop;

#[derive(Debug, Default)]
pub struct Histogram {
    /// Nanoseconds.
    pub interval: i64,
    /// Start and count, in order, without gaps.
    pub buckets: Vec<(i64, u64)>,
    pub total: u64,
    pub partial: bool,
}

/// Buckets a histogram has at most.
pub const BUCKETS_MAX: i64 = 10_000;
/// Widths to choose from when none is asked for: seconds.
const WIDTHS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 21_600, 86_400];
const BUCKETS_WANTED: i64 = 60;

impl Engine {
    pub fn histogram(
        &self,
        expr: &Expr,
        between: Between,
        interval: Option<i64>,
        deadline: Instant,
    ) -> Result<Histogram, Stop> {
        let span = self.span(between)?;
        let mut histogram = Histogram { interval: interval.unwrap_or_else(|| width_for(span)), ..Histogram::default() };
        let Some((first, last)) = span else { return Ok(histogram) };
        let width = histogram.interval;
        let start = first.div_euclid(width);
        let count = (last.div_euclid(width) - start + 1).clamp(0, BUCKETS_MAX) as usize;
        let mut counts = vec![0u64; count];
        histogram.partial = self.scan(expr, between, deadline, true, |_, _, segment, docs| {
            for doc in docs.iter() {
                let at = segment.timestamps.first(doc).unwrap_or(0).div_euclid(width) - start;
                if let Some(count) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                    *count += 1;
                    histogram.total += 1;
                }
            }
            Ok(())
        })?;
        histogram.buckets = counts.into_iter().enumerate().map(|(i, n)| ((start + i as i64) * width, n)).collect();
        Ok(histogram)
    }

    /// The time that records within `between` span: first and last instant.
    pub fn span(&self, between: Between) -> Result<Option<(i64, i64)>, Stop> {
        let mut span: Option<(i64, i64)> = None;
        for shard in self.store.shards() {
            if !between.overlaps(shard.day) {
                continue;
            }
            for reader in shard.searcher().segment_readers() {
                let column = reader.fast_fields().i64("ts")?;
                let (low, high) = (column.min_value(), column.max_value());
                let low = between.from.map_or(low, |from| low.max(from));
                let high = between.to.map_or(high, |to| high.min(to - 1));
                if low <= high {
                    span = Some(span.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
                }
            }
        }
        Ok(span)
    }
}

/// A width that gives some sixty buckets: nanoseconds.
pub(super) fn width_for(span: Option<(i64, i64)>) -> i64 {
    let seconds = span.map_or(0, |(first, last)| (last - first) / 1_000_000_000);
    let width = WIDTHS.into_iter().find(|w| seconds / w <= BUCKETS_WANTED);
    // Beyond days: whole days.
    width.unwrap_or_else(|| (seconds / BUCKETS_WANTED / 86_400 + 1) * 86_400) * 1_000_000_000
}
