//! Inflates a whole `C` frame into its window's buffer, and checks each frame in it once.
//!
//! The frame's compressed bytes are held anyway, for the journal. So they are inflated in one go once the last of them
//! is there, at half the cost of inflating them as they arrive. Still nothing is allocated from a claim: the output's
//! first size follows from compressed bytes that did arrive, and it grows, asking for room each time, until the content
//! fits or meets a limit.

use std::cell::RefCell;

use bytes::Bytes;
use libdeflater::{DecompressionError, Decompressor};

use super::walker::{Head, Kind, Step, Walker};
use super::{FrameError, Limits};

/// Leave to hold memory, asked for before a buffer grows.
pub trait Room {
    /// May this window hold `bytes` in all? Once true, they count as held.
    fn hold(&mut self, bytes: usize) -> bool;
}

/// Room without a bound: replay of one window at a time.
pub struct Unlimited;

impl Room for Unlimited {
    fn hold(&mut self, _: usize) -> bool {
        true
    }
}

/// First size of a buffer that will hold a window's frames.
const FIRST_BYTES: usize = 8 << 10;

/// Data frames seen in a `C` frame.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub events: u32,
    pub last: Option<Head>,
}

thread_local! {
    /// Tables of 11 KB, filled anew for each block of a stream: one a thread is enough.
    static ZLIB: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// Inflates one sender's frames. Remembers how well the last one compressed: the next one's first guess.
#[derive(Debug, Clone, Copy)]
pub struct Inflater {
    /// Inflated bytes to expect for 16 compressed ones.
    per_16: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { per_16: 8 * 16 }
    }
}

impl Inflater {
    /// Appends to `out` the frames in `payload`, a `C` frame's whole content. `held`: bytes the window holds besides
    /// `out`. An error leaves `out` as it happens to be: the connection ends.
    pub fn inflate(
        &mut self,
        payload: &[u8],
        out: &mut Vec<u8>,
        limits: &Limits,
        held: usize,
        room: &mut impl Room,
    ) -> Result<Seen, FrameError> {
        let from = out.len();
        let (most, over) = most_content(payload.len(), from, limits);
        let mut size = payload.len().saturating_mul(self.per_16) / 16;
        let content = loop {
            size = size.max(FIRST_BYTES).min(most);
            if !room.hold(held + from + size) {
                return Err(FrameError::Memory);
            }
            zeroed(out, from, size);
            match ZLIB.with_borrow_mut(|zlib| zlib.zlib_decompress(payload, &mut out[from..])) {
                Ok(content) => break content,
                Err(DecompressionError::InsufficientSpace) if size < most => size = size.saturating_mul(2),
                Err(DecompressionError::InsufficientSpace) => return Err(over),
                Err(DecompressionError::BadData) => return Err(FrameError::Zlib),
            }
        };
        out.truncate(from + content);
        // A stream ends with the checksum of its content. Bytes behind it are not looked at by the decompressor.
        if payload.last_chunk() != Some(&libdeflater::adler32(&out[from..]).to_be_bytes()) {
            return Err(FrameError::Zlib);
        }
        // A quarter more than this time: a second try costs more than memory that is given back.
        self.per_16 = content * 20 / payload.len().max(1) + 16;
        walk(&out[from..], limits)
    }
}

/// The most bytes a frame's content may have, and what more than that would be.
fn most_content(compressed: usize, from: usize, limits: &Limits) -> (usize, FrameError) {
    let whole = limits.inflated_bytes_max.saturating_sub(from);
    let by_ratio = limits.ratio_free_bytes.max(compressed.saturating_mul(limits.ratio_max));
    if whole <= by_ratio {
        (whole, FrameError::InflatedTooLarge { max: limits.inflated_bytes_max })
    } else {
        (by_ratio, FrameError::Ratio { max: limits.ratio_max })
    }
}

/// Makes `out` hold `size` bytes behind its first `from`.
fn zeroed(out: &mut Vec<u8>, from: usize, size: usize) {
    if from == 0 {
        // Zeroed pages come for nothing from the allocator, and old content is not copied.
        *out = Vec::new();
        *out = vec![0; size];
    } else {
        out.truncate(from);
        out.reserve_exact(size);
        out.resize(from + size, 0);
    }
}

/// Counts the data frames of a `C` frame's content.
fn walk(content: &[u8], limits: &Limits) -> Result<Seen, FrameError> {
    let mut walker = Walker::new(limits);
    let (mut seen, mut at) = (Seen::default(), 0);
    while at < content.len() {
        let (used, step) = walker.step(&content[at..])?;
        at += used;
        match step {
            Step::More => {}
            Step::Head(head) => match head.kind {
                Kind::Window => return Err(FrameError::NestedWindow),
                Kind::Compressed => return Err(FrameError::NestedCompressed),
                Kind::Json | Kind::Pairs => {}
            },
            Step::Data(head) => {
                seen.events = seen.events.saturating_add(1);
                seen.last = Some(head);
            }
        }
    }
    if walker.at_boundary() { Ok(seen) } else { Err(FrameError::PartialFrame) }
}

/// Makes `buffer` larger: to `target` if that is more than a step, within the limit and the room.
/// `held`: bytes the window holds besides this buffer.
pub(crate) fn grow(
    buffer: &mut Vec<u8>,
    target: usize,
    limits: &Limits,
    held: usize,
    room: &mut impl Room,
) -> Result<(), FrameError> {
    let now = buffer.capacity();
    let step = now + (now / 2).max(FIRST_BYTES);
    // One byte over the limit, so that crossing it shows.
    let capacity = target.max(step).min(limits.inflated_bytes_max + 1).max(buffer.len() + 1);
    if !room.hold(held + capacity) {
        return Err(FrameError::Memory);
    }
    buffer.reserve_exact(capacity - buffer.len());
    Ok(())
}

/// The data frames of a window's body (all frames after `W` as received), uncompressed, one after the other: what the
/// receiver made of the same bytes. The limit on a window's events is not asked here: the body was taken once.
pub fn inflate_window(body: &[u8], limits: &Limits) -> Result<Bytes, FrameError> {
    let (mut walker, mut inflater) = (Walker::new(limits), Inflater::default());
    let mut out = Vec::new();
    let (mut at, mut frame) = (0, 0);
    while at < body.len() {
        let (used, step) = walker.step(&body[at..])?;
        at += used;
        match step {
            Step::More => return Err(FrameError::PartialFrame),
            Step::Head(Head { kind: Kind::Window, .. }) => return Err(FrameError::NestedWindow),
            Step::Head(head) if head.kind == Kind::Compressed => {
                let length = head.first as usize;
                let payload = body.get(at..at + length).ok_or(FrameError::PartialFrame)?;
                inflater.inflate(payload, &mut out, limits, 0, &mut Unlimited)?;
                at += length;
            }
            Step::Head(head) => frame = at - head.len(),
            Step::Data(_) => out.extend_from_slice(&body[frame..at]),
        }
    }
    if !walker.at_boundary() {
        return Err(FrameError::PartialFrame);
    }
    Ok(Bytes::from(out))
}
