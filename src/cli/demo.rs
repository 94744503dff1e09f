//! `loghound demo`: `serve` on a temporary directory, a day of sample traffic into it, then live traffic until
//! interrupted. The server is a process of its own and takes the lines as it would Filebeat's.

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::ship::{self, Incident, Kind, Options, Stats, Traffic, Window, WindowBuilder, Windows};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where Beats would connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub beats: String,
    /// Where the API listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8044")]
    pub http: String,
    /// Lines of the day before.
    #[arg(long, value_name = "N", default_value_t = 250_000)]
    pub lines: u32,
    /// Live lines a second after that; as many as the day had where absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// The same seed shows the same traffic.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

const DAY: Duration = Duration::from_secs(86_400);
/// What breaks in that day, and after how many hours: seldom enough to be out of the ordinary.
const INCIDENTS: [(Kind, f64); 5] =
    [(Kind::Upstream, 9.0), (Kind::Etcd, 13.5), (Kind::Network, 17.0), (Kind::Registry, 20.5), (Kind::Upstream, 23.0)];
const INCIDENT: Duration = Duration::from_secs(12 * 60);
const WINDOW_EVENTS: u32 = 2048;
/// How often live lines are sent.
const LIVE_PAUSE: Duration = Duration::from_millis(200);

pub fn run(args: Args) -> anyhow::Result<()> {
    let directory = Scratch::new()?;
    let (mut server, beats) = start(&args, &directory)?;
    let done = super::block_on(replay(&args, beats, server.id()));
    // Ended or not: ask once more, then wait until it has put everything away.
    stop(server.id());
    server.wait().context("cannot wait for the server")?;
    done?
}

/// The server, and where it takes Beats. Its output is passed on.
fn start(args: &Args, directory: &Scratch) -> anyhow::Result<(Child, SocketAddr)> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut server = Command::new(&program)
        // The commands it shows are then those that work here.
        .arg0(super::serve::program())
        .args(["serve", "--beats", &args.beats, "--http", &args.http, "--data-dir"])
        .arg(&directory.0)
        .stdout(Stdio::piped())
        // Its own group: an interrupt from the keyboard comes here, and is passed on once.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut output = server.stdout.take().map(BufReader::new).context("the server has no output")?;
    let mut first = String::new();
    output.read_line(&mut first).context("cannot read what the server says")?;
    let Some(beats) = first.strip_prefix("beats  listening on ").and_then(|addr| addr.trim().parse().ok()) else {
        let status = server.wait().context("cannot wait for the server")?;
        bail!("the server did not start ({status}): what it says stands above");
    };
    print!("{first}");
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            println!("{line}");
        }
    });
    Ok((server, beats))
}

/// Ships until interrupted; an error when the server or the shipping ends before.
async fn replay(args: &Args, beats: SocketAddr, server: u32) -> anyhow::Result<()> {
    let (windows, shipped) = mpsc::channel(4);
    let (told, day_is_built) = oneshot::channel();
    let (seed, lines) = (args.seed, args.lines);
    // More lines of everything at once would be out of the ordinary.
    let day_rate = f64::from(lines) / DAY.as_secs_f64();
    let rate = args.rate.map_or(day_rate, f64::from);
    std::thread::spawn(move || traffic(seed, lines, rate, &windows, told));
    tokio::spawn(async move {
        if day_is_built.await.is_ok() {
            println!("\ndemo: {lines} lines of the last 24 hours are in, {rate:.1} a second follow; ctrl-c ends it");
            std::io::stdout().flush().ok();
        }
    });
    let (options, stats) = (Options::new(beats.to_string()), Stats::default());
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminated.recv() => Ok(()),
        sent = ship::send(&options, Windows::Channel(shipped), &stats) => {
            sent.context("cannot ship the sample traffic")?;
            bail!("the sample traffic ended")
        }
        () = gone(server) => bail!("the server ended: what it says stands above"),
    }
}

/// A day of lines as fast as they are taken, then live ones. Ends when nobody takes them.
fn traffic(seed: u64, lines: u32, rate: f64, windows: &mpsc::Sender<Window>, day_is_built: oneshot::Sender<()>) {
    let day_ago = now_nanos() - DAY.as_nanos() as i64;
    let incidents = INCIDENTS.map(|(kind, hours)| {
        let start_nanos = day_ago + (hours * 3_600e9) as i64;
        Incident { kind, app: 0, node: 3, replica: 0, start_nanos, end_nanos: start_nanos + INCIDENT.as_nanos() as i64 }
    });
    let mut traffic =
        Traffic::new(seed, day_ago).with_rate(f64::from(lines) / DAY.as_secs_f64()).with_incidents(&incidents);
    let mut builder = WindowBuilder::new(3);
    let mut event = Vec::new();
    while traffic.now_nanos() < now_nanos() {
        event.clear();
        traffic.next_event(&mut event);
        builder.push(&event);
        if builder.len() == WINDOW_EVENTS
            && let Some(window) = builder.finish()
            && windows.blocking_send(window).is_err()
        {
            return;
        }
    }
    let mut traffic = traffic.with_rate(rate);
    let mut day_is_built = Some(day_is_built);
    loop {
        while traffic.now_nanos() < now_nanos() && builder.len() < WINDOW_EVENTS {
            event.clear();
            traffic.next_event(&mut event);
            builder.push(&event);
        }
        if let Some(window) = builder.finish()
            && windows.blocking_send(window).is_err()
        {
            return;
        }
        if let Some(told) = day_is_built.take() {
            // Nobody listens any more only when the demonstration is over.
            told.send(()).ok();
        }
        std::thread::sleep(LIVE_PAUSE);
    }
}

/// Asks the server to stop, if it still runs.
fn stop(server: u32) {
    if let Some(pid) = pid(server) {
        // It may have ended on its own, which is what is wanted.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
}

/// Returns once the server has ended. Leaves its exit status to be waited for.
async fn gone(server: u32) {
    let ended = |pid| {
        let options = rustix::process::WaitIdOptions::EXITED
            | rustix::process::WaitIdOptions::NOHANG
            | rustix::process::WaitIdOptions::NOWAIT;
        !matches!(rustix::process::waitid(rustix::process::WaitId::Pid(pid), options), Ok(None))
    };
    loop {
        tokio::time::sleep(LIVE_PAUSE).await;
        if pid(server).is_none_or(ended) {
            return;
        }
    }
}

fn pid(process: u32) -> Option<rustix::process::Pid> {
    i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw)
}

fn now_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// A directory of this user's alone, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("loghound-demo-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(err) = std::fs::remove_dir_all(&self.0) {
            eprintln!("demo: {} is left behind: {err}", self.0.display());
        }
    }
}
