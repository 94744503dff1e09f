//! Live records as server-sent events: each record one `data:` line of JSON, `event: skipped` with a count where a
//! slow client missed some, a comment every 15 s so that proxies keep the line open.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::TailEvent;
use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::Shared;
use crate::telemetry::Metrics;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Records that match a query, as they arrive.
#[utoipa::path(get, path = "/api/v1/tail", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query; empty matches all"),
), responses(
    (status = 200, content_type = "text/event-stream", body = String, description = "server-sent events: `data:` a record; `event: skipped` a count"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn tail(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let started = Instant::now();
    let result = open(&shared, params).await;
    let label = result.as_ref().map_or_else(Problem::result_label, |_| "ok");
    shared.metrics.query("tail", label, started.elapsed().as_secs_f64());
    match result {
        Ok(records) => {
            let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
            let mut response = Sse::new(records).keep_alive(keep_alive).into_response();
            // nginx holds answers back unless told not to.
            let name = HeaderName::from_static("x-accel-buffering");
            response.headers_mut().insert(name, HeaderValue::from_static("no"));
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn open(shared: &Shared, params: Result<Params, Problem>) -> Result<Records, Problem> {
    let params = params?;
    params.only(&["q"])?;
    let query = params.get("q").unwrap_or_default().to_owned();
    let permit = shared.admit(&shared.tails).await?;
    let backend = Arc::clone(&shared.backend);
    let events = tokio::task::spawn_blocking(move || backend.tail(&query)).await.map_err(|panic| {
        tracing::error!(error = %panic, "opening a tail panicked");
        Problem::internal()
    })??;
    shared.metrics.tails.inc();
    Ok(Records {
        events,
        held: None,
        closing: Box::pin(shared.closing.clone().cancelled_owned()),
        metrics: Arc::clone(&shared.metrics),
        _permit: permit,
    })
}

/// The stream of events of one tail. Ends when the backend or the process does.
struct Records {
    events: mpsc::Receiver<TailEvent>,
    /// A record whose `skipped` event went first.
    held: Option<Map<String, Json>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Stream for Records {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(record) = self.held.take() {
            return Poll::Ready(Some(Ok(data(&record))));
        }
        if self.closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        match self.events.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(event)) if event.skipped > 0 => {
                self.metrics.tail_skipped.inc_by(event.skipped);
                self.held = Some(event.record).filter(|record| !record.is_empty());
                Poll::Ready(Some(Ok(Event::default().event("skipped").data(event.skipped.to_string()))))
            }
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(data(&event.record)))),
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.metrics.tails.dec();
    }
}

fn data(record: &Map<String, Json>) -> Event {
    // A map with text keys always has a JSON form.
    Event::default().data(serde_json::to_string(record).unwrap_or_default())
}
