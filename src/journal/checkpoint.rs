//! The checkpoint file: through which position everything was trimmed.

use super::{Disk, Error, disk, format};
use std::{
    io::{self, IoSlice},
    path::Path,
};

const NAME: &str = "checkpoint";
const NEXT: &str = "checkpoint.tmp";

/// What the file said.
pub(super) enum Found {
    None,
    Position(u64),
    Damaged,
}

pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Found, Error> {
    let path = dir.join(NAME);
    let failed = |doing| {
        let path = path.clone();
        move |source| Error::Io { doing, path, source }
    };
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Found::None),
        Err(err) => return Err(failed("open")(err)),
    };
    let mut bytes = [0; format::CHECKPOINT_BYTES];
    let (have, _) = disk::read_lossy(&*file, &mut bytes, 0).map_err(failed("read"))?;
    match format::decode_checkpoint(&bytes[..have]) {
        Ok(position) => Ok(Found::Position(position)),
        Err(format::BadHeader::Version(found)) => Err(Error::Version { path, found, known: format::VERSION }),
        Err(format::BadHeader::Damaged) => Ok(Found::Damaged),
    }
}

/// Durable on return: a name is replaced in one step, so there is always one whole checkpoint.
pub(super) fn write(disk: &dyn Disk, dir: &Path, position: u64) -> io::Result<()> {
    let next = dir.join(NEXT);
    match disk.remove(&next) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let file = disk.create(&next)?;
    let bytes = format::encode_checkpoint(position);
    disk::write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
    file.sync_data()?;
    disk.rename(&next, &dir.join(NAME))?;
    disk.sync_dir(dir)
}
