//! What can go wrong in the store, and what to do about it.

use std::io;
use std::path::PathBuf;

use tantivy::TantivyError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} is in use by another process: stop it, or point data_dir elsewhere")]
    Locked { path: PathBuf },
    #[error("{path} was written in format {found}, this program reads format {ours}: use the program that wrote it")]
    Version { path: PathBuf, found: String, ours: u32 },
    #[error("{path}: {source}; check that the disk is there, has room, and that its owner is the user of this process")]
    Io { path: PathBuf, source: io::Error },
    /// A worker's segment could not be written. What it held since its last cut is gone from memory and still in the
    /// journal: call `Worker::reset` on all workers and read the journal again from the oldest uncommitted position.
    #[error("shard {day}: cannot write a segment: {source}; the journal still holds its records")]
    Segment { day: String, source: TantivyError },
    /// The shard's finished segments are kept, and the next commit takes them again.
    #[error("shard {day}: cannot commit: {source}; nothing is lost, the next commit tries again")]
    Commit { day: String, source: TantivyError },
    #[error("shard {day}: cannot be read: {source}; `loghound shards verify {day}` tells which file is damaged")]
    Read { day: String, source: TantivyError },
    #[error(
        "shard {day}: {file} does not match its checksum, so the day is not sealed; it serves what can be read. Restore it from \
         a copy, and check the disk"
    )]
    Damaged { day: String, file: PathBuf },
    #[error("store.warm_dir {path}: {source}; mount the volume, or make the directory")]
    NoWarm { path: PathBuf, source: io::Error },
    #[error(
        "{path} says that the directory belongs to the store at {owner}, not to the one at {ours}: name another as \
         store.warm_dir. If that store was moved here, write its new place into the file"
    )]
    WarmOwner { path: PathBuf, owner: String, ours: PathBuf },
    #[error(
        "{day} has files on a warm volume that is not there ({target}): mount it, or move {day} away to go on without the day"
    )]
    Away { day: PathBuf, target: PathBuf },
    #[error("shard {day}: {what} at byte {offset} of streams.log")]
    Streams { day: String, offset: u64, what: &'static str },
}

impl Error {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
