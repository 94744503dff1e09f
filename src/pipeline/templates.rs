//! The one miner of the process: what workers ask for ids, what is durable before a commit, what the API shows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::parse::template::{Ids, Limits, Miner, Pending, Stats, Text};
use crate::store::{Error, TemplateRegistry};

/// Templates of all lines, shared by the threads of the path.
pub struct Templates {
    miner: Mutex<Miner>,
    /// One save at a time. Taken before `miner`, which is not held while the disk works.
    registry: Mutex<TemplateRegistry>,
    ids: Arc<Ids>,
    at_start: Counts,
    /// `Stats::joined` and `Stats::evicted_templates` when `ids` was published last.
    published: Mutex<(u64, u64)>,
}

/// What there is and what happened, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub live: u64,
    pub bytes: u64,
    /// Since the process started, as the two that follow.
    pub new: u64,
    pub joined: u64,
    pub evicted: u64,
}

impl Templates {
    /// Opens `dir`; tells damage with `damaged` and goes on. `held`: the highest id that a stored record has.
    pub fn open(dir: &Path, bytes: usize, held: u64, mut damaged: impl FnMut(&str)) -> Result<Self, Error> {
        let opened = TemplateRegistry::open(dir, Limits { bytes, ..Limits::default() }, held)?;
        opened.damages.iter().for_each(|damage| damaged(damage));
        if let Some(torn) = &opened.torn {
            tracing::info!(torn, "cut off a change of templates that was interrupted; no record has an id of it");
        }
        let stats = opened.miner.stats();
        let ids = Arc::new(Ids::default());
        ids.publish(opened.miner.settled());
        Ok(Self {
            at_start: counts(&opened.miner),
            published: Mutex::new((stats.joined, stats.evicted_templates)),
            miner: Mutex::new(opened.miner),
            registry: Mutex::new(opened.registry),
            ids,
        })
    }

    /// Which id stands for which.
    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// The ids of some texts, each logged at a time (Unix nanoseconds): appended to `ids`, nothing for nothing.
    pub fn observe<'t>(&self, texts: impl Iterator<Item = Option<(Text<'t>, i64)>>, ids: &mut Vec<Option<u64>>) {
        let mut miner = self.miner.lock();
        ids.extend(texts.map(|text| text.map(|(text, at)| miner.observe_text(&text, at).id.get())));
    }

    /// Makes every id given so far durable. Costs next to nothing where none is new since the last time.
    pub fn save(&self) -> io::Result<()> {
        let mut registry = self.registry.lock();
        let pending = {
            let mut miner = self.miner.lock();
            self.publish(&miner);
            match miner.take_pending() {
                Pending::Changes(_) if registry.is_long() => Pending::Everything(miner.saved()),
                pending => pending,
            }
        };
        let saved = match pending {
            Pending::Nothing => Ok(()),
            Pending::Changes(body) => registry.append(&body),
            Pending::Everything(saved) => registry.replace(&saved),
        };
        saved.inspect_err(|_| self.miner.lock().track(true))
    }

    fn publish(&self, miner: &Miner) {
        let Stats { joined, evicted_templates, .. } = miner.stats();
        let mut published = self.published.lock();
        if *published != (joined, evicted_templates) {
            *published = (joined, evicted_templates);
            self.ids.publish(miner.settled());
        }
    }

    /// Looks something up.
    pub fn with<T>(&self, ask: impl FnOnce(&Miner) -> T) -> T {
        ask(&self.miner.lock())
    }

    pub fn counts(&self) -> Counts {
        let now = counts(&self.miner.lock());
        let start = &self.at_start;
        Counts {
            new: now.new.saturating_sub(start.new),
            joined: now.joined.saturating_sub(start.joined),
            evicted: now.evicted.saturating_sub(start.evicted),
            ..now
        }
    }
}

fn counts(miner: &Miner) -> Counts {
    let stats = miner.stats();
    Counts {
        live: miner.len() as u64,
        bytes: miner.bytes() as u64,
        new: miner.given(),
        joined: stats.joined,
        evicted: stats.evicted_templates,
    }
}
