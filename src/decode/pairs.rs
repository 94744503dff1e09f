//! Lumberjack v1 events: pairs of strings, `line`, `host`, `file`, `offset` and whatever else the sender adds.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json, json};

use super::hash::{Keys, MemberSum};
use crate::record::time;

/// A v1 event, sorted by what belongs where.
#[derive(Debug, Default)]
pub struct Sorted<'b> {
    pub message: Option<Cow<'b, str>>,
    pub offset: Option<u64>,
    /// `@timestamp`, where a sender gives one.
    pub timestamp: Option<i64>,
    pub host: Option<&'b [u8]>,
    pub file: Option<&'b [u8]>,
    pub extra: Map<String, Json>,
}

/// Sorts the pairs of one event. A key that comes twice counts with its last value. Bytes that are not UTF-8 are
/// replaced by U+FFFD, and the value is kept whole in base64 under `<key>_b64`.
pub fn sort<'b>(pairs: impl Iterator<Item = (&'b [u8], &'b [u8])>) -> Sorted<'b> {
    let mut out = Sorted::default();
    for (key, value) in pairs {
        let text = String::from_utf8_lossy(value);
        let lossy = matches!(text, Cow::Owned(_));
        if lossy {
            let name = format!("{}_b64", String::from_utf8_lossy(key));
            out.extra.insert(name, Json::String(BASE64_STANDARD.encode(value)));
        }
        match key {
            b"line" => out.message = Some(text),
            b"host" => out.host = Some(value),
            b"file" => out.file = Some(value),
            b"offset" if text.parse::<u64>().is_ok() => out.offset = text.parse().ok(),
            b"@timestamp" if time::parse_rfc3339(&text).is_some() => out.timestamp = time::parse_rfc3339(&text),
            _ => {
                out.extra.insert(String::from_utf8_lossy(key).into_owned(), Json::String(text.into_owned()));
            }
        }
    }
    out
}

impl Sorted<'_> {
    /// The raw hash of the stream, apart from those of JSON events.
    pub fn stream_hash(&self, keys: &Keys) -> MemberSum {
        let mut sum = MemberSum::default();
        for (seed, value) in [(u64::MAX, self.host), (u64::MAX - 1, self.file)] {
            if let Some(value) = value {
                sum.add(keys.leaf(seed, value));
            }
        }
        sum
    }

    /// The stream's fields under the names that v2 senders give them.
    pub fn stream_fields(&self) -> Map<String, Json> {
        let mut fields = Map::new();
        if let Some(host) = self.host {
            fields.insert("host".to_owned(), json!({ "name": String::from_utf8_lossy(host) }));
        }
        if let Some(file) = self.file {
            fields.insert("log".to_owned(), json!({ "file": { "path": String::from_utf8_lossy(file) } }));
        }
        fields
    }
}
