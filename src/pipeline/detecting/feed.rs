//! The bounded queue between the indexing workers and the detectors, which puts batches back in the journal's order.
//!
//! Workers finish in any order; the detectors' scores depend on it. The dispatcher says which positions come, and only the
//! first of those that is not yet taken is handed out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::detect::Observations;
use crate::journal::Position;

/// What the detectors do next.
pub enum Next {
    Batch(Box<Observations>),
    /// Nothing came for the time asked.
    Idle,
    /// Nothing more will come.
    Closed,
}

#[derive(Default)]
struct State {
    /// Positions handed to workers, in order.
    expected: VecDeque<u64>,
    ready: HashMap<u64, Box<Observations>>,
    bytes: usize,
    closed: bool,
    /// Nobody takes anything any more; whatever comes is dropped.
    broken: bool,
}

pub struct Feed {
    state: Mutex<State>,
    /// Signalled when there may be something to take.
    work: Condvar,
    /// Signalled when there may be room.
    room: Condvar,
    bytes_max: usize,
}

/// How often a worker that waits for room looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

impl Feed {
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), room: Condvar::new(), bytes_max }
    }

    /// A batch at this position goes to a worker; positions are told in order.
    pub fn expect(&self, position: Position) {
        let mut state = self.state.lock();
        if !state.broken {
            state.expected.push_back(position.0);
        }
    }

    /// A worker's batch. Waits for room, except where all others wait for this one, and until `stop` says so.
    pub fn put(&self, batch: Observations, stop: impl Fn() -> bool) {
        let mut state = self.state.lock();
        while state.bytes >= self.bytes_max
            && state.expected.front() != Some(&batch.position)
            && !state.broken
            && !stop()
        {
            self.room.wait_for(&mut state, LOOK);
        }
        if state.broken {
            return;
        }
        state.bytes += batch.bytes();
        state.ready.insert(batch.position, Box::new(batch));
        drop(state);
        self.work.notify_one();
    }

    /// The next batch in order; waits for it that long.
    pub fn next(&self, wait: Duration) -> Next {
        let mut state = self.state.lock();
        loop {
            let first = state.expected.front().copied();
            if let Some(batch) = first.and_then(|position| state.ready.remove(&position)) {
                state.expected.pop_front();
                state.bytes = state.bytes.saturating_sub(batch.bytes());
                drop(state);
                self.room.notify_all();
                return Next::Batch(batch);
            }
            if state.closed {
                return Next::Closed;
            }
            if self.work.wait_for(&mut state, wait).timed_out() {
                return Next::Idle;
            }
        }
    }

    /// Indexing starts again from the last commit: what was under way comes again.
    pub fn reset(&self) {
        let mut state = self.state.lock();
        let broken = state.broken;
        *state = State { broken, ..State::default() };
        drop(state);
        self.room.notify_all();
    }

    /// Nothing more comes; what is there is still handed out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }

    /// The detectors are gone: nobody waits for them.
    pub fn break_off(&self) {
        *self.state.lock() = State { broken: true, closed: true, ..State::default() };
        self.room.notify_all();
        self.work.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(position: u64) -> Observations {
        let mut batch = Observations::default();
        batch.position = position;
        batch
    }

    fn position_of(next: Next) -> u64 {
        match next {
            Next::Batch(batch) => batch.position,
            Next::Idle => 1_000,
            Next::Closed => 2_000,
        }
    }

    #[test]
    fn batches_come_out_in_the_order_they_were_told_of() {
        let feed = Feed::new(1 << 20);
        [3, 5, 6].into_iter().for_each(|position| feed.expect(Position(position)));
        feed.put(batch(6), || false);
        feed.put(batch(5), || false);
        assert_eq!(position_of(feed.next(Duration::ZERO)), 1_000);
        feed.put(batch(3), || false);
        let taken = [(); 4].map(|()| position_of(feed.next(Duration::ZERO)));
        assert_eq!(taken, [3, 5, 6, 1_000]);
        feed.close();
        assert_eq!(position_of(feed.next(Duration::ZERO)), 2_000);
    }

    #[test]
    fn the_batch_all_wait_for_needs_no_room() {
        let feed = Feed::new(0);
        [1, 2].into_iter().for_each(|position| feed.expect(Position(position)));
        feed.put(batch(1), || panic!("it waits for itself"));
        // Another waits until it is told to stop, or to no avail.
        feed.put(batch(2), || true);
        feed.break_off();
        feed.put(batch(3), || false);
        assert_eq!(position_of(feed.next(Duration::ZERO)), 2_000);
    }
}
