//! The newest, or oldest, of many records: kept as addresses, rebuilt at the end.

use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::bits::Bits;
use super::record::stream_half;
use super::segment::{Language, Segment, Stop};
use crate::store::ShardView;

/// A record's place in the order of answers: by time, then as it stands in its file, since many lines of a file may have one
/// time; then by what makes it different from all others. It does not move when segments merge, so a cursor holds while
/// records arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub timestamp: i64,
    pub stream: u64,
    pub offset: u64,
    pub id: u64,
}

impl Place {
    /// As a cursor: 64 hex digits.
    pub fn to_cursor(self) -> String {
        format!("{:016x}{:016x}{:016x}{:016x}", self.timestamp, self.stream, self.offset, self.id)
    }

    pub fn from_cursor(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let part = |at: usize| u64::from_str_radix(&text[at..at + 16], 16).ok();
        Some(Self { timestamp: part(0)? as i64, stream: part(16)?, offset: part(32)?, id: part(48)? })
    }
}

/// Documents whose times are read together.
const TIMES_AT_ONCE: usize = 256;

/// The first of the records offered, in either order of time.
#[derive(Default)]
pub struct Best {
    limit: usize,
    newest_first: bool,
    /// Only what comes after it is taken.
    after: Option<Place>,
    /// The worst of them on top; both orders are the same heap, with places turned round.
    heap: BinaryHeap<Ranked>,
    offered: u64,
    left_out: bool,
}

impl Best {
    pub fn new(limit: usize, newest_first: bool, after: Option<Place>) -> Self {
        Self { limit, newest_first, after, ..Self::default() }
    }

    /// Records offered so far.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Whether some were good enough to come later.
    pub fn left_out(&self) -> bool {
        self.left_out
    }

    /// About what it holds: bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.heap.capacity() * size_of::<Ranked>()
    }

    /// [`Best::offer`] of many documents: their times are read together, and not at all where the segment's first and last
    /// time say that none of them is taken.
    pub fn offer_all(&mut self, shard: &Arc<ShardView>, ord: u32, segment: &Segment<'_>, docs: &Bits) {
        if docs.is_none() {
            return;
        }
        let (mut first, mut last) = (segment.timestamps.min_value(), segment.timestamps.max_value());
        let newest_first = self.newest_first;
        if newest_first {
            (first, last) = (last, first);
        }
        let later = self.is_full_of_better(first);
        if later || self.is_before_page(last) {
            self.offered += docs.count();
            self.left_out |= later;
            return;
        }
        let mut times = [None; TIMES_AT_ONCE];
        let mut block = Vec::with_capacity(TIMES_AT_ONCE);
        let mut offer = |block: &[u32]| {
            let times = &mut times[..block.len()];
            segment.timestamps.first_vals(block, times);
            for (doc, time) in block.iter().zip(times) {
                self.offer_at(shard, ord, segment, *doc, time.unwrap_or(0));
            }
        };
        // Records are stored about in the order of time. Beginning at the end that is asked for, the first of them are
        // those that stay, and the others are refused by their time; from the other end each would push one out.
        if newest_first {
            docs.each_block_back(&mut block, &mut offer);
        } else {
            docs.each_block(&mut block, &mut offer);
        }
    }

    #[inline]
    /// Whether enough are kept, and all of them are better than any of this time.
    fn is_full_of_better(&self, timestamp: i64) -> bool {
        let better = |worst: &Ranked| worse_time(timestamp, worst.place.timestamp, self.newest_first);
        self.heap.len() >= self.limit && self.heap.peek().is_none_or(better)
    }

    /// Whether all of this time were on a page before.
    fn is_before_page(&self, timestamp: i64) -> bool {
        self.after.is_some_and(|after| worse_time(after.timestamp, timestamp, self.newest_first))
    }

    pub fn offer(&mut self, shard: &Arc<ShardView>, ord: u32, segment: &Segment<'_>, doc: u32) {
        self.offer_at(shard, ord, segment, doc, segment.timestamps.first(doc).unwrap_or(0));
    }

    #[inline]
    fn offer_at(&mut self, shard: &Arc<ShardView>, ord: u32, segment: &Segment<'_>, doc: u32, timestamp: i64) {
        self.offered += 1;
        // Most documents are older than the worst that is kept already; that needs their time alone.
        if self.is_full_of_better(timestamp) {
            self.left_out = true;
            return;
        }
        if self.is_before_page(timestamp) {
            return;
        }
        let place = place(segment, doc, timestamp);
        if self.after.is_some_and(|after| rank(place, self.newest_first) <= rank(after, self.newest_first)) {
            return;
        }
        let address = (Arc::clone(shard), ord, doc);
        self.heap.push(Ranked { rank: rank(place, self.newest_first), place, address });
        if self.heap.len() > self.limit {
            self.left_out = true;
            self.heap.pop();
        }
    }

    #[expect(clippy::type_complexity, reason = "each record with its place")]
    /// The records, first first. Only these are rebuilt.
    pub fn records(self, language: &Language, deadline: Instant) -> Result<Vec<(Place, Map<String, Json>)>, Stop> {
        let ranked = self.heap.into_sorted_vec();
        let mut records = Vec::with_capacity(ranked.len());
        // Opening a segment costs more than a record, and neighbours share a block of stored lines.
        let mut open: HashMap<(*const ShardView, u32), Segment<'_>> = HashMap::new();
        for Ranked { place, address: (shard, ord, doc), .. } in &ranked {
            let segment = match open.entry((Arc::as_ptr(shard), *ord)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let reader = shard.searcher().segment_reader(*ord);
                    new.insert(Segment::open(shard, reader, language, deadline)?)
                }
            };
            records.push((*place, segment.record(*doc)?));
        }
        Ok(records)
    }
}

struct Ranked {
    /// Smaller is earlier in the answer.
    rank: Rank,
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

type Rank = (i128, u64, u64, u64);

fn rank(place: Place, newest_first: bool) -> Rank {
    let at = i128::from(place.timestamp);
    if newest_first {
        (-at, !place.stream, !place.offset, !place.id)
    } else {
        (at, place.stream, place.offset, place.id)
    }
}

fn worse_time(timestamp: i64, worst: i64, newest_first: bool) -> bool {
    if newest_first { timestamp < worst } else { timestamp > worst }
}

/// Where a document of this time stands.
pub fn place(segment: &Segment<'_>, doc: u32, timestamp: i64) -> Place {
    let number = segment.streams.first(doc).unwrap_or(u64::MAX) as usize;
    let stream = segment.shard.streams().get(number).map_or(0, |s| stream_half(s.key));
    let offset = segment.offsets.first(doc).unwrap_or(0);
    Place { timestamp, stream, offset, id: segment.id(doc).unwrap_or(0) }
}
