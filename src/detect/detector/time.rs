//! Time by the lines' own clocks: how far it has come, which buckets that closes, and what is a gap.

use super::{Detector, GAP_SECONDS};
use crate::detect::observe::Observations;
use crate::detect::watched::BUCKET_SECONDS;
use crate::record::time::NANOS_PER_SECOND;

/// Lines in a row that must agree before a jump is believed, so that one mad line moves nothing.
const GAP_LINES: u32 = 20;

impl Detector {
    /// Settles for each source of a batch whether its clock is ahead.
    pub(super) fn arrived(&mut self, batch: &Observations, streams: &[u32]) {
        let mut newest: Vec<(u32, i64)> = Vec::new();
        for record in &batch.records {
            let source = self.streams[streams[record.stream as usize] as usize].source;
            match newest.iter_mut().find(|(known, _)| *known == source) {
                Some((_, time)) => *time = (*time).max(record.time),
                None => newest.push((source, record.time)),
            }
        }
        let received_at = batch.received_at.div_euclid(NANOS_PER_SECOND);
        for (source, time) in newest {
            let seconds = time.div_euclid(NANOS_PER_SECOND);
            if self.sources.arrived(source, seconds, received_at) && self.sources.get(source).skew > 0 {
                self.skewed(source, seconds);
            }
            self.lag += ((received_at - seconds) as f64 - self.lag) * 0.2;
        }
    }

    /// Whether a time far ahead of all is where the lines go on.
    pub(super) fn believe(&mut self, seconds: i64) -> bool {
        if self.sources.newest() == 0 {
            self.begin(seconds);
            return true;
        }
        let (at, lines) = self.jump;
        self.jump = if (seconds - at).abs() < GAP_SECONDS { (seconds, lines + 1) } else { (seconds, 1) };
        if self.jump.1 < GAP_LINES {
            return false;
        }
        // What was open is closed as it is, then all goes on behind the gap.
        self.jump = (0, 0);
        self.close_through(self.sources.newest() + BUCKET_SECONDS);
        self.begin(seconds);
        true
    }

    /// All time begins here, or goes on here.
    pub(super) fn begin(&mut self, seconds: i64) {
        self.sources.advance(seconds);
        self.looked = seconds;
        let start = seconds - seconds.rem_euclid(BUCKET_SECONDS) - BUCKET_SECONDS;
        for service in &mut self.services {
            service.skip_to(start);
        }
    }

    /// A line from before a gap: its bucket is closed, or would be the first of many empty ones of a new service.
    pub(super) fn long_late(&mut self, stream: u32, seconds: i64) {
        let info = &self.streams[stream as usize];
        let (service, places) = (info.service, [info.hashes[0], info.hashes[1]]);
        self.stats.records += 1;
        self.stats.late += 1;
        if service != u32::MAX {
            self.late(service, places, seconds);
        }
    }

    pub(super) fn late(&mut self, service: u32, places: [Option<u64>; 2], seconds: i64) {
        if !self.episodes.is_empty() {
            let start = seconds - seconds.rem_euclid(BUCKET_SECONDS);
            self.episodes.late(service, places, start, &mut self.out);
        }
    }

    /// Closes what is due, looks at what is open, ends what is calm.
    pub(super) fn look(&mut self) {
        let now = self.sources.newest();
        let minute = now.div_euclid(BUCKET_SECONDS) != self.looked.div_euclid(BUCKET_SECONDS);
        self.looked = now;
        let mut findings = Vec::new();
        for at in 0..self.services.len() {
            self.prepare(at);
            let watermark = self.sources.watermark(self.services[at].sources.iter().copied());
            while self.services[at].closed_until + BUCKET_SECONDS <= watermark || self.services[at].is_crowded() {
                self.close(at, &mut findings);
            }
            if self.services[at].peek(&mut findings).is_some() {
                self.report_open(at, &mut findings);
            }
        }
        if minute {
            self.episodes.end(now, &mut self.out);
            self.common.end(now);
            self.account(now);
        }
    }

    /// A service's first bucket is that of its first line.
    pub(super) fn prepare(&mut self, at: usize) {
        let service = &mut self.services[at];
        if service.closed_until == i64::MIN || service.closed_until == 0 {
            let first = service.first_open().unwrap_or(self.looked - self.looked.rem_euclid(BUCKET_SECONDS));
            (service.closed_until, service.first) = (first, first);
        }
    }

    pub(super) fn close_through(&mut self, end: i64) {
        let mut findings = Vec::new();
        for at in 0..self.services.len() {
            self.prepare(at);
            while self.services[at].closed_until < end {
                self.close(at, &mut findings);
            }
        }
        self.episodes.end(end, &mut self.out);
    }
}
