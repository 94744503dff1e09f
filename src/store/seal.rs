//! The seal of a day that has ended: which files it consists of, and their checksums.
//!
//! `seal.json` stands in the shard's directory. Its first line is the CRC-32 of the rest in eight hex digits, the rest is JSON:
//! `{"version": 1, "docs": n, "files": {name: {"bytes": n, "crc32": n}}}`. It names tantivy's segment files, `meta.json`
//! and `streams.log`; not `.managed.json`, which changes whenever somebody begins a segment, before anything is committed.
//!
//! It appears by a rename when all it names is on disk, and goes before the first byte of a later commit is written. So
//! a crash leaves a day that is sealed and true to its seal, or one that is not sealed and will be again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shard::sync_dir;

pub const FILE: &str = "seal.json";
const VERSION: u32 = 1;
/// Bytes read between two pauses.
const CHUNK_BYTES: usize = 1 << 20;

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    version: u32,
    /// Records of the day.
    pub docs: u64,
    files: BTreeMap<String, Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    bytes: u64,
    crc32: u32,
}

/// How fast files are read for their checksums, so that ingestion keeps the disk.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// 0: as fast as the disk gives them.
    pub bytes_per_second: u64,
}

impl Seal {
    /// Reads the files named, relative to `dir`. `go_on` is asked about every MiB; `None` when it said no.
    pub fn of<'n>(
        dir: &Path,
        names: impl IntoIterator<Item = &'n str>,
        docs: u64,
        pace: Pace,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let mut files = BTreeMap::new();
        for name in names {
            let Some(sum) = sum(&dir.join(name), pace, go_on)? else { return Ok(None) };
            files.insert(name.to_owned(), sum);
        }
        Ok(Some(Self { version: VERSION, docs, files }))
    }

    /// Puts the seal on; what it names is synced before.
    pub fn put(&self, dir: &Path) -> io::Result<()> {
        for name in self.files.keys() {
            File::open(dir.join(name))?.sync_all()?;
        }
        let json = serde_json::to_string(self)?;
        let unfinished = dir.join(".seal.json.new");
        let mut file = File::create(&unfinished)?;
        write!(file, "{:08x}\n{json}", crc32fast::hash(json.as_bytes()))?;
        file.sync_all()?;
        fs::rename(&unfinished, dir.join(FILE))?;
        File::open(dir)?.sync_all()
    }

    /// The seal of a shard; `None` where it has none. A damaged one is [`io::ErrorKind::InvalidData`].
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(dir.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} {what}"));
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("is damaged"))?;
        let (crc, json) = text.split_once('\n').ok_or_else(|| damaged("is cut short"))?;
        // Compared as text: a digit in capitals is a flipped bit too.
        if crc != format!("{:08x}", crc32fast::hash(json.as_bytes())) {
            return Err(damaged("does not match its checksum"));
        }
        let seal: Self = serde_json::from_str(json).map_err(|error| damaged(&format!("cannot be read: {error}")))?;
        if seal.version != VERSION {
            return Err(damaged("was written by another version of loghound"));
        }
        Ok(Some(seal))
    }

    /// Takes the seal off, durably, before something is changed.
    pub fn remove(dir: &Path) -> Result<(), super::Error> {
        match fs::remove_file(dir.join(FILE)) {
            Ok(()) => sync_dir(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(super::Error::io(dir.join(FILE))(error)),
        }
    }

    /// What was sealed: names and their sums.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Sum)> {
        self.files.iter().map(|(name, sum)| (name.as_str(), sum))
    }

    /// What is not as it was sealed: a line a file. Empty when all is well.
    pub fn differences(&self, dir: &Path) -> Vec<String> {
        let as_fast = Pace { bytes_per_second: 0 };
        let difference = |(name, sealed): (&String, &Sum)| match sum(&dir.join(name), as_fast, &|| true) {
            Ok(Some(found)) if found == *sealed => None,
            Ok(Some(found)) if found.bytes != sealed.bytes => {
                Some(format!("{name} has {} bytes, {} when it was sealed", found.bytes, sealed.bytes))
            }
            Ok(_) => Some(format!("{name} does not match its checksum")),
            Err(error) => Some(format!("{name} cannot be read: {error}")),
        };
        self.files.iter().filter_map(difference).collect()
    }
}

fn sum(path: &Path, pace: Pace, go_on: &dyn Fn() -> bool) -> io::Result<Option<Sum>> {
    read(path, pace, go_on, |_| Ok(()))
}

/// Copies a file, durably. `go_on` is asked about every MiB; `None` when it said no.
pub(super) fn copy(from: &Path, to: &Path, pace: Pace, go_on: &dyn Fn() -> bool) -> io::Result<Option<Sum>> {
    let mut copied = File::create(to)?;
    let sum = read(from, pace, go_on, |chunk| copied.write_all(chunk))?;
    copied.sync_all()?;
    Ok(sum)
}

fn read(
    path: &Path,
    pace: Pace,
    go_on: &dyn Fn() -> bool,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Option<Sum>> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut hasher, mut bytes) = (crc32fast::Hasher::new(), 0u64);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(Some(Sum { bytes, crc32: hasher.finalize() }));
        }
        hasher.update(&chunk[..read]);
        each(&chunk[..read])?;
        bytes += read as u64;
        if !go_on() {
            return Ok(None);
        }
        if let Some(nanos) = (read as u64 * 1_000_000_000).checked_div(pace.bytes_per_second) {
            std::thread::sleep(Duration::from_nanos(nanos));
        }
    }
}
