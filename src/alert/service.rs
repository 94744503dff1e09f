//! What the rest of the program and people do with alerting: one lock around the engine, whose steps are short.

#[cfg(test)]
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use serde::Serialize;

use super::book::Alert;
use super::delivery::{Delivery, DeliveryState};
use super::engine::{Engine, Reading, Work, add_deploy, nanos};
use super::finding::{Line, cut};
use super::incident::{Deploy, Incident, State};
use super::ledger::{self, Known, Ledger};
use super::matcher::Matcher;
use super::notice::{Kind, Notice};
use super::outbox::Outbox;
use super::rule_info::RuleInfo;
use super::settings::Settings;
use super::silence::{SILENCES_MAX, Silence};
use crate::detect::{Anomaly, Severity};
use crate::store::Meta;

/// Something that a person asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{name}: {message}")]
    Bad { name: &'static str, message: String },
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// Which incidents.
#[derive(Debug, Clone, Default)]
pub struct IncidentWish {
    /// Open and acknowledged ones, or those that are over; both where absent.
    pub open: Option<bool>,
    pub service: Option<String>,
    /// At least so severe.
    pub severity: Option<Severity>,
    /// Begun in this range: Unix nanoseconds, `to` not included.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub limit: usize,
}

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct DeliveryWish {
    pub receiver: Option<String>,
    pub state: Option<DeliveryState>,
    /// Of this alert.
    pub key: Option<String>,
    /// That tell of this incident, alone or in a group.
    pub incident: Option<String>,
    pub limit: usize,
}

/// A receiver as people see it: nothing secret in it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReceiverInfo {
    pub name: String,
    pub kind: &'static str,
    pub targets: Vec<String>,
    pub send_resolved: bool,
    /// Messages that wait for it, and alerts that are open there.
    pub waiting: usize,
    pub alerts: usize,
    /// Messages it may get a day, and got today; absent without a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_today: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_today: Option<u64>,
}

/// Numbers for metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub incidents: usize,
    pub alerts: usize,
    pub waiting: usize,
    pub silences: usize,
}

pub struct Alerting {
    engine: Mutex<Engine>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) settings: Arc<Settings>,
}

/// Bytes of a name, a reason, a note.
const WORDS_BYTES_MAX: usize = 1_000;
/// A silence ends some day.
const SILENCE_MAX: i64 = 366 * 86_400 * 1_000_000_000;

impl Alerting {
    pub fn open(meta: Arc<Meta>, settings: Settings) -> Result<Self, ledger::Error> {
        let (settings, ledger) = (Arc::new(settings), Arc::new(Ledger::open(meta)?));
        let paced = settings.receivers.iter().filter(|receiver| !receiver.driver.pace().is_zero());
        let paces: HashMap<_, _> = paced.map(|r| (r.name.clone(), nanos(r.driver.pace()))).collect();
        let outbox = Arc::new(Outbox::open(Arc::clone(&ledger), paces)?);
        let engine = Engine::open(Arc::clone(&settings), Arc::clone(&ledger), Arc::clone(&outbox))?;
        Ok(Self { engine: Mutex::new(engine), ledger, outbox, settings })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Anomalies as they are now.
    pub fn take(&self, anomalies: &[Anomaly], now: i64) -> Result<(), ledger::Error> {
        self.engine.lock().take(anomalies, now)
    }

    /// A number that a rule looks at; `lines` is asked for when it opens.
    pub fn observe(
        &self,
        reading: &Reading<'_>,
        now: i64,
        lines: impl FnOnce() -> Vec<Line>,
    ) -> Result<(), ledger::Error> {
        self.engine.lock().observe(reading, now, lines)
    }

    /// The values for which a rule is pending or open: they must be looked at even when the query names them no more.
    pub fn watched(&self, rule: &str) -> Vec<String> {
        let engine = self.engine.lock();
        engine.book().thresholds.keys().filter(|(name, _)| name == rule).map(|(_, by)| by.clone()).collect()
    }

    pub fn tick(&self, now: i64) -> Result<(), ledger::Error> {
        self.engine.lock().tick(now)
    }

    pub fn counts(&self) -> Counts {
        let engine = self.engine.lock();
        let book = engine.book();
        Counts {
            incidents: book.incidents.values().filter(|incident| incident.is_open()).count(),
            alerts: book.alerts.values().filter(|alert| alert.opened.is_some()).count(),
            waiting: self.outbox.waiting(),
            silences: book.silences.len(),
        }
    }

    /// Incidents, open ones first, then newest first, and how many there are beyond the limit too.
    pub fn incidents(&self, wish: &IncidentWish) -> Result<(Vec<Incident>, u64), Refusal> {
        let fits = |incident: &Incident| {
            wish.service.as_ref().is_none_or(|service| incident.concerns(service))
                && wish.severity.is_none_or(|severity| incident.severity >= severity)
                && wish.from.is_none_or(|from| incident.since >= from)
                && wish.to.is_none_or(|to| incident.since < to)
        };
        let mut found: Vec<Incident> = Vec::new();
        let mut total = 0;
        if wish.open != Some(false) {
            let engine = self.engine.lock();
            let open = engine.book().incidents.values().filter(|incident| incident.is_open() && fits(incident));
            found.extend(open.cloned());
            total = found.len() as u64;
            found.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.opened.cmp(&a.opened)).then(a.id.cmp(&b.id)));
            found.truncate(wish.limit);
        }
        if wish.open != Some(true) {
            let (closed, count) = self.ledger.closed(wish.limit - found.len(), fits)?;
            found.extend(closed);
            total += count;
        }
        Ok((found, total))
    }

    pub fn incident(&self, id: &str) -> Result<Incident, Refusal> {
        if let Some(incident) = self.engine.lock().book().incidents.get(id) {
            return Ok(incident.clone());
        }
        self.ledger.closed_incident(id)?.ok_or_else(|| no_such("incident", id))
    }

    /// Somebody works on it: no reminders.
    pub fn acknowledge(&self, id: &str, by: &str, note: &str, now: i64) -> Result<Incident, Refusal> {
        self.with_open(id, now, |work, id| {
            if let Some(incident) = work.book.incidents.get_mut(id) {
                incident.state = State::Acknowledged;
                incident.note(now, by, worded("acknowledged", note));
                work.incidents.insert(id.to_owned());
            }
            Ok(())
        })
    }

    /// Over, because a person says so. What is found of it later is part of its history.
    pub fn close(&self, id: &str, by: &str, note: &str, now: i64) -> Result<Incident, Refusal> {
        self.with_open(id, now, |work, id| {
            work.resolve(id, by, &worded("closed", note));
            Ok(())
        })
    }

    /// Everything of `from` becomes part of `into`.
    pub fn merge(&self, into: &str, from: &str, by: &str, now: i64) -> Result<Incident, Refusal> {
        if into == from {
            return Err(Refusal::Conflict(format!("incident {into} cannot become part of itself")));
        }
        self.must_be_open(from)?;
        self.with_open(into, now, |work, into| work.merge(into, from, by))
    }

    /// Takes these findings out of an incident; gives the new one they make.
    pub fn split(&self, id: &str, findings: &[String], by: &str, now: i64) -> Result<Incident, Refusal> {
        self.must_be_open(id)?;
        let mut engine = self.engine.lock();
        let made = engine.step(now, |work| {
            let Some(mut incident) = work.book.incidents.remove(id) else { return Ok(None) };
            work.book.unindex(&incident);
            let out = incident.take_out(findings, now);
            let mut made = None;
            if let Some(out) = out {
                let mut out = out.into_iter();
                if let Some(first) = out.next() {
                    let mut new = Incident::new(first, now);
                    // Its id must not be that of an incident which this finding began.
                    new.id = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{}/{now}", new.id).as_bytes()));
                    new.apart = true;
                    for finding in out {
                        new.attach(finding, now);
                    }
                    new.labels.insert("incident".to_owned(), new.id.clone());
                    new.note(now, by, format!("split off from incident {id}"));
                    incident.note(now, by, format!("incident {} was split off", new.id));
                    for finding in &new.findings {
                        let known = Known { incident: new.id.clone(), open: finding.ended.is_none(), since: now };
                        work.write.put_finding(&finding.id, &known)?;
                    }
                    made = Some(new.clone());
                    work.put(new);
                }
            }
            work.put(incident);
            Ok(made)
        })?;
        made.ok_or_else(|| Refusal::Bad {
            name: "findings",
            message: "name some, not all, of the findings that /api/v1/incidents/ID lists".to_owned(),
        })
    }

    /// Alerts that are open, or about to be.
    pub fn alerts(&self, receiver: Option<&str>) -> Vec<Alert> {
        let engine = self.engine.lock();
        let fits = |alert: &&Alert| receiver.is_none_or(|receiver| alert.receiver == receiver);
        engine.book().alerts.values().filter(fits).cloned().collect()
    }

    pub fn silences(&self) -> Vec<Silence> {
        let mut silences: Vec<_> = self.engine.lock().book().silences.values().cloned().collect();
        silences.sort_by_key(|silence| std::cmp::Reverse(silence.created));
        silences
    }

    /// Silences what has these labels, from `starts` to `ends`.
    pub fn silence(
        &self,
        matchers: Vec<Matcher>,
        (starts, ends): (i64, i64),
        author: &str,
        reason: &str,
        now: i64,
    ) -> Result<Silence, Refusal> {
        let bad = |name, message: &str| Refusal::Bad { name, message: message.to_owned() };
        let everything = crate::alert::Labels::new();
        if matchers.iter().all(|matcher| matcher.matches(&everything)) {
            return Err(bad("matchers", "at least one matcher must not fit everything: name a service or an incident"));
        }
        if author.trim().is_empty() || reason.trim().is_empty() {
            return Err(bad("reason", "a silence says who made it, and why: give author and reason"));
        }
        if ends <= starts || ends <= now || ends - starts > SILENCE_MAX {
            return Err(bad("ends", "it ends after it begins, in the future, and within a year"));
        }
        let digest = xxhash_rust::xxh3::xxh3_64(format!("{now} {starts} {ends} {matchers:?} {author}").as_bytes());
        let silence = Silence {
            id: format!("{digest:016x}"),
            matchers,
            starts,
            ends,
            author: cut(author, WORDS_BYTES_MAX).to_owned(),
            reason: cut(reason, WORDS_BYTES_MAX).to_owned(),
            created: now,
            muted_alerts: 0,
        };
        let mut engine = self.engine.lock();
        engine.step(now, |work| {
            work.book.silences.insert(silence.id.clone(), silence.clone());
            work.silences.insert(silence.id.clone());
            // The oldest that are over make room.
            let mut over: Vec<_> =
                work.book.silences.values().filter(|s| s.ends <= now).map(|s| (s.ends, s.id.clone())).collect();
            over.sort_unstable();
            let many = work.book.silences.len().saturating_sub(SILENCES_MAX);
            for (_, id) in over.into_iter().take(many) {
                work.book.silences.remove(&id);
                work.silences.insert(id);
            }
            Ok(())
        })?;
        Ok(silence)
    }

    /// Ends a silence now; one that has not begun is forgotten.
    pub fn expire(&self, id: &str, now: i64) -> Result<Silence, Refusal> {
        let mut engine = self.engine.lock();
        let Some(mut silence) = engine.book().silences.get(id).cloned() else { return Err(no_such("silence", id)) };
        if silence.state(now) == "expired" {
            return Err(Refusal::Conflict(format!("silence {id} is over already")));
        }
        silence.ends = now;
        silence.starts = silence.starts.min(now);
        engine.step(now, |work| {
            work.book.silences.insert(id.to_owned(), silence.clone());
            work.silences.insert(id.to_owned());
            Ok(())
        })?;
        Ok(silence)
    }

    /// Something new was put into service: incidents shortly after it say so.
    pub fn deploy(&self, mut deploy: Deploy, now: i64) -> Result<Deploy, Refusal> {
        for text in [&mut deploy.service, &mut deploy.version, &mut deploy.by, &mut deploy.url] {
            *text = cut(text.trim(), WORDS_BYTES_MAX).to_owned();
        }
        let mut engine = self.engine.lock();
        engine.step(now, |work| {
            work.book.deployed(deploy.clone());
            work.write.put_state("deploys", "all", &work.book.deploys)?;
            let mut changed = Vec::new();
            for incident in work.book.incidents.values_mut().filter(|incident| incident.is_open()) {
                let version = incident.version;
                add_deploy(incident, &deploy);
                if incident.version != version {
                    changed.push(incident.id.clone());
                }
            }
            work.incidents.extend(changed);
            Ok(())
        })?;
        Ok(deploy)
    }

    pub fn deploys(&self) -> Vec<Deploy> {
        self.engine.lock().book().deploys.iter().rev().cloned().collect()
    }

    pub fn receivers(&self, now: i64) -> Vec<ReceiverInfo> {
        let engine = self.engine.lock();
        let today = crate::record::time::day_of(now);
        let info = |receiver: &super::receivers::Receiver| {
            let budget = engine.book().budgets.get(&receiver.name).filter(|budget| budget.day == today);
            let alerts = engine.book().alerts.values();
            ReceiverInfo {
                name: receiver.name.clone(),
                kind: receiver.driver.kind(),
                targets: receiver.driver.targets(),
                send_resolved: receiver.send_resolved,
                waiting: self.outbox.waiting_for(&receiver.name),
                alerts: alerts.filter(|alert| alert.receiver == receiver.name && alert.opened.is_some()).count(),
                budget: receiver.budget.map(|budget| budget.per_day),
                told_today: receiver.budget.map(|_| budget.map_or(0, |budget| budget.told)),
                held_today: receiver.budget.map(|_| budget.map_or(0, |budget| budget.held_total)),
            }
        };
        self.settings.receivers.iter().map(info).collect()
    }

    /// The rules in use, in their order.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let engine = self.engine.lock();
        let info = |rule: &super::rule::Rule| {
            let open = engine.book().incidents.values().filter(|incident| incident.is_open());
            let its = open.filter(|incident| incident.findings.iter().any(|finding| finding.rule == rule.name));
            let mut incidents: Vec<String> = its.map(|incident| incident.id.clone()).collect();
            incidents.sort();
            RuleInfo::new(rule, incidents)
        };
        self.settings.rules.iter().map(info).collect()
    }

    /// Sends a test message the way that alerts go: first one that opens, then one that resolves it. Gives their numbers.
    pub fn test(&self, receiver: &str, now: i64) -> Result<Vec<u64>, Refusal> {
        let mut notice = Notice::empty(Kind::Test, &format!("test-{receiver}-{now}"), now);
        notice.title = "loghound can reach you: this is a test, and needs nobody".to_owned();
        notice.labels = [("service", "loghound"), ("rule", "test")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        notice.lines = vec![Line { id: String::new(), time: now, line: "an example of a line".to_owned() }];
        let mut resolve = notice.clone();
        resolve.kind = Kind::Resolve;
        resolve.ended = Some(now);
        self.enqueue(receiver, [notice, resolve], now)
    }

    /// The line that goes in every minute has come out: its message goes the rest of the way.
    pub fn canary(&self, receiver: &str, key: &str, sent: i64, now: i64) -> Result<Vec<u64>, Refusal> {
        let mut notice = Notice::empty(Kind::Test, key, now);
        notice.title = "loghound's own line came through: all is well".to_owned();
        notice.since = sent;
        notice.labels = [("service", "loghound"), ("rule", "canary")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.enqueue(receiver, [notice], now)
    }

    fn enqueue(&self, name: &str, notices: impl IntoIterator<Item = Notice>, now: i64) -> Result<Vec<u64>, Refusal> {
        let receiver = self.settings.receiver(name).ok_or_else(|| no_such("receiver", name))?;
        let targets = receiver.driver.targets().len();
        let mut engine = self.engine.lock();
        let numbers = engine.step(now, |work| {
            for notice in notices {
                for target in 0..targets {
                    work.message(name, target, notice.clone())?;
                }
            }
            Ok(work.messages.iter().map(|message| message.seq).collect())
        })?;
        Ok(numbers)
    }

    pub fn deliveries(&self, wish: &DeliveryWish) -> Result<(Vec<Delivery>, u64), Refusal> {
        let fits = |delivery: &Delivery| {
            wish.receiver.as_ref().is_none_or(|receiver| delivery.receiver == *receiver)
                && wish.state.is_none_or(|state| delivery.state == state)
                && wish.key.as_ref().is_none_or(|key| delivery.notice.key == *key)
                && wish.incident.as_ref().is_none_or(|id| delivery.notice.incidents.contains(id))
        };
        Ok(self.ledger.deliveries(wish.limit, fits)?)
    }

    pub fn delivery(&self, seq: u64) -> Result<Delivery, Refusal> {
        self.ledger.delivery(seq)?.ok_or_else(|| no_such("delivery", &seq.to_string()))
    }

    /// Tries a dead letter again, under the same id.
    pub fn resend(&self, seq: u64, now: i64) -> Result<Delivery, Refusal> {
        let mut engine = self.engine.lock();
        let mut delivery = self.delivery(seq)?;
        if delivery.state != DeliveryState::Dead {
            return Err(Refusal::Conflict(format!(
                "delivery {seq} is no dead letter: it is {}",
                match delivery.state {
                    DeliveryState::Delivered => "delivered",
                    DeliveryState::Waiting | DeliveryState::Dead => "waiting",
                }
            )));
        }
        let alert = (delivery.receiver.clone(), delivery.notice.key.clone());
        let goes_on = engine.book().alerts.get(&alert).is_some_and(|alert| alert.opened.is_some());
        if matches!(delivery.kind(), Kind::Open | Kind::Update) && !goes_on {
            return Err(Refusal::Conflict(format!("the alert of delivery {seq} is over: it would open it again")));
        }
        delivery.revive(now);
        engine.step(now, |work| {
            work.write.put_delivery(&delivery)?;
            work.messages.push(delivery.clone());
            Ok(())
        })?;
        Ok(delivery)
    }

    /// For a receiver that forgets what is not told again: all that is open there, as it is now.
    pub(super) fn open_notices(&self, receiver: &str, now: i64) -> Vec<Notice> {
        let engine = self.engine.lock();
        let book = engine.book();
        let told = book.alerts.values().filter(|alert| alert.receiver == receiver && alert.opened.is_some());
        told.filter(|alert| !alert.muted && !self.outbox.has(receiver, &alert.key))
            .map(|alert| {
                let incidents: Vec<&Incident> =
                    alert.incidents.iter().filter_map(|id| book.incidents.get(id)).collect();
                let url = self.settings.external_url.as_deref();
                let mut notice = Notice::of(Kind::Update, &alert.key, &incidents, url, now);
                notice.severity_opened = alert.severity_opened.unwrap_or(notice.severity);
                notice
            })
            .collect()
    }

    fn must_be_open(&self, id: &str) -> Result<(), Refusal> {
        let incident = self.incident(id)?;
        match (incident.is_open(), incident.merged_into) {
            (true, _) => Ok(()),
            (false, Some(into)) => Err(Refusal::Conflict(format!("incident {id} is part of incident {into} now"))),
            (false, None) => Err(Refusal::Conflict(format!("incident {id} is over"))),
        }
    }

    fn with_open(
        &self,
        id: &str,
        now: i64,
        act: impl FnOnce(&mut Work<'_>, &str) -> Result<(), ledger::Error>,
    ) -> Result<Incident, Refusal> {
        self.must_be_open(id)?;
        self.engine.lock().step(now, |work| act(work, id))?;
        self.incident(id)
    }

    /// Alerts by what they are told under: for tests.
    #[cfg(test)]
    pub fn open_keys(&self) -> BTreeMap<(String, String), bool> {
        let engine = self.engine.lock();
        engine.book().alerts.iter().map(|(id, alert)| (id.clone(), alert.opened.is_some())).collect()
    }
}

fn no_such(what: &str, id: &str) -> Refusal {
    Refusal::NotFound(format!("there is no {what} {id:?}: /api/v1/ lists those there are"))
}

fn worded(what: &str, note: &str) -> String {
    if note.trim().is_empty() { what.to_owned() } else { format!("{what}: {}", cut(note.trim(), WORDS_BYTES_MAX)) }
}
