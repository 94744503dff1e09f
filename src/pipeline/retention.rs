//! Keeps the store within what the operator keeps, and tells what goes next.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::{error, info};

use super::{Context, Keep};
use crate::api::{NextRemoval, ShardInfo, ShardsAnswer};
use crate::record::time::{self, NANOS_PER_DAY};
use crate::store::{QUARANTINE, ShardState, ShardView, Store, shard_name};

/// Whole days that tell how fast the store grows.
const GROWTH_DAYS: i32 = 7;

/// Deletes what is not kept any more. Waits for the merges of what it deletes, and for the disk.
pub fn enforce(context: &Context) {
    for removal in context.store.plan(context.clock.now()) {
        match context.store.remove(removal.day) {
            Ok(()) => {
                context.metrics.shards_deleted.of(removal.reason.as_str()).inc();
                info!(
                    shard = removal.name,
                    records = removal.records,
                    bytes = removal.bytes,
                    reason = removal.reason.as_str(),
                    "a shard was deleted, as store.retention and store.bytes_max say"
                );
            }
            Err(error) => error!(shard = removal.name, %error, "cannot delete a shard; tried again soon"),
        }
    }
}

/// The shards and what is to become of them. `free`: bytes free on their disk, where that is known.
pub fn shards(store: &Store, keep: &[Keep], now: i64, free: Option<u64>) -> ShardsAnswer {
    let retention = store.retention();
    let views = store.shards();
    let states: HashMap<i32, ShardState> = store.states(now).into_iter().collect();
    let state = |day: i32| states.get(&day).copied().unwrap_or(ShardState::Open).name();
    let shards: Vec<ShardInfo> = views.iter().map(|view| info_of(view, state(view.day))).collect();
    let bytes = shards.iter().map(|shard| shard.bytes).sum();
    let bytes_a_day = bytes_a_day(&views, now);
    let days = |bytes: u64| bytes_a_day.map(|a_day| bytes as f64 / a_day);
    let oldest = views.iter().rev().find(|view| view.day != QUARANTINE);
    let mut next: Vec<NextRemoval> = Vec::new();
    if let (Some(oldest), Some(kept)) = (oldest, retention.days) {
        let at = i64::from(oldest.day) + i64::from(kept);
        next.push(NextRemoval { name: shard_name(oldest.day), query: None, reason: "age", at: at * NANOS_PER_DAY });
    }
    if let (Some(last), Some(max)) = (views.last(), retention.bytes_max)
        && let Some(days) = days(max.saturating_sub(bytes))
    {
        // A store that grows by next to nothing is not full within any time worth telling.
        let at = now.saturating_add((days.min(36_500.0) * NANOS_PER_DAY as f64) as i64);
        next.push(NextRemoval { name: shard_name(last.day), query: None, reason: "disk_use", at });
    }
    for keep in keep {
        // The oldest day that still has them.
        let days = views.iter().rev().map(|view| view.day).filter(|day| *day != QUARANTINE && keep.due(*day) > now);
        next.extend(days.take(1).map(|day| NextRemoval {
            name: shard_name(day),
            query: Some(keep.query.clone()),
            reason: "keep",
            at: keep.due(day),
        }));
    }
    next.sort_by_key(|removal| removal.at);
    ShardsAnswer {
        shards,
        bytes,
        free_bytes: free,
        bytes_a_day: bytes_a_day.map(|bytes| bytes as u64),
        disk_full_in_days: free.and_then(days),
        retention_days: retention.days,
        bytes_max: retention.bytes_max,
        next,
    }
}

fn info_of(view: &ShardView, state: &'static str) -> ShardInfo {
    let (mut oldest, mut newest, mut segments) = (i64::MAX, i64::MIN, 0);
    for reader in view.searcher().segment_readers() {
        segments += 1;
        if let Ok(times) = reader.fast_fields().i64("ts") {
            (oldest, newest) = (oldest.min(times.min_value()), newest.max(times.max_value()));
        }
    }
    let known = oldest <= newest;
    ShardInfo {
        name: shard_name(view.day),
        state,
        records: view.docs(),
        bytes: view.bytes(),
        warm_bytes: view.warm_bytes(),
        segments,
        oldest: known.then_some(oldest),
        newest: known.then_some(newest),
    }
}

/// What a day has brought lately: the mean of the whole days before today, else what today would bring at its pace.
fn bytes_a_day(views: &[Arc<ShardView>], now: i64) -> Option<f64> {
    let today = time::day_of(now);
    let recent = views.iter().filter(|view| (today - GROWTH_DAYS..today).contains(&view.day));
    let (count, bytes) = recent.fold((0u32, 0), |(count, bytes), view| (count + 1, bytes + view.bytes()));
    if count > 0 {
        return Some(bytes as f64 / f64::from(count)).filter(|bytes| *bytes > 0.0);
    }
    let view = views.iter().find(|view| view.day == today)?;
    let info = info_of(view, "");
    let span = info.newest?.saturating_sub(info.oldest?).max(NANOS_PER_DAY / 24);
    Some(info.bytes as f64 * NANOS_PER_DAY as f64 / span as f64).filter(|bytes| *bytes > 0.0)
}
