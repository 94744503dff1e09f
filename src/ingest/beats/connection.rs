//! One sender: reads its windows, hands them on, acknowledges in order, keeps its timer quiet while it waits.
//!
//! A sender's write of a window fails after 30 s (go-lumber), so a window that was begun is read to its end and only
//! the acknowledgement is held back. A window is begun when the memory budget admits it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::budget::Hold;
use super::counters::{CloseReason, Gauge};
use super::outstanding::{Outstanding, Owed};
use super::server::Shared;
use super::window::{Malformed, Progress, Window, Windows};
use crate::ingest::frame::FrameError;
use crate::ingest::{Sink, SinkError};
use crate::record::{Batch, Wire};

/// Windows that may wait for their acknowledgement before reading pauses. Filebeat pipelines two.
const OUTSTANDING_MAX: usize = 3;
/// The read buffer's size while little comes, and its largest.
const BUFFER_BYTES: usize = 8 << 10;
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// A window whose bytes pause this long is no longer counted for more than it holds: others may begin.
const SETTLE_AFTER: Duration = Duration::from_millis(250);
/// The pause for a window of which next to nothing came. Senders write headers and content in one go, so this one may
/// never come; a thousand such must not hold up the others for long.
const SETTLE_EMPTY_AFTER: Duration = Duration::from_millis(50);
const EMPTY_BYTES: usize = 1 << 10;
/// Nor is one that takes this long, however steadily it drips: a few dozen slow links would keep everyone else waiting.
const SETTLE_AT_LATEST: Duration = Duration::from_secs(2);
/// How much a closed connection's peer may still send, and for how long, before what it sent unread makes the system
/// answer with RST, which could overtake the last acknowledgement.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_millis(500);

type Admitting = Pin<Box<dyn Future<Output = Hold> + Send>>;

/// What happened, of all that a connection waits for.
enum Wake {
    Read(std::io::Result<usize>),
    Admitted(Hold),
    Accepted(Owed, Result<(), SinkError>),
    Timer,
    Stop,
}

struct Connection<'a, S, C> {
    socket: C,
    peer: &'a str,
    shared: &'a Shared<S>,
    windows: Windows,
    outstanding: Outstanding,
    /// The open window's memory, once it was admitted.
    hold: Option<Hold>,
    admitted: Instant,
    admitting: Option<Admitting>,
    waiting: Option<Gauge<'a>>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read and not yet looked at.
    unread: std::ops::Range<usize>,
    /// When a byte came, or reading went on.
    heard: Instant,
    /// When something was written, or the sender began to wait for something.
    spoke: Instant,
    /// The sender waits for an acknowledgement, or will.
    owing: bool,
    ended: Option<CloseReason>,
    /// When it has served its time.
    old_at: Option<Instant>,
}

/// When a connection that begins now is old: not all that began together end together.
fn old_at(now: Instant, age_max: Option<Duration>, peer: &str) -> Option<Instant> {
    let spread = xxhash_rust::xxh3::xxh3_64(peer.as_bytes()) % 201;
    age_max.map(|age| now + age * (900 + spread as u32) / 1_000)
}

/// Serves one connection until it ends, owed acknowledgements included; returns why it did.
pub async fn serve<S: Sink, C: AsyncRead + AsyncWrite + Unpin>(
    socket: C,
    peer: &str,
    shared: &Shared<S>,
    stop: &CancellationToken,
) -> CloseReason {
    let now = Instant::now();
    let connection = Connection {
        socket,
        peer,
        shared,
        windows: Windows::new(shared.settings.limits),
        outstanding: Outstanding::default(),
        hold: None,
        admitted: now,
        admitting: None,
        waiting: None,
        buffer: vec![0; BUFFER_BYTES],
        unread: 0..0,
        heard: now,
        spoke: now,
        owing: false,
        ended: None,
        old_at: old_at(now, shared.settings.age_max, peer),
    };
    connection.run(stop).await
}

impl<S: Sink, C: AsyncRead + AsyncWrite + Unpin> Connection<'_, S, C> {
    async fn run(mut self, stop: &CancellationToken) -> CloseReason {
        loop {
            self.advance();
            if let Some(reason) = self.ended
                && self.outstanding.is_empty()
            {
                self.close().await;
                return reason;
            }
            let result = match self.wait(stop).await {
                Wake::Read(Ok(0)) => self.read_end(),
                Wake::Read(Ok(read)) => self.read(read),
                Wake::Read(Err(error)) => return self.broken(&error),
                Wake::Admitted(hold) => {
                    (self.hold, self.admitting, self.waiting) = (Some(hold), None, None);
                    (self.heard, self.admitted) = (Instant::now(), Instant::now());
                    Ok(())
                }
                Wake::Accepted(owed, Ok(())) => self.acknowledge(owed).await,
                Wake::Accepted(_, Err(error)) => {
                    warn!(peer = self.peer, %error, "no acknowledgement; closing, the sender sends again");
                    return CloseReason::Shutdown;
                }
                Wake::Timer => self.timer().await,
                Wake::Stop => {
                    self.end(CloseReason::Shutdown);
                    Ok(())
                }
            };
            if let Err(reason) = result {
                return reason;
            }
        }
    }

    fn is_reading(&self) -> bool {
        self.ended.is_none()
            && self.admitting.is_none()
            && self.outstanding.len() < OUTSTANDING_MAX
            && self.unread.is_empty()
    }

    async fn wait(&mut self, stop: &CancellationToken) -> Wake {
        let (reading, deadline) = (self.is_reading(), self.deadline());
        let Self { socket, outstanding, admitting, buffer, .. } = self;
        let admitted = async {
            match admitting {
                Some(admitting) => admitting.await,
                None => std::future::pending().await,
            }
        };
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            (owed, result) = outstanding.next() => Wake::Accepted(owed, result),
            hold = admitted => Wake::Admitted(hold),
            () = due => Wake::Timer,
            () = stop.cancelled(), if self.ended.is_none() => Wake::Stop,
            read = socket.read(buffer), if reading => Wake::Read(read),
        }
    }

    /// When the next thing is due that depends on time alone. What [`Connection::timer`] does about it must move it
    /// on: a deadline that stays in the past would wake the connection for ever.
    fn deadline(&self) -> Option<Instant> {
        let keep_alive = self.owing.then(|| self.spoke + self.shared.settings.keepalive_interval);
        [self.quiet_at(), self.due_old(), keep_alive, self.settle_at()].into_iter().flatten().min()
    }

    /// When the sender has been silent for too long; `None` while it is we who do not read, or owe it something.
    fn quiet_at(&self) -> Option<Instant> {
        let settings = &self.shared.settings;
        match (self.is_reading(), self.windows.in_window()) {
            (false, _) => None,
            (true, true) => Some(self.heard + settings.stall_timeout),
            (true, false) if self.outstanding.is_empty() => Some(self.heard.max(self.spoke) + settings.idle_timeout),
            (true, false) => None,
        }
    }

    /// When it is to be closed for its age: between windows, with nothing owed.
    fn due_old(&self) -> Option<Instant> {
        self.old_at.filter(|_| self.is_reading() && !self.windows.in_window() && self.outstanding.is_empty())
    }

    /// When the open window stops counting for more than it holds.
    fn settle_at(&self) -> Option<Instant> {
        self.hold.as_ref().filter(|hold| hold.is_expecting())?;
        let pause = if self.windows.received_bytes() < EMPTY_BYTES { SETTLE_EMPTY_AFTER } else { SETTLE_AFTER };
        Some((self.heard + pause).min(self.admitted + SETTLE_AT_LATEST))
    }

    async fn timer(&mut self) -> Result<(), CloseReason> {
        let (now, settings) = (Instant::now(), &self.shared.settings);
        if self.settle_at().is_some_and(|at| now >= at)
            && let Some(hold) = &mut self.hold
        {
            hold.settle();
        }
        if now >= self.heard + SETTLE_AFTER && self.unread.is_empty() {
            self.shrink_buffer();
        }
        if self.due_old().is_some_and(|at| now >= at) {
            self.end(CloseReason::Old);
        } else if self.quiet_at().is_some_and(|at| now >= at) {
            if !self.windows.in_window() {
                self.end(CloseReason::Idle);
            } else if let Some(window) = self.windows.cut_quiet() {
                // A v1 writer announces one window for good and may stop anywhere in it when there is nothing more
                // to say: its events must not wait for the next ones. Beats never pause inside a window.
                self.heard = now;
                self.hand_on(window);
            } else {
                let after_s = settings.stall_timeout.as_secs();
                let offset = self.windows.offset();
                warn!(peer = self.peer, reason = "stalled", offset, after_s, "sender stopped inside a window; closing");
                self.end(CloseReason::Stalled);
            }
        }
        if self.owing && now >= self.spoke + settings.keepalive_interval {
            let version = self.outstanding.version().unwrap_or_else(|| self.windows.version());
            self.write_ack(version, 0).await?;
            self.shared.counters.keepalives.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn read(&mut self, read: usize) -> Result<(), CloseReason> {
        self.heard = Instant::now();
        self.shared.counters.bytes.fetch_add(read as u64, Relaxed);
        self.unread = 0..read;
        Ok(())
    }

    fn read_end(&mut self) -> Result<(), CloseReason> {
        let cut = self.windows.in_window();
        if cut {
            let offset = self.windows.offset();
            debug!(peer = self.peer, reason = "cut", offset, "sender closed inside a window, and will send it again");
        }
        self.end(if cut { CloseReason::Cut } else { CloseReason::Peer });
        Ok(())
    }

    fn broken(&self, error: &std::io::Error) -> CloseReason {
        debug!(peer = self.peer, %error, "connection broke");
        if self.windows.in_window() || !self.outstanding.is_empty() { CloseReason::Cut } else { CloseReason::Peer }
    }

    /// No more is read, and a window that is not whole is forgotten; what is owed is still paid.
    fn end(&mut self, reason: CloseReason) {
        self.ended = Some(reason);
        (self.hold, self.admitting, self.waiting) = (None, None, None);
        self.windows = Windows::new(self.shared.settings.limits);
        self.unread = 0..0;
        self.owing = !self.outstanding.is_empty();
    }

    /// Looks at the bytes that were read, as far as windows may go on.
    fn advance(&mut self) {
        while self.ended.is_none() && self.admitting.is_none() && self.outstanding.len() < OUTSTANDING_MAX {
            let mut input = &self.buffer[self.unread.clone()];
            let progress = self.windows.push(&mut input, &mut self.hold);
            self.unread.start = self.unread.end - input.len();
            let counters = &self.shared.counters;
            match progress {
                Ok(Progress::Hungry) => break,
                Ok(Progress::Admit) => match Arc::clone(&self.shared.budget).try_admit() {
                    Some(hold) => (self.hold, self.admitted) = (Some(hold), Instant::now()),
                    None => {
                        self.admitting = Some(Box::pin(Arc::clone(&self.shared.budget).admit()));
                        self.waiting = Some(Gauge::one(&counters.waiting));
                    }
                },
                Ok(Progress::Complete(window)) => {
                    self.hand_on(window);
                    // A busy sender is never seen between two windows: what it began to send it sends again elsewhere.
                    if self.old_at.is_some_and(|at| Instant::now() >= at) {
                        self.end(CloseReason::Old);
                    }
                }
                Ok(Progress::Empty { version }) => {
                    counters.windows_empty.fetch_add(1, Relaxed);
                    self.hold = None;
                    self.outstanding.push_done(Owed { version, sequence: 0, received: Instant::now() });
                }
                Ok(Progress::Replaced) => {
                    self.hold = None;
                    counters.windows_cut_short.fetch_add(1, Relaxed);
                }
                Err(malformed) => self.malformed(&malformed),
            }
        }
        let owing = !self.outstanding.is_empty() || self.windows.in_window();
        if owing && !self.owing {
            self.spoke = Instant::now();
        }
        if !owing {
            self.shrink_buffer();
        } else if self.unread.end == self.buffer.len() && self.unread.is_empty() {
            // The last read filled it: there is more where that came from.
            self.buffer.resize((2 * self.buffer.len()).min(BUFFER_BYTES_MAX), 0);
        }
        self.owing = owing;
    }

    /// Gives the read buffer's memory back: only once all of it was looked at.
    fn shrink_buffer(&mut self) {
        self.unread = 0..0;
        self.buffer.truncate(BUFFER_BYTES);
        self.buffer.shrink_to_fit();
    }

    fn hand_on(&mut self, window: Window) {
        let shared = self.shared;
        shared.counters.windows.fetch_add(1, Relaxed);
        shared.counters.events.fetch_add(u64::from(window.events), Relaxed);
        if window.cut_short {
            shared.counters.windows_cut_short.fetch_add(1, Relaxed);
        }
        let batch = Batch {
            wire: Wire::Lumberjack,
            received_at: (shared.now)(),
            peer: self.peer.to_owned(),
            events: window.events,
            body: window.body,
            inflated: Some(window.inflated),
        };
        let mut hold = self.hold.take();
        if let Some(hold) = &mut hold {
            hold.settle();
        }
        let owed = Owed { version: window.version, sequence: window.last_seq, received: Instant::now() };
        let sink = Arc::clone(&shared.sink);
        self.outstanding.push(owed, hold, async move { sink.accept(batch).await });
    }

    fn malformed(&mut self, Malformed { error, offset }: &Malformed) {
        let reason = match error {
            FrameError::Version(0x16) if *offset == 0 => CloseReason::TlsOnPlain,
            FrameError::Memory => CloseReason::Memory,
            FrameError::WindowTooLarge { .. }
            | FrameError::FrameTooLarge { .. }
            | FrameError::CompressedTooLarge { .. }
            | FrameError::InflatedTooLarge { .. }
            | FrameError::Ratio { .. } => CloseReason::TooLarge,
            _ => CloseReason::Malformed,
        };
        if reason == CloseReason::TlsOnPlain {
            let hint = "disable ssl in the sender's output, or configure TLS for this port";
            warn!(peer = self.peer, reason = reason.name(), hint, "a TLS handshake came to a plain port; closing");
        } else {
            warn!(peer = self.peer, reason = error.reason(), offset, %error, "closing without acknowledging the window");
        }
        self.end(reason);
    }

    async fn acknowledge(&mut self, owed: Owed) -> Result<(), CloseReason> {
        // What was not read meanwhile was our doing.
        self.heard = Instant::now();
        self.write_ack(owed.version, owed.sequence).await?;
        self.shared.counters.acks.fetch_add(1, Relaxed);
        (self.shared.on_ack)(owed.received.elapsed());
        Ok(())
    }

    async fn write_ack(&mut self, version: u8, sequence: u32) -> Result<(), CloseReason> {
        let mut frame = [version, b'A', 0, 0, 0, 0];
        frame[2..].copy_from_slice(&sequence.to_be_bytes());
        let write = async {
            self.socket.write_all(&frame).await?;
            self.socket.flush().await
        };
        let result = match timeout(self.shared.settings.write_timeout, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => {
                warn!(peer = self.peer, reason = "unwritable", "sender takes no acknowledgement; closing");
                Err(CloseReason::Unwritable)
            }
        };
        self.spoke = Instant::now();
        result
    }

    /// FIN after the last acknowledgement, not RST.
    async fn close(&mut self) {
        if !matches!(timeout(self.shared.settings.write_timeout, self.socket.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        if matches!(self.ended, Some(CloseReason::Peer | CloseReason::Cut)) {
            return;
        }
        let drain = async {
            let mut left = LINGER_BYTES;
            while let Ok(read @ 1..) = self.socket.read(&mut self.buffer).await {
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = timeout(LINGER, drain).await;
    }
}

#[cfg(test)]
mod tests;
