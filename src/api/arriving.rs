//! Requests that bring documents: their bodies are read and uncompressed within a budget, and handed on off the event loop.

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
use crate::ingest::http::{BodyError, Declined, Encoding, Options, Received, Source, inflate};

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
    /// As it was sent, in `encoding`.
    pub body: Bytes,
    pub encoding: Encoding,
    /// The body uncompressed.
    pub text: Bytes,
    pub peer: IpAddr,
    held: Vec<OwnedSemaphorePermit>,
}

const BUSY: Declined = Declined::Busy("too many documents are arriving at once: send again later");

impl Arriving {
    /// `bytes_max` of one body, compressed or not, `memory_max` of all together.
    pub fn new(bytes_max: usize, memory_max: usize) -> Self {
        // One body as it came, uncompressed, and as documents fits always.
        let units = memory_max.max(3 * bytes_max).div_ceil(UNIT) + 2;
        Self { bytes_max, memory: Arc::new(Semaphore::new(units)), threads: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads a request's body, of at most `max` bytes uncompressed. Memory is taken as bytes come, whatever a length header claims.
    pub async fn read(&self, request: Request, max: usize) -> Result<Arrived, Declined> {
        let max = max.min(self.bytes_max);
        let encoding = encoding(request.headers())?;
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(Peer(address))| address.ip());
        let mut held = Vec::new();
        let mut body = BytesMut::new();
        let mut chunks = request.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Declined::Busy("the body did not arrive whole: send it again"))?;
            if body.len() + chunk.len() > max {
                return Err(BodyError::TooLarge { max }.into());
            }
            self.take(&mut held, body.len() + chunk.len()).await?;
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        let text = match encoding {
            Encoding::Identity => body.clone(),
            Encoding::Gzip => self.inflated(&body, &mut held, max).await?,
        };
        Ok(Arrived { body, encoding, text, peer, held })
    }

    /// Memory for what a body was made into.
    pub async fn grow(&self, arrived: &mut Arrived, bytes: usize) -> Result<(), Declined> {
        let held = arrived.held.iter().map(OwnedSemaphorePermit::num_permits).sum::<usize>() * UNIT;
        self.take(&mut arrived.held, held + bytes).await
    }

    /// Memory for what a body becomes is taken before it is uncompressed: first what its trailer claims, then, for a claim that was
    /// false or the first of several members, what may be at most.
    async fn inflated(
        &self,
        body: &Bytes,
        held: &mut Vec<OwnedSemaphorePermit>,
        max: usize,
    ) -> Result<Bytes, Declined> {
        let claimed = body.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize).min(max);
        for limit in [claimed, max] {
            self.take(held, body.len() + limit + 1).await?;
            let body = body.clone();
            let inflated = tokio::task::spawn_blocking(move || inflate(Encoding::Gzip, &body, limit)).await;
            match inflated.unwrap_or_else(|panic| Err(BodyError::Gzip(panic.to_string()))) {
                Err(BodyError::TooLarge { .. }) if limit < max => {}
                done => return done.map_err(Declined::from),
            }
        }
        Err(BodyError::TooLarge { max }.into())
    }

    /// Takes memory until so many bytes are held.
    async fn take(&self, held: &mut Vec<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Declined> {
        let units = bytes.div_ceil(UNIT).saturating_sub(held.iter().map(OwnedSemaphorePermit::num_permits).sum());
        if units > 0 {
            let units = u32::try_from(units).map_err(|_| BUSY)?;
            let more = tokio::time::timeout(WAIT, Arc::clone(&self.memory).acquire_many_owned(units)).await;
            held.push(more.ok().and_then(Result::ok).ok_or(BUSY)?);
        }
        Ok(())
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
        let Arrived { body, encoding, text, peer, held } = arrived;
        let task = tokio::task::spawn_blocking(move || {
            let _held = (thread, held);
            backend.receive(crate::ingest::http::Request { source, encoding, options, body, text, peer, searchable })
        });
        task.await.unwrap_or_else(|panic| {
            tracing::error!(error = %panic, "taking documents panicked");
            Err(Declined::Stopping("loghound failed: its log says more".to_owned()))
        })
    }
}
