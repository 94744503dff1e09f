//! The threads of the inputs: started when it is known what is stored, stopped before indexing is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ingest::SinkError;
use crate::ingest::kafka::{Gauges, Input, Keeper, Part, Settings};
use crate::journal::Room;
use crate::pipeline::Context;
use crate::record::Batch;

/// How often the metrics are told.
const TELL: Duration = Duration::from_secs(1);

pub struct Inputs {
    closing: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Inputs {
    pub fn start(context: &Arc<Context>, inputs: &[Settings], runtime: &Handle) -> Result<Self, std::io::Error> {
        let closing = CancellationToken::new();
        let mut threads = Vec::new();
        let mut all = Vec::new();
        for settings in inputs {
            let gauges = Arc::new(Gauges::default());
            all.push(Arc::clone(&gauges));
            let keeper = Arc::new(Journalled { context: Arc::clone(context), runtime: runtime.clone() });
            let (settings, closing, context) = (settings.clone(), closing.clone(), Arc::clone(context));
            let thread = std::thread::Builder::new().name("loghound-kafka".into()).spawn(move || {
                while !context.documents.is_ready() && !closing.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Input::new(settings, keeper, gauges, closing).run();
            })?;
            threads.push(thread);
        }
        if !all.is_empty() {
            runtime.spawn(tell(Arc::clone(context), all, closing.clone()));
        }
        Ok(Self { closing, threads })
    }

    /// Ends the inputs; what they hold and have not claimed stays in Kafka.
    pub async fn stop(self, deadline: Instant) {
        self.closing.cancel();
        for thread in self.threads {
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    warn!("a Kafka input did not end before the shutdown deadline; it goes on where it was");
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn tell(context: Arc<Context>, inputs: Vec<Arc<Gauges>>, closing: CancellationToken) {
    let metrics = &context.metrics;
    let mut interval = tokio::time::interval(TELL);
    while !closing.is_cancelled() {
        interval.tick().await;
        let sum = |of: fn(&Gauges) -> i64| inputs.iter().map(|gauges| of(gauges)).sum::<i64>();
        metrics.kafka_lag.set(sum(|g| g.lag.load(Ordering::Relaxed)));
        metrics.kafka_partitions.set(sum(|g| g.partitions.load(Ordering::Relaxed)));
        metrics.kafka_paused.set(sum(|g| g.paused.load(Ordering::Relaxed)));
        for gauges in &inputs {
            metrics.kafka_rebalances.inc_by(gauges.rebalances.swap(0, Ordering::Relaxed));
            metrics.kafka_troubles.inc_by(gauges.troubles.swap(0, Ordering::Relaxed));
            metrics.kafka_empty.inc_by(gauges.empty.swap(0, Ordering::Relaxed));
        }
    }
}

/// Batches go to the journal, offsets beside them.
struct Journalled {
    context: Arc<Context>,
    runtime: Handle,
}

impl Keeper for Journalled {
    fn instance(&self) -> &str {
        self.context.kafka.instance()
    }

    fn next(&self, input: &str, topic: &str, partition: i32) -> Option<i64> {
        self.context.kafka.next(input, topic, partition)
    }

    fn reserve(&self, bytes: u64, wait: Duration) -> Result<Option<Room>, SinkError> {
        let reserving = async { tokio::time::timeout(wait, self.context.journal.reserve(bytes)).await };
        match self.runtime.block_on(reserving) {
            Ok(room) => room.map(Some).map_err(|error| SinkError(error.to_string())),
            Err(_) => Ok(None),
        }
    }

    fn keep(&self, room: Room, batch: Batch, input: &str, parts: &[Part]) -> Result<(), SinkError> {
        let context = &self.context;
        let header = batch.header();
        let (bytes, events) = ((header.len() + batch.body.len()) as u64, u64::from(batch.events));
        let ticket = context.journal.append(room, vec![header, batch.body.clone()]);
        context.live.put(ticket.position, batch);
        ticket.durable.wait_blocking().map_err(|error| SinkError(error.to_string()))?;
        context.kafka.advance(input, parts);
        context.metrics.events_received.inc_by(events);
        context.metrics.kafka_messages.inc_by(events);
        context.metrics.batches.inc();
        context.metrics.received_bytes.inc_by(bytes);
        Ok(())
    }

    fn now(&self) -> i64 {
        self.context.clock.now()
    }
}
