//! How loghound itself is, for its alerts on itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::warn;

use super::super::Context;
use crate::alert::{Own, Reading, Vitals};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// Disk use is compared with that of so long ago.
const DISK_WINDOW: Duration = Duration::from_secs(3_600);
/// Shorter, a pace says nothing.
const DISK_WINDOW_MIN: Duration = Duration::from_secs(600);
/// Shares and counts are of so long.
const RATE_WINDOW: Duration = Duration::from_secs(600);
/// Lines below which a share says nothing.
const LINES_MIN: u64 = 1_000;

/// What was counted at one look.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    /// From senders: loghound's own line is none.
    received: u64,
    indexed: u64,
    unparsed: u64,
    dead: u64,
    disk_free: Option<u64>,
    /// The last batch that was journalled.
    durable: u64,
}

pub struct Watch {
    own: Vec<Own>,
    looks: VecDeque<Look>,
    next: Instant,
    started: Instant,
    /// When the number of received events last changed.
    received_at: Option<Instant>,
}

impl Watch {
    pub fn new(_context: &Context) -> Self {
        let now = Instant::now();
        Self { own: Own::all(), looks: VecDeque::new(), next: now, started: now, received_at: None }
    }

    pub fn look(&mut self, context: &Context, now: Instant) {
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        let look = counted(context, now);
        if self.looks.back().is_some_and(|before| before.received != look.received) {
            self.received_at = Some(now);
        }
        self.looks.push_back(look);
        while self.looks.front().is_some_and(|look| now - look.at > DISK_WINDOW) {
            self.looks.pop_front();
        }
        let vitals = self.vitals(context, look);
        let at = context.clock.now();
        for own in &self.own {
            let Some((number, sentence)) = own.read(&vitals) else { continue };
            let reading = Reading { rule: &own.rule, query: &own.query, by: "", number, at, sentence: Some(&sentence) };
            if let Err(error) = context.alerting.observe(&reading, at, Vec::new) {
                warn!(rule = own.rule.name, %error, "cannot decide on an alert on loghound itself; it is tried again");
            }
        }
    }

    fn vitals(&self, context: &Context, look: Look) -> Vitals {
        let first = self.looks.front().copied().unwrap_or(look);
        let recent = self.looks.iter().find(|earlier| look.at - earlier.at <= RATE_WINDOW).copied().unwrap_or(look);
        let passed = look.at - first.at;
        let disk_days_left = first.disk_free.zip(look.disk_free).and_then(|(before, free)| {
            let used = before.saturating_sub(free);
            (passed >= DISK_WINDOW_MIN && used > 0).then(|| free as f64 / used as f64 * passed.as_secs_f64() / 86_400.0)
        });
        let lines = look.indexed.saturating_sub(recent.indexed);
        let unparsed = look.unparsed.saturating_sub(recent.unparsed);
        let canary = context.alerting.settings().canary.is_some().then(|| {
            let came = context.metrics.canary_timestamp.get();
            let since_start = self.started.elapsed().as_secs_f64();
            if came == 0.0 { since_start } else { (context.clock.now() as f64 / 1e9 - came).max(0.0) }
        });
        Vitals {
            disk_days_left,
            queue_seconds: self.queue_seconds(context, look),
            unparsed: (lines >= LINES_MIN).then(|| unparsed as f64 / lines as f64),
            silent_seconds: self.received_at.map_or(0.0, |at| (look.at - at).as_secs_f64()),
            canary_seconds: canary,
            dead_letters: look.dead.saturating_sub(recent.dead) as f64,
        }
    }

    /// How long the oldest batch that is journalled and in no shard has waited, as exactly as looks are apart.
    fn queue_seconds(&self, context: &Context, look: Look) -> f64 {
        let committed = context.store.committed().iter().map(|(_, position)| *position).max().unwrap_or(0);
        let waiting = self.looks.iter().find(|earlier| earlier.durable > committed);
        waiting.map_or(0.0, |earlier| (look.at - earlier.at).as_secs_f64())
    }
}

fn counted(context: &Context, at: Instant) -> Look {
    let metrics = &context.metrics;
    Look {
        at,
        received: metrics.events_received.get().saturating_sub(metrics.canary_lines.get()),
        indexed: metrics.events_indexed.get(),
        unparsed: metrics.unparsed(),
        dead: metrics.deliveries.of("dead").get(),
        durable: context.journal.durable().borrow().0,
        disk_free: rustix::fs::statvfs(&context.data_dir).ok().map(|stat| stat.f_bavail * stat.f_frsize),
    }
}
