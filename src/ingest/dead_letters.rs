//! Events that could not be decoded, kept with their bytes and the reason, so that one bad event neither blocks a
//! node's logs nor is lost.
//!
//! `DATA/dead-letters/NNNNNNNN.ndjson`: one JSON object a line, the body in base64. A file that has grown past its
//! size is followed by a new one; the oldest go when there are too many.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

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
    known: HashSet<(u64, u32)>,
}

impl DeadLetters {
    /// Opens the newest file. A last line that a crash cut is dropped: it is replayed.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| Error { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let mut known = HashSet::new();
        let number = numbers(dir).map_err(at(dir))?.last().copied().unwrap_or(1);
        let path = dir.join(name(number));
        let mut whole = 0u64;
        if path.exists() {
            let mut reader = BufReader::new(File::open(&path).map_err(at(&path))?);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).map_err(at(&path))? > 0 {
                let Ok(letter) = serde_json::from_slice::<DeadLetter>(&line) else { break };
                if line.last() != Some(&b'\n') {
                    break;
                }
                known.insert((letter.position, letter.index));
                whole += line.len() as u64;
                line.clear();
            }
        }
        let file = File::options().create(true).append(true).open(&path).map_err(at(&path))?;
        file.set_len(whole).map_err(at(&path))?;
        Ok(Self { dir: dir.to_owned(), number, file, bytes: whole, known })
    }

    /// Writes the letters that are not there yet and makes them durable; returns how many were new.
    pub fn append(&mut self, letters: &[DeadLetter]) -> Result<usize, Error> {
        let mut text = Vec::new();
        let mut new = Vec::new();
        for letter in letters {
            let id = (letter.position, letter.index);
            if self.known.contains(&id) || new.contains(&id) {
                continue;
            }
            let written = serde_json::to_writer(&mut text, letter);
            written.map_err(|e| self.error(e.into()))?;
            text.push(b'\n');
            new.push(id);
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
        self.number += 1;
        let path = self.dir.join(name(self.number));
        self.file = File::options().create(true).append(true).open(&path).map_err(|source| Error { path, source })?;
        self.bytes = 0;
        // Only a replay asks again for what is known, and it reaches no further back than the newest file.
        self.known.clear();
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
}
