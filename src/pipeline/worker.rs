//! One indexing worker: batches in, segments out. Decode, recognise repeats, parse, add to the day's shard.

use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Map, Value as Json};
use tracing::warn;

use super::queue::{Work, WorkQueue};
use super::{Context, IndexError};
use crate::decode::{Decoder, Dedupe};
use crate::ingest::frame;
use crate::journal::Position;
use crate::parse::template::Text;
use crate::parse::{Grammar, Parser};
use crate::record::time::format_rfc3339;
use crate::record::{Batch, Event, Fields, Record};
use crate::store::{self, Cut};

/// What a worker hands the committer for one cut.
pub struct Share {
    pub number: u64,
    pub cut: Cut,
    /// When the oldest batch in it was received: Unix nanoseconds. `None` when it holds nothing.
    pub oldest_received_at: Option<i64>,
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
            Work::Batch(position, batch) => worker.index(position, &batch)?,
            Work::Cut(number) => {
                last_cut = number;
                let share = Share { number, cut: worker.shard.cut()?, oldest_received_at: worker.oldest.take() };
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
    fields: Fields<'p>,
}

struct Worker<'c> {
    context: &'c Context,
    dedupe: &'c Dedupe,
    decoder: Decoder,
    shard: store::Worker,
    arena: Bump,
    repeats: Vec<bool>,
    oldest: Option<i64>,
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
        }
    }

    fn index(&mut self, position: Position, batch: &Batch) -> Result<(), IndexError> {
        let inflated;
        let frames: &[u8] = match &batch.inflated {
            Some(frames) => frames,
            None => match frame::inflate_window(&batch.body, &self.context.limits) {
                Ok(frames) => {
                    inflated = frames;
                    &inflated
                }
                // It was sound when it was received and its checksum still holds, so this is a newer or older
                // loghound's doing; the bytes go where a person can look at them, and the rest goes on.
                Err(error) => {
                    warn!(position = position.0, peer = batch.peer, %error, "cannot read a journalled window");
                    return self.context.bury(position, batch, &[(0, &batch.body, error.to_string())]);
                }
            },
        };
        self.arena.reset();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.events as usize);
        let mut bad = Vec::new();
        self.decoder.decode(batch, frames, &self.arena, &mut events, &mut bad);
        self.repeats.clear();
        self.dedupe.check(&events, batch.received_at, &mut self.repeats);

        let metrics = &self.context.metrics;
        let tails = self.context.tails.subscribers();
        // One set of grammars for the whole batch.
        let parser = self.context.grammars.current();
        let fresh: Vec<&Event<'_>> =
            events.iter().zip(&self.repeats).filter(|(_, repeat)| !**repeat).map(|(event, _)| event).collect();
        let (mut parsed, mut ids) = (Vec::<Parsed<'_>>::new(), Vec::new());
        for events in fresh.chunks(MINED_TOGETHER) {
            parsed.resize_with(parsed.len().max(events.len()), Parsed::default);
            for (event, parsed) in events.iter().zip(&mut parsed) {
                self.parse(&parser, event, parsed);
            }
            self.mine(events, &parsed, &mut ids);
            for ((event, parsed), template) in events.iter().zip(&parsed).zip(&ids) {
                let grammar = parsed.grammar.map(Grammar::key);
                let dated = parsed.timestamp.map(|timestamp| dated(&self.arena, event, timestamp));
                let event = dated.as_ref().unwrap_or(event);
                let record = Record { event, grammar, template: *template, fields: &parsed.fields };
                self.shard.add(position.0, &record, parsed.covers_line)?;
                if tails > 0 {
                    self.context.tails.offer(&record, &parser);
                }
            }
        }
        let (indexed, repeated) = (fresh.len() as u64, (events.len() - fresh.len()) as u64);
        if !bad.is_empty() {
            let bad: Vec<_> = bad.iter().map(|b| (b.index, b.bytes, b.reason.to_string())).collect();
            self.context.bury(position, batch, &bad)?;
        }
        metrics.events_indexed.inc_by(indexed);
        metrics.events_duplicate.inc_by(repeated);
        if position <= self.context.recovered_through {
            metrics.events_recovered.inc_by(events.len() as u64);
        }
        self.oldest = Some(self.oldest.map_or(batch.received_at, |t| t.min(batch.received_at)));
        Ok(())
    }

    fn parse<'e>(&self, parser: &'e Parser, event: &'e Event<'_>, parsed: &mut Parsed<'e>) {
        let metrics = &self.context.metrics;
        let Parsed { grammar, covers_line, timestamp, fields } = parsed;
        fields.clear();
        *grammar = event.message.and_then(|line| parser.parse(&event.stream, line, fields)).map(Arc::as_ref);
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
    fn mine(&self, events: &[&Event<'_>], parsed: &[Parsed<'_>], ids: &mut Vec<Option<u64>>) {
        ids.clear();
        match &self.context.templates {
            None => ids.resize(events.len(), None),
            Some(templates) => {
                let texts = events.iter().zip(parsed).map(|(event, parsed)| {
                    Some((Text::of(parsed.grammar, event.message, &parsed.fields)?, event.timestamp))
                });
                templates.observe(texts, ids);
            }
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
