//! Accepts connections, up to a number, and looks at their first byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::budget::Budget;
use super::connection;
use super::counters::{AckHook, CloseReason, Counters, Gauge};
use crate::ingest::Sink;
use crate::ingest::frame::Limits;
use crate::ingest::tls::Acceptor;

#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    /// Connections at the same time; further ones are refused, so that those there are served well.
    pub connections_max: usize,
    /// Memory for windows being received: bytes. New windows wait beyond it; twice as much is never passed.
    pub memory_budget: usize,
    pub keepalive_interval: Duration,
    /// Between windows.
    pub idle_timeout: Duration,
    /// A connection this old, a tenth more or less, is closed between two windows; its sender connects again, to whichever
    /// replica it then finds. `None` keeps it.
    pub age_max: Option<Duration>,
    /// Inside a window.
    pub stall_timeout: Duration,
    pub write_timeout: Duration,
    pub handshake_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connections_max: 4096,
            memory_budget: 128 << 20,
            keepalive_interval: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            age_max: None,
            stall_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
pub struct Shared<S> {
    pub settings: Settings,
    pub sink: Arc<S>,
    pub budget: Arc<Budget>,
    pub counters: Arc<Counters>,
    /// The wall clock, Unix nanoseconds: only stamped onto batches.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub on_ack: AckHook,
}

pub struct Server<S> {
    shared: Arc<Shared<S>>,
    tls: Option<Arc<Acceptor>>,
}

impl<S: Sink> Server<S> {
    pub fn new(
        settings: Settings,
        sink: Arc<S>,
        tls: Option<Arc<Acceptor>>,
        now: Arc<dyn Fn() -> i64 + Send + Sync>,
        on_ack: AckHook,
    ) -> Self {
        let budget = Budget::new(settings.memory_budget);
        let counters = Arc::default();
        Self { shared: Arc::new(Shared { settings, sink, budget, counters, now, on_ack }), tls }
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.shared.budget)
    }

    /// Serves until `stop`, then finishes and acknowledges the windows that were received whole.
    pub async fn run(&self, listener: TcpListener, stop: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, mostly: a pause lets others close, the peer waits in the backlog.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let counters = &self.shared.counters;
            counters.opened.fetch_add(1, Relaxed);
            if connections.len() >= self.shared.settings.connections_max {
                warn!(%peer, max = self.shared.settings.connections_max, "too many connections; refusing this one");
                counters.close(CloseReason::Refused);
                continue;
            }
            let _ = socket.set_nodelay(true);
            let (shared, tls, stop) = (Arc::clone(&self.shared), self.tls.clone(), stop.clone());
            connections.spawn(async move {
                let open = Gauge::one(&shared.counters.open);
                let reason = serve(socket, peer, &shared, tls.as_deref(), &stop).await;
                drop(open);
                shared.counters.close(reason);
                debug!(%peer, reason = reason.name(), "connection closed");
            });
        }
        drop(listener);
        connections.close();
        info!(connections = connections.len(), "finishing the windows in hand");
        connections.wait().await;
    }
}

async fn serve<S: Sink>(
    socket: TcpStream,
    peer: SocketAddr,
    shared: &Shared<S>,
    tls: Option<&Acceptor>,
    stop: &CancellationToken,
) -> CloseReason {
    // An IPv4 sender has one name, whether it came to 0.0.0.0 or, mapped, to [::].
    let name = peer.ip().to_canonical().to_string();
    let Some(tls) = tls else { return connection::serve(socket, &name, shared, stop).await };
    let opened = tokio::select! {
        () = stop.cancelled() => return CloseReason::Shutdown,
        opened = timeout(shared.settings.handshake_timeout, handshake(socket, peer, tls)) => opened,
    };
    match opened {
        Ok(Ok(socket)) => connection::serve(socket, &name, shared, stop).await,
        Ok(Err(reason)) => reason,
        Err(_) => {
            warn!(%peer, after_s = shared.settings.handshake_timeout.as_secs(), "TLS handshake took too long");
            CloseReason::Handshake
        }
    }
}

/// Looks at the first byte, so that a plain-text sender is told apart from a failed handshake and from a peer that only
/// tries whether the port is open.
async fn handshake(
    mut socket: TcpStream,
    peer: SocketAddr,
    tls: &Acceptor,
) -> Result<TlsStream<TcpStream>, CloseReason> {
    let mut first = [0u8; 1];
    let mut first = ReadBuf::new(&mut first);
    match std::future::poll_fn(|cx| socket.poll_peek(cx, &mut first)).await {
        Ok(1..) => {}
        Ok(0) | Err(_) => return Err(CloseReason::Peer),
    }
    if matches!(first.filled(), [b'1' | b'2']) {
        warn!(%peer, "a plain-text client on a TLS port: configure ssl in the sender's output; closing");
        let _ = socket.shutdown().await;
        return Err(CloseReason::PlainOnTls);
    }
    tls.begin(socket).await.map_err(|error| {
        warn!(%peer, %error, "TLS handshake failed");
        CloseReason::Handshake
    })
}

#[cfg(test)]
mod tests;
