//! From incidents to messages: routes make alerts of them, and for each alert it is decided whether its receiver is told now.

use std::time::Duration;

use super::book::{Alert, Book, Budget};
use super::engine::{Engine, Work, nanos, over, stale};
use super::incident::Incident;
use super::ledger::Error;
use super::notice::{Kind, Notice};
use super::outbox::Outbox;
use super::route::Route;
use super::settings::Settings;
use crate::detect::Severity;
use crate::record::time::day_of;

/// From the first alert that was held back to the digest that says so, so that it names those after it too.
const DIGEST_WAIT: Duration = Duration::from_secs(60);
/// What was over so long before it was found comes from old files that somebody loads: it is kept, and nobody is called.
const TELL_WITHIN: Duration = Duration::from_secs(6 * 3_600);
/// Titles in a digest; further ones are counted.
const HELD_MAX: usize = 50;

/// What is to be done for an alert now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Nothing,
    Open,
    Update,
    Resolve,
    /// It ended before it was told.
    Drop,
    Mute,
}

impl Alert {
    /// Those of its incidents that go on.
    fn firing<'b>(&self, book: &'b Book) -> Vec<&'b Incident> {
        self.incidents.iter().filter_map(|id| book.incidents.get(id)).filter(|incident| incident.is_open()).collect()
    }

    /// A number that grows with everything worth telling.
    fn version(&self, book: &Book) -> u64 {
        let known = self.incidents.iter().filter_map(|id| book.incidents.get(id));
        known.map(|incident| incident.version).sum()
    }

    fn want(&self, book: &Book, settings: &Settings, outbox: &Outbox, now: i64) -> Want {
        let firing = self.firing(book);
        if firing.is_empty() {
            return if self.opened.is_some() { Want::Resolve } else { Want::Drop };
        }
        let route = settings.route.get(&self.route).unwrap_or(&settings.route);
        let silenced =
            |incident: &&Incident| book.silences.values().any(|silence| silence.mutes(&incident.labels, now));
        // One that a person split off is of now, whatever it is about.
        let is_old = |incident: &&Incident| {
            !incident.apart && incident.last.saturating_add(nanos(TELL_WITHIN)) < incident.opened
        };
        if firing.iter().all(silenced) || firing.iter().all(is_old) || !settings.may_tell(route, now) {
            return if self.muted { Want::Nothing } else { Want::Mute };
        }
        let passed = |since: i64, wait: Duration| now.saturating_sub(since) >= nanos(wait);
        let (Some(_), Some(told)) = (self.opened, self.told) else {
            let waits = self.held && !settings.budget_left(book.budgets.get(&self.receiver), &self.receiver, now);
            return if waits || !passed(self.created, route.group_wait) { Want::Nothing } else { Want::Open };
        };
        let worse = firing.iter().map(|incident| incident.severity).max() > self.severity_told;
        let news = self.version(book) != self.told_version;
        let repeat = repeat_of(&firing, settings).unwrap_or(route.repeat_interval);
        let reminded = !firing.iter().all(|incident| incident.state == super::incident::State::Acknowledged);
        let due = worse || (news && passed(told, route.group_interval)) || (reminded && passed(told, repeat));
        // One that still waits says it all when it is through; a second one behind it would only be late.
        if due && !outbox.has(&self.receiver, &self.key) { Want::Update } else { Want::Nothing }
    }
}

/// The shortest interval that a rule of theirs asks for.
fn repeat_of(firing: &[&Incident], settings: &Settings) -> Option<Duration> {
    let rules = firing.iter().flat_map(|incident| incident.findings.first()).map(|finding| finding.rule.as_str());
    rules.filter_map(|name| settings.rule(name)?.repeat).min()
}

impl Engine {
    /// Whether a step would do anything at all.
    pub(super) fn due(&self, now: i64) -> bool {
        let Self { settings, book, outbox, .. } = self;
        !over(book, now).is_empty()
            || !stale(book, now).is_empty()
            || book.alerts.values().any(|alert| alert.want(book, settings, outbox, now) != Want::Nothing)
            || book.budgets.values().any(|budget| budget_due(budget, now))
    }
}

fn budget_due(budget: &Budget, now: i64) -> bool {
    (budget.day != day_of(now) && (budget.digest_key.is_some() || budget.held_total > 0))
        || (!budget.held.is_empty() && now >= budget.digest_at)
}

impl Work<'_> {
    /// Routes what changed, and tells what is due.
    pub fn tell(&mut self) -> Result<(), Error> {
        for id in self.incidents.clone() {
            self.route(&id);
        }
        let ids: Vec<_> = self.book.alerts.keys().cloned().collect();
        for id in ids {
            let want = self.book.alerts[&id].want(self.book, self.settings, self.outbox, self.now);
            match want {
                Want::Nothing => {}
                Want::Open | Want::Update if !self.afford(&id, want == Want::Open) => {}
                Want::Open => self.send(&id, Kind::Open)?,
                Want::Update => self.send(&id, Kind::Update)?,
                Want::Resolve => {
                    self.send(&id, Kind::Resolve)?;
                    self.ended.push(id);
                }
                Want::Drop => self.ended.push(id),
                Want::Mute => self.mute(&id),
            }
        }
        self.digests()
    }

    /// Every receiver that an open incident's labels lead to has an alert with it.
    fn route(&mut self, id: &str) {
        let Some(incident) = self.book.incidents.get(id).filter(|incident| incident.is_open()) else { return };
        let named = incident.receivers();
        let ways: Vec<(String, String, String)> = if named.is_empty() {
            let nodes = self.settings.route.find(&incident.labels).into_iter();
            let way = |route: &Route| (route.receiver.clone(), route.id.clone(), route.group(&incident.labels));
            nodes.map(way).collect()
        } else {
            let root = &self.settings.route;
            let way = |name: &&str| ((*name).to_owned(), root.id.clone(), root.group(&incident.labels));
            named.iter().map(way).collect()
        };
        for (receiver, route, group) in ways {
            if self.settings.receiver(&receiver).is_none() {
                continue;
            }
            let is_in = |alert: &Alert| alert.receiver == receiver && alert.incidents.iter().any(|known| known == id);
            // Its labels may have changed since: it stays where it was told, and is told nowhere twice.
            if self
                .book
                .alerts
                .range((receiver.clone(), String::new())..)
                .take_while(|(k, _)| k.0 == receiver)
                .any(|(_, a)| is_in(a))
            {
                continue;
            }
            let open = self.book.alert_of(&receiver, &group).filter(|found| !self.ended.contains(found));
            let at = match open.and_then(|found| self.book.alerts.get_mut(&found).map(|alert| (found, alert))) {
                Some((found, alert)) => {
                    alert.incidents.push(id.to_owned());
                    found
                }
                None => {
                    let alert = Alert {
                        receiver: receiver.clone(),
                        key: id.to_owned(),
                        group,
                        route,
                        incidents: vec![id.to_owned()],
                        created: self.now,
                        opened: None,
                        told: None,
                        told_version: 0,
                        severity_opened: None,
                        severity_told: None,
                        muted: false,
                        held: false,
                    };
                    self.book.put_alert(alert);
                    (receiver, id.to_owned())
                }
            };
            self.alerts.insert(at);
        }
    }

    /// Decides a message to every target of an alert's receiver.
    fn send(&mut self, id: &(String, String), kind: Kind) -> Result<(), Error> {
        let Some(mut alert) = self.book.alerts.get(id).cloned() else { return Ok(()) };
        let incidents: Vec<&Incident> = alert.incidents.iter().filter_map(|id| self.book.incidents.get(id)).collect();
        let mut notice = Notice::of(kind, &alert.key, &incidents, self.settings.external_url.as_deref(), self.now);
        let severity = notice.severity;
        notice.severity_opened = *alert.severity_opened.get_or_insert(severity);
        alert.opened.get_or_insert(self.now);
        alert.told = Some(self.now);
        alert.told_version = alert.version(self.book);
        alert.severity_told = alert.severity_told.max(Some(severity));
        (alert.muted, alert.held) = (false, false);
        if let Some(receiver) = self.settings.receiver(&alert.receiver)
            && (kind != Kind::Resolve || receiver.send_resolved)
        {
            for target in 0..receiver.driver.targets().len() {
                self.message(&alert.receiver, target, notice.clone())?;
            }
        }
        self.book.alerts.insert(id.clone(), alert);
        self.alerts.insert(id.clone());
        Ok(())
    }

    fn mute(&mut self, id: &(String, String)) {
        let Some(alert) = self.book.alerts.get_mut(id) else { return };
        alert.muted = true;
        self.alerts.insert(id.clone());
        for incident_id in alert.incidents.clone() {
            let Some(incident) = self.book.incidents.get_mut(&incident_id).filter(|incident| incident.is_open()) else {
                continue;
            };
            incident.muted += 1;
            self.incidents.insert(incident_id);
            for silence in self.book.silences.values_mut().filter(|silence| silence.mutes(&incident.labels, self.now)) {
                silence.muted_alerts += 1;
                self.silences.insert(silence.id.clone());
            }
        }
    }

    /// Whether the receiver's budget of today has room; what it has not is named in a digest, and told when there is room again.
    fn afford(&mut self, id: &(String, String), opens: bool) -> bool {
        let Some(receiver) = self.settings.receiver(&id.0) else { return true };
        let Some(allowed) = receiver.budget else { return true };
        let today = day_of(self.now);
        let budget = self.book.budgets.entry(id.0.clone()).or_default();
        if budget.receiver.is_empty() {
            budget.receiver.clone_from(&id.0);
            budget.day = today;
        }
        if budget.day != today {
            // The digest of yesterday is ended first.
            return true;
        }
        self.budgets.insert(id.0.clone());
        if budget.told < allowed.per_day {
            budget.told += 1;
            return true;
        }
        let Some(alert) = self.book.alerts.get_mut(id) else { return true };
        if opens && !alert.held {
            alert.held = true;
            self.alerts.insert(id.clone());
            let title = alert.incidents.first().and_then(|id| self.book.incidents.get(id)).map(|i| i.title.clone());
            if budget.held.is_empty() {
                budget.digest_at = budget.digest_at.max(self.now.saturating_add(nanos(DIGEST_WAIT)));
            }
            budget.held_total += 1;
            if budget.held.len() < HELD_MAX {
                budget.held.push(title.unwrap_or_default());
            }
        }
        false
    }

    /// Digests of what was held back, and their end with the day.
    fn digests(&mut self) -> Result<(), Error> {
        let today = day_of(self.now);
        let receivers: Vec<String> =
            self.book.budgets.values().filter(|b| budget_due(b, self.now)).map(|b| b.receiver.clone()).collect();
        for name in receivers {
            self.budgets.insert(name.clone());
            let targets = self.settings.receiver(&name).map_or(0, |receiver| receiver.driver.targets().len());
            let every = self.settings.receiver(&name).and_then(|receiver| receiver.budget).map(|budget| budget.digest);
            let Some(budget) = self.book.budgets.get_mut(&name) else { continue };
            let mut notices = Vec::new();
            if !budget.held.is_empty() {
                let key = format!("digest-{name}-{}", budget.day);
                let mut notice = Notice::empty(Kind::Digest, &key, self.now);
                let (new, all) = (budget.held.len(), budget.held_total);
                notice.title = format!(
                    "{new} alerts are held back: today's budget of {} messages is used up ({all} held today)",
                    budget.told
                );
                notice.severity = Severity::Major;
                notice.labels.insert("receiver".to_owned(), name.clone());
                notice.findings_total = all;
                let lines = std::mem::take(&mut budget.held).into_iter();
                let now = self.now;
                notice.lines = lines.map(|line| super::finding::Line { id: String::new(), time: now, line }).collect();
                budget.digest_at = self.now.saturating_add(nanos(every.unwrap_or(Duration::from_secs(3_600))));
                budget.digest_key = Some(key);
                notices.push(notice);
            }
            if budget.day != today {
                if let Some(key) = budget.digest_key.take() {
                    let mut notice = Notice::empty(Kind::Resolve, &key, self.now);
                    notice.title = "a new day: the budget is whole again, and alerts that go on are told".to_owned();
                    notice.ended = Some(self.now);
                    notices.push(notice);
                }
                *budget = Budget { receiver: name.clone(), day: today, ..Budget::default() };
            }
            for notice in notices {
                for target in 0..targets {
                    self.message(&name, target, notice.clone())?;
                }
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Whether there is room in what this receiver may be told today.
    fn budget_left(&self, budget: Option<&Budget>, receiver: &str, now: i64) -> bool {
        let allowed = self.receiver(receiver).and_then(|receiver| receiver.budget);
        match (budget, allowed) {
            (Some(budget), Some(allowed)) => budget.day == day_of(now) && budget.told < allowed.per_day,
            _ => true,
        }
    }
}
