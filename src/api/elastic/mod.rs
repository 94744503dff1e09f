//! The face that Elasticsearch's clients see: what shippers send to and dashboards ask. A thin translation: documents go
//! the way of all others (`ingest::http`), a search becomes a query of this program's own, and what cannot be
//! translated is refused by name, never left out.

mod bulk;
mod error;
mod filter_path;
mod indices;
mod info;
mod request;
mod search;
mod source;

use axum::Router;
use axum::routing::{get, post};

use super::run::Shared;

pub use indices::day_index;
pub use info::ping;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/_bulk", post(bulk::bulk).put(bulk::bulk))
        .route("/{index}/_bulk", post(bulk::bulk_of).put(bulk::bulk_of))
        .route("/{index}/_doc", post(bulk::document))
        .route("/{index}/_create/{id}", post(bulk::create).put(bulk::create))
        .merge(info::routes())
        .merge(indices::routes())
        .merge(search::routes())
        .route("/_refresh", get(bulk::refresh).post(bulk::refresh))
        .route("/{index}/_refresh", get(bulk::refresh).post(bulk::refresh))
}
