//! The newest, or oldest, records that match, page by page, and how many match in all.

use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::ast::Expr;
use super::best::{Best, Place};
use super::engine::{Between, Engine};
use super::segment::Stop;

#[derive(Debug, Clone)]
pub struct Search {
    pub expr: Expr,
    pub between: Between,
    pub limit: usize,
    pub newest_first: bool,
    /// Answers go on behind this place.
    pub after: Option<Place>,
    pub deadline: Instant,
}

#[derive(Debug, Default)]
pub struct Hits {
    /// All that match, on whichever page.
    pub total: u64,
    pub records: Vec<Map<String, Json>>,
    /// Of each record.
    pub places: Vec<Place>,
    /// The last record's place, when there may be more.
    pub next: Option<Place>,
    /// The deadline came first: these are the hits of the shards that were read.
    pub partial: bool,
}

impl Engine {
    pub fn search(&self, search: &Search) -> Result<Hits, Stop> {
        let mut hits = Hits::default();
        let mut best = Best::new(search.limit, search.newest_first, search.after);
        hits.partial = self.scan(
            &search.expr,
            search.between,
            search.deadline,
            search.newest_first,
            |shard, ord, segment, docs| {
                hits.total += docs.count();
                if search.limit > 0 {
                    best.offer_all(shard, ord, segment, docs);
                }
                Ok(())
            },
        )?;
        let more = best.left_out();
        let found = best.records(&self.language(), search.deadline)?;
        hits.next = found.last().map(|(place, _)| *place).filter(|_| more);
        (hits.places, hits.records) = found.into_iter().unzip();
        Ok(hits)
    }
}
