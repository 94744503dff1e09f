//! Documents that come by HTTP: what a request holds, and how it is kept.
//!
//! A request's body goes into the journal as it was received, behind a [`Head`] that says how to read it. Reading it is
//! one function, [`items`], for the request that is being answered and for the journal's replay; so another input is
//! a [`Source`] and a file that makes items of its bodies. What was refused while the client waited, or was known
//! already, stands in the head under `skip`: replay takes exactly what was acknowledged, whatever the limits are by then.

mod body;
mod bulk;
mod head;
mod lines;

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;

pub use body::{BodyError, inflate};
pub use head::{Encoding, Head, HeadError, Options, Source};

/// A document, or what came in its place.
#[derive(Debug)]
pub struct Item<'b> {
    pub action: Action,
    /// The index it is meant for; [`INDEX`] when the client named none.
    pub index: Cow<'b, str>,
    /// The identity that the client gave it.
    pub id: Option<Cow<'b, str>>,
    pub document: Result<&'b [u8], Refused>,
}

/// The index of documents that name none.
pub const INDEX: &str = "loghound";

/// What a client wants done with a document. Records are never overwritten, so these differ in the answer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Only if its identity is new.
    Create,
    Index,
    Update,
    Delete,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Index => "index",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// Why a document is not taken: in Elasticsearch's words, `reason` for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub kind: &'static str,
    pub reason: String,
}

/// A body that cannot be told apart into documents at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBody(pub String);

/// The items of an uncompressed body, in order.
pub fn items<'b>(head: &'b Head, body: &'b [u8]) -> Result<Vec<Item<'b>>, BadBody> {
    match head.source {
        Source::Bulk => bulk::items(&head.options, body),
        Source::Lines => Ok(lines::items(&head.options, body)),
    }
}

/// One request, its body whole.
#[derive(Debug)]
pub struct Request {
    pub source: Source,
    pub encoding: Encoding,
    pub options: Options,
    /// As it was sent, in `encoding`: what is journalled.
    pub body: Bytes,
    /// The body uncompressed.
    pub text: Bytes,
    pub peer: IpAddr,
    /// Answer only once the documents can be found.
    pub searchable: bool,
}

/// What became of a request that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// One for each item, in order.
    pub outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub action: Action,
    pub index: String,
    /// The identity that the client gave it, else ours (`event.id`); empty where there is no record.
    pub id: String,
    /// The client gave it.
    pub is_named: bool,
    pub result: Taken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is durable.
    Stored,
    /// It was durable before.
    Known,
    Refused(Refused),
}

/// Why nothing of a request was taken; the client sends it again, or not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Items(#[from] BadBody),
    /// Later it may be.
    #[error("{0}")]
    Busy(&'static str),
    #[error("{0}")]
    Stopping(String),
}

#[cfg(test)]
mod tests;
