//! What people said of anomalies, kept: `DATA/meta.redb`, table `anomalies_feedback`, key (anomaly's id, who), value JSON. Of each
//! person the last word on each anomaly.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};

use super::anomalies::Error;
use crate::detect::{Feedback, Label, Precision, precision};
use crate::store::Meta;

const TABLE: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("anomalies_feedback");
/// More words than this are not kept.
const KEPT_MAX: u64 = 100_000;

/// All of it.
pub struct Labels {
    meta: Arc<Meta>,
    /// As of the last word: asked for at each scrape.
    precision: Mutex<Vec<Precision>>,
}

impl Labels {
    pub fn open(meta: Arc<Meta>) -> Result<Self, Error> {
        let write = meta.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        let labels = Self { meta, precision: Mutex::default() };
        labels.count()?;
        Ok(labels)
    }

    /// Keeps a word in the place of what the same person said of the same anomaly; durable when it returns.
    pub fn put(&self, feedback: &Feedback) -> Result<(), Error> {
        let json = serde_json::to_vec(feedback).map_err(Error::Json)?;
        let write = self.meta.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            let key = (feedback.anomaly.as_str(), feedback.by.as_str());
            if table.len()? >= KEPT_MAX && table.get(key)?.is_none() {
                return Err(Error::Full(KEPT_MAX));
            }
            table.insert(key, json.as_slice())?;
        }
        write.commit()?;
        self.count()
    }

    /// What was said of one anomaly, the newest first.
    pub fn of(&self, anomaly: &str) -> Result<Vec<Feedback>, Error> {
        let read = self.meta.begin_read()?;
        let mut all = Vec::new();
        for row in read.open_table(TABLE)?.range((anomaly, "")..)? {
            let (key, json) = row?;
            if key.value().0 != anomaly {
                break;
            }
            all.push(serde_json::from_slice::<Feedback>(json.value()).map_err(Error::Json)?);
        }
        all.sort_by(|a, b| b.at.cmp(&a.at));
        Ok(all)
    }

    /// Ids of anomalies that somebody called useful.
    pub fn useful(&self) -> Result<HashSet<String>, Error> {
        let all = self.all()?.into_iter();
        Ok(all.filter(|feedback| feedback.label == Label::Useful).map(|feedback| feedback.anomaly).collect())
    }

    /// The last word on each anomaly.
    pub fn last(&self) -> Result<Vec<Feedback>, Error> {
        let mut last: HashMap<String, Feedback> = HashMap::new();
        for feedback in self.all()? {
            match last.get(&feedback.anomaly) {
                Some(known) if known.at >= feedback.at => {}
                _ => drop(last.insert(feedback.anomaly.clone(), feedback)),
            }
        }
        Ok(last.into_values().collect())
    }

    pub fn precision(&self) -> Vec<Precision> {
        self.precision.lock().clone()
    }

    fn all(&self) -> Result<Vec<Feedback>, Error> {
        let read = self.meta.begin_read()?;
        let mut all = Vec::new();
        for row in read.open_table(TABLE)?.iter()? {
            all.push(serde_json::from_slice(row?.1.value()).map_err(Error::Json)?);
        }
        Ok(all)
    }

    fn count(&self) -> Result<(), Error> {
        *self.precision.lock() = precision(self.all()?.iter());
        Ok(())
    }
}
