//! Documents that came by HTTP as events. They are walked as any event is; what differs is who says what they are:
//!
//! - **Index**: it stands with the stream, as `_index`.
//! - **Identity**: the client's `_id` within the index, kept as `_id`. Under `create` there is one document of it; under
//!   `index` each content is one, because records are never overwritten. Without an `_id`, a position in a file as for any
//!   event; else the content with its own time, for as long as such events are remembered, the second of two equal ones
//!   in a request being another event; else nothing: a document without a time of its own is always new.
//! - **Time and line**: where a request names the members that hold them, these become `@timestamp` and `message`.
//!   Times are read as other programs write them ([`time::parse_loose`]).

use std::collections::HashMap;
use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::xxh3_64;

use super::decoder::{BadEvent, BadReason, Context, Decoder, parse_object};
use super::event::Scanned;
use super::identity::{self, Own, Rule};
use super::streams::INDEX_KEY;
use super::{extra, fields};
use crate::ingest::http::{Action, Item, Options};
use crate::record::{Batch, Event, lookup_path as lookup, time};

/// Members that a document cannot have.
const RESERVED: [&str; 2] = ["_id", "_index"];

impl Decoder {
    /// Decodes those of `items` that are not to be skipped, in their order; what cannot be decoded goes to `bad` under its
    /// item's number.
    pub fn decode_documents<'b>(
        &mut self,
        batch: &'b Batch,
        options: &Options,
        items: &'b [Item<'b>],
        arena: &'b Bump,
        out: &mut Vec<Event<'b>>,
        bad: &mut Vec<BadEvent<'b>>,
    ) {
        let context = Context { batch, arena, generation: self.streams.begin(), peer_hash: 0 };
        let mut equal = HashMap::new();
        let mut skip = options.skip.iter().map(|n| *n as usize).peekable();
        for (index, item) in items.iter().enumerate() {
            if skip.next_if_eq(&index).is_some() {
                continue;
            }
            let Ok(bytes) = item.document else { continue };
            match self.document(context, options, item, index, &mut equal) {
                Ok(event) => out.push(event),
                Err(reason) => bad.push(BadEvent { index, bytes, reason }),
            }
        }
    }

    fn document<'b>(
        &mut self,
        context: Context<'b>,
        options: &Options,
        item: &Item<'b>,
        place: usize,
        equal: &mut HashMap<u64, u32>,
    ) -> Result<Event<'b>, BadReason> {
        let body = item.document.as_ref().copied().unwrap_or_default();
        let (mut text, mut scanned) = self.read(context, body)?;
        let wants_time = scanned.timestamp.is_none() && self.extras.bad_timestamp.is_none();
        let wants_message = scanned.message.is_none();
        let wanted =
            (wants_time && !options.time_fields.is_empty()) || (wants_message && !options.message_fields.is_empty());
        if wanted && let Some(renamed) = renamed(text, options) {
            text = context.arena.alloc_str(&renamed);
            scanned = self.scan(context, text)?;
        }
        for name in RESERVED {
            let is_it = |(start, _): &(usize, usize)| {
                text[*start..].strip_prefix('"').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('"')).is_some()
            };
            if self.extras.top.iter().any(is_it) {
                return Err(BadReason::Reserved(name));
            }
        }
        if let Some((start, end)) = self.extras.bad_timestamp {
            scanned.timestamp = time::parse_loose(&text[start..end]);
            if scanned.timestamp.is_some() {
                self.extras.bad_timestamp = None;
            }
        }
        Ok(self.document_event(context, item, place, equal, text, scanned))
    }

    fn document_event<'b>(
        &mut self,
        context: Context<'b>,
        item: &Item<'b>,
        place: usize,
        equal: &mut HashMap<u64, u32>,
        text: &'b str,
        mut scanned: Scanned<'b>,
    ) -> Event<'b> {
        let leaves = scanned.stream.leaves;
        scanned.stream.add(self.streams.keys.leaf(self.streams.keys.child(0, b"_index"), item.index.as_bytes()));
        let raw = scanned.stream.to_u128();
        let streams = Arc::clone(&self.streams);
        let stream = self.stream(raw, context.generation, || {
            let mut fields = fields::of_event(parse_object(text));
            let unique = fields::leaves(&fields) == leaves;
            fields.insert(INDEX_KEY.to_owned(), Json::from(&*item.index));
            (streams.insert(unique.then_some(raw), fields, &context.batch.peer), unique)
        });
        let mut extra: Option<&'b str> = None;
        if !self.extras.is_empty() || item.id.is_some() {
            extra::write(text, &self.extras, scanned.spaced, &mut self.scratch);
            if let Some(id) = &item.id {
                self.scratch.pop();
                if self.scratch.len() > 1 {
                    self.scratch.push(',');
                }
                self.scratch.push_str("\"_id\":");
                self.scratch.push_str(&Json::from(&**id).to_string());
                self.scratch.push('}');
            }
            extra = Some(context.arena.alloc_str(&self.scratch));
        }
        let mut own = Own {
            id: scanned.id,
            offset: scanned.offset,
            timestamp: scanned.timestamp,
            message: scanned.message,
            rest: 0,
        };
        let whole = Rule::of(stream.identity_seed) == Rule::Whole;
        if item.id.is_none()
            && (whole || own.message.is_none() || own.offset.is_none())
            && let Some(extra) = extra
        {
            own.rest = extra::hash(extra);
        }
        let content = || xxh3_64(item.document.as_ref().copied().unwrap_or_default());
        let (mark, positioned) = match &item.id {
            Some(id) if item.action == Action::Create => (identity::named(&item.index, id, 0), true),
            Some(id) => (identity::named(&item.index, id, content()), true),
            None => match identity::mark(&stream, &own) {
                (mark, true) => (mark, true),
                (_, false) if own.timestamp.is_none() => {
                    (identity::unlike(context.batch.received_at, place, content()), true)
                }
                (mark, false) => {
                    let nth = equal.entry(mark).and_modify(|n| *n += 1).or_insert(0);
                    (if *nth == 0 { mark } else { identity::again(mark, *nth) }, false)
                }
            },
        };
        let timestamp = own.timestamp.unwrap_or(context.batch.received_at);
        Event { stream, timestamp, message: own.message, offset: own.offset, mark, positioned, extra }
    }
}

/// The document with its time and line where they belong; `None` where neither is under the names given.
fn renamed(text: &str, options: &Options) -> Option<String> {
    let mut document = parse_object(text);
    let time = take(&mut document, "@timestamp", &options.time_fields, |_| true);
    // A line is a text; an object under that name stays what it is.
    let message = take(&mut document, "message", &options.message_fields, Json::is_string);
    (time || message).then(|| Json::Object(document).to_string())
}

fn take(document: &mut Map<String, Json>, to: &str, names: &[String], fits: impl Fn(&Json) -> bool) -> bool {
    if document.contains_key(to) {
        return false;
    }
    let Some(name) = names.iter().find(|name| lookup(document, name).is_some_and(&fits)) else { return false };
    // A nested member stays where it is as well: the object around it may be told apart by it.
    let value = document.remove(name.as_str()).or_else(|| lookup(document, name).cloned());
    value.map(|value| document.insert(to.to_owned(), value)).is_some()
}
