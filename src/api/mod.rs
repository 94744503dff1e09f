//! HTTP: searches, live tails, health, metrics, and the description of all that.
//!
//! The room's types are its own. What it shows comes through [`Backend`], whose methods block and run off the
//! event loop, a bounded number at a time, each with a deadline. Every answer that is not a success is an RFC 9457
//! problem (`error`), missing routes and wrong methods included.

pub mod access;
mod aggregate;
mod alerts;
mod anomalies;
mod arriving;
mod backend;
mod compare;
mod csv;
mod elastic;
mod erase;
mod error;
mod export;
mod feedback;
mod foreign;
mod grammars;
mod grok;
mod handlers;
mod health;
mod home;
mod insert;
mod jobs;
mod listen;
mod models;
mod openapi;
mod params;
mod patterns;
mod push;
mod raw_target;
mod routes;
mod run;
mod saved;
mod score;
mod shards;
mod snapshots;
mod tail;
mod time;
mod transport;
mod ui;

pub use backend::{
    AggregateAnswer, AggregateRequest, AnomaliesAnswer, AnomaliesRequest, Anomaly, AnomalyTemplate, Backend, Change,
    Changed, Check, CompareAnswer, CompareRequest, ContextAnswer, ContextRequest, DetectorInfo, DetectorsAnswer,
    Difference, Example, ExportRequest, ExportRow, Facet, FacetValue, FacetsAnswer, FacetsRequest, FeedbackAnswer,
    FieldInfo, FindAnswer, FindRequest, GrammarDetail, GrammarField, GrammarInfo, GrammarSample, GrammarsAnswer,
    HistogramAnswer, HistogramRequest, IndexInfo, Influencer, Nearest, NextRemoval, Pattern, PatternsAnswer,
    PatternsRequest, QueryError, Readiness, ReparseAnswer, ReparseChange, ReparseProgress, ReparseRequest, RunAnswer,
    RunRequest, ScoreAnswer, ScoreRequest, Scored, ScoredValue, SearchAnswer, SearchRequest, ShardInfo, ShardsAnswer,
    Sort, Spread, TailEvent, TimeRange, Word,
};
pub use csv::{csv_cell, plain as csv_value};
pub use elastic::day_index;
pub use erase::{AuditEntry, EraseDay, ErasePreview, EraseProgress, EraseRequest};
pub use jobs::JobBody;
pub use listen::serve;
pub use routes::{Settings, router};
pub use snapshots::{SnapshotDay, SnapshotInfo};
pub use time::{Edge, TimeError, parse_bound, parse_duration};

#[cfg(test)]
mod tests;
