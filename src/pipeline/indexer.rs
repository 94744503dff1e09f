//! From the journal into the shards: dispatch, index, commit, free the journal; and again from the last commit when
//! anything on that way breaks.
//!
//! Recovery after a crash and recovery after an error (a full disk, a failed write) are the same code: throw away what
//! is not committed, rebuild the window of known events from what is, and replay the journal from there. Each shard
//! knows the position it holds, so a shard that did commit takes nothing twice.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tracing::{error, info};

use super::accounts::Counts;
use super::queue::WorkQueue;
use super::worker::{self, Share};
use super::{Context, IndexError};
use crate::decode::{Dedupe, HTTP_SENDER};
use crate::ingest::kafka::KAFKA_SENDER;
use crate::journal::Position;
use crate::record::{Batch, Wire};

/// Batches that wait between dispatcher and workers.
const QUEUE_BATCHES_MAX: usize = 8;
/// Between two attempts after an error: long enough not to spin on a full disk, short against a page.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Stored events looked at to rebuild the window of known ones: bounds the start, and is far more than the window
/// holds of any sender that was busy lately.
const RESTORED_IDS_MAX: u64 = 20_000_000;

pub struct Indexer {
    context: Arc<Context>,
    runtime: Handle,
    /// Set when nothing more will be journalled: finish what is durable, then stop.
    drain: Arc<AtomicBool>,
    /// Set when the deadline has passed: stop now, the journal holds the rest.
    abort: Arc<AtomicBool>,
}

impl Indexer {
    pub fn new(context: Arc<Context>, runtime: Handle) -> Self {
        Self { context, runtime, drain: Arc::default(), abort: Arc::default() }
    }

    pub fn drain_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.drain)
    }

    pub fn abort_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abort)
    }

    /// Runs until drained or aborted. Blocks; give it a thread of its own.
    pub fn run(&self) {
        loop {
            match self.run_once() {
                Ok(()) => return,
                Err(error) => {
                    self.context.metrics.commit_errors.inc();
                    error!(%error, "indexing stopped; it starts again from the last commit, nothing is lost");
                    if self.abort.load(Ordering::Acquire) || self.drain.load(Ordering::Acquire) {
                        return;
                    }
                    std::thread::sleep(RETRY_PAUSE);
                    self.context.store.reset();
                }
            }
        }
    }

    fn run_once(&self) -> Result<(), IndexError> {
        let context = &*self.context;
        let started = Instant::now();
        let dedupe = Dedupe::new(context.dedupe);
        let mut known = 0u64;
        let now = context.clock.now();
        context.store.recent_ids(|sender, id| {
            known += 1;
            if sender.starts_with(HTTP_SENDER) {
                context.documents.restore(sender, id, now);
            } else if !sender.starts_with(KAFKA_SENDER) {
                dedupe.restore(sender, id, now);
            }
            if known < RESTORED_IDS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let after = context.journal.checkpoint();
        context.documents.recall(context, after)?;
        info!(
            position = after.0,
            known_events = known,
            took_ms = started.elapsed().as_millis() as u64,
            "indexing starts"
        );
        if let Some(detecting) = &context.detecting {
            let held = context.store.committed().iter().map(|(_, position)| *position).max().unwrap_or(0);
            detecting.held.store(held, Ordering::Release);
            detecting.feed().reset();
        }
        let queue = WorkQueue::new(QUEUE_BATCHES_MAX, after);
        let (sender, shares) = mpsc::sync_channel(context.workers);
        std::thread::scope(|scope| -> Result<(), IndexError> {
            let workers: Vec<_> = (0..context.workers)
                .map(|_| {
                    let (queue, dedupe, sender) = (&queue, &dedupe, sender.clone());
                    scope.spawn(move || {
                        let guard = FailOnPanic(queue);
                        let result = worker::run(context, dedupe, queue, &sender);
                        if result.is_err() {
                            queue.fail();
                        }
                        std::mem::forget(guard);
                        result
                    })
                })
                .collect();
            drop(sender);
            let dispatcher = scope.spawn(|| {
                let guard = FailOnPanic(&queue);
                let result = self.dispatch(&queue, after);
                if result.is_err() {
                    queue.fail();
                }
                std::mem::forget(guard);
                result
            });
            let committed = self.commit_loop(&queue, &shares, after, &dispatcher);
            if committed.is_err() {
                queue.fail();
            }
            queue.close();
            drop(shares);
            let mut result = committed;
            result = result.and(dispatcher.join().unwrap_or(Err(IndexError::Panicked)));
            for worker in workers {
                result = result.and(worker.join().unwrap_or(Err(IndexError::Panicked)));
            }
            result
        })
    }

    /// Hands batches to the workers in journal order: from memory where they still are, else from the journal.
    fn dispatch(&self, queue: &WorkQueue, after: Position) -> Result<(), IndexError> {
        let context = &*self.context;
        let mut durable = context.journal.durable();
        let mut next = Position(after.0 + 1);
        let mut reader: Option<crate::journal::Reader> = None;
        loop {
            if self.abort.load(Ordering::Acquire) || queue.has_failed() {
                return Ok(());
            }
            let last = *durable.borrow_and_update();
            if next > last {
                if self.drain.load(Ordering::Acquire) {
                    return Ok(());
                }
                // The pause bounds how late a drain or a failure is noticed.
                let changed = async { tokio::time::timeout(Duration::from_millis(100), durable.changed()).await };
                let _ = self.runtime.block_on(changed);
                continue;
            }
            let (position, batch) = match context.live.take(next) {
                Some(batch) => {
                    reader = None;
                    (next, batch)
                }
                None => {
                    let reader = reader.get_or_insert_with(|| context.journal.reader(Position(next.0 - 1)));
                    let read = reader.try_next()?;
                    for damage in reader.take_damages() {
                        error!(%damage, "journal damage");
                        context.metrics.journal_damages.inc();
                    }
                    let Some((position, entry)) = read else {
                        // The journal reported what it could not read; what it holds goes on after that.
                        next = Position(last.0 + 1);
                        continue;
                    };
                    match Batch::from_entry(entry) {
                        Ok(batch) => (position, batch),
                        Err(error) => {
                            error!(position = position.0, %error, "cannot read a journal entry; it is skipped");
                            next = Position(position.0 + 1);
                            continue;
                        }
                    }
                }
            };
            if batch.wire == Wire::Kafka {
                // Before a commit can free the journal of it.
                context.kafka.recall(&batch);
            }
            if let Some(detecting) = &context.detecting {
                detecting.feed().expect(position);
            }
            if !queue.push(position, batch) {
                return Ok(());
            }
            next = Position(position.0 + 1);
        }
    }

    /// Commits about every `commit_interval`, as long as there is something to commit.
    fn commit_loop(
        &self,
        queue: &WorkQueue,
        shares: &mpsc::Receiver<Share>,
        after: Position,
        dispatcher: &std::thread::ScopedJoinHandle<'_, Result<(), IndexError>>,
    ) -> Result<(), IndexError> {
        let context = &*self.context;
        let mut committed = after;
        let mut number = 0;
        let mut last_commit = Instant::now();
        loop {
            if queue.has_failed() || self.abort.load(Ordering::Acquire) {
                return Ok(());
            }
            let finished = dispatcher.is_finished();
            let due = last_commit.elapsed() >= context.commit_interval || finished;
            if queue.pushed() == committed || !due {
                if finished && queue.pushed() == committed {
                    return Ok(());
                }
                context.store.idle(context.clock.now())?;
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            last_commit = Instant::now();
            number += 1;
            let position = queue.request_cut(number);
            let mut cuts = Vec::with_capacity(context.workers);
            let mut oldest: Option<i64> = None;
            let (mut counts, mut recovered) = (Counts::default(), 0);
            while cuts.len() < context.workers {
                match shares.recv_timeout(Duration::from_millis(100)) {
                    Ok(share) => {
                        debug_assert_eq!(share.number, number);
                        oldest = match (oldest, share.oldest_received_at) {
                            (Some(a), Some(b)) => Some(a.min(b)),
                            (a, b) => a.or(b),
                        };
                        counts += share.counts;
                        recovered += share.recovered;
                        cuts.push(share.cut);
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) if !queue.has_failed() => {}
                    Err(_) => return Ok(()),
                }
            }
            let commit_started = Instant::now();
            // Before the shards: an id that stands in one can always be resolved.
            if let Some(templates) = &context.templates {
                templates.save().map_err(IndexError::Templates)?;
            }
            context.accounts.add(position, counts, &context.metrics)?;
            context.metrics.events_received.inc_by(recovered);
            context.store.commit(position.0, cuts)?;
            // Before the journal forgets: from here on these offsets stand nowhere else.
            context.kafka.save()?;
            context.journal.trim(match &context.detecting {
                Some(detecting) => detecting.committed(position),
                None => position,
            });
            committed = position;
            context.documents.committed(position);
            context.metrics.commit_seconds.observe(commit_started.elapsed().as_secs_f64());
            if let Some(received_at) = oldest {
                let lag_nanos = context.clock.now().saturating_sub(received_at).max(0);
                context.metrics.searchable_lag_seconds.observe(lag_nanos as f64 / 1e9);
            }
        }
    }
}

/// A panic in one thread must not leave the others waiting for it.
struct FailOnPanic<'q>(&'q WorkQueue);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        self.0.fail();
    }
}
