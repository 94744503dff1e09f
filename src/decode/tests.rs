//! Tests of the room as a whole.

mod deduping;
mod documents;
mod events;
mod identities;
mod json;
mod support;
