//! The identity of an event: equal for all copies of one event, different for different lines.
//!
//! The rules, the first that has its fields (PROTOCOLS.md section 2):
//! 1. `@metadata._id`;
//! 2. `log.file.fingerprint`, `log.offset`;
//! 3. agent or host name, `log.file.device_id`, `log.file.inode`, `log.offset`, `@timestamp`;
//! 4. agent or host name, `log.file.path`, `log.offset`, `@timestamp`;
//! 5. everything, and then it only holds for a short time.
//!
//! A document that came by HTTP with an identity of its own has that ([`named`]); one that has neither an identity nor a
//! position nor a time is never the same as another ([`unlike`]).
//!
//! The container and the message are always part of it. What belongs to the stream is hashed once, into
//! `Stream::identity_seed`; an event adds a few words and its message. The hashes are written to disk and must not
//! change from version to version.

use serde_json::{Map, Value as Json, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::path::ContainerPath;
use crate::record::{Stream, WHOLE};

/// Which rule a stream's events follow; kept in the two lowest bits of the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Rule {
    Whole = 0,
    Fingerprint = 1,
    Inode = 2,
    Path = 3,
}

impl Rule {
    pub fn of(seed: u64) -> Self {
        match seed & 3 {
            1 => Rule::Fingerprint,
            2 => Rule::Inode,
            3 => Rule::Path,
            _ => Rule::Whole,
        }
    }
}

/// What one event adds to its stream's seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own<'e> {
    /// `@metadata._id`.
    pub id: Option<&'e str>,
    pub offset: Option<u64>,
    /// The event's own `@timestamp`; never the time of receipt, which differs between copies.
    pub timestamp: Option<i64>,
    pub message: Option<&'e str>,
    /// A hash of the event's other fields, independent of their order. Only read when the event has no offset or no
    /// message.
    pub rest: u64,
}

/// The seed of the events of a stream with these fields.
pub fn seed(fields: &Map<String, Json>, sender: &str) -> u64 {
    let text = |path: &str| super::path::lookup(fields, path).map(plain).filter(|text| !text.is_empty());
    let name = text("agent.name").or_else(|| text("host.name")).unwrap_or_else(|| sender.to_owned());
    let path = text("log.file.path");
    let container = container(fields, path.as_deref());
    let (rule, parts) = if let Some(fingerprint) = text("log.file.fingerprint") {
        (Rule::Fingerprint, json!(["fingerprint", fingerprint, container]))
    } else if let (Some(device), Some(inode)) = (text("log.file.device_id"), text("log.file.inode")) {
        (Rule::Inode, json!(["inode", name, device, inode, container]))
    } else if let Some(path) = path {
        (Rule::Path, json!(["path", name, path, container]))
    } else {
        (Rule::Whole, json!(["whole", whole(fields), container]))
    };
    xxh3_64(parts.to_string().as_bytes()) & !3 | rule as u64
}

/// An event's [mark](crate::record::identity), and whether its identity stands on a position (or an explicit id)
/// rather than on the event's content alone.
pub fn mark(stream: &Stream, own: &Own) -> (u64, bool) {
    let seed = stream.identity_seed;
    let message = own.message.map_or(0, |m| xxh3_64_with_seed(m.as_bytes(), seed));
    // A line whose text was parsed away by the sender is guarded by what is left of it.
    let guard = if own.message.is_none() { own.rest } else { 0 };
    let words = |kind: u64, a: u64, b: u64, c: u64| {
        let mut bytes = [0; 40];
        for (to, word) in bytes.chunks_exact_mut(8).zip([kind, a, b, c, message]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64_with_seed(&bytes, seed)
    };
    let timestamp = own.timestamp.unwrap_or(0) as u64;
    if let Some(id) = own.id {
        return (words(1, xxh3_64_with_seed(id.as_bytes(), seed), 0, 0) | WHOLE, true);
    }
    // Of what stands at a place, 32 bits tell the one from the other.
    match (Rule::of(seed), own.offset) {
        (Rule::Fingerprint, Some(_)) => (words(2, 0, 0, guard) % WHOLE, true),
        (Rule::Inode, Some(_)) => (words(3, 0, timestamp, guard) % WHOLE, true),
        (Rule::Path, Some(_)) => (words(4, 0, timestamp, guard) % WHOLE, true),
        (_, offset) => (words(5, offset.map_or(u64::MAX, |o| o), timestamp, own.rest) | WHOLE, false),
    }
}

/// The mark of a document by the identity that its client gave it. `content` tells the versions of one document apart: 0 where
/// there is only one.
pub fn named(index: &str, id: &str, content: u64) -> u64 {
    words([6, xxh3_64(index.as_bytes()), xxh3_64(id.as_bytes()), content, 0])
}

/// The mark of the `nth` of equal events of one batch: they are several on purpose.
pub fn again(mark: u64, nth: u32) -> u64 {
    words([7, mark, u64::from(nth), 0, 0])
}

/// A mark for the document at a place of a batch that nothing else tells apart from a copy.
pub fn unlike(received_at: i64, place: usize, content: u64) -> u64 {
    words([8, received_at as u64, place as u64, content, 0])
}

/// The mark of a message that has its identity by its place in Kafka alone.
pub fn placed(topic: &str, partition: i32, offset: i64) -> u64 {
    words([9, xxh3_64(topic.as_bytes()), partition as u64, offset as u64, 0])
}

/// The mark of a line in a stream that is one partition: its offset tells it from all others.
pub fn line(message: &str) -> u64 {
    xxh3_64(message.as_bytes()) % WHOLE
}

/// The mark of a few words: the whole identity.
fn words(words: [u64; 5]) -> u64 {
    let mut bytes = [0; 40];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes) | WHOLE
}

/// The container: by its path where that tells, because `kubernetes.*` and `container.*` are missing from the copy
/// that was sent before the pod was known.
fn container(fields: &Map<String, Json>, path: Option<&str>) -> String {
    let text = |path: &str| super::path::lookup(fields, path).map(plain);
    path.and_then(ContainerPath::parse)
        .map(|p| p.id.or(p.uid).unwrap_or_default().to_owned())
        .filter(|id| !id.is_empty())
        .or_else(|| text("container.id"))
        .or_else(|| text("kubernetes.container.id"))
        .or_else(|| text("kubernetes.pod.uid"))
        .unwrap_or_default()
}

/// Rule 5's stream part: all fields but those that change at a restart, and of Kubernetes only the names.
fn whole(fields: &Map<String, Json>) -> Json {
    let mut rest = fields.clone();
    if let Some(Json::Object(agent)) = rest.get_mut("agent") {
        agent.remove("ephemeral_id");
        agent.remove("version");
    }
    rest.remove("kubernetes");
    let name = |path: &str| super::path::lookup(fields, path).map(plain).unwrap_or_default();
    let pod = ["kubernetes.namespace", "kubernetes.pod.name", "kubernetes.container.name"].map(name);
    json!([rest, pod])
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
