//! What all lines of one container's log have in common, held once.

use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value as Json};

/// A stream's number across processes: a 128-bit hash of its canonical fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub u128);

/// The fields that are the same for every line of one container's log: agent, host, `kubernetes.*`, container,
/// `log.file.*`, stdout or stderr. Each shard stores them once and its records carry their number.
#[derive(Debug)]
pub struct Stream {
    /// xxh3-128 of `canonical`.
    pub key: StreamKey,
    /// The fields, nested, as Filebeat sends them.
    pub fields: Map<String, Json>,
    /// `fields` as compact JSON with sorted keys: what the shard stores.
    pub canonical: String,
    /// Who sends it (agent name, else id, else the peer): the owner of the window in which repeats are recognised.
    pub sender: String,
    /// Seed of the identity of its events: PROTOCOLS.md section 2.
    pub identity_seed: u64,
    /// What its lines were found to be; owned by `parse`, 0 until known.
    pub memory: AtomicU64,
}

impl Stream {
    /// The value at a dotted path, `kubernetes.pod.name`; keys that hold dots are found as well.
    pub fn get(&self, path: &str) -> Option<&Json> {
        lookup(&self.fields, path)
    }
}

/// Finds `path` in nested objects, where a key itself may hold dots.
pub fn lookup<'j>(object: &'j Map<String, Json>, path: &str) -> Option<&'j Json> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let mut at = 0;
    while let Some(dot) = path[at..].find('.') {
        let (head, rest) = (&path[..at + dot], &path[at + dot + 1..]);
        if let Some(Json::Object(inner)) = object.get(head)
            && let Some(value) = lookup(inner, rest)
        {
            return Some(value);
        }
        at += dot + 1;
    }
    None
}
