//! What the detectors cost a record: observing it in a worker, and taking it. `cargo bench --bench detect_records`.
//!
//! Traffic of `loghound ship --generate`, parsed beforehand; the goal is 1.5 µs a record together.

use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;
use loghound::decode::{Decoder, Streams};
use loghound::detect::{Detector, Names, Observer, Settings};
use loghound::parse::Parser;
use loghound::record::{Batch, Event, Fields, Record, Wire};
use loghound::ship::Traffic;

const EVENTS: u32 = 2_048;

fn main() {
    let batches = std::env::var("BATCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(150u64);
    let rate = std::env::var("RATE").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000.0);
    let mut traffic = Traffic::new(1, 1_780_000_000_000_000_000).with_rate(rate);
    let mut decoder = Decoder::new(Arc::new(Streams::new(Default::default())));
    let parser = Parser::builtin();
    let names = Arc::new(Names::default());
    let mut observer = Observer::new(Arc::clone(&names));
    let mut detector = Detector::new(names, Settings::default());
    let (mut observing, mut detecting) = (0u128, 0u128);
    for position in 1..=batches {
        let mut frames = Vec::new();
        for sequence in 1..=EVENTS {
            let mut event = Vec::new();
            traffic.next_event(&mut event);
            frames.extend_from_slice(b"2J");
            frames.extend_from_slice(&sequence.to_be_bytes());
            frames.extend_from_slice(&(event.len() as u32).to_be_bytes());
            frames.extend_from_slice(&event);
        }
        let received_at = traffic.now_nanos();
        let (body, inflated) = (Default::default(), None);
        let batch = Batch { wire: Wire::Lumberjack, received_at, peer: "bench".into(), events: EVENTS, body, inflated };
        let arena = Bump::new();
        let (mut events, mut bad): (Vec<Event<'_>>, _) = (Vec::new(), Vec::new());
        decoder.decode(&batch, &frames, &arena, &mut events, &mut bad);
        let parsed: Vec<_> = events
            .iter()
            .map(|event| {
                let mut fields = Fields::new();
                let grammar = event.message.and_then(|line| parser.parse(&event.stream, line, &mut fields));
                (event, grammar.map(|grammar| grammar.key()), fields)
            })
            .collect();
        let started = Instant::now();
        observer.begin(position, received_at, parsed.len());
        for (event, grammar, fields) in &parsed {
            let template = (event.id() % 60).into();
            observer.add(&Record { event, grammar: *grammar, template, fields });
        }
        let observed = observer.finish();
        let between = Instant::now();
        detector.observe(&observed);
        detecting += between.elapsed().as_nanos();
        observing += (between - started).as_nanos();
    }
    let records = batches * u64::from(EVENTS);
    let each = |nanos: u128| nanos as f64 / records as f64;
    println!("{records} records: observe {:.0} ns, detect {:.0} ns a record", each(observing), each(detecting));
    let started = Instant::now();
    let saved = detector.save().map_or(0, |state| state.len());
    println!("{:?}; a snapshot of {saved} bytes in {:?}", detector.stats(), started.elapsed());
}
