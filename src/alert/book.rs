//! What is open now, in memory: the same as the tables hold, and looked up by what findings have in common.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::incident::{Deploy, Incident};
use super::ledger::{Error, Ledger};
use super::silence::Silence;
use super::threshold::Threshold;
use crate::detect::Severity;

/// An alert: one or more incidents as one receiver knows them, under one key, from its first message to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alert {
    pub receiver: String,
    /// The id of the incident that opened it.
    pub key: String,
    /// The route, and the labels that its incidents agree on.
    pub group: String,
    pub route: String,
    pub incidents: Vec<String>,
    /// Unix nanoseconds.
    #[serde(with = "crate::alert::rfc3339")]
    #[schema(value_type = String)]
    pub created: i64,
    /// When its first message was decided; none before that, and while it is muted or held back.
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub opened: Option<i64>,
    #[serde(default, with = "crate::alert::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub told: Option<i64>,
    /// What the receiver knows.
    pub told_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub severity_opened: Option<Severity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub severity_told: Option<Severity>,
    /// Silenced, or outside its route's times.
    #[serde(default)]
    pub muted: bool,
    /// Over its receiver's budget.
    #[serde(default)]
    pub held: bool,
}

impl Alert {
    /// Its place in the table.
    pub fn id(&self) -> String {
        format!("{}/{}", self.receiver, self.key)
    }
}

/// What a receiver was told today.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub receiver: String,
    /// Days since 1970, UTC.
    pub day: i32,
    pub told: u32,
    /// Titles of alerts that were held back since the last digest.
    pub held: Vec<String>,
    pub held_total: u64,
    /// When the next digest may go out.
    #[serde(with = "crate::alert::rfc3339")]
    pub digest_at: i64,
    pub digest_key: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Watched {
    pub rule: String,
    pub by: String,
    pub threshold: Threshold,
}

/// Deploys that are remembered.
const DEPLOYS_MAX: usize = 1_000;

#[derive(Default)]
pub struct Book {
    pub incidents: HashMap<String, Incident>,
    /// By receiver and key.
    pub alerts: BTreeMap<(String, String), Alert>,
    pub silences: BTreeMap<String, Silence>,
    /// By rule and value.
    pub thresholds: HashMap<(String, String), Threshold>,
    pub deploys: VecDeque<Deploy>,
    pub budgets: BTreeMap<String, Budget>,
    /// When incidents were opened lately.
    pub opened: VecDeque<i64>,
    by_key: HashMap<String, BTreeSet<String>>,
    by_group: HashMap<(String, String), String>,
}

impl Book {
    pub fn load(ledger: &Ledger) -> Result<Self, Error> {
        let mut book = Self::default();
        for incident in ledger.state::<Incident>("incident")? {
            book.opened.push_back(incident.opened);
            book.index(&incident);
            book.incidents.insert(incident.id.clone(), incident);
        }
        book.opened.make_contiguous().sort_unstable();
        for alert in ledger.state::<Alert>("alert")? {
            book.put_alert(alert);
        }
        book.silences = ledger.state::<Silence>("silence")?.into_iter().map(|s| (s.id.clone(), s)).collect();
        book.budgets = ledger.state::<Budget>("budget")?.into_iter().map(|b| (b.receiver.clone(), b)).collect();
        let watched = ledger.state::<Watched>("threshold")?.into_iter();
        book.thresholds = watched.map(|w| ((w.rule, w.by), w.threshold)).collect();
        book.deploys = ledger.state::<VecDeque<Deploy>>("deploys")?.into_iter().next().unwrap_or_default();
        Ok(book)
    }

    /// Makes an incident found by its keys.
    pub fn index(&mut self, incident: &Incident) {
        if incident.is_open() {
            for key in &incident.keys {
                if !self.by_key.get(key).is_some_and(|ids| ids.contains(&incident.id)) {
                    self.by_key.entry(key.clone()).or_default().insert(incident.id.clone());
                }
            }
        }
    }

    /// It is not found by its keys any more.
    pub fn unindex(&mut self, incident: &Incident) {
        for key in &incident.keys {
            if let Some(ids) = self.by_key.get_mut(key) {
                ids.remove(&incident.id);
                if ids.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }

    /// Open incidents that have one of the keys, the one that began first in front.
    pub fn sharing(&self, keys: &[String]) -> Vec<&Incident> {
        let ids: BTreeSet<&String> = keys.iter().filter_map(|key| self.by_key.get(key)).flatten().collect();
        let mut found: Vec<&Incident> = ids.into_iter().filter_map(|id| self.incidents.get(id)).collect();
        found.retain(|incident| incident.is_open());
        found.sort_by(|a, b| a.since.cmp(&b.since).then(a.id.cmp(&b.id)));
        found
    }

    pub fn put_alert(&mut self, alert: Alert) {
        self.by_group.insert((alert.receiver.clone(), alert.group.clone()), alert.key.clone());
        self.alerts.insert((alert.receiver.clone(), alert.key.clone()), alert);
    }

    pub fn remove_alert(&mut self, id: &(String, String)) {
        if let Some(alert) = self.alerts.remove(id) {
            let group = (alert.receiver, alert.group);
            if self.by_group.get(&group) == Some(&alert.key) {
                self.by_group.remove(&group);
            }
        }
    }

    /// The alert that is open for this group.
    pub fn alert_of(&self, receiver: &str, group: &str) -> Option<(String, String)> {
        let key = self.by_group.get(&(receiver.to_owned(), group.to_owned()))?;
        Some((receiver.to_owned(), key.clone()))
    }

    pub fn deployed(&mut self, deploy: Deploy) {
        self.deploys.push_back(deploy);
        self.deploys.make_contiguous().sort_by_key(|deploy| deploy.at);
        while self.deploys.len() > DEPLOYS_MAX {
            self.deploys.pop_front();
        }
    }
}
