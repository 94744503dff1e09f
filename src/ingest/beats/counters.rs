//! What the receiver counts; telemetry reads it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum CloseReason {
    /// The peer closed it between windows.
    Peer,
    /// The peer closed or broke it inside a window.
    Cut,
    Idle,
    /// It served its time, so that senders spread over all there is to connect to.
    Old,
    /// No byte of a window came for too long.
    Stalled,
    Malformed,
    TooLarge,
    TlsOnPlain,
    PlainOnTls,
    Handshake,
    Memory,
    /// The peer took no acknowledgement for too long.
    Unwritable,
    Refused,
    Shutdown,
}

impl CloseReason {
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Peer, "peer"),
        (Self::Cut, "cut"),
        (Self::Idle, "idle"),
        (Self::Old, "old"),
        (Self::Stalled, "stalled"),
        (Self::Malformed, "malformed"),
        (Self::TooLarge, "too_large"),
        (Self::TlsOnPlain, "tls_on_plain"),
        (Self::PlainOnTls, "plain_on_tls"),
        (Self::Handshake, "handshake"),
        (Self::Memory, "memory"),
        (Self::Unwritable, "unwritable"),
        (Self::Refused, "refused"),
        (Self::Shutdown, "shutdown"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    pub opened: AtomicU64,
    pub open: AtomicU64,
    pub windows: AtomicU64,
    /// Delivered before they were full: another `W`, or silence on a v1 connection.
    pub windows_cut_short: AtomicU64,
    pub windows_empty: AtomicU64,
    pub events: AtomicU64,
    /// Read from senders, TLS taken off.
    pub bytes: AtomicU64,
    pub acks: AtomicU64,
    pub keepalives: AtomicU64,
    /// Connections that wait for memory before they read their window.
    pub waiting: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
}

impl Counters {
    pub fn close(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize].load(Relaxed)
    }
}

/// Told how long each window took from its last byte to its acknowledgement being sent.
pub type AckHook = std::sync::Arc<dyn Fn(Duration) + Send + Sync>;

/// Adds one to a counter while it lives.
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(super) fn one(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Relaxed);
        Self(counter)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
