//! Requests that bring documents: their bodies are read within a budget, and handed on off the event loop.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::StreamExt;

use super::listen::Peer;
use super::run::Shared;
use crate::ingest::http::{BodyError, Declined, Encoding, Options, Received, Source};

/// The unit of the budget: bytes.
const UNIT: usize = 64 << 10;
/// Requests handed on at once: each has a thread while it waits for the disk.
const AT_ONCE: usize = 64;
/// How long a request waits for memory or a thread before its client is told to come again.
const WAIT: Duration = Duration::from_secs(5);

/// The budget of bodies that arrive.
#[derive(Debug)]
pub struct Arriving {
    bytes_max: usize,
    memory: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

/// A body that arrived whole; its memory counts until it is dropped.
#[derive(Debug)]
pub struct Arrived {
    pub body: Bytes,
    pub encoding: Encoding,
    pub peer: IpAddr,
    held: Vec<OwnedSemaphorePermit>,
}

const BUSY: Declined = Declined::Busy("too many documents are arriving at once: send again later");

impl Arriving {
    /// `bytes_max` of one body, `memory_max` of all together.
    pub fn new(bytes_max: usize, memory_max: usize) -> Self {
        let units = memory_max.max(bytes_max).div_ceil(UNIT) + 1;
        Self { bytes_max, memory: Arc::new(Semaphore::new(units)), threads: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads a request's body. Memory is taken as bytes come, whatever a length header claims.
    pub async fn read(&self, request: Request) -> Result<Arrived, Declined> {
        let encoding = encoding(request.headers())?;
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(Peer(address))| address.ip());
        let mut held = Vec::new();
        let mut body = BytesMut::new();
        let mut chunks = request.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Declined::Busy("the body did not arrive whole: send it again"))?;
            if body.len() + chunk.len() > self.bytes_max {
                return Err(BodyError::TooLarge { max: self.bytes_max }.into());
            }
            while held.len() * UNIT < body.len() + chunk.len() {
                let unit = tokio::time::timeout(WAIT, Arc::clone(&self.memory).acquire_owned()).await;
                held.push(unit.ok().and_then(Result::ok).ok_or(BUSY)?);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Arrived { body: body.freeze(), encoding, peer, held })
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Declined> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        other => Err(BodyError::Gzip(format!("its content-encoding is {other:?}: send gzip or none")).into()),
    }
}

impl Shared {
    /// Hands documents on; returns when they are durable.
    pub async fn receive(
        &self,
        arrived: Arrived,
        source: Source,
        options: Options,
        searchable: bool,
    ) -> Result<Received, Declined> {
        let thread = tokio::time::timeout(WAIT, Arc::clone(&self.arriving.threads).acquire_owned()).await;
        let thread = thread.ok().and_then(Result::ok).ok_or(BUSY)?;
        let backend = Arc::clone(&self.backend);
        let Arrived { body, encoding, peer, held } = arrived;
        let task = tokio::task::spawn_blocking(move || {
            let _held = (thread, held);
            backend.receive(crate::ingest::http::Request { source, encoding, options, body, peer, searchable })
        });
        task.await.unwrap_or_else(|panic| {
            tracing::error!(error = %panic, "taking documents panicked");
            Err(Declined::Stopping("loghound failed: its log says more".to_owned()))
        })
    }
}
