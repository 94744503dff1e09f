//! Lumberjack frames (v1 and v2): their layout, their limits, and readers that allocate nothing a header claims.
//!
//! Every frame is a version byte (`1` or `2`), a type byte, then big-endian u32 fields:
//!
//! | type | payload |
//! |---|---|
//! | `W` | count: data frames that follow before the sender waits for its acknowledgement |
//! | `D` | seq, pair count, then per pair: key length, key, value length, value |
//! | `J` | seq, length, one JSON object |
//! | `C` | length, one zlib stream of whole frames |
//! | `A` | seq (server to sender only) |
//!
//! Source: `logstash-plugins/logstash-input-beats: PROTOCOL.md`. Either version byte is accepted with either data
//! frame: the reference server closes on a mix, and some writers mix.

mod inflate;
mod walker;

pub(crate) use inflate::grow;
pub use inflate::{Inflater, Room, Unlimited, inflate_window};
pub use walker::{Head, Kind, Step, Walker};

/// What a sender may send. Every limit is checked before anything is allocated for what it limits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Data frames in one window.
    pub window_events_max: u32,
    /// Bytes of one data frame, header included. A Beat's own `max_bytes` is 10 MiB for the message alone.
    pub frame_bytes_max: usize,
    /// Compressed bytes in one `C` frame.
    pub compressed_bytes_max: usize,
    /// Bytes of one window, uncompressed; also of its frames as received.
    pub inflated_bytes_max: usize,
    /// How many times larger than its compressed bytes a `C` frame may become, once it is over
    /// [`Limits::ratio_free_bytes`]. Deflate cannot do more than 1032.
    pub ratio_max: usize,
    /// Below this inflated size the ratio is not looked at: a quiet node's identical lines compress very well.
    pub ratio_free_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            window_events_max: 65_536,
            frame_bytes_max: 16 * MIB,
            compressed_bytes_max: 64 * MIB,
            inflated_bytes_max: 256 * MIB,
            ratio_max: 400,
            ratio_free_bytes: 16 * MIB,
        }
    }
}

/// Why a frame cannot be read. The connection that sent it ends; nothing of its window is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("version byte {0:#04x} is neither `1` nor `2`: the sender does not speak Lumberjack, or framing was lost")]
    Version(u8),
    #[error("frame type {0:#04x} is unknown")]
    Type(u8),
    #[error("an acknowledgement frame came from the sender")]
    Ack,
    #[error("data frame without content: its length or pair count is 0")]
    Empty,
    #[error("window of {count} events is over the limit of {max}: lower the sender's bulk_max_size or raise the limit")]
    WindowTooLarge { count: u32, max: u32 },
    #[error(
        "data frame of {bytes} bytes or more is over the limit of {max}: lower the sender's max_bytes or raise the limit"
    )]
    FrameTooLarge { bytes: u64, max: usize },
    #[error("compressed frame of {bytes} bytes is over the limit of {max}")]
    CompressedTooLarge { bytes: u64, max: usize },
    #[error("window grows over the limit of {max} bytes")]
    InflatedTooLarge { max: usize },
    #[error("compressed frame grows more than {max} times its size: taken for a compression bomb")]
    Ratio { max: usize },
    #[error("compressed frame inside a compressed frame")]
    NestedCompressed,
    // No sender is known to do this, and a window that begins half-way through a compressed frame could be neither
    // kept as it was received nor acknowledged whole.
    #[error("window frame inside a compressed frame")]
    NestedWindow,
    #[error("compressed frame is not one whole zlib stream: damaged, cut, or followed by other bytes")]
    Zlib,
    #[error("compressed content ends inside a frame")]
    PartialFrame,
    #[error("memory for received windows is used up: raise the budget, or send smaller windows")]
    Memory,
}

impl FrameError {
    /// Short name, a field of the log line.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Version(_) => "bad_version",
            Self::Type(_) => "bad_type",
            Self::Ack => "ack_from_sender",
            Self::Empty => "empty_frame",
            Self::WindowTooLarge { .. } => "window_too_large",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::CompressedTooLarge { .. } => "compressed_too_large",
            Self::InflatedTooLarge { .. } => "inflated_too_large",
            Self::Ratio { .. } => "inflate_ratio",
            Self::NestedCompressed => "nested_compressed",
            Self::NestedWindow => "nested_window",
            Self::Zlib => "bad_zlib",
            Self::PartialFrame => "partial_frame",
            Self::Memory => "memory",
        }
    }
}

pub(crate) fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |n, b| n << 8 | u32::from(*b))
}

#[cfg(test)]
pub(crate) mod build {
    //! Frames as senders write them.
    use std::io::Write;

    pub fn w(version: u8, count: u32) -> Vec<u8> {
        [&[version, b'W'][..], &count.to_be_bytes()].concat()
    }

    pub fn j(version: u8, seq: u32, body: &[u8]) -> Vec<u8> {
        [&[version, b'J'][..], &seq.to_be_bytes(), &(body.len() as u32).to_be_bytes(), body].concat()
    }

    pub fn d(version: u8, seq: u32, pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = [&[version, b'D'][..], &seq.to_be_bytes(), &(pairs.len() as u32).to_be_bytes()].concat();
        for part in pairs.iter().flat_map(|(k, v)| [k, v]) {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    }

    pub fn zlib(content: &[u8]) -> Vec<u8> {
        let mut zip = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(3));
        zip.write_all(content).unwrap();
        zip.finish().unwrap()
    }

    pub fn c_raw(version: u8, payload: &[u8]) -> Vec<u8> {
        [&[version, b'C'][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
    }

    pub fn c(version: u8, content: &[u8]) -> Vec<u8> {
        c_raw(version, &zlib(content))
    }
}

#[cfg(test)]
mod tests;
