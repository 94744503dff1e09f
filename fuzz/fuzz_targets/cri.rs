//! The prefix that containerd and CRI-O write.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loghound_fuzz::lines::check(&["cri"], data));
