//! A shard's stream table: damaged in any way it opens with as many streams and grammars as the commit knew, or is refused; and what it
//! opened to is what it opens to the next time.
//!
//! Input with a 0 first is damage done to a good table; with another byte first, the rest is records, one a line (a digit
//! for the kind, then its payload), each under a good checksum.

#![no_main]

use std::fs;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use loghound::record::StreamKey;
use loghound::store::{Known, StreamEntry, StreamTable};
use loghound_fuzz::edits;
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    // In memory where that is possible: each run writes and syncs.
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
});

const HEADER: &[u8] = b"LHSTREAM\x02\0\0\0\0\0\0\0";
const KNOWN: Known = Known { streams: 3, grammars: 1 };

fn table<'r>(records: impl IntoIterator<Item = &'r [u8]>) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    for record in records {
        let Some((kind, payload)) = record.split_first() else { continue };
        let body = [&[kind.wrapping_sub(b'0')], payload].concat();
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(crc32fast::hash(&body).to_le_bytes());
        out.extend(body);
    }
    out
}

const GOOD: [&[u8]; 6] = [
    br#"1{"n":0,"key":"a7","sender":"node-1","seed":9,"fields":{"kubernetes":{"pod":{"name":"a"}}}}"#,
    br#"2{"path":"kv"}"#,
    br#"1{"n":1,"key":"b7","sender":"node-1","seed":9,"fields":{}}"#,
    br#"1{"n":2,"key":"c7","sender":"node-2","seed":8,"fields":{"log":{"file":{"path":"/x"}}}}"#,
    b"3{}",
    br#"4{"n":0,"name":"x","version":"1f","source":"name: x"}"#,
];

fuzz_target!(|data: &[u8]| {
    let bytes = match data.split_first() {
        None => return,
        Some((0, edited)) => {
            let mut bytes = table(GOOD);
            edits::apply(edited, &mut bytes);
            bytes
        }
        Some((_, records)) => table(records.split(|byte| *byte == b'\n')),
    };
    let dir = DIR.path();
    fs::write(dir.join("streams.log"), &bytes).expect("a file");
    let Ok((mut table, _)) = StreamTable::open(dir, KNOWN, 10) else { return };
    table.save().expect("saved");
    let first = table.snapshot();
    if data[0] == 0 {
        // A stream is lost, or has the number that it had.
        let keys = [0xa7, 0xb7, 0xc7].map(StreamKey);
        let same = |(entry, key): (&Arc<StreamEntry>, StreamKey)| entry.sender.is_empty() || entry.key == key;
        assert!(
            (first.streams.len(), first.grammars.len()) == (KNOWN.streams, KNOWN.grammars)
                && first.streams.iter().zip(keys).all(same),
            "{first:?}"
        );
    }
    let (again, _) = StreamTable::open(dir, table.known(), 10).expect("opens again");
    let again = again.snapshot();
    assert_eq!((&first.paths, first.full), (&again.paths, again.full));
    assert_eq!((first.streams.len(), &first.grammars), (again.streams.len(), &again.grammars));
    assert!(first.streams.len() >= KNOWN.streams && first.grammars.len() >= KNOWN.grammars);
    assert!(first.streams.iter().zip(again.streams.iter()).all(|(a, b)| a == b));
});
