//! What can be saved of a damaged day: a copy that leaves out the segments whose records cannot be trusted.
//!
//! Files are told apart by their checksums. A segment that tantivy does not open is given up. The columns and the stored lines of a segment are its records; the rest is made from
//! them and can be made again. Neither has checksums within, so a segment with one damaged byte in its records is given up
//! whole: a line that was made up would be worse than one that is missing.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use tantivy::index::SegmentId;
use tantivy::{Index, SegmentReader};

use super::catalog;
use super::error::Error;
use super::home::shard_name;
use super::schema;
use super::seal::Seal;
use super::snapshot::{Link, META, link_day, write_synced};

/// Made from the columns and the stored lines: terms, postings, positions, lengths.
const DERIVED: [&str; 4] = ["term", "idx", "pos", "fieldnorm"];

/// What a copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Records of sound segments.
    pub sound: u64,
    /// Segments whose records are sound and whose index is not: they are to be written anew.
    pub to_rebuild: Vec<(SegmentId, u64)>,
    /// Records of the segments that were left out.
    pub lost: u64,
}

/// Copies what can be trusted of the day in the directory `from` into a new store at `root`.
pub fn save_day(from: &Path, root: &Path, day: i32) -> Result<Saved, Error> {
    let to = root.join(shard_name(day));
    let read = |source| Error::Read { day: shard_name(day), source };
    fs::create_dir_all(root).map_err(Error::io(root))?;
    catalog::write_version(root)?;
    link_day(from, &to, Link::Hard).map_err(Error::io(from))?;
    // It speaks of the day as it was.
    Seal::remove(&to)?;
    let mut index = Index::open_in_dir(&to).map_err(read)?;
    index.set_tokenizers(schema::tokenizers());
    let mut damaged: HashMap<String, bool> = HashMap::new();
    let metas = index.load_metas().map_err(read)?;
    for file in metas.list_segment_files().into_iter().filter(|file| to.join(file).exists()) {
        // A file whose footer is gone has no checksum to compare.
        if matches!(index.directory().validate_checksum(&file), Ok(true)) {
            continue;
        }
        let name = file.to_string_lossy().into_owned();
        let Some((id, kind)) = name.split_once('.') else { continue };
        let is_derived = damaged.entry(id.to_owned()).or_insert(true);
        *is_derived &= DERIVED.contains(&kind);
    }
    let (mut saved, mut left_out) = (Saved::default(), Vec::new());
    for meta in metas.segments {
        let (id, docs) = (meta.id(), u64::from(meta.num_docs()));
        let opens = SegmentReader::open(&index.segment(meta)).is_ok();
        match damaged.get(&id.uuid_string()) {
            None if opens => saved.sound += docs,
            Some(true) if opens => saved.to_rebuild.push((id, docs)),
            _ => {
                saved.lost += docs;
                left_out.push(id.uuid_string());
            }
        }
    }
    leave_out(&to.join(META), &left_out).map_err(Error::io(&to))?;
    Ok(saved)
}

/// Takes segments out of a commit.
fn leave_out(path: &Path, ids: &[String]) -> std::io::Result<()> {
    let mut metas: Json = serde_json::from_slice(&fs::read(path)?)?;
    if let Some(segments) = metas["segments"].as_array_mut() {
        segments.retain(|segment| {
            let id = segment["segment_id"].as_str().unwrap_or_default().replace('-', "");
            !ids.contains(&id)
        });
    }
    write_synced(path, metas.to_string().as_bytes())
}
