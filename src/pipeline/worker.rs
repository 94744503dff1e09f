//! One indexing worker: batches in, segments out. Decode, recognise repeats, parse, add to the day's shard.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bumpalo::Bump;
use serde_json::{Map, Value as Json};
use tracing::error;

use super::accounts::Counts;
use super::documents::Body;
use super::queue::{Work, WorkQueue};
use super::{Context, Detecting, IndexError};
use crate::decode::{BadEvent, Decoder, Dedupe, DedupeLimits, KafkaMessages};
use crate::detect::Observer;
use crate::ingest::{frame, kafka};
use crate::journal::Position;
use crate::parse::redact::Redactor;
use crate::parse::template::Text;
use crate::parse::{Grammar, Parser};
use crate::query;
use crate::record::time::format_rfc3339;
use crate::record::{Batch, Event, Fields, Record, Wire};
use crate::store::{self, Cut};

/// What a worker hands the committer for one cut.
pub struct Share {
    pub number: u64,
    pub cut: Cut,
    /// When the oldest batch in it was received: Unix nanoseconds. `None` when it holds nothing.
    pub oldest_received_at: Option<i64>,
    /// What became of its events, as far as that was not counted before.
    pub counts: Counts,
    /// Of the received ones among them, those that were acknowledged before this process started.
    pub recovered: u64,
}

/// Runs until the queue stops; sends its share of every cut to `shares`.
pub fn run(
    context: &Context,
    dedupe: &Dedupe,
    queue: &WorkQueue,
    shares: &std::sync::mpsc::SyncSender<Share>,
) -> Result<(), IndexError> {
    let mut worker = Worker::new(context, dedupe);
    let mut last_cut = 0;
    loop {
        match queue.pop(last_cut) {
            Work::Batch(position, batch) => {
                worker.index(position, &batch)?;
                worker.hand_over(position, queue);
            }
            Work::Cut(number) => {
                last_cut = number;
                let share = Share {
                    number,
                    cut: worker.shard.cut()?,
                    oldest_received_at: worker.oldest.take(),
                    counts: std::mem::take(&mut worker.counts),
                    recovered: std::mem::take(&mut worker.recovered),
                };
                if shares.send(share).is_err() {
                    return Ok(());
                }
            }
            Work::Stop => return Ok(()),
        }
    }
}

/// Records parsed before their texts are mined together: the miner's lock is taken once for all of them, and what they
/// take stays in the core's cache.
const MINED_TOGETHER: usize = 32;

/// A parsed line, to be added when its template is known.
#[derive(Default)]
struct Parsed<'p> {
    grammar: Option<&'p Grammar>,
    covers_line: bool,
    /// When the line says it was written: Unix nanoseconds.
    timestamp: Option<i64>,
    /// The line as its grammar wants it kept, where that is not as it came.
    masked: Option<&'p str>,
    fields: Fields<'p>,
}

/// An event that somebody has not seen yet.
struct Fresh<'e> {
    event: &'e Event<'e>,
    /// The store has it.
    stored: bool,
    /// The detectors have it.
    watched: bool,
}

/// An event that could not be decoded: its number in the batch, its bytes, why.
type Bad<'b> = (usize, &'b [u8], String);

fn reasons<'b>(bad: &[BadEvent<'b>]) -> Vec<Bad<'b>> {
    bad.iter().map(|bad| (bad.index, bad.bytes, bad.reason.to_string())).collect()
}

struct Worker<'c> {
    context: &'c Context,
    dedupe: &'c Dedupe,
    decoder: Decoder,
    shard: store::Worker,
    arena: Bump,
    repeats: Vec<bool>,
    oldest: Option<i64>,
    counts: Counts,
    recovered: u64,
    watching: Option<Watching<'c>>,
}

/// What the detectors are given.
struct Watching<'c> {
    detecting: &'c Detecting,
    observer: Observer,
    /// Repeats among batches that are read again for the detectors alone: the shards know all their events.
    replayed: Dedupe,
    repeats: Vec<bool>,
}

impl<'c> Watching<'c> {
    fn new(detecting: &'c Detecting, limits: DedupeLimits) -> Self {
        Self { detecting, observer: detecting.observer(), replayed: Dedupe::new(limits), repeats: Vec::new() }
    }

    /// Begins a batch; whether each of its events is one that detectors have seen.
    fn begin(&mut self, position: Position, batch: &Batch, events: &[Event<'_>], repeats: &[bool]) {
        self.observer.begin(position.0, batch.received_at, events.len());
        self.repeats.clear();
        if position.0 <= self.detecting.held.load(Ordering::Acquire) {
            self.replayed.check(events, batch.received_at, &mut self.repeats);
        } else {
            self.repeats.extend_from_slice(repeats);
        }
    }
}

impl<'c> Worker<'c> {
    fn new(context: &'c Context, dedupe: &'c Dedupe) -> Self {
        Self {
            context,
            dedupe,
            decoder: Decoder::new(Arc::clone(&context.streams)),
            shard: context.store.worker(),
            arena: Bump::new(),
            repeats: Vec::new(),
            oldest: None,
            counts: Counts::default(),
            recovered: 0,
            watching: context.detecting.as_deref().map(|detecting| Watching::new(detecting, context.dedupe)),
        }
    }

    /// Gives the detectors what was observed of the batch, be it nothing.
    fn hand_over(&mut self, position: Position, queue: &WorkQueue) {
        if let Some(watching) = &mut self.watching {
            let mut batch = watching.observer.finish();
            batch.position = position.0;
            watching.detecting.feed().put(batch, || queue.has_failed());
        }
    }

    fn index(&mut self, position: Position, batch: &Batch) -> Result<(), IndexError> {
        match batch.wire {
            Wire::Lumberjack => self.index_frames(position, batch),
            Wire::Http => self.index_documents(position, batch),
            Wire::Kafka => self.index_messages(position, batch),
        }
    }

    fn index_frames(&mut self, position: Position, batch: &Batch) -> Result<(), IndexError> {
        let inflated;
        let frames: &[u8] = match &batch.inflated {
            Some(frames) => frames,
            None => match frame::inflate_window(&batch.body, &self.context.limits) {
                Ok(frames) => {
                    inflated = frames;
                    &inflated
                }
                Err(error) => return self.bury_whole(position, batch, error.to_string()),
            },
        };
        // The arena belongs to the batch, and the worker to all of them.
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.events as usize);
        let mut bad = Vec::new();
        self.decoder.decode(batch, frames, &arena, &mut events, &mut bad);
        self.repeats.clear();
        self.dedupe.check(&events, batch.received_at, &mut self.repeats);
        let indexed = self.index_events(position, batch, events, &reasons(&bad), &arena);
        self.arena = arena;
        indexed
    }

    fn index_documents(&mut self, position: Position, batch: &Batch) -> Result<(), IndexError> {
        let body = match Body::of(batch) {
            Ok(body) => body,
            Err(problem) => return self.bury_whole(position, batch, problem),
        };
        let items = match body.items() {
            Ok(items) => items,
            Err(problem) => return self.bury_whole(position, batch, problem),
        };
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.events as usize);
        let mut bad = Vec::new();
        self.decoder.decode_documents(batch, &body.head.options, &items, &arena, &mut events, &mut bad);
        // Repeats were recognised when the request was answered, and are skipped.
        self.repeats.clear();
        self.repeats.resize(events.len(), false);
        let indexed = self.index_events(position, batch, events, &reasons(&bad), &arena);
        self.arena = arena;
        indexed
    }

    fn index_messages(&mut self, position: Position, batch: &Batch) -> Result<(), IndexError> {
        let body = match kafka::Body::read(&batch.body) {
            Ok(body) => body,
            Err(problem) => return self.bury_whole(position, batch, problem.to_string()),
        };
        let messages = match KafkaMessages::of(&body) {
            Ok(messages) => messages,
            Err(problem) => return self.bury_whole(position, batch, problem.to_string()),
        };
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(messages.count());
        let mut bad = Vec::new();
        self.decoder.decode_kafka(batch, &messages, &arena, &mut events, &mut bad);
        self.repeats.clear();
        match body.format {
            // Filebeat may have written an event to Kafka twice.
            kafka::Format::Filebeat => self.dedupe.check(&events, batch.received_at, &mut self.repeats),
            kafka::Format::Lines | kafka::Format::Records => self.repeats.resize(events.len(), false),
        }
        let placed = |bad: &BadEvent<'_>| format!("{}: {}", messages.place(bad.index), bad.reason);
        let bad: Vec<Bad<'_>> = bad.iter().map(|bad| (bad.index, bad.bytes, placed(bad))).collect();
        let indexed = self.index_events(position, batch, events, &bad, &arena);
        self.arena = arena;
        indexed
    }

    /// Indexes the events of a batch; `self.repeats` says which of them the store has.
    fn index_events<'b>(
        &mut self,
        position: Position,
        batch: &'b Batch,
        mut events: Vec<Event<'b>>,
        bad: &[Bad<'_>],
        arena: &'b Bump,
    ) -> Result<(), IndexError> {
        let metrics = &self.context.metrics;
        let tails = self.context.tails.subscribers();
        // One set of grammars for the whole batch.
        let parser = self.context.grammars.current();
        if let Some(watching) = &mut self.watching {
            watching.begin(position, batch, &events, &self.repeats);
        }
        // Whether the store and the detectors have an event already.
        let known = |at: usize| (self.repeats[at], self.watching.as_ref().is_none_or(|w| w.repeats[at]));
        if let Some(redactor) = &self.context.redactor {
            for (_, event) in events.iter_mut().enumerate().filter(|(at, _)| known(*at) != (true, true)) {
                mask(redactor, event, arena);
            }
        }
        let fresh: Vec<Fresh<'_>> = (0..events.len())
            .map(|at| (at, known(at)))
            .filter(|(_, known)| *known != (true, true))
            .map(|(at, (stored, watched))| Fresh { event: &events[at], stored, watched })
            .collect();
        let jobs = self.watching.as_ref().map(|watching| watching.detecting.jobs().current()).unwrap_or_default();
        let aliases = (!jobs.is_empty()).then(|| self.context.engine.language().aliases);
        let (mut parsed, mut ids) = (Vec::<Parsed<'_>>::new(), Vec::new());
        for events in fresh.chunks(MINED_TOGETHER) {
            parsed.resize_with(parsed.len().max(events.len()), Parsed::default);
            for (fresh, parsed) in events.iter().zip(&mut parsed) {
                self.parse(&parser, fresh.event, arena, parsed);
            }
            self.mine(events, &parsed, &mut ids);
            for ((fresh, parsed), template) in events.iter().zip(&parsed).zip(&ids) {
                let event = fresh.event;
                let grammar = parsed.grammar.map(Grammar::key);
                let masked = parsed.masked.map(|line| Event { message: Some(line), ..event.clone() });
                let event = masked.as_ref().unwrap_or(event);
                let dated = parsed.timestamp.map(|timestamp| dated(arena, event, timestamp));
                let event = dated.as_ref().unwrap_or(event);
                let record = Record { event, grammar, template: *template, fields: &parsed.fields };
                if !fresh.watched
                    && let Some(watching) = &mut self.watching
                {
                    watching.observer.add(&record);
                    if let Some(aliases) = &aliases {
                        let built = query::build_record(&record, &parser);
                        for job in jobs.iter() {
                            if let Some(row) = job.row(&built, event, aliases) {
                                watching.observer.add_job(job.number, row);
                            }
                        }
                    }
                }
                if fresh.stored {
                    continue;
                }
                self.shard.add(position.0, batch.received_at, &record, parsed.covers_line)?;
                if tails > 0 {
                    self.context.tails.offer(&record, &parser);
                }
            }
        }
        if !bad.is_empty() {
            self.context.bury(position, batch, bad)?;
        }
        let duplicate = self.repeats.iter().filter(|repeat| **repeat).count() as u64;
        let quarantined = self.shard.take_quarantined();
        let indexed = (events.len() as u64).saturating_sub(duplicate + quarantined);
        self.count(
            position,
            batch,
            Counts { indexed, quarantined, duplicate, dead_lettered: bad.len() as u64, received: 0 },
        );
        if position <= self.context.recovered_through {
            metrics.events_recovered.inc_by(events.len() as u64);
        }
        self.oldest = Some(self.oldest.map_or(batch.received_at, |t| t.min(batch.received_at)));
        Ok(())
    }

    /// Keeps a batch that cannot be read where a person can look at it; the rest goes on. It was sound when it was
    /// received and its checksum still holds, so this is a newer or older loghound's doing.
    fn bury_whole(&mut self, position: Position, batch: &Batch, problem: String) -> Result<(), IndexError> {
        error!(position = position.0, peer = batch.peer, problem, "cannot read a journalled batch");
        self.context.bury(position, batch, &[(0, &batch.body, problem)])?;
        self.count(position, batch, Counts { dead_lettered: u64::from(batch.events), ..Counts::default() });
        Ok(())
    }

    /// Counts what became of a batch's events, unless that was done before the last start.
    fn count(&mut self, position: Position, batch: &Batch, outcome: Counts) {
        if position <= self.context.accounts.through() {
            return;
        }
        let received = u64::from(batch.events);
        self.counts += Counts { received, ..outcome };
        if position <= self.context.recovered_through {
            self.recovered += received;
        }
    }

    fn parse<'e>(&self, parser: &'e Parser, event: &'e Event<'_>, arena: &'e Bump, parsed: &mut Parsed<'e>) {
        let metrics = &self.context.metrics;
        let Parsed { grammar, covers_line, timestamp, masked, fields } = parsed;
        fields.clear();
        *grammar = event.message.and_then(|line| parser.parse(&event.stream, line, fields)).map(Arc::as_ref);
        let hidden = grammar.zip(event.message).and_then(|(grammar, line)| grammar.masked(line));
        *masked = hidden.map(|line| &*arena.alloc_str(&line));
        *timestamp = grammar.and_then(|grammar| grammar.timestamp(fields, event.timestamp));
        fields.leave_envelope_alone();
        match (*grammar, event.message) {
            (Some(grammar), _) => metrics.parse_records.of(grammar.name).inc(),
            (None, Some(_)) => metrics.parse_unparsed.of("no_grammar").inc(),
            (None, None) => {}
        }
        *covers_line = grammar.zip(event.message).is_some_and(|(grammar, line)| grammar.covers(line));
    }

    /// Finds the templates of parsed records: `ids`, one for each event.
    fn mine(&self, events: &[Fresh<'_>], parsed: &[Parsed<'_>], ids: &mut Vec<Option<u64>>) {
        ids.clear();
        match &self.context.templates {
            None => ids.resize(events.len(), None),
            Some(templates) => {
                let texts = events.iter().map(|fresh| fresh.event).zip(parsed).map(|(event, parsed)| {
                    Some((Text::of(parsed.grammar, event.message, &parsed.fields)?, event.timestamp))
                });
                templates.observe(texts, ids);
            }
        }
    }
}

/// Hides what must not be kept, in the line and in what else the sender says of it. The event's identity was made of what
/// was sent, so that a repeat is known.
pub(super) fn mask<'e>(redactor: &Redactor, event: &mut Event<'e>, arena: &'e Bump) {
    for text in [&mut event.message, &mut event.extra].into_iter().flatten() {
        if let Cow::Owned(masked) = redactor.mask(text) {
            *text = arena.alloc_str(&masked);
        }
    }
}

/// An event at the time its line tells. When its sender read it stands under `event.created` then.
fn dated<'e>(arena: &'e Bump, event: &Event<'e>, timestamp: i64) -> Event<'e> {
    let sent = format_rfc3339(event.timestamp);
    let extra = match event.extra.map(serde_json::from_str::<Map<String, Json>>) {
        Some(Ok(mut extra)) => {
            let slot = extra.entry("event").or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(members) = slot {
                members.entry("created").or_insert(Json::String(sent));
            }
            &*arena.alloc_str(&Json::Object(extra).to_string())
        }
        _ => arena.alloc_str(&format!("{{\"event\":{{\"created\":\"{sent}\"}}}}")),
    };
    Event { timestamp, extra: Some(extra), ..event.clone() }
}
