//! One window on the wire: `2W<n>` and the `2J` frames 1..n, compressed into one `2C` as Filebeat does.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::ZlibEncoder};

/// A window ready to be written; a re-send writes the same bytes.
#[derive(Debug, Clone)]
pub struct Window {
    pub bytes: Bytes,
    pub events: u32,
    /// The events' JSON, uncompressed, without frame headers: bytes.
    pub raw_bytes: u64,
}

/// Collects events and makes windows of them.
pub struct WindowBuilder {
    /// 0 sends bare `J` frames, 1 to 9 is zlib's level.
    level: u32,
    frames: BytesMut,
    events: u32,
    raw_bytes: u64,
}

impl WindowBuilder {
    pub fn new(level: u32) -> Self {
        Self { level: level.min(9), frames: BytesMut::new(), events: 0, raw_bytes: 0 }
    }

    /// Adds one event: a JSON object.
    pub fn push(&mut self, json: &[u8]) {
        self.events += 1;
        self.raw_bytes += json.len() as u64;
        self.frames.put_slice(b"2J");
        self.frames.put_u32(self.events);
        self.frames.put_u32(json.len() as u32);
        self.frames.put_slice(json);
    }

    pub fn len(&self) -> u32 {
        self.events
    }

    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The window of the events pushed since the last call; `None` without any.
    pub fn finish(&mut self) -> Option<Window> {
        if self.events == 0 {
            return None;
        }
        let mut out = BytesMut::with_capacity(16 + self.frames.len() / 4);
        out.put_slice(b"2W");
        out.put_u32(self.events);
        match self.compressed() {
            Some(zlib) => {
                out.put_slice(b"2C");
                out.put_u32(zlib.len() as u32);
                out.put_slice(&zlib);
            }
            None => out.put_slice(&self.frames),
        }
        let window = Window { bytes: out.freeze(), events: self.events, raw_bytes: self.raw_bytes };
        self.frames.clear();
        self.events = 0;
        self.raw_bytes = 0;
        Some(window)
    }

    /// The frames as one zlib stream; `None` at level 0.
    fn compressed(&self) -> Option<Vec<u8>> {
        if self.level == 0 {
            return None;
        }
        let mut encoder =
            ZlibEncoder::new(Vec::with_capacity(self.frames.len() / 6 + 64), Compression::new(self.level));
        // Writing into a Vec does not fail; were it to, the bare frames are as good a window.
        encoder.write_all(&self.frames).ok()?;
        encoder.finish().ok()
    }
}
