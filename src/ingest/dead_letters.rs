//! Events that could not be decoded, kept with their bytes and the reason, so that one bad event neither blocks a
//! node's logs nor is lost.
//!
//! `DATA/dead-letters/NNNNNNNN.ndjson`: one JSON object a line, the body in base64. A file that has grown past its
//! size is followed by a new one; the oldest go when there are too many. A whole line that cannot be read is damage on
//! the disk: it stays where it is, and nothing behind it is lost for it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tracing::warn;

const FILE_BYTES_MAX: u64 = 16 << 20;
const FILES_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; check free space and permissions", path = path.display())]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// One bad event.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct DeadLetter {
    /// The journal position of its batch, and its place in it: together they name it.
    pub position: u64,
    pub index: u32,
    /// RFC 3339.
    pub received_at: String,
    pub peer: String,
    pub reason: String,
    pub body_base64: String,
}

impl DeadLetter {
    pub fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }
}

/// Appends letters; a letter that is there already is not written twice, so that replaying the journal adds nothing.
pub struct DeadLetters {
    dir: PathBuf,
    number: u64,
    file: File,
    bytes: u64,
    /// The letters of the newest file and of the one before: a replay may begin before the newest was begun.
    known: HashSet<(u64, u32)>,
    known_before: HashSet<(u64, u32)>,
}

impl DeadLetters {
    /// Opens the newest file. A last line that a crash cut is dropped: it is replayed.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| Error { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let mut numbers = numbers(dir).map_err(at(dir))?;
        let number = numbers.pop().unwrap_or(1);
        let path = dir.join(name(number));
        let file = create(dir, &path).map_err(at(&path))?;
        let (known, whole) = letters(&path).map_err(at(&path))?;
        let known_before = match numbers.pop().map(|before| dir.join(name(before))) {
            Some(before) => letters(&before).map_err(at(&before))?.0,
            None => HashSet::new(),
        };
        file.set_len(whole).map_err(at(&path))?;
        Ok(Self { dir: dir.to_owned(), number, file, bytes: whole, known, known_before })
    }

    /// Writes the letters that are not there yet and makes them durable; returns how many were new.
    pub fn append(&mut self, letters: &[DeadLetter]) -> Result<usize, Error> {
        let mut text = Vec::new();
        let mut new = HashSet::new();
        for letter in letters {
            let id = (letter.position, letter.index);
            if self.known.contains(&id) || self.known_before.contains(&id) || !new.insert(id) {
                continue;
            }
            let written = serde_json::to_writer(&mut text, letter);
            written.map_err(|e| self.error(e.into()))?;
            text.push(b'\n');
        }
        if new.is_empty() {
            return Ok(0);
        }
        if self.bytes > FILE_BYTES_MAX {
            self.rotate()?;
        }
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What a failed write left is cut off, so that the next one starts on a line of its own.
            let _ = self.file.set_len(self.bytes);
            return Err(self.error(error));
        }
        self.bytes += text.len() as u64;
        self.known.extend(&new);
        Ok(new.len())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        let path = self.dir.join(name(self.number + 1));
        self.file = create(&self.dir, &path).map_err(|source| Error { path, source })?;
        self.number += 1;
        self.bytes = 0;
        self.known_before = std::mem::take(&mut self.known);
        let numbers = numbers(&self.dir).map_err(|e| self.error(e))?;
        for old in numbers.iter().take(numbers.len().saturating_sub(FILES_MAX)) {
            let path = self.dir.join(name(*old));
            fs::remove_file(&path).map_err(|source| Error { path, source })?;
        }
        Ok(())
    }

    fn error(&self, source: io::Error) -> Error {
        Error { path: self.dir.join(name(self.number)), source }
    }
}

/// Opens a file for appending; a new one's name is made durable with it.
fn create(dir: &Path, path: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

/// Position and index of each letter in a file, and its length up to the last whole line: bytes.
fn letters(path: &Path) -> io::Result<(HashSet<(u64, u32)>, u64)> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut known, mut whole, mut unreadable, mut line) = (HashSet::new(), 0, 0, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        match serde_json::from_slice::<DeadLetter>(&line) {
            Ok(letter) => drop(known.insert((letter.position, letter.index))),
            Err(_) => unreadable += 1,
        }
        whole += line.len() as u64;
        line.clear();
    }
    if unreadable > 0 {
        warn!(path = %path.display(), lines = unreadable, "dead letters cannot be read: the file was damaged or edited");
    }
    Ok((known, whole))
}

fn name(number: u64) -> String {
    format!("{number:08}.ndjson")
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)?
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.strip_suffix(".ndjson")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(position: u64, index: u32) -> DeadLetter {
        DeadLetter {
            position,
            index,
            received_at: "2026-01-01T00:00:00.000Z".into(),
            peer: "10.0.0.1".into(),
            reason: "expected a value at byte 3".into(),
            body_base64: DeadLetter::encode(b"{\"a\":"),
        }
    }

    #[test]
    fn a_letter_is_kept_once_over_restarts_and_torn_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DeadLetters::open(dir.path()).unwrap();
        assert_eq!(store.append(&[letter(1, 0), letter(1, 3), letter(1, 0)]).unwrap(), 2);
        drop(store);
        let path = dir.path().join(name(1));
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"position\":2,\"ind");
        fs::write(&path, text).unwrap();
        let mut store = DeadLetters::open(dir.path()).unwrap();
        assert_eq!(store.append(&[letter(1, 3), letter(2, 0)]).unwrap(), 1);
        let lines: Vec<DeadLetter> =
            fs::read_to_string(&path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines, [letter(1, 0), letter(1, 3), letter(2, 0)]);
    }

    #[test]
    fn a_damaged_line_costs_nothing_but_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DeadLetters::open(dir.path()).unwrap();
        store.append(&[letter(1, 0), letter(2, 0), letter(3, 0)]).unwrap();
        let path = dir.path().join(name(1));
        let mut text = fs::read(&path).unwrap();
        let second = text.iter().position(|b| *b == b'\n').unwrap() + 1;
        text[second] = b'#';
        fs::write(&path, &text).unwrap();
        let mut store = DeadLetters::open(dir.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), text);
        assert_eq!(store.append(&[letter(1, 0), letter(3, 0)]).unwrap(), 0);
    }

    #[test]
    fn files_follow_each_other_and_a_replay_reaches_back_over_the_edge() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DeadLetters::open(dir.path()).unwrap();
        for position in 1..=FILES_MAX as u64 + 3 {
            assert_eq!(store.append(&[letter(position, 0)]).unwrap(), 1);
            // As if it were full.
            store.bytes = FILE_BYTES_MAX + 1;
        }
        assert_eq!(numbers(dir.path()).unwrap(), (4..=FILES_MAX as u64 + 3).collect::<Vec<_>>());
        let last = FILES_MAX as u64 + 3;
        assert_eq!(store.append(&[letter(last - 1, 0), letter(last, 0)]).unwrap(), 0);
        let mut store = DeadLetters::open(dir.path()).unwrap();
        assert_eq!(store.append(&[letter(last - 1, 0), letter(last, 0), letter(last, 1)]).unwrap(), 1);
    }
}
