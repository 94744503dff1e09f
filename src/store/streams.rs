//! A shard's own table, `streams.log`: which stream and which grammar has which number, and which field names the shard
//! indexes.
//!
//! Append-only. Layout, little-endian: 8 bytes magic `LHSTREAM`, u32 version (2), u32 flags (1: names of texts are kept;
//! 0 in tables older than that); then records of
//! u32 length (of kind and payload), u32 CRC-32 (of the same bytes), u8 kind, payload (JSON):
//!
//! | kind | payload |
//! |---|---|
//! | 1 stream | `{"n": number, "key": hex, "sender": …, "seed": …, "fields": {…}}`; numbers are dense from 0 |
//! | 2 field name | `{"path": …}`: this name is indexed; behind a `\u{2}`: it has values that are in `text` alone |
//! | 3 full | `{}`: some name was refused since |
//! | 4 grammar | `{"n": number, "name": …, "version": hex, "source": …}`: enough to parse the shard's lines again |
//!
//! What a commit refers to is synced before it. So a torn tail belongs to no commit and is dropped; if the last commit
//! knew more streams or grammars than the file still has, those numbers keep an empty entry, so that none is given out twice.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::record::{GrammarRef, PATH_SEPARATOR, Stream, StreamKey};

pub const FILE: &str = "streams.log";
const MAGIC: &[u8; 8] = b"LHSTREAM";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 16;
const FRAME_BYTES: usize = 8;

/// Flag: every name with values that are in `text` alone has a record.
const KEEPS_TEXTS: u32 = 1;
/// Begins a name that has values in `text` alone, where names are admitted and written.
pub const TEXT_MARK: char = '\u{2}';

const KIND_STREAM: u8 = 1;
const KIND_PATH: u8 = 2;
const KIND_FULL: u8 = 3;
const KIND_GRAMMAR: u8 = 4;

/// A longer field name is not indexed: it would be longer than what it names.
pub const PATH_BYTES_MAX: usize = 512;

/// What a shard keeps of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEntry {
    pub key: StreamKey,
    /// The fields, nested, as Filebeat sends them. Empty where damage took them.
    pub fields: Map<String, Json>,
    pub sender: String,
    pub identity_seed: u64,
}

/// What a shard keeps of a grammar that parsed lines of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrammarEntry {
    /// Empty where damage took the entry.
    pub name: String,
    pub version: u64,
    /// What it is made from; empty where its parser is part of the program.
    pub source: String,
}

#[derive(Serialize, Deserialize)]
struct GrammarRecord<'a> {
    n: u32,
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    source: Cow<'a, str>,
}

#[derive(Serialize)]
struct StreamOut<'a> {
    n: u32,
    key: String,
    sender: &'a str,
    seed: u64,
    fields: &'a Map<String, Json>,
}

#[derive(Deserialize)]
struct StreamIn {
    n: u32,
    key: String,
    sender: String,
    seed: u64,
    fields: Map<String, Json>,
}

#[derive(Serialize, Deserialize)]
struct PathRecord {
    path: String,
}

/// Something in the file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub offset: u64,
    pub what: &'static str,
}

/// How many streams and grammars a commit knew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub streams: usize,
    #[serde(default)]
    pub grammars: usize,
}

/// The table in memory and the file behind it.
#[derive(Debug)]
pub struct StreamTable {
    path: PathBuf,
    file: File,
    /// Bytes of the file that are whole and synced.
    saved_bytes: u64,
    /// Records not yet written.
    unsaved: Vec<u8>,
    entries: Vec<Arc<StreamEntry>>,
    numbers: HashMap<StreamKey, u32>,
    grammars: Vec<Arc<GrammarEntry>>,
    paths: HashSet<Box<str>>,
    /// Names with values that are in `text` alone; `None` where that was not written down.
    texts: Option<HashSet<Box<str>>>,
    paths_max: usize,
    full: bool,
    /// Counts changes, so that a snapshot is made only of something new.
    pub changes: u64,
}

/// What a reader sees of the table: unchanging.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub streams: Arc<[Arc<StreamEntry>]>,
    pub grammars: Arc<[Arc<GrammarEntry>]>,
    pub paths: Arc<HashSet<Box<str>>>,
    pub texts: Option<Arc<HashSet<Box<str>>>>,
    pub full: bool,
    pub changes: u64,
}

impl StreamTable {
    /// Writes an empty table.
    pub fn create(dir: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(dir.join(FILE))?;
        let mut header = [0u8; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..].copy_from_slice(&KEEPS_TEXTS.to_le_bytes());
        file.write_all_at(&header, 0)?;
        file.sync_all()
    }

    /// Reads the table of `dir`; `known` is what the last commit knew. An error of kind
    /// `InvalidData` means that this is no table.
    pub fn open(dir: &Path, known: Known, paths_max: usize) -> io::Result<(Self, Option<Damage>)> {
        let file = OpenOptions::new().read(true).write(true).open(dir.join(FILE))?;
        let (mut table, damage) = Self::read(dir, file, known, paths_max)?;
        table.file.set_len(table.saved_bytes)?;
        while table.entries.len() < known.streams {
            table.lose_one();
        }
        while table.grammars.len() < known.grammars {
            table.lose_grammar();
        }
        Ok((table, damage))
    }

    /// What of the table of `dir` cannot be read; changes nothing. Errors as for [`StreamTable::open`].
    pub fn check(dir: &Path, known: Known) -> io::Result<Option<Damage>> {
        Ok(Self::read(dir, File::open(dir.join(FILE))?, known, usize::MAX)?.1)
    }

    fn read(dir: &Path, mut file: File, known: Known, paths_max: usize) -> io::Result<(Self, Option<Damage>)> {
        let path = dir.join(FILE);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(invalid("header is cut")) };
        if &header[..8] != MAGIC {
            return Err(invalid("not a stream table"));
        }
        if header[8..12] != VERSION.to_le_bytes() {
            return Err(invalid("written by a newer version"));
        }
        let mut table = Self {
            path,
            file,
            saved_bytes: HEADER_BYTES as u64,
            unsaved: Vec::new(),
            entries: Vec::new(),
            numbers: HashMap::new(),
            grammars: Vec::new(),
            paths: HashSet::new(),
            texts: (header[12..] == KEEPS_TEXTS.to_le_bytes()).then(HashSet::new),
            paths_max,
            full: false,
            changes: 1,
        };
        let damage = table.load(&bytes, known);
        if damage.is_some() {
            // Some may be missing now.
            table.texts = None;
        }
        Ok((table, damage))
    }

    fn load(&mut self, bytes: &[u8], known: Known) -> Option<Damage> {
        let mut damage = None;
        // Records that may have stood in what is damaged: as many numbers may be missing in what follows.
        let mut lost_max = 0;
        let mut at = HEADER_BYTES;
        while at < bytes.len() {
            let frame = good_frame(&bytes[at..]);
            let what = match frame.as_ref().map(|frame| self.apply(frame.body, lost_max)) {
                Ok(Ok(())) => {
                    at += frame.map_or(0, |frame| frame.bytes);
                    self.saved_bytes = at as u64;
                    continue;
                }
                Ok(Err(what)) | Err(&what) => what,
            };
            // A bad record with a good one behind it is damage, not a tail torn by a crash.
            let behind = at + frame.map_or(1, |frame| frame.bytes);
            let next = (behind..bytes.len()).find(|&next| good_frame(&bytes[next..]).is_ok());
            if next.is_some() || self.lacks(known) {
                damage.get_or_insert(Damage { offset: at as u64, what });
            }
            let Some(next) = next else { break };
            lost_max += (next - at).div_ceil(FRAME_BYTES + 1);
            at = next;
            self.saved_bytes = at as u64;
        }
        if damage.is_none() && self.lacks(known) {
            damage =
                Some(Damage { offset: self.saved_bytes, what: "streams or grammars of the last commit are missing" });
        }
        damage
    }

    fn lacks(&self, known: Known) -> bool {
        self.entries.len() < known.streams || self.grammars.len() < known.grammars
    }

    /// Takes in a record; of the streams or grammars before it, up to `lost_max` may be missing. They keep their numbers,
    /// and their place in the file, damaged as it is.
    fn apply(&mut self, body: &[u8], lost_max: usize) -> Result<(), &'static str> {
        let missing = |n: u32, have: usize| (n as usize).checked_sub(have).filter(|missing| *missing <= lost_max);
        let (&kind, payload) = body.split_first().ok_or("empty record")?;
        match kind {
            KIND_STREAM => {
                let stream: StreamIn = serde_json::from_slice(payload).map_err(|_| "not a stream")?;
                let missing = missing(stream.n, self.entries.len()).ok_or("stream number out of order")?;
                let key = StreamKey(u128::from_str_radix(&stream.key, 16).map_err(|_| "not a stream key")?);
                (0..missing).for_each(|_| self.lose_one());
                self.unsaved.clear();
                let (sender, identity_seed) = (stream.sender, stream.seed);
                self.insert(StreamEntry { key, fields: stream.fields, sender, identity_seed });
            }
            KIND_PATH => {
                let record: PathRecord = serde_json::from_slice(payload).map_err(|_| "not a field name")?;
                match (record.path.strip_prefix(TEXT_MARK), &mut self.texts) {
                    (Some(name), Some(texts)) => _ = texts.insert(name.into()),
                    (Some(_), None) => {}
                    (None, _) => _ = self.paths.insert(record.path.into()),
                }
            }
            KIND_FULL => self.full = true,
            KIND_GRAMMAR => {
                let record: GrammarRecord<'_> = serde_json::from_slice(payload).map_err(|_| "not a grammar")?;
                let missing = missing(record.n, self.grammars.len()).ok_or("grammar number out of order")?;
                let version = u64::from_str_radix(&record.version, 16).map_err(|_| "not a grammar's version")?;
                (0..missing).for_each(|_| self.lose_grammar());
                self.unsaved.clear();
                let (name, source) = (record.name.into_owned(), record.source.into_owned());
                self.insert_grammar(GrammarEntry { name, version, source });
            }
            _ => return Err("unknown kind"),
        }
        Ok(())
    }

    fn insert(&mut self, entry: StreamEntry) -> u32 {
        let number = self.entries.len() as u32;
        self.numbers.insert(entry.key, number);
        self.entries.push(Arc::new(entry));
        self.changes += 1;
        number
    }

    /// Gives a number away to a stream that damage took.
    fn lose_one(&mut self) {
        let n = self.entries.len() as u32;
        // A key no hash gives twice: it only has to differ from those of living streams.
        let key = StreamKey(u128::from(n));
        let fields = Map::new();
        let out = StreamOut { n, key: format!("{:x}", key.0), sender: "", seed: 0, fields: &fields };
        frame(&mut self.unsaved, KIND_STREAM, &out);
        self.insert(StreamEntry { key, fields, sender: String::new(), identity_seed: 0 });
    }

    /// Gives a number away to a grammar that damage took.
    fn lose_grammar(&mut self) {
        let n = self.grammars.len() as u32;
        let out = GrammarRecord { n, name: "".into(), version: "0".into(), source: "".into() };
        frame(&mut self.unsaved, KIND_GRAMMAR, &out);
        self.insert_grammar(GrammarEntry::default());
    }

    /// The stream's number, a new one if it has none.
    pub fn number(&mut self, stream: &Stream) -> u32 {
        if let Some(&number) = self.numbers.get(&stream.key) {
            return number;
        }
        let out = StreamOut {
            n: self.entries.len() as u32,
            key: format!("{:x}", stream.key.0),
            sender: &stream.sender,
            seed: stream.identity_seed,
            fields: &stream.fields,
        };
        frame(&mut self.unsaved, KIND_STREAM, &out);
        self.insert(StreamEntry {
            key: stream.key,
            fields: stream.fields.clone(),
            sender: stream.sender.clone(),
            identity_seed: stream.identity_seed,
        })
    }

    /// The grammar's number, a new one if it has none.
    pub fn grammar_number(&mut self, grammar: GrammarRef<'_>) -> u32 {
        let known = self.grammars.iter().position(|g| g.version == grammar.version && g.name == grammar.name);
        if let Some(number) = known {
            return number as u32;
        }
        let GrammarRef { name, version, source } = grammar;
        let n = self.grammars.len() as u32;
        let out = GrammarRecord { n, name: name.into(), version: format!("{version:x}").into(), source: source.into() };
        frame(&mut self.unsaved, KIND_GRAMMAR, &out);
        self.insert_grammar(GrammarEntry { name: name.to_owned(), version, source: source.to_owned() });
        n
    }

    fn insert_grammar(&mut self, entry: GrammarEntry) {
        self.grammars.push(Arc::new(entry));
        self.changes += 1;
    }

    /// Whether the shard indexes fields of this name (segments joined by `\u{1}`). Beyond the limit new ones are not.
    pub fn admit_path(&mut self, path: &str) -> bool {
        let path = &*normal_path(path);
        let (known, name) = match (path.strip_prefix(TEXT_MARK), &mut self.texts) {
            (Some(name), Some(texts)) => (texts, name),
            (Some(_), None) => return true,
            (None, _) => (&mut self.paths, path),
        };
        if known.contains(name) {
            return true;
        }
        // A NUL ends the name inside tantivy's terms.
        if known.len() < self.paths_max && path.len() <= PATH_BYTES_MAX && !path.contains('\0') {
            frame(&mut self.unsaved, KIND_PATH, &PathRecord { path: path.to_owned() });
            known.insert(name.into());
            self.changes += 1;
            return true;
        }
        if !self.full {
            self.full = true;
            self.changes += 1;
            frame(&mut self.unsaved, KIND_FULL, &Map::new());
        }
        false
    }

    /// Writes and syncs what is new. After an error the next call writes the same again at the same place.
    pub fn save(&mut self) -> io::Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(&self.unsaved, self.saved_bytes)?;
        self.file.sync_data()?;
        self.saved_bytes += self.unsaved.len() as u64;
        self.unsaved.clear();
        Ok(())
    }

    /// What a commit may refer to once the table is saved.
    pub fn known(&self) -> Known {
        Known { streams: self.entries.len(), grammars: self.grammars.len() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            streams: self.entries.as_slice().into(),
            grammars: self.grammars.as_slice().into(),
            paths: Arc::new(self.paths.clone()),
            texts: self.texts.clone().map(Arc::new),
            full: self.full,
            changes: self.changes,
        }
    }
}

/// A field name with [`PATH_SEPARATOR`] between all segments, as tantivy's `expand_dots` has it.
pub fn normal_path(path: &str) -> Cow<'_, str> {
    if path.contains('.') {
        Cow::Owned(path.replace('.', PATH_SEPARATOR.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(path)
    }
}

struct Frame<'b> {
    crc: u32,
    body: &'b [u8],
    bytes: usize,
}

fn read_frame(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or("record is cut")?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or("record is cut")?;
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 {
        return Err("empty record");
    }
    let body = rest.get(..length).ok_or("record is cut")?;
    Ok(Frame { crc: u32::from_le_bytes(*crc), body, bytes: FRAME_BYTES + length })
}

/// A frame as it was written. What its body begins with is looked at before the checksum is worked out: behind damage a
/// frame is searched for at every byte.
fn good_frame(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let frame = read_frame(bytes)?;
    if frame.body.get(1) != Some(&b'{') {
        return Err("not a record");
    }
    if crc32fast::hash(frame.body) != frame.crc {
        return Err("checksum differs");
    }
    Ok(frame)
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: &impl Serialize) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    out.push(kind);
    // Strings, numbers and maps with string keys always serialise; writing to memory does not fail.
    if serde_json::to_writer(&mut *out, payload).is_err() {
        out.truncate(start);
        return;
    }
    let body = start + FRAME_BYTES;
    let (length, crc) = ((out.len() - body) as u32, crc32fast::hash(&out[body..]));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use serde_json::json;

    use super::*;

    fn stream(n: u128) -> Stream {
        let fields = json!({"kubernetes": {"pod": {"name": format!("pod-{n}")}}});
        Stream {
            key: StreamKey(n << 64 | 7),
            canonical: fields.to_string(),
            fields: fields.as_object().unwrap().clone(),
            sender: "node-1".into(),
            identity_seed: 99,
            memory: AtomicU64::new(0),
        }
    }

    fn streams(streams: usize) -> Known {
        Known { streams, grammars: 0 }
    }

    fn filled(dir: &Path) -> Vec<u8> {
        StreamTable::create(dir).unwrap();
        let (mut table, damage) = StreamTable::open(dir, Known::default(), 2).unwrap();
        assert_eq!(damage, None);
        for n in 0..3 {
            assert_eq!(table.number(&stream(n)), n as u32);
            assert_eq!(table.number(&stream(n)), n as u32);
        }
        let admitted = ["a", "b\u{1}c", "\u{2}a", "\u{2}t.t", "d", "a"].map(|path| table.admit_path(path));
        assert_eq!(admitted, [true, true, true, true, false, true]);
        table.save().unwrap();
        std::fs::read(dir.join(FILE)).unwrap()
    }

    #[test]
    fn a_table_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let (mut table, damage) = StreamTable::open(dir.path(), streams(3), 2).unwrap();
        assert_eq!(damage, None);
        let snapshot = table.snapshot();
        assert_eq!((snapshot.streams.len(), snapshot.paths.len(), snapshot.full), (3, 2, true));
        let mut texts: Vec<String> = snapshot.texts.unwrap().iter().map(|name| name.to_string()).collect();
        texts.sort();
        assert_eq!(texts, ["a", "t\u{1}t"]);
        assert_eq!(snapshot.streams[1].fields, stream(1).fields);
        assert_eq!((&*snapshot.streams[1].sender, snapshot.streams[1].identity_seed), ("node-1", 99));
        assert_eq!(table.number(&stream(2)), 2);
        assert_eq!(table.number(&stream(3)), 3);
        assert!(!table.admit_path("d"));
    }

    #[test]
    fn an_older_table_knows_no_texts() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = filled(dir.path());
        bytes[12] = 0;
        std::fs::write(dir.path().join(FILE), &bytes).unwrap();
        let (mut table, damage) = StreamTable::open(dir.path(), streams(3), 2).unwrap();
        assert_eq!((damage, table.snapshot().texts, table.snapshot().paths.len()), (None, None, 2));
        assert!(table.admit_path("\u{2}new"));
        assert_eq!(table.snapshot().texts, None);
    }

    #[test]
    fn a_table_cut_anywhere_keeps_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = filled(dir.path());
        for cut in HEADER_BYTES..bytes.len() {
            std::fs::write(dir.path().join(FILE), &bytes[..cut]).unwrap();
            let (mut table, damage) = StreamTable::open(dir.path(), Known::default(), 2).unwrap();
            assert_eq!(damage, None, "cut at {cut}");
            let whole = table.known().streams;
            assert_eq!(table.number(&stream(7)) as usize, whole, "cut at {cut}");
            table.save().unwrap();
            let (table, damage) = StreamTable::open(dir.path(), streams(whole + 1), 2).unwrap();
            assert_eq!((table.known().streams, damage), (whole + 1, None), "cut at {cut}");
        }
        for cut in 0..HEADER_BYTES {
            std::fs::write(dir.path().join(FILE), &bytes[..cut]).unwrap();
            let error = StreamTable::open(dir.path(), Known::default(), 2).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn streams_a_commit_knew_and_the_file_lost_keep_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = filled(dir.path());
        std::fs::write(dir.path().join(FILE), &bytes[..HEADER_BYTES + 20]).unwrap();
        let (mut table, damage) = StreamTable::open(dir.path(), streams(3), 2).unwrap();
        assert!(damage.is_some());
        assert_eq!(table.number(&stream(1)), 3);
        table.save().unwrap();
        let (table, _) = StreamTable::open(dir.path(), streams(4), 2).unwrap();
        assert_eq!(table.known().streams, 4);
    }

    #[test]
    fn a_damaged_byte_costs_its_own_record() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let (mut table, _) = StreamTable::open(dir.path(), streams(3), 2).unwrap();
        for name in ["a", "b"] {
            table.grammar_number(GrammarRef { name, version: 7, source: "" });
        }
        table.save().unwrap();
        let good = std::fs::read(dir.path().join(FILE)).unwrap();
        for at in HEADER_BYTES..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x03;
            std::fs::write(dir.path().join(FILE), &bytes).unwrap();
            let (table, _) = StreamTable::open(dir.path(), Known { streams: 3, grammars: 2 }, 2).unwrap();
            let found = table.snapshot();
            assert_eq!((found.streams.len(), found.grammars.len()), (3, 2), "byte {at}");
            let whole = (0..3).filter(|n| found.streams[*n].fields == stream(*n as u128).fields).count();
            let named = (0..2).filter(|n| found.grammars[*n].name == ["a", "b"][*n]).count();
            let kept = whole + named + found.paths.len() + usize::from(found.full);
            assert!(kept >= 7, "byte {at}: {kept} of 8");
        }
    }

    #[test]
    fn a_damaged_record_in_the_middle_keeps_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = filled(dir.path());
        let second = HEADER_BYTES + read_frame(&bytes[HEADER_BYTES..]).unwrap().bytes;
        bytes[second + FRAME_BYTES + 30] ^= 0x55;
        std::fs::write(dir.path().join(FILE), &bytes).unwrap();
        let (table, damage) = StreamTable::open(dir.path(), streams(3), 2).unwrap();
        assert_eq!(damage, Some(Damage { offset: second as u64, what: "checksum differs" }));
        let snapshot = table.snapshot();
        assert_eq!((snapshot.streams.len(), snapshot.paths.len()), (3, 2));
        assert!(snapshot.streams[1].fields.is_empty());
        assert_eq!(snapshot.streams[2].fields, stream(2).fields);
    }
}
