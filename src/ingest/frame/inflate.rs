//! Inflates `C` frames as their bytes arrive, into one buffer, checking each frame in it once.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

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

/// Memory of zlib's own state and window, about: counted as held while a `C` frame is open.
pub const STATE_BYTES: usize = 48 << 10;

/// First size of a buffer that will hold a window's frames.
const FIRST_BYTES: usize = 8 << 10;

/// Data frames seen in a `C` frame.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub events: u32,
    pub last: Option<Head>,
}

/// One open `C` frame.
pub struct Unzip {
    zlib: Decompress,
    /// Compressed bytes of the frame still to come, and its length.
    left: usize,
    length: usize,
    /// Where in the output this frame's content begins.
    from: usize,
    /// The output up to here was walked over.
    walked: usize,
    walker: Walker,
    ended: bool,
    pub seen: Seen,
}

impl Unzip {
    /// `from`: how many bytes `out` holds already.
    pub fn new(length: usize, from: usize, limits: &Limits) -> Self {
        Self {
            zlib: Decompress::new(true),
            left: length,
            length,
            from,
            walked: from,
            walker: Walker::new(limits),
            ended: false,
            seen: Seen::default(),
        }
    }

    /// Compressed bytes still to come.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Takes compressed bytes of this frame, at most [`Unzip::left`]. `held`: bytes the window holds besides `out`.
    /// At the frame's last byte, checks that stream and content are whole.
    pub fn feed(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limits: &Limits,
        held: usize,
        room: &mut impl Room,
    ) -> Result<(), FrameError> {
        self.left -= input.len();
        while !self.ended {
            if out.len() == out.capacity() {
                let target = self.target(out.len(), input.len());
                grow(out, target, limits, held + STATE_BYTES, room)?;
            }
            let (before_in, before_out) = (self.zlib.total_in(), out.len());
            let status = self.zlib.decompress_vec(input, out, FlushDecompress::None).map_err(|_| FrameError::Zlib)?;
            let taken = (self.zlib.total_in() - before_in) as usize;
            input = &input[taken..];
            self.check_size(out.len(), input.len(), limits)?;
            self.walk(out)?;
            match status {
                Status::StreamEnd => self.ended = true,
                _ if input.is_empty() && out.len() < out.capacity() => break,
                // Room in the output, bytes in the input, and yet nothing moved.
                _ if taken == 0 && out.len() == before_out && out.len() < out.capacity() => {
                    return Err(FrameError::Zlib);
                }
                _ => {}
            }
        }
        if self.ended && input.len() + self.left > 0 {
            return Err(FrameError::ZlibTrailing(input.len() + self.left));
        }
        if self.left == 0 {
            if !self.ended {
                return Err(FrameError::ZlibTruncated);
            }
            if !self.walker.at_boundary() {
                return Err(FrameError::PartialFrame);
            }
        }
        Ok(())
    }

    fn check_size(&self, len: usize, unread: usize, limits: &Limits) -> Result<(), FrameError> {
        if len > limits.inflated_bytes_max {
            return Err(FrameError::InflatedTooLarge { max: limits.inflated_bytes_max });
        }
        let content = len - self.from;
        let compressed = self.length - self.left - unread;
        if content > limits.ratio_free_bytes && content / limits.ratio_max.max(1) > compressed {
            return Err(FrameError::Ratio { max: limits.ratio_max });
        }
        Ok(())
    }

    /// The size this frame's content will have if it goes on compressing as it did: saves copying a buffer that
    /// grows. Never more than four times what is there, since the frame's length is only a claim.
    fn target(&self, len: usize, unread: usize) -> usize {
        let content = len - self.from;
        let compressed = self.length - self.left - unread;
        let whole = match compressed {
            0 => 0,
            n => (content as u128 * self.length as u128 / n as u128) as usize,
        };
        (self.from + whole + whole / 16).min(len * 4)
    }

    fn walk(&mut self, out: &[u8]) -> Result<(), FrameError> {
        while self.walked < out.len() {
            let (used, step) = self.walker.step(&out[self.walked..])?;
            self.walked += used;
            match step {
                Step::More => {}
                Step::Head(head) => match head.kind {
                    Kind::Window => return Err(FrameError::NestedWindow),
                    Kind::Compressed => return Err(FrameError::NestedCompressed),
                    Kind::Json | Kind::Pairs => {}
                },
                Step::Data(head) => {
                    self.seen.events = self.seen.events.saturating_add(1);
                    self.seen.last = Some(head);
                }
            }
        }
        Ok(())
    }
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
    let mut walker = Walker::new(limits);
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
                let payload = body.get(at..at + length).ok_or(FrameError::ZlibTruncated)?;
                Unzip::new(length, out.len(), limits).feed(payload, &mut out, limits, 0, &mut Unlimited)?;
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
