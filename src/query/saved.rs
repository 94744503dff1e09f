//! Queries that people keep under a name: one JSON file, written whole beside itself and put in its place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Queries kept at most: the file is written whole with each change.
pub const SAVED_MAX: usize = 1_000;
/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 100;

/// A query under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SavedQuery {
    pub name: String,
    /// In the query language, pipes and all.
    pub query: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The time range as it was written (`now-1h`), so that it moves on; empty is open.
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub to: String,
}

/// The file, as it is on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    queries: Vec<SavedQuery>,
}

const VERSION: u32 = 1;

/// Why a query cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes, no slash, and nothing that does not print")]
    Name,
    #[error("{SAVED_MAX} queries are saved already: delete one first")]
    Full,
    #[error("cannot write {path}: {source}; check that the disk has room")]
    Write { path: PathBuf, source: io::Error },
}

/// All saved queries, in memory and on disk.
pub struct SavedQueries {
    path: PathBuf,
    queries: Mutex<BTreeMap<String, SavedQuery>>,
}

impl SavedQueries {
    /// Reads `DIR/queries.json`; a directory without one has no queries yet. An error of kind `InvalidData` is a file that
    /// this program cannot read: it is left as it is.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("queries.json");
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Kept>(&bytes).map_err(|err| {
                let text =
                    format!("{}: {err}: mend it, or move it away to start without saved queries", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?,
            Err(err) if err.kind() == io::ErrorKind::NotFound => Kept { version: VERSION, queries: Vec::new() },
            Err(err) => return Err(err),
        };
        if kept.version != VERSION {
            let text = format!("{}: written by a newer version", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let queries = kept.queries.into_iter().map(|query| (query.name.clone(), query)).collect();
        Ok(Self { path, queries: Mutex::new(queries) })
    }

    /// By name.
    pub fn all(&self) -> Vec<SavedQuery> {
        self.queries.lock().values().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<SavedQuery> {
        self.queries.lock().get(name).cloned()
    }

    /// Keeps a query, in the place of one with the same name; true when there was none. It is on disk when this returns;
    /// after an error what was kept before still is.
    pub fn put(&self, query: SavedQuery) -> Result<bool, SaveError> {
        let name = &query.name;
        let bad = |c: char| c.is_control() || c == '/';
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
            return Err(SaveError::Name);
        }
        let mut queries = self.queries.lock();
        if queries.len() >= SAVED_MAX && !queries.contains_key(name) {
            return Err(SaveError::Full);
        }
        let mut changed = queries.clone();
        let new = changed.insert(name.clone(), query).is_none();
        self.write(&changed)?;
        *queries = changed;
        Ok(new)
    }

    /// Forgets a query; false when there is none of that name.
    pub fn delete(&self, name: &str) -> Result<bool, SaveError> {
        let mut queries = self.queries.lock();
        let mut changed = queries.clone();
        if changed.remove(name).is_none() {
            return Ok(false);
        }
        self.write(&changed)?;
        *queries = changed;
        Ok(true)
    }

    fn write(&self, queries: &BTreeMap<String, SavedQuery>) -> Result<(), SaveError> {
        let write = || {
            let kept = Kept { version: VERSION, queries: queries.values().cloned().collect() };
            let beside = self.path.with_extension("json.new");
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(&kept)?)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            let dir = self.path.parent().unwrap_or(Path::new("."));
            File::open(dir)?.sync_all()
        };
        write().map_err(|source| SaveError::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, text: &str) -> SavedQuery {
        SavedQuery { name: name.into(), query: text.into(), from: "now-1h".into(), ..SavedQuery::default() }
    }

    #[test]
    fn what_is_saved_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let saved = SavedQueries::open(dir.path()).unwrap();
        assert!(saved.put(query("errors", "level:E")).unwrap());
        assert!(saved.put(query("slow", "duration:>1s | top 5 by path")).unwrap());
        assert!(!saved.put(query("errors", "level:(E OR F)")).unwrap());
        let all = [query("errors", "level:(E OR F)"), query("slow", "duration:>1s | top 5 by path")];
        assert_eq!(saved.all(), all);
        let saved = SavedQueries::open(dir.path()).unwrap();
        assert_eq!((saved.all(), saved.get("slow")), (all.to_vec(), Some(all[1].clone())));
        assert_eq!((saved.delete("slow").unwrap(), saved.delete("slow").unwrap()), (true, false));
        assert_eq!(SavedQueries::open(dir.path()).unwrap().all(), all[..1]);
        // What a crash left beside the file is nobody's.
        fs::write(dir.path().join("queries.json.new"), "{").unwrap();
        assert_eq!(SavedQueries::open(dir.path()).unwrap().all(), all[..1]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let saved = SavedQueries::open(dir.path()).unwrap();
        for name in ["", " ", "a/b", "a\nb", &"x".repeat(101)] {
            assert!(matches!(saved.put(query(name, "")), Err(SaveError::Name)), "{name:?}");
        }
        saved.put(query("a", "1")).unwrap();
        // A directory stands where the new file is to be written.
        fs::create_dir(dir.path().join("queries.json.new")).unwrap();
        assert!(matches!(saved.put(query("a", "2")), Err(SaveError::Write { .. })));
        assert!(matches!(saved.delete("a"), Err(SaveError::Write { .. })));
        assert_eq!(saved.get("a"), Some(query("a", "1")));
        fs::write(dir.path().join("queries.json"), "[").unwrap();
        assert_eq!(SavedQueries::open(dir.path()).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
