//! The segments there are, oldest first, and how trimmed ones go.

use super::handle::Shared;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A mark is kept every so many bytes, so that a reader that starts in the middle need not walk from the beginning.
const MARK_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub first: u64,
    pub path: PathBuf,
    /// None: its header is damaged, so nothing in it can be verified.
    pub salt: Option<u32>,
    /// Durable bytes; what stands behind them in the file is not part of the journal.
    pub bytes: u64,
    /// No longer written to.
    pub sealed: bool,
    /// Positions of some entries and where they start, rising.
    marks: Vec<(u64, u64)>,
}

impl Segment {
    pub fn new(first: u64, path: PathBuf, salt: Option<u32>, bytes: u64, sealed: bool) -> Self {
        Self { first, path, salt, bytes, sealed, marks: Vec::new() }
    }

    pub fn mark(&mut self, position: u64, offset: u64) {
        if self.marks.last().is_none_or(|(_, last)| offset >= last + MARK_BYTES) {
            self.marks.push((position, offset));
        }
    }

    /// The last mark not behind `position`, or the first entry.
    pub fn start_for(&self, position: u64) -> (u64, u64) {
        let after = self.marks.partition_point(|(at, _)| *at <= position);
        let first = (self.first, super::format::SEGMENT_HEADER_BYTES as u64);
        after.checked_sub(1).map_or(first, |index| self.marks[index])
    }
}

pub(super) type Segments = VecDeque<Segment>;

pub(super) fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// The first position that a segment's name gives; other files are not segments.
pub(super) fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

/// Deletes the sealed segments that hold nothing above the checkpoint. A file that cannot be deleted is tried again
/// at the next trim.
pub(super) fn free_trimmed(shared: &Arc<Shared>) {
    let checkpoint = shared.checkpoint();
    loop {
        let oldest = {
            let segments = shared.segments.lock();
            let Some(oldest) = segments.front() else { return };
            let last = segments.get(1).map_or(shared.durable().0, |next| next.first - 1);
            if !oldest.sealed || last > checkpoint {
                return;
            }
            oldest.clone()
        };
        match shared.disk.remove(&oldest.path) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %oldest.path.display(), error = %err, "cannot delete a trimmed journal segment");
                return;
            }
            _ => {}
        }
        // Only whoever removes it from the list gives its bytes back: the writer thread frees as well.
        let mut segments = shared.segments.lock();
        if segments.front().is_some_and(|front| front.first == oldest.first && front.path == oldest.path) {
            segments.pop_front();
            drop(segments);
            shared.space.free_used(oldest.bytes);
        }
    }
}
