//! The newest, or oldest, records that match, page by page, and how many match in all.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::ast::Expr;
use super::engine::{Between, Engine};
use super::record::stream_half;
use super::segment::{Segment, Stop};
use crate::store::ShardView;

/// A record's place in the order of answers: by time, then by what makes it different from others of that time. It does
/// not move when segments merge, so a cursor holds while records arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub timestamp: i64,
    pub id: u64,
    pub stream: u64,
}

impl Place {
    /// As a cursor: 48 hex digits.
    pub fn to_cursor(self) -> String {
        format!("{:016x}{:016x}{:016x}", self.timestamp, self.id, self.stream)
    }

    pub fn from_cursor(text: &str) -> Option<Self> {
        if text.len() != 48 || !text.is_ascii() {
            return None;
        }
        let part = |at: usize| u64::from_str_radix(&text[at..at + 16], 16).ok();
        Some(Self { timestamp: part(0)? as i64, id: part(16)?, stream: part(32)? })
    }
}

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
    /// The last record's place, when there may be more.
    pub next: Option<Place>,
    /// The deadline came first: these are the hits of the shards that were read.
    pub partial: bool,
}

impl Engine {
    pub fn search(&self, search: &Search) -> Result<Hits, Stop> {
        let mut hits = Hits::default();
        // The best so far, the worst of them on top; both orders are the same heap, with places turned round.
        let mut best: BinaryHeap<Ranked> = BinaryHeap::with_capacity(search.limit.min(1024) + 1);
        let mut more = false;
        hits.partial = self.scan(
            &search.expr,
            search.between,
            search.deadline,
            search.newest_first,
            |shard, ord, segment, docs| {
                hits.total += docs.count();
                if search.limit == 0 {
                    return Ok(());
                }
                for doc in docs.iter() {
                    let timestamp = segment.timestamps.first(doc).unwrap_or(0);
                    // Most documents are older than the worst that is kept already; that needs their time alone.
                    if best.len() == search.limit
                        && let Some(worst) = best.peek()
                        && worse_time(timestamp, worst.place.timestamp, search.newest_first)
                    {
                        more = true;
                        continue;
                    }
                    let place = place(segment, doc, timestamp);
                    if search
                        .after
                        .is_some_and(|after| rank(place, search.newest_first) <= rank(after, search.newest_first))
                    {
                        continue;
                    }
                    let address = (Arc::clone(shard), ord, doc);
                    best.push(Ranked { rank: rank(place, search.newest_first), place, address });
                    if best.len() > search.limit {
                        more = true;
                        best.pop();
                    }
                }
                Ok(())
            },
        )?;
        let language = self.language();
        let ranked = best.into_sorted_vec();
        hits.next = if more { ranked.last().map(|r| r.place) } else { None };
        // Only what is returned is rebuilt.
        for Ranked { address: (shard, ord, doc), .. } in &ranked {
            let reader = shard.searcher().segment_reader(*ord);
            let segment = Segment::open(shard, reader, &language, search.deadline)?;
            hits.records.push(segment.record(*doc)?);
        }
        Ok(hits)
    }
}

struct Ranked {
    /// Smaller is earlier in the answer.
    rank: (bool, i128, u64, u64),
    place: Place,
    /// Shard, segment, document.
    address: (Arc<ShardView>, u32, u32),
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}
impl Eq for Ranked {}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

fn rank(place: Place, newest_first: bool) -> (bool, i128, u64, u64) {
    let at = i128::from(place.timestamp);
    if newest_first {
        (false, -at, u64::MAX - place.id, u64::MAX - place.stream)
    } else {
        (false, at, place.id, place.stream)
    }
}

fn worse_time(timestamp: i64, worst: i64, newest_first: bool) -> bool {
    if newest_first { timestamp < worst } else { timestamp > worst }
}

fn place(segment: &Segment<'_>, doc: u32, timestamp: i64) -> Place {
    let number = segment.streams.first(doc).unwrap_or(u64::MAX) as usize;
    let stream = segment.shard.streams().get(number).map_or(0, |s| stream_half(s.key));
    Place { timestamp, id: segment.ids.first(doc).unwrap_or(0), stream }
}
