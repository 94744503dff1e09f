//! What is known, as bytes: saved whole, loaded whole, and then the same scores as if nothing had happened.
//!
//! Layout: `LHDETECT`, u32 version (3), u64 journal position of the last batch taken, u64 length, u32 CRC-32 of the state, then
//! the state (postcard, little-endian). What follows from the rest (look-ups) is not saved. A state of another version is not
//! read: detectors learn again, from stored days where there are some.

use std::sync::Arc;

use super::detector::{Detector, Settings};
use super::names::Names;

const MAGIC: &[u8; 8] = b"LHDETECT";
/// Raise it when any saved shape changes.
pub const VERSION: u32 = 3;
const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 4;

/// A state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("this is no state of detectors")]
    Foreign,
    #[error("it has version {0}, and this loghound reads version {VERSION}")]
    Version(u32),
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    #[error("it cannot be read: {0}")]
    Unreadable(postcard::Error),
}

impl Detector {
    /// The whole state as bytes.
    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        let state = postcard::to_extend(self, vec![0; HEAD_BYTES])?;
        let mut out = state;
        let body = &out[HEAD_BYTES..];
        let (len, sum) = (body.len() as u64, crc32fast::hash(body));
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..20].copy_from_slice(&self.position().to_le_bytes());
        out[20..28].copy_from_slice(&len.to_le_bytes());
        out[28..32].copy_from_slice(&sum.to_le_bytes());
        Ok(out)
    }

    /// A detector from saved bytes.
    pub fn load(bytes: &[u8], names: Arc<Names>, settings: Settings) -> Result<Self, LoadError> {
        let Some((head, body)) = bytes.split_at_checked(HEAD_BYTES).filter(|(head, _)| head.starts_with(MAGIC)) else {
            return Err(LoadError::Foreign);
        };
        let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if version != VERSION {
            return Err(LoadError::Version(version));
        }
        let sum = u32::from_le_bytes([head[28], head[29], head[30], head[31]]);
        if head[20..28] != (body.len() as u64).to_le_bytes() || crc32fast::hash(body) != sum {
            return Err(LoadError::Damaged);
        }
        let mut detector: Self = postcard::from_bytes(body).map_err(LoadError::Unreadable)?;
        detector.restore(names, settings);
        Ok(detector)
    }
}
