//! One worker's decoder: from a batch's frames to events.

use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::xxh3_128;

use super::event::{Extras, Scanned};
use super::frames::{DataFrame, DataFrames, Pairs};
use super::identity::{self, Own, Rule};
use super::marks::Marks;
use super::scan::BadJson;
use super::streams::{Known, Streams};
use super::{event, extra, fields, pairs};
use crate::record::{Batch, Event};

/// Why an event could not be decoded. It goes to the dead letters with this text; the batch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    #[error("not UTF-8 from byte {valid_up_to} on: set the input's `encoding` at the sender")]
    NotUtf8 { valid_up_to: usize },
    #[error("not JSON: {0}")]
    NotJson(#[from] BadJson),
    #[error("JSON, but not an object: an event is one object")]
    NotAnObject,
    #[error("the document has a member {0}, which belongs to the index: leave it out, or give it another name")]
    Reserved(&'static str),
}

/// An event that could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEvent<'b> {
    /// Its place among the batch's data frames, from 0.
    pub index: usize,
    /// Its bytes, as received.
    pub bytes: &'b [u8],
    pub reason: BadReason,
}

/// Slots of the decoder's own small cache in front of [`Streams`]; a power of two.
const NEAR_SLOTS: usize = 1024;

/// One worker's decoder. Keeps its buffers from event to event.
#[derive(Debug)]
pub struct Decoder {
    pub(super) streams: Arc<Streams>,
    near: Vec<Option<(u128, Arc<Known>)>>,
    pub(super) scratch: String,
    pub(super) extras: Extras,
    marks: Marks,
}

/// What all events of a batch share.
#[derive(Clone, Copy)]
pub(super) struct Context<'b> {
    pub batch: &'b Batch,
    pub arena: &'b Bump,
    pub generation: u32,
    pub peer_hash: u128,
}

impl Decoder {
    pub fn new(streams: Arc<Streams>) -> Self {
        let near = (0..NEAR_SLOTS).map(|_| None).collect();
        Self { streams, near, scratch: String::new(), extras: Extras::default(), marks: Marks::default() }
    }

    /// Decodes the data frames of `batch` (`J` and `D`, uncompressed), in their order. What cannot be decoded goes
    /// to `bad` and stops nothing. Events borrow from `frames` where the bytes are as sent, else from `arena`.
    pub fn decode<'b>(
        &mut self,
        batch: &'b Batch,
        frames: &'b [u8],
        arena: &'b Bump,
        out: &mut Vec<Event<'b>>,
        bad: &mut Vec<BadEvent<'b>>,
    ) {
        self.decode_frames(batch, DataFrames::new(frames), arena, out, bad);
    }

    /// As [`Decoder::decode`], with the frames already found.
    pub fn decode_frames<'b>(
        &mut self,
        batch: &'b Batch,
        frames: impl Iterator<Item = DataFrame<'b>>,
        arena: &'b Bump,
        out: &mut Vec<Event<'b>>,
        bad: &mut Vec<BadEvent<'b>>,
    ) {
        let peer_hash = xxh3_128(batch.peer.as_bytes());
        let context = Context { batch, arena, generation: self.streams.begin(), peer_hash };
        for (index, frame) in frames.enumerate() {
            match frame {
                DataFrame::Json { body, .. } => match self.json(context, body) {
                    Ok(event) => out.push(event),
                    Err(reason) => bad.push(BadEvent { index, bytes: body, reason }),
                },
                DataFrame::Pairs { pairs, .. } => out.push(self.pairs(context, pairs)),
            }
        }
    }

    fn json<'b>(&mut self, context: Context<'b>, body: &'b [u8]) -> Result<Event<'b>, BadReason> {
        let (text, scanned) = self.read(context, body)?;
        Ok(self.finish(context, text, scanned))
    }

    /// The text of an object, written anew where its raw bytes cannot be trusted, and what the walk found in it.
    #[inline]
    pub(super) fn read<'b>(
        &mut self,
        context: Context<'b>,
        body: &'b [u8],
    ) -> Result<(&'b str, Scanned<'b>), BadReason> {
        let text = match simdutf8::basic::from_utf8(body) {
            Ok(text) => text,
            Err(_) => return Err(not_utf8(body)),
        };
        let scanned = self.scan(context, text)?;
        if !scanned.irregular {
            return Ok((text, scanned));
        }
        let text = rewrite(text, context.arena)?;
        Ok((text, self.scan(context, text)?))
    }

    #[inline]
    pub(super) fn scan<'b>(&mut self, context: Context<'b>, text: &'b str) -> Result<Scanned<'b>, BadReason> {
        event::scan(text, &self.streams.keys, context.arena, &mut self.scratch, &mut self.extras, &mut self.marks)
    }

    #[inline]
    fn finish<'b>(&mut self, context: Context<'b>, text: &'b str, scanned: Scanned<'b>) -> Event<'b> {
        let raw = scanned.stream.to_u128() ^ context.peer_hash;
        let streams = Arc::clone(&self.streams);
        let stream = self.stream(raw, context.generation, || {
            let fields = fields::of_event(parse_object(text));
            // Keys that come twice add up to the same sum in any order, but only the last one counts: such an event
            // is decoded every time, and no other is taken for it.
            let unique = fields::leaves(&fields) == scanned.stream.leaves;
            (streams.insert(unique.then_some(raw), fields, &context.batch.peer), unique)
        });
        let extra = if self.extras.is_empty() {
            None
        } else {
            extra::write(text, &self.extras, scanned.spaced, &mut self.scratch);
            Some(&*context.arena.alloc_str(&self.scratch))
        };
        let own = Own {
            id: scanned.id,
            offset: scanned.offset,
            timestamp: scanned.timestamp,
            message: scanned.message,
            rest: 0,
        };
        assemble(context, stream, own, extra)
    }

    fn pairs<'b>(&mut self, context: Context<'b>, frame: Pairs<'b>) -> Event<'b> {
        let sorted = pairs::sort(frame);
        let raw = sorted.stream_hash(&self.streams.keys).to_u128() ^ context.peer_hash;
        let streams = Arc::clone(&self.streams);
        let stream = self.stream(raw, context.generation, || {
            (streams.insert(Some(raw), sorted.stream_fields(), &context.batch.peer), true)
        });
        let extra =
            (!sorted.extra.is_empty()).then(|| &*context.arena.alloc_str(&Json::Object(sorted.extra).to_string()));
        let message = sorted.message.map(|text| match text {
            std::borrow::Cow::Borrowed(text) => text,
            std::borrow::Cow::Owned(text) => context.arena.alloc_str(&text),
        });
        let own = Own { id: None, offset: sorted.offset, timestamp: sorted.timestamp, message, rest: 0 };
        assemble(context, stream, own, extra)
    }

    /// The stream under a raw hash: in the worker's own cache, in the shared one, or decoded by `new`.
    #[inline]
    pub(super) fn stream(
        &mut self,
        raw: u128,
        generation: u32,
        new: impl FnOnce() -> (Arc<Known>, bool),
    ) -> Arc<crate::record::Stream> {
        let slot = &mut self.near[raw as usize & (NEAR_SLOTS - 1)];
        if let Some((near, known)) = slot
            && *near == raw
        {
            known.touch(generation);
            return Arc::clone(&known.stream);
        }
        let (known, keep) = match self.streams.find(raw) {
            Some(known) => (known, true),
            None => new(),
        };
        known.touch(generation);
        let stream = Arc::clone(&known.stream);
        if keep {
            *slot = Some((raw, known));
        }
        stream
    }
}

fn assemble<'b>(
    context: Context<'b>,
    stream: Arc<crate::record::Stream>,
    mut own: Own<'b>,
    extra: Option<&'b str>,
) -> Event<'b> {
    let whole = Rule::of(stream.identity_seed) == Rule::Whole;
    let needs_rest = whole || own.message.is_none() || own.offset.is_none();
    if needs_rest && let Some(extra) = extra {
        own.rest = extra::hash(extra);
    }
    let (mark, positioned) = identity::mark(&stream, &own);
    let timestamp = own.timestamp.unwrap_or(context.batch.received_at);
    Event { stream, timestamp, message: own.message, offset: own.offset, mark, positioned, extra }
}

#[cold]
fn not_utf8(body: &[u8]) -> BadReason {
    let valid_up_to = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
    BadReason::NotUtf8 { valid_up_to }
}

/// Writes an event anew: each key once (the last wins), escapes only where needed, no lone surrogates.
#[cold]
pub(super) fn rewrite<'b>(text: &str, arena: &'b Bump) -> Result<&'b str, BadReason> {
    Ok(arena.alloc_str(&Json::Object(parse_object(text)).to_string()))
}

/// Parses a text that the scanner accepted as an object.
#[cold]
pub(super) fn parse_object(text: &str) -> Map<String, Json> {
    match serde_json::from_str(text) {
        Ok(object) => object,
        // The one thing the scanner accepts and serde_json does not: lone surrogates.
        Err(_) => serde_json::from_str(&replace_lone_surrogates(text)).unwrap_or_default(),
    }
}

/// Replaces the escapes of lone surrogates by that of U+FFFD.
fn replace_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(backslash) = text[at..].find('\\').map(|i| at + i) {
        out.push_str(&text[at..backslash]);
        let (escape, length) = match (unit(backslash), unit(backslash + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&text[backslash..backslash + 12], 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            _ => (&text[backslash..backslash + 2], 2),
        };
        out.push_str(escape);
        at = backslash + length;
    }
    out.push_str(&text[at..]);
    out
}
