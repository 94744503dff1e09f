//! Runs a query off the event loop: at most so many at once, each with a deadline, each counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::arriving::Arriving;
use super::error::Problem;
use super::{Backend, QueryError, Settings};
use crate::query::interruptible;
use crate::telemetry::Metrics;

/// What every handler holds.
#[derive(Clone)]
pub struct Shared {
    pub backend: Arc<dyn Backend>,
    pub metrics: Arc<Metrics>,
    pub settings: Settings,
    pub queries: Arc<Semaphore>,
    pub tails: Arc<Semaphore>,
    pub arriving: Arc<Arriving>,
    /// Cancelled when the process begins to stop: readiness fails and tails end.
    pub closing: CancellationToken,
}

/// A backend gets this much beyond its deadline to notice it before the client is answered without it.
const GRACE: Duration = Duration::from_secs(2);

impl Shared {
    /// Runs one query and writes its answer as JSON. `request` is what the parameters gave; `ask` makes the answer,
    /// given when the query started and when it must end.
    pub async fn answer<R, A>(
        &self,
        route: &'static str,
        request: Result<R, Problem>,
        ask: impl FnOnce(&dyn Backend, R, Clock) -> Result<A, QueryError> + Send + 'static,
    ) -> Response
    where
        R: Send + 'static,
        A: Serialize,
    {
        let started = Instant::now();
        let result = match request {
            Ok(request) => self.run(request, ask, started).await,
            Err(problem) => Err(problem),
        };
        let label = result.as_ref().map_or_else(Problem::result_label, |_| "ok");
        self.metrics.query(route, label, started.elapsed().as_secs_f64());
        match result {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(problem) => problem.into_response(),
        }
    }

    /// Runs what blocks, as any query: in its turn, with a deadline, counted.
    pub async fn blocking<T: Send + 'static>(
        &self,
        route: &'static str,
        ask: impl FnOnce(&dyn Backend, Clock) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let started = Instant::now();
        let result = self.run_plain(ask, started).await;
        let label = result.as_ref().map_or_else(Problem::result_label, |_| "ok");
        self.metrics.query(route, label, started.elapsed().as_secs_f64());
        result
    }

    async fn run<R, A>(
        &self,
        request: R,
        ask: impl FnOnce(&dyn Backend, R, Clock) -> Result<A, QueryError> + Send + 'static,
        started: Instant,
    ) -> Result<Bytes, Problem>
    where
        R: Send + 'static,
        A: Serialize,
    {
        let bytes = move |backend: &dyn Backend, clock| {
            let answer = ask(backend, request, clock)?;
            serde_json::to_vec(&answer).map(Bytes::from).map_err(|err| QueryError::Internal(err.to_string()))
        };
        self.run_plain(bytes, started).await?.map_err(Problem::from)
    }

    async fn run_plain<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Backend, Clock) -> T + Send + 'static,
        started: Instant,
    ) -> Result<T, Problem> {
        let permit = self.admit(&self.queries).await?;
        let running = Running::new(&self.metrics, permit);
        let backend = Arc::clone(&self.backend);
        let clock = Clock { started, deadline: Instant::now() + self.settings.query_time_max };
        let waiting = Waiting::default();
        let gone = waiting.gone();
        let task = tokio::task::spawn_blocking(move || {
            // Held here, not by the waiting handler: a query counts until it has really ended.
            let _running = running;
            interruptible(gone, || ask(&*backend, clock))
        });
        match tokio::time::timeout_at((clock.deadline + GRACE).into(), task).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(panic)) => {
                tracing::error!(error = %panic, "query panicked");
                Err(Problem::internal())
            }
            Err(_) => Err(QueryError::Deadline.into()),
        }
    }

    /// Waits a moment for a place, then refuses.
    pub async fn admit(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(places).acquire_owned();
        match tokio::time::timeout(self.settings.queue_time_max, place).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::overloaded()),
        }
    }
}

/// Unix nanoseconds.
pub fn now() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

/// When a query started and when it must have ended.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    pub deadline: Instant,
}

impl Clock {
    pub fn took_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Somebody waits for an answer; dropped when it is there, or when the client goes away.
#[derive(Default)]
pub struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// Set once nobody waits.
    pub fn gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    fn new(metrics: &Arc<Metrics>, permit: OwnedSemaphorePermit) -> Self {
        metrics.queries_running.inc();
        Self { metrics: Arc::clone(metrics), _permit: permit }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.metrics.queries_running.dec();
    }
}
