//! Batches and events to test with.

use bumpalo::Bump;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::decode::{BadEvent, Decoder, StreamLimits, Streams};
use crate::record::{Batch, Event, Wire};

pub const RECEIVED_AT: i64 = 1_772_366_400_000_000_000;

pub fn batch() -> Batch {
    let body = Bytes::new();
    Batch { wire: Wire::Lumberjack, received_at: RECEIVED_AT, peer: "10.0.0.5".into(), events: 0, body, inflated: None }
}

/// `J` frames of these bodies.
pub fn frames<'j>(bodies: impl IntoIterator<Item = &'j [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for (seq, body) in (1u32..).zip(bodies) {
        out.extend_from_slice(b"2J");
        out.extend_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(body);
    }
    out
}

/// A `D` frame.
pub fn pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = b"1D\0\0\0\x01".to_vec();
    out.extend_from_slice(&(pairs.len() as u32).to_be_bytes());
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text);
    }
    out
}

pub fn decoder() -> Decoder {
    Decoder::new(std::sync::Arc::new(Streams::new(StreamLimits::default())))
}

/// Decodes frames and hands the result to `check`.
pub fn decode<T>(decoder: &mut Decoder, frames: &[u8], check: impl FnOnce(&[Event], &[BadEvent]) -> T) -> T {
    let (batch, arena) = (batch(), Bump::new());
    let (mut events, mut bad) = (Vec::new(), Vec::new());
    decoder.decode(&batch, frames, &arena, &mut events, &mut bad);
    check(&events, &bad)
}

/// Decodes one JSON event that must be good.
pub fn one<T>(decoder: &mut Decoder, body: &str, check: impl FnOnce(&Event) -> T) -> T {
    decode(decoder, &frames([body.as_bytes()]), |events, bad| {
        assert_eq!((events.len(), bad), (1, &[][..]), "{body}");
        check(&events[0])
    })
}

/// A whole Filebeat 9 event.
pub fn filebeat() -> Json {
    json!({
        "@timestamp": "2026-03-01T12:00:00.123Z",
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "9.5.2"},
        "message": "W0301 12:00:00.123456       1 lease.go:223] Resetting endpoints for \"kubernetes\"",
        "stream": "stderr",
        "log": {"offset": 48213, "file": {
            "path": "/var/log/containers/kube-apiserver-n1_kube-system_kube-apiserver-0af3.log",
            "device_id": "66306", "inode": "1312"}},
        "input": {"type": "filestream"}, "ecs": {"version": "8.0.0"}, "host": {"name": "n1"},
        "agent": {"id": "a-1", "ephemeral_id": "e-1", "name": "n1", "type": "filebeat", "version": "9.5.2"},
        "kubernetes": {"namespace": "kube-system", "pod": {"name": "kube-apiserver-n1", "uid": "u-1"},
            "node": {"name": "n1", "labels": {}}, "container": {"name": "kube-apiserver"},
            "labels": {"component": "kube-apiserver"}},
        "container": {"id": "0af3", "runtime": "containerd", "image": {"name": "registry/x:v1"}},
    })
}

/// Writes JSON with the members of every object in an order that follows from `order`.
pub fn write_shuffled(value: &Json, order: &mut u64, out: &mut String) {
    let Json::Object(object) = value else { return out.push_str(&value.to_string()) };
    let mut members: Vec<_> = object.iter().collect();
    for i in (1..members.len()).rev() {
        *order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        members.swap(i, (*order >> 33) as usize % (i + 1));
    }
    out.push('{');
    for (i, (key, value)) in members.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&Json::from(key.as_str()).to_string());
        out.push(':');
        write_shuffled(value, order, out);
    }
    out.push('}');
}
