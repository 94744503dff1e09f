//! A template registry from elsewhere: refused, or a miner that works.
//!
//! Input with a 0 first is damage done to a good one's body; with another byte first, the rest is a body. Either gets a
//! good checksum: what a checksum finds, every target would find at once.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use loghound::parse::template::{Limits, Miner, Rules};
use loghound_fuzz::edits;

const LIMITS: Limits = Limits { bytes: 1 << 20, rules: Rules { words: 5, words_first: 12, words_announced: 2 } };

/// The body of a small registry.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut miner = Miner::new(LIMITS);
    for n in 0..8 {
        miner.observe(&format!("connection {n} from 192.0.2.{n} closed"));
        miner.observe(&format!("user{n} logged in, größe={n}"));
        miner.observe_at("x.go:1", &format!("took {n} ms"));
    }
    let mut saved = Vec::new();
    miner.save(&mut saved).expect("memory can be written");
    saved[16..saved.len() - 4].to_vec()
});

fuzz_target!(|data: &[u8]| {
    let body = match data.split_first() {
        None => return,
        Some((0, edited)) => {
            let mut body = GOOD.clone();
            edits::apply(edited, &mut body);
            body
        }
        Some((_, body)) => body.to_vec(),
    };
    let file =
        [b"LHTMPL\x01\0".as_slice(), &(body.len() as u64).to_le_bytes(), &body, &crc32fast::hash(&body).to_le_bytes()];
    let Ok(mut miner) = Miner::load(file.concat().as_slice(), LIMITS) else { return };
    for id in miner.ids() {
        assert!(miner.template(id).is_some());
        let _ = (miner.nearest(id), miner.resolve(id));
    }
    for n in 0..3 {
        let observed = miner.observe(&format!("connection {n} from 192.0.2.7 closed"));
        assert_eq!(miner.resolve(observed.id), observed.id);
        miner.observe(&format!("größe {n} of what is new"));
    }
    miner.save(std::io::sink()).expect("a sink takes all");
});
