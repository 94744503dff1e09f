//! Runs a query over the segments of all shards that may have matching records.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;

use super::ast::Expr;
use super::bits::Bits;
use super::segment::{Language, Segment, Stop, Vocabularies};
use crate::parse::Grammars;
use crate::parse::template::Ids;
use crate::record::time::{NANOS_PER_DAY, day_of};
use crate::store::{QUARANTINE, ShardView, Store};

/// Unix nanoseconds, `from` included, `to` not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Between {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

impl Between {
    /// Whether a shard may have such times: a UTC day, or the quarantine, which has any.
    pub fn overlaps(&self, day: i32) -> bool {
        if day == QUARANTINE {
            return true;
        }
        let start = i64::from(day) * NANOS_PER_DAY;
        self.from.is_none_or(|from| day_of(from) <= day) && self.to.is_none_or(|to| start < to)
    }

    /// Whether it is such a time.
    pub fn holds(&self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

pub struct Engine {
    pub(super) store: Arc<Store>,
    grammars: Arc<Grammars>,
    templates: Option<Arc<Ids>>,
    vocabularies: Arc<Vocabularies>,
}

impl Engine {
    pub fn new(store: Arc<Store>, grammars: Arc<Grammars>) -> Self {
        Self { store, grammars, templates: None, vocabularies: Arc::default() }
    }

    /// Resolves template ids by `ids`; without it each stands for itself.
    pub fn with_templates(mut self, ids: Arc<Ids>) -> Self {
        self.templates = Some(ids);
        self
    }

    /// What names mean now.
    pub fn language(&self) -> Language {
        Language::of(&self.grammars, self.templates.as_ref(), &self.vocabularies)
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
        shards.retain(|s| between.overlaps(s.day));
        if !newest_first {
            shards.reverse();
        }
        let language = self.language();
        let mut scan = || -> Result<(), Stop> {
            for shard in &shards {
                let mut segments = Vec::new();
                for (ord, reader) in shard.searcher().segment_readers().iter().enumerate() {
                    segments.push((ord, Segment::open(shard, reader, &language, deadline)?));
                }
                // What is asked for first is found first: it spares those that look for the first few most of the rest.
                if newest_first {
                    segments.sort_by_key(|(_, segment)| Reverse(segment.timestamps.max_value()));
                } else {
                    segments.sort_by_key(|(_, segment)| segment.timestamps.min_value());
                }
                for (ord, segment) in segments {
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

/// The documents of a segment within `between`; `None` when there are none.
pub(super) fn scope(segment: &Segment<'_>, between: Between) -> Option<Bits> {
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
