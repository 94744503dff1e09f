//! Decides: findings come in, incidents and messages come out. Each step is one transaction; after an error the step never was, and
//! what is in memory is read anew, as after a crash.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, Watched};
use super::delivery::Delivery;
use super::finding::{Finding, Line};
use super::incident::{Incident, State};
use super::ledger::{Error, Known, Ledger, Write};
use super::outbox::Outbox;
use super::rule::{Query, Rule};
use super::settings::Settings;
use super::threshold::Step;
use crate::detect::{Anomaly, Severity};

/// Findings that lie no further apart than this, and have something in common, are one incident.
pub const NEAR: Duration = Duration::from_secs(15 * 60);
/// When so many incidents open within so long, further ones would not be looked at one by one: they are one storm.
pub const STORM_INCIDENTS: usize = 20;
pub const STORM_WINDOW: Duration = Duration::from_secs(300);
/// A finding of which nothing was heard for so long is over: whatever watched it is gone. Long, for a silence may last.
const STALE_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A deploy so long before an incident may have caused it.
const DEPLOY_WINDOW: Duration = Duration::from_secs(2 * 3_600);

pub struct Engine {
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) book: Book,
    pub(super) next_seq: u64,
}

/// A number that a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'r> {
    pub rule: &'r Rule,
    pub query: &'r Query,
    /// The value of the query's `by`; empty without one.
    pub by: &'r str,
    pub number: f64,
    /// When it was so, by the lines' clock: Unix nanoseconds.
    pub at: i64,
    /// In place of the sentence that is made of the query.
    pub sentence: Option<&'r str>,
}

/// One step under way.
pub struct Work<'e> {
    pub settings: &'e Settings,
    pub outbox: &'e Outbox,
    pub book: &'e mut Book,
    pub write: &'e Write,
    pub now: i64,
    seq: u64,
    pub messages: Vec<Delivery>,
    /// What changed and is to be written.
    pub incidents: BTreeSet<String>,
    pub alerts: BTreeSet<(String, String)>,
    pub budgets: BTreeSet<String>,
    pub silences: BTreeSet<String>,
    /// Alerts that have ended.
    pub ended: Vec<(String, String)>,
}

pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Engine {
    pub fn open(settings: Arc<Settings>, ledger: Arc<Ledger>, outbox: Arc<Outbox>) -> Result<Self, Error> {
        let (book, next_seq) = (Book::load(&ledger)?, ledger.next_seq()?);
        Ok(Self { settings, ledger, outbox, book, next_seq })
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    /// One step: what `act` does is on disk, messages and all, when this returns, or it never was.
    pub(super) fn step<T>(
        &mut self,
        now: i64,
        act: impl FnOnce(&mut Work<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let stepped = self.try_step(now, act);
        if stepped.is_err() {
            self.book = Book::load(&self.ledger)?;
        }
        stepped
    }

    fn try_step<T>(&mut self, now: i64, act: impl FnOnce(&mut Work<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let write = self.ledger.begin()?;
        let mut work = Work {
            settings: &self.settings,
            outbox: &self.outbox,
            book: &mut self.book,
            write: &write,
            now,
            seq: self.next_seq,
            messages: Vec::new(),
            incidents: BTreeSet::new(),
            alerts: BTreeSet::new(),
            budgets: BTreeSet::new(),
            silences: BTreeSet::new(),
            ended: Vec::new(),
        };
        let done = act(&mut work)?;
        work.tell()?;
        work.save()?;
        let (seq, messages) = (work.seq, work.messages);
        let something = !messages.is_empty();
        write.commit()?;
        self.next_seq = seq;
        if something {
            for message in &messages {
                self.outbox.push(message);
            }
        }
        Ok(done)
    }

    /// Takes anomalies as they are now; the same again changes nothing.
    pub fn take(&mut self, anomalies: &[Anomaly], now: i64) -> Result<(), Error> {
        let settings = Arc::clone(&self.settings);
        self.step(now, |work| {
            for anomaly in anomalies {
                let known = work.write.finding(&anomaly.id)?;
                let rule =
                    settings.rules.iter().find(|rule| settings.works(&rule.schedule, now) && rule.takes(anomaly));
                let finding = Finding::of(anomaly, &settings.join_on);
                match (known, rule) {
                    (Some(known), rule) => {
                        let rule = rule.or_else(|| work.rule_of(&known.incident, &anomaly.id));
                        let finding = rule.map_or_else(|| finding.clone(), |rule| rule.mark(finding.clone()));
                        work.update(finding, &known)?;
                    }
                    // Over before it was worth telling.
                    (None, Some(rule)) if finding.ended.is_none() => work.begin(rule.mark(finding))?,
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Takes a number that a query rule gives at `at`, by the lines' clock. `lines` is asked for when it opens.
    pub fn observe(&mut self, reading: &Reading<'_>, now: i64, lines: impl FnOnce() -> Vec<Line>) -> Result<(), Error> {
        let Reading { rule, query, by, number, at, .. } = *reading;
        let id = (rule.name.clone(), by.to_owned());
        let before = self.book.thresholds.get(&id).cloned().unwrap_or_default();
        let opens = before.open.is_some() || self.settings.works(&rule.schedule, now);
        let mut threshold = before.clone();
        let step = if opens { threshold.step(rule, query, number, at) } else { Step::Nothing };
        if threshold == before {
            return Ok(());
        }
        self.step(now, |work| {
            match step {
                Step::Nothing => {}
                Step::Opened(since) => {
                    work.begin(rule.mark(numbered(reading, number, since, None, lines())))?;
                }
                Step::Worse(since) | Step::Closed(since) => {
                    let ended = matches!(step, Step::Closed(_)).then_some(at);
                    let worst = if ended.is_some() { before.worst } else { number };
                    let mut finding = rule.mark(numbered(reading, worst, since, ended, Vec::new()));
                    if let Some(known) = work.write.finding(&finding.id)? {
                        finding.lines = work.lines_of(&known.incident, &finding.id);
                        work.update(finding, &known)?;
                    }
                }
            }
            if threshold.is_idle() {
                work.book.thresholds.remove(&id);
                work.write.remove_state("threshold", &format!("{}/{}", id.0, id.1))?;
            } else {
                let watched = Watched { rule: id.0.clone(), by: id.1.clone(), threshold: threshold.clone() };
                work.write.put_state("threshold", &format!("{}/{}", id.0, id.1), &watched)?;
                work.book.thresholds.insert(id, threshold);
            }
            Ok(())
        })
    }

    /// Time moves on: what must be told now is decided. Cheap when there is nothing.
    pub fn tick(&mut self, now: i64) -> Result<(), Error> {
        if self.book.incidents.is_empty() && self.book.alerts.is_empty() && self.book.budgets.is_empty() {
            return Ok(());
        }
        if !self.due(now) {
            return Ok(());
        }
        self.step(now, |work| work.calm())
    }
}

/// A number of a rule as a finding.
fn numbered(reading: &Reading<'_>, number: f64, since: i64, ended: Option<i64>, lines: Vec<Line>) -> Finding {
    let Reading { rule, query, by, at, .. } = *reading;
    let window = query.window.as_secs();
    let window = if window.is_multiple_of(60) { format!("{} min", window / 60) } else { format!("{window} s") };
    let whose = match (&query.by, by) {
        (Some(field), by) => format!("{field} {by}: "),
        (None, _) => String::new(),
    };
    let limit = query.test.limit();
    let sentence = match (query.test, &query.of) {
        _ if reading.sentence.is_some() => reading.sentence.unwrap_or_default().to_owned(),
        (super::rule::Test::Absent, _) => format!("{}: {whose}no line of `{}` for {window}", rule.name, query.q),
        (test, of) => {
            let order = if matches!(test, super::rule::Test::Above(_)) { "more than" } else { "less than" };
            let shown = |n: f64| if of.is_some() { format!("{:.2} %", n * 100.0) } else { format!("{n:.0} lines") };
            let share = of.as_ref().map(|of| format!(" of `{of}`")).unwrap_or_default();
            let (number, limit) = (shown(number), shown(limit));
            format!("{}: {whose}{number} of `{}`{share} in {window}, {order} {limit}", rule.name, query.q)
        }
    };
    let service = if query.by.as_deref().is_some_and(is_service) { by } else { "" };
    let mut keys = Vec::new();
    let mut labels = super::matcher::Labels::new();
    if let Some(field) = &query.by {
        let field = if is_service(field) { "service" } else { field };
        keys.push(format!("{field}={by}"));
        labels.insert(field.to_owned(), by.to_owned());
    } else {
        keys.push(format!("rule={}", rule.name));
    }
    Finding {
        id: format!("rule/{}/{by}/{since}", rule.name),
        rule: rule.name.clone(),
        service: service.to_owned(),
        severity: Severity::Major,
        score: 0.0,
        sentence,
        actual: number,
        typical: limit,
        since,
        last: at,
        ended,
        keys,
        labels,
        lines,
        template: None,
        runbook: None,
        receivers: Vec::new(),
        hold_seconds: 0,
    }
}

/// The fields whose value is what detectors call a service.
fn is_service(field: &str) -> bool {
    matches!(field, "kubernetes.container.name" | "service.name" | "container")
}

impl Work<'_> {
    /// A finding that was not known.
    pub fn begin(&mut self, finding: Finding) -> Result<(), Error> {
        let id = self.place(&finding)?;
        let known = Known { incident: id.clone(), open: finding.ended.is_none(), since: self.now };
        self.write.put_finding(&finding.id, &known)?;
        if let Some(mut incident) = self.book.incidents.remove(&id) {
            // A new incident holds it already.
            if !incident.findings.iter().any(|kept| kept.id == finding.id) {
                incident.attach(finding, self.now);
            }
            for deploy in &self.book.deploys {
                add_deploy(&mut incident, deploy);
            }
            self.put(incident);
        }
        Ok(())
    }

    /// The incident that takes a finding: one that has something in common with it, near in time, or a new one. Where it joins
    /// several, they turn out to be one.
    fn place(&mut self, finding: &Finding) -> Result<String, Error> {
        let near = nanos(NEAR);
        let is_near = |incident: &Incident| {
            finding.since <= incident.last.saturating_add(near) && incident.since <= finding.last.saturating_add(near)
        };
        let sharing = self.book.sharing(&finding.keys).into_iter().filter(|incident| is_near(incident));
        let mut ids: Vec<(String, bool)> = sharing.map(|incident| (incident.id.clone(), incident.apart)).collect();
        if ids.iter().any(|(_, apart)| !apart) {
            ids.retain(|(_, apart)| !apart);
        }
        let mut ids = ids.into_iter().map(|(id, _)| id);
        if let Some(first) = ids.next() {
            if !self.book.incidents[&first].apart {
                for other in ids {
                    self.merge(&first, &other, "")?;
                }
            }
            return Ok(first);
        }
        let window = self.now.saturating_sub(nanos(STORM_WINDOW));
        while self.book.opened.front().is_some_and(|opened| *opened < window) {
            self.book.opened.pop_front();
        }
        if self.book.opened.len() >= STORM_INCIDENTS {
            let storm = self.book.incidents.values().find(|incident| incident.storm && incident.is_open());
            if let Some(storm) = storm {
                return Ok(storm.id.clone());
            }
        }
        let mut incident = Incident::new(finding.clone(), self.now);
        // An incident of this very finding is over already, or was told apart by a person: this is another one.
        while self.book.incidents.contains_key(&incident.id) {
            incident.id = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(incident.id.as_bytes()));
        }
        if self.book.opened.len() >= STORM_INCIDENTS {
            incident = incident.into_storm();
        } else {
            self.book.opened.push_back(self.now);
        }
        let id = incident.id.clone();
        tracing::info!(incident = id, severity = incident.severity.name(), "incident opened: {}", incident.title);
        self.put(incident);
        Ok(id)
    }

    /// A finding that is known is now like this.
    pub fn update(&mut self, finding: Finding, known: &Known) -> Result<(), Error> {
        let open = finding.ended.is_none();
        let Some(id) = self.home(&known.incident) else {
            // Its incident is over: what is heard of it now is history. It is told anew only as a new finding.
            return Ok(());
        };
        if open != known.open || id != known.incident {
            let known = Known { incident: id.clone(), open, since: known.since };
            self.write.put_finding(&finding.id, &known)?;
        }
        if let Some(mut incident) = self.book.incidents.remove(&id) {
            let kept = incident.findings.iter().any(|kept| kept.id == finding.id);
            // Nothing new on what is kept costs no write.
            if open != known.open || !kept || incident.findings.iter().any(|f| f.id == finding.id && *f != finding) {
                incident.update(finding, known.open, self.now);
                self.put(incident);
            } else {
                self.book.incidents.insert(id, incident);
            }
        }
        Ok(())
    }

    /// The open incident that this one is, or became part of.
    fn home(&self, id: &str) -> Option<String> {
        let mut id = id.to_owned();
        // Merges form no circle: an incident goes into one that is open.
        loop {
            let incident = self.book.incidents.get(&id)?;
            match (&incident.merged_into, incident.is_open()) {
                (Some(into), _) => id.clone_from(into),
                (None, true) => return Some(id),
                (None, false) => return None,
            }
        }
    }

    fn rule_of(&self, incident: &str, finding: &str) -> Option<&Rule> {
        let incident = self.book.incidents.get(incident)?;
        let rule = &incident.findings.iter().find(|kept| kept.id == finding)?.rule;
        self.settings.rules.iter().find(|known| known.name == *rule)
    }

    fn lines_of(&self, incident: &str, finding: &str) -> Vec<Line> {
        let incident = self.home(incident).and_then(|id| self.book.incidents.get(&id));
        let kept = incident.and_then(|incident| incident.findings.iter().find(|kept| kept.id == finding));
        kept.map(|kept| kept.lines.clone()).unwrap_or_default()
    }

    /// Everything of `from` becomes part of `into`; what was told of it is resolved, with a word on where it went.
    pub fn merge(&mut self, into: &str, from: &str, by: &str) -> Result<(), Error> {
        let Some(mut gone) = self.book.incidents.remove(from) else { return Ok(()) };
        let Some(mut incident) = self.book.incidents.remove(into) else {
            self.book.incidents.insert(from.to_owned(), gone);
            return Ok(());
        };
        incident.absorb(&gone, self.now);
        incident.note(self.now, by, format!("took in incident {from}"));
        self.book.unindex(&gone);
        gone.state = State::Merged;
        gone.merged_into = Some(into.to_owned());
        gone.resolved = Some(self.now);
        gone.note(self.now, by, format!("became part of incident {into}"));
        for finding in &gone.findings {
            let known = Known { incident: into.to_owned(), open: finding.ended.is_none(), since: self.now };
            self.write.put_finding(&finding.id, &known)?;
        }
        self.put(gone);
        self.put(incident);
        Ok(())
    }

    /// Keeps an incident as it is now.
    pub fn put(&mut self, incident: Incident) {
        self.book.index(&incident);
        self.incidents.insert(incident.id.clone());
        self.book.incidents.insert(incident.id.clone(), incident);
    }

    /// Ends an incident.
    pub fn resolve(&mut self, id: &str, by: &str, why: &str) {
        let Some(mut incident) = self.book.incidents.remove(id) else { return };
        if incident.is_open() {
            self.book.unindex(&incident);
            incident.state = State::Resolved;
            incident.resolved = Some(self.now);
            incident.version += 1;
            incident.note(self.now, by, why);
            tracing::info!(incident = id, "incident resolved: {}", incident.title);
        }
        self.put(incident);
    }

    /// Ends incidents whose findings have been over long enough, or were not heard of for a week.
    fn calm(&mut self) -> Result<(), Error> {
        for id in over(self.book, self.now) {
            self.resolve(&id, "", "resolved: all its findings are over");
        }
        for id in stale(self.book, self.now) {
            self.resolve(&id, "", "resolved: nothing was heard of it for a week");
        }
        Ok(())
    }

    /// A new message.
    pub fn message(&mut self, receiver: &str, target: usize, notice: super::notice::Notice) -> Result<(), Error> {
        let delivery = Delivery::new(self.seq, receiver, target, notice, self.now);
        self.seq += 1;
        self.write.put_delivery(&delivery)?;
        self.messages.push(delivery);
        Ok(())
    }

    /// Writes all that changed.
    fn save(&mut self) -> Result<(), Error> {
        for id in std::mem::take(&mut self.ended) {
            self.write.remove_state("alert", &format!("{}/{}", id.0, id.1))?;
            self.book.remove_alert(&id);
            self.alerts.remove(&id);
        }
        for id in &self.alerts {
            if let Some(alert) = self.book.alerts.get(id) {
                self.write.put_state("alert", &alert.id(), alert)?;
            }
        }
        let needed: BTreeSet<&String> = self.book.alerts.values().flat_map(|alert| &alert.incidents).collect();
        let gone = |incident: &&Incident| !incident.is_open() && !needed.contains(&incident.id);
        let gone: Vec<String> = self.book.incidents.values().filter(gone).map(|i| i.id.clone()).collect();
        for id in &self.incidents {
            let Some(incident) = self.book.incidents.get(id) else { continue };
            if let Some(resolved) = incident.resolved {
                self.write.close(incident, resolved)?;
            }
            self.write.put_state("incident", id, incident)?;
        }
        for id in gone {
            self.book.incidents.remove(&id);
            self.write.remove_state("incident", &id)?;
        }
        for receiver in &self.budgets {
            if let Some(budget) = self.book.budgets.get(receiver) {
                self.write.put_state("budget", receiver, budget)?;
            }
        }
        for id in &self.silences {
            match self.book.silences.get(id) {
                Some(silence) => self.write.put_state("silence", id, silence)?,
                None => self.write.remove_state("silence", id)?,
            }
        }
        Ok(())
    }
}

/// Incidents whose hold has passed.
pub(super) fn over(book: &Book, now: i64) -> Vec<String> {
    let is_over = |incident: &&Incident| {
        let hold = i64::try_from(incident.hold_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        incident.is_open() && incident.calm_since.is_some_and(|since| now.saturating_sub(since) >= hold)
    };
    book.incidents.values().filter(is_over).map(|incident| incident.id.clone()).collect()
}

pub(super) fn stale(book: &Book, now: i64) -> Vec<String> {
    let is_stale = |incident: &&Incident| {
        let open_rule = |f: &Finding| f.ended.is_none() && f.id.starts_with("rule/");
        incident.is_open()
            && now.saturating_sub(incident.updated) >= nanos(STALE_AFTER)
            // A rule's number is asked again and again, and closes what it opened.
            && !incident.findings.iter().any(open_rule)
    };
    book.incidents.values().filter(is_stale).map(|incident| incident.id.clone()).collect()
}

/// Adds a deploy that lies shortly before an incident, of one of its services.
pub(super) fn add_deploy(incident: &mut Incident, deploy: &super::incident::Deploy) {
    let before = incident.since.saturating_sub(deploy.at);
    // Clocks differ, and a first bad line may come before whoever deploys says so.
    if (-nanos(Duration::from_secs(300))..=nanos(DEPLOY_WINDOW)).contains(&before) && incident.concerns(&deploy.service)
    {
        incident.deployed(deploy);
    }
}
