//! One connection's life: windows out, acknowledgements in, again after every error, until all is acknowledged.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{ConnectError, Dialer, Duplex, Tls};
use super::{Pace, Stats, Window};

/// How to send. The defaults are Filebeat's (PROTOCOLS.md 1.5).
#[derive(Debug, Clone)]
pub struct Options {
    /// HOST:PORT.
    pub to: String,
    pub tls: Option<Tls>,
    /// Windows in flight.
    pub pipelining: usize,
    /// Without any ack for so long, keep-alives included, the connection is given up; also the time in which one
    /// window must have been written.
    pub timeout: Duration,
    /// Pause before the first reconnect; doubled at each further one without progress.
    pub backoff_init: Duration,
    pub backoff_max: Duration,
    /// End with an error when nothing was acknowledged for so long. Filebeat never does.
    pub give_up: Option<Duration>,
    pub pace: Option<Arc<Pace>>,
}

impl Options {
    pub fn new(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            tls: None,
            pipelining: 2,
            timeout: Duration::from_secs(30),
            backoff_init: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            give_up: None,
            pace: None,
        }
    }
}

/// Where the windows come from.
pub enum Windows {
    Prepared(std::vec::IntoIter<Window>),
    Channel(mpsc::Receiver<Window>),
}

impl Windows {
    /// The next window; may be cancelled without losing one.
    async fn next(&mut self) -> Option<Window> {
        match self {
            Self::Prepared(windows) => windows.next(),
            Self::Channel(receiver) => receiver.recv().await,
        }
    }
}

impl From<Vec<Window>> for Windows {
    fn from(windows: Vec<Window>) -> Self {
        Self::Prepared(windows.into_iter())
    }
}

/// Sending ended before everything was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("nothing was acknowledged for {waited:.1?}; the last error was: {last}")]
    GaveUp { waited: Duration, last: String },
}

/// Why one connection ended; the next one sends again what was not acknowledged.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the receiver closed the connection with {0} windows unacknowledged")]
    Closed(usize),
    #[error("no ack for {0:?}")]
    AckTimeout(Duration),
    #[error("a window could not be written in {0:?}")]
    WriteTimeout(Duration),
    #[error("not an ack frame of version 2: bytes {0:02x?}")]
    NotAnAck([u8; 2]),
    #[error("invalid sequence number received: {seq}, the window has {events}")]
    Sequence { seq: u32, events: u32 },
}

/// A window that was taken up and is not acknowledged yet.
struct Pending {
    window: Window,
    /// Bytes of it went out on an earlier connection.
    sent_before: bool,
    /// When its last byte was written on this connection.
    written_at: Option<Instant>,
}

/// Sends every window until it is acknowledged, over one connection at a time.
///
/// Any error of the connection (read time-out, end of file, reset, a bad ack) closes it; the next one, after a
/// back-off, starts with all unacknowledged windows, byte for byte the same. Returns once all are acknowledged.
pub async fn send(options: &Options, mut windows: Windows, stats: &Stats) -> Result<(), SendError> {
    let dialer = Dialer::new(&options.to, options.tls.as_ref())?;
    let mut pending: VecDeque<Pending> = VecDeque::new();
    let mut backoff = options.backoff_init;
    let mut progress_at = Instant::now();
    let mut connected_before = false;
    loop {
        let left = pending.len();
        let error = match dialer.dial().await {
            Ok(stream) => {
                if connected_before {
                    stats.reconnected();
                }
                connected_before = true;
                let mut session = Session::new(stream, options, stats, &mut pending, &mut windows);
                let ended = session.run().await;
                session.mark_partly_sent();
                if session.acked > 0 {
                    progress_at = Instant::now();
                    backoff = options.backoff_init;
                }
                match ended {
                    Ok(()) => return Ok(()),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        tracing::debug!(to = options.to, %error, left, "connection lost, sending again");
        for waiting in &mut pending {
            waiting.sent_before |= waiting.written_at.take().is_some();
        }
        if let Some(limit) = options.give_up
            && progress_at.elapsed() >= limit
        {
            return Err(SendError::GaveUp { waited: progress_at.elapsed(), last: error });
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(options.backoff_max);
    }
}

/// One connection: a single task that writes, reads and keeps the time, so that no lock is needed.
struct Session<'s> {
    reader: ReadHalf<Box<dyn Duplex>>,
    writer: WriteHalf<Box<dyn Duplex>>,
    options: &'s Options,
    stats: &'s Stats,
    pending: &'s mut VecDeque<Pending>,
    windows: &'s mut Windows,
    /// All windows were taken from the source.
    exhausted: bool,
    /// Index in `pending` of the window to write next, and how much of it is written.
    next: usize,
    offset: usize,
    write_deadline: Instant,
    read_deadline: Instant,
    /// A new window waits for its instant of the pace.
    due: Option<Instant>,
    ack: [u8; 6],
    ack_len: usize,
    acked: u64,
}

impl<'s> Session<'s> {
    fn new(
        stream: Box<dyn Duplex>,
        options: &'s Options,
        stats: &'s Stats,
        pending: &'s mut VecDeque<Pending>,
        windows: &'s mut Windows,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let now = Instant::now();
        let mut session = Self {
            reader,
            writer,
            options,
            stats,
            pending,
            windows,
            exhausted: false,
            next: 0,
            offset: 0,
            write_deadline: now,
            read_deadline: now,
            due: None,
            ack: [0; 6],
            ack_len: 0,
            acked: 0,
        };
        session.begin_write();
        session
    }

    async fn run(&mut self) -> Result<(), SessionError> {
        loop {
            if self.exhausted && self.pending.is_empty() {
                // All is acknowledged; how the peer takes the farewell changes nothing.
                let _ = self.writer.shutdown().await;
                return Ok(());
            }
            let writing = self.next < self.pending.len();
            let awaiting = self.next > 0;
            let room = !writing && !self.exhausted && self.pending.len() < self.options.pipelining.max(1);
            let deadline = match (writing && self.due.is_none(), awaiting) {
                (true, true) => self.write_deadline.min(self.read_deadline),
                (true, false) => self.write_deadline,
                (false, _) => self.read_deadline,
            };
            tokio::select! {
                biased;
                read = self.reader.read(&mut self.ack[self.ack_len..]), if awaiting => {
                    self.take_ack_bytes(read?)?;
                }
                () = sleep_until(self.due.unwrap_or(deadline)), if self.due.is_some() => {
                    self.due = None;
                    self.begin_write();
                }
                written = write_some(&mut self.writer, self.pending.get(self.next), self.offset),
                    if writing && self.due.is_none() =>
                {
                    self.note_written(written?);
                }
                window = self.windows.next(), if room => match window {
                    Some(window) => self.take_up(window),
                    None => self.exhausted = true,
                },
                () = sleep_until(deadline), if awaiting || (writing && self.due.is_none()) => {
                    return Err(if awaiting && Instant::now() >= self.read_deadline {
                        SessionError::AckTimeout(self.options.timeout)
                    } else {
                        SessionError::WriteTimeout(self.options.timeout)
                    });
                }
            }
        }
    }

    /// The window that the connection's end cut short was sent as well, in part.
    fn mark_partly_sent(&mut self) {
        if self.offset > 0
            && let Some(cut) = self.pending.get_mut(self.next)
        {
            cut.sent_before = true;
        }
    }

    fn take_up(&mut self, window: Window) {
        self.due = self.options.pace.as_ref().map(|pace| pace.due(window.events));
        self.pending.push_back(Pending { window, sent_before: false, written_at: None });
        self.begin_write();
    }

    /// Starts the clock of the next window's writing.
    fn begin_write(&mut self) {
        self.offset = 0;
        self.write_deadline = Instant::now() + self.options.timeout;
        if let Some(waiting) = self.pending.get(self.next)
            && waiting.sent_before
        {
            self.stats.resent();
        }
    }

    /// `Some(n)`: n bytes went out; `None`: the window's last byte was flushed.
    fn note_written(&mut self, written: Option<usize>) {
        let Some(bytes) = written else {
            let now = Instant::now();
            if self.next == 0 {
                self.read_deadline = now + self.options.timeout;
            }
            if let Some(waiting) = self.pending.get_mut(self.next) {
                waiting.written_at = Some(now);
            }
            self.next += 1;
            self.begin_write();
            return;
        };
        self.offset += bytes;
    }

    fn take_ack_bytes(&mut self, bytes: usize) -> Result<(), SessionError> {
        if bytes == 0 {
            return Err(SessionError::Closed(self.pending.len()));
        }
        self.ack_len += bytes;
        if self.ack_len < self.ack.len() {
            return Ok(());
        }
        self.ack_len = 0;
        let [version, kind, seq @ ..] = self.ack;
        if (version, kind) != (b'2', b'A') {
            return Err(SessionError::NotAnAck([version, kind]));
        }
        self.take_ack(u32::from_be_bytes(seq))
    }

    fn take_ack(&mut self, seq: u32) -> Result<(), SessionError> {
        // Every ack, keep-alives included, gives the receiver another `timeout`.
        self.read_deadline = Instant::now() + self.options.timeout;
        if seq == 0 {
            self.stats.kept_alive();
            return Ok(());
        }
        let Some(first) = self.pending.front() else { return Ok(()) };
        let events = first.window.events;
        if seq > events {
            return Err(SessionError::Sequence { seq, events });
        }
        // A partial ack is legal and saves nothing: the window is acknowledged by its last number alone.
        if seq == events
            && let Some(done) = self.pending.pop_front()
        {
            let latency = done.written_at.map_or(Duration::ZERO, |at| at.elapsed());
            self.stats.acked(&done.window, latency);
            self.next -= 1;
            self.acked += 1;
        }
        Ok(())
    }
}

/// Writes a part of the window; cancelled, it has written nothing. A flush follows the last byte, which TLS needs.
async fn write_some(
    writer: &mut WriteHalf<Box<dyn Duplex>>,
    pending: Option<&Pending>,
    offset: usize,
) -> io::Result<Option<usize>> {
    let rest = pending.map_or(&[][..], |waiting| &waiting.window.bytes[offset..]);
    if rest.is_empty() {
        writer.flush().await?;
        return Ok(None);
    }
    match writer.write(rest).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        bytes => Ok(Some(bytes)),
    }
}
