//! Aggregations as Elasticsearch's clients write them and read their answers.

mod read;
mod write;

pub use read::{BadAggregation, Reader, duration, parse_aggregations, query_of};
pub use write::to_json;
