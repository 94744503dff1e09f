//! One sender: reads windows, hands them on, acknowledges in order, keeps the sender's timer quiet while it waits.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::budget::{Budget, Share};
use super::counters::CloseReason;
use super::server::Shared;
use super::window::{Step, Window, WindowReader};
use crate::ingest::Sink;
use crate::ingest::frame::FrameError;
use crate::record::{Batch, Wire};

/// Windows that may wait for their acknowledgement before reading pauses: Filebeat pipelines two.
const WINDOWS_PENDING_MAX: usize = 3;
const READ_BYTES: usize = 64 << 10;
const READ_BYTES_FIRST: usize = 4 << 10;

type Accepting = Pin<Box<dyn Future<Output = bool> + Send>>;

struct Pending {
    version: u8,
    sequence: u32,
    received: Instant,
    accepting: Option<Accepting>,
    _share: Option<Share>,
}

/// What the connection waits for, whichever comes first.
enum Wake {
    Bytes(std::io::Result<usize>),
    Admitted,
    Accepted(bool),
    KeepAlive,
    Quiet,
    Stop,
}

/// Serves one connection until it ends; returns why it did.
pub async fn serve<S: Sink, C: AsyncRead + AsyncWrite + Unpin>(
    mut socket: C,
    peer: &str,
    shared: &Shared<S>,
    stop: &CancellationToken,
) -> CloseReason {
    let settings = &shared.settings;
    let mut reader = WindowReader::new(settings.limits);
    let mut share = shared.budget.share();
    let mut pending: VecDeque<Pending> = VecDeque::new();
    let mut admitting: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let mut keep_alive: Pin<Box<Sleep>> = Box::pin(sleep_until(Instant::now() + settings.keepalive_interval));
    let mut heard = Instant::now();
    let mut stopping = false;
    let mut ended: Option<CloseReason> = None;
    loop {
        // Owed acknowledgements go out before the end, unless the sender can no longer be written to.
        if pending.is_empty() {
            if let Some(reason) = ended {
                if matches!(reason, CloseReason::Idle | CloseReason::Shutdown | CloseReason::Peer) {
                    let _ = timeout(settings.write_timeout, socket.shutdown()).await;
                }
                return reason;
            }
            if stopping && !reader.is_open() {
                ended = Some(CloseReason::Shutdown);
                continue;
            }
        }
        let waiting = !pending.is_empty() || reader.is_open();
        let reading = ended.is_none() && !stopping && admitting.is_none() && pending.len() < WINDOWS_PENDING_MAX;
        let quiet_after = if reader.is_open() { settings.stall_timeout } else { settings.idle_timeout };
        let nothing_owed = pending.is_empty();
        let wake = {
            let front = pending.front_mut().and_then(|p| p.accepting.as_mut());
            let input = reader.input();
            input.reserve(if input.is_empty() && !waiting { READ_BYTES_FIRST } else { READ_BYTES });
            tokio::select! {
                biased;
                accepted = async { match front { Some(f) => f.await, None => std::future::pending().await } } => Wake::Accepted(accepted),
                () = async { match admitting.as_mut() { Some(f) => f.await, None => std::future::pending().await } } => Wake::Admitted,
                () = keep_alive.as_mut(), if waiting => Wake::KeepAlive,
                () = stop.cancelled(), if !stopping => Wake::Stop,
                read = socket.read_buf(input), if reading => Wake::Bytes(read),
                () = sleep_until(heard + quiet_after), if reading && nothing_owed => Wake::Quiet,
            }
        };
        match wake {
            Wake::Bytes(Ok(0)) => {
                ended = Some(if reader.is_open() { CloseReason::Cut } else { CloseReason::Peer });
            }
            Wake::Bytes(Err(error)) => {
                debug!(peer, %error, "connection broke");
                return CloseReason::Cut;
            }
            Wake::Bytes(Ok(_)) => {
                heard = Instant::now();
                if !waiting {
                    keep_alive.as_mut().reset(heard + settings.keepalive_interval);
                }
            }
            Wake::Admitted => admitting = None,
            Wake::Accepted(true) => {
                if let Some(done) = pending.pop_front() {
                    if !write_ack(&mut socket, done.version, done.sequence, shared).await {
                        return CloseReason::Unwritable;
                    }
                    (shared.on_ack)(done.received.elapsed());
                    keep_alive.as_mut().reset(Instant::now() + settings.keepalive_interval);
                    heard = Instant::now();
                }
            }
            // Not durable: no acknowledgement, for this window or any after it.
            Wake::Accepted(false) => return CloseReason::Shutdown,
            Wake::KeepAlive => {
                let version = pending.front().map_or_else(|| reader.version(), |p| p.version);
                if !write_ack(&mut socket, version, 0, shared).await {
                    return CloseReason::Unwritable;
                }
                shared.counters.keepalives.fetch_add(1, Relaxed);
                keep_alive.as_mut().reset(Instant::now() + settings.keepalive_interval);
                continue;
            }
            Wake::Quiet if reader.is_open() => {
                warn!(
                    peer,
                    after_s = settings.stall_timeout.as_secs(),
                    "sender stopped in the middle of a window; closing"
                );
                return CloseReason::Stalled;
            }
            Wake::Quiet => ended = Some(CloseReason::Idle),
            // What was received whole is finished; a window that is still arriving is sent again by its sender.
            Wake::Stop => {
                stopping = true;
                if pending.is_empty() {
                    return CloseReason::Shutdown;
                }
                ended = Some(CloseReason::Shutdown);
            }
        }
        if admitting.is_some() || ended.is_some() {
            continue;
        }
        loop {
            match reader.step() {
                Ok(Step::Wait) => break,
                Ok(Step::Announced) => {
                    let budget = Arc::clone(&shared.budget);
                    if budget.used() >= settings.memory_budget {
                        admitting = Some(Box::pin(async move { Budget::admit(&budget).await }));
                        break;
                    }
                }
                Ok(Step::Empty { version }) => {
                    pending.push_back(Pending {
                        version,
                        sequence: 0,
                        received: Instant::now(),
                        accepting: Some(Box::pin(std::future::ready(true))),
                        _share: None,
                    });
                }
                Ok(Step::Window(window)) => {
                    share.resize(window.body.len() + window.inflated.len() + reader.held_bytes());
                    pending.push_back(hand_on(window, peer, shared, share.split()));
                    if pending.len() >= WINDOWS_PENDING_MAX {
                        break;
                    }
                }
                Err(error) => {
                    warn!(peer, %error, "malformed frame; closing the connection without an acknowledgement");
                    ended = Some(match error {
                        FrameError::TlsOnPlain => CloseReason::TlsOnPlain,
                        FrameError::WindowTooLarge { .. }
                        | FrameError::FrameTooLarge { .. }
                        | FrameError::CompressedTooLarge { .. }
                        | FrameError::InflatedTooLarge { .. }
                        | FrameError::Ratio => CloseReason::TooLarge,
                        _ => CloseReason::Malformed,
                    });
                    break;
                }
            }
        }
        if !share.resize(reader.held_bytes()) {
            warn!(
                peer,
                budget = settings.memory_budget,
                "memory for windows is used up; closing, the sender sends again"
            );
            return CloseReason::Memory;
        }
    }
}

fn hand_on<S: Sink>(window: Window, peer: &str, shared: &Shared<S>, share: Share) -> Pending {
    shared.counters.windows.fetch_add(1, Relaxed);
    if window.cut_short {
        shared.counters.windows_cut_short.fetch_add(1, Relaxed);
    }
    let batch = Batch {
        wire: Wire::Lumberjack,
        received_at: (shared.now)(),
        peer: peer.to_owned(),
        events: window.events,
        body: window.body,
        inflated: Some(window.inflated),
    };
    let sink = Arc::clone(&shared.sink);
    // A task of its own: durability of this window must not wait for the one before it to be acknowledged.
    let accepting = tokio::spawn(async move { sink.accept(batch).await.is_ok() });
    Pending {
        version: window.version,
        sequence: window.sequence,
        received: Instant::now(),
        accepting: Some(Box::pin(async move { accepting.await.unwrap_or(false) })),
        _share: Some(share),
    }
}

async fn write_ack<S: Sink, C: AsyncWrite + Unpin>(
    socket: &mut C,
    version: u8,
    sequence: u32,
    shared: &Shared<S>,
) -> bool {
    let mut frame = [version, b'A', 0, 0, 0, 0];
    frame[2..].copy_from_slice(&sequence.to_be_bytes());
    let write = async {
        socket.write_all(&frame).await?;
        socket.flush().await
    };
    matches!(timeout(shared.settings.write_timeout, write).await, Ok(Ok(())))
}
