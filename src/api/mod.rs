//! HTTP: searches, live tails, health, metrics, and the description of all that.
//!
//! The room's types are its own. What it shows comes through [`Backend`], whose methods block and run off the
//! event loop, a bounded number at a time, each with a deadline. Every answer that is not a success is an RFC 9457
//! problem (`error`), missing routes and wrong methods included.

mod aggregate;
mod anomalies;
mod backend;
mod csv;
mod error;
mod export;
mod grammars;
mod grok;
mod handlers;
mod health;
mod home;
mod listen;
mod openapi;
mod params;
mod patterns;
mod raw_target;
mod routes;
mod run;
mod saved;
mod tail;
mod time;

pub use backend::{
    AggregateAnswer, AggregateRequest, AnomaliesAnswer, AnomaliesRequest, Anomaly, AnomalyTemplate, Backend, Change,
    Check, ContextAnswer, ContextRequest, DetectorInfo, DetectorsAnswer, Example, ExportRequest, ExportRow, Facet,
    FacetValue, FacetsAnswer, FacetsRequest, FieldInfo, GrammarInfo, GrammarsAnswer, HistogramAnswer, HistogramRequest,
    Influencer, Nearest, Pattern, PatternsAnswer, PatternsRequest, QueryError, Readiness, ReparseAnswer, ReparseChange,
    ReparseProgress, ReparseRequest, SearchAnswer, SearchRequest, Sort, TailEvent, TimeRange,
};
pub use csv::{csv_cell, plain as csv_value};
pub use listen::{Limited, serve};
pub use routes::{Settings, router};
pub use time::{Edge, TimeError, parse_bound, parse_duration};

#[cfg(test)]
mod tests;
