//! Where a received window becomes durable.

use std::sync::Arc;

use super::Context;
use crate::ingest::{Sink, SinkError};
use crate::record::Batch;

/// Journals each batch; returns once it is on disk, however long the journal makes it wait.
#[derive(Clone)]
pub struct Intake(pub Arc<Context>);

impl Sink for Intake {
    async fn accept(&self, batch: Batch) -> Result<(), SinkError> {
        let context = &self.0;
        let header = batch.header();
        let bytes = (header.len() + batch.body.len()) as u64;
        let room = context.journal.reserve(bytes).await.map_err(|e| SinkError(e.to_string()))?;
        let events = u64::from(batch.events);
        let ticket = context.journal.append(room, vec![header, batch.body.clone()]);
        // Before the write is durable, so that the dispatcher, woken by it, finds the batch here.
        context.live.put(ticket.position, batch);
        ticket.durable.await.map_err(|e| SinkError(e.to_string()))?;
        context.metrics.events_received.inc_by(events);
        context.metrics.batches.inc();
        context.metrics.received_bytes.inc_by(bytes);
        Ok(())
    }
}
