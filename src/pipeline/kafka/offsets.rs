//! Which offsets are durable here: the journal's batches say, and what the journal has forgotten stands in `DATA/meta.redb`.
//!
//! Table `kafka_offsets`: input, topic and partition, with line feeds between, to the offset behind the last. It is written
//! before the journal forgets a batch, and may be ahead of the shards: what it names is in them or in the journal. Table
//! `kafka`: under `instance` the name of this data directory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{ReadableTable, TableDefinition};
use tracing::error;

use crate::ingest::kafka::{Body, Part};
use crate::record::Batch;
use crate::store::Meta;

const OFFSETS: TableDefinition<&str, i64> = TableDefinition::new("kafka_offsets");
const NAMES: TableDefinition<&str, &str> = TableDefinition::new("kafka");

/// Offsets cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("meta.redb: {0}; check that the disk has room")]
pub struct Error(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

pub struct Offsets {
    meta: Arc<Meta>,
    instance: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: HashMap<String, i64>,
    /// Changed since they were written.
    changed: Vec<String>,
}

impl Offsets {
    pub fn open(meta: Arc<Meta>) -> Result<Self, Error> {
        let write = meta.begin_write()?;
        let instance = {
            let mut names = write.open_table(NAMES)?;
            let found = names.get("instance")?.map(|name| name.value().to_owned());
            let name = found.unwrap_or_else(|| {
                let mut bytes = [0; 6];
                // Without randomness no other part of the program starts either.
                let _ = aws_lc_rs::rand::fill(&mut bytes);
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            });
            names.insert("instance", name.as_str())?;
            name
        };
        let mut known = Known::default();
        for entry in write.open_table(OFFSETS)?.iter()? {
            let (key, next) = entry?;
            known.next.insert(key.value().to_owned(), next.value());
        }
        write.commit()?;
        Ok(Self { meta, instance, known: Mutex::new(known) })
    }

    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The offset behind the last that is durable here.
    pub fn next(&self, input: &str, topic: &str, partition: i32) -> Option<i64> {
        self.known.lock().next.get(&key(input, topic, partition)).copied()
    }

    /// These are durable now.
    pub fn advance(&self, input: &str, parts: &[Part]) {
        let mut known = self.known.lock();
        for part in parts {
            let key = key(input, &part.topic, part.partition);
            let next = known.next.entry(key.clone()).or_insert(part.next);
            *next = part.next.max(*next);
            if !known.changed.contains(&key) {
                known.changed.push(key);
            }
        }
    }

    /// What a batch of the journal says.
    pub fn recall(&self, batch: &Batch) {
        match Body::read(&batch.body) {
            Ok(body) => self.advance(&body.input, &body.parts),
            Err(problem) => error!(%problem, "cannot read a journalled batch of Kafka messages"),
        }
    }

    /// Writes what changed; durable when it returns.
    pub fn save(&self) -> Result<(), Error> {
        let changed: Vec<(String, i64)> = {
            let known = self.known.lock();
            known.changed.iter().filter_map(|key| Some((key.clone(), *known.next.get(key)?))).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let write = self.meta.begin_write()?;
        {
            let mut table = write.open_table(OFFSETS)?;
            for (key, next) in &changed {
                table.insert(key.as_str(), next)?;
            }
        }
        write.commit()?;
        let mut known = self.known.lock();
        let Known { next, changed: left } = &mut *known;
        left.retain(|key| !changed.iter().any(|(written, at)| written == key && next.get(key) == Some(at)));
        Ok(())
    }
}

fn key(input: &str, topic: &str, partition: i32) -> String {
    format!("{input}\n{topic}\n{partition}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_outlive_the_process_and_never_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Offsets::open(Arc::new(Meta::open(dir.path().join("meta.redb")).unwrap())).unwrap();
        let part = |next: i64| Part { topic: "t".to_owned(), partition: 2, first: 0, next };
        let offsets = open();
        let instance = offsets.instance().to_owned();
        assert_eq!(offsets.next("i", "t", 2), None);
        offsets.advance("i", &[part(7)]);
        offsets.save().unwrap();
        offsets.advance("i", &[part(5)]);
        offsets.advance("other", &[part(9)]);
        assert_eq!((offsets.next("i", "t", 2), offsets.next("other", "t", 2)), (Some(7), Some(9)));
        drop(offsets);
        let offsets = open();
        // What was not written is in the journal, and recalled from there.
        assert_eq!((offsets.next("i", "t", 2), offsets.next("other", "t", 2)), (Some(7), None));
        assert_eq!(offsets.instance(), instance);
    }
}
