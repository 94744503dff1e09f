//! Groups of records by a value, a step, a range or a query; within them further groups and measures.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::key::{Key, Keys};
use super::measure::Measure;
use super::request::{Aggregation, Kind, Range};
use super::steps::Steps;
use super::values::{AsNumber, Values};
use super::whole::{having, whole};
use crate::query::bits::Bits;
use crate::query::segment::{Segment, Stop};
use crate::store::ShardView;

/// An aggregation being worked out. Records come a segment at a time, and of a segment a block of documents at a time,
/// each document with the number of the group above that it is in.
pub enum Node<'a> {
    Groups(Box<Groups<'a>>),
    Measure(Measure<'a>),
}

/// Where a block of documents comes from.
pub struct From<'s, 'v> {
    pub shard: &'s Arc<ShardView>,
    /// The segment's place in the shard.
    pub ord: u32,
    pub segment: &'s Segment<'v>,
}

pub struct Groups<'a> {
    pub request: &'a Aggregation,
    pub ids: Ids,
    pub table: Table,
    pub subs: Vec<Node<'a>>,
    missing: Option<u32>,
    open: Open,
    /// (place in a block, id), reused from block to block.
    pairs: Vec<(u32, u32)>,
    numbers: Vec<(u32, f64)>,
    docs: Vec<u32>,
    parents: Vec<u32>,
}

/// What the number of a group's value means.
pub enum Ids {
    Keys(Keys),
    Steps(Steps),
    /// The place in the request: ranges, filters.
    Places,
}

/// The open segment's values.
enum Open {
    Closed,
    Values(Values<u32>),
    Numbers(Values<f64>),
    Sets(Vec<Bits>),
}

impl<'a> Node<'a> {
    /// `top`: there is one group above, all records. `memory_bytes` is what the values of one level may take.
    pub fn new(request: &'a Aggregation, top: bool, memory_bytes: usize) -> Self {
        let (ids, missing) = match &request.kind {
            Kind::Terms(terms) => {
                let mut keys = Keys::up_to(memory_bytes);
                let missing = terms.missing.clone().map(|key| keys.id(key));
                (Ids::Keys(keys), missing)
            }
            Kind::Steps(steps) => (Ids::Steps(Steps::new(steps.step.clone())), None),
            Kind::Ranges(_) | Kind::Filters(_) | Kind::Filter(_) | Kind::Missing(_) => (Ids::Places, None),
            _ => return Node::Measure(Measure::new(request, top)),
        };
        let subs = request.subs.iter().map(|sub| Node::new(sub, false, memory_bytes)).collect();
        Node::Groups(Box::new(Groups {
            request,
            ids,
            table: Table { top, ..Table::default() },
            subs,
            missing,
            open: Open::Closed,
            pairs: Vec::new(),
            numbers: Vec::new(),
            docs: Vec::new(),
            parents: Vec::new(),
        }))
    }

    /// Begins a segment, of which `docs` match.
    pub fn open(&mut self, segment: &Segment<'_>, docs: &Bits) -> Result<(), Stop> {
        match self {
            Node::Groups(groups) => groups.open(segment, docs),
            Node::Measure(measure) => measure.open(segment, docs),
        }
    }

    /// Takes some documents of the open segment, in order, and the group above of each.
    pub fn collect(&mut self, from: &From<'_, '_>, docs: &[u32], parents: &[u32]) {
        match self {
            Node::Groups(groups) => groups.collect(from, docs, parents),
            Node::Measure(measure) => measure.collect(from, docs, parents),
        }
    }

    /// About what it holds: bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Node::Measure(measure) => measure.bytes(),
            Node::Groups(groups) => {
                let ids = match &groups.ids {
                    Ids::Keys(keys) => keys.bytes(),
                    Ids::Steps(steps) => steps.bytes(),
                    Ids::Places => 0,
                };
                ids + groups.table.bytes() + groups.subs.iter().map(Node::bytes).sum::<usize>()
            }
        }
    }

    /// Whether values had to be left out for want of memory.
    pub fn overflowed(&self) -> bool {
        let Node::Groups(groups) = self else { return false };
        let own = matches!(&groups.ids, Ids::Keys(keys) if keys.is_full());
        own || groups.subs.iter().any(Node::overflowed)
    }
}

impl Groups<'_> {
    fn open(&mut self, segment: &Segment<'_>, docs: &Bits) -> Result<(), Stop> {
        if let (Kind::Terms(terms), Ids::Keys(keys)) = (&self.request.kind, &mut self.ids)
            && self.table.top
            && self.subs.is_empty()
            && self.missing.is_none()
            && docs.is_all()
            && let Some(counts) = whole(segment, &terms.field, keys)?
        {
            self.open = Open::Closed;
            for (id, records) in counts {
                let group = self.table.group(0, id);
                self.table.counts[group as usize] += records;
            }
            return Ok(());
        }
        if let Kind::Missing(field) = &self.request.kind
            && self.table.top
            && self.subs.is_empty()
            && docs.is_all()
            && let Some(records) = having(segment, field)?
        {
            self.open = Open::Closed;
            if records < docs.count() {
                let group = self.table.group(0, 0);
                self.table.counts[group as usize] += docs.count() - records;
            }
            return Ok(());
        }
        self.open = match (&self.request.kind, &mut self.ids) {
            (Kind::Terms(terms), Ids::Keys(keys)) => Open::Values(Values::open(segment, &terms.field, docs, keys)?),
            (Kind::Steps(steps), Ids::Steps(ids)) => Open::Values(Values::open(segment, &steps.field, docs, ids)?),
            (Kind::Ranges(ranges), _) => Open::Numbers(Values::open(segment, &ranges.field, docs, &mut AsNumber)?),
            (Kind::Filters(filters), _) => {
                let sets = filters.iter().map(|(_, expr)| segment.matching(expr, docs));
                Open::Sets(sets.collect::<Result<_, _>>()?)
            }
            (Kind::Filter(expr), _) => Open::Sets(vec![segment.matching(expr, docs)?]),
            (Kind::Missing(field), _) => Open::Sets(vec![without(segment, field, docs)?]),
            _ => Open::Closed,
        };
        self.subs.iter_mut().try_for_each(|sub| sub.open(segment, docs))
    }

    fn collect(&mut self, from: &From<'_, '_>, docs: &[u32], parents: &[u32]) {
        self.pairs.clear();
        match (&mut self.open, &mut self.ids) {
            (Open::Values(values), Ids::Keys(keys)) => values.read(docs, keys, &mut self.pairs),
            (Open::Values(values), Ids::Steps(steps)) => values.read(docs, steps, &mut self.pairs),
            (Open::Numbers(values), _) => {
                self.numbers.clear();
                values.read(docs, &mut AsNumber, &mut self.numbers);
                if let Kind::Ranges(ranges) = &self.request.kind {
                    in_ranges(&self.numbers, &ranges.ranges, &mut self.pairs);
                }
            }
            (Open::Sets(sets), _) => {
                for (at, doc) in docs.iter().enumerate() {
                    let in_sets = sets.iter().enumerate().filter(|(_, set)| set.contains(*doc));
                    self.pairs.extend(in_sets.map(|(id, _)| (at as u32, id as u32)));
                }
            }
            _ => {}
        }
        if let Some(missing) = self.missing {
            add_missing(&mut self.pairs, docs.len() as u32, missing);
        }
        if self.subs.is_empty() {
            for &(at, id) in &self.pairs {
                let group = self.table.group(parents[at as usize], id);
                self.table.counts[group as usize] += 1;
            }
            return;
        }
        self.docs.clear();
        self.parents.clear();
        for &(at, id) in &self.pairs {
            let group = self.table.group(parents[at as usize], id);
            self.table.counts[group as usize] += 1;
            self.docs.push(docs[at as usize]);
            self.parents.push(group);
        }
        for sub in &mut self.subs {
            sub.collect(from, &self.docs, &self.parents);
        }
    }

    /// A group's key, as its number says.
    pub fn key(&self, id: u32) -> Key {
        match &self.ids {
            Ids::Keys(keys) => keys.get(id).clone(),
            Ids::Steps(steps) => steps.key(steps.start(id)),
            Ids::Places => Key::Int(id.into()),
        }
    }
}

/// The documents without a value.
fn without(segment: &Segment<'_>, field: &str, docs: &Bits) -> Result<Bits, Stop> {
    let test = crate::query::ast::Test::Exists;
    let expr = crate::query::ast::Expr::leaf(Some(field.to_owned()), test);
    Ok(docs.clone().minus(&segment.matching(&expr, docs)?))
}

fn in_ranges(numbers: &[(u32, f64)], ranges: &[Range], pairs: &mut Vec<(u32, u32)>) {
    for &(at, n) in numbers {
        for (id, range) in ranges.iter().enumerate() {
            let fits = range.from.is_none_or(|from| n >= from) && range.to.is_none_or(|to| n < to);
            // A record's second value in the same range does not count again.
            let earlier = pairs.iter().rev().take_while(|(place, _)| *place == at);
            if fits && !earlier.into_iter().any(|(_, have)| *have == id as u32) {
                pairs.push((at, id as u32));
            }
        }
    }
}

/// Adds a pair for every place from 0 up to `len` that has none; keeps them in order.
fn add_missing(pairs: &mut Vec<(u32, u32)>, len: u32, id: u32) {
    let mut next = 0;
    let had = pairs.len();
    for nth in 0..had {
        let at = pairs[nth].0;
        pairs.extend((next..at).map(|at| (at, id)));
        next = at + 1;
    }
    pairs.extend((next..len).map(|at| (at, id)));
    if pairs.len() > had {
        pairs.sort_unstable();
    }
}

/// Which group a value is in the group above, and how many records it has.
#[derive(Default)]
pub struct Table {
    top: bool,
    /// Under the one group at the top: by the value's number, plus one.
    dense: Vec<u32>,
    /// Else: by the group above and the value's number.
    sparse: HashMap<u64, u32, FixedState>,
    /// By group: the one above, the value's number, the records.
    pub parents: Vec<u32>,
    pub ids: Vec<u32>,
    pub counts: Vec<u64>,
}

impl Table {
    #[inline]
    fn group(&mut self, parent: u32, id: u32) -> u32 {
        let next = self.counts.len() as u32;
        let group = if self.top {
            if self.dense.len() <= id as usize {
                self.dense.resize(id as usize + 1, 0);
            }
            let slot = &mut self.dense[id as usize];
            if *slot == 0 {
                *slot = next + 1;
            }
            *slot - 1
        } else {
            *self.sparse.entry(u64::from(parent) << 32 | u64::from(id)).or_insert(next)
        };
        if group == next {
            self.parents.push(parent);
            self.ids.push(id);
            self.counts.push(0);
        }
        group
    }

    fn bytes(&self) -> usize {
        self.dense.capacity() * 4 + self.sparse.capacity() * 13 + self.counts.capacity() * 16
    }

    /// Groups by the one above.
    pub fn by_parent(&self) -> HashMap<u32, Vec<u32>, FixedState> {
        let mut groups: HashMap<u32, Vec<u32>, FixedState> = HashMap::default();
        for (group, parent) in self.parents.iter().enumerate() {
            groups.entry(*parent).or_default().push(group as u32);
        }
        groups
    }
}
