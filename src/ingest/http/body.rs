//! Takes the compression off a request's body, within a limit.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::Encoding;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is not gzip, or was cut: {0}")]
    Gzip(String),
    #[error("the body holds more than {max} bytes: send smaller requests")]
    TooLarge { max: usize },
}

/// A journalled body is read again without a limit, and a claim of four gigabytes in it is no reason to ask for them.
const RESERVED_MAX: usize = 128 << 20;

/// The body uncompressed. Memory of up to `max` may be reserved before it is known to be used.
pub fn inflate(encoding: Encoding, body: &Bytes, max: usize) -> Result<Bytes, BodyError> {
    if encoding == Encoding::Identity {
        return if body.len() <= max { Ok(body.clone()) } else { Err(BodyError::TooLarge { max }) };
    }
    // A trailer's claim is reserved exactly: growing by doubling takes up to three times as much.
    let claimed = body.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let mut out = Vec::with_capacity(claimed.min(max).saturating_add(1).min(RESERVED_MAX));
    // One byte over the limit, so that crossing it shows.
    let mut reader = MultiGzDecoder::new(&body[..]).take(max as u64 + 1);
    reader.read_to_end(&mut out).map_err(|err| BodyError::Gzip(err.to_string()))?;
    if out.len() > max { Err(BodyError::TooLarge { max }) } else { Ok(out.into()) }
}
