//! What the journal costs above the disk below it.
//!
//! `cargo bench --bench journal [-- --quick] [-- --dir DIR]`: DIR (default: the working directory) names the disk.
//!
//! 1. One group commit beside a bare `write` + `fdatasync` of the same bytes, in turns; medians.
//! 2. 16 senders, each with a window of 475 KB (2,048 events, compressed) in flight, beside 16 threads that each write
//!    and sync the same to a file of their own; in turns; all latencies of a kind together.

use bytes::Bytes;
use loghound::journal::{Journal, Options, Position};
use std::{
    error::Error,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WINDOW_BYTES: usize = 475_000;
const SENDERS: usize = 16;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let dir =
        args.iter().position(|arg| arg == "--dir").and_then(|at| args.get(at + 1)).map_or(".".into(), PathBuf::from);
    let dir = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        one_group(dir.path(), if quick { 30 } else { 300 }).await?;
        senders(dir.path(), if quick { 3 } else { 20 }, 10).await
    })
}

/// Bytes that no file system can shrink.
fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

async fn append(journal: &Journal, payload: Bytes) -> Result<Position> {
    let room = journal.reserve(payload.len() as u64).await?;
    let ticket = journal.append(room, vec![payload]);
    ticket.durable.await?;
    Ok(ticket.position)
}

fn bare(file: &mut File, payload: &[u8]) -> Result<Duration> {
    let started = Instant::now();
    file.write_all(payload)?;
    file.sync_data()?;
    Ok(started.elapsed())
}

async fn one_group(dir: &Path, rounds: usize) -> Result<()> {
    println!("one group           bare ms   journal ms   ratio");
    for bytes in [4_000, 64_000, WINDOW_BYTES, SENDERS * WINDOW_BYTES] {
        let payload = noise(bytes);
        let (journal, _) = Journal::open(Options::new(dir.join(format!("journal-{bytes}"))))?;
        let mut file = File::create_new(dir.join(format!("bare-{bytes}")))?;
        let (mut bare_times, mut journal_times) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // The journal begins a new file now and then; so does the bare writer, and neither is timed doing it alone.
            if round % 64 == 0 {
                std::fs::remove_file(dir.join(format!("bare-{bytes}")))?;
                file = File::create_new(dir.join(format!("bare-{bytes}")))?;
            }
            bare_times.push(bare(&mut file, &payload)?);
            let started = Instant::now();
            let position = append(&journal, payload.clone()).await?;
            journal_times.push(started.elapsed());
            if round % 64 == 63 {
                journal.trim(position);
            }
        }
        let (bare, ours) = (quantile(&mut bare_times, 0.5), quantile(&mut journal_times, 0.5));
        println!("{bytes:>9} bytes   {:>8.2}   {:>10.2}   {:>5.2}", ms(bare), ms(ours), ms(ours) / ms(bare));
    }
    Ok(())
}

async fn senders(dir: &Path, rounds: usize, windows: usize) -> Result<()> {
    let payload = noise(WINDOW_BYTES);
    let (journal, _) = Journal::open(Options::new(dir.join("journal-senders")))?;
    let (mut bare_times, mut journal_times) = (Vec::new(), Vec::new());
    let (mut bare_wall, mut journal_wall) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let started = Instant::now();
        let threads: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (path, payload) = (dir.join(format!("raw-{sender}")), payload.clone());
                std::thread::spawn(move || -> Result<Vec<Duration>> {
                    let mut file = File::create(path)?;
                    (0..windows).map(|_| bare(&mut file, &payload)).collect()
                })
            })
            .collect();
        for thread in threads {
            bare_times.extend(thread.join().map_err(|_| "a writer panicked")??);
        }
        bare_wall += started.elapsed();

        let started = Instant::now();
        let tasks: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (journal, payload) = (journal.clone(), payload.clone());
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    for _ in 0..windows {
                        let started = Instant::now();
                        append(&journal, payload.clone()).await?;
                        times.push(started.elapsed());
                    }
                    Ok::<_, Box<dyn Error + Send + Sync>>(times)
                })
            })
            .collect();
        for task in tasks {
            journal_times.extend(task.await??);
        }
        journal_wall += started.elapsed();
        journal.trim(journal.usage().last);
    }
    println!("\n{SENDERS} senders of {WINDOW_BYTES} bytes   p50 ms   p99 ms    MB/s");
    let total = (rounds * windows * SENDERS * WINDOW_BYTES) as f64 / 1e6;
    for (name, times, wall) in [("bare", &mut bare_times, bare_wall), ("journal", &mut journal_times, journal_wall)] {
        let (p50, p99) = (quantile(times, 0.5), quantile(times, 0.99));
        println!("{name:<27}   {:>6.1}   {:>6.1}   {:>5.0}", ms(p50), ms(p99), total / wall.as_secs_f64());
    }
    println!("p99 ratio {:.2}", ms(quantile(&mut journal_times, 0.99)) / ms(quantile(&mut bare_times, 0.99)));
    Ok(())
}

fn quantile(times: &mut [Duration], q: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * q) as usize]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
