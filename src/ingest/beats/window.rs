//! From bytes to windows: the receiver's rules, with no socket, clock or task in them.
//!
//! Feed bytes with [`Windows::push`] until it says what they came to. A window ends when
//! - as many data frames came as its `W` announced; a `C` frame is never split, so frames beyond the count inside one
//!   belong to the same window (they are acknowledged with it, by the last sequence number);
//! - another `W` comes first: what came is delivered and acknowledged, as the reference server does. go-lumber's
//!   server and Vector close instead, which makes the sender repeat the same bytes;
//! - without a `W` of its own, after as many frames as the window before (a v1 writer sends one `W` and then an endless
//!   run of `D`), or after one frame if there was none.
//!
//! Source: `logstash-plugins/logstash-input-beats: BeatsParser.java, BeatsHandler.java`; `elastic/go-lumber: server/v2`.

use bytes::Bytes;

use crate::ingest::frame::{FrameError, Head, Inflater, Kind, Limits, Room, Step, Walker};

/// Everything a sender sent for one acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Version byte of the last data frame: the acknowledgement's.
    pub version: u8,
    /// Sequence number of the last data frame: the acknowledgement's. Never the count: `pylogbeat` does not restart
    /// its numbers and waits until the acknowledgement equals its last one.
    pub last_seq: u32,
    pub events: u32,
    /// Frames as received, `W` left out.
    pub body: Bytes,
    /// Data frames, uncompressed. Shares `body` when nothing was compressed.
    pub inflated: Bytes,
    /// It ended before it was full.
    pub cut_short: bool,
}

/// What the bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used up.
    Hungry,
    /// A window's first frame begins: ask for admission, then push on.
    Admit,
    /// A window is complete.
    Complete(Window),
    /// A window of 0 events: answer it with `A 0` under this version byte.
    Empty { version: u8 },
    /// A `W` replaced one after which nothing had come.
    Replaced,
}

/// Bytes that are not Lumberjack, or over a limit: the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error} (at byte {offset} of the connection)")]
pub struct Malformed {
    pub error: FrameError,
    /// Bytes of the connection before the input in which it was found, plus those of that input used up.
    pub offset: u64,
}

/// The state of one connection's incoming side.
pub struct Windows {
    limits: Limits,
    walker: Walker,
    inflater: Inflater,
    /// Compressed bytes still to come of the open `C` frame.
    compressed_left: Option<usize>,
    /// Where in `body` its content begins.
    content: usize,
    /// Frames of the open window as received.
    body: Vec<u8>,
    /// Its data frames, once a compressed frame came.
    inflated: Option<Vec<u8>>,
    /// Where in `body` the current frame begins.
    frame: usize,
    /// Announced size of the open window; `None` between windows.
    open: Option<u32>,
    admitted: bool,
    events: u32,
    last: Option<Head>,
    /// Size that a window without a `W` takes.
    size: u32,
    version: u8,
    offset: u64,
    /// A size to open once the window before it was given out.
    next: Option<Head>,
}

impl Windows {
    pub fn new(limits: Limits) -> Self {
        let walker = Walker::new(&limits);
        Self {
            limits,
            walker,
            inflater: Inflater::default(),
            compressed_left: None,
            content: 0,
            body: Vec::new(),
            inflated: None,
            frame: 0,
            open: None,
            admitted: false,
            events: 0,
            last: None,
            size: 1,
            version: b'2',
            offset: 0,
            next: None,
        }
    }

    /// Whether a window has begun and not ended: its sender waits, and must be kept alive.
    pub fn in_window(&self) -> bool {
        self.open.is_some() || self.next.is_some() || !self.walker.at_boundary()
    }

    /// Whether bytes of a frame are missing, as opposed to further frames.
    pub fn in_frame(&self) -> bool {
        self.compressed_left.is_some() || !self.walker.at_boundary()
    }

    /// Version byte of the window in progress, or of the last one.
    pub fn version(&self) -> u8 {
        self.walker.version_in_progress().filter(|v| matches!(v, b'1' | b'2')).unwrap_or(self.version)
    }

    /// Bytes of the open window's frames so far, as received.
    pub fn received_bytes(&self) -> usize {
        self.body.len()
    }

    /// Bytes of the connection read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on. `input` moves past what was used; everything but [`Progress::Hungry`] may leave some.
    pub fn push(&mut self, input: &mut &[u8], room: &mut impl Room) -> Result<Progress, Malformed> {
        self.advance(input, room).map_err(|error| Malformed { error, offset: self.offset })
    }

    /// Ends a v1 window at a frame's end, if anything came: see `Connection::stalled`.
    pub fn cut_quiet(&mut self) -> Option<Window> {
        let quiet = !self.in_frame() && self.last.is_some_and(|head| head.kind == Kind::Pairs);
        if quiet { self.finish(true) } else { None }
    }

    fn advance(&mut self, input: &mut &[u8], room: &mut impl Room) -> Result<Progress, FrameError> {
        if let Some(head) = self.next.take()
            && let Some(progress) = self.announce(head)
        {
            return Ok(progress);
        }
        loop {
            if let Some(left) = self.compressed_left {
                if !self.take_compressed(left, input, room)? {
                    return Ok(Progress::Hungry);
                }
            } else {
                if input.is_empty() && self.walker.at_boundary() {
                    return Ok(Progress::Hungry);
                }
                let (used, step) = self.walker.step(input)?;
                let (taken, rest) = input.split_at(used);
                self.keep(taken, room)?;
                *input = rest;
                self.offset += used as u64;
                match step {
                    Step::More => return Ok(Progress::Hungry),
                    Step::Head(head) if head.kind == Kind::Window => {
                        self.version = head.version;
                        // Its bytes are the last that were kept, and are no part of any window's body.
                        self.body.truncate(self.body.len().saturating_sub(head.len()));
                        if let Some(window) = self.finish(true) {
                            self.next = Some(head);
                            return Ok(Progress::Complete(window));
                        }
                        match self.announce(head) {
                            Some(progress) => return Ok(progress),
                            None => continue,
                        }
                    }
                    Step::Head(head) => {
                        self.version = head.version;
                        self.frame = self.body.len() - head.len();
                        if head.kind == Kind::Compressed {
                            self.compressed_left = Some(head.first as usize);
                            self.content = self.body.len();
                        }
                        if self.open.is_none() {
                            self.open = Some(self.size);
                        }
                        if !self.admitted {
                            self.admitted = true;
                            return Ok(Progress::Admit);
                        }
                        continue;
                    }
                    Step::Data(head) => {
                        if self.inflated.is_some() {
                            self.copy_bare_frame(room)?;
                        }
                        self.events += 1;
                        self.last = Some(head);
                    }
                }
            }
            if self.open.is_some_and(|size| self.events >= size)
                && let Some(window) = self.finish(false)
            {
                return Ok(Progress::Complete(window));
            }
        }
    }

    /// Opens the window that `head` announces, in place of one after which nothing came.
    fn announce(&mut self, head: Head) -> Option<Progress> {
        let replaced = self.open.take().is_some();
        self.reset();
        self.version = head.version;
        self.size = head.first.max(1);
        if head.first == 0 {
            return Some(Progress::Empty { version: head.version });
        }
        self.open = Some(head.first);
        replaced.then_some(Progress::Replaced)
    }

    /// Takes bytes of the open `C` frame, of which `left` are to come, and inflates it after the last; false when it
    /// needs more.
    fn take_compressed(&mut self, left: usize, input: &mut &[u8], room: &mut impl Room) -> Result<bool, FrameError> {
        let (taken, rest) = input.split_at(left.min(input.len()));
        self.keep(taken, room)?;
        *input = rest;
        self.offset += taken.len() as u64;
        self.compressed_left = Some(left - taken.len());
        if taken.len() < left {
            return Ok(false);
        }
        self.compressed_left = None;
        let held = self.body.capacity();
        if self.inflated.is_none() {
            // Frames that came bare before the window's first compressed one.
            let bare = &self.body[..self.frame];
            let mut inflated = Vec::new();
            if !bare.is_empty() {
                crate::ingest::frame::grow(&mut inflated, bare.len(), &self.limits, held, room)?;
                inflated.extend_from_slice(bare);
            }
            self.inflated = Some(inflated);
        }
        let inflated = self.inflated.get_or_insert_default();
        let content = &self.body[self.content..];
        // An error stands where the compressed content begins.
        self.offset -= content.len() as u64;
        let seen = self.inflater.inflate(content, inflated, &self.limits, held, room)?;
        self.offset += content.len() as u64;
        self.events = self.events.saturating_add(seen.events);
        if self.events > self.limits.window_events_max {
            return Err(FrameError::WindowTooLarge { count: self.events, max: self.limits.window_events_max });
        }
        if let Some(last) = seen.last {
            self.version = last.version;
            self.last = Some(last);
        }
        Ok(true)
    }

    /// Appends received bytes to the body, within limit and room.
    fn keep(&mut self, bytes: &[u8], room: &mut impl Room) -> Result<(), FrameError> {
        let needed = self.body.len() + bytes.len();
        if needed > self.limits.inflated_bytes_max {
            return Err(FrameError::InflatedTooLarge { max: self.limits.inflated_bytes_max });
        }
        if self.body.capacity() == 0 {
            // A `W` and the head after it: too little to count.
            self.body.reserve_exact(32);
        }
        if needed > self.body.capacity() {
            let held = self.inflated.as_ref().map_or(0, Vec::capacity);
            // What a compressed frame still has to bring is known, though only as a claim.
            let claim = self.compressed_left.unwrap_or(0).min(needed * 2);
            crate::ingest::frame::grow(&mut self.body, needed + claim, &self.limits, held, room)?;
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    fn copy_bare_frame(&mut self, room: &mut impl Room) -> Result<(), FrameError> {
        let frame = &self.body[self.frame..];
        let Some(inflated) = &mut self.inflated else { return Ok(()) };
        let needed = inflated.len() + frame.len();
        if needed > self.limits.inflated_bytes_max {
            return Err(FrameError::InflatedTooLarge { max: self.limits.inflated_bytes_max });
        }
        if needed > inflated.capacity() {
            crate::ingest::frame::grow(inflated, needed, &self.limits, self.body.capacity(), room)?;
        }
        inflated.extend_from_slice(frame);
        Ok(())
    }

    /// Gives out what the open window holds; `None`, and nothing changed, when it holds no event.
    fn finish(&mut self, cut_short: bool) -> Option<Window> {
        let last = self.last.filter(|_| self.events > 0)?;
        let body = tight(std::mem::take(&mut self.body));
        let inflated = match self.inflated.take() {
            Some(inflated) => tight(inflated),
            None => body.clone(),
        };
        let events = self.events;
        self.open = None;
        self.reset();
        Some(Window { version: last.version, last_seq: last.first, events, body, inflated, cut_short })
    }

    fn reset(&mut self) {
        self.body = Vec::new();
        self.inflated = None;
        self.admitted = false;
        self.events = 0;
        self.last = None;
        self.frame = 0;
    }
}

/// A buffer for keeping: one that was made much larger than it became is copied.
fn tight(mut buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() / 2 > buffer.len() {
        buffer.shrink_to_fit();
    }
    Bytes::from(buffer)
}

#[cfg(test)]
mod tests;
