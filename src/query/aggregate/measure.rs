//! What is wanted of each group: numbers, quantiles, how many different values, its newest records.

use super::answer::Stats;
use super::groups::From;
use super::request::{Aggregation, Kind};
use super::sketch::{Quantiles, Unique};
use super::values::{AsHash, AsNumber, Target, Values};
use super::whole::whole;
use crate::query::best::Best;
use crate::query::bits::Bits;
use crate::query::segment::{Segment, Stop};

pub struct Measure<'a> {
    pub request: &'a Aggregation,
    /// By group.
    pub state: State,
    /// There is one group above, all records.
    top: bool,
    open: Open,
    numbers: Vec<(u32, f64)>,
    hashes: Vec<(u32, u64)>,
}

pub enum State {
    Stats(Vec<Stats>),
    Quantiles(Vec<Quantiles>),
    Unique(Vec<Unique>),
    Count(Vec<u64>),
    Best(Vec<Best>),
}

enum Open {
    Closed,
    Numbers(Values<f64>),
    Hashes(Values<u64>),
}

impl<'a> Measure<'a> {
    pub fn new(request: &'a Aggregation, top: bool) -> Self {
        let state = match &request.kind {
            Kind::Percentiles { .. } => State::Quantiles(Vec::new()),
            Kind::Unique(_) => State::Unique(Vec::new()),
            Kind::ValueCount(_) => State::Count(Vec::new()),
            Kind::Hits { .. } | Kind::TopMetrics { .. } => State::Best(Vec::new()),
            _ => State::Stats(Vec::new()),
        };
        Self { request, state, top, open: Open::Closed, numbers: Vec::new(), hashes: Vec::new() }
    }

    pub fn open(&mut self, segment: &Segment<'_>, docs: &Bits) -> Result<(), Stop> {
        if let Kind::Unique(field) | Kind::ValueCount(field) = &self.request.kind
            && self.top
            && docs.is_all()
            && let Some(counts) = whole(segment, field, &mut AsHash)?
        {
            self.open = Open::Closed;
            self.hashes.clear();
            match &mut self.state {
                State::Unique(all) => counts.iter().for_each(|(hash, _)| slot(all, 0).add(*hash)),
                State::Count(all) => *slot(all, 0) += counts.iter().map(|(_, records)| records).sum::<u64>(),
                _ => {}
            }
            return Ok(());
        }
        self.open = match &self.request.kind {
            Kind::Stats(field, _) | Kind::Percentiles { field, .. } => {
                Open::Numbers(Values::open(segment, field, docs, &mut AsNumber)?)
            }
            Kind::Unique(field) | Kind::ValueCount(field) => {
                Open::Hashes(Values::open(segment, field, docs, &mut AsHash)?)
            }
            _ => Open::Closed,
        };
        Ok(())
    }

    pub fn collect(&mut self, from: &From<'_, '_>, docs: &[u32], parents: &[u32]) {
        match &mut self.open {
            Open::Numbers(values) => read(values, docs, &mut AsNumber, &mut self.numbers),
            Open::Hashes(values) => read(values, docs, &mut AsHash, &mut self.hashes),
            Open::Closed => {}
        }
        let group = |at: u32| parents[at as usize] as usize;
        match &mut self.state {
            State::Stats(stats) => self.numbers.iter().for_each(|&(at, n)| slot(stats, group(at)).add(n)),
            State::Quantiles(all) => self.numbers.iter().for_each(|&(at, n)| slot(all, group(at)).add(n)),
            State::Unique(all) => self.hashes.iter().for_each(|&(at, hash)| slot(all, group(at)).add(hash)),
            State::Count(counts) => self.hashes.iter().for_each(|&(at, _)| *slot(counts, group(at)) += 1),
            State::Best(all) => {
                let (limit, newest_first) = match &self.request.kind {
                    Kind::Hits { limit, newest_first } | Kind::TopMetrics { limit, newest_first, .. } => {
                        (*limit, *newest_first)
                    }
                    _ => (0, true),
                };
                for (at, doc) in docs.iter().enumerate() {
                    let group = group(at as u32);
                    if all.len() <= group {
                        all.resize_with(group + 1, || Best::new(limit, newest_first, None));
                    }
                    all[group].offer(from.shard, from.ord, from.segment, *doc);
                }
            }
        }
    }

    /// About what it holds: bytes.
    pub fn bytes(&self) -> usize {
        match &self.state {
            State::Stats(stats) => stats.capacity() * size_of::<Stats>(),
            State::Quantiles(all) => all.iter().map(|q| q.bytes() + size_of::<Quantiles>()).sum(),
            State::Unique(all) => all.iter().map(|u| u.bytes() + size_of::<Unique>()).sum(),
            State::Count(counts) => counts.capacity() * 8,
            State::Best(all) => all.iter().map(Best::bytes).sum(),
        }
    }
}

fn read<T: Copy + PartialOrd>(
    values: &mut Values<T>,
    docs: &[u32],
    target: &mut impl Target<Out = T>,
    out: &mut Vec<(u32, T)>,
) {
    out.clear();
    values.read(docs, target, out);
}

fn slot<S: Default>(all: &mut Vec<S>, group: usize) -> &mut S {
    if all.len() <= group {
        all.resize_with(group + 1, S::default);
    }
    &mut all[group]
}
