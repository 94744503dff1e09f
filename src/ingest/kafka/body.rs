//! The body of a batch of Kafka messages.
//!
//! ```text
//!  0  1  format version, 1
//!  1  1  format of the messages: 1 lines, 2 filebeat, 3 records
//!  2  2  zero
//!  4  4  length of the head, bytes, little-endian
//!  8  …  head: JSON
//!  …  …  messages: u32 number of its part, i64 offset, i64 time (ms since 1970, below 0: none), u32 length, the value
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::Format;

/// What a batch holds of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub topic: String,
    pub partition: i32,
    /// Offset of the first message.
    pub first: i64,
    /// The offset behind the last.
    pub next: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    input: String,
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    time_fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    message_fields: Vec<String>,
}

/// A body could not be read: it was not written by this program, or by a newer one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("a batch of Kafka messages is shorter than it says")]
    Cut,
    #[error("a batch of Kafka messages of version {version}, format {format}: written by a newer loghound")]
    Newer { version: u8, format: u8 },
    #[error("the head of a batch of Kafka messages: {0}")]
    Head(String),
}

/// One message. `part` is an index into [`Body::parts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'b> {
    pub part: usize,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    pub value: &'b [u8],
}

/// A batch's messages, read back.
#[derive(Debug)]
pub struct Body {
    pub format: Format,
    pub input: String,
    pub parts: Vec<Part>,
    pub time_fields: Vec<String>,
    pub message_fields: Vec<String>,
    messages: Bytes,
}

const VERSION: u8 = 1;
const MESSAGE_HEAD_BYTES: usize = 24;

impl Body {
    pub fn read(bytes: &Bytes) -> Result<Self, BodyError> {
        let fixed = bytes.first_chunk::<8>().ok_or(BodyError::Cut)?;
        let [version, format, _, _, a, b, c, d] = *fixed;
        let format = match (version, Format::from_wire(format)) {
            (VERSION, Some(format)) => format,
            _ => return Err(BodyError::Newer { version, format }),
        };
        let start = 8usize.saturating_add(u32::from_le_bytes([a, b, c, d]) as usize);
        let head = bytes.get(8..start).ok_or(BodyError::Cut)?;
        let head: Head = serde_json::from_slice(head).map_err(|error| BodyError::Head(error.to_string()))?;
        let Head { input, parts, time_fields, message_fields } = head;
        Ok(Self { format, input, parts, time_fields, message_fields, messages: bytes.slice(start..) })
    }

    /// All messages, in the order they came; an error where the body was cut.
    pub fn messages(&self) -> Result<Vec<Message<'_>>, BodyError> {
        let mut rest: &[u8] = &self.messages;
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let (head, after) = rest.split_first_chunk::<MESSAGE_HEAD_BYTES>().ok_or(BodyError::Cut)?;
            let (part, tail) = head.split_first_chunk::<4>().ok_or(BodyError::Cut)?;
            let (offset, tail) = tail.split_first_chunk::<8>().ok_or(BodyError::Cut)?;
            let (time, length) = tail.split_first_chunk::<8>().ok_or(BodyError::Cut)?;
            let length = length.first_chunk::<4>().ok_or(BodyError::Cut)?;
            let length = u32::from_le_bytes(*length) as usize;
            let value = after.get(..length).ok_or(BodyError::Cut)?;
            let part = u32::from_le_bytes(*part) as usize;
            if part >= self.parts.len() {
                return Err(BodyError::Cut);
            }
            let time = i64::from_le_bytes(*time);
            let timestamp_ms = (time >= 0).then_some(time);
            messages.push(Message { part, offset: i64::from_le_bytes(*offset), timestamp_ms, value });
            rest = &after[length..];
        }
        Ok(messages)
    }
}

/// Gathers messages until there are enough for a batch.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Part>,
    messages: BytesMut,
    count: u32,
}

impl Writer {
    pub fn push(&mut self, topic: &str, partition: i32, offset: i64, timestamp_ms: Option<i64>, value: &[u8]) {
        let is_it = |part: &Part| part.partition == partition && part.topic == topic;
        // Messages of a partition come in runs.
        let at = self.parts.iter().rposition(is_it).unwrap_or_else(|| {
            self.parts.push(Part { topic: topic.to_owned(), partition, first: offset, next: offset });
            self.parts.len() - 1
        });
        self.parts[at].next = offset + 1;
        self.messages.put_u32_le(at as u32);
        self.messages.put_i64_le(offset);
        self.messages.put_i64_le(timestamp_ms.unwrap_or(-1));
        self.messages.put_u32_le(value.len() as u32);
        self.messages.put_slice(value);
        self.count += 1;
    }

    /// A message without a value: nothing to keep, but it is passed.
    pub fn pass(&mut self, topic: &str, partition: i32, offset: i64) {
        match self.parts.iter_mut().find(|part| part.partition == partition && part.topic == topic) {
            Some(part) => part.next = offset + 1,
            None => {
                self.parts.push(Part { topic: topic.to_owned(), partition, first: offset, next: offset + 1 });
            }
        }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn bytes(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Leaves out what is of partitions that are not to be `kept`.
    pub fn retain(&mut self, kept: impl Fn(&Part) -> bool) {
        if self.parts.iter().all(&kept) {
            return;
        }
        let old = std::mem::take(self);
        let body = Body {
            format: Format::Lines,
            input: String::new(),
            parts: old.parts,
            time_fields: Vec::new(),
            message_fields: Vec::new(),
            messages: old.messages.freeze(),
        };
        for message in body.messages().unwrap_or_default() {
            let part = &body.parts[message.part];
            if kept(part) {
                self.push(&part.topic, part.partition, message.offset, message.timestamp_ms, message.value);
            }
        }
        // What was passed at a beginning or an end is passed still.
        for part in body.parts.into_iter().filter(|part| kept(part)) {
            let is_it = |other: &Part| other.partition == part.partition && other.topic == part.topic;
            match self.parts.iter_mut().find(|other| is_it(other)) {
                Some(slot) => *slot = part,
                None => self.parts.push(part),
            }
        }
    }

    /// The body, and what is in it; the writer begins anew.
    pub fn finish(&mut self, settings: &super::Settings) -> (Bytes, Vec<Part>, u32) {
        let taken = std::mem::take(self);
        let head = Head {
            input: settings.name.clone(),
            parts: taken.parts,
            time_fields: settings.time_fields.clone(),
            message_fields: settings.message_fields.clone(),
        };
        // Texts and numbers can always be written.
        let bytes = serde_json::to_vec(&head).unwrap_or_default();
        let mut out = BytesMut::with_capacity(8 + bytes.len() + taken.messages.len());
        out.put_slice(&[VERSION, settings.format.wire(), 0, 0]);
        out.put_u32_le(bytes.len() as u32);
        out.put_slice(&bytes);
        out.put_slice(&taken.messages);
        (out.freeze(), head.parts, taken.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> super::super::Settings {
        super::super::read(&serde_json::json!([{"name": "i", "brokers": ["b:1"], "topics": ["t"]}])).unwrap().remove(0)
    }

    proptest! {
        #[test]
        fn messages_read_back_and_a_cut_is_an_error(
            values in proptest::collection::vec((0i32..3, proptest::collection::vec(any::<u8>(), 0..40)), 1..30),
            kept in 0i32..3,
        ) {
            let mut writer = Writer::default();
            for (at, (partition, value)) in values.iter().enumerate() {
                writer.push("t", *partition, at as i64, (at % 2 == 0).then_some(at as i64), value);
            }
            writer.retain(|part| part.partition == kept);
            let expected: Vec<_> = values.iter().enumerate().filter(|(_, (partition, _))| *partition == kept).collect();
            let (bytes, parts, count) = writer.finish(&settings());
            prop_assert_eq!(count as usize, expected.len());
            let body = Body::read(&bytes).unwrap();
            prop_assert_eq!(&body.parts, &parts);
            let messages = body.messages().unwrap();
            prop_assert_eq!(messages.len(), expected.len());
            for (message, (at, (_, value))) in messages.iter().zip(&expected) {
                prop_assert_eq!(message.offset, *at as i64);
                prop_assert_eq!(message.timestamp_ms, (at % 2 == 0).then_some(*at as i64));
                prop_assert_eq!(message.value, &value[..]);
            }
            if let (Some((first, _)), Some((last, _))) = (expected.first(), expected.last()) {
                prop_assert_eq!((parts[0].first, parts[0].next), (*first as i64, *last as i64 + 1));
                let cut = Body::read(&bytes.slice(..bytes.len() - 1)).and_then(|body| body.messages().map(|m| m.len()));
                prop_assert_eq!(cut, Err(BodyError::Cut));
            }
        }
    }
}
