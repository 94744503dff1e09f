//! Runs alerting: anomalies and the numbers of rules go in, messages go out. Three loops, so that a slow query delays no anomaly, and a
//! slow receiver delays nobody.

mod canary;
mod dry_run;
mod rules;
mod vitals;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use dry_run::dry_run;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Context;
use crate::alert::{Delivery, DeliveryState, Sender};

/// Anomalies that are taken in one step.
const BATCH: usize = 500;
/// How often time moves on without news.
const TICK: Duration = Duration::from_millis(500);
/// After an error (a full disk), before the next try.
const PAUSE: Duration = Duration::from_secs(2);

/// The loops that run.
pub struct Alerts {
    closing: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Alerts {
    pub fn start(context: &Arc<Context>) -> Result<Self, String> {
        let closing = CancellationToken::new();
        let clock = context.clock;
        let metrics = Arc::clone(&context.metrics);
        let observer = Arc::new(move |delivery: &Delivery| {
            let result = match delivery.state {
                DeliveryState::Delivered => "delivered",
                DeliveryState::Dead => "dead",
                DeliveryState::Waiting => "failed",
            };
            metrics.deliveries.of(result).inc();
            if delivery.state == DeliveryState::Delivered {
                let waited = clock.now().saturating_sub(delivery.created).max(0) as f64 / 1e9;
                metrics.delivery_seconds.observe(waited);
                canary::came_out(&metrics, delivery, clock.now());
            }
        });
        let sender = Sender::new(Arc::clone(&context.alerting), Arc::new(move || clock.now()), observer)?;
        let mut tasks = vec![tokio::spawn(Arc::new(sender).run(closing.clone()))];
        if let Some(receiver) = context.alerting.settings().canary.clone() {
            tasks.push(tokio::spawn(canary::run(Arc::clone(context), receiver, closing.clone())));
        }
        let mut threads = Vec::new();
        let mut spawn = |name: &str, run: fn(&Context, &CancellationToken)| {
            let (context, closing) = (Arc::clone(context), closing.clone());
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&context, &closing));
            thread.map(|thread| threads.push(thread)).map_err(|err| err.to_string())
        };
        spawn("loghound-alert", decide)?;
        spawn("loghound-rules", watch)?;
        Ok(Self { closing, threads, tasks })
    }

    /// What is under way is finished; the rest is on disk.
    pub async fn stop(self) {
        self.closing.cancel();
        for task in self.tasks {
            let _ = tokio::time::timeout(Duration::from_secs(3), task).await;
        }
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
    }
}

/// Anomalies in, decisions out, until closed.
fn decide(context: &Context, closing: &CancellationToken) {
    while !closing.is_cancelled() {
        if let Err(problem) = step(context) {
            error!(error = problem, "cannot decide on alerts; nothing is lost, it is tried again");
            pause(closing, PAUSE);
        }
        match &context.detecting {
            Some(detecting) => detecting.anomalies().wait(TICK),
            None => pause(closing, TICK),
        }
    }
}

fn step(context: &Context) -> Result<(), String> {
    let Context { alerting, detecting, clock, metrics, .. } = context;
    if let Some(detecting) = detecting {
        loop {
            let (anomalies, news) = detecting.anomalies().news(BATCH).map_err(|err| err.to_string())?;
            if news.is_empty() {
                break;
            }
            // First the decision, then that it was taken: in between a crash repeats it, which changes nothing.
            alerting.take(&anomalies, clock.now()).map_err(|err| err.to_string())?;
            detecting.anomalies().taken(&news).map_err(|err| err.to_string())?;
        }
    }
    alerting.tick(clock.now()).map_err(|err| err.to_string())?;
    let counts = alerting.counts();
    metrics.incidents_open.set(counts.incidents as i64);
    metrics.alerts_open.set(counts.alerts as i64);
    metrics.outbox_waiting.set(counts.waiting as i64);
    Ok(())
}

/// Rules on queries, and loghound's own state, until closed.
fn watch(context: &Context, closing: &CancellationToken) {
    let mut rules = rules::Rules::new(context);
    let mut vitals = vitals::Watch::new(context);
    while !closing.is_cancelled() {
        let now = Instant::now();
        rules.ask(context, now, closing);
        vitals.look(context, now);
        pause(closing, Duration::from_millis(500));
    }
}

/// Waits, but not when closed.
fn pause(closing: &CancellationToken, time: Duration) {
    let end = Instant::now() + time;
    while !closing.is_cancelled() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50).min(time));
    }
}
