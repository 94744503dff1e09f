//! Senders that claim much and send little: the process stays small, and others are served.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{LogFile, Server, windows};
use loghound::ship::{self, Options, Stats};

/// Resident memory of a process: MiB.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// What a stalling sender has written when it stops: the largest window, and in turn nothing of it, the head of the
/// largest compressed frame with a little content, or the head of the largest event.
fn opening(kind: usize) -> Vec<u8> {
    let mut bytes = b"2W\0\x01\0\0".to_vec();
    match kind {
        0 => {}
        1 => {
            bytes.extend_from_slice(b"2C\x03\xff\xff\xff");
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            zlib.write_all(b"2J\0\0\0\x01\0\0\x10\0{\"message\":\"cut here").unwrap();
            zlib.flush().unwrap();
            bytes.extend_from_slice(zlib.get_ref());
        }
        _ => bytes.extend_from_slice(b"2J\0\0\0\x01\0\xff\0\0{\"message\":\""),
    }
    bytes
}

#[test]
fn a_thousand_stalled_senders_cost_little_and_a_healthy_one_is_served() {
    let server = Server::start();
    let idle = resident_mib(server.pid());
    let stalled: Vec<TcpStream> = (0..1000)
        .map(|i| {
            let mut socket = TcpStream::connect(server.beats).unwrap();
            socket.write_all(&opening(i % 3)).unwrap();
            socket
        })
        .collect();
    let lines: Vec<String> = (0..10_000).map(|i| format!("healthy line {i}")).collect();
    let events = LogFile::new("healthy").events(&lines);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = Instant::now();
    let options = Options::new(server.beats.to_string());
    let stats = Arc::new(Stats::default());
    runtime.block_on(ship::send(&options, windows(&events, 1000, 3).into(), &stats)).unwrap();
    let took = started.elapsed();
    server.wait_for_lines("host.name:healthy", &lines, Duration::from_secs(30));
    let resident = resident_mib(server.pid());
    drop(stalled);
    println!("idle {idle} MiB, with 1,000 stalled senders and a healthy one {resident} MiB; its acks took {took:?}");
    assert!(resident < 1024, "{resident} MiB");
    assert!(took < Duration::from_secs(10), "the healthy sender waited {took:?}");
}
