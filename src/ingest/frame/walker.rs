//! Walks over frames that arrive in pieces, keeping nothing but the current header.

use super::{FrameError, Limits, be32};

/// What a frame is, by its type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Window,
    Json,
    Pairs,
    Compressed,
}

/// A frame's fixed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub version: u8,
    pub kind: Kind,
    /// Window: count. Data: sequence number. Compressed: length.
    pub first: u32,
    /// JSON: length. Pairs: pair count. Else 0.
    pub second: u32,
}

impl Head {
    /// Bytes of the fixed part on the wire.
    pub fn len(&self) -> usize {
        match self.kind {
            Kind::Window | Kind::Compressed => 6,
            Kind::Json | Kind::Pairs => 10,
        }
    }

    /// Never: a head has at least six bytes.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The input is used up in the middle of something, or at a frame's end.
    More,
    /// A head is complete. Of a window or compressed frame this is the last the walker sees.
    Head(Head),
    /// A data frame is complete.
    Data(Head),
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    /// Payload bytes of a JSON frame still to come.
    Json {
        left: usize,
    },
    /// Length fields of a pairs frame still to come, and the bytes of the frame so far.
    Length {
        fields: u64,
        bytes: u64,
    },
    /// Bytes of a key or value still to come.
    Part {
        left: usize,
        fields: u64,
        bytes: u64,
    },
}

/// Incremental frame reader: each byte is looked at once, however the input is cut.
#[derive(Debug)]
pub struct Walker {
    state: State,
    /// The current head, or a pair's length field.
    held: [u8; 10],
    have: usize,
    head: Head,
    frame_bytes_max: usize,
    window_events_max: u32,
    compressed_bytes_max: usize,
}

impl Walker {
    pub fn new(limits: &Limits) -> Self {
        Self {
            state: State::Head,
            held: [0; 10],
            have: 0,
            head: Head { version: b'2', kind: Kind::Window, first: 0, second: 0 },
            frame_bytes_max: limits.frame_bytes_max,
            window_events_max: limits.window_events_max,
            compressed_bytes_max: limits.compressed_bytes_max,
        }
    }

    /// Whether the last byte seen ended a frame (or none was seen yet).
    pub fn at_boundary(&self) -> bool {
        matches!(self.state, State::Head) && self.have == 0
    }

    /// The version byte of the frame in progress.
    pub fn version_in_progress(&self) -> Option<u8> {
        match self.state {
            State::Head if self.have == 0 => None,
            State::Head => Some(self.held[0]),
            _ => Some(self.head.version),
        }
    }

    /// Reads on; gives the bytes used and what they completed.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Step), FrameError> {
        let mut used = 0;
        loop {
            match self.state {
                State::Head => {
                    let (taken, head) = self.take_head(&input[used..])?;
                    used += taken;
                    let Some(head) = head else { return Ok((used, Step::More)) };
                    self.have = 0;
                    self.head = head;
                    self.state = self.after(head)?;
                    return Ok((used, Step::Head(head)));
                }
                State::Json { left } => {
                    let n = left.min(input.len() - used);
                    used += n;
                    if n < left {
                        self.state = State::Json { left: left - n };
                        return Ok((used, Step::More));
                    }
                    self.state = State::Head;
                    return Ok((used, Step::Data(self.head)));
                }
                State::Length { fields: 0, .. } => {
                    self.state = State::Head;
                    return Ok((used, Step::Data(self.head)));
                }
                State::Length { fields, bytes } => {
                    let n = (4 - self.have).min(input.len() - used);
                    self.held[self.have..self.have + n].copy_from_slice(&input[used..used + n]);
                    self.have += n;
                    used += n;
                    if self.have < 4 {
                        return Ok((used, Step::More));
                    }
                    self.have = 0;
                    let left = be32(&self.held);
                    // What is certain to follow: this part, and a length field for each part after it.
                    let fields = fields - 1;
                    let bytes = bytes + 4 + u64::from(left);
                    self.check_frame(bytes + 4 * fields)?;
                    self.state = State::Part { left: left as usize, fields, bytes };
                }
                State::Part { left, fields, bytes } => {
                    let n = left.min(input.len() - used);
                    used += n;
                    if n < left {
                        self.state = State::Part { left: left - n, fields, bytes };
                        return Ok((used, Step::More));
                    }
                    self.state = State::Length { fields, bytes };
                }
            }
        }
    }

    /// Collects a head. Version and type are judged as soon as they are there, so that a peer that speaks something
    /// else is told apart at its first byte.
    fn take_head(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), FrameError> {
        if self.have == 0 && input.len() >= 10 {
            let head = read_head(input)?;
            return Ok((head.len(), Some(head)));
        }
        let mut used = 0;
        loop {
            let want = match self.have {
                0 | 1 => self.have + 1,
                _ if matches!(kind(&self.held)?, Kind::Window | Kind::Compressed) => 6,
                _ => 10,
            };
            let n = (want - self.have).min(input.len() - used);
            self.held[self.have..self.have + n].copy_from_slice(&input[used..used + n]);
            self.have += n;
            used += n;
            match self.have {
                0 => return Ok((used, None)),
                1 => check_version(self.held[0])?,
                _ => drop(kind(&self.held)?),
            }
            if self.have < want {
                return Ok((used, None));
            }
            if want > 2 {
                return Ok((used, Some(read_head(&self.held)?)));
            }
        }
    }

    fn after(&self, head: Head) -> Result<State, FrameError> {
        match head.kind {
            Kind::Window if head.first > self.window_events_max => {
                Err(FrameError::WindowTooLarge { count: head.first, max: self.window_events_max })
            }
            Kind::Window => Ok(State::Head),
            Kind::Compressed if head.first as usize > self.compressed_bytes_max => {
                Err(FrameError::CompressedTooLarge { bytes: u64::from(head.first), max: self.compressed_bytes_max })
            }
            Kind::Compressed if head.first == 0 => Err(FrameError::Zlib),
            Kind::Compressed => Ok(State::Head),
            _ if head.second == 0 => Err(FrameError::Empty),
            Kind::Json => {
                self.check_frame(10 + u64::from(head.second))?;
                Ok(State::Json { left: head.second as usize })
            }
            Kind::Pairs => {
                let fields = 2 * u64::from(head.second);
                self.check_frame(10 + 4 * fields)?;
                Ok(State::Length { fields, bytes: 10 })
            }
        }
    }

    fn check_frame(&self, bytes: u64) -> Result<(), FrameError> {
        if bytes > self.frame_bytes_max as u64 {
            return Err(FrameError::FrameTooLarge { bytes, max: self.frame_bytes_max });
        }
        Ok(())
    }
}

fn check_version(byte: u8) -> Result<(), FrameError> {
    if matches!(byte, b'1' | b'2') { Ok(()) } else { Err(FrameError::Version(byte)) }
}

fn kind(held: &[u8]) -> Result<Kind, FrameError> {
    match held[1] {
        b'W' => Ok(Kind::Window),
        b'J' => Ok(Kind::Json),
        b'D' => Ok(Kind::Pairs),
        b'C' => Ok(Kind::Compressed),
        b'A' => Err(FrameError::Ack),
        other => Err(FrameError::Type(other)),
    }
}

/// Reads a head from 10 bytes, of which a window or compressed frame uses 6.
fn read_head(bytes: &[u8]) -> Result<Head, FrameError> {
    check_version(bytes[0])?;
    let kind = kind(bytes)?;
    let second = if matches!(kind, Kind::Json | Kind::Pairs) { be32(&bytes[6..10]) } else { 0 };
    Ok(Head { version: bytes[0], kind, first: be32(&bytes[2..6]), second })
}
