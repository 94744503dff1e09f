//! A line goes in every minute the way that all lines go, is found by a query, and comes out as a delivered message. How long that takes
//! is a metric, and when it does not happen that is an alert of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::Context;
use super::super::intake::Intake;
use crate::alert::{Delivery, Kind};
use crate::ingest::Sink;
use crate::query::{self, Between, Search};
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};
use crate::record::{Batch, Wire};
use crate::telemetry::Metrics;

const EVERY: Duration = Duration::from_secs(60);
/// One that is not found by then is not waited for.
const FOUND_WITHIN: Duration = Duration::from_secs(50);
const LOOK: Duration = Duration::from_millis(200);
const KEY: &str = "canary-";

pub async fn run(context: Arc<Context>, receiver: String, closing: CancellationToken) {
    let mut minute = tokio::time::interval(EVERY);
    minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = minute.tick() => {}
            () = closing.cancelled() => return,
        }
        tokio::select! {
            sung = sing(&context, &receiver) => {
                if let Err(error) = sung {
                    context.metrics.canary_failures.inc();
                    warn!(error, "the line that loghound sends through itself did not come through");
                }
            }
            () = closing.cancelled() => return,
        }
    }
}

async fn sing(context: &Arc<Context>, receiver: &str) -> Result<(), String> {
    let sent = context.clock.now();
    let name = format!("{sent:x}");
    Intake(Arc::clone(context)).accept(batch(&name, sent)).await.map_err(|err| err.to_string())?;
    context.metrics.canary_lines.inc();
    let deadline = Instant::now() + FOUND_WITHIN;
    loop {
        tokio::time::sleep(LOOK).await;
        let (asking, word) = (Arc::clone(context), name.clone());
        let found = tokio::task::spawn_blocking(move || find(&asking, &word, sent)).await;
        if found.map_err(|err| err.to_string())?? {
            break;
        }
        if Instant::now() >= deadline {
            return Err(format!("it could not be found within {} s", FOUND_WITHIN.as_secs()));
        }
    }
    let (context, receiver, key) = (Arc::clone(context), receiver.to_owned(), format!("{KEY}{name}"));
    let told = tokio::task::spawn_blocking(move || context.alerting.canary(&receiver, &key, sent, context.clock.now()));
    told.await.map_err(|err| err.to_string())?.map(drop).map_err(|err| err.to_string())
}

/// One event in a Lumberjack `J` frame, as a Beat would send it.
fn batch(name: &str, now: i64) -> Batch {
    let event = json!({
        "@timestamp": format_rfc3339(now),
        "message": format!("loghound canary {name}"),
        "agent": {"id": "loghound-canary", "type": "loghound"},
        "host": {"name": "loghound"},
        "service": {"name": "loghound-canary"},
        "log": {"offset": now / 1_000, "file": {"path": "loghound-canary"}},
    });
    let text = event.to_string();
    let mut body = BytesMut::with_capacity(text.len() + 10);
    body.put_slice(b"2J");
    body.put_u32(1);
    body.put_u32(text.len() as u32);
    body.put_slice(text.as_bytes());
    Batch {
        wire: Wire::Lumberjack,
        received_at: now,
        peer: "canary".to_owned(),
        events: 1,
        body: body.freeze(),
        inflated: None,
    }
}

fn find(context: &Context, name: &str, sent: i64) -> Result<bool, String> {
    let expr = query::parse(&format!("\"loghound canary {name}\"")).map_err(|err| err.to_string())?;
    let between = Between { from: Some(sent - NANOS_PER_SECOND), to: Some(sent + NANOS_PER_SECOND) };
    let deadline = Instant::now() + Duration::from_secs(5);
    let search = Search { expr, between, limit: 0, newest_first: true, after: None, deadline };
    context.engine.search(&search).map(|hits| hits.total > 0).map_err(|stop| format!("{stop:?}"))
}

/// A message was delivered: if it was the line's, the way is measured.
pub fn came_out(metrics: &Metrics, delivery: &Delivery, now: i64) {
    if delivery.kind() == Kind::Test && delivery.notice.key.starts_with(KEY) {
        metrics.canary_seconds.observe(now.saturating_sub(delivery.notice.since).max(0) as f64 / 1e9);
        metrics.canary_timestamp.set(now as f64 / 1e9);
    }
}
