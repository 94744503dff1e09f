//! The detectors' state on disk: `DATA/detect/state`, written beside itself and renamed, so that there is always a whole one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::detect::{Detector, Names, Settings};

const STATE: &str = "state";
const NEXT: &str = "state.tmp";

pub struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("detect");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// The saved detector; a new one where there is none. What cannot be read is set aside, and told.
    pub fn load(&self, names: Arc<Names>, settings: Settings, mut damaged: impl FnMut(&str)) -> io::Result<Detector> {
        let path = self.dir.join(STATE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Detector::new(names, settings)),
            Err(err) => return Err(err),
        };
        match Detector::load(&bytes, Arc::clone(&names), settings) {
            Ok(detector) => Ok(detector),
            Err(error) => {
                let aside = self.dir.join(format!("{STATE}.unread"));
                damaged(&format!(
                    "{}: {error}; it is kept as {}, and detectors learn anew",
                    path.display(),
                    aside.display()
                ));
                fs::rename(&path, &aside)?;
                Ok(Detector::new(names, settings))
            }
        }
    }

    /// Makes a state durable.
    pub fn save(&self, state: &[u8]) -> io::Result<()> {
        let next = self.dir.join(NEXT);
        let mut file = File::create(&next)?;
        file.write_all(state)?;
        file.sync_data()?;
        fs::rename(&next, self.dir.join(STATE))?;
        File::open(&self.dir)?.sync_all()
    }
}
