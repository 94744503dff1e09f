//! What is decided, on disk: tables of `DATA/meta.redb`, and one transaction for a decision and the messages it leads to.
//!
//! | table | key | value |
//! |---|---|---|
//! | `alert_state` | kind and id, such as `incident/00ff…` | JSON: incidents, alerts, silences, thresholds, budgets, deploys |
//! | `alert_closed` | when resolved, id | JSON: incidents that are over, the oldest forgotten |
//! | `alert_findings` | the finding's id | JSON: its incident, whether it is over, when it was last told |
//! | `alert_outbox` | number | JSON: messages that wait |
//! | `alert_sent` | number | JSON: messages that were delivered or given up, the oldest forgotten |

use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, DeliveryState};
use super::incident::Incident;
use crate::store::Meta;

const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("alert_state");
const CLOSED: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("alert_closed");
const CLOSED_AT: TableDefinition<&str, i64> = TableDefinition::new("alert_closed_at");
const FINDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("alert_findings");
const FINDINGS_AGE: TableDefinition<(i64, &str), ()> = TableDefinition::new("alert_findings_age");
const OUTBOX: TableDefinition<u64, &[u8]> = TableDefinition::new("alert_outbox");
const SENT: TableDefinition<u64, &[u8]> = TableDefinition::new("alert_sent");

/// The oldest beyond these are forgotten.
const CLOSED_MAX: u64 = 50_000;
const FINDINGS_MAX: u64 = 200_000;
const SENT_MAX: u64 = 20_000;

/// What is decided could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("meta.redb: {0}; check that the disk has room; what was not written is decided again")]
    Database(Box<redb::Error>),
    #[error("an entry of meta.redb cannot be written or read as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}
from_redb!(redb::Error, redb::DatabaseError, redb::TableError, redb::StorageError, redb::CommitError);

/// What is known of a finding, however long its incident is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub incident: String,
    pub open: bool,
    /// When it came first: Unix nanoseconds.
    pub since: i64,
}

pub struct Ledger {
    meta: Arc<Meta>,
}

/// One transaction: all of it is on disk once [`Write::commit`] returns, or nothing.
pub struct Write {
    inner: redb::WriteTransaction,
}

impl Ledger {
    pub fn open(meta: Arc<Meta>) -> Result<Self, Error> {
        let write = meta.begin_write()?;
        write.open_table(STATE)?;
        write.open_table(CLOSED)?;
        write.open_table(CLOSED_AT)?;
        write.open_table(FINDINGS)?;
        write.open_table(FINDINGS_AGE)?;
        write.open_table(OUTBOX)?;
        write.open_table(SENT)?;
        write.commit()?;
        Ok(Self { meta })
    }

    pub fn begin(&self) -> Result<Write, Error> {
        Ok(Write { inner: self.meta.begin_write()? })
    }

    /// Every entry of one kind, such as `incident`.
    pub fn state<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, Error> {
        let table = self.meta.begin_read()?.open_table(STATE)?;
        let (from, to) = (format!("{kind}/"), format!("{kind}0"));
        let mut found = Vec::new();
        for row in table.range(from.as_str()..to.as_str())? {
            found.push(serde_json::from_slice(row?.1.value())?);
        }
        Ok(found)
    }

    /// Incidents that are over, newest first, of these states of time (when they were resolved), and how many there are.
    pub fn closed(&self, limit: usize, mut fits: impl FnMut(&Incident) -> bool) -> Result<(Vec<Incident>, u64), Error> {
        let table = self.meta.begin_read()?.open_table(CLOSED)?;
        let (mut found, mut total) = (Vec::new(), 0);
        for row in table.iter()?.rev() {
            let incident: Incident = serde_json::from_slice(row?.1.value())?;
            if fits(&incident) {
                total += 1;
                if found.len() < limit {
                    found.push(incident);
                }
            }
        }
        Ok((found, total))
    }

    pub fn closed_incident(&self, id: &str) -> Result<Option<Incident>, Error> {
        let read = self.meta.begin_read()?;
        let Some(at) = read.open_table(CLOSED_AT)?.get(id)? else { return Ok(None) };
        let row = read.open_table(CLOSED)?.get((at.value(), id))?;
        row.map(|row| serde_json::from_slice(row.value())).transpose().map_err(Error::from)
    }

    /// Messages that wait, in the order they were decided.
    pub fn waiting(&self) -> Result<Vec<Delivery>, Error> {
        let table = self.meta.begin_read()?.open_table(OUTBOX)?;
        table.iter()?.map(|row| Ok(serde_json::from_slice(row?.1.value())?)).collect()
    }

    /// One message, wherever it stands.
    pub fn delivery(&self, seq: u64) -> Result<Option<Delivery>, Error> {
        let read = self.meta.begin_read()?;
        let row = match read.open_table(OUTBOX)?.get(seq)? {
            Some(row) => Some(row),
            None => read.open_table(SENT)?.get(seq)?,
        };
        row.map(|row| serde_json::from_slice(row.value())).transpose().map_err(Error::from)
    }

    /// Messages, newest first, and how many there are.
    pub fn deliveries(&self, limit: usize, fits: impl Fn(&Delivery) -> bool) -> Result<(Vec<Delivery>, u64), Error> {
        let read = self.meta.begin_read()?;
        let (outbox, sent) = (read.open_table(OUTBOX)?, read.open_table(SENT)?);
        let (mut found, mut total) = (Vec::new(), 0);
        for row in outbox.iter()?.rev().chain(sent.iter()?.rev()) {
            let delivery: Delivery = serde_json::from_slice(row?.1.value())?;
            if fits(&delivery) {
                total += 1;
                if found.len() < limit.saturating_mul(2) {
                    found.push(delivery);
                }
            }
        }
        found.sort_by_key(|delivery| std::cmp::Reverse(delivery.seq));
        found.truncate(limit);
        Ok((found, total))
    }

    /// The number that the next message gets.
    pub fn next_seq(&self) -> Result<u64, Error> {
        let read = self.meta.begin_read()?;
        let last = |table: redb::ReadOnlyTable<u64, &'static [u8]>| -> Result<u64, Error> {
            Ok(table.last()?.map_or(0, |(seq, _)| seq.value()))
        };
        Ok(last(read.open_table(OUTBOX)?)?.max(last(read.open_table(SENT)?)?) + 1)
    }
}

impl Write {
    pub fn commit(self) -> Result<(), Error> {
        Ok(self.inner.commit()?)
    }

    pub fn put_state<T: Serialize>(&self, kind: &str, id: &str, entry: &T) -> Result<(), Error> {
        let json = serde_json::to_vec(entry)?;
        self.inner.open_table(STATE)?.insert(format!("{kind}/{id}").as_str(), json.as_slice())?;
        Ok(())
    }

    pub fn remove_state(&self, kind: &str, id: &str) -> Result<(), Error> {
        self.inner.open_table(STATE)?.remove(format!("{kind}/{id}").as_str())?;
        Ok(())
    }

    /// Keeps an incident that is over, in place of what was kept of it.
    pub fn close(&self, incident: &Incident, at: i64) -> Result<(), Error> {
        let json = serde_json::to_vec(incident)?;
        let mut closed = self.inner.open_table(CLOSED)?;
        let mut closed_at = self.inner.open_table(CLOSED_AT)?;
        let before = closed_at.insert(incident.id.as_str(), at)?.map(|at| at.value());
        if let Some(before) = before {
            closed.remove((before, incident.id.as_str()))?;
        }
        closed.insert((at, incident.id.as_str()), json.as_slice())?;
        for _ in CLOSED_MAX..closed.len()? {
            if let Some((key, _)) = closed.pop_first()? {
                closed_at.remove(key.value().1)?;
            }
        }
        Ok(())
    }

    pub fn finding(&self, id: &str) -> Result<Option<Known>, Error> {
        let table = self.inner.open_table(FINDINGS)?;
        let row = table.get(id)?;
        row.map(|row| serde_json::from_slice(row.value())).transpose().map_err(Error::from)
    }

    pub fn put_finding(&self, id: &str, known: &Known) -> Result<(), Error> {
        let mut table = self.inner.open_table(FINDINGS)?;
        let new = table.insert(id, serde_json::to_vec(known)?.as_slice())?.is_none();
        if new {
            let mut ages = self.inner.open_table(FINDINGS_AGE)?;
            ages.insert((known.since, id), ())?;
            for _ in FINDINGS_MAX..table.len()? {
                if let Some((key, _)) = ages.pop_first()? {
                    table.remove(key.value().1)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a message where its state says.
    pub fn put_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        let json = serde_json::to_vec(delivery)?;
        let (mut outbox, mut sent) = (self.inner.open_table(OUTBOX)?, self.inner.open_table(SENT)?);
        if delivery.state == DeliveryState::Waiting {
            sent.remove(delivery.seq)?;
            outbox.insert(delivery.seq, json.as_slice())?;
        } else {
            outbox.remove(delivery.seq)?;
            sent.insert(delivery.seq, json.as_slice())?;
            for _ in SENT_MAX..sent.len()? {
                sent.pop_first()?;
            }
        }
        Ok(())
    }
}
