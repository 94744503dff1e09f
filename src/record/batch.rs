//! A batch: what one sender sent in one window, kept as it was received.

use bytes::{Bytes, BytesMut};

/// How a batch's body is written: which decoder reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Wire {
    /// Lumberjack frames after the window frame, `C`, `J` and `D` alike, byte for byte.
    Lumberjack = 1,
    /// The body of one HTTP request behind a head that says how to read it: `ingest::http`.
    Http = 2,
    /// Messages of Kafka behind a head that says which: `ingest::kafka`.
    Kafka = 3,
}

/// What one sender sent in one window.
///
/// The journal keeps `header() + body`. `inflated`, when present, spares the live path a second inflate; replay runs
/// without it and gives the same events.
#[derive(Debug, Clone)]
pub struct Batch {
    pub wire: Wire,
    /// When the window's last byte arrived: Unix nanoseconds.
    pub received_at: i64,
    /// The sender's address, without the port.
    pub peer: String,
    /// Data frames in the body.
    pub events: u32,
    /// The frames as received. Of an HTTP batch in memory only the head, when `inflated` has the rest.
    pub body: Bytes,
    /// What the body holds, uncompressed: the data frames (`J` and `D` only) one after the other, or the documents of a
    /// request.
    pub inflated: Option<Bytes>,
}

/// A batch's header could not be read: the entry was not written by this program, or by a newer one.
#[derive(Debug, thiserror::Error)]
#[error("batch header: {0}")]
pub struct BatchHeaderError(&'static str);

const HEADER_VERSION: u8 = 1;

impl Batch {
    /// Header layout, little-endian: u8 version (1), u8 wire, i64 received_at, u32 events, u8 length of peer, peer.
    pub fn header(&self) -> Bytes {
        let peer = &self.peer.as_bytes()[..self.peer.len().min(255)];
        let mut out = BytesMut::with_capacity(15 + peer.len());
        out.extend_from_slice(&[HEADER_VERSION, self.wire as u8]);
        out.extend_from_slice(&self.received_at.to_le_bytes());
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&[peer.len() as u8]);
        out.extend_from_slice(peer);
        out.freeze()
    }

    /// Reads a journal entry back: `header() + body`.
    pub fn from_entry(entry: Bytes) -> Result<Self, BatchHeaderError> {
        if entry.len() < 15 {
            return Err(BatchHeaderError("shorter than its fixed part"));
        }
        if entry[0] != HEADER_VERSION {
            return Err(BatchHeaderError("unknown version: written by a newer loghound"));
        }
        let wire = match entry[1] {
            1 => Wire::Lumberjack,
            2 => Wire::Http,
            3 => Wire::Kafka,
            _ => return Err(BatchHeaderError("unknown wire: written by a newer loghound")),
        };
        let fixed = |range: std::ops::Range<usize>| &entry[range];
        let received_at = i64::from_le_bytes(fixed(2..10).try_into().map_err(|_| BatchHeaderError("cut"))?);
        let events = u32::from_le_bytes(fixed(10..14).try_into().map_err(|_| BatchHeaderError("cut"))?);
        let peer_end = 15 + entry[14] as usize;
        if entry.len() < peer_end {
            return Err(BatchHeaderError("peer runs past the end"));
        }
        let peer = String::from_utf8_lossy(&entry[15..peer_end]).into_owned();
        Ok(Self { wire, received_at, peer, events, body: entry.slice(peer_end..), inflated: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back() {
        let batch = Batch {
            wire: Wire::Lumberjack,
            received_at: 1_700_000_000_123_456_789,
            peer: "10.0.0.5".into(),
            events: 2048,
            body: Bytes::from_static(b"2C...."),
            inflated: None,
        };
        let mut entry = BytesMut::from(&batch.header()[..]);
        entry.extend_from_slice(&batch.body);
        let entry = entry.freeze();
        let back = Batch::from_entry(entry.clone()).unwrap();
        assert_eq!(
            (back.received_at, &*back.peer, back.events, back.body),
            (batch.received_at, "10.0.0.5", 2048, batch.body)
        );
        for cut in 0..15 + 8 {
            assert!(Batch::from_entry(entry.slice(..cut)).is_err(), "cut at {cut}");
        }
    }
}
