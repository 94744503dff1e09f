//! Every record that matches, in the order of time, however many they are.
//!
//! Sorting them all would take memory for all. Instead the matching documents of one day are kept as sets (a bit each),
//! counted by the minute, and then given out slice by slice: as many minutes as have some ten thousand records, sorted
//! and rebuilt.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::ast::Expr;
use super::bits::Bits;
use super::engine::{Between, Engine, scope};
use super::segment::{Segment, Stop};
use crate::record::time::{NANOS_PER_DAY, NANOS_PER_SECOND};
use crate::store::ShardView;

/// Records sorted at once; a minute with more of them is one slice all the same.
const SLICE_RECORDS: u64 = 16_384;
const MINUTE: i64 = 60 * NANOS_PER_SECOND;
const MINUTES: usize = (NANOS_PER_DAY / MINUTE) as usize;

impl Engine {
    /// Calls `each` with every matching record until it says no. Unlike a search this is never partial: at the deadline
    /// it fails.
    pub fn export(
        &self,
        expr: &Expr,
        between: Between,
        newest_first: bool,
        deadline: Instant,
        each: &mut dyn FnMut(Map<String, Json>) -> bool,
    ) -> Result<(), Stop> {
        let mut shards = self.store.shards();
        shards.retain(|shard| between.overlaps(shard.day));
        if !newest_first {
            shards.reverse();
        }
        for shard in &shards {
            if !self.export_day(shard, expr, between, newest_first, deadline, each)? {
                break;
            }
        }
        Ok(())
    }

    fn export_day(
        &self,
        shard: &Arc<ShardView>,
        expr: &Expr,
        between: Between,
        newest_first: bool,
        deadline: Instant,
        each: &mut dyn FnMut(Map<String, Json>) -> bool,
    ) -> Result<bool, Stop> {
        let language = self.language();
        let mut found: Vec<(Segment<'_>, Bits)> = Vec::new();
        let mut minutes = vec![0u64; MINUTES];
        let start = i64::from(shard.day) * NANOS_PER_DAY;
        let minute = |at: i64| ((at - start) / MINUTE).clamp(0, MINUTES as i64 - 1) as usize;
        for reader in shard.searcher().segment_readers() {
            let segment = Segment::open(shard, reader, &language, deadline)?;
            let Some(scope) = scope(&segment, between) else { continue };
            let docs = segment.matching(expr, &scope)?;
            for doc in docs.iter() {
                minutes[minute(segment.timestamps.first(doc).unwrap_or(start))] += 1;
            }
            if !docs.is_none() {
                found.push((segment, docs));
            }
        }
        let mut slices = slices(&minutes);
        if newest_first {
            slices.reverse();
        }
        for slice in slices {
            // Time, identity, segment, document: records of the same time are in the same order every time.
            let mut places: Vec<(i64, u64, usize, u32)> = Vec::new();
            for (nth, (segment, docs)) in found.iter().enumerate() {
                segment.check()?;
                places.extend(docs.iter().filter_map(|doc| {
                    let at = segment.timestamps.first(doc).unwrap_or(start);
                    slice.contains(&minute(at)).then(|| (at, segment.id(doc).unwrap_or(0), nth, doc))
                }));
            }
            places.sort_unstable();
            if newest_first {
                places.reverse();
            }
            for (done, (_, _, nth, doc)) in places.into_iter().enumerate() {
                let segment = &found[nth].0;
                if done.is_multiple_of(64) {
                    segment.check()?;
                }
                if !each(segment.record(doc)?) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Runs of minutes, each with some records and with no more than a slice has unless it is one minute.
fn slices(minutes: &[u64]) -> Vec<std::ops::Range<usize>> {
    let mut slices: Vec<(std::ops::Range<usize>, u64)> = Vec::new();
    for (minute, &records) in minutes.iter().enumerate().filter(|(_, records)| **records > 0) {
        match slices.last_mut() {
            Some((slice, have)) if *have + records <= SLICE_RECORDS => {
                slice.end = minute + 1;
                *have += records;
            }
            _ => slices.push((minute..minute + 1, records)),
        }
    }
    slices.into_iter().map(|(slice, _)| slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_has_as_many_minutes_as_it_may() {
        assert!(slices(&[]).is_empty());
        assert_eq!(slices(&[0, 5, 0, 7, 0]).first(), Some(&(1..4)));
        assert_eq!(slices(&[10_000, 6_384, 1, 0, 90_000, 3]), [0..2, 2..3, 4..5, 5..6]);
    }
}
