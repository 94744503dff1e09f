//! The journal as the other rooms hold it.

use super::{
    Damage, Disk, Error, OpenReport, OsDisk, Position, Reader, Room, checkpoint,
    format::ENTRY_HEADER_BYTES,
    recover,
    segments::{self, Segments},
    space::{self, Space},
    writer::{self, Queue, Queued},
};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{oneshot, watch};

#[derive(Clone)]
pub struct Options {
    /// Created when missing.
    pub dir: PathBuf,
    /// A new segment is begun before one grows beyond this; a single larger group still goes to one segment.
    pub segment_bytes: u64,
    /// Size of all segments at which `reserve` waits. Two segments at least, or trimming frees space late.
    pub bytes_max: u64,
    /// `reserve` waits while the disk has less than this free.
    pub disk_reserve_bytes: u64,
    /// Told of each group commit, on the writer's thread.
    pub observer: Option<Observer>,
}

/// What became of a group commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// The time its fdatasync took.
    Durable(Duration),
    /// The disk refused it; it is tried again.
    Failed,
}

pub type Observer = Arc<dyn Fn(Commit) + Send + Sync>;

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            bytes_max: 8 << 30,
            disk_reserve_bytes: 1 << 30,
            observer: None,
        }
    }
}

/// What every clone, the readers and the writer thread share.
pub(super) struct Shared {
    pub options: Options,
    pub disk: Arc<dyn Disk>,
    pub space: Space,
    pub segments: Mutex<Segments>,
    pub queue: Mutex<Queue>,
    /// The writer waits here for entries, for a request to retire the active segment, or for the end.
    pub work: Condvar,
    pub durable: watch::Sender<Position>,
    /// For readers on plain threads: `durable` rose.
    pub progress: Mutex<()>,
    pub progressed: Condvar,
    checkpoint: AtomicU64,
    /// One trim at a time.
    trimming: Mutex<()>,
    /// Damage reported before, by file and offset.
    pub known_damage: Mutex<HashSet<(PathBuf, u64)>>,
}

impl Shared {
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint.load(Ordering::Acquire)
    }

    pub fn durable(&self) -> Position {
        *self.durable.borrow()
    }

    pub fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    pub fn in_trouble(&self) -> bool {
        self.queue.lock().trouble
    }

    /// All that is durable is trimmed, but the active segment keeps its space: asks the writer to leave it.
    pub fn retire_if_trimmed(&self) {
        if self.checkpoint() >= self.durable().0 && self.segments.lock().back().is_some_and(|last| !last.sealed) {
            self.queue.lock().retire = true;
            self.work.notify_one();
        }
    }

    /// True the first time.
    pub fn is_news(&self, damage: &Damage) -> bool {
        self.known_damage.lock().insert((damage.file.clone(), damage.offset))
    }
}

/// Ends the writer when the last clone goes.
struct Owner {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.work.notify_one();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the journal's writer thread has panicked");
        }
    }
}

/// The journal; clones are the same one. When the last goes, what is queued is written, and the writer thread ends.
#[derive(Clone)]
pub struct Journal {
    owner: Arc<Owner>,
}

/// How full the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Segments on disk and what is reserved.
    pub bytes: u64,
    pub bytes_max: u64,
    pub segments: usize,
    /// The oldest position kept; above `last` when all is trimmed.
    pub oldest: Position,
    /// The newest durable position.
    pub last: Position,
    /// Somebody waits for room, or writing fails.
    pub blocked: bool,
}

/// An entry on its way to the disk.
#[derive(Debug)]
pub struct Ticket {
    pub position: Position,
    pub durable: Durable,
}

/// Completes when the entry is durable; fails only when the journal is closed before. Waits out write errors.
#[derive(Debug)]
pub struct Durable(oneshot::Receiver<()>);

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| result.map_err(|_| Error::Closed))
    }
}

impl Durable {
    /// The same on a plain thread; must not be called from async code.
    pub fn wait_blocking(self) -> Result<(), Error> {
        self.0.blocking_recv().map_err(|_| Error::Closed)
    }
}

impl Journal {
    /// Opens or creates the journal in `options.dir`. The caller sees to it that no other process has it open.
    pub fn open(options: Options) -> Result<(Self, OpenReport), Error> {
        Self::open_on(options, Arc::new(OsDisk))
    }

    /// The same on another disk: for tests.
    pub fn open_on(options: Options, disk: Arc<dyn Disk>) -> Result<(Self, OpenReport), Error> {
        std::fs::create_dir_all(&options.dir).map_err(io_error("create", &options.dir))?;
        let found = recover::recover(&*disk, &options.dir)?;
        let space = Space::default();
        space.add_used(found.report.bytes);
        let shared = Arc::new(Shared {
            space,
            disk,
            durable: watch::Sender::new(found.report.last),
            queue: Mutex::new(Queue::new(found.report.last.0 + 1)),
            work: Condvar::new(),
            segments: Mutex::new(found.segments),
            progress: Mutex::new(()),
            progressed: Condvar::new(),
            checkpoint: AtomicU64::new(found.checkpoint),
            trimming: Mutex::new(()),
            known_damage: Mutex::new(
                found.report.damages.iter().map(|damage| (damage.file.clone(), damage.offset)).collect(),
            ),
            options,
        });
        // A crash may have come between the checkpoint and the deletions.
        segments::free_trimmed(&shared);
        let for_writer = shared.clone();
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer::run(&for_writer))
            .map_err(io_error("start a writer thread for", &shared.options.dir))?;
        Ok((Self { owner: Arc::new(Owner { shared, writer: Some(writer) }) }, found.report))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Waits until an entry of `bytes` may be appended: while the journal is at its size limit, the disk at its
    /// reserve, too much is queued, or writing fails. Served in the order of the calls. Fails only when no amount of
    /// waiting helps. Reserve when the entry is at hand: what is reserved keeps others waiting.
    pub async fn reserve(&self, bytes: u64) -> Result<Room, Error> {
        space::reserve(self.shared(), bytes).await
    }

    /// Queues an entry, the concatenation of `parts`, for the next group commit, and gives it its position.
    pub fn append(&self, room: Room, parts: Vec<Bytes>) -> Ticket {
        let shared = self.shared();
        // The expensive part of the checksum runs on the caller's thread, outside of the lock.
        let mut crc = crc32fast::Hasher::new();
        let mut length = 0;
        for part in &parts {
            crc.update(part);
            length += part.len();
        }
        let bytes = (length + ENTRY_HEADER_BYTES) as u64;
        debug_assert!(bytes <= room.bytes, "an entry of {bytes} bytes in a room of {}", room.bytes);
        let mut room = room;
        shared.space.correct(std::mem::take(&mut room.bytes), bytes);
        let (done, durable) = oneshot::channel();
        let mut queue = shared.queue.lock();
        let position = queue.next;
        queue.next += 1;
        queue.entries.push(Queued { position, length: length as u32, crc, parts, done });
        drop(queue);
        shared.work.notify_one();
        Ticket { position: Position(position), durable: Durable(durable) }
    }

    /// The highest position such that it and all before it are on the disk.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.shared().durable.subscribe()
    }

    /// Reads the entries after `after`, those already there and those to come.
    pub fn reader(&self, after: Position) -> Reader {
        Reader::new(self.shared().clone(), after)
    }

    /// Everything through `through` is kept elsewhere: remembers that durably, then deletes whole segments. Blocks for
    /// two syncs. A failure is logged and costs nothing but space until the next call.
    pub fn trim(&self, through: Position) {
        let shared = self.shared();
        let _one = shared.trimming.lock();
        let through = through.0.min(shared.durable().0);
        if through > shared.checkpoint() {
            if let Err(err) = checkpoint::write(&*shared.disk, &shared.options.dir, through) {
                tracing::warn!(position = through, error = %err, "cannot write the journal's checkpoint");
                return;
            }
            shared.checkpoint.store(through, Ordering::Release);
        }
        segments::free_trimmed(shared);
        // Left alone, the active segment keeps up to its full size; it goes when that hurts, not at every quiet moment.
        let active_bytes = shared.segments.lock().back().map_or(0, |last| last.bytes);
        if shared.space.waiting() || active_bytes >= shared.options.segment_bytes / 4 {
            shared.retire_if_trimmed();
        }
    }

    /// Through which position everything was trimmed; survives a restart.
    pub fn checkpoint(&self) -> Position {
        Position(self.shared().checkpoint())
    }

    /// Positions given from now on are above `floor`. For a caller that finds, at start and before any append, that it
    /// holds positions this journal has lost (its directory was emptied, say): they must not be given to other
    /// entries. Entries that are still here stay; readers report those in between as lost. No effect when positions
    /// are that high already.
    pub fn never_below(&self, floor: Position) {
        let shared = self.shared();
        let mut queue = shared.queue.lock();
        if queue.next > floor.0 || queue.busy || !queue.entries.is_empty() {
            return;
        }
        queue.next = floor.0 + 1;
        // Only a segment's first entry may leave a gap.
        queue.retire_now = true;
        shared.durable.send_replace(floor);
        drop(queue);
        // With nothing here, nothing up to there is to be missed later.
        let empty = shared.segments.lock().is_empty();
        if empty {
            self.trim(floor);
        }
    }

    pub fn usage(&self) -> Usage {
        let shared = self.shared();
        let last = shared.durable();
        let (segments, oldest) = {
            let segments = shared.segments.lock();
            (segments.len(), segments.front().map_or(last.next(), |first| Position(first.first)))
        };
        let bytes = shared.space.used();
        let blocked = shared.space.waiting() || shared.in_trouble();
        Usage { bytes, bytes_max: shared.options.bytes_max, segments, oldest, last, blocked }
    }
}

pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}
