//! The streams seen before, shared by all workers: a stream is recognised by the hash of its raw bytes and decoded
//! only when it is new.
//!
//! Two tables: raw hash → stream, and key → stream. Two spellings of equal fields (an escape more, a blank more) are
//! two raw hashes of one stream.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::RwLock;
use serde_json::{Map, Value as Json, json};
use xxhash_rust::xxh3::xxh3_128;

use super::hash::Keys;
use super::path::{ContainerPath, lookup};
use super::{fields, identity};
use crate::record::{Stream, StreamKey};

/// How much is remembered. Beyond either limit a quarter is forgotten, the least recently used first; a forgotten
/// stream is decoded again at its next event.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    pub streams_max: usize,
    /// Estimated memory of the streams, in bytes.
    pub bytes_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { streams_max: 65_536, bytes_max: 256 << 20 }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounts {
    pub streams: usize,
    pub bytes: usize,
    /// Streams decoded: misses of the raw hash.
    pub decoded: u64,
    pub evicted: u64,
}

/// A remembered stream.
#[derive(Debug)]
pub(super) struct Known {
    pub stream: Arc<Stream>,
    /// The generation of its last use.
    used: AtomicU32,
    bytes: usize,
}

/// The streams seen before. A generation is one batch.
#[derive(Debug)]
pub struct Streams {
    pub(super) keys: Keys,
    limits: StreamLimits,
    generation: AtomicU32,
    decoded: AtomicU64,
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    raw: HashMap<u128, Arc<Known>, BuildHasherDefault<Folded>>,
    // The sender is part of it: without an agent's name it is the peer, and two peers may send equal fields.
    keyed: HashMap<(StreamKey, String), Arc<Known>>,
    bytes: usize,
    evicted: u64,
}

/// Keys of the raw table are hashes already.
#[derive(Debug, Default)]
struct Folded(u64);

impl std::hash::Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = self.0.rotate_left(8) ^ u64::from(b));
    }
    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64 ^ (n >> 64) as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

impl Streams {
    pub fn new(limits: StreamLimits) -> Self {
        let (generation, decoded) = Default::default();
        Self { keys: Keys::random(), limits, generation, decoded, tables: RwLock::default() }
    }

    pub fn counts(&self) -> StreamCounts {
        let tables = self.tables.read();
        let decoded = self.decoded.load(Ordering::Relaxed);
        StreamCounts { streams: tables.keyed.len(), bytes: tables.bytes, decoded, evicted: tables.evicted }
    }

    /// Starts a generation: called once a batch.
    pub(super) fn begin(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    pub(super) fn find(&self, raw: u128) -> Option<Arc<Known>> {
        self.tables.read().raw.get(&raw).cloned()
    }

    /// Remembers the stream with these fields, as an event had them, under `raw` where that identifies it.
    pub(super) fn insert(&self, raw: Option<u128>, event_fields: Map<String, Json>, peer: &str) -> Arc<Known> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        let stream = new_stream(event_fields, peer);
        // Parsed JSON takes about four times its text.
        let bytes = stream.canonical.len() * 5 + 512;
        let now = self.generation.load(Ordering::Relaxed);
        let mut tables = self.tables.write();
        let id = (stream.key, stream.sender.clone());
        let known = match tables.keyed.get(&id) {
            Some(known) => Arc::clone(known),
            None => {
                let known = Arc::new(Known { stream: Arc::new(stream), used: AtomicU32::new(now), bytes });
                tables.keyed.insert(id, Arc::clone(&known));
                tables.bytes += bytes;
                known
            }
        };
        known.touch(now);
        if let Some(raw) = raw {
            tables.raw.insert(raw, Arc::clone(&known));
        }
        let Limits { streams_max, bytes_max } = self.limits;
        if tables.keyed.len() > streams_max
            || tables.raw.len() > streams_max.saturating_mul(2)
            || tables.bytes > bytes_max
        {
            tables.forget_a_quarter(now);
        }
        known
    }
}

use StreamLimits as Limits;

/// The member of a stream's fields that holds the index of documents that came by HTTP.
pub(super) const INDEX_KEY: &str = "_index";
/// How the names of senders by HTTP begin.
pub const HTTP_SENDER: &str = "http:";

impl Known {
    #[inline]
    pub fn touch(&self, generation: u32) {
        // Read first: a store takes the cache line from the other workers.
        if self.used.load(Ordering::Relaxed) != generation {
            self.used.store(generation, Ordering::Relaxed);
        }
    }

    fn age(&self, now: u32) -> u32 {
        now.wrapping_sub(self.used.load(Ordering::Relaxed))
    }
}

impl Tables {
    fn forget_a_quarter(&mut self, now: u32) {
        let mut ages: Vec<u32> = self.keyed.values().map(|known| known.age(now)).collect();
        let mut left = (ages.len() / 4).max(1);
        let at = ages.len() - left;
        let oldest = *ages.select_nth_unstable(at).1;
        let (mut bytes, mut evicted) = (0, 0);
        let mut gone = std::collections::HashSet::new();
        self.keyed.retain(|_, known| {
            let keep = left == 0 || known.age(now) < oldest;
            if !keep {
                left -= 1;
                evicted += 1;
                bytes += known.bytes;
                gone.insert(Arc::as_ptr(known));
            }
            keep
        });
        self.raw.retain(|_, known| !gone.contains(&Arc::as_ptr(known)));
        self.bytes -= bytes;
        self.evicted += evicted;
    }
}

fn new_stream(mut fields: Map<String, Json>, peer: &str) -> Stream {
    fields::modernise(&mut fields);
    let text = |path: &str| lookup(&fields, path).and_then(Json::as_str).filter(|text| !text.is_empty());
    let named = text("agent.name").or_else(|| text("agent.id")).or_else(|| text("host.name"));
    // What stands in an index came by HTTP: the senders of the two ways are recognised apart, and from the fields alone,
    // because a client behind a balancer has many addresses.
    let sender = match text(INDEX_KEY) {
        Some(index) => format!("{HTTP_SENDER}{}", named.unwrap_or(index)),
        None => named.unwrap_or(peer).to_owned(),
    };
    // Filebeat leaves `kubernetes` out until it knows the pod; the path knows it from the start.
    let derived = match (fields.contains_key("kubernetes"), text("log.file.path")) {
        (false, Some(path)) => ContainerPath::parse(path).map(ContainerPath::to_kubernetes),
        _ => None,
    };
    let identity_seed = identity::seed(&fields, &sender);
    fields.extend(derived.map(|kubernetes| ("kubernetes".to_owned(), kubernetes)));
    let canonical = json!(fields).to_string();
    let key = StreamKey(xxh3_128(canonical.as_bytes()));
    Stream { key, fields, canonical, sender, identity_seed, memory: Default::default() }
}
