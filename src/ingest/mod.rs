//! Receives what senders send, bounds it, hands it to whoever makes it durable, acknowledges.
//!
//! A sender is acknowledged only after its batch is durable. A malformed frame ends that connection with one clear log
//! line and harms no other. Memory is bounded, whatever a peer claims in a length field.

pub mod beats;
pub mod dead_letters;
pub mod frame;
pub mod http;
pub mod kafka;
pub mod tls;

use crate::record::Batch;

/// Durability was refused for good: the program is stopping. The sender gets no acknowledgement and sends again.
#[derive(Debug, thiserror::Error)]
#[error("the batch could not be made durable: {0}")]
pub struct SinkError(pub String);

/// Where whole batches go.
pub trait Sink: Send + Sync + 'static {
    /// Makes the batch durable: returns once it may be acknowledged, waiting as long as back-pressure lasts.
    fn accept(&self, batch: Batch) -> impl Future<Output = Result<(), SinkError>> + Send;
}
