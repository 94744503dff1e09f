//! Recognises events that were here before: per sender, the identities of its last events.
//!
//! Filebeat re-sends only what was not acknowledged, which is at most what its queue holds (`queue.mem.events`: 3,200
//! by default in 8.x, 4,096 before), so [`IDS_MIN`] identities per sender cover every resend of a sender with default
//! settings, after a lost acknowledgement or a restart of either side. Not covered: a queue set larger than the ids a
//! sender has while more senders than usual share the budget, and files read anew from the start after a sender lost
//! its registry; such copies are stored again. Nothing new is ever dropped for want of memory.

mod ring;
mod senders;

use std::sync::Arc;

use parking_lot::Mutex;

use self::ring::Ring;
use self::senders::Senders;
pub use self::senders::{DedupeCounts, DedupeLimits};
use crate::record::Event;

/// Identities that each remembered sender is sure of.
pub const IDS_MIN: usize = 4_096;
/// Identities that no sender has more of.
pub const IDS_MAX: usize = 524_288;
/// How long an identity without a file position stands for the same event: such events may truly repeat.
pub const WINDOW_SECONDS: u32 = 600;

/// The identities seen, shared by all workers. One lock per batch and sender.
#[derive(Debug)]
pub struct Dedupe {
    senders: Mutex<Senders>,
}

impl Dedupe {
    pub fn new(limits: DedupeLimits) -> Self {
        Self { senders: Mutex::new(Senders::new(limits)) }
    }

    /// Looks up and remembers the events of one batch in one step: `repeats[i]` says whether event `i` was here
    /// before, in an earlier batch or further up in this one. `received_at` is the batch's, in Unix nanoseconds.
    pub fn check(&self, events: &[Event], received_at: i64, repeats: &mut Vec<bool>) {
        repeats.clear();
        repeats.resize(events.len(), false);
        let now = seconds(received_at);
        let Some(first) = events.first() else { return };
        // A batch comes from one connection, so nearly always from one sender.
        if events.iter().all(|e| Arc::ptr_eq(&e.stream, &first.stream) || e.stream.sender == first.stream.sender) {
            return self.check_sender(events, &mut (0..events.len()), now, repeats);
        }
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by(|&a, &b| events[a].stream.sender.cmp(&events[b].stream.sender));
        for run in order.chunk_by(|&a, &b| events[a].stream.sender == events[b].stream.sender) {
            self.check_sender(events, &mut run.iter().copied(), now, repeats);
        }
    }

    fn check_sender(&self, events: &[Event], indices: &mut dyn Iterator<Item = usize>, now: u32, repeats: &mut [bool]) {
        let Some(first) = indices.next() else { return };
        let ring = self.senders.lock().ring(&events[first].stream.sender);
        let mut ring = ring.lock();
        for i in std::iter::once(first).chain(indices) {
            let event = &events[i];
            repeats[i] = ring.check(event.id(), event.positioned, now);
        }
    }

    /// Remembers an identity that is stored already. Called at start, newest first for each sender; what does not fit
    /// is the oldest and is left out. `at` (Unix nanoseconds) is the time from which identities without a position
    /// hold for [`WINDOW_SECONDS`].
    pub fn restore(&self, sender: &str, id: u64, at: i64) {
        let ring = self.senders.lock().ring(sender);
        ring.lock().restore(id, seconds(at));
    }

    pub fn counts(&self) -> DedupeCounts {
        self.senders.lock().counts()
    }
}

fn seconds(nanos: i64) -> u32 {
    nanos.div_euclid(crate::record::time::NANOS_PER_SECOND).clamp(0, i64::from(u32::MAX)) as u32
}

/// A sender's ring, shared by the workers.
type SharedRing = Arc<Mutex<Ring>>;
