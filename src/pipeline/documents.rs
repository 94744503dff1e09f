//! Documents that came by HTTP, made durable while their client waits.
//!
//! The client is told of each document whether it is new, so repeats are recognised here and not by the workers: under
//! one lock a batch is compared with the window of known identities and gets its place in the journal, and the journal
//! keeps which of its items are not taken. A repeat is acknowledged only when the first copy is durable, which it is when
//! everything that was appended so far is. The window is rebuilt at a start, from the shards and from what the journal
//! holds beyond them, before the first document is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bumpalo::Bump;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, warn};

use super::{Context, IndexError};
use crate::decode::{Decoder, Dedupe, DedupeLimits};
use crate::ingest::http::{self, Declined, Head, Item, Outcome, Received, Refused, Request, Taken};
use crate::journal::{Journal, Position};
use crate::query::event_id;
use crate::record::{Batch, Event, Wire};

/// How long a request waits for room in the journal before its client is told to come again.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// How long one waits for a start to end.
const START_WAIT: Duration = Duration::from_secs(5);
/// How long one waits to be searchable: then it is at least durable.
const SEARCHABLE_WAIT: Duration = Duration::from_secs(20);
/// Bytes that a number in the list of items not taken needs at most, with its comma.
const SKIP_BYTES: usize = 11;

/// The window of known documents, and how far indexing is.
pub struct Documents {
    taken: Mutex<Taking>,
    is_ready: AtomicBool,
    committed: watch::Sender<Position>,
}

struct Taking {
    known: Dedupe,
    /// The newest batch.
    last: Position,
}

impl Documents {
    pub fn new(limits: DedupeLimits) -> Self {
        Self {
            taken: Mutex::new(Taking { known: Dedupe::new(limits), last: Position(0) }),
            is_ready: AtomicBool::new(false),
            committed: watch::Sender::new(Position(0)),
        }
    }

    /// An identity that a shard holds; newest first.
    pub fn restore(&self, sender: &str, id: u64, now: i64) {
        self.taken.lock().known.restore(sender, id, now);
    }

    /// Remembers what the journal holds beyond the shards. Once a process, before indexing starts.
    pub fn recall(&self, context: &Context, after: Position) -> Result<(), IndexError> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut reader = context.journal.reader(after);
        let mut decoder = Decoder::new(std::sync::Arc::clone(&context.streams));
        let mut repeats = Vec::new();
        // Beyond what was there at the start nothing can be: no document is taken yet.
        while let Some((position, entry)) = reader.try_next()? {
            for damage in reader.take_damages() {
                error!(%damage, "journal damage");
                context.metrics.journal_damages.inc();
            }
            if position > context.recovered_through {
                break;
            }
            let Ok(batch) = Batch::from_entry(entry) else { continue };
            if batch.wire == Wire::Kafka {
                context.kafka.recall(&batch);
            }
            if batch.wire != Wire::Http {
                continue;
            }
            let read = Body::of(&batch).and_then(|body| {
                let items = body.items()?;
                let (arena, mut events, mut bad) = (Bump::new(), Vec::new(), Vec::new());
                decoder.decode_documents(&batch, &body.head.options, &items, &arena, &mut events, &mut bad);
                self.taken.lock().known.check(&events, batch.received_at, &mut repeats);
                Ok(())
            });
            if let Err(problem) = read {
                warn!(position = position.0, problem, "cannot read a journalled request");
            }
        }
        // What the journal holds is acknowledged and not searchable yet: who asks for that waits for it.
        self.taken.lock().last = context.recovered_through;
        self.committed(after);
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Everything up to there can be found.
    pub fn committed(&self, position: Position) {
        self.committed.send_if_modified(|last| {
            let rises = position > *last;
            *last = position.max(*last);
            rises
        });
    }

    /// Waits until all that was taken so far can be found; false when that takes too long.
    pub fn wait_searchable(&self, runtime: &Handle) -> bool {
        let last = self.taken.lock().last;
        let mut committed = self.committed.subscribe();
        let found = async { tokio::time::timeout(SEARCHABLE_WAIT, committed.wait_for(|at| *at >= last)).await.is_ok() };
        runtime.block_on(found)
    }

    /// Takes a request's documents; returns when they are durable. Blocks: not for the event loop.
    pub fn receive(&self, context: &Context, runtime: &Handle, request: Request) -> Result<Received, Declined> {
        if context.is_copy {
            return Err(Declined::Stopping("this is a copy to look at: nothing is added to it".into()));
        }
        self.wait_ready()?;
        let received_at = context.clock.now();
        let body = request.text;
        let mut head = Head { source: request.source, encoding: request.encoding, options: request.options };
        let whole = Batch {
            wire: Wire::Http,
            received_at,
            peer: request.peer.to_string(),
            events: 0,
            body: Bytes::new(),
            inflated: None,
        };
        let reading = head.clone();
        let items = http::items(&reading, &body)?;
        let (arena, mut events, mut bad) = (Bump::new(), Vec::new(), Vec::new());
        let mut decoder = Decoder::new(std::sync::Arc::clone(&context.streams));
        decoder.decode_documents(&whole, &reading.options, &items, &arena, &mut events, &mut bad);
        let bad: Vec<(usize, String)> = bad.iter().map(|bad| (bad.index, bad.reason.to_string())).collect();
        let outcomes = |repeats: &[bool]| outcomes(&items, &events, &bad, repeats);
        if events.is_empty() {
            return Ok(Received { outcomes: outcomes(&[]) });
        }
        let bytes = whole.header().len() + head.bytes().len() + 16 + items.len() * SKIP_BYTES + request.body.len();
        let room = async { tokio::time::timeout(ROOM_WAIT, context.journal.reserve(bytes as u64)).await };
        let room = match runtime.block_on(room) {
            Ok(Ok(room)) => room,
            Ok(Err(crate::journal::Error::Closed)) => return Err(Declined::Stopping("loghound is stopping".into())),
            Ok(Err(error)) => return Err(Declined::Stopping(error.to_string())),
            Err(_) => return Err(Declined::Busy("the journal is full, or the disk is: send again later")),
        };

        let mut repeats = Vec::new();
        let mut taking = self.taken.lock();
        taking.known.check(&events, received_at, &mut repeats);
        let fresh = repeats.iter().filter(|repeat| !**repeat).count();
        let outcomes = outcomes(&repeats);
        let ticket = (fresh > 0).then(|| {
            let not_taken = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.result != Taken::Stored);
            head.options.skip = not_taken.map(|(at, _)| at as u32).collect();
            let batch =
                Batch { events: fresh as u32, body: head.bytes(), inflated: Some(body.clone()), ..whole.clone() };
            let parts = vec![batch.header(), batch.body.clone(), request.body.clone()];
            let ticket = context.journal.append(room, parts);
            context.live.put(ticket.position, batch);
            taking.last = ticket.position;
            ticket
        });
        let last = taking.last;
        drop(taking);
        let stopping = |error: crate::journal::Error| Declined::Stopping(error.to_string());
        match ticket {
            Some(ticket) => ticket.durable.wait_blocking().map_err(stopping)?,
            None => wait_durable(&context.journal, runtime, last)?,
        }
        let metrics = &context.metrics;
        metrics.events_received.inc_by(events.len() as u64);
        metrics.events_duplicate.inc_by((events.len() - fresh) as u64);
        metrics.batches.inc();
        metrics.received_bytes.inc_by(bytes as u64);
        if request.searchable {
            self.wait_searchable(runtime);
        }
        Ok(Received { outcomes })
    }

    /// What the journal holds is known.
    #[cfg(feature = "kafka")]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    fn wait_ready(&self) -> Result<(), Declined> {
        let until = Instant::now() + START_WAIT;
        while !self.is_ready.load(Ordering::Acquire) {
            if Instant::now() >= until {
                return Err(Declined::Busy("loghound is starting and reads what it knows: send again later"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn wait_durable(journal: &Journal, runtime: &Handle, position: Position) -> Result<(), Declined> {
    let mut durable = journal.durable();
    let waited = runtime.block_on(async { durable.wait_for(|at| *at >= position).await.map(|_| ()) });
    waited.map_err(|_| Declined::Stopping("loghound is stopping".to_owned()))
}

/// What became of each item. `repeats` is one for each event.
fn outcomes(items: &[Item<'_>], events: &[Event<'_>], bad: &[(usize, String)], repeats: &[bool]) -> Vec<Outcome> {
    let mut events = events.iter().zip(repeats);
    let mut bad = bad.iter().peekable();
    let outcome = |(at, item): (usize, &Item<'_>)| {
        let given = || item.id.as_deref().unwrap_or_default().to_owned();
        let (id, result) = match &item.document {
            Err(refused) => (given(), Taken::Refused(refused.clone())),
            Ok(_) => match bad.next_if(|(index, _)| *index == at) {
                Some((_, reason)) => {
                    let reason = format!("failed to parse: {reason}");
                    (given(), Taken::Refused(Refused { kind: "document_parsing_exception", reason }))
                }
                None => match events.next() {
                    Some((event, repeat)) => {
                        let id =
                            item.id.as_deref().map_or_else(|| event_id(event.stream.key, event.id()), str::to_owned);
                        (id, if *repeat { Taken::Known } else { Taken::Stored })
                    }
                    // Not reached: what is not bad is an event.
                    None => (given(), Taken::Known),
                },
            },
        };
        Outcome { action: item.action, index: item.index.clone().into_owned(), id, is_named: item.id.is_some(), result }
    };
    items.iter().enumerate().map(outcome).collect()
}

/// A batch's request, read back.
pub struct Body {
    pub head: Head,
    pub bytes: Bytes,
}

impl Body {
    /// The request of a batch from memory or from the journal. No limit is asked: it was taken once.
    pub fn of(batch: &Batch) -> Result<Self, String> {
        let (head, start) = Head::read(&batch.body).map_err(|error| error.to_string())?;
        let bytes = match &batch.inflated {
            Some(bytes) => bytes.clone(),
            None => http::inflate(head.encoding, &batch.body.slice(start..), usize::MAX - 1)
                .map_err(|error| error.to_string())?,
        };
        Ok(Self { head, bytes })
    }

    pub fn items(&self) -> Result<Vec<Item<'_>>, String> {
        http::items(&self.head, &self.bytes).map_err(|error| error.to_string())
    }
}
