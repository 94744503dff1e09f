//! Syslog, the old and the new form.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loghound_fuzz::lines::check(&["syslog3164", "syslog5424"], data));
