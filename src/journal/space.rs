//! Room in the journal: who may append how much, and who has to wait.

use super::{Error, format::ENTRY_HEADER_BYTES, handle::Shared};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Reserved and appended bytes that are not durable yet, at most: what a slow disk may pile up in memory.
pub(super) const QUEUE_BYTES_MAX: u64 = 64 << 20;
/// How often the free space of the disk is looked at while somebody waits for it: nobody tells when it changes.
const POLL: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Taken {
    /// Segments on disk, plus `pending`.
    used: u64,
    /// Reserved or queued, not durable.
    pending: u64,
}

#[derive(Default)]
pub(super) struct Space {
    taken: Mutex<Taken>,
    /// Whoever holds it is the next to get room; tokio's mutex is fair, so senders are served in order.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
    waiting: AtomicUsize,
}

/// A right to append so many bytes. Dropped unused, it gives them back.
#[must_use = "room that is dropped is given back"]
pub struct Room {
    pub(super) shared: Arc<Shared>,
    /// With the entry's header.
    pub(super) bytes: u64,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.space.give_back(self.bytes);
    }
}

/// Counts a waiter for as long as it waits, also when its future is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Space {
    pub fn used(&self) -> u64 {
        self.taken.lock().used
    }

    pub fn waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Bytes that came to stand on disk besides the reserved ones: segment headers, and all segments at open.
    pub fn add_used(&self, bytes: u64) {
        self.taken.lock().used += bytes;
    }

    /// Files were deleted.
    pub fn free_used(&self, bytes: u64) {
        let mut taken = self.taken.lock();
        taken.used = taken.used.saturating_sub(bytes);
        drop(taken);
        self.freed.notify_one();
    }

    /// Queued bytes became durable: they stay used.
    pub fn durable(&self, bytes: u64) {
        let mut taken = self.taken.lock();
        taken.pending = taken.pending.saturating_sub(bytes);
        drop(taken);
        self.freed.notify_one();
    }

    /// An entry turned out larger (or smaller) than its room.
    pub fn correct(&self, reserved: u64, actual: u64) {
        let mut taken = self.taken.lock();
        taken.used = (taken.used + actual).saturating_sub(reserved);
        taken.pending = (taken.pending + actual).saturating_sub(reserved);
    }

    fn give_back(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut taken = self.taken.lock();
        taken.used = taken.used.saturating_sub(bytes);
        taken.pending = taken.pending.saturating_sub(bytes);
        drop(taken);
        self.freed.notify_one();
    }

    /// Takes `bytes` if there is room now. An entry larger than the queue gets it to itself.
    fn try_take(&self, shared: &Shared, bytes: u64) -> bool {
        let mut taken = self.taken.lock();
        let fits_queue = taken.pending == 0 || taken.pending + bytes <= QUEUE_BYTES_MAX;
        if !fits_queue || taken.used + bytes > shared.options.bytes_max {
            return false;
        }
        // A disk that does not tell its free space is taken to have some: the write will tell.
        let free = shared.disk.free_bytes(&shared.options.dir).unwrap_or(u64::MAX);
        if free < (shared.options.disk_reserve_bytes + taken.pending).saturating_add(bytes) {
            return false;
        }
        taken.used += bytes;
        taken.pending += bytes;
        true
    }
}

/// Waits until an entry of `payload` bytes may be appended, in the order of the calls.
pub(super) async fn reserve(shared: &Arc<Shared>, payload: u64) -> Result<Room, Error> {
    let bytes = payload + ENTRY_HEADER_BYTES as u64;
    let bytes_max = shared.options.bytes_max;
    if bytes + super::format::SEGMENT_HEADER_BYTES as u64 > bytes_max || payload > super::format::PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge { bytes: payload, bytes_max });
    }
    let space = &shared.space;
    // While writing fails the queue must not grow: the sender keeps the window, not this process.
    let take = || !shared.in_trouble() && space.try_take(shared, bytes);
    // Not past those who wait already: tokio hands the turn to them directly.
    if space.turn.try_lock().is_ok_and(|_turn| take()) {
        return Ok(Room { shared: shared.clone(), bytes });
    }
    space.waiting.fetch_add(1, Ordering::Relaxed);
    let _waiting = Waiting(&space.waiting);
    let _turn = space.turn.lock().await;
    loop {
        if shared.is_closed() {
            return Err(Error::Closed);
        }
        if take() {
            return Ok(Room { shared: shared.clone(), bytes });
        }
        shared.retire_if_trimmed();
        // A permit of a notification that came since `try_take` is kept by `Notify`, so none is missed.
        let _ = tokio::time::timeout(POLL, space.freed.notified()).await;
    }
}
