//! Memory: what all of it takes, and what is given up when that is too much.

use super::{Detector, SERVICE_BYTES, STREAM_BYTES};
use crate::detect::service::Service;
use crate::detect::watched::BUCKET_SECONDS;

/// A service silent for so long is forgotten: seconds.
const FORGOTTEN_SECONDS: i64 = 3 * 86_400;
/// What is given up in one minute at most.
const EVICTIONS_MAX: usize = 2_000;

impl Detector {
    /// Counts series and bytes; makes room.
    pub(super) fn account(&mut self, now: i64) {
        self.series = self.services.iter().map(Service::series_count).sum::<usize>().max(1);
        let streams = self.streams.len() * STREAM_BYTES;
        self.bytes = self.services.iter().map(Service::bytes).sum::<usize>() + streams;
        self.make_room(now);
        for at in 1..self.services.len() {
            if self.services[at].last < now - FORGOTTEN_SECONDS && self.services[at].first < self.services[at].last {
                self.forget(at, now);
            }
        }
    }

    /// Gives up what is least useful until all fits: the service that has been silent longest; where none is, of the largest
    /// the field that was seen longest ago; where that is all it has, the largest itself.
    pub(super) fn make_room(&mut self, now: i64) {
        for _ in 0..EVICTIONS_MAX {
            if self.bytes <= self.settings.bytes_max || self.services.len() < 2 {
                return;
            }
            let silent =
                |at: &usize| self.services[*at].last < now - 3_600 && self.services[*at].bytes() > 2 * SERVICE_BYTES;
            let longest = (1..self.services.len()).filter(silent).min_by_key(|at| self.services[*at].last);
            let largest = || (1..self.services.len()).max_by_key(|at| self.services[*at].bytes()).unwrap_or(1);
            let at = longest.unwrap_or_else(largest);
            let before = self.services[at].bytes();
            let field = if longest.is_none() { self.services[at].evict_field() } else { None };
            self.stats.evicted += field.unwrap_or_else(|| self.forget(at, now)) as u64;
            self.bytes = self.bytes.saturating_sub(before.saturating_sub(self.services[at].bytes()));
        }
    }

    /// Begins a service anew, its number staying; gives how many series that were.
    pub(super) fn forget(&mut self, at: usize, now: i64) -> usize {
        let series = self.services[at].series_count();
        self.services[at].forget(now - now.rem_euclid(BUCKET_SECONDS));
        series
    }
}
