//! Reads entries in order, as far as they are durable.

use super::{
    Damage, Position, ReadError,
    format::SEGMENT_HEADER_BYTES,
    handle::Shared,
    segments,
    walk::{self, Step, Walk},
};
use bytes::Bytes;
use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Instant};

/// Where the reader stands in a segment.
struct Place {
    first: u64,
    path: PathBuf,
    walk: Walk,
}

/// What the list of segments says about the one being read.
struct Bounds {
    limit: u64,
    sealed: bool,
    /// First position of the next segment, or behind what is durable.
    below: u64,
}

/// An own position in the journal, with an own file handle. Damage is stepped over and reported once per journal:
/// in the log, and through [`Self::take_damages`] of the reader that met it.
pub struct Reader {
    shared: Arc<Shared>,
    /// The next position to give.
    expected: u64,
    place: Option<Place>,
    damages: VecDeque<Damage>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, after: Position) -> Self {
        Self { shared, expected: after.0 + 1, place: None, damages: VecDeque::new() }
    }

    /// The position after which this reader goes on.
    pub fn position(&self) -> Position {
        Position(self.expected - 1)
    }

    /// The damage met since the last call.
    pub fn take_damages(&mut self) -> Vec<Damage> {
        self.damages.drain(..).collect()
    }

    /// The next entry, waiting for one until `deadline`. For plain threads.
    pub fn next_blocking(&mut self, deadline: Instant) -> Result<Option<(Position, Bytes)>, ReadError> {
        loop {
            if let Some(entry) = self.try_next()? {
                return Ok(Some(entry));
            }
            let mut progress = self.shared.progress.lock();
            if self.shared.durable().0 >= self.expected {
                continue;
            }
            if self.shared.progressed.wait_until(&mut progress, deadline).timed_out() {
                drop(progress);
                return self.try_next();
            }
        }
    }

    /// The next entry that is durable, or None: there is none yet.
    pub fn try_next(&mut self) -> Result<Option<(Position, Bytes)>, ReadError> {
        loop {
            // The bounds are read before the walk: what is durable only later is met in the next round.
            let Some(bounds) = self.bounds() else {
                if !self.enter()? {
                    return Ok(None);
                }
                continue;
            };
            let Some(place) = &mut self.place else { continue };
            let failed = |source| ReadError { path: place.path.clone(), source };
            match place.walk.next(bounds.limit, bounds.below).map_err(failed)? {
                Step::Entry { position, payload, .. } if position.0 >= self.expected => {
                    self.expected = position.0 + 1;
                    return Ok(Some((position, payload)));
                }
                Step::Entry { .. } => {} // between a mark and where the reader starts
                Step::Skipped { damage, .. } => {
                    self.expected = self.expected.max(place.walk.expected());
                    self.report(damage);
                }
                Step::End if bounds.sealed => {
                    if place.walk.expected() < bounds.below {
                        let from = self.expected.max(place.walk.expected());
                        let (file, offset) = (place.path.clone(), place.walk.offset());
                        self.gap(file, offset, from, bounds.below);
                    }
                    self.expected = self.expected.max(bounds.below);
                    self.place = None;
                    if self.shared.durable().0 < self.expected {
                        return Ok(None);
                    }
                }
                Step::End => return Ok(None),
            }
        }
    }

    /// None when no segment is being read, or the one being read was trimmed.
    fn bounds(&mut self) -> Option<Bounds> {
        let place = self.place.as_ref()?;
        let all = self.shared.segments.lock();
        let found = all.iter().position(|segment| segment.first == place.first);
        let bounds = found.map(|index| Bounds {
            limit: all[index].bytes,
            sealed: all[index].sealed,
            below: all.get(index + 1).map_or(self.shared.durable().0 + 1, |next| next.first),
        });
        if bounds.is_none() {
            drop(all);
            self.place = None;
        }
        bounds
    }

    /// Opens the segment that `expected` is in, or the next one there is. False when there is none yet.
    fn enter(&mut self) -> Result<bool, ReadError> {
        loop {
            let (segment, below) = {
                let all = self.shared.segments.lock();
                let after = all.partition_point(|segment| segment.first <= self.expected);
                let durable = self.shared.durable().0;
                let below = |index: usize| all.get(index + 1).map_or(durable + 1, |next| next.first);
                let inside = after.checked_sub(1).filter(|index| self.expected < below(*index) || !all[*index].sealed);
                let Some(index) = inside.or((after < all.len()).then_some(after)) else { return Ok(false) };
                (all[index].clone(), below(index))
            };
            if segment.first > self.expected {
                let file = segments::path_of(&self.shared.options.dir, self.expected);
                self.gap(file, 0, self.expected, segment.first);
                self.expected = segment.first;
            }
            // Reported at open.
            let Some(salt) = segment.salt else {
                self.expected = below;
                continue;
            };
            let file = match self.shared.disk.open(&segment.path) {
                Ok(file) => file,
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                    if self.shared.segments.lock().iter().all(|other| other.first != segment.first) {
                        continue; // trimmed meanwhile
                    }
                    self.gap(segment.path, 0, self.expected, below);
                    self.expected = below;
                    continue;
                }
                Err(source) => return Err(ReadError { path: segment.path, source }),
            };
            let (expected, offset) = segment.start_for(self.expected);
            debug_assert!(offset >= SEGMENT_HEADER_BYTES as u64);
            let walk = Walk::new(file, segment.path.clone(), salt, offset, expected);
            self.place = Some(Place { first: segment.first, path: segment.path, walk });
            return Ok(true);
        }
    }

    /// Positions `from..end` are not there although no bytes are damaged.
    fn gap(&mut self, file: PathBuf, offset: u64, from: u64, end: u64) {
        let from = from.max(self.shared.checkpoint() + 1); // what was trimmed is not missing
        if from < end {
            let what = format!("segment missing or cut short: {}", walk::lost(from, end));
            self.report(Damage { file, offset, what });
        }
    }

    fn report(&mut self, damage: Damage) {
        if self.shared.is_news(&damage) {
            tracing::warn!(file = %damage.file.display(), offset = damage.offset, what = damage.what, "journal damaged");
            self.damages.push_back(damage);
        }
    }
}
