//! Windows that were read whole and wait to become durable, in the order in which they must be acknowledged.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::time::Instant;

use super::budget::Hold;
use crate::ingest::SinkError;

type Accepting = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send>>;

/// What the sender is owed for one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    pub version: u8,
    pub sequence: u32,
    /// When its last byte came.
    pub received: Instant,
}

struct Entry {
    owed: Owed,
    state: State,
    /// Given back once the sink has the batch, even while an earlier window holds up the acknowledgement.
    hold: Option<Hold>,
}

enum State {
    Accepting(Accepting),
    Done(Result<(), SinkError>),
}

/// The queue of one connection.
#[derive(Default)]
pub struct Outstanding {
    queue: VecDeque<Entry>,
}

impl Outstanding {
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Version byte of the window that the sender waits for.
    pub fn version(&self) -> Option<u8> {
        self.queue.front().map(|entry| entry.owed.version)
    }

    pub fn push(
        &mut self,
        owed: Owed,
        hold: Option<Hold>,
        accepting: impl Future<Output = Result<(), SinkError>> + Send + 'static,
    ) {
        self.queue.push_back(Entry { owed, state: State::Accepting(Box::pin(accepting)), hold });
    }

    /// Adds a window that needs no sink: one of no events.
    pub fn push_done(&mut self, owed: Owed) {
        self.queue.push_back(Entry { owed, state: State::Done(Ok(())), hold: None });
    }

    /// The oldest window's result, once it is there. All windows make progress meanwhile, and the sink is asked in
    /// the order of the windows. Waits for ever when there is none. May be dropped and called again.
    pub async fn next(&mut self) -> (Owed, Result<(), SinkError>) {
        poll_fn(|cx| {
            for entry in &mut self.queue {
                if let State::Accepting(accepting) = &mut entry.state
                    && let Poll::Ready(result) = accepting.as_mut().poll(cx)
                {
                    entry.state = State::Done(result);
                    entry.hold = None;
                }
            }
            match self.queue.pop_front() {
                Some(Entry { owed, state: State::Done(result), .. }) => Poll::Ready((owed, result)),
                Some(entry) => {
                    self.queue.push_front(entry);
                    Poll::Pending
                }
                None => Poll::Pending,
            }
        })
        .await
    }
}
