//! Events: a data frame gives one event or one refusal, the same ones each time, whatever came before it.
//!
//! The first byte is the frame's kind: `J`, a JSON event; else pairs, as Lumberjack 1 has them.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use bumpalo::Bump;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loghound::decode::{Decoder, StreamLimits, Streams};
use loghound::record::{Batch, Wire};

fn decoder() -> Decoder {
    // Few, so that they are forgotten and met again.
    let limits = StreamLimits { streams_max: 16, bytes_max: 1 << 20 };
    Decoder::new(Arc::new(Streams::new(limits)))
}

thread_local! {
    static OLD: RefCell<Decoder> = RefCell::new(decoder());
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, body)) = data.split_first() else { return };
    let frame = if kind == b'J' { json(body) } else { pairs(body) };
    let again = OLD.with_borrow_mut(|old| decode(old, &frame));
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(OLD.with_borrow_mut(|old| decode(old, &frame)), again);
});

fn json(body: &[u8]) -> Vec<u8> {
    [b"2J\0\0\0\x01".as_slice(), &(body.len() as u32).to_be_bytes(), body].concat()
}

/// Keys and values by turns, one a line.
fn pairs(body: &[u8]) -> Vec<u8> {
    let mut texts: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    if texts.len() % 2 == 1 {
        texts.push(b"");
    }
    let mut out = [b"1D\0\0\0\x01".as_slice(), &(texts.len() as u32 / 2).to_be_bytes()].concat();
    for text in texts {
        out.extend((text.len() as u32).to_be_bytes());
        out.extend(text);
    }
    out
}

/// What each frame became, as text.
fn decode(decoder: &mut Decoder, frames: &[u8]) -> Vec<String> {
    let batch = Batch {
        wire: Wire::Lumberjack,
        received_at: 1_769_054_250_000_000_000,
        peer: "192.0.2.7".to_owned(),
        events: 1,
        body: Bytes::new(),
        inflated: None,
    };
    let arena = Bump::new();
    let (mut events, mut bad) = (Vec::new(), Vec::new());
    decoder.decode(&batch, frames, &arena, &mut events, &mut bad);
    let good = events.iter().map(|event| {
        let extra = event.extra.map(|extra| serde_json::from_str::<serde_json::Value>(extra).map_err(|_| extra));
        assert!(extra.as_ref().is_none_or(Result::is_ok), "{extra:?}");
        format!("{} {:?} {:?} {} {extra:?}", event.timestamp, event.message, event.offset, event.id())
    });
    good.chain(bad.iter().map(|bad| format!("{bad:?}"))).collect()
}
