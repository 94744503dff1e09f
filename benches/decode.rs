//! A batch of Filebeat events from zlib to events: `cargo bench --bench decode`.
//!
//! Batches of 2,048 events of known streams, about 1.6 KB each, keys in random order, 64 % Envoy lines (full of
//! escaped quotes), compressed at level 3 as Filebeat does. The figure to reach: at most 3.5 µs an event for inflate
//! and decode together. Prints the median and the fastest round in ns an event, on one thread.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;
use bytes::Bytes;
use flate2::{Compression, write::ZlibEncoder};
use loghound::decode::{Decoder, Dedupe, DedupeLimits, StreamLimits, Streams};
use loghound::ingest::frame::{Limits, inflate_window};
use loghound::record::{Batch, Wire};
use loghound::ship::Traffic;

/// As the binary has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 2_048;
const BATCHES: usize = 8;

/// A window's body as it is on the wire, and its data frames. With `sorted` keys the events compress as well as those
/// of a sender that keeps their order; a Beat's order is random.
fn window(traffic: &mut Traffic, sorted: bool) -> (Bytes, Vec<u8>) {
    let (mut frames, mut body) = (Vec::new(), Vec::new());
    for seq in 1..=EVENTS as u32 {
        body.clear();
        traffic.next_event(&mut body);
        if sorted {
            let event: serde_json::Value = serde_json::from_slice(&body).expect("an event made here");
            body = event.to_string().into_bytes();
        }
        frames.extend_from_slice(b"2J");
        frames.extend_from_slice(&seq.to_be_bytes());
        frames.extend_from_slice(&(body.len() as u32).to_be_bytes());
        frames.extend_from_slice(&body);
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(3));
    let packed = zlib.write_all(&frames).and_then(|()| zlib.finish()).expect("compressing into memory");
    let mut wire = b"2C".to_vec();
    wire.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    wire.extend_from_slice(&packed);
    (wire.into(), frames)
}

/// Runs `round` over all batches, `rounds` times, and prints its time an event.
fn measure(name: &str, rounds: usize, mut round: impl FnMut()) -> f64 {
    round();
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / (EVENTS * BATCHES) as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    println!("{name:<28} {median:>8.0} ns/event   fastest {:>6.0}", took[0]);
    median
}

fn main() {
    // `cargo test --benches` runs this as a test: then one round will do.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 40 } else { 1 };
    for sorted in [false, true] {
        let mut traffic = Traffic::new(7, 1_772_366_400_000_000_000);
        let windows: Vec<_> = (0..BATCHES).map(|_| window(&mut traffic, sorted)).collect();
        let inflated: usize = windows.iter().map(|(_, frames)| frames.len()).sum();
        let packed: usize = windows.iter().map(|(wire, _)| wire.len()).sum();
        println!(
            "keys {}: {} bytes an event, {} compressed",
            if sorted { "in one order" } else { "in random order, as a Beat writes them" },
            inflated / (EVENTS * BATCHES) - 10,
            packed / (EVENTS * BATCHES)
        );
        stages(&windows, rounds);
    }
}

fn stages(windows: &[(Bytes, Vec<u8>)], rounds: usize) {
    let batch = Batch {
        wire: Wire::Lumberjack,
        received_at: 1_772_366_400_000_000_000,
        peer: "10.0.0.5".into(),
        events: EVENTS as u32,
        body: Bytes::new(),
        inflated: None,
    };
    let limits = Limits::default();
    let inflate = measure("inflate", rounds, || {
        for (wire, _) in windows {
            black_box(inflate_window(wire, &limits).expect("a window made here"));
        }
    });
    let streams = Arc::new(Streams::new(StreamLimits::default()));
    let mut decoder = Decoder::new(Arc::clone(&streams));
    let mut arena = Bump::new();
    let decode = measure("decode", rounds, || {
        for (_, frames) in windows {
            arena.reset();
            let (mut events, mut bad) = (Vec::with_capacity(EVENTS), Vec::new());
            decoder.decode(&batch, frames, &arena, &mut events, &mut bad);
            assert_eq!((events.len(), bad.len()), (EVENTS, 0));
            black_box(&events);
        }
    });
    println!("{:<28} {:>8.0} ns/event", "inflate + decode", inflate + decode);
    println!("{:?}", streams.counts());
    let mut arena = Bump::new();
    let dedupe = Dedupe::new(DedupeLimits::default());
    let mut repeats = Vec::new();
    measure("decode + dedupe", rounds, || {
        for (_, frames) in windows {
            arena.reset();
            let (mut events, mut bad) = (Vec::with_capacity(EVENTS), Vec::new());
            decoder.decode(&batch, frames, &arena, &mut events, &mut bad);
            dedupe.check(&events, batch.received_at, &mut repeats);
            black_box(&repeats);
        }
    });
    measure("simdutf8 alone", rounds, || {
        for (_, frames) in windows {
            black_box(simdutf8::basic::from_utf8(frames).is_ok());
        }
    });
    measure("serde_json Value", rounds.div_ceil(8), || {
        for (_, frames) in windows {
            for frame in loghound::decode::DataFrames::new(frames) {
                if let loghound::decode::DataFrame::Json { body, .. } = frame {
                    black_box(serde_json::from_slice::<serde_json::Value>(body).is_ok());
                }
            }
        }
    });
}
