//! Kafka's inputs: where their batches become durable, and what is known of what is.

#[cfg(feature = "kafka")]
mod inputs;
mod offsets;

#[cfg(feature = "kafka")]
pub use inputs::Inputs;
pub use offsets::{Error, Offsets};
