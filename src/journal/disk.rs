//! The few things the journal asks of a disk, behind a trait so that tests can make each of them fail.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice},
    num::NonZeroU64,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// A directory's disk. The program uses [`OsDisk`]; tests wrap it to inject full disks, I/O errors and crashes.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file for writing; fails when the name exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and truncating.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The paths of all files in `dir`, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes created, renamed and removed names durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that an unprivileged process may still write there.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file; offsets are explicit, so one handle can be shared.
pub trait DiskFile: Send + Sync {
    /// Writes some of `parts` at `offset`; like `pwritev`, it may write less than all.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Reads some bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Asks the kernel to begin writing these bytes to the device, without waiting. Promises nothing: a failure shows at
    /// the next sync.
    fn start_writing(&self, _offset: u64, _bytes: u64) {}
    /// `fdatasync`: the bytes and the length, not the times.
    fn sync_data(&self) -> io::Result<()>;
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    fn bytes(&self) -> io::Result<u64>;
}

/// The operating system's files.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl DiskFile for File {
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, parts, offset)?)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn start_writing(&self, offset: u64, bytes: u64) {
        // On Linux this advice starts write-back of the dirty pages, which then go to the device while the next
        // piece is copied. What is durable and indexed from memory need not stay in the page cache either.
        let _ = rustix::fs::fadvise(self, offset, NonZeroU64::new(bytes), rustix::fs::Advice::DontNeed);
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Slices one `pwritev` takes at most (`IOV_MAX` on Linux).
const PARTS_MAX: usize = 1024;
/// A larger write is cut into pieces of about this size, each on its way to the device while the next is copied, bytes.
/// A group of 7.6 MB, written and synced, took 8 to 12 ms so, and 34 to 43 ms in one piece (medians of 40 on ext4,
/// virtio); preallocating the file made no difference.
const PIECE_BYTES: usize = 1 << 20;

/// Writes all of `parts`, however little each call takes. A call that takes nothing is an error: the disk is full.
pub(super) fn write_all_at(file: &dyn DiskFile, mut parts: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0); // leading empty slices must not look like a write of nothing
    while !parts.is_empty() {
        let mut bytes = 0;
        let piece = parts.iter().take(PARTS_MAX).take_while(|part| {
            let fits = bytes == 0 || bytes + part.len() <= PIECE_BYTES;
            bytes += part.len();
            fits
        });
        let count = piece.count();
        match file.write_at(&parts[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(wrote) => {
                IoSlice::advance_slices(&mut parts, wrote);
                if !parts.is_empty() {
                    file.start_writing(offset, wrote as u64);
                }
                offset += wrote as u64;
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// What a block that the device refuses to give reads as: its entries then fail their checksum and are skipped.
const UNREADABLE: u8 = 0xEE;
/// How finely a failed read is tried again, bytes: what a bad sector costs.
const PROBE_BYTES: usize = 4096;

/// Reads `into.len()` bytes at `offset`, fewer at the end of the file. A bad sector does not fail the whole read:
/// it is filled with a constant and left to the checksums. Returns the bytes read and the first error met.
pub(super) fn read_lossy(file: &dyn DiskFile, into: &mut [u8], offset: u64) -> io::Result<(usize, Option<io::Error>)> {
    let mut have = 0;
    let mut first_error = None;
    let mut step = into.len();
    while have < into.len() {
        let until = into.len().min(have + step);
        match file.read_at(&mut into[have..until], offset + have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) if err.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error()) => return Err(err),
            Err(_) if step > PROBE_BYTES => step = PROBE_BYTES,
            Err(err) => {
                into[have..until].fill(UNREADABLE);
                have = until;
                first_error.get_or_insert(err);
            }
        }
    }
    Ok((have, first_error))
}
