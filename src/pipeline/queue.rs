//! The bounded queue between the journal and the indexing workers, and the marker that cuts it into commits.
//!
//! Workers pop batches in journal order, whoever is free. A *cut* at position P asks every worker to hand over what
//! it indexed of batches up to P. A worker answers when no batch up to P is left in the queue and before it takes one
//! beyond P, so that the segments of a cut hold exactly the batches up to P, with no barrier between the workers.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::journal::Position;
use crate::record::Batch;

/// What a worker does next.
pub enum Work {
    Batch(Position, Batch),
    /// Hand over the segments: the cut's number.
    Cut(u64),
    /// Nothing more will come.
    Stop,
}

struct State {
    batches: VecDeque<(Position, Batch)>,
    /// The last position pushed, whether or not it was popped since.
    pushed: Position,
    cut: Option<(u64, Position)>,
    closed: bool,
    failed: bool,
}

pub struct WorkQueue {
    state: Mutex<State>,
    /// Signalled when there may be something to pop.
    work: Condvar,
    /// Signalled when there may be room to push.
    room: Condvar,
    batches_max: usize,
}

impl WorkQueue {
    /// `after` is the position everything up to which is committed already.
    pub fn new(batches_max: usize, after: Position) -> Self {
        let state = State { batches: VecDeque::new(), pushed: after, cut: None, closed: false, failed: false };
        Self { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new(), batches_max }
    }

    /// Waits for room, then queues the batch. False when the workers have failed or the queue is closed.
    pub fn push(&self, position: Position, batch: Batch) -> bool {
        let mut state = self.state.lock();
        while state.batches.len() >= self.batches_max && !state.failed && !state.closed {
            self.room.wait(&mut state);
        }
        if state.failed || state.closed {
            return false;
        }
        state.batches.push_back((position, batch));
        state.pushed = position;
        drop(state);
        self.work.notify_one();
        true
    }

    /// The last position pushed.
    pub fn pushed(&self) -> Position {
        self.state.lock().pushed
    }

    /// Asks every worker for its share of cut `number`, at the last position pushed; returns that position.
    pub fn request_cut(&self, number: u64) -> Position {
        let mut state = self.state.lock();
        let position = state.pushed;
        state.cut = Some((number, position));
        drop(state);
        self.work.notify_all();
        position
    }

    /// The next piece of work for a worker whose last cut was `last_cut`; waits until there is one.
    pub fn pop(&self, last_cut: u64) -> Work {
        let mut state = self.state.lock();
        loop {
            if state.failed {
                return Work::Stop;
            }
            if let Some((number, position)) = state.cut
                && number > last_cut
                && state.batches.front().is_none_or(|(p, _)| *p > position)
            {
                return Work::Cut(number);
            }
            if let Some((position, batch)) = state.batches.pop_front() {
                drop(state);
                self.room.notify_one();
                return Work::Batch(position, batch);
            }
            if state.closed {
                return Work::Stop;
            }
            self.work.wait(&mut state);
        }
    }

    /// No more pushes; what is queued is still worked off.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Something broke: everyone stops at once. What was not committed is replayed from the journal.
    pub fn fail(&self) {
        let mut state = self.state.lock();
        state.failed = true;
        state.batches.clear();
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
    }

    pub fn has_failed(&self) -> bool {
        self.state.lock().failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Wire;

    fn batch() -> Batch {
        Batch {
            wire: Wire::Lumberjack,
            received_at: 0,
            peer: String::new(),
            events: 0,
            body: bytes::Bytes::new(),
            inflated: None,
        }
    }

    fn position_of(work: Work) -> u64 {
        match work {
            Work::Batch(p, _) => p.0,
            Work::Cut(number) => 1000 + number,
            Work::Stop => 9999,
        }
    }

    #[test]
    fn a_cut_comes_after_the_last_batch_before_it_and_before_the_next() {
        let queue = WorkQueue::new(8, Position(0));
        assert!(queue.push(Position(1), batch()));
        assert!(queue.push(Position(2), batch()));
        assert_eq!(queue.request_cut(1), Position(2));
        assert!(queue.push(Position(3), batch()));
        // Two workers, a and b: both take a batch, then both cut, and only then is 3 handed out.
        assert_eq!(position_of(queue.pop(0)), 1);
        assert_eq!(position_of(queue.pop(0)), 2);
        assert_eq!(position_of(queue.pop(0)), 1001);
        assert_eq!(position_of(queue.pop(1)), 3);
        assert_eq!(position_of(queue.pop(0)), 1001);
    }

    #[test]
    fn a_closed_queue_is_worked_off_and_a_failed_one_is_not() {
        let queue = WorkQueue::new(8, Position(0));
        assert!(queue.push(Position(1), batch()));
        queue.close();
        assert!(!queue.push(Position(2), batch()));
        assert_eq!(position_of(queue.pop(0)), 1);
        assert_eq!(position_of(queue.pop(0)), 9999);

        let queue = WorkQueue::new(8, Position(0));
        assert!(queue.push(Position(1), batch()));
        queue.fail();
        assert_eq!(position_of(queue.pop(0)), 9999);
        assert!(queue.has_failed());
    }
}
