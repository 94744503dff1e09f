//! Records that are kept for a shorter time than their day: `store.keep` names them by query, such as all of a namespace.
//!
//! A day changes in one commit, after it has been that long over; a late line brings it up again. What was done is not noted
//! down: a start looks at each day once, and finds nothing.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::{error, info};

use super::Context;
use super::erasing::{DAY_TIME_MAX, Failure, erase};
use crate::query::{self, Between, Expr};
use crate::record::time::NANOS_PER_DAY;
use crate::store::{QUARANTINE, shard_name};

/// What is kept for how long.
#[derive(Debug, Clone)]
pub struct Keep {
    /// In the query language, without pipes: as it was written.
    pub query: String,
    expr: Expr,
    /// From the end of a record's day: nanoseconds.
    pub after_nanos: i64,
}

impl Keep {
    pub fn new(query: String, after_nanos: i64) -> Result<Self, query::SyntaxError> {
        let expr = query::parse(&query)?;
        Ok(Self { query, expr, after_nanos })
    }

    /// When the records of a day are due: Unix nanoseconds.
    pub fn due(&self, day: i32) -> i64 {
        (i64::from(day) + 1).saturating_mul(NANOS_PER_DAY).saturating_add(self.after_nanos)
    }
}

/// The days that need no look: by rule and day, the commit that was looked at.
#[derive(Default)]
pub struct Keeping {
    done: Mutex<HashMap<(usize, i32), u64>>,
}

impl Keeping {
    /// Deletes what is due. One thread at a time.
    pub fn enforce(&self, context: &Context, go_on: &dyn Fn() -> bool) {
        let now = context.clock.now();
        for shard in context.store.shards() {
            for (rule, keep) in context.keep.iter().enumerate() {
                if shard.day == QUARANTINE || keep.due(shard.day) > now || !go_on() {
                    continue;
                }
                if self.done.lock().get(&(rule, shard.day)) == Some(&shard.position()) {
                    continue;
                }
                match expire(context, keep, shard.day, go_on) {
                    // Somebody else writes the day anew, or loghound is stopping: the next look finds it as it is.
                    Ok(None) => {}
                    Ok(Some(records)) => {
                        self.done.lock().insert((rule, shard.day), shard.position());
                        if records > 0 {
                            context.metrics.records_expired.inc_by(records);
                            info!(
                                shard = shard_name(shard.day),
                                records,
                                query = keep.query,
                                "records were deleted, as store.keep says"
                            );
                        }
                    }
                    Err(failure) => {
                        error!(shard = shard_name(shard.day), query = keep.query, %failure, "cannot delete records; tried again soon");
                    }
                }
            }
        }
        let days: Vec<i32> = context.store.committed().into_iter().map(|(day, _)| day).collect();
        self.done.lock().retain(|(_, day), _| days.contains(day));
    }
}

/// How many records went; `None` where the day could not be had.
fn expire(context: &Context, keep: &Keep, day: i32, go_on: &dyn Fn() -> bool) -> Result<Option<u64>, Failure> {
    let all = Between { from: None, to: None };
    let deadline = Instant::now() + DAY_TIME_MAX;
    let Some(shard) = context.store.shards().into_iter().find(|shard| shard.day == day) else { return Ok(None) };
    // A day that is written anew loses its seal: not where there is nothing to write.
    if context.engine.documents(&shard, &keep.expr, all, deadline).is_ok_and(|found| found.is_empty()) {
        return Ok(Some(0));
    }
    drop(shard);
    let Some(rewrite) = context.store.rewrite(day)? else { return Ok(None) };
    match erase(context, rewrite, &keep.expr, all, go_on) {
        Ok(records) => Ok(Some(records)),
        Err(Failure::Stopped) => Ok(None),
        Err(failure) => Err(failure),
    }
}
