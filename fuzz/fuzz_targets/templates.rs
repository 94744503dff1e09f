//! Templates: every line is counted on exactly one, the memory stays within its limit, and a registry that was saved goes
//! on where it was, as long as nothing has to be forgotten.
//!
//! The first byte is the limit: small ones make the miner forget.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loghound::parse::template::{Limits, Miner, Rules};

fuzz_target!(|data: &[u8]| {
    let Some((&size, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let limits = Limits { bytes: 4096 + usize::from(size) * 256, rules: Rules::default() };
    let mut miner = Miner::new(limits);
    for (index, line) in text.split('\n').enumerate() {
        let observed = if index % 4 == 3 { miner.observe_at("x.go:1", line) } else { miner.observe(line) };
        assert!(observed.id.get() > 0);
    }
    check(&miner);
    let mut saved = Vec::new();
    miner.save(&mut saved).expect("memory can be written");
    let mut loaded = Miner::load(saved.as_slice(), limits).expect("what was saved loads");
    let mut again = Vec::new();
    loaded.save(&mut again).expect("memory can be written");
    assert_eq!(saved, again);
    let mut observe = |line| (miner.observe(line), loaded.observe(line));
    let again: Vec<_> = text.split('\n').take(4).map(&mut observe).collect();
    // What is forgotten at the limit depends on how much the tables have room for, which is not saved.
    if [&miner, &loaded].iter().all(|miner| miner.stats().evicted_templates == 0) {
        assert!(again.iter().all(|(one, other)| one == other), "{again:?}");
    }
    check(&loaded);
});

fn check(miner: &Miner) {
    let views = || miner.ids().into_iter().filter_map(|id| miner.template(id));
    let counted: u64 = views().map(|view| view.count).sum();
    let stats = miner.stats();
    assert_eq!(counted + stats.evicted_lines, stats.lines);
    for view in views() {
        assert_eq!(miner.resolve(view.id), view.id);
        assert!(view.first_line <= view.last_line && view.last_line <= stats.lines);
        let _ = miner.nearest(view.id);
    }
}
