//! Kafka's messages as documents. A batch of them becomes one body of the kind that `_bulk` takes, so the journal, replay and the
//! recognition of repeats are those of documents by HTTP.
//!
//! A message is known by its topic, partition and offset, however often the broker gives it; a Filebeat event by its file and
//! offset, however often Filebeat sent it.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::json;

use crate::record::time::format_rfc3339;

/// What is read.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    pub brokers: String,
    /// Names, or expressions that begin with `^`.
    pub topics: Vec<String>,
    pub group: String,
    pub format: Format,
    /// librdkafka's own, such as `security.protocol`.
    pub properties: Vec<(String, String)>,
}

/// What is in the messages of the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A log line, as it was written.
    Lines,
    /// A JSON object: what Filebeat's `output.kafka` sends, or another structured record.
    Json,
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    pub topic: &'m str,
    pub partition: i32,
    pub offset: i64,
    /// When it was produced: Unix nanoseconds.
    pub timestamp: Option<i64>,
    pub payload: &'m [u8],
}

/// Why a message is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    #[error("not UTF-8 at byte {0}")]
    NotText(usize),
    #[error("not a JSON object: {0}")]
    NotJson(String),
}

/// Adds a message to a body.
pub fn append(body: &mut Vec<u8>, message: &Message<'_>, format: Format) -> Result<(), Poison> {
    match format {
        Format::Lines => append_line(body, message),
        Format::Json => append_json(body, message),
    }
}

fn append_line(body: &mut Vec<u8>, message: &Message<'_>) -> Result<(), Poison> {
    let line = std::str::from_utf8(message.payload).map_err(|error| Poison::NotText(error.valid_up_to()))?;
    let mut document = json!({
        "message": line.trim_end_matches(['\r', '\n']),
        "log": {"file": {"path": place(message)}, "offset": message.offset},
        "kafka": {"topic": message.topic, "partition": message.partition},
    });
    if let Some(timestamp) = message.timestamp {
        document["@timestamp"] = format_rfc3339(timestamp).into();
    }
    body.extend_from_slice(b"{\"create\":{}}\n");
    body.extend_from_slice(document.to_string().as_bytes());
    body.push(b'\n');
    Ok(())
}

/// What tells whether a document has a place of its own.
#[derive(Deserialize)]
struct Peek {
    #[serde(default)]
    log: Option<Log>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Log {
    Placed {
        #[serde(rename = "file")]
        _file: File,
        offset: u64,
    },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "path")]
    _path: String,
}

fn append_json(body: &mut Vec<u8>, message: &Message<'_>) -> Result<(), Poison> {
    // serde takes an array for a struct as well.
    if message.payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(Poison::NotJson("it begins with no brace".to_owned()));
    }
    let peek: Peek = serde_json::from_slice(message.payload).map_err(|error| Poison::NotJson(error.to_string()))?;
    let mut action = String::from("{\"create\":{");
    if !matches!(peek.log, Some(Log::Placed { offset, .. }) if offset <= i64::MAX as u64) {
        let _ = write!(action, "\"_id\":\"{}/{}\"", place(message), message.offset);
    }
    action.push_str("}}\n");
    body.extend_from_slice(action.as_bytes());
    // Between the parts of an object a line may end; a body has one document a line.
    body.extend(message.payload.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    body.push(b'\n');
    Ok(())
}

/// A partition as a file's path. Topics have letters, digits, dots, dashes and underscores.
fn place(message: &Message<'_>) -> String {
    format!("kafka:{}/{}", message.topic, message.partition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::http::{Encoding, Head, Options, Source, items};

    fn message(payload: &[u8]) -> Message<'_> {
        Message { topic: "logs", partition: 3, offset: 41, timestamp: Some(1_000_000_000), payload }
    }

    /// Each document's identity and text.
    fn read(body: &[u8]) -> Vec<(Option<String>, serde_json::Value)> {
        let head = Head { source: Source::Bulk, encoding: Encoding::Identity, options: Options::default() };
        let items = items(&head, body).unwrap();
        let read = |item: &crate::ingest::http::Item<'_>| {
            let document = item.document.as_ref().unwrap();
            (item.id.as_deref().map(str::to_owned), serde_json::from_slice(document).unwrap())
        };
        items.iter().map(read).collect()
    }

    #[test]
    fn a_line_has_its_place_in_the_partition() {
        let mut body = Vec::new();
        append(&mut body, &message(b"E1122 it \"failed\"\r\n"), Format::Lines).unwrap();
        let expected = json!({
            "@timestamp": "1970-01-01T00:00:01.000Z", "message": "E1122 it \"failed\"",
            "log": {"file": {"path": "kafka:logs/3"}, "offset": 41}, "kafka": {"topic": "logs", "partition": 3},
        });
        assert_eq!(read(&body), [(None, expected)]);
        assert_eq!(append(&mut body, &message(b"ab\xff"), Format::Lines), Err(Poison::NotText(2)));
    }

    #[test]
    fn what_has_no_place_of_its_own_is_known_by_its_offset() {
        let mut body = Vec::new();
        let filebeat = br#"{"message":"x","log":{"offset":7,"file":{"path":"/var/log/a"}}}"#;
        append(&mut body, &message(filebeat), Format::Json).unwrap();
        for payload in [&b"{\n\"a\":\r\n1}"[..], br#"{"log":"text"}"#, br#"{"log":{"offset":7}}"#, b"{}"] {
            append(&mut body, &message(payload), Format::Json).unwrap();
        }
        let ids: Vec<Option<String>> = read(&body).into_iter().map(|(id, _)| id).collect();
        let own = Some("kafka:logs/3/41".to_owned());
        assert_eq!(ids, [None, own.clone(), own.clone(), own.clone(), own]);
        let before = body.clone();
        for poison in [&b"[1]"[..], b"7", b"", b"{", b"{} {}"] {
            assert!(append(&mut body, &message(poison), Format::Json).is_err(), "{poison:?}");
        }
        assert_eq!(body, before);
    }
}
