//! A thread that takes the days through their life: deletes what is not kept any more, whole days and single records, then merges and seals what has
//! ended, then moves what is old to the warm volume. Never more than one day at a time, and beside the threads that index, so that a long merge or a slow disk
//! keeps no line waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Context;
use super::keeping::Keeping;
use crate::store::shard_name;

/// Between two looks at all days: a day's directory is listed at each.
const PAUSE: Duration = Duration::from_secs(10);

/// The running thread.
pub struct Tending {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Tending {
    pub fn start(context: Arc<Context>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("loghound-tend".into()).spawn(move || run(&context, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Asks it to stop. Whether it did by `deadline`: a merge under way does not stop, and may be cut off anywhere.
    pub async fn stop(self, deadline: Instant) -> bool {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        while !self.thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.thread.is_finished()
    }
}

fn run(context: &Context, stop: &AtomicBool) {
    let (keeping, mut last_error) = (Keeping::default(), String::new());
    while !stop.load(Ordering::Acquire) {
        super::retention::enforce(context);
        keeping.enforce(context, &|| !stop.load(Ordering::Acquire));
        let (sealed, failed) = context.store.seal_ended(context.clock.now(), &|| !stop.load(Ordering::Acquire));
        for day in sealed {
            context.metrics.shards_sealed.inc();
            info!(shard = shard_name(day), "merged and sealed");
        }
        let (moved, not_moved) = context.store.cool_sealed(context.clock.now(), &|| !stop.load(Ordering::Acquire));
        for day in moved {
            context.metrics.shards_warmed.inc();
            info!(shard = shard_name(day), "moved to the warm volume");
        }
        // What stays broken is said once.
        let error = failed.or(not_moved).map(|error| error.to_string()).unwrap_or_default();
        if !error.is_empty() && error != last_error {
            error!(error, "a day cannot be sealed or moved; tried again soon");
        }
        last_error = error;
        std::thread::park_timeout(PAUSE);
    }
}
