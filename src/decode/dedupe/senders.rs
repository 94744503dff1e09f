//! The senders remembered, and how they share the memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::ring::{BYTES_PER_ID, Ring};
use super::{IDS_MAX, IDS_MIN, SharedRing};

/// Memory of one sender besides its identities, its name included; names are cut off at connection level.
const BYTES_PER_SENDER: usize = 512;

/// Memory for identities.
#[derive(Debug, Clone, Copy)]
pub struct DedupeLimits {
    /// All senders together, in bytes. At least one sender is always remembered.
    pub bytes_max: usize,
}

impl Default for DedupeLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20 }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DedupeCounts {
    pub senders: usize,
    pub bytes: usize,
    /// Identities each sender may hold at present.
    pub ids_per_sender: usize,
    /// Senders forgotten because others were more recent.
    pub senders_evicted: u64,
}

#[derive(Debug)]
struct Sender {
    ring: SharedRing,
    /// The turn of its last use.
    used: u64,
}

/// All senders. Their rings have their own locks; whoever holds a ring's lock does not take this table's.
#[derive(Debug)]
pub struct Senders {
    limits: DedupeLimits,
    senders: HashMap<String, Sender>,
    turn: u64,
    evicted: u64,
    /// What each ring may hold; read by the rings themselves, under their own locks.
    ids_max: Arc<AtomicUsize>,
}

impl Senders {
    pub fn new(limits: DedupeLimits) -> Self {
        Self { limits, senders: HashMap::new(), turn: 0, evicted: 0, ids_max: Arc::new(AtomicUsize::new(IDS_MAX)) }
    }

    /// The sender's ring.
    pub fn ring(&mut self, name: &str) -> SharedRing {
        self.turn += 1;
        if let Some(sender) = self.senders.get_mut(name) {
            sender.used = self.turn;
            return Arc::clone(&sender.ring);
        }
        if self.senders.len() >= self.senders_max() {
            self.forget_one();
        }
        let ring = Arc::new(Mutex::new(Ring::new(Arc::clone(&self.ids_max))));
        self.senders.insert(name.to_owned(), Sender { ring: Arc::clone(&ring), used: self.turn });
        self.share();
        ring
    }

    fn senders_max(&self) -> usize {
        (self.limits.bytes_max / (IDS_MIN * BYTES_PER_ID + BYTES_PER_SENDER)).max(1)
    }

    fn forget_one(&mut self) {
        let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.used).map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.senders.remove(&name);
            self.evicted += 1;
        }
    }

    /// Divides the budget anew. Shares are powers of two, so this shrinks rings only when the number of senders
    /// doubles.
    fn share(&mut self) {
        let bytes = self.limits.bytes_max / self.senders.len().max(1);
        let fit = bytes.saturating_sub(BYTES_PER_SENDER) / BYTES_PER_ID;
        let share = (fit + 1).next_power_of_two() / 2;
        let ids_max = share.clamp(IDS_MIN, IDS_MAX);
        if self.ids_max.swap(ids_max, Ordering::Relaxed) > ids_max {
            self.senders.values().for_each(|sender| sender.ring.lock().shrink());
        }
    }

    pub fn counts(&self) -> DedupeCounts {
        let bytes = self.senders.values().map(|sender| sender.ring.lock().bytes() + BYTES_PER_SENDER).sum();
        DedupeCounts {
            senders: self.senders.len(),
            bytes,
            ids_per_sender: self.ids_max.load(Ordering::Relaxed),
            senders_evicted: self.evicted,
        }
    }
}
