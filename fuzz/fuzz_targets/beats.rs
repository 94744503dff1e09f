//! Lumberjack: bytes of a connection give the same windows however they arrive, within the limits, and a window's body
//! read back from the journal gives the same frames.
//!
//! The first byte says where the pieces are cut, and whether what follows is put into a compressed frame first: a fuzzer
//! does not make up a zlib stream.

#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use libfuzzer_sys::fuzz_target;
use loghound::ingest::beats::{Malformed, Progress, Windows};
use loghound::ingest::frame::{Limits, Unlimited, inflate_window};

/// So small that a fuzzer meets them.
const LIMITS: Limits = Limits {
    window_events_max: 64,
    frame_bytes_max: 1024,
    compressed_bytes_max: 2048,
    inflated_bytes_max: 8192,
    ratio_max: 20,
    ratio_free_bytes: 4096,
};

fuzz_target!(|data: &[u8]| {
    let Some((&how, content)) = data.split_first() else { return };
    let content = if how & 0x80 == 0 { content.to_vec() } else { compressed(content) };
    let (whole, error) = windows(&content, content.len().max(1));
    let (pieces, other) = windows(&content, usize::from(how & 0x7f).max(1));
    assert_eq!(whole, pieces);
    assert_eq!(error.is_some(), other.is_some(), "{error:?} {other:?}");
    for progress in whole {
        if let Progress::Complete(window) = progress {
            assert!(window.events <= LIMITS.window_events_max);
            assert!(window.inflated.len() <= LIMITS.inflated_bytes_max);
            assert_eq!(inflate_window(&window.body, &LIMITS).as_ref(), Ok(&window.inflated));
        }
    }
});

/// A window of two frames: the content, compressed; and then as it is.
fn compressed(content: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(1));
    let zlib = zlib.write_all(content).and_then(|()| zlib.finish()).unwrap_or_default();
    let length = (zlib.len() as u32).to_be_bytes();
    [b"2W\0\0\0\x02".as_slice(), b"2C", &length, &zlib, content].concat()
}

/// All that comes of the bytes, given in pieces of `step`.
fn windows(content: &[u8], step: usize) -> (Vec<Progress>, Option<Malformed>) {
    let mut windows = Windows::new(LIMITS);
    let mut out = Vec::new();
    for mut piece in content.chunks(step) {
        loop {
            match windows.push(&mut piece, &mut Unlimited) {
                Ok(Progress::Hungry) => break,
                Ok(progress) => out.push(progress),
                Err(error) => return (out, Some(error)),
            }
        }
        assert!(piece.is_empty(), "hungry with bytes left");
    }
    (out, None)
}
