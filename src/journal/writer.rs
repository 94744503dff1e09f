//! The writer thread: takes all that is queued, writes it, syncs once, completes the tickets.

use super::{
    Commit, DiskFile, Position, disk,
    format::{ENTRY_HEADER_BYTES, EntryHeader, SEGMENT_HEADER_BYTES, SegmentHeader},
    handle::Shared,
    segments::{self, Segment},
};
use bytes::Bytes;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Between two tries at a disk that refuses.
const RETRY: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 100 });

pub(super) struct Queued {
    pub position: u64,
    pub length: u32,
    /// Has taken in the payload.
    pub crc: crc32fast::Hasher,
    pub parts: Vec<Bytes>,
    pub done: oneshot::Sender<()>,
}

/// Between appenders and the writer.
pub(super) struct Queue {
    pub entries: Vec<Queued>,
    /// The position of the next entry.
    pub next: u64,
    /// The writer has a group in hand.
    pub busy: bool,
    /// Leave the active segment once all of it is trimmed.
    pub retire: bool,
    /// Leave the active segment before the next entry.
    pub retire_now: bool,
    /// The last write failed.
    pub trouble: bool,
    pub closed: bool,
}

impl Queue {
    pub fn new(next: u64) -> Self {
        let (busy, retire, retire_now, trouble, closed) = (false, false, false, false, false);
        Self { entries: Vec::new(), next, busy, retire, retire_now, trouble, closed }
    }
}

/// The segment being written.
struct Active {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    first: u64,
    salt: u32,
    /// Durable bytes: the next group goes here. 0 in a segment that holds nothing yet, not even its header.
    bytes: u64,
}

/// What a failed commit leaves.
enum Failure {
    /// The disk is full: the same file may take the group later.
    Full(io::Error),
    /// The file is not to be trusted any more.
    Broken(io::Error),
}

pub(super) fn run(shared: &Arc<Shared>) {
    let mut active: Option<Active> = None;
    loop {
        let mut queue = shared.queue.lock();
        queue.busy = false;
        while queue.entries.is_empty() && !queue.closed && !queue.retire {
            shared.work.wait(&mut queue);
        }
        if std::mem::take(&mut queue.retire_now) {
            leave(shared, &mut active);
        }
        if std::mem::take(&mut queue.retire) && shared.checkpoint() >= shared.durable().0 {
            leave(shared, &mut active);
        }
        let group = std::mem::take(&mut queue.entries);
        queue.busy = !group.is_empty();
        let closed = queue.closed;
        drop(queue);
        if active.is_none() {
            segments::free_trimmed(shared);
        }
        if group.is_empty() {
            if closed {
                return;
            }
            continue;
        }
        if !commit_until_done(shared, &mut active, group) {
            return;
        }
    }
}

/// Tries until the group is durable. False when the journal was closed meanwhile: the tickets fail.
fn commit_until_done(shared: &Shared, active: &mut Option<Active>, group: Vec<Queued>) -> bool {
    let mut failed = false;
    loop {
        let failure = match commit(shared, active, &group) {
            Ok(bytes) => {
                if failed {
                    tracing::info!("the journal can be written again");
                    shared.queue.lock().trouble = false;
                }
                publish(shared, group, bytes);
                return true;
            }
            Err(failure) => failure,
        };
        let (Failure::Full(err) | Failure::Broken(err)) = &failure;
        observe(shared, Commit::Failed);
        if !failed {
            tracing::error!(
                dir = %shared.options.dir.display(), error = %err,
                "cannot write the journal, nothing is acknowledged until it can: free space or mend the disk"
            );
        }
        failed = true;
        if let Failure::Broken(_) = &failure {
            abandon(shared, active);
        }
        let mut queue = shared.queue.lock();
        queue.trouble = true;
        if !queue.closed {
            shared.work.wait_for(&mut queue, RETRY);
        }
        if queue.closed {
            return false;
        }
    }
}

fn observe(shared: &Shared, commit: Commit) {
    if let Some(observer) = &shared.options.observer {
        observer(commit);
    }
}

/// Writes and syncs one group; returns its size.
fn commit(shared: &Shared, active: &mut Option<Active>, group: &[Queued]) -> Result<u64, Failure> {
    let bytes: u64 = group.iter().map(|entry| (ENTRY_HEADER_BYTES + entry.length as usize) as u64).sum();
    let segment_bytes = shared.options.segment_bytes;
    if active.as_ref().is_some_and(|segment| segment.bytes > 0 && segment.bytes + bytes > segment_bytes) {
        leave(shared, active);
    }
    let Some(first) = group.first().map(|entry| entry.position) else { return Ok(0) };
    let segment = match active {
        Some(segment) => segment,
        None => active.insert(begin(shared, first).map_err(Failure::Full)?),
    };
    let begins = segment.bytes == 0;
    let segment_header = SegmentHeader { salt: segment.salt, first: segment.first }.encode();
    let headers: Vec<_> = group
        .iter()
        .map(|entry| EntryHeader::new(entry.length, entry.position, segment.salt, entry.crc.clone()).encode())
        .collect();
    let mut slices = Vec::with_capacity(1 + group.iter().map(|entry| 1 + entry.parts.len()).sum::<usize>());
    if begins {
        slices.push(IoSlice::new(&segment_header));
    }
    for (header, entry) in headers.iter().zip(group) {
        slices.push(IoSlice::new(header));
        slices.extend(entry.parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)));
    }
    if let Err(err) = disk::write_all_at(&*segment.file, &mut slices, segment.bytes) {
        return Err(after_write_error(segment, err));
    }
    // Not retried on this file: after a failed sync the kernel may drop the dirty pages and call them clean, and the
    // next sync would succeed without having written them (fsyncgate; PostgreSQL panics here for the same reason).
    let started = Instant::now();
    segment.file.sync_data().map_err(Failure::Broken)?;
    observe(shared, Commit::Durable(started.elapsed()));
    if begins {
        shared.disk.sync_dir(&shared.options.dir).map_err(Failure::Broken)?;
    }

    let start = segment.bytes + if begins { SEGMENT_HEADER_BYTES as u64 } else { 0 };
    segment.bytes = start + bytes;
    let mut all = shared.segments.lock();
    if begins {
        all.push_back(Segment::new(segment.first, segment.path.clone(), Some(segment.salt), 0, false));
        shared.space.add_used(SEGMENT_HEADER_BYTES as u64);
    }
    if let Some(entry) = all.back_mut() {
        entry.bytes = segment.bytes;
        entry.mark(first, start);
    }
    // With the list locked, so that a reader never sees bytes without their positions.
    if let Some(last) = group.last() {
        shared.durable.send_replace(Position(last.position));
    }
    Ok(bytes)
}

/// Cuts off what part of the group came through, so that a full disk gets it back and readers after a crash see no
/// torn write. Whether the same file may be used again.
fn after_write_error(segment: &Active, err: io::Error) -> Failure {
    let full =
        matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero);
    match segment.file.truncate(segment.bytes) {
        Ok(()) if full => Failure::Full(err),
        _ => Failure::Broken(err),
    }
}

fn begin(shared: &Shared, first: u64) -> io::Result<Active> {
    let path = segments::path_of(&shared.options.dir, first);
    let file = match shared.disk.create(&path) {
        // Nothing of it was ever durable, or its first position would have been published and not be given again.
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
            shared.disk.remove(&path)?;
            shared.disk.create(&path)?
        }
        other => other?,
    };
    Ok(Active { file, path, first, salt: RandomState::new().build_hasher().finish() as u32, bytes: 0 })
}

/// Seals the active segment; the next group begins another.
fn leave(shared: &Shared, active: &mut Option<Active>) {
    let Some(segment) = active.take() else { return };
    if segment.bytes == 0 {
        let _ = shared.disk.remove(&segment.path); // `begin` removes it otherwise
    } else if let Some(last) = shared.segments.lock().back_mut() {
        last.sealed = true;
    }
}

/// Leaves a file that failed. Its durable part stays; what is behind that goes if the disk lets it, and is
/// recognised by the next segment's first position if not.
fn abandon(shared: &Shared, active: &mut Option<Active>) {
    if let Some(segment) = active.as_ref().filter(|segment| segment.bytes > 0) {
        let _ = segment.file.truncate(segment.bytes);
    }
    leave(shared, active);
}

/// The group is on the disk: wakes everybody who waits for that.
fn publish(shared: &Shared, group: Vec<Queued>, bytes: u64) {
    drop(shared.progress.lock()); // a reader between its check and its wait must not miss this
    shared.progressed.notify_all();
    shared.space.durable(bytes);
    for entry in group {
        let _ = entry.done.send(()); // whoever appended may have gone
    }
}
