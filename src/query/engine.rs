//! Runs a query over the segments of all shards that may have matching records.

use std::sync::Arc;
use std::time::Instant;

use super::ast::Expr;
use super::bits::Bits;
use super::matches::Aliases;
use super::segment::{Segment, Stop};
use crate::parse::Parser;
use crate::parse::template::Ids;
use crate::record::time::{NANOS_PER_DAY, day_of};
use crate::store::{ShardView, Store};

/// Unix nanoseconds, `from` included, `to` not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Between {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

pub struct Engine {
    pub(super) store: Arc<Store>,
    pub(super) parser: Arc<Parser>,
    pub(super) aliases: Aliases,
}

impl Engine {
    pub fn new(store: Arc<Store>, parser: Arc<Parser>) -> Self {
        let aliases = Aliases::of(&parser);
        Self { store, parser, aliases }
    }

    /// Resolves template ids by `ids`; without it each stands for itself.
    pub fn with_templates(mut self, ids: Arc<Ids>) -> Self {
        self.aliases = self.aliases.with_templates(ids);
        self
    }

    pub fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    /// Runs `each` over the matching documents of every segment that may have some; true when the deadline came first.
    pub(super) fn scan(
        &self,
        expr: &Expr,
        between: Between,
        deadline: Instant,
        newest_first: bool,
        mut each: impl FnMut(&Arc<ShardView>, u32, &Segment<'_>, &Bits) -> Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let mut shards = self.store.shards();
        shards.retain(|s| overlaps(s.day, between));
        if !newest_first {
            shards.reverse();
        }
        let mut scan = || -> Result<(), Stop> {
            for shard in &shards {
                for (ord, reader) in shard.searcher().segment_readers().iter().enumerate() {
                    let segment = Segment::open(shard, reader, &self.parser, &self.aliases, deadline)?;
                    let Some(scope) = scope(&segment, between) else { continue };
                    let docs = segment.matching(expr, &scope)?;
                    if !docs.is_none() {
                        each(shard, ord as u32, &segment, &docs)?;
                    }
                }
            }
            Ok(())
        };
        match scan() {
            Ok(()) => Ok(false),
            Err(Stop::Deadline) => Ok(true),
            Err(stop) => Err(stop),
        }
    }
}

pub(super) fn overlaps(day: i32, between: Between) -> bool {
    let start = i64::from(day) * NANOS_PER_DAY;
    between.from.is_none_or(|from| day_of(from) <= day) && between.to.is_none_or(|to| start < to)
}

/// The documents of a segment within `between`; `None` when there are none.
fn scope(segment: &Segment<'_>, between: Between) -> Option<Bits> {
    let (low, high) = (segment.timestamps.min_value(), segment.timestamps.max_value());
    let (from, to) = (between.from.unwrap_or(i64::MIN), between.to.unwrap_or(i64::MAX));
    if segment.docs() == 0 || high < from || low >= to {
        return None;
    }
    if low >= from && high < to {
        return Some(Bits::all(segment.docs()));
    }
    let mut docs = Bits::none(segment.docs());
    for doc in 0..segment.docs() {
        if segment.timestamps.first(doc).is_some_and(|at| (from..to).contains(&at)) {
            docs.set(doc);
        }
    }
    Some(docs)
}
