//! The receiving side of Lumberjack as a machine of its own: bytes in, whole windows out, no clock and no socket.
//!
//! Where the written protocol and real senders differ, the rule followed here stands beside the code that follows it
//! (`logstash-plugins/logstash-input-beats: BeatsParser.java`, `elastic/go-lumber: server/v2/reader.go`).

use bytes::{Buf, Bytes, BytesMut};

use crate::ingest::frame::{Extent, FrameError, Inflating, Limits, measure};

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    Wait,
    /// A window frame came: the window may be read once memory allows.
    Announced,
    /// A window of no events, which is acknowledged with 0.
    Empty {
        version: u8,
    },
    Window(Window),
}

/// A window that was received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Of its last data frame: the acknowledgement's version byte.
    pub version: u8,
    /// Of its last data frame: what the acknowledgement carries. Writers that never reset their sequence wait for
    /// exactly this number, so a count would not do.
    pub sequence: u32,
    pub events: u32,
    /// The frames as received, without the window frame.
    pub body: Bytes,
    /// The data frames, uncompressed.
    pub inflated: Bytes,
    /// The window ended early because another one was announced.
    pub cut_short: bool,
}

pub struct WindowReader {
    limits: Limits,
    input: BytesMut,
    /// Frames the open window still waits for; 0 when none is open.
    missing: u32,
    /// The size last announced: frames after a filled window without a new announcement form windows of this size, as
    /// v1 writers do that announce once per connection. One before any announcement is a window of 1.
    announced: u32,
    open: bool,
    events: u32,
    last: Option<Extent>,
    body: BytesMut,
    inflated: Vec<u8>,
    compressed: bool,
    inflating: Option<Inflating>,
}

impl WindowReader {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            input: BytesMut::new(),
            missing: 0,
            announced: 1,
            open: false,
            events: 0,
            last: None,
            body: BytesMut::new(),
            inflated: Vec::new(),
            compressed: false,
            inflating: None,
        }
    }

    /// Where received bytes go.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Whether a window's first byte has come and its last has not.
    pub fn is_open(&self) -> bool {
        self.open || !self.input.is_empty()
    }

    /// The version byte a keep-alive for the open window carries.
    pub fn version(&self) -> u8 {
        self.last.map_or_else(|| self.input.first().copied().filter(|v| *v == b'1').unwrap_or(b'2'), |l| l.version)
    }

    /// Memory held for what was received: bytes.
    pub fn held_bytes(&self) -> usize {
        self.input.capacity() + self.body.capacity() + self.inflated.capacity()
    }

    /// Goes on with the bytes in [`WindowReader::input`].
    pub fn step(&mut self) -> Result<Step, FrameError> {
        loop {
            if let Some(inflating) = &mut self.inflating {
                if self.input.is_empty() {
                    return Ok(Step::Wait);
                }
                let (mut events, mut last) = (0, self.last);
                let taken = inflating.push(&self.input, &mut self.inflated, &self.limits, |extent| {
                    events += 1;
                    last = Some(extent);
                })?;
                let done = inflating.is_done();
                self.body.extend_from_slice(&self.input[..taken]);
                self.input.advance(taken);
                self.took(events, last);
                if done {
                    self.inflating = None;
                    if self.missing == 0 && self.events > 0 {
                        return Ok(Step::Window(self.finish(false)));
                    }
                }
                continue;
            }
            let Some(version) = self.input.first().copied() else { return Ok(Step::Wait) };
            if version == 0x16 {
                return Err(FrameError::TlsOnPlain);
            }
            if !matches!(version, b'1' | b'2') {
                return Err(FrameError::Version(version));
            }
            let Some(kind) = self.input.get(1).copied() else { return Ok(Step::Wait) };
            match kind {
                b'W' | b'C' => {
                    let Some(number) = self.input.get(2..6).and_then(|b| b.first_chunk::<4>()) else {
                        return Ok(Step::Wait);
                    };
                    let number = u32::from_be_bytes(*number);
                    if kind == b'W' {
                        if number > self.limits.window_events_max {
                            let max = self.limits.window_events_max;
                            return Err(FrameError::WindowTooLarge { count: number, max });
                        }
                        // Deliver what came of the window before; its sender gave up on the rest.
                        if self.events > 0 {
                            return Ok(Step::Window(self.finish(true)));
                        }
                        self.input.advance(6);
                        self.open = number > 0;
                        self.missing = number;
                        if number == 0 {
                            return Ok(Step::Empty { version });
                        }
                        self.announced = number;
                        return Ok(Step::Announced);
                    }
                    self.begin();
                    self.inflating = Some(Inflating::new(number, &self.inflated, &self.limits)?);
                    if !self.compressed {
                        self.compressed = true;
                        self.inflated.extend_from_slice(&self.body);
                        // The bytes before it were bare frames; from here the two copies differ.
                        self.inflating = Some(Inflating::new(number, &self.inflated, &self.limits)?);
                    }
                    self.body.extend_from_slice(&self.input[..6]);
                    self.input.advance(6);
                }
                b'J' | b'D' => {
                    let Some(extent) = measure(&self.input, &self.limits)? else { return Ok(Step::Wait) };
                    self.begin();
                    if self.compressed {
                        self.inflated.extend_from_slice(&self.input[..extent.bytes]);
                    }
                    self.body.extend_from_slice(&self.input[..extent.bytes]);
                    self.input.advance(extent.bytes);
                    self.took(1, Some(extent));
                    if self.missing == 0 {
                        return Ok(Step::Window(self.finish(false)));
                    }
                }
                other => return Err(FrameError::Type(other)),
            }
        }
    }

    /// A data or compressed frame begins: without an announcement it opens a window of the last size.
    fn begin(&mut self) {
        if !self.open {
            self.open = true;
            self.missing = self.announced;
        }
    }

    fn took(&mut self, events: u32, last: Option<Extent>) {
        self.events += events;
        // A compressed frame may hold more than was announced; its events all belong to this window.
        self.missing = self.missing.saturating_sub(events);
        self.last = last;
    }

    fn finish(&mut self, cut_short: bool) -> Window {
        let (version, sequence) = self.last.take().map_or((b'2', 0), |l| (l.version, l.sequence));
        let body = std::mem::take(&mut self.body).freeze();
        let inflated = std::mem::take(&mut self.inflated);
        let inflated = if self.compressed { Bytes::from(inflated) } else { body.clone() };
        let events = std::mem::take(&mut self.events);
        self.compressed = false;
        self.open = false;
        self.missing = 0;
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Window { version, sequence, events, body, inflated, cut_short }
    }
}
