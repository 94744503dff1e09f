//! The memory that received windows may hold, shared by all connections.
//!
//! A window asks before its first frame is read, and waits while the soft limit is reached. What it then holds is
//! counted as its buffers grow, so a window that was only announced costs nothing. Since many windows may be admitted
//! in the same moment, each is expected to become [`EXPECTED_BYTES`] large until it is, or until its sender falls
//! silent. The ceiling is twice the soft limit: a window that must grow beyond it is given up with its connection,
//! which keeps the total bounded when senders do something else than expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{Mutex, Notify};

use crate::ingest::frame::Room;

/// What a window is expected to hold: Filebeat's 2,048 events of 1.6 KB, inflated and as received.
pub const EXPECTED_BYTES: usize = 4 << 20;

/// The shared budget.
#[derive(Debug)]
pub struct Budget {
    soft: usize,
    held: AtomicUsize,
    /// Expected beyond what is held.
    expected: AtomicUsize,
    /// Waiting connections, in the order they came.
    turn: Mutex<()>,
    freed: Notify,
}

impl Budget {
    pub fn new(soft: usize) -> Arc<Self> {
        Arc::new(Self {
            // At 0 no window could ever begin.
            soft: soft.max(1),
            held: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
            turn: Mutex::new(()),
            freed: Notify::new(),
        })
    }

    /// Bytes that windows hold.
    pub fn used(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// The soft limit.
    pub fn soft(&self) -> usize {
        self.soft
    }

    fn is_open(&self) -> bool {
        self.held.load(Relaxed) + self.expected.load(Relaxed) < self.soft
    }

    /// Room for one window, if there is some and nobody waits for it.
    pub fn try_admit(self: Arc<Self>) -> Option<Hold> {
        let turn = self.turn.try_lock().ok()?;
        let open = self.is_open();
        drop(turn);
        open.then(|| self.expect_one())
    }

    fn expect_one(self: Arc<Self>) -> Hold {
        self.expected.fetch_add(EXPECTED_BYTES, Relaxed);
        Hold { budget: self, bytes: 0, expected: EXPECTED_BYTES }
    }

    /// Waits for room for one window, first come first served.
    pub async fn admit(self: Arc<Self>) -> Hold {
        let turn = self.turn.lock().await;
        loop {
            let freed = self.freed.notified();
            if self.is_open() {
                break;
            }
            freed.await;
        }
        let hold = Arc::clone(&self).expect_one();
        drop(turn);
        hold
    }

    fn release(&self, counter: &AtomicUsize, bytes: usize) {
        if bytes > 0 {
            counter.fetch_sub(bytes, Relaxed);
            // One permit is kept when nobody waits just now; only the first in turn ever waits on it.
            self.freed.notify_one();
        }
    }
}

/// One window's share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    bytes: usize,
    expected: usize,
}

impl Hold {
    /// The sender fell silent, or the window is complete: nothing more is expected.
    pub fn settle(&mut self) {
        let expected = std::mem::take(&mut self.expected);
        self.budget.release(&self.budget.expected, expected);
    }

    /// Whether more is expected than is held.
    pub fn is_expecting(&self) -> bool {
        self.expected > 0
    }
}

impl Room for Hold {
    fn hold(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            let less = self.bytes - bytes;
            self.bytes = bytes;
            self.budget.release(&self.budget.held, less);
            return true;
        };
        let before = self.budget.held.fetch_add(more, Relaxed);
        if before + more > 2 * self.budget.soft {
            self.budget.release(&self.budget.held, more);
            return false;
        }
        self.bytes = bytes;
        let met = more.min(self.expected);
        self.expected -= met;
        self.budget.release(&self.budget.expected, met);
        true
    }
}

/// A window that was not admitted holds nothing.
impl Room for Option<Hold> {
    fn hold(&mut self, bytes: usize) -> bool {
        self.as_mut().is_some_and(|hold| hold.hold(bytes))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle();
        let bytes = std::mem::take(&mut self.bytes);
        self.budget.release(&self.budget.held, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_at_the_soft_limit_and_fails_at_the_ceiling() {
        let budget = Budget::new(EXPECTED_BYTES);
        let mut first = budget.clone().admit().await;
        let waiting = tokio::spawn(budget.clone().admit());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the first is expected to fill the budget");
        first.settle();
        let mut second = waiting.await.unwrap();
        assert!(first.hold(EXPECTED_BYTES) && second.hold(EXPECTED_BYTES));
        assert!(!second.hold(EXPECTED_BYTES + 1), "the ceiling is twice the soft limit");
        assert_eq!(budget.used(), 2 * EXPECTED_BYTES);
        let third = tokio::spawn(budget.clone().admit());
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        tokio::task::yield_now().await;
        assert!(!third.is_finished(), "still at the soft limit");
        drop(second);
        drop(third.await.unwrap());
        assert_eq!((budget.used(), budget.expected.load(Relaxed)), (0, 0));
    }
}
