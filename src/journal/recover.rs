//! What a journal directory holds at open.

use super::{
    Damage, Disk, Error, OpenReport, Position,
    checkpoint::{self, Found},
    disk,
    format::{self, BadHeader, SEGMENT_HEADER_BYTES, SegmentHeader},
    handle::io_error,
    segments::{self, Segment, Segments},
    walk::{Step, Walk},
};
use std::path::{Path, PathBuf};

pub(super) struct Recovered {
    pub segments: Segments,
    pub checkpoint: u64,
    pub report: OpenReport,
}

/// Reads the checkpoint, all headers, and the last segment whole; cuts off what a crash left torn.
pub(super) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, Error> {
    let mut report = OpenReport::default();
    let mut names: Vec<(u64, PathBuf)> = disk
        .list(dir)
        .map_err(io_error("list", dir))?
        .into_iter()
        .filter_map(|path| Some((segments::first_of(&path)?, path)))
        .collect();
    names.sort();
    let mut last_whole = None;
    while let Some((first, path)) = names.pop() {
        if let Some((segment, last)) = recover_last(disk, dir, first, path, &mut report)? {
            last_whole = Some((segment, last));
            break;
        }
    }
    let mut all = Segments::new();
    for (first, path) in names {
        let file = disk.open(&path).map_err(io_error("open", &path))?;
        let bytes = file.bytes().map_err(io_error("examine", &path))?;
        match header(&*file, &path)? {
            Some(header) => all.push_back(Segment::new(first, path, Some(header.salt), bytes, true)),
            None => {
                report.damages.push(header_damage(&path));
                // Still listed, so that it goes when trimmed; the reader skips it.
                all.push_back(Segment::new(first, path, None, bytes, true));
            }
        }
    }
    let mut last = 0;
    if let Some((segment, segment_last)) = last_whole {
        all.push_back(segment);
        last = segment_last;
    }
    let oldest_implies = all.front().map_or(0, |segment| segment.first - 1);
    let checkpoint = match checkpoint::read(disk, dir)? {
        Found::Position(position) => position,
        Found::None => oldest_implies,
        Found::Damaged => {
            let what = "both copies of the checkpoint are damaged: taking what the oldest segment implies".into();
            report.damages.push(Damage { file: dir.join("checkpoint"), offset: 0, what });
            oldest_implies
        }
    };
    report.last = Position(last.max(checkpoint));
    report.first = all.front().map_or(report.last.next(), |segment| Position(segment.first));
    report.bytes = all.iter().map(|segment| segment.bytes).sum();
    Ok(Recovered { segments: all, checkpoint, report })
}

fn header(file: &dyn super::DiskFile, path: &Path) -> Result<Option<SegmentHeader>, Error> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let (have, _) = disk::read_lossy(file, &mut bytes, 0).map_err(io_error("read", path))?;
    match SegmentHeader::decode(&bytes[..have]) {
        Ok(header) => Ok(Some(header)),
        Err(BadHeader::Damaged) => Ok(None),
        Err(BadHeader::Version(found)) => Err(Error::Version { path: path.to_owned(), found, known: format::VERSION }),
    }
}

fn header_damage(path: &Path) -> Damage {
    let what = "both copies of the segment's header are damaged: its entries cannot be verified, all are lost".into();
    Damage { file: path.to_owned(), offset: 0, what }
}

/// Reads the last segment whole and cuts it behind its last whole entry. None when it has none: then it is gone, and
/// the one before is the last.
fn recover_last(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
    path: PathBuf,
    report: &mut OpenReport,
) -> Result<Option<(Segment, u64)>, Error> {
    let file = disk.open(&path).map_err(io_error("open", &path))?;
    let bytes = file.bytes().map_err(io_error("examine", &path))?;
    let Some(header) = header(&*file, &path)? else {
        if bytes <= SEGMENT_HEADER_BYTES as u64 {
            torn(report, &path, 0, bytes);
            disk.remove(&path).map_err(io_error("delete", &path))?;
        } else {
            // Either the first write to it was torn, or it is damaged: kept for whoever wants to look.
            let mut aside = path.clone().into_os_string();
            aside.push(".damaged");
            let mut damage = header_damage(&path);
            damage.what.push_str("; set aside with the ending .damaged");
            report.damages.push(damage);
            disk.rename(&path, Path::new(&aside)).map_err(io_error("rename", &path))?;
        }
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
        return Ok(None);
    };
    let mut segment = Segment::new(first, path.clone(), Some(header.salt), bytes, true);
    let mut walk = Walk::new(file, path.clone(), header.salt, SEGMENT_HEADER_BYTES as u64, first);
    let mut end = SEGMENT_HEADER_BYTES as u64;
    let mut last = None;
    loop {
        match walk.next(bytes, u64::MAX).map_err(io_error("read", &path))? {
            Step::Entry { position, offset, .. } => {
                segment.mark(position.0, offset);
                end = walk.offset();
                last = Some(position.0);
            }
            Step::Skipped { damage, found: true } => report.damages.push(damage),
            Step::Skipped { found: false, .. } => {
                torn(report, &path, end, bytes);
                break;
            }
            Step::End => break,
        }
    }
    let Some(last) = last else {
        if report.torn.is_none() {
            torn(report, &path, end, bytes);
        }
        disk.remove(&path).map_err(io_error("delete", &path))?;
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
        return Ok(None);
    };
    if end < bytes {
        let file = disk.open(&path).map_err(io_error("open", &path))?;
        file.truncate(end).map_err(io_error("truncate", &path))?;
        file.sync_data().map_err(io_error("sync", &path))?;
    }
    segment.bytes = end;
    Ok(Some((segment, last)))
}

fn torn(report: &mut OpenReport, path: &Path, offset: u64, bytes: u64) {
    let offset = offset.min(bytes); // a header may itself be cut
    let what = format!("{} bytes of an interrupted write, never acknowledged, cut off", bytes - offset);
    report.torn = Some(Damage { file: path.to_owned(), offset, what });
}
