//! Trained models on disk: `DATA/detect/models/NAME.model`, a detector's state as [`Detector::save`] writes it (versioned,
//! checksummed), beside `NAME.json`, what it was made of. `replaced.model` is what the last activation put aside.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::detect::Model;

/// What activation put aside, until the next one.
const REPLACED: &str = "replaced";
/// Models kept; the oldest beyond them are deleted.
const KEPT_MAX: usize = 10;

/// A model could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("there is no model {0:?}: loghound models list shows those there are")]
    Unknown(String),
    #[error("{0:?} is no name for a model: 1 to 64 of a-z, 0-9, - and _, and not {REPLACED:?}")]
    Name(String),
    #[error("{path}: {source}; train it anew", path = path.display())]
    Unreadable { path: PathBuf, source: crate::detect::LoadError },
    #[error("nothing was replaced yet, so there is nothing to go back to")]
    NothingReplaced,
    #[error(
        "model {version} tells {useful_found} of {useful} useful anomalies and {wrong_found} of {wrong} false alarms of the \
         days it was trained on, which is no better than the active one; activate it all the same with --force"
    )]
    NoBetter { version: String, useful_found: u64, useful: u64, wrong_found: u64, wrong: u64 },
}

pub struct Models {
    dir: PathBuf,
}

impl Models {
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("detect").join("models");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// The newest first.
    pub fn list(&self) -> Result<Vec<Model>, Error> {
        let mut models = Vec::new();
        let entries = fs::read_dir(&self.dir).map_err(|source| self.failed(&self.dir, source))?;
        for entry in entries {
            let path = entry.map_err(|source| self.failed(&self.dir, source))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path).map_err(|source| self.failed(&path, source))?;
                let model = serde_json::from_slice::<Model>(&text);
                models.push(model.map_err(|error| self.failed(&path, error.into()))?);
            }
        }
        models.sort_by(|a, b| b.created.cmp(&a.created).then(b.version.cmp(&a.version)));
        Ok(models)
    }

    pub fn get(&self, version: &str) -> Result<Model, Error> {
        self.list()?.into_iter().find(|m| m.version == version).ok_or_else(|| Error::Unknown(version.to_owned()))
    }

    /// A model's state.
    pub fn state(&self, version: &str) -> Result<(PathBuf, Vec<u8>), Error> {
        check(version)?;
        self.get(version)?;
        let path = self.path(version, "model");
        let bytes = fs::read(&path).map_err(|source| self.failed(&path, source))?;
        Ok((path, bytes))
    }

    /// Keeps a model, durable when it returns; forgets the oldest beyond what is kept, but never `active`.
    pub fn keep(&self, model: &Model, state: &[u8], active: &str) -> Result<(), Error> {
        check(&model.version)?;
        self.write(&self.path(&model.version, "model"), state)?;
        let path = self.path(&model.version, "json");
        let json = serde_json::to_vec_pretty(model).map_err(|error| self.failed(&path, error.into()))?;
        self.write(&path, &json)?;
        let others = self.list()?.into_iter().filter(|m| m.version != active && m.version != model.version);
        for old in others.skip(KEPT_MAX - 1) {
            for extension in ["json", "model"] {
                let path = self.path(&old.version, extension);
                fs::remove_file(&path).map_err(|source| self.failed(&path, source))?;
            }
        }
        Ok(())
    }

    /// Puts aside what an activation replaces.
    pub fn replace(&self, state: &[u8]) -> Result<(), Error> {
        self.write(&self.path(REPLACED, "model"), state)
    }

    pub fn replaced(&self) -> Result<(PathBuf, Vec<u8>), Error> {
        let path = self.path(REPLACED, "model");
        match fs::read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Error::NothingReplaced),
            Err(source) => Err(self.failed(&path, source)),
        }
    }

    fn path(&self, version: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{version}.{extension}"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let next = path.with_extension("tmp");
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&next, path)?;
            File::open(&self.dir)?.sync_all()
        });
        written.map_err(|source| self.failed(path, source))
    }

    fn failed(&self, path: &Path, source: io::Error) -> Error {
        Error::Io { path: path.to_owned(), source }
    }
}

/// Whether a model may have this name: it becomes a file's.
pub fn check(version: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let ok = (1..=64).contains(&version.len()) && version.bytes().all(fits) && version != REPLACED;
    if ok && version != crate::detect::STREAMING { Ok(()) } else { Err(Error::Name(version.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Quality;

    fn model(version: &str, created: &str) -> Model {
        let text = String::new;
        Model {
            version: version.into(),
            created: created.into(),
            from: text(),
            to: text(),
            records: 1,
            series: 2,
            bytes: 3,
            anomalies: 0,
            quality: Quality::default(),
        }
    }

    #[test]
    fn models_are_kept_listed_and_the_oldest_forgotten_but_not_the_active_one() {
        let dir = tempfile::tempdir().unwrap();
        let models = Models::open(dir.path()).unwrap();
        for n in 10..30 {
            models.keep(&model(&format!("m{n}"), &format!("2026-01-{n}")), &[n as u8], "m10").unwrap();
        }
        let names: Vec<String> = models.list().unwrap().into_iter().map(|m| m.version).collect();
        assert_eq!((names.len(), names[0].as_str(), names[10].as_str()), (11, "m29", "m10"));
        assert_eq!(models.state("m29").unwrap().1, [29]);
        assert!(models.state("m11").unwrap_err().to_string().contains("models list"));
        assert!(models.replaced().unwrap_err().to_string().contains("nothing to go back to"));
        models.replace(b"old").unwrap();
        assert_eq!(models.replaced().unwrap().1, b"old");
        for bad in ["", "a/b", "..", "replaced", "streaming", "Ä", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
