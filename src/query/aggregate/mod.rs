//! Groups and their measures: what Elasticsearch calls aggregations, over the matching records of every segment.
//!
//! Own accumulators rather than tantivy's collectors: those aggregate columns, and of our fields some stand with the
//! stream, some have no column, some have two (a name that is a number here and a word there). So a field's values come
//! as numbers that mean the same in every segment ([`values`]), groups are tables over such numbers ([`groups`]), and
//! measures are rows by group ([`measure`]). A level within a level is the same with another group above, so any depth
//! costs one look-up a record and level. What it holds is bounded ([`Limits`]): an answer that needs more is refused
//! with advice, never silently cut.

mod answer;
mod finish;
mod groups;
mod json;
mod key;
mod measure;
mod request;
mod sketch;
mod steps;
pub(super) mod values;
mod whole;

use std::time::Instant;

pub use answer::{Aggregated, Answer, Group, Stats};
pub use json::{BadAggregation, Reader, duration, parse_aggregations, query_of, to_json};
pub use key::Key;
pub use request::{
    Aggregation, Chosen, Direction, Kind, Limits, OrderBy, Range as ValueRange, Ranges, Shown, StepsOf, Terms,
};
pub use sketch::{Quantiles, Unique};
pub use steps::{Step, Steps, Unit};

use self::finish::{Finish, Finished};
use self::groups::{From, Node};
use super::ast::Expr;
use super::engine::{Between, Engine};
use super::segment::Stop;

/// Documents taken at once.
const BLOCK_DOCS: usize = 1024;
/// Blocks between two looks at the clock and at the memory taken.
const BLOCKS_BETWEEN_CHECKS: usize = 32;

impl Engine {
    /// Works out `requests` over the records that match `expr`.
    pub fn aggregate(
        &self,
        expr: &Expr,
        between: Between,
        requests: &[Aggregation],
        limits: Limits,
        deadline: Instant,
    ) -> Result<Aggregated, Stop> {
        let mut nodes: Vec<Node<'_>> =
            requests.iter().map(|request| Node::new(request, true, limits.memory_bytes)).collect();
        let mut total = 0;
        let within = |nodes: &[Node<'_>]| {
            let bytes: usize = nodes.iter().map(Node::bytes).sum();
            match bytes > limits.memory_bytes || nodes.iter().any(Node::overflowed) {
                true => Err(Stop::Memory { limit_bytes: limits.memory_bytes }),
                false => Ok(()),
            }
        };
        let parents = [0; BLOCK_DOCS];
        let mut block = Vec::with_capacity(BLOCK_DOCS);
        let partial = self.scan(expr, between, deadline, true, |shard, ord, segment, docs| {
            total += docs.count();
            for node in &mut nodes {
                node.open(segment, docs)?;
            }
            within(&nodes)?;
            let from = From { shard, ord, segment };
            let mut blocks = 0usize;
            docs.try_each_block(&mut block, |block| {
                nodes.iter_mut().for_each(|node| node.collect(&from, block, &parents[..block.len()]));
                blocks += 1;
                if blocks.is_multiple_of(BLOCKS_BETWEEN_CHECKS) {
                    segment.check()?;
                    within(&nodes)?;
                }
                Ok(())
            })
        })?;
        within(&nodes)?;
        let mut finish =
            Finish { language: self.language(), deadline, groups_left: limits.groups, groups_max: limits.groups };
        let answers = nodes.into_iter().map(|node| Finished::new(node).answer(Some(0), &mut finish));
        Ok(Aggregated { total, answers: answers.collect::<Result<_, _>>()?, partial })
    }
}
