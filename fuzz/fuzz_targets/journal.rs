//! The journal: a file damaged in any way gives no entry that was not written, in order, and says what it lost.

#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loghound::journal::{Disk, Journal, Options, Position};
use loghound_fuzz::disk::MemoryDisk;
use loghound_fuzz::edits;

const DIR: &str = "/journal";

fn options() -> Options {
    Options { segment_bytes: 2048, bytes_max: 1 << 20, disk_reserve_bytes: 0, ..Options::new(DIR) }
}

/// Entries of many sizes; one holds bytes that look like a journal's.
fn payload(position: u64) -> Vec<u8> {
    match position {
        3 => [b"loghndJ\n".as_slice(), &[1, 0, 0, 0], &[0; 40]].concat(),
        5 => Vec::new(),
        _ => vec![position as u8; 37 * position as usize],
    }
}

const ENTRIES: u64 = 12;

/// Three segments, as the journal writes them.
static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let disk = MemoryDisk::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (journal, _) = Journal::open_on(options(), Arc::new(disk.clone())).expect("an empty journal opens");
    for position in 1..=ENTRIES {
        let payload = Bytes::from(payload(position));
        let room = runtime.block_on(journal.reserve(payload.len() as u64)).expect("room");
        journal.append(room, vec![payload]).durable.wait_blocking().expect("durable");
    }
    drop(journal);
    disk.files()
});

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else { return };
    let mut files = FILES.clone();
    let which = usize::from(which) % files.len();
    edits::apply(data, &mut files[which].1);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::of(files));
    // Refused as a whole: the header says another version.
    let Ok((journal, report)) = Journal::open_on(options(), disk) else { return };
    let mut reader = journal.reader(Position(0));
    let mut last = 0;
    let mut read = 0;
    while let Some((position, bytes)) = reader.try_next().expect("memory can be read") {
        assert!(position.0 > last, "{position} after {last}");
        last = position.0;
        read += 1;
        assert_eq!(bytes, payload(position.0), "{position}");
    }
    // A loss is told, unless it is the tail: the end of the last file is where a crash may have cut it.
    let told = !report.damages.is_empty() || report.torn.is_some() || !reader.take_damages().is_empty();
    assert!(told || read == last, "{read} of {last} entries and no word about it");
});
