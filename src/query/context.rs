//! The lines around a line, in the order of the file it came from.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::bits::Bits;
use super::engine::Engine;
use super::record::{parse_event_id, stream_half};
use super::segment::{Segment, Stop};
use crate::store::{QUARANTINE, ShardView};

impl Engine {
    /// The record of an `event.id` and its neighbours in the file it came from; `None` when it is not there.
    #[expect(clippy::type_complexity, reason = "before, the record, after")]
    pub fn context(
        &self,
        event_id: &str,
        before: usize,
        after: usize,
        deadline: Instant,
    ) -> Result<Option<(Vec<Map<String, Json>>, Map<String, Json>, Vec<Map<String, Json>>)>, Stop> {
        let Some((half, id)) = parse_event_id(event_id) else { return Ok(None) };
        let (shards, language) = (self.store.shards(), self.language());
        let mut found: Option<(Arc<ShardView>, FileOrder, Map<String, Json>, Map<String, Json>)> = None;
        'search: for shard in &shards {
            let Some(number) = shard.streams().iter().position(|s| stream_half(s.key) == half) else { continue };
            for reader in shard.searcher().segment_readers() {
                let segment = Segment::open(shard, reader, &language, deadline)?;
                segment.check()?;
                let mut docs = Bits::none(segment.docs());
                segment.of_streams(&[number as u64], &mut docs);
                for doc in docs.iter() {
                    if segment.id(doc) == Some(id) {
                        let file = file_of(&shard.streams()[number].fields);
                        let order = file_order(&segment, doc, &file);
                        found = Some((Arc::clone(shard), order, segment.record(doc)?, file));
                        break 'search;
                    }
                }
            }
        }
        let Some((home, target, record, file)) = found else { return Ok(None) };
        let mut earlier: BinaryHeap<Reverse<(FileOrder, usize, u32, u32)>> = BinaryHeap::new();
        let mut later: BinaryHeap<(FileOrder, usize, u32, u32)> = BinaryHeap::new();
        for (s, shard) in shards.iter().enumerate() {
            // A file's lines are of its own day, or of a neighbouring one.
            let anywhere = [shard.day, home.day].contains(&QUARANTINE);
            if !anywhere && shard.day.abs_diff(home.day) > 1 {
                continue;
            }
            let numbers = (0u64..).zip(shard.streams().iter());
            let same: Vec<u64> =
                numbers.filter(|(_, stream)| file_of(&stream.fields) == file).map(|(number, _)| number).collect();
            if same.is_empty() {
                continue;
            }
            for (r, reader) in shard.searcher().segment_readers().iter().enumerate() {
                let segment = Segment::open(shard, reader, &language, deadline)?;
                segment.check()?;
                let mut docs = Bits::none(segment.docs());
                segment.of_streams(&same, &mut docs);
                for doc in docs.iter() {
                    let order = file_order(&segment, doc, &file);
                    let entry = (order, s, r as u32, doc);
                    if order < target {
                        earlier.push(Reverse(entry));
                        if earlier.len() > before {
                            earlier.pop();
                        }
                    } else if order > target {
                        later.push(entry);
                        if later.len() > after {
                            later.pop();
                        }
                    }
                }
            }
        }
        let rebuild = |entries: Vec<(FileOrder, usize, u32, u32)>| -> Result<Vec<Map<String, Json>>, Stop> {
            let mut records = Vec::with_capacity(entries.len());
            for (_, s, r, doc) in entries {
                let shard = &shards[s];
                let reader = shard.searcher().segment_reader(r);
                let segment = Segment::open(shard, reader, &language, deadline)?;
                records.push(segment.record(doc)?);
            }
            Ok(records)
        };
        let mut earlier: Vec<_> = earlier.into_iter().map(|Reverse(entry)| entry).collect();
        earlier.sort_unstable();
        Ok(Some((rebuild(earlier)?, record, rebuild(later.into_sorted_vec())?)))
    }
}

/// Where a line stands in its file: a file that its fingerprint or inode names is in order of offsets alone; behind a
/// mere path another file may stand tomorrow, so time goes first.
type FileOrder = (i64, u64, i64);

fn file_order(segment: &Segment<'_>, doc: u32, file: &Map<String, Json>) -> FileOrder {
    let at = segment.timestamps.first(doc).unwrap_or(0);
    let offset = segment.offsets.first(doc).unwrap_or(0);
    if file.contains_key("fingerprint") || file.contains_key("inode") { (0, offset, at) } else { (at, offset, 0) }
}

/// What names the file a stream was read from, with the sender's name. By its first bytes (`fingerprint`) a file is the same after it
/// was renamed; an inode is given to another file soon after, so there the path has to be the same too.
fn file_of(stream: &Map<String, Json>) -> Map<String, Json> {
    let file = crate::record::lookup_path(stream, "log.file").and_then(Json::as_object);
    let mut file = file.cloned().unwrap_or_else(|| stream.clone());
    if file.contains_key("fingerprint") {
        file.retain(|name, _| name == "fingerprint");
    }
    if let Some(agent) = crate::record::lookup_path(stream, "agent.name") {
        file.insert("agent".into(), agent.clone());
    }
    file
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_renamed_file_is_the_same_by_its_fingerprint() {
        let file = |file: Json, agent: &str| {
            file_of(json!({"log": {"file": file}, "agent": {"name": agent}}).as_object().unwrap())
        };
        let now = file(json!({"path": "/a/0.log", "inode": "7", "fingerprint": "f1"}), "n");
        assert_eq!(now, file(json!({"path": "/a/0.log.20261124", "inode": "7", "fingerprint": "f1"}), "n"));
        assert_ne!(now, file(json!({"path": "/a/0.log", "inode": "7", "fingerprint": "f2"}), "n"));
        assert_ne!(now, file(json!({"path": "/a/0.log", "inode": "7", "fingerprint": "f1"}), "other"));
        let inode = |path: &str| file(json!({"path": path, "inode": "7"}), "n");
        assert_eq!(inode("/a/0.log"), inode("/a/0.log"));
        assert_ne!(inode("/a/0.log"), inode("/b/0.log"));
    }
}
