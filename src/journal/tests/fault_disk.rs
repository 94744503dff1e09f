//! A disk that fails when told to, and forgets what was not synced when it crashes.

use crate::journal::{Disk, DiskFile, OsDisk};
use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;
use std::{
    collections::HashMap,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Default)]
struct State {
    /// Bytes that may still be written before the disk is full.
    free: Option<u64>,
    /// A write takes so many bytes at most.
    write_bytes_max: Option<usize>,
    /// The next so many calls fail with EIO.
    write_errors: usize,
    sync_errors: usize,
    sync_dir_errors: usize,
    /// Reads that touch this offset of any file fail with EIO.
    bad_offset: Option<u64>,
    /// Syncs wait.
    held: bool,
    /// Everything fails from now on.
    dead: bool,
    /// What is free according to `statvfs`.
    reported_free: Option<u64>,
    /// Bytes of each file that survive a crash.
    synced: HashMap<PathBuf, u64>,
    pub syncs: usize,
}

#[derive(Clone, Default)]
pub struct FaultDisk {
    state: Arc<Mutex<State>>,
    released: Arc<Condvar>,
}

struct FaultFile {
    inner: Box<dyn DiskFile>,
    path: PathBuf,
    disk: FaultDisk,
}

fn eio<T>() -> io::Result<T> {
    Err(Errno::IO.into())
}

impl FaultDisk {
    pub fn set_free(&self, free: Option<u64>) {
        self.state.lock().free = free;
    }
    pub fn set_reported_free(&self, free: Option<u64>) {
        self.state.lock().reported_free = free;
    }
    pub fn set_write_bytes_max(&self, bytes: Option<usize>) {
        self.state.lock().write_bytes_max = bytes;
    }
    pub fn fail_writes(&self, count: usize) {
        self.state.lock().write_errors = count;
    }
    pub fn fail_syncs(&self, count: usize) {
        self.state.lock().sync_errors = count;
    }
    pub fn fail_sync_dirs(&self, count: usize) {
        self.state.lock().sync_dir_errors = count;
    }
    pub fn set_bad_offset(&self, offset: Option<u64>) {
        self.state.lock().bad_offset = offset;
    }
    pub fn syncs(&self) -> usize {
        self.state.lock().syncs
    }
    pub fn hold_syncs(&self) {
        self.state.lock().held = true;
    }
    pub fn release_syncs(&self) {
        self.state.lock().held = false;
        self.released.notify_all();
    }

    /// From now on nothing works. What was written and not synced is kept up to a byte that `choose` picks
    /// from the number of unsynced bytes.
    pub fn crash(&self, mut choose: impl FnMut(u64) -> u64) {
        let mut state = self.state.lock();
        state.dead = true;
        state.held = false;
        self.released.notify_all();
        for (path, synced) in &state.synced {
            let Ok(bytes) = std::fs::metadata(path).map(|meta| meta.len()) else { continue };
            if bytes > *synced {
                let keep = synced + choose(bytes - synced).min(bytes - synced);
                std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
            }
        }
    }

    fn wrap(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultFile { inner, path: path.to_owned(), disk: self.clone() })
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        if state.dead {
            return eio();
        }
        let file = OsDisk.create(path)?;
        state.synced.insert(path.to_owned(), 0);
        Ok(self.wrap(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(path, OsDisk.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.dead {
            return eio();
        }
        OsDisk.remove(path)?;
        state.synced.remove(path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.dead {
            return eio();
        }
        OsDisk.rename(from, to)?;
        if let Some(synced) = state.synced.remove(from) {
            state.synced.insert(to.to_owned(), synced);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.dead || take(&mut state.sync_dir_errors) {
            return eio();
        }
        drop(state);
        OsDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        match self.state.lock().reported_free {
            Some(free) => Ok(free),
            None => OsDisk.free_bytes(dir),
        }
    }
}

fn take(count: &mut usize) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

impl DiskFile for FaultFile {
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        if state.dead || take(&mut state.write_errors) {
            return eio();
        }
        let mut all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        all.truncate(state.write_bytes_max.unwrap_or(usize::MAX));
        if let Some(free) = &mut state.free {
            all.truncate(*free as usize);
            if all.is_empty() {
                return Err(Errno::NOSPC.into());
            }
            *free -= all.len() as u64;
        }
        self.inner.write_at(&[IoSlice::new(&all)], offset)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let bad = self.disk.state.lock().bad_offset;
        if bad.is_some_and(|bad| (offset..offset + into.len() as u64).contains(&bad)) {
            return eio();
        }
        self.inner.read_at(into, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        while state.held {
            self.disk.released.wait(&mut state);
        }
        let bytes = self.inner.bytes()?;
        let synced = state.synced.get(&self.path).copied().unwrap_or(bytes);
        if state.dead || take(&mut state.sync_errors) {
            // The kernel's worst: the pages are dropped and called clean, so that the next sync of this file succeeds.
            if !state.dead && bytes > synced {
                self.inner.write_at(&[IoSlice::new(&vec![0; (bytes - synced) as usize])], synced)?;
            }
            return eio();
        }
        state.syncs += 1;
        state.synced.insert(self.path.clone(), bytes);
        Ok(()) // the machine stays up: no real sync is needed
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        if state.dead {
            return eio();
        }
        let before = self.inner.bytes()?;
        self.inner.truncate(bytes)?;
        if let Some(free) = &mut state.free {
            *free += before.saturating_sub(bytes);
        }
        if let Some(synced) = state.synced.get_mut(&self.path) {
            *synced = bytes.min(*synced);
        }
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }
}
