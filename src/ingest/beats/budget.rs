//! Memory for windows, shared by all connections.
//!
//! A connection is admitted at its window frame while the memory in use is below the soft limit, then reads its window
//! to the end, taking what it needs; only past twice the limit is it cut off. What is counted is bytes held, not bytes
//! announced, so a thousand senders that announce much and send nothing cost nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug)]
pub struct Budget {
    soft: usize,
    used: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub fn new(soft: usize) -> Arc<Self> {
        Arc::new(Self { soft, used: AtomicUsize::new(0), freed: Notify::new() })
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Waits until a new window may begin.
    pub async fn admit(&self) {
        loop {
            let freed = self.freed.notified();
            if self.used() < self.soft {
                return;
            }
            freed.await;
        }
    }

    /// An empty share.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

/// What one window holds; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Sets what is held. False when that would pass the hard limit.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes >= before {
            let used = self.budget.used.fetch_add(bytes - before, Ordering::AcqRel) + bytes - before;
            used <= 2 * self.budget.soft || bytes == before
        } else {
            self.budget.used.fetch_sub(before - bytes, Ordering::AcqRel);
            self.budget.freed.notify_waiters();
            true
        }
    }

    /// Hands what is held to another owner, leaving this share empty.
    pub fn split(&mut self) -> Share {
        Share { budget: Arc::clone(&self.budget), bytes: std::mem::take(&mut self.bytes) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}
