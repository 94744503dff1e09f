//! Where shipped events come from: the lines of files, or generated traffic.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Args;
use crate::record::time::NANOS_PER_SECOND;
use crate::ship::{Envelope, Random, Traffic, Workload};

/// What to send.
pub(super) struct Plan {
    what: What,
    repeat: u32,
    seed: u64,
    /// The time that stands on a plain line's event: Unix nanoseconds. Each line is a microsecond after the one before.
    start_nanos: i64,
}

enum What {
    Files(Vec<PathBuf>),
    Traffic(u64),
}

impl Plan {
    /// Checks that every file can be opened, before anything is sent.
    pub fn new(args: &Args, start_nanos: i64) -> anyhow::Result<Self> {
        let what = match args.generate {
            Some(events) => What::Traffic(events),
            None => {
                for path in &args.files {
                    open(path)?;
                }
                What::Files(args.files.clone())
            }
        };
        Ok(Self { what, repeat: args.repeat.max(1), seed: args.seed, start_nanos })
    }

    /// How many events there are, where that is known without reading the files.
    pub fn events(&self) -> Option<u64> {
        match self.what {
            What::Files(_) => None,
            What::Traffic(events) => Some(events * u64::from(self.repeat)),
        }
    }

    /// Gives each event's JSON to `take` until that wants no more.
    pub fn each(&self, mut take: impl FnMut(&[u8]) -> bool) -> anyhow::Result<()> {
        for copy in 0..self.repeat {
            let wanted = match &self.what {
                What::Traffic(events) => self.each_generated(copy, *events, &mut take),
                What::Files(paths) => self.each_of_files(copy, paths, &mut take)?,
            };
            if !wanted {
                break;
            }
        }
        Ok(())
    }

    fn each_generated(&self, copy: u32, events: u64, take: &mut impl FnMut(&[u8]) -> bool) -> bool {
        // The traffic ends about now: 10,000 lines a second of its own time.
        const LINES_PER_SECOND: f64 = 10_000.0;
        let span = (events as f64 / LINES_PER_SECOND * NANOS_PER_SECOND as f64) as i64;
        let mut traffic = Traffic::new(self.seed, self.start_nanos - span).with_rate(LINES_PER_SECOND);
        if copy > 0 {
            traffic = traffic.with_copy(copy);
        }
        let mut event = Vec::with_capacity(4096);
        for _ in 0..events {
            event.clear();
            traffic.next_event(&mut event);
            if !take(&event) {
                return false;
            }
        }
        true
    }

    fn each_of_files(
        &self,
        copy: u32,
        paths: &[PathBuf],
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> anyhow::Result<bool> {
        let mut random = Random::new(self.seed);
        let mut at_nanos = self.start_nanos;
        let (mut line, mut event) = (Vec::new(), Vec::with_capacity(4096));
        for path in paths {
            let envelope = Envelope::new(&workload(path, copy), &mut Random::new(path_seed(path, copy)));
            let mut reader = open(path)?;
            let mut offset = 0;
            loop {
                line.clear();
                let bytes = reader.read_until(b'\n', &mut line).with_context(|| path.display().to_string())?;
                if bytes == 0 {
                    break;
                }
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                at_nanos += 1000;
                let wanted = if is_event(text) {
                    take(text)
                } else if text.is_empty() {
                    // Filebeat sends no event for an empty line.
                    true
                } else {
                    event.clear();
                    envelope.write(at_nanos, &String::from_utf8_lossy(text), offset, &mut random, &mut event);
                    take(&event)
                };
                if !wanted {
                    return Ok(false);
                }
                offset += bytes as u64;
            }
        }
        Ok(true)
    }
}

/// Whether the line is an event already.
fn is_event(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Shape {
        #[serde(rename = "@timestamp")]
        _timestamp: String,
        #[serde(rename = "message")]
        _message: serde::de::IgnoredAny,
    }
    line.first() == Some(&b'{') && serde_json::from_slice::<Shape>(line).is_ok()
}

/// The container that could have written this file; each copy is another file.
fn workload(path: &Path, copy: u32) -> Workload {
    let stem = path.file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy());
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut path = absolute.to_string_lossy().into_owned();
    if copy > 0 {
        path.push_str(&format!(".{copy}"));
    }
    Workload {
        node: "localhost".to_owned(),
        namespace: "default".to_owned(),
        app: stem.to_string(),
        pod: format!("{stem}-{copy}"),
        container: stem.to_string(),
        image: format!("localhost/{stem}:latest"),
        stream: "stderr",
        path: Some(path),
    }
}

fn path_seed(path: &Path, copy: u32) -> u64 {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    xxhash_rust::xxh3::xxh3_64_with_seed(absolute.as_os_str().as_encoded_bytes(), u64::from(copy))
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write;

    use serde_json::Value;

    use super::*;

    fn plan(path: &Path, repeat: u32) -> Plan {
        Plan { what: What::Files(vec![path.to_owned()]), repeat, seed: 1, start_nanos: 1_780_000_000_000_000_000 }
    }

    #[test]
    fn lines_get_their_true_offsets_and_copies_another_identity() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let ready = br#"{"message":"as it is","@timestamp":"2026-01-02T03:04:05Z"}"#;
        file.write_all(b"first\r\n\nthird \xff\n").unwrap();
        file.write_all(ready).unwrap();
        file.write_all(b"\nlast").unwrap();
        let mut events = Vec::new();
        plan(file.path(), 2)
            .each(|event| {
                events.push(event.to_vec());
                true
            })
            .unwrap();
        assert_eq!(events.len(), 8);
        assert_eq!(events[2], ready);
        let read: Vec<Value> = events.iter().map(|e| serde_json::from_slice(e).unwrap()).collect();
        let lines: Vec<_> =
            read[..4].iter().map(|e| (e["message"].as_str().unwrap(), e["log"]["offset"].as_u64())).collect();
        let last = 7 + 1 + 8 + ready.len() as u64 + 1;
        assert_eq!(lines, [("first", Some(0)), ("third \u{fffd}", Some(8)), ("as it is", None), ("last", Some(last))]);
        let files: HashSet<_> = [0, 4].map(|i| read[i]["log"]["file"]["fingerprint"].to_string()).into();
        assert_eq!(files.len(), 2);
        assert_ne!(read[0]["log"]["file"]["path"], read[4]["log"]["file"]["path"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open(Path::new("/no/such/file.log")).err().unwrap();
        assert!(format!("{error:#}").contains("/no/such/file.log"));
    }
}
