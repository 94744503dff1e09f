//! Which id stands for which, for readers that must not wait for the miner.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

/// The ids that were joined with older ones, as of the last [`Ids::publish`]. Cheap to read from any thread.
#[derive(Debug, Default)]
pub struct Ids(ArcSwap<HashMap<u64, u64, FixedState>>);

impl Ids {
    /// The id that stands for `id`: itself, or the older one that it was joined with.
    pub fn resolve(&self, id: u64) -> u64 {
        let settled = self.0.load();
        if settled.is_empty() { id } else { settled.get(&id).copied().unwrap_or(id) }
    }

    /// Says anew which id stands for which.
    pub fn publish(&self, settled: impl Iterator<Item = (u64, u64)>) {
        self.0.store(std::sync::Arc::new(settled.collect()));
    }
}
