//! Anomalies, kept: `DATA/meta.redb`, table `anomalies`, key (when found, id), value JSON.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use crate::detect::Anomaly;

const TABLE: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("anomalies");
/// The oldest beyond this are forgotten.
const KEPT_MAX: u64 = 200_000;
/// Memory for the database's pages: bytes.
const CACHE_BYTES: usize = 8 << 20;

/// Anomalies could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("meta.redb: {0}; if it is damaged, move it away: anomalies begin anew, records are not touched")]
    Database(Box<redb::Error>),
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
    database: Database,
}

impl Anomalies {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let write = database.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        Ok(Self { database })
    }

    /// Keeps these, in place of what was kept of them before; durable when it returns.
    pub fn put(&self, anomalies: &[Anomaly]) -> Result<(), Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for anomaly in anomalies {
                let json = serde_json::to_vec(anomaly).map_err(Error::Json)?;
                table.insert((anomaly.found, anomaly.id.as_str()), json.as_slice())?;
            }
            for _ in KEPT_MAX..table.len()? {
                table.pop_first()?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Those asked for, newest first, and how many there are beyond the limit too.
    pub fn find(&self, wish: &Wish) -> Result<(Vec<Anomaly>, u64), Error> {
        let read = self.database.begin_read()?;
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
