//! Envoy's access log: text, Istio's text, JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loghound_fuzz::lines::check(&["envoy"], data));
