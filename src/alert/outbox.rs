//! Messages that wait: which may go out now, and what becomes of them. The messages are on disk; here is only what is needed to
//! choose the next.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::delivery::{Delivery, DeliveryState, Outcome};
use super::ledger::{Error, Ledger};

/// Messages on their way to one target at once.
const IN_FLIGHT_MAX: usize = 4;

/// One target of one receiver.
#[derive(Default)]
struct Lane {
    /// By alert: the messages in order; only the first may go out.
    lines: HashMap<String, VecDeque<u64>>,
    /// The first of each line that is not on its way, by when it may go.
    heads: BTreeSet<(i64, u64, String)>,
    in_flight: usize,
    /// The receiver asked to be left alone until then, or takes messages one by one.
    paused_until: i64,
}

#[derive(Default)]
struct Queue {
    lanes: HashMap<(String, usize), Lane>,
    waiting: usize,
}

/// A message in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub delivery: Delivery,
}

pub struct Outbox {
    ledger: Arc<Ledger>,
    /// The least time between two messages to a receiver: nanoseconds.
    paces: HashMap<String, i64>,
    queue: Mutex<Queue>,
    /// Signalled when there may be something to send.
    pub news: Notify,
}

impl Outbox {
    /// With what waited when the program ended.
    pub fn open(ledger: Arc<Ledger>, paces: HashMap<String, i64>) -> Result<Self, Error> {
        let outbox = Self { queue: Mutex::default(), news: Notify::new(), ledger, paces };
        for delivery in outbox.ledger.waiting()? {
            outbox.push(&delivery);
        }
        Ok(outbox)
    }

    /// A message that is on disk.
    pub fn push(&self, delivery: &Delivery) {
        let mut queue = self.queue.lock();
        queue.waiting += 1;
        let (receiver, target, key) = delivery.line();
        let lane = queue.lanes.entry((receiver, target)).or_default();
        let line = lane.lines.entry(key.clone()).or_default();
        line.push_back(delivery.seq);
        if line.len() == 1 {
            lane.heads.insert((delivery.next_at, delivery.seq, key));
        }
        drop(queue);
        self.news.notify_one();
    }

    /// Whether something of this alert waits for this receiver, or is on its way.
    pub fn has(&self, receiver: &str, key: &str) -> bool {
        let queue = self.queue.lock();
        queue.lanes.iter().any(|((name, _), lane)| name == receiver && lane.lines.contains_key(key))
    }

    /// Messages that wait for one receiver.
    pub fn waiting_for(&self, receiver: &str) -> usize {
        let queue = self.queue.lock();
        let lanes = queue.lanes.iter().filter(|((name, _), _)| name == receiver);
        lanes.map(|(_, lane)| lane.lines.values().map(VecDeque::len).sum::<usize>()).sum()
    }

    pub fn waiting(&self) -> usize {
        self.queue.lock().waiting
    }

    /// Up to `max` messages that may go out now. Each comes back by [`Self::finish`].
    pub fn take(&self, now: i64, max: usize) -> Result<Vec<Job>, Error> {
        let mut seqs = Vec::new();
        {
            let mut queue = self.queue.lock();
            for ((receiver, _), lane) in &mut queue.lanes {
                while seqs.len() < max && lane.in_flight < IN_FLIGHT_MAX && lane.paused_until <= now {
                    if lane.heads.first().is_none_or(|head| head.0 > now) {
                        break;
                    }
                    let Some((_, seq, _)) = lane.heads.pop_first() else { break };
                    lane.in_flight += 1;
                    lane.paused_until = now.saturating_add(self.paces.get(receiver).copied().unwrap_or(i64::MIN / 2));
                    seqs.push(seq);
                }
            }
        }
        let mut jobs = Vec::with_capacity(seqs.len());
        for seq in seqs {
            if let Some(delivery) = self.ledger.delivery(seq)? {
                jobs.push(Job { delivery });
            }
        }
        Ok(jobs)
    }

    /// What came of it, on disk before anything follows from it. `random` is from 0 to 1. Gives where the message stands.
    pub fn finish(&self, job: Job, outcome: &Outcome, now: i64, random: f64) -> Result<Delivery, Error> {
        let before = job.delivery.clone();
        let mut delivery = job.delivery;
        delivery.attempted(outcome, now, random);
        let written = self.ledger.begin().and_then(|write| {
            write.put_delivery(&delivery)?;
            write.commit()
        });
        if written.is_err() {
            // Not known to be sent: it goes out again under the same id, a little later.
            delivery = before;
            delivery.next_at = now.saturating_add(5_000_000_000);
        }
        let mut queue = self.queue.lock();
        let Queue { lanes, waiting } = &mut *queue;
        let (receiver, target, key) = delivery.line();
        if let Some(lane) = lanes.get_mut(&(receiver, target)) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            if outcome.retry_after.is_some() && delivery.state == DeliveryState::Waiting {
                lane.paused_until = lane.paused_until.max(delivery.next_at);
            }
            if delivery.state == DeliveryState::Waiting {
                lane.heads.insert((delivery.next_at, delivery.seq, key));
            } else {
                *waiting = waiting.saturating_sub(1);
                if let Some(line) = lane.lines.get_mut(&key) {
                    line.pop_front();
                    match line.front() {
                        Some(next) => {
                            lane.heads.insert((now, *next, key));
                        }
                        None => {
                            lane.lines.remove(&key);
                        }
                    }
                }
            }
        }
        drop(queue);
        self.news.notify_one();
        written.map(|()| delivery)
    }

    /// When the next message may go out, if one waits that is not on its way.
    pub fn next_due(&self) -> Option<i64> {
        let queue = self.queue.lock();
        let due = |lane: &Lane| lane.heads.first().map(|head| head.0.max(lane.paused_until));
        queue.lanes.values().filter(|lane| lane.in_flight < IN_FLIGHT_MAX).filter_map(due).min()
    }
}
