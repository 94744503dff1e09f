//! What rules would have sent: the same engine, on an empty ledger in memory, with the times of the stored anomalies.

use std::sync::Arc;

use serde::Serialize;

use super::delivery::Delivery;
use super::ledger::Error;
use super::notice::Kind;
use super::service::Alerting;
use super::settings::Settings;
use crate::detect::{Anomaly, State};
use crate::record::time::NANOS_PER_SECOND;
use crate::store::Meta;

/// A message that would have been sent.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DryRunMessage {
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub at: i64,
    pub receiver: String,
    pub kind: Kind,
    pub incident: String,
    pub severity: &'static str,
    pub title: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DryRun {
    pub anomalies: usize,
    pub incidents: u64,
    pub messages: Vec<DryRunMessage>,
    /// Messages beyond those listed.
    pub more: u64,
}

/// Messages that are listed.
const MESSAGES_MAX: usize = 1_000;
/// Between two anomalies time passes in steps, so that what is due in between is told when it was.
const STEP: i64 = 60 * NANOS_PER_SECOND;
/// After the last anomaly, until all is resolved.
const TAIL: i64 = 3_600 * NANOS_PER_SECOND;

impl DryRun {
    /// Plays anomalies, in the order they were found, through rules and routes.
    pub fn of(settings: Settings, anomalies: &[Anomaly]) -> Result<Self, Error> {
        let alerting = Alerting::open(Arc::new(Meta::in_memory()?), settings)?;
        // What happened when: found, and over.
        let mut happened: Vec<(i64, Anomaly)> = Vec::new();
        for anomaly in anomalies {
            let open = Anomaly { ended: None, state: State::Open, ..anomaly.clone() };
            happened.push((anomaly.found.saturating_mul(NANOS_PER_SECOND), open));
            if let Some(ended) = anomaly.ended {
                let at = ended.max(anomaly.found).saturating_mul(NANOS_PER_SECOND);
                happened.push((at, anomaly.clone()));
            }
        }
        happened.sort_by_key(|(at, _)| *at);
        let mut run = Self { anomalies: anomalies.len(), ..Self::default() };
        let mut now = happened.first().map_or(0, |(at, _)| *at);
        let last = happened.last().map_or(0, |(at, _)| at.saturating_add(TAIL));
        let mut next = happened.into_iter().peekable();
        while now <= last {
            let mut batch = Vec::new();
            while let Some((_, anomaly)) = next.next_if(|(at, _)| *at <= now) {
                batch.push(anomaly);
            }
            if !batch.is_empty() {
                alerting.take(&batch, now)?;
            }
            alerting.tick(now)?;
            run.drain(&alerting, now)?;
            let upcoming = next.peek().map_or(last.saturating_add(1), |(at, _)| *at);
            // Where nothing is open nothing becomes due.
            let idle = alerting.counts().incidents == 0;
            now = if idle { upcoming } else { upcoming.min(now.saturating_add(STEP)) };
        }
        let wish = super::service::IncidentWish { limit: usize::MAX / 2, ..Default::default() };
        run.incidents = alerting.incidents(&wish).map_or(0, |(_, total)| total);
        Ok(run)
    }

    fn drain(&mut self, alerting: &Alerting, now: i64) -> Result<(), Error> {
        loop {
            let jobs = alerting.outbox.take(now, 64)?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs {
                let taken = super::delivery::Outcome::of_status(200, "", None);
                let sent = alerting.outbox.finish(job, &taken, now, 0.5)?;
                self.note(&sent, now);
            }
        }
    }

    fn note(&mut self, sent: &Delivery, now: i64) {
        if self.messages.len() >= MESSAGES_MAX {
            self.more += 1;
            return;
        }
        self.messages.push(DryRunMessage {
            at: now,
            receiver: sent.receiver.clone(),
            kind: sent.kind(),
            incident: sent.notice.key.clone(),
            severity: sent.notice.severity.name(),
            title: sent.notice.title.clone(),
        });
    }
}
