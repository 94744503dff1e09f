//! Anomalies, kept: `DATA/meta.redb`, table `anomalies`, key (when found, id), value JSON; and `anomalies_news`, what alerting has
//! not taken yet: key id, value (when found, number), written in the same transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::detect::Anomaly;
use crate::store::Meta;

const TABLE: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("anomalies");
const NEWS: TableDefinition<&str, (i64, u64)> = TableDefinition::new("anomalies_news");
/// The oldest beyond this are forgotten.
const KEPT_MAX: u64 = 200_000;

/// Anomalies could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("meta.redb: {0}; if it is damaged, move it away: anomalies begin anew, records are not touched")]
    Database(Box<redb::Error>),
    #[error("{0} words of feedback are kept already, and no more: they are in meta.redb")]
    Full(u64),
    #[error("an anomaly cannot be written or read as JSON: {0}")]
    Json(serde_json::Error),
}

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Which anomalies are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Found in this range: Unix seconds, `to` not included.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub score_min: f64,
    pub service: Option<String>,
    pub open: Option<bool>,
    pub limit: usize,
}

pub struct Anomalies {
    meta: Arc<Meta>,
    /// The number of the next piece of news.
    next: AtomicU64,
    /// Set when there is news; whoever takes it waits here.
    news: Mutex<bool>,
    told: Condvar,
}

/// An anomaly that changed, and what [`Anomalies::taken`] needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    id: String,
    number: u64,
}

impl Anomalies {
    pub fn open(meta: Arc<Meta>) -> Result<Self, Error> {
        let write = meta.begin_write()?;
        write.open_table(TABLE)?;
        let mut next = 1;
        for row in write.open_table(NEWS)?.iter()? {
            next = next.max(row?.1.value().1 + 1);
        }
        write.commit()?;
        Ok(Self { meta, next: AtomicU64::new(next), news: Mutex::new(true), told: Condvar::new() })
    }

    /// Keeps these, in place of what was kept of them before; durable when it returns.
    pub fn put(&self, anomalies: &[Anomaly]) -> Result<(), Error> {
        let write = self.meta.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for anomaly in anomalies {
                let json = serde_json::to_vec(anomaly).map_err(Error::Json)?;
                table.insert((anomaly.found, anomaly.id.as_str()), json.as_slice())?;
            }
            for _ in KEPT_MAX..table.len()? {
                table.pop_first()?;
            }
            let mut news = write.open_table(NEWS)?;
            for anomaly in anomalies {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                news.insert(anomaly.id.as_str(), (anomaly.found, number))?;
            }
        }
        write.commit()?;
        self.wake();
        Ok(())
    }

    /// Whoever waits for news looks again.
    pub fn wake(&self) {
        *self.news.lock() = true;
        self.told.notify_all();
    }

    /// Waits for news, so long.
    pub fn wait(&self, wait: std::time::Duration) {
        let mut news = self.news.lock();
        if !*news {
            self.told.wait_for(&mut news, wait);
        }
        *news = false;
    }

    /// Up to `max` anomalies that changed since they were taken last, oldest change first.
    pub fn news(&self, max: usize) -> Result<(Vec<Anomaly>, Vec<News>), Error> {
        let read = self.meta.begin_read()?;
        let table = read.open_table(TABLE)?;
        let mut rows = Vec::new();
        for row in read.open_table(NEWS)?.iter()? {
            let (id, value) = row?;
            let (found, number) = value.value();
            rows.push((number, found, id.value().to_owned()));
        }
        rows.sort_unstable();
        rows.truncate(max);
        let (mut anomalies, mut news) = (Vec::new(), Vec::new());
        for (number, found, id) in rows {
            // One that was forgotten meanwhile is no news.
            if let Some(json) = table.get((found, id.as_str()))? {
                anomalies.push(serde_json::from_slice(json.value()).map_err(Error::Json)?);
            }
            news.push(News { id, number });
        }
        Ok((anomalies, news))
    }

    /// These are taken; what changed again in between stays news.
    pub fn taken(&self, taken: &[News]) -> Result<(), Error> {
        let write = self.meta.begin_write()?;
        {
            let mut table = write.open_table(NEWS)?;
            for News { id, number } in taken {
                let same = table.get(id.as_str())?.is_some_and(|value| value.value().1 == *number);
                if same {
                    table.remove(id.as_str())?;
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    /// One, by its id.
    pub fn get(&self, id: &str) -> Result<Option<Anomaly>, Error> {
        let read = self.meta.begin_read()?;
        for row in read.open_table(TABLE)?.iter()?.rev() {
            let (key, json) = row?;
            if key.value().1 == id {
                return serde_json::from_slice(json.value()).map(Some).map_err(Error::Json);
            }
        }
        Ok(None)
    }

    /// Calls `each` with all of them, newest first.
    pub fn each(&self, mut each: impl FnMut(Anomaly)) -> Result<(), Error> {
        let read = self.meta.begin_read()?;
        for row in read.open_table(TABLE)?.iter()?.rev() {
            each(serde_json::from_slice(row?.1.value()).map_err(Error::Json)?);
        }
        Ok(())
    }

    /// Those asked for, newest first, and how many there are beyond the limit too.
    pub fn find(&self, wish: &Wish) -> Result<(Vec<Anomaly>, u64), Error> {
        let read = self.meta.begin_read()?;
        let table = read.open_table(TABLE)?;
        let (from, to) = (wish.from.unwrap_or(i64::MIN), wish.to.unwrap_or(i64::MAX));
        let (mut found, mut total) = (Vec::new(), 0);
        for row in table.range((from, "")..(to, ""))?.rev() {
            let (_, json) = row?;
            let anomaly: Anomaly = serde_json::from_slice(json.value()).map_err(Error::Json)?;
            let fits = anomaly.score >= wish.score_min
                && wish.service.as_ref().is_none_or(|service| *service == anomaly.service)
                && wish.open.is_none_or(|open| open == anomaly.ended.is_none());
            if fits {
                total += 1;
                if found.len() < wish.limit {
                    found.push(anomaly);
                }
            }
        }
        Ok((found, total))
    }
}
