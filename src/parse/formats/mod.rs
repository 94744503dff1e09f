//! One file a format. Each offers `parse(text, fields) -> bool`: on false the fields are as they were.

pub(super) mod cri;
pub(super) mod docker;
pub(super) mod envoy;
pub(super) mod envoy_json;
mod go_quote;
mod istio;
pub(super) mod json;
mod json_reader;
pub(super) mod klog;
mod klog_kv;
pub(super) mod klog_time;
