//! Records taken out of a day, from its files and not only from sight: each segment that has some is written anew without
//! them, and all of those take the places of the old ones in one commit.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use tantivy::directory::{MmapDirectory, OwnedBytes, TerminatingWrite as _};
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::index::SegmentId;
use tantivy::indexer::merge_filtered_segments;
use tantivy::{BitSet, Directory as _, Index, SegmentMeta, TantivyError};

use super::error::Error;
use super::rewrite::Rewrite;
use super::schema;
use super::shard::{Shard, is_segment_file};

impl Rewrite {
    /// Takes documents out of the day as [`Rewrite::view`] shows it: of these segments those with these numbers. Readers see
    /// all of them until they see none. `go_on` is asked between segments; false, and nothing was changed, when it said no.
    pub fn erase(self, gone: &[(SegmentId, Vec<u32>)], go_on: &dyn Fn() -> bool) -> Result<bool, Error> {
        let shard = &self.shard;
        let failed = |source| Error::Segment { day: shard.name(), source };
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (id, docs) in gone {
            if !go_on() {
                return Ok(false);
            }
            let Some(meta) = self.old.iter().find(|meta| meta.id() == *id) else { continue };
            new.extend(without(shard, meta, docs).map_err(failed)?);
            old.push(meta.clone());
        }
        if !old.is_empty() {
            shard.replace(&old, new)?;
        }
        Ok(true)
    }
}

/// A segment without these documents; `None` where that leaves none.
fn without(shard: &Shard, old: &SegmentMeta, docs: &[u32]) -> tantivy::Result<Option<SegmentMeta>> {
    let mut alive = BitSet::with_max_value_and_full(old.max_doc());
    docs.iter().for_each(|doc| alive.remove(*doc));
    if alive.len() == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    write_alive_bitset(&alive, &mut bytes)?;
    let alive = AliveBitSet::open(OwnedBytes::new(bytes));
    // A merge makes an index of its own; a crash leaves it to the next start, which removes what begins like this.
    let beside = shard.unfinished("erase");
    if beside.exists() {
        fs::remove_dir_all(&beside)?;
    }
    fs::create_dir_all(&beside)?;
    let made = {
        let segment = shard.index.segment(old.clone());
        let merged =
            merge_filtered_segments(&[segment], schema::settings(), vec![Some(alive)], MmapDirectory::open(&beside)?)?;
        taken_over(&shard.index, &merged, &beside)
    };
    fs::remove_dir_all(&beside)?;
    made
}

/// Copies the one segment of `merged` into `index`, through its directory: what goes that way is known to it, and deleted
/// when nobody needs it any more.
fn taken_over(index: &Index, merged: &Index, dir: &Path) -> tantivy::Result<Option<SegmentMeta>> {
    let Some(made) = merged.searchable_segment_metas()?.into_iter().next() else { return Ok(None) };
    let prefix = made.id().uuid_string();
    for file in fs::read_dir(dir)? {
        let file = file?;
        let name = file.file_name();
        if !is_segment_file(Path::new(&name)) || !name.to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let mut to = index.directory().open_write(Path::new(&name)).map_err(TantivyError::from)?;
        // Each directory puts a footer of its own behind a file, and reads it without.
        to.write_all(&merged.directory().open_read(Path::new(&name)).map_err(TantivyError::from)?.read_bytes()?)?;
        to.flush()?;
        to.terminate()?;
    }
    index.directory().sync_directory()?;
    let meta = index.new_segment_meta(made.id(), made.max_doc());
    meta.untrack_temp_docstore();
    Ok(Some(meta))
}

#[cfg(test)]
#[path = "erase_tests.rs"]
mod tests;
