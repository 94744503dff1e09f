//! Docker's JSON object around each line.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loghound_fuzz::lines::check(&["docker"], data));
