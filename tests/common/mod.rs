//! What the whole-program tests share: the binary on free ports, its API, a fault proxy, events to send.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

mod certificates;
mod clients;
mod corpus;
mod events;
pub mod hook;
pub mod http;
mod proxy;
mod server;

pub use certificates::Certificates;
pub use clients::{Client, client, run_client};
pub use corpus::corpus_lines;
pub use events::{LogFile, now_nanos, windows};
pub use proxy::{Cut, Proxy};
pub use server::{Server, TLS_CONFIG};

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Waits until `met` or panics with its last complaint.
pub fn eventually(within: Duration, mut met: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + within;
    loop {
        match met() {
            Ok(()) => return,
            Err(complaint) if Instant::now() >= deadline => panic!("not within {within:?}: {complaint}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// How often each text occurs.
pub fn counted<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for text in texts {
        *counts.entry(text.as_ref().to_owned()).or_default() += 1;
    }
    counts
}

/// `Ok` when both hold the same texts equally often; else what is missing and what is there too often.
pub fn same_lines(expected: &HashMap<String, usize>, found: &HashMap<String, usize>) -> Result<(), String> {
    let sample = |mut texts: Vec<String>| {
        let count = texts.len();
        texts.sort();
        texts.truncate(5);
        format!("{count} {texts:#?}")
    };
    let differing = |a: &HashMap<String, usize>, b: &HashMap<String, usize>| -> Vec<String> {
        a.iter()
            .filter(|(text, n)| b.get(*text).copied().unwrap_or(0) < **n)
            .map(|(text, n)| format!("{n} × {}", text.chars().take(160).collect::<String>()))
            .collect()
    };
    let (missing, extra) = (differing(expected, found), differing(found, expected));
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    Err(format!("missing: {}\ntoo often: {}", sample(missing), sample(extra)))
}
