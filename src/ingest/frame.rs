//! Lumberjack frames inside a window: data frames bare or compressed, walked as their bytes arrive.

use bytes::{Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};

/// What a window may cost. Each limit is checked before anything is allocated for it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Data frames a window may announce.
    pub window_events_max: u32,
    /// One data frame, header included: bytes.
    pub frame_bytes_max: usize,
    /// The payload of one compressed frame: bytes.
    pub compressed_bytes_max: usize,
    /// What the compressed frames of one window may inflate to: bytes.
    pub inflated_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_events_max: 65_536,
            frame_bytes_max: 16 << 20,
            compressed_bytes_max: 64 << 20,
            inflated_bytes_max: 256 << 20,
        }
    }
}

/// Beyond this size, content that inflates more than [`RATIO_MAX`] times is a bomb: logs reach 20 to 50.
const RATIO_CHECK_BYTES: usize = 16 << 20;
const RATIO_MAX: usize = 400;
/// The inflated buffer grows in steps of this, so that memory follows what really arrives.
const INFLATE_STEP: usize = 64 << 10;

/// Why a connection's bytes are not Lumberjack. The text is for the log, [`FrameError::reason`] for the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("invalid protocol version byte 0x{0:02x}: this is not a Beats client")]
    Version(u8),
    #[error("a TLS client on a plain-text port: remove ssl from the sender, or configure beats.tls here")]
    TlsOnPlain,
    #[error("invalid frame type 0x{0:02x}")]
    Type(u8),
    #[error("the window announces {count} events, more than the {max} allowed (beats.window_events_max)")]
    WindowTooLarge { count: u32, max: u32 },
    #[error("a data frame of {bytes} bytes is larger than the {max} allowed (beats.frame_bytes_max)")]
    FrameTooLarge { bytes: u64, max: usize },
    #[error("a compressed frame of {bytes} bytes is larger than the {max} allowed (beats.compressed_bytes_max)")]
    CompressedTooLarge { bytes: u64, max: usize },
    #[error("compressed content inflates to more than the {max} bytes allowed (beats.inflated_bytes_max)")]
    InflatedTooLarge { max: usize },
    #[error("compressed content inflates more than {RATIO_MAX} times: it is no log")]
    Ratio,
    #[error("compressed content is damaged")]
    Inflate,
    #[error("a compressed frame ends inside a data frame")]
    CutInside,
    #[error("a frame of type 0x{0:02x} inside a compressed frame")]
    Nested(u8),
    #[error("a data frame with {0} pairs or a length of zero")]
    Length(u32),
    #[error("a key or value runs past its frame's limit")]
    Pair,
}

impl FrameError {
    /// The value of the metric's label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Version(_) | Self::Type(_) => "malformed",
            Self::TlsOnPlain => "tls_on_plain",
            Self::WindowTooLarge { .. } => "window_too_large",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::CompressedTooLarge { .. } => "compressed_too_large",
            Self::InflatedTooLarge { .. } | Self::Ratio => "inflated_too_large",
            Self::Inflate => "inflate",
            Self::CutInside | Self::Nested(_) | Self::Length(_) | Self::Pair => "malformed",
        }
    }
}

/// A data frame's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub version: u8,
    pub sequence: u32,
    pub bytes: usize,
}

/// Measures the data frame at the start of `buf`: `None` when it is not whole yet. Every length is checked as soon as
/// it can be read.
pub fn measure(buf: &[u8], limits: &Limits) -> Result<Option<Extent>, FrameError> {
    let Some(head) = buf.first_chunk::<10>() else { return Ok(None) };
    let word = |i: usize| u32::from_be_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
    let (sequence, count) = (word(2), word(6));
    let too_large = |bytes: u64| FrameError::FrameTooLarge { bytes, max: limits.frame_bytes_max };
    // Go's and Java's readers take lengths as signed: zero and negative are nothing a client sends.
    if count == 0 || count > i32::MAX as u32 {
        return Err(FrameError::Length(count));
    }
    let bytes = match head[1] {
        b'J' => {
            let bytes = 10 + u64::from(count);
            if bytes > limits.frame_bytes_max as u64 {
                return Err(too_large(bytes));
            }
            bytes as usize
        }
        b'D' => {
            if u64::from(count) * 8 > limits.frame_bytes_max as u64 {
                return Err(too_large(u64::from(count) * 8));
            }
            let mut at = 10usize;
            for _ in 0..2 * u64::from(count) {
                let Some(length) = buf.get(at..).and_then(|b| b.first_chunk::<4>()) else { return Ok(None) };
                let next = at as u64 + 4 + u64::from(u32::from_be_bytes(*length));
                if next > limits.frame_bytes_max as u64 {
                    return Err(too_large(next));
                }
                at = next as usize;
            }
            at
        }
        other => return Err(FrameError::Type(other)),
    };
    Ok((buf.len() >= bytes).then_some(Extent { version: head[0], sequence, bytes }))
}

/// One compressed frame being inflated as its bytes arrive.
pub struct Inflating {
    stream: Decompress,
    left: usize,
    ended: bool,
    /// Where in the window's inflated bytes the next data frame starts.
    checked: usize,
}

impl Inflating {
    /// `bytes` is what the frame's header claims; nothing is allocated for it.
    pub fn new(bytes: u32, inflated: &[u8], limits: &Limits) -> Result<Self, FrameError> {
        if bytes as usize > limits.compressed_bytes_max {
            return Err(FrameError::CompressedTooLarge { bytes: bytes.into(), max: limits.compressed_bytes_max });
        }
        Ok(Self { stream: Decompress::new(true), left: bytes as usize, ended: false, checked: inflated.len() })
    }

    /// Takes payload from `input`, returning how much; data frames that are whole are reported to `frame`.
    pub fn push(
        &mut self,
        input: &[u8],
        inflated: &mut Vec<u8>,
        limits: &Limits,
        mut frame: impl FnMut(Extent),
    ) -> Result<usize, FrameError> {
        let input = &input[..input.len().min(self.left)];
        let mut at = 0;
        while !self.ended {
            if inflated.capacity() - inflated.len() < 4096 {
                let step = INFLATE_STEP.max(inflated.len() / 2).min(limits.inflated_bytes_max + 4096 - inflated.len());
                inflated.reserve_exact(step);
            }
            let (read, wrote) = (self.stream.total_in(), inflated.len());
            let status = self
                .stream
                .decompress_vec(&input[at..], inflated, FlushDecompress::None)
                .map_err(|_| FrameError::Inflate)?;
            at += (self.stream.total_in() - read) as usize;
            if inflated.len() > limits.inflated_bytes_max {
                return Err(FrameError::InflatedTooLarge { max: limits.inflated_bytes_max });
            }
            if inflated.len() > RATIO_CHECK_BYTES && self.stream.total_out() > self.stream.total_in() * RATIO_MAX as u64
            {
                return Err(FrameError::Ratio);
            }
            self.walk(inflated, limits, &mut frame)?;
            match status {
                Status::StreamEnd => self.ended = true,
                Status::Ok | Status::BufError if at == input.len() && inflated.len() == wrote => break,
                Status::Ok | Status::BufError => {}
            }
        }
        // Bytes after the end of the zlib stream belong to nothing.
        if self.ended && at < input.len() {
            return Err(FrameError::Inflate);
        }
        self.left -= input.len();
        if self.left == 0 {
            if !self.ended {
                return Err(FrameError::Inflate);
            }
            if self.checked != inflated.len() {
                return Err(FrameError::CutInside);
            }
        }
        Ok(input.len())
    }

    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    fn walk(&mut self, inflated: &[u8], limits: &Limits, frame: &mut impl FnMut(Extent)) -> Result<(), FrameError> {
        while let Some(head) = inflated.get(self.checked..self.checked + 2) {
            if !matches!(head[0], b'1' | b'2') {
                return Err(FrameError::Version(head[0]));
            }
            if !matches!(head[1], b'J' | b'D') {
                return Err(FrameError::Nested(head[1]));
            }
            let Some(extent) = measure(&inflated[self.checked..], limits)? else { break };
            self.checked += extent.bytes;
            frame(extent);
        }
        Ok(())
    }
}

/// The data frames of a whole window's body, uncompressed: what the receiver handed on when it arrived, made again
/// from the body alone.
pub fn inflate_window(body: &Bytes, limits: &Limits) -> Result<Bytes, FrameError> {
    let mut rest = &body[..];
    let mut inflated = Vec::new();
    if rest.get(1) != Some(&b'C') && !contains_compressed(rest, limits)? {
        return Ok(body.clone());
    }
    while let Some(head) = rest.first_chunk::<6>() {
        if head[1] == b'C' {
            let bytes = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
            let mut inflating = Inflating::new(bytes, &inflated, limits)?;
            let taken = inflating.push(&rest[6..], &mut inflated, limits, |_| {})?;
            if !inflating.is_done() {
                return Err(FrameError::Inflate);
            }
            rest = &rest[6 + taken..];
        } else {
            let extent = measure(rest, limits)?.ok_or(FrameError::CutInside)?;
            inflated.extend_from_slice(&rest[..extent.bytes]);
            rest = &rest[extent.bytes..];
        }
    }
    Ok(BytesMut::from(&inflated[..]).freeze())
}

fn contains_compressed(mut rest: &[u8], limits: &Limits) -> Result<bool, FrameError> {
    while rest.len() >= 2 {
        if rest[1] == b'C' {
            return Ok(true);
        }
        let extent = measure(rest, limits)?.ok_or(FrameError::CutInside)?;
        rest = &rest[extent.bytes..];
    }
    Ok(false)
}
