//! Accepting HTTP connections: a bounded number, closed when idle, their request targets mended (`raw_target`).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::raw_target::Escaper;
use super::transport::Transport;
use crate::ingest::tls::Acceptor;

/// How long a peer has to finish the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Serves `router` until `closing` is cancelled, then finishes the requests under way. The caller bounds that wait.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    router: Router,
    settings: &Settings,
    closing: CancellationToken,
) -> io::Result<()> {
    let limited = Limited {
        listener,
        tls,
        places: Arc::new(Semaphore::new(settings.connections_max)),
        idle_time_max: settings.idle_time_max,
    };
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(limited, service).with_graceful_shutdown(closing.cancelled_owned()).await
}

/// Where a request's connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A listener that holds at most so many connections.
pub struct Limited {
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    places: Arc<Semaphore>,
    idle_time_max: Duration,
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; were it, connections would be served unbounded rather than not at all.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        // Small answers leave at once; a failure to set it only costs time.
        stream.set_nodelay(true).ok();
        let first_wait = if self.tls.is_some() { HANDSHAKE_MAX.min(self.idle_time_max) } else { self.idle_time_max };
        let stream = Transport::new(stream, self.tls.clone());
        (Connection::new(stream, place, first_wait, self.idle_time_max), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, read through an [`Escaper`].
pub struct Connection {
    stream: Transport,
    escaper: Escaper,
    /// Escaped bytes not handed on yet, from `taken` on.
    ready: Vec<u8>,
    taken: usize,
    idle: Pin<Box<Sleep>>,
    idle_time_max: Duration,
    _place: Option<OwnedSemaphorePermit>,
}

const READ_BYTES: usize = 4096;

impl Connection {
    fn new(
        stream: Transport,
        place: Option<OwnedSemaphorePermit>,
        first_wait: Duration,
        idle_time_max: Duration,
    ) -> Self {
        let idle = Box::pin(sleep_until(Instant::now() + first_wait));
        Self { stream, escaper: Escaper::default(), ready: Vec::new(), taken: 0, idle, idle_time_max, _place: place }
    }

    fn moved(&mut self) {
        let next = Instant::now() + self.idle_time_max;
        // Moving the timer costs more than the read it guards, so it moves at most once a second.
        if next.duration_since(self.idle.deadline()) > Duration::from_secs(1) {
            self.idle.as_mut().reset(next);
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => {
                ready!(self.idle.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "connection is idle")))
            }
            done => {
                self.moved();
                done
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken == this.ready.len() {
            if this.escaper.passes() {
                this.ready = Vec::new();
                this.taken = 0;
                return this.poll_stream(cx, buf);
            }
            let mut raw = [0u8; READ_BYTES];
            let mut raw = ReadBuf::new(&mut raw);
            ready!(this.poll_stream(cx, &mut raw))?;
            this.ready.clear();
            this.taken = 0;
            this.escaper.feed(raw.filled(), &mut this.ready);
        }
        let count = (this.ready.len() - this.taken).min(buf.remaining());
        buf.put_slice(&this.ready[this.taken..this.taken + count]);
        this.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.moved();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts));
        self.moved();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
