//! What a load did and how the receiver answered: counters while it runs, a report at its end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

use super::Window;

/// Shared by all connections of one load.
#[derive(Debug)]
pub struct Stats {
    events: AtomicU64,
    windows: AtomicU64,
    raw_bytes: AtomicU64,
    wire_bytes: AtomicU64,
    reconnects: AtomicU64,
    resends: AtomicU64,
    keep_alives: AtomicU64,
    /// Ack latencies in microseconds, 1 µs to 1 h, three digits.
    latencies: Mutex<Option<Histogram<u64>>>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            events: AtomicU64::new(0),
            windows: AtomicU64::new(0),
            raw_bytes: AtomicU64::new(0),
            wire_bytes: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            resends: AtomicU64::new(0),
            keep_alives: AtomicU64::new(0),
            latencies: Mutex::new(Histogram::new_with_bounds(1, 3_600_000_000, 3).ok()),
        }
    }
}

/// The numbers of a load. Events and bytes are those acknowledged, each once, however often they were sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub seconds: f64,
    pub events: u64,
    pub windows: u64,
    pub raw_bytes: u64,
    pub wire_bytes: u64,
    pub events_per_second: f64,
    pub raw_mb_per_second: f64,
    pub ack_ms: LatencyReport,
    pub reconnects: u64,
    pub resent_windows: u64,
    pub keep_alives: u64,
}

/// From a window's last byte written to its acknowledgement read: milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyReport {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Stats {
    pub(super) fn acked(&self, window: &Window, latency: Duration) {
        self.events.fetch_add(u64::from(window.events), Relaxed);
        self.windows.fetch_add(1, Relaxed);
        self.raw_bytes.fetch_add(window.raw_bytes, Relaxed);
        self.wire_bytes.fetch_add(window.bytes.len() as u64, Relaxed);
        if let Some(histogram) = self.latencies.lock().as_mut() {
            histogram.saturating_record(latency.as_micros() as u64);
        }
    }

    pub(super) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    pub(super) fn resent(&self) {
        self.resends.fetch_add(1, Relaxed);
    }

    pub(super) fn kept_alive(&self) {
        self.keep_alives.fetch_add(1, Relaxed);
    }

    /// Events acknowledged so far.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// The report of a load that took `elapsed`.
    pub fn report(&self, elapsed: Duration) -> Report {
        let seconds = elapsed.as_secs_f64();
        let per_second = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
        let (events, raw_bytes) = (self.events(), self.raw_bytes.load(Relaxed));
        let latencies = self.latencies.lock();
        let ms = |q: f64| latencies.as_ref().map_or(0.0, |h| h.value_at_quantile(q) as f64 / 1000.0);
        Report {
            seconds,
            events,
            windows: self.windows.load(Relaxed),
            raw_bytes,
            wire_bytes: self.wire_bytes.load(Relaxed),
            events_per_second: per_second(events),
            raw_mb_per_second: per_second(raw_bytes) / 1e6,
            ack_ms: LatencyReport { p50: ms(0.5), p90: ms(0.9), p99: ms(0.99), max: ms(1.0) },
            reconnects: self.reconnects.load(Relaxed),
            resent_windows: self.resends.load(Relaxed),
            keep_alives: self.keep_alives.load(Relaxed),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} events in {} windows acknowledged in {:.2} s: {:.0} events/s, {:.1} MB/s of JSON",
            self.events, self.windows, self.seconds, self.events_per_second, self.raw_mb_per_second
        )?;
        let ratio = if self.wire_bytes > 0 { self.raw_bytes as f64 / self.wire_bytes as f64 } else { 0.0 };
        writeln!(
            f,
            "{:.1} MB of JSON, {:.1} MB on the wire ({ratio:.1} : 1)",
            self.raw_bytes as f64 / 1e6,
            self.wire_bytes as f64 / 1e6
        )?;
        let ack = &self.ack_ms;
        writeln!(
            f,
            "acks: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            ack.p50, ack.p90, ack.p99, ack.max
        )?;
        write!(
            f,
            "reconnects {}, windows sent again {}, keep-alives {}",
            self.reconnects, self.resent_windows, self.keep_alives
        )
    }
}
