//! Accepting HTTP connections: a bounded number, closed when idle or slow with a head, their request targets mended (`raw_target`).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Settings;
use super::raw_target::Escaper;
use super::transport::Transport;
use crate::ingest::tls::Acceptor;

/// How long a peer has to finish the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `router` until `closing` is cancelled, then finishes the requests under way. The caller bounds that wait.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    router: Router,
    settings: &Settings,
    closing: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(settings.connections_max));
    let first_wait = if tls.is_some() { HANDSHAKE_MAX.min(settings.idle_time_max) } else { settings.idle_time_max };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.head_time_max);
    let open = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed; were it, connections would be served unbounded rather than not at all.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, accept(&listener).await)
        };
        let (place, (stream, peer)) = tokio::select! {
            () = closing.cancelled() => break,
            accepted = accepted => accepted,
        };
        let stream = Transport::new(stream, tls.clone());
        let connection = Connection::new(stream, place, first_wait, settings.idle_time_max);
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(Peer(peer)));
            request
        });
        let connection = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A peer that goes away, is silent or speaks no HTTP ends its own connection; that is no news.
            if let Err(error) = connection.await {
                tracing::trace!(%error, "an HTTP connection ended");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers leave at once; a failure to set it only costs time.
                stream.set_nodelay(true).ok();
                return (stream, peer);
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept an HTTP connection, trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection that ended before it was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Where a request's connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// One connection, read through an [`Escaper`].
struct Connection {
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
