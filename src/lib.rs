//! loghound: Filebeat's logs in, structured records out of a search, nothing lost.
//!
//! The data goes one way: `ingest` → `journal` → `decode` → `parse` → `store`, and `query` reads what the store
//! holds. A room imports only rooms named before it here; ARCHITECTURE.md has the drawing and each room's promise.

#![forbid(unsafe_code)]

pub mod alert;
pub mod api;
pub mod cli;
pub mod config;
pub mod decode;
pub mod detect;
pub mod ingest;
pub mod journal;
pub mod parse;
pub mod pipeline;
pub mod query;
pub mod record;
pub mod ship;
pub mod store;
pub mod telemetry;
