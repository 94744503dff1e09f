//! Loki's push: protobuf in snappy, or JSON. Source: Loki's HTTP API, "Ingest logs", and its `push.proto`.

use prost::Message;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Documents, put, put_of_stream};
use crate::ingest::http::{BadBody, BodyError, Declined};
use crate::record::time::format_rfc3339;

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    /// As in a query: `{app="shop", pod="a"}`.
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    /// A string there; a line is kept be it UTF-8 or not.
    #[prost(bytes = "vec", tag = "2")]
    line: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<LabelPair>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Deserialize)]
struct JsonPush {
    streams: Vec<JsonStream>,
}

#[derive(Deserialize)]
struct JsonStream {
    #[serde(default)]
    stream: Map<String, Json>,
    values: Vec<Vec<Json>>,
}

/// The documents of a push in JSON, and how many.
pub fn of_json(body: &[u8], bytes_max: usize) -> Result<(Vec<u8>, usize), Declined> {
    let push: JsonPush =
        serde_json::from_slice(body).map_err(|error| BadBody(format!("no push of Loki's: {error}")))?;
    let mut documents = Documents::new(bytes_max);
    for stream in push.streams {
        let mut common = Map::new();
        for (name, value) in stream.stream {
            label(&mut common, &name, value);
        }
        for (place, value) in stream.values.into_iter().enumerate() {
            let mut value = value.into_iter();
            let (time, line) = (value.next(), value.next());
            let (Some(nanos), Some(Json::String(line))) = (time.as_ref().and_then(nanos), line) else {
                let problem = format!("value {place} of a stream is not [\"NANOSECONDS\", \"LINE\"]");
                return Err(BadBody(problem).into());
            };
            let mut document = common.clone();
            if let Some(Json::Object(metadata)) = value.next() {
                metadata.into_iter().for_each(|(name, value)| of_entry(&mut document, &name, value));
            }
            finish(&mut document, nanos, line);
            documents.push(&document)?;
        }
    }
    Ok(documents.finish())
}

/// The documents of a push in snappy's block format.
pub fn of_snappy(body: &[u8], bytes_max: usize) -> Result<(Vec<u8>, usize), Declined> {
    let no_snappy = |error: snap::Error| BadBody(format!("the body is no snappy block: {error}"));
    if snap::raw::decompress_len(body).map_err(no_snappy)? > bytes_max {
        return Err(BodyError::TooLarge { max: bytes_max }.into());
    }
    let body = snap::raw::Decoder::new().decompress_vec(body).map_err(no_snappy)?;
    let push = PushRequest::decode(&body[..]).map_err(|error| BadBody(format!("no push of Loki's: {error}")))?;
    let mut documents = Documents::new(bytes_max);
    for stream in push.streams {
        let mut common = Map::new();
        for (name, value) in labels(&stream.labels).ok_or_else(|| BadBody(format!("no labels: {}", stream.labels)))? {
            label(&mut common, &name, Json::String(value));
        }
        for entry in stream.entries {
            let mut document = common.clone();
            for LabelPair { name, value } in entry.metadata {
                of_entry(&mut document, &name, Json::String(value));
            }
            let at = entry.timestamp.unwrap_or_default();
            let nanos = at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos));
            finish(&mut document, nanos, String::from_utf8_lossy(&entry.line).into_owned());
            documents.push(&document)?;
        }
    }
    Ok(documents.finish())
}

/// Unix nanoseconds: a string, or a number.
fn nanos(value: &Json) -> Option<i64> {
    value.as_str().map_or_else(|| value.as_i64(), |text| text.parse().ok())
}

fn finish(document: &mut Map<String, Json>, nanos: i64, line: String) {
    // A sender without a time means now.
    if nanos != 0 {
        document.insert("@timestamp".to_owned(), Json::String(format_rfc3339(nanos)));
    }
    document.insert("message".to_owned(), Json::String(line));
}

/// What Promtail, Alloy and the Docker driver call what has another name here.
fn label(document: &mut Map<String, Json>, name: &str, value: Json) {
    let place = match name {
        "namespace" => Some("kubernetes.namespace"),
        "pod" => Some("kubernetes.pod.name"),
        "container" => Some("kubernetes.container.name"),
        "node" | "node_name" => Some("kubernetes.node.name"),
        "service" | "service_name" => Some("service.name"),
        "container_name" => Some("container.name"),
        "host" | "hostname" => Some("host.name"),
        "filename" => Some("log.file.path"),
        "stream" => Some("stream"),
        _ => None,
    };
    put_of_stream(document, name, place, value);
}

/// Structured metadata: another for each line.
fn of_entry(document: &mut Map<String, Json>, name: &str, value: Json) {
    match name {
        "trace_id" | "traceID" => put(document, "trace.id", value),
        "span_id" | "spanID" => put(document, "span.id", value),
        _ => put(document, &format!("metadata.{name}"), value),
    }
}

/// `{name="value", …}`, values quoted as Go does.
fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let end = quoted_end(value)?;
        // Go's escapes in labels are JSON's.
        labels.push((name.trim().to_owned(), serde_json::from_str(&value[..end]).ok()?));
        rest = value[end..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(labels)
}

/// Where a quoted text ends: after its closing quote.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let closes = |(_, c): &(usize, char)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    };
    let inner = text.strip_prefix('"')?;
    inner.char_indices().find(closes).map(|(at, _)| at + 2)
}

#[cfg(test)]
pub(super) mod wire {
    //! A push as a sender writes it.

    use super::*;

    /// Nanoseconds, line, metadata.
    pub type Line<'l> = (i64, &'l str, &'l [(&'l str, &'l str)]);

    pub fn push(labels: &str, entries: &[Line<'_>]) -> Vec<u8> {
        let entry = |(nanos, line, metadata): &Line<'_>| Entry {
            timestamp: Some(Timestamp { seconds: nanos / 1_000_000_000, nanos: (nanos % 1_000_000_000) as i32 }),
            line: line.as_bytes().to_vec(),
            metadata: metadata
                .iter()
                .map(|(name, value)| LabelPair { name: (*name).to_owned(), value: (*value).to_owned() })
                .collect(),
        };
        let stream = Stream { labels: labels.to_owned(), entries: entries.iter().map(entry).collect() };
        let push = PushRequest { streams: vec![stream] };
        snap::raw::Encoder::new().compress_vec(&push.encode_to_vec()).unwrap()
    }
}
