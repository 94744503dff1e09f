//! Batches that were just received, kept in memory until the workers take them, so that the live path neither reads
//! the journal back nor inflates twice. Bounded in bytes: what does not fit is read from the journal later.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::journal::Position;
use crate::record::Batch;

pub struct LiveBatches {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Default)]
struct Inner {
    batches: BTreeMap<Position, Batch>,
    bytes: usize,
}

impl LiveBatches {
    pub fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), bytes_max }
    }

    /// Keeps the batch if there is room for it.
    pub fn put(&self, position: Position, batch: Batch) {
        let bytes = batch_bytes(&batch);
        let mut inner = self.inner.lock();
        if inner.bytes + bytes <= self.bytes_max {
            inner.bytes += bytes;
            inner.batches.insert(position, batch);
        }
    }

    /// Takes the batch at `position`, forgetting any before it.
    pub fn take(&self, position: Position) -> Option<Batch> {
        let mut inner = self.inner.lock();
        while let Some(entry) = inner.batches.first_entry() {
            if *entry.key() > position {
                return None;
            }
            let (found, batch) = entry.remove_entry();
            inner.bytes -= batch_bytes(&batch);
            if found == position {
                return Some(batch);
            }
        }
        None
    }

    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }
}

fn batch_bytes(batch: &Batch) -> usize {
    batch.body.len() + batch.inflated.as_ref().map_or(0, bytes::Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Wire;

    fn batch(bytes: usize) -> Batch {
        Batch {
            wire: Wire::Lumberjack,
            received_at: 0,
            peer: String::new(),
            events: 1,
            body: vec![0; bytes].into(),
            inflated: None,
        }
    }

    #[test]
    fn it_keeps_what_fits_and_forgets_what_is_passed() {
        let live = LiveBatches::new(100);
        live.put(Position(1), batch(40));
        live.put(Position(2), batch(40));
        live.put(Position(3), batch(40));
        assert_eq!(live.bytes(), 80);
        assert!(live.take(Position(2)).is_some());
        assert_eq!(live.bytes(), 0);
        assert!(live.take(Position(3)).is_none());
        assert!(live.take(Position(1)).is_none());
    }
}
