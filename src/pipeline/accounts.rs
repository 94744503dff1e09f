//! What became of every event: received = indexed + quarantined + duplicate + dead-lettered, across crashes.
//!
//! The counts of everything up to a journal position are kept with that position (`DATA/meta.redb`, table `accounts`),
//! written *before* the shards commit it. A batch up to the position kept is counted already, however often it is read
//! again: its events had their fate when they were read first, and the shards that did commit them would now make
//! repeats of them. A batch beyond it is in no shard, so reading it again finds the same fate as before.

use std::ops::AddAssign;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::TableDefinition;

use crate::journal::Position;
use crate::store::Meta;
use crate::telemetry::Metrics;

const TABLE: TableDefinition<&str, u64> = TableDefinition::new("accounts");

/// Events, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// As their batches say they hold; the sum of all others.
    pub received: u64,
    /// In the shard of their day.
    pub indexed: u64,
    /// In the quarantine's shard.
    pub quarantined: u64,
    /// Repeats of an event already taken.
    pub duplicate: u64,
    /// Kept as dead letters.
    pub dead_lettered: u64,
}

impl Counts {
    fn named(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("received", &mut self.received),
            ("indexed", &mut self.indexed),
            ("quarantined", &mut self.quarantined),
            ("duplicate", &mut self.duplicate),
            ("dead_lettered", &mut self.dead_lettered),
        ]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, mut other: Self) {
        for ((_, sum), (_, more)) in self.named().into_iter().zip(other.named()) {
            *sum += *more;
        }
    }
}

/// The counts cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("meta.redb: {0}; check that the disk has room. If the file is damaged, move it away: counts begin anew")]
pub struct Error(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// The counts since the data directory was made.
pub struct Accounts {
    meta: Arc<Meta>,
    kept: Mutex<(Position, Counts)>,
}

impl Accounts {
    /// Reads what is kept, and tells the metrics of it.
    pub fn open(meta: Arc<Meta>, metrics: &Metrics) -> Result<Self, Error> {
        let write = meta.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        let (mut through, mut counts) = (0, Counts::default());
        let table = meta.begin_read()?.open_table(TABLE)?;
        for (name, place) in counts.named().into_iter().chain([("through", &mut through)]) {
            *place = table.get(name)?.map_or(0, |count| count.value());
        }
        metrics.events_received.inc_by(counts.received);
        tell(metrics, counts);
        Ok(Self { meta, kept: Mutex::new((Position(through), counts)) })
    }

    /// Everything up to there is counted.
    pub fn through(&self) -> Position {
        self.kept.lock().0
    }

    /// Adds the counts of the batches beyond [`Accounts::through`] up to `position`; durable when it returns.
    pub fn add(&self, position: Position, counts: Counts, metrics: &Metrics) -> Result<(), Error> {
        let mut kept = self.kept.lock();
        if position <= kept.0 {
            return Ok(());
        }
        let mut sum = kept.1;
        sum += counts;
        let write = self.meta.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for (name, count) in sum.named() {
                table.insert(name, *count)?;
            }
            table.insert("through", position.0)?;
        }
        write.commit()?;
        *kept = (position, sum);
        tell(metrics, counts);
        Ok(())
    }
}

/// Received events are told of when they are acknowledged.
fn tell(metrics: &Metrics, counts: Counts) {
    metrics.events_indexed.inc_by(counts.indexed);
    metrics.events_quarantined.inc_by(counts.quarantined);
    metrics.events_duplicate.inc_by(counts.duplicate);
    metrics.events_dead_lettered.inc_by(counts.dead_lettered);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_outlive_the_process_and_nothing_is_counted_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let open = || {
            let metrics = Metrics::new().unwrap();
            (Accounts::open(Arc::new(Meta::open(path.clone()).unwrap()), &metrics).unwrap(), metrics)
        };
        let some = Counts { received: 10, indexed: 4, quarantined: 3, duplicate: 2, dead_lettered: 1 };
        let (accounts, metrics) = open();
        assert_eq!(accounts.through(), Position(0));
        accounts.add(Position(7), some, &metrics).unwrap();
        // Read again after an error: counted already.
        accounts.add(Position(7), some, &metrics).unwrap();
        assert_eq!(metrics.events_indexed.get(), 4);
        drop(accounts);
        let (accounts, metrics) = open();
        assert_eq!(accounts.through(), Position(7));
        accounts.add(Position(9), some, &metrics).unwrap();
        let told = [
            &metrics.events_received,
            &metrics.events_indexed,
            &metrics.events_quarantined,
            &metrics.events_duplicate,
            &metrics.events_dead_lettered,
        ];
        // What is received is told by who receives it.
        assert_eq!(told.map(|counter| counter.get()), [10, 8, 6, 4, 2]);
    }
}
