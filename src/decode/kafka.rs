//! Messages of Kafka as events. A record is what stands at (topic, partition, offset).
//!
//! - **Lines**: a stream is a partition (`kafka.topic`, `kafka.partition`, and the topic as `service.name`); `log.offset` is the
//!   message's offset, its time the message's.
//! - **Filebeat**: the event as if it had come by Lumberjack. One with a position in its file has its identity by that, so
//!   that what Filebeat wrote to Kafka twice is there once.
//! - **Records**: a document, as if it had come by HTTP to the index that the topic is.

use std::borrow::Cow;
use std::sync::Arc;

use bumpalo::Bump;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

use super::decoder::{BadEvent, BadReason, Context, Decoder};
use super::frames::DataFrame;
use super::identity;
use crate::ingest::http::{Action, Item, Options};
use crate::ingest::kafka::{Body, BodyError, Format, Message, Part};
use crate::record::{Batch, Event, Stream};

const NANOS_PER_MS: i64 = 1_000_000;

/// A body's messages, told apart.
pub struct Messages<'b> {
    body: &'b Body,
    list: Vec<Message<'b>>,
    /// The messages as documents, where they are records.
    items: Vec<Item<'b>>,
}

impl<'b> Messages<'b> {
    pub fn of(body: &'b Body) -> Result<Self, BodyError> {
        let list = body.messages()?;
        let item = |message: &Message<'b>| {
            let index = Cow::Borrowed(&*body.parts[message.part].topic);
            Item { action: Action::Index, index, id: None, document: Ok(message.value) }
        };
        let items = if body.format == Format::Records { list.iter().map(item).collect() } else { Vec::new() };
        Ok(Self { body, list, items })
    }

    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Where a message is, for people.
    pub fn place(&self, index: usize) -> String {
        let message = &self.list[index];
        let part = &self.body.parts[message.part];
        format!("topic {} partition {} offset {}", part.topic, part.partition, message.offset)
    }
}

impl Decoder {
    /// Decodes all messages, in their order; what cannot be decoded goes to `bad` under its message's number.
    pub fn decode_kafka<'b>(
        &mut self,
        batch: &'b Batch,
        messages: &'b Messages<'b>,
        arena: &'b Bump,
        out: &mut Vec<Event<'b>>,
        bad: &mut Vec<BadEvent<'b>>,
    ) {
        let Messages { body, list: messages, items } = messages;
        match body.format {
            Format::Lines => return self.lines(batch, body, messages, arena, out, bad),
            Format::Filebeat => {
                let frames = messages.iter().map(|message| DataFrame::Json { seq: 0, body: message.value });
                self.decode_frames(batch, frames, arena, out, bad);
            }
            Format::Records => {
                let (time_fields, message_fields) = (body.time_fields.clone(), body.message_fields.clone());
                let options = Options { time_fields, message_fields, ..Options::default() };
                self.decode_documents(batch, &options, items, arena, out, bad);
            }
        }
        let mut bad = bad.iter().map(|bad| bad.index).peekable();
        let good = messages.iter().enumerate().filter(|(at, _)| bad.next_if_eq(at).is_none());
        for (event, (_, message)) in out.iter_mut().zip(good) {
            if body.format == Format::Records || !event.positioned {
                let part = &body.parts[message.part];
                event.mark = identity::placed(&part.topic, part.partition, message.offset);
                event.positioned = true;
            }
        }
    }

    fn lines<'b>(
        &mut self,
        batch: &'b Batch,
        body: &Body,
        messages: &[Message<'b>],
        arena: &'b Bump,
        out: &mut Vec<Event<'b>>,
        bad: &mut Vec<BadEvent<'b>>,
    ) {
        let context = Context { batch, arena, generation: self.streams.begin(), peer_hash: 0 };
        let streams: Vec<Arc<Stream>> = body.parts.iter().map(|part| self.partition(context, part)).collect();
        for (index, message) in messages.iter().enumerate() {
            let line = match simdutf8::basic::from_utf8(message.value) {
                Ok(line) => line.trim_end_matches(['\r', '\n']),
                Err(_) => {
                    let valid_up_to = std::str::from_utf8(message.value).map_or_else(|e| e.valid_up_to(), str::len);
                    bad.push(BadEvent { index, bytes: message.value, reason: BadReason::NotUtf8 { valid_up_to } });
                    continue;
                }
            };
            out.push(Event {
                stream: Arc::clone(&streams[message.part]),
                timestamp: message.timestamp_ms.map_or(batch.received_at, |ms| ms.saturating_mul(NANOS_PER_MS)),
                message: Some(line),
                offset: Some(message.offset as u64),
                mark: identity::line(line),
                positioned: true,
                extra: None,
            });
        }
    }

    fn partition(&mut self, context: Context<'_>, part: &Part) -> Arc<Stream> {
        let name = format!("kafka\0{}\0{}\0{}", context.batch.peer, part.topic, part.partition);
        let raw = xxh3_128(name.as_bytes());
        let streams = Arc::clone(&self.streams);
        self.stream(raw, context.generation, || {
            let fields = json!({
                "kafka": {"topic": part.topic, "partition": part.partition},
                "service": {"name": part.topic},
            });
            let fields = fields.as_object().cloned().unwrap_or_default();
            (streams.insert(Some(raw), fields, &context.batch.peer), true)
        })
    }
}
