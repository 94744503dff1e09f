//! The template registry on disk: `DATA/templates/`.
//!
//! ```text
//! registry   everything, as of some time: `parse::template::registry` describes it
//! changes    what was learnt since: a header, then records
//!   header   "LHTCHG" version:u16 base:u32 crc32(of those):u32     base: the registry's checksum
//!   record   length:u32 crc32(length):u32 crc32(body):u32 body    body: `parse::template::changes`
//! ```
//!
//! Numbers are little-endian. A record is durable before any shard commits an id that is in it, so an id in a shard can
//! be resolved after a crash, and its line finds it again. When the changes have outgrown the registry, a new registry is
//! written beside the old one and takes its name in one step; changes of another base are then left from before that
//! step, and nothing in them is missed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::shard::sync_dir;
use crate::parse::template::{Limits, LoadError, Miner};

const REGISTRY: &str = "registry";
const REGISTRY_NEXT: &str = "registry.tmp";
const CHANGES: &str = "changes";
const MAGIC: &[u8; 6] = b"LHTCHG";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;
const FRAME_BYTES: usize = 12;
/// Changes up to here are kept apart however small the registry is.
const CHANGES_BYTES_MIN: u64 = 1 << 20;

/// Where a miner is kept.
#[derive(Debug)]
pub struct TemplateRegistry {
    dir: PathBuf,
    /// Checksum of the registry; 0 while there is none.
    base: u32,
    registry_bytes: u64,
    /// Open for appending; `None` until there are changes.
    changes: Option<File>,
    changes_bytes: u64,
}

/// What was on disk.
#[derive(Debug)]
pub struct OpenedRegistry {
    pub registry: TemplateRegistry,
    /// Remembers from now on what is to be saved.
    pub miner: Miner,
    /// Damage found, each with what was done about it.
    pub damages: Vec<String>,
    /// A last change that was not written whole: no shard has an id of it.
    pub torn: Option<String>,
}

/// What stands at a place of the changes.
enum Frame<'b> {
    /// A body, and where the next record begins.
    Whole(&'b [u8], usize),
    /// What an interrupted write leaves: too few bytes, or the blocks of the last record without their content.
    Torn,
    Damaged,
}

impl TemplateRegistry {
    /// Opens what is under `dir`, making it if there is none. What is damaged is renamed to `….damaged-N`, and the miner
    /// goes on with what could be read. `held` is the highest id that any stored record has; no id up to it is given.
    ///
    /// Fails where the disk does, and where a newer program wrote the files.
    pub fn open(dir: impl Into<PathBuf>, limits: Limits, held: u64) -> Result<OpenedRegistry, Error> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        let saved = read(&dir.join(REGISTRY))?;
        let changes = read(&dir.join(CHANGES))?;
        let mut opened = OpenedRegistry {
            registry: Self { dir, base: 0, registry_bytes: 0, changes: None, changes_bytes: 0 },
            miner: Miner::new(limits),
            damages: Vec::new(),
            torn: None,
        };
        let mut everything = true;
        match &saved {
            None => {}
            Some(bytes) => match load(bytes, limits) {
                Ok(miner) => {
                    opened.miner = miner;
                    opened.registry.base = checksum_at_end(bytes);
                    opened.registry.registry_bytes = bytes.len() as u64;
                    everything = false;
                }
                Err(LoadError::Version(found)) => return Err(opened.registry.version(REGISTRY, found)),
                Err(error) => opened.set_aside(REGISTRY, &error.to_string())?,
            },
        }
        if let Some(bytes) = &changes {
            everything |= opened.take_changes(saved.as_deref(), bytes, limits)?;
        }
        if opened.miner.given() < held && (saved.is_some() || changes.is_some()) {
            opened.damages.push(format!(
                "templates: records have ids up to {held}, the registry in {} knows {}: those in between are shown \
                 without their text; new ones begin behind them",
                opened.registry.dir.display(),
                opened.miner.given()
            ));
        }
        opened.miner.track(everything);
        opened.miner.never_below(held);
        opened.miner.limit(limits);
        Ok(opened)
    }

    /// Appends the body of a change; durable on return. After an error only [`TemplateRegistry::replace`] may follow.
    pub fn append(&mut self, body: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(HEADER_BYTES + FRAME_BYTES + body.len());
        let is_first = self.changes.is_none();
        let file = match &mut self.changes {
            Some(file) => file,
            none => {
                out.extend(MAGIC);
                out.extend(VERSION.to_le_bytes());
                out.extend(self.base.to_le_bytes());
                out.extend(crc32fast::hash(&out).to_le_bytes());
                none.insert(File::create(self.dir.join(CHANGES))?)
            }
        };
        let length = (body.len() as u32).to_le_bytes();
        out.extend(length);
        out.extend(crc32fast::hash(&length).to_le_bytes());
        out.extend(crc32fast::hash(body).to_le_bytes());
        out.extend(body);
        file.write_all(&out)?;
        file.sync_data()?;
        if is_first {
            File::open(&self.dir)?.sync_all()?;
        }
        self.changes_bytes += out.len() as u64;
        Ok(())
    }

    /// Replaces everything by what [`Miner::save`] wrote; durable on return.
    pub fn replace(&mut self, saved: &[u8]) -> io::Result<()> {
        let next = self.dir.join(REGISTRY_NEXT);
        let mut file = File::create(&next)?;
        file.write_all(saved)?;
        file.sync_data()?;
        fs::rename(&next, self.dir.join(REGISTRY))?;
        File::open(&self.dir)?.sync_all()?;
        self.base = checksum_at_end(saved);
        self.registry_bytes = saved.len() as u64;
        (self.changes, self.changes_bytes) = (None, 0);
        // The old changes are of another base now: were they to stay, nothing would read them.
        let _ = fs::remove_file(self.dir.join(CHANGES));
        Ok(())
    }

    /// Whether the changes have outgrown the registry: time to write it anew.
    pub fn is_long(&self) -> bool {
        self.changes_bytes > self.registry_bytes.max(CHANGES_BYTES_MIN)
    }

    /// Bytes of both files.
    pub fn bytes(&self) -> u64 {
        self.registry_bytes + self.changes_bytes
    }

    fn version(&self, name: &str, found: u16) -> Error {
        Error::Version { path: self.dir.join(name), found: found.to_string(), ours: u32::from(VERSION) }
    }
}

impl OpenedRegistry {
    /// Takes in the changes; true when what is on disk is not what the miner has.
    fn take_changes(&mut self, saved: Option<&[u8]>, bytes: &[u8], limits: Limits) -> Result<bool, Error> {
        let has_registry = self.registry.registry_bytes > 0;
        match read_header(bytes) {
            Ok(base) if base == self.registry.base => {}
            Ok(_) if has_registry => return Ok(true),
            Ok(_) => {
                self.set_aside(CHANGES, "they continue a registry that is not there")?;
                return Ok(true);
            }
            Err(Some(found)) => return Err(self.registry.version(CHANGES, found)),
            Err(None) if bytes.len() < HEADER_BYTES => {
                self.torn = Some(format!("{} bytes of a first change", bytes.len()));
                return Ok(true);
            }
            Err(None) => {
                self.set_aside(CHANGES, "the header is damaged")?;
                return Ok(true);
            }
        }
        let mut at = HEADER_BYTES;
        while at < bytes.len() {
            match frame(bytes, at) {
                Frame::Whole(body, next) => match self.miner.apply(body) {
                    Ok(()) => at = next,
                    // It is half changed now. Written on purpose or by a mistake of ours: the registry alone, then.
                    Err(error) => {
                        self.miner = saved.and_then(|saved| load(saved, limits).ok()).unwrap_or(Miner::new(limits));
                        self.set_aside(CHANGES, &format!("what is at byte {at} makes no sense ({error})"))?;
                        return Ok(true);
                    }
                },
                Frame::Torn => {
                    self.torn = Some(format!("{} bytes from byte {at} of {CHANGES} on", bytes.len() - at));
                    return Ok(true);
                }
                Frame::Damaged => {
                    self.set_aside(CHANGES, &format!("it is damaged at byte {at}; what stands before is taken"))?;
                    return Ok(true);
                }
            }
        }
        let path = self.registry.dir.join(CHANGES);
        let file = File::options().append(true).open(&path).map_err(Error::io(&path))?;
        (self.registry.changes, self.registry.changes_bytes) = (Some(file), bytes.len() as u64);
        Ok(false)
    }

    fn set_aside(&mut self, name: &str, what: &str) -> Result<(), Error> {
        let dir = &self.registry.dir;
        let aside = |n: u32| dir.join(format!("{name}.damaged-{n}"));
        let to = (1..).map(aside).find(|path| !path.exists()).unwrap_or_else(|| aside(0));
        let from = dir.join(name);
        fs::rename(&from, &to).map_err(Error::io(&from))?;
        sync_dir(dir)?;
        self.damages.push(format!(
            "templates: cannot use {}: {what}; set aside as {}. New templates get new ids; old ids are shown without their \
             text where it is lost. Restore the directory from a backup while loghound is stopped, or delete the file",
            from.display(),
            to.display()
        ));
        Ok(())
    }
}

/// Nothing may be forgotten before the changes are in.
fn load(saved: &[u8], limits: Limits) -> Result<Miner, LoadError> {
    Miner::load(saved, Limits { bytes: usize::MAX, ..limits })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// A registry ends with its checksum.
fn checksum_at_end(saved: &[u8]) -> u32 {
    saved.last_chunk().map_or(0, |sum| u32::from_le_bytes(*sum))
}

/// The base; else the version that this program does not know, or nothing for what is no header.
fn read_header(bytes: &[u8]) -> Result<u32, Option<u16>> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(None) };
    let [m @ .., v0, v1, b0, b1, b2, b3, s0, s1, s2, s3] = *header;
    if m != *MAGIC || crc32fast::hash(&header[..12]) != u32::from_le_bytes([s0, s1, s2, s3]) {
        return Err(None);
    }
    match u16::from_le_bytes([v0, v1]) {
        VERSION => Ok(u32::from_le_bytes([b0, b1, b2, b3])),
        other => Err(Some(other)),
    }
}

/// The record at `at`, which is not behind the end.
fn frame(bytes: &[u8], at: usize) -> Frame<'_> {
    let rest = &bytes[at..];
    let Some((head, rest)) = rest.split_first_chunk::<FRAME_BYTES>() else { return Frame::Torn };
    let [l0, l1, l2, l3, c0, c1, c2, c3, s0, s1, s2, s3] = *head;
    let length = [l0, l1, l2, l3];
    if crc32fast::hash(&length) != u32::from_le_bytes([c0, c1, c2, c3]) {
        // A file may have grown before its content came.
        let empty = head.iter().chain(rest).all(|byte| *byte == 0);
        return if empty { Frame::Torn } else { Frame::Damaged };
    }
    let length = u32::from_le_bytes(length) as usize;
    let Some(body) = rest.get(..length) else { return Frame::Torn };
    if crc32fast::hash(body) == u32::from_le_bytes([s0, s1, s2, s3]) {
        Frame::Whole(body, at + FRAME_BYTES + length)
    } else if rest.len() == length {
        Frame::Torn
    } else {
        Frame::Damaged
    }
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
