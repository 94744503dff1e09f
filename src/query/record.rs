//! A record as clients see it: nested, as Filebeat sends it, with what parsing found beside.

use serde_json::{Map, Value as Json};

use crate::parse::Parser;
use crate::record::time::format_rfc3339;
use crate::record::{Fields, Record, StreamKey};

/// What a record is put together from.
pub struct Parts<'p> {
    pub stream: &'p Map<String, Json>,
    pub key: StreamKey,
    /// `@timestamp`, Unix nanoseconds.
    pub timestamp: i64,
    pub offset: Option<u64>,
    pub id: u64,
    pub line: Option<&'p str>,
    pub grammar: Option<&'p str>,
    /// Why the line has no fields.
    pub error: Option<&'p str>,
    /// The id that stands for its template.
    pub template: Option<u64>,
    pub fields: &'p Fields<'p>,
    /// One JSON object.
    pub extra: Option<&'p str>,
}

impl Parts<'_> {
    /// The record. Where a parsed or sent name is taken by the envelope, both values stand there, as an array.
    pub fn build(&self) -> Map<String, Json> {
        let mut record = self.stream.clone();
        record.insert("@timestamp".into(), Json::String(format_rfc3339(self.timestamp)));
        if let Some(line) = self.line {
            record.insert("message".into(), Json::String(line.to_owned()));
        }
        merge(&mut record, self.fields.to_json());
        if let Some(Json::Object(extra)) = self.extra.and_then(|text| serde_json::from_str(text).ok()) {
            merge(&mut record, extra);
        }
        if let Some(offset) = self.offset {
            put(&mut record, "log", "offset", Json::from(offset));
        }
        if let Some(grammar) = self.grammar {
            record.insert("grammar".into(), Json::String(grammar.to_owned()));
        }
        if let Some(error) = self.error {
            put(&mut record, "parse", "error", Json::String(error.to_owned()));
        }
        if let Some(template) = self.template {
            merge(&mut record, Map::from_iter([("template".to_owned(), Json::from(template))]));
        }
        put(&mut record, "event", "id", Json::String(event_id(self.key, self.id)));
        record
    }
}

/// A live record, as it will come out of the store.
pub fn build_record(record: &Record<'_>, parser: &Parser) -> Map<String, Json> {
    let event = record.event;
    let unparsed = event.message.filter(|_| record.grammar.is_none());
    let error = unparsed.map(|line| parser.explain(line));
    Parts {
        stream: &event.stream.fields,
        key: event.stream.key,
        timestamp: event.timestamp,
        offset: event.offset,
        id: event.id(),
        line: event.message,
        grammar: record.grammar.map(|grammar| grammar.name),
        error: error.as_deref(),
        template: record.template,
        fields: record.fields,
        extra: event.extra,
    }
    .build()
}

/// `event.id`: half of the stream's key, then the identity within its sender, in hex.
pub fn event_id(key: StreamKey, id: u64) -> String {
    format!("{:016x}{id:016x}", stream_half(key))
}

/// Reads an `event.id`: the stream's half and the identity.
pub fn parse_event_id(text: &str) -> Option<(u64, u64)> {
    let halves = (text.len() == 32).then(|| text.split_at_checked(16)).flatten()?;
    Some((u64::from_str_radix(halves.0, 16).ok()?, u64::from_str_radix(halves.1, 16).ok()?))
}

/// The half of a stream's key that an `event.id` carries.
pub fn stream_half(key: StreamKey) -> u64 {
    (key.0 >> 64) as u64
}

fn put(record: &mut Map<String, Json>, outer: &str, inner: &str, value: Json) {
    let slot = record.entry(outer).or_insert_with(|| Json::Object(Map::new()));
    match slot {
        Json::Object(object) => _ = object.insert(inner.to_owned(), value),
        other => {
            let taken = std::mem::take(other);
            *other = Json::Array(vec![taken, Json::Object(Map::from_iter([(inner.to_owned(), value)]))]);
        }
    }
}

fn merge(into: &mut Map<String, Json>, from: Map<String, Json>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => _ = into.insert(name, value),
            (Some(Json::Object(have)), Json::Object(new)) => merge(have, new),
            (Some(have), value) if *have == value => {}
            (Some(Json::Array(have)), value) => have.push(value),
            (Some(have), value) => {
                let taken = std::mem::take(have);
                *have = Json::Array(vec![taken, value]);
            }
        }
    }
}
