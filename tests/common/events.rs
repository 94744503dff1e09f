//! Events to send, each with an identity of its own.

use std::time::{SystemTime, UNIX_EPOCH};

use loghound::ship::{Envelope, Random, Window, WindowBuilder, Workload};

/// A log file on a host, as Filebeat reads it: every line gets the next offset.
pub struct LogFile {
    envelope: Envelope,
    random: Random,
    offset: u64,
}

impl LogFile {
    /// The host's name decides everything but the times.
    pub fn new(host: &str) -> Self {
        let workload = Workload {
            node: host.to_owned(),
            namespace: "test".to_owned(),
            app: host.to_owned(),
            pod: format!("{host}-0"),
            container: host.to_owned(),
            image: "test:1".to_owned(),
            stream: "stderr",
            path: None,
        };
        let seed = host.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut random = Random::new(seed);
        Self { envelope: Envelope::new(&workload, &mut random), random, offset: 0 }
    }

    pub fn event(&mut self, line: &str) -> Vec<u8> {
        self.event_at(now_nanos(), line)
    }

    /// One that was read at that time: Unix nanoseconds.
    pub fn event_at(&mut self, at: i64, line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.envelope.write(at, line, self.offset, &mut self.random, &mut out);
        self.offset += line.len() as u64 + 1;
        out
    }

    pub fn events(&mut self, lines: &[impl AsRef<str>]) -> Vec<Vec<u8>> {
        lines.iter().map(|line| self.event(line.as_ref())).collect()
    }
}

/// Cuts events into windows of `size`.
pub fn windows(events: &[impl AsRef<[u8]>], size: usize, level: u32) -> Vec<Window> {
    let mut builder = WindowBuilder::new(level);
    events
        .chunks(size)
        .filter_map(|chunk| {
            chunk.iter().for_each(|event| builder.push(event.as_ref()));
            builder.finish()
        })
        .collect()
}

pub fn now_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}
