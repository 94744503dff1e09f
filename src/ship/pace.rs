//! The pace of a load: at most so many events a second, over all connections together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Gives each window the instant at which it is due. Time lost to a slow receiver is caught up: the schedule is fixed
/// at the start, so that a stall shows in the latencies and does not lower the load (coordinated omission).
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    events_per_second: f64,
    given: AtomicU64,
}

impl Pace {
    pub fn new(start: Instant, events_per_second: f64) -> Self {
        Self { start, events_per_second, given: AtomicU64::new(0) }
    }

    /// When the next `events` may be written.
    pub fn due(&self, events: u32) -> Instant {
        let before = self.given.fetch_add(u64::from(events), Ordering::Relaxed);
        let seconds = before as f64 / self.events_per_second;
        self.start + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
    }
}
