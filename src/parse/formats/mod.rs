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
pub(super) mod logfmt;
pub(super) mod syslog;

use crate::record::Role;

/// A longer string, or one with more blanks, is text to be searched by its words.
const KEYWORD_BYTES_MAX: usize = 256;
const KEYWORD_BLANKS_MAX: usize = 4;

/// The role of a string whose name says nothing.
fn text_role(text: &str) -> Role {
    let blanks = || memchr::memchr_iter(b' ', text.as_bytes()).nth(KEYWORD_BLANKS_MAX).is_some();
    if text.len() > KEYWORD_BYTES_MAX || blanks() { Role::Text } else { Role::Keyword }
}
