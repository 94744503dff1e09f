//! Which templates the matching records have, and how often: counted from the records themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;
use serde_json::{Map, Value as Json};

use super::ast::Expr;
use super::engine::{Between, Engine};
use super::segment::{Segment, Stop};
use crate::store::ShardView;

/// The matching records of one template.
#[derive(Debug)]
pub struct Pattern {
    /// The id that stands for it now.
    pub template: u64,
    pub count: u64,
    /// The times of its first and its last record among them: Unix nanoseconds.
    pub first: i64,
    pub last: i64,
    /// Over time, in steps of [`Patterns::interval`] from [`Patterns::start`].
    pub sparkline: Vec<u32>,
    /// The last one.
    pub sample: Map<String, Json>,
}

#[derive(Debug, Default)]
pub struct Patterns {
    /// Most frequent first, up to the limit.
    pub patterns: Vec<Pattern>,
    /// Different templates, those beyond the limit included.
    pub templates: u64,
    /// Records that match.
    pub total: u64,
    /// Those without a template.
    pub without: u64,
    /// Where the sparklines begin, and how wide their steps are: Unix nanoseconds, nanoseconds.
    pub start: i64,
    pub interval: i64,
    pub partial: bool,
}

/// Steps of a sparkline.
const SPARKS: usize = 30;

struct Tally {
    count: u64,
    first: i64,
    last: i64,
    sparkline: [u32; SPARKS],
    /// Shard, segment and document of the last one.
    at: (Arc<ShardView>, u32, u32),
}

impl Engine {
    pub fn patterns(&self, expr: &Expr, between: Between, limit: usize, deadline: Instant) -> Result<Patterns, Stop> {
        let mut answer = Patterns::default();
        let mut tallies: HashMap<u64, Tally, FixedState> = HashMap::default();
        let span = self.span(between)?;
        if let Some((first, last)) = span {
            (answer.start, answer.interval) = (first, (last - first) / SPARKS as i64 + 1);
        }
        let (start, interval) = (answer.start, answer.interval.max(1));
        answer.partial = self.scan(expr, between, deadline, true, |shard, ord, segment, docs| {
            answer.total += docs.count();
            for doc in docs.iter() {
                let Some(template) = segment.template(doc) else {
                    answer.without += 1;
                    continue;
                };
                let at = segment.timestamps.first(doc).unwrap_or(0);
                let tally = tallies.entry(template).or_insert_with(|| Tally {
                    count: 0,
                    first: at,
                    last: at,
                    sparkline: [0; SPARKS],
                    at: (Arc::clone(shard), ord, doc),
                });
                tally.count += 1;
                let step = (at.saturating_sub(start) / interval).clamp(0, SPARKS as i64 - 1);
                tally.sparkline[step as usize] += 1;
                tally.first = tally.first.min(at);
                if at > tally.last {
                    tally.last = at;
                    tally.at = (Arc::clone(shard), ord, doc);
                }
            }
            Ok(())
        })?;
        answer.templates = tallies.len() as u64;
        let mut tallies: Vec<(u64, Tally)> = tallies.into_iter().collect();
        tallies.sort_unstable_by_key(|(template, tally)| (std::cmp::Reverse(tally.count), *template));
        tallies.truncate(limit);
        let language = self.language();
        for (template, Tally { count, first, last, sparkline, at: (shard, ord, doc) }) in tallies {
            let reader = shard.searcher().segment_reader(ord);
            let segment = Segment::open(&shard, reader, &language, deadline)?;
            answer.patterns.push(Pattern {
                template,
                count,
                first,
                last,
                sparkline: sparkline.to_vec(),
                sample: segment.record(doc)?,
            });
        }
        Ok(answer)
    }
}
