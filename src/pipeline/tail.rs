//! Live records for those who watch: each subscriber has a filter and a bounded queue, and is told what it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::api::TailEvent;
use crate::parse::Parser;
use crate::query::{self, Aliases, Expr};
use crate::record::Record;

/// Records a subscriber may be behind before it misses some.
const SUBSCRIBER_RECORDS_MAX: usize = 1024;

struct Subscriber {
    filter: Expr,
    aliases: Aliases,
    items: mpsc::Sender<TailEvent>,
    skipped: AtomicU64,
}

/// Who watches now.
#[derive(Default)]
pub struct TailHub {
    subscribers: RwLock<Vec<Arc<Subscriber>>>,
    count: AtomicUsize,
}

impl TailHub {
    /// `aliases`: what names in `filter` mean.
    pub fn subscribe(&self, filter: Expr, aliases: Aliases) -> mpsc::Receiver<TailEvent> {
        let (items, receiver) = mpsc::channel(SUBSCRIBER_RECORDS_MAX);
        let mut subscribers = self.subscribers.write();
        subscribers.push(Arc::new(Subscriber { filter, aliases, items, skipped: AtomicU64::new(0) }));
        self.count.store(subscribers.len(), Ordering::Release);
        receiver
    }

    /// How many watch: a worker asks once a batch and builds nothing when it is none.
    pub fn subscribers(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Offers a record to everyone whose filter it matches.
    pub fn offer(&self, record: &Record<'_>, parser: &Parser) {
        let built = query::build_record(record, parser);
        let mut gone = false;
        for subscriber in self.subscribers.read().iter() {
            if subscriber.items.is_closed() {
                gone = true;
                continue;
            }
            if !query::matches(&subscriber.filter, &built, &subscriber.aliases) {
                continue;
            }
            match subscriber.items.try_reserve() {
                Ok(slot) => {
                    let skipped = subscriber.skipped.swap(0, Ordering::Relaxed);
                    slot.send(TailEvent { record: built.clone(), skipped });
                }
                Err(_) => {
                    subscriber.skipped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if gone {
            let mut subscribers = self.subscribers.write();
            subscribers.retain(|s| !s.items.is_closed());
            self.count.store(subscribers.len(), Ordering::Release);
        }
    }
}
