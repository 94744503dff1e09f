//! What stands in the journal in front of a request's body.
//!
//! ```text
//!  0  1  format version, 1
//!  1  1  source: 1 bulk, 2 lines
//!  2  1  encoding of the body: 0 none, 1 gzip
//!  3  1  zero
//!  4  4  length of the options, bytes, little-endian
//!  8  …  options: JSON
//!  …  …  the body as received
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// What kind of body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Elasticsearch's `_bulk`: an action a line, a document in the next.
    Bulk = 1,
    /// A document a line.
    Lines = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    Identity = 0,
    Gzip = 1,
}

/// What the request said beside its body, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The index of items that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Members that may hold the time, the first that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub time_fields: Vec<String>,
    /// Members that may hold the line, the first that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_fields: Vec<String>,
    /// Numbers of the items, from 0 and rising, that are not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub source: Source,
    pub encoding: Encoding,
    pub options: Options,
}

/// A head could not be read: the entry was not written by this program, or by a newer one.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error("shorter than its head")]
    Cut,
    #[error("head {0:?}: written by a newer loghound")]
    Newer([u8; 3]),
    #[error("options: {0}")]
    Options(#[from] serde_json::Error),
}

const VERSION: u8 = 1;

impl Head {
    /// The head's bytes; the body follows them.
    pub fn bytes(&self) -> Bytes {
        // A list of texts and numbers can always be written.
        let options = serde_json::to_vec(&self.options).unwrap_or_default();
        let mut out = BytesMut::with_capacity(8 + options.len());
        out.put_slice(&[VERSION, self.source as u8, self.encoding as u8, 0]);
        out.put_u32_le(options.len() as u32);
        out.put_slice(&options);
        out.freeze()
    }

    /// The head in front of `bytes`, and where the body begins.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), HeadError> {
        let (fixed, rest) = bytes.split_first_chunk::<8>().ok_or(HeadError::Cut)?;
        let [version, source, encoding, _, a, b, c, d] = *fixed;
        let newer = || HeadError::Newer([version, source, encoding]);
        let source = match (version, source) {
            (VERSION, 1) => Source::Bulk,
            (VERSION, 2) => Source::Lines,
            _ => return Err(newer()),
        };
        let encoding = match encoding {
            0 => Encoding::Identity,
            1 => Encoding::Gzip,
            _ => return Err(newer()),
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let options = rest.get(..length).ok_or(HeadError::Cut)?;
        Ok((Self { source, encoding, options: serde_json::from_slice(options)? }, 8 + length))
    }
}
