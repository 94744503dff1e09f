//! The journal broken on purpose.
//!
//! `basics`: order, restarts, trimming, limits. `damage`: torn at every byte, each byte flipped, files gone.
//! `faults`: full disks, failing writes and syncs. `model`: all of it at random. `fixture`: the shipped format.

mod basics;
mod damage;
mod fault_disk;
mod faults;
mod fixture;
mod model;

use super::{Damage, Disk, Journal, OpenReport, Options, Position};
use bytes::Bytes;
use std::{path::Path, sync::Arc};

/// Small segments, no disk reserve.
fn options(dir: &Path) -> Options {
    Options { segment_bytes: 4096, bytes_max: 1 << 20, disk_reserve_bytes: 0, ..Options::new(dir) }
}

fn open(dir: &Path) -> (Journal, OpenReport) {
    open_on(dir, Arc::new(fault_disk::FaultDisk::default())) // without faults: spares the real syncs
}

fn open_on(dir: &Path, disk: Arc<dyn Disk>) -> (Journal, OpenReport) {
    Journal::open_on(options(dir), disk).unwrap()
}

/// Appends one entry and waits until it is durable: a group of its own.
async fn append(journal: &Journal, payload: &[u8]) -> Position {
    let room = journal.reserve(payload.len() as u64).await.unwrap();
    let ticket = journal.append(room, vec![Bytes::copy_from_slice(payload)]);
    ticket.durable.await.unwrap();
    ticket.position
}

/// Every entry after `after`, and the damage met on the way.
fn read_all(journal: &Journal, after: u64) -> (Vec<(u64, Bytes)>, Vec<Damage>) {
    let mut reader = journal.reader(Position(after));
    let mut out = Vec::new();
    while let Some((position, payload)) = reader.try_next().unwrap() {
        out.push((position.0, payload));
    }
    (out, reader.take_damages())
}

fn positions(journal: &Journal, after: u64) -> Vec<u64> {
    read_all(journal, after).0.into_iter().map(|(position, _)| position).collect()
}

/// The segments' paths, oldest first.
fn segment_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut out: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    out.sort();
    out
}
