//! Every record that matches, in the order of time, however many they are.
//!
//! Sorting them all would take memory for all. Instead the matching documents of one day are kept as sets (a bit each),
//! counted by the minute, and then given out slice by slice: as many minutes as have some ten thousand records, sorted
//! and rebuilt.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::ast::Expr;
use super::best::{Place, place};
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
        let readers = shard.searcher().segment_readers();
        let (mut start, mut end) = (i64::MAX, i64::MIN);
        for reader in readers {
            let times = reader.fast_fields().i64("ts")?;
            (start, end) = (start.min(times.min_value()), end.max(times.max_value()));
        }
        // The quarantine has any times: its "minutes" are as long as they have to be.
        let length = (end.saturating_sub(start) / MINUTES as i64 + 1).max(MINUTE);
        let minute = |at: i64| (at.saturating_sub(start) / length).clamp(0, MINUTES as i64 - 1) as usize;
        for reader in readers {
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
            // Place, segment, document.
            let mut places: Vec<(Place, usize, u32)> = Vec::new();
            for (nth, (segment, docs)) in found.iter().enumerate() {
                segment.check()?;
                places.extend(docs.iter().filter_map(|doc| {
                    let at = segment.timestamps.first(doc).unwrap_or(start);
                    slice.contains(&minute(at)).then(|| (place(segment, doc, at), nth, doc))
                }));
            }
            places.sort_unstable();
            if newest_first {
                places.reverse();
            }
            for (done, (_, nth, doc)) in places.into_iter().enumerate() {
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
