//! Kubernetes' own log lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loghound_fuzz::lines::check(&["klog"], data));
