//! Jobs: what an operator wants watched, in Kibana's words. One function over the records that a filter lets through, split by
//! fields, in buckets of their own length; what it finds is an anomaly like all others.
//!
//! `spec` reads and checks a job as it is written, `tally` takes a bucket's records, `model` knows what is usual, `exempt` what is
//! not to be told, and `run` puts them together. The filter is text here: who knows the query language asks it.

mod exempt;
mod model;
mod run;
mod spec;
mod tally;

pub use run::{Job, JobStats, Row};
pub use spec::Spec;
