//! `loghound ship`: a Lumberjack client that loads files, and measures a receiver while it does so.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use self::source::Plan;
use crate::ship::{self, Options, Pace, Report, Stats, Tls, Window, WindowBuilder, Windows};

mod source;

/// Ship log files, or generated traffic, to a Lumberjack receiver as Filebeat does, and report rates and ack latencies.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The receiver.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5044")]
    pub to: String,
    /// Events a second over all connections together; without it as fast as the receiver acknowledges.
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Events a window.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub window: u32,
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// zlib's level; 0 sends without compression.
    #[arg(long, value_name = "0-9", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=9))]
    pub compression: u32,
    /// Windows in flight on each connection.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub pipelining: u32,
    /// Send everything K times, each copy as files of its own.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub repeat: u32,
    /// Build and compress all windows in memory before the clock starts.
    #[arg(long)]
    pub prepare: bool,
    /// Send N events of made-up klog and Envoy traffic instead of files.
    #[arg(long, value_name = "N", conflicts_with = "files")]
    pub generate: Option<u64>,
    /// Seed of generated traffic, identifiers and key order.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// End with an error when nothing was acknowledged for so many seconds; 0 waits for ever, as Filebeat does.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub give_up: u64,
    /// Speak TLS.
    #[arg(long)]
    pub tls: bool,
    /// PEM file of the authorities that the receiver's certificate must come from.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "tls")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the client's key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Take any certificate: for tests.
    #[arg(long, requires = "tls")]
    pub tls_insecure: bool,
    /// The name in the receiver's certificate, where it is not the host of --to.
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub tls_name: Option<String>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Plain log files, or NDJSON files whose lines are events (objects with @timestamp and message).
    #[arg(value_name = "FILE", required_unless_present = "generate")]
    pub files: Vec<PathBuf>,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// Ships everything, until all is acknowledged, and prints the report.
pub fn run(args: Args) -> anyhow::Result<()> {
    let plan = Arc::new(Plan::new(&args, now_nanos())?);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(ship_all(&args, plan))?;
    match args.output {
        Output::Text => println!("{report}"),
        Output::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(())
}

async fn ship_all(args: &Args, plan: Arc<Plan>) -> anyhow::Result<Report> {
    let connections = args.connections as usize;
    let mut builders = Vec::new();
    let mut sources: Vec<Windows> = Vec::new();
    if args.prepare {
        let progress = bar(plan.events(), "preparing");
        let plan = plan.clone();
        let (window, level) = (args.window, args.compression);
        let ticking = progress.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let mut prepared: Vec<Vec<Window>> = vec![Vec::new(); connections];
            let mut turn = 0;
            build(&plan, window, level, |window| {
                ticking.inc(u64::from(window.events));
                prepared[turn % connections].push(window);
                turn += 1;
                true
            })
            .map(|()| prepared)
        });
        sources.extend(prepared.await??.into_iter().map(Windows::from));
        progress.finish_and_clear();
    } else {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..connections).map(|_| mpsc::channel(2)).unzip();
        sources.extend(receivers.into_iter().map(Windows::Channel));
        let plan = plan.clone();
        let (window, level) = (args.window, args.compression);
        builders.push(tokio::task::spawn_blocking(move || deal(&plan, window, level, senders)));
    }

    let stats = Arc::new(Stats::default());
    let start = Instant::now();
    let options = options(args, start);
    let progress = bar(plan.events(), "shipping");
    let watch = tokio::spawn(watch(progress.clone(), stats.clone()));
    let mut sending = tokio::task::JoinSet::new();
    for windows in sources {
        let (options, stats) = (options.clone(), stats.clone());
        sending.spawn(async move { ship::send(&options, windows, &stats).await });
    }
    let mut failed = None;
    while let Some(ended) = sending.join_next().await {
        if let Err(error) = ended? {
            // The first failure is the cause; the others would only wait out their own limits.
            failed = Some(error);
            break;
        }
    }
    sending.shutdown().await;
    let elapsed = start.elapsed();
    watch.abort();
    progress.finish_and_clear();
    let report = stats.report(elapsed);
    if let Some(error) = failed {
        return Err(error).with_context(|| format!("stopped after {} acknowledged events", report.events));
    }
    for builder in builders {
        builder.await??;
    }
    if report.events == 0 {
        bail!("nothing to send: the files hold no lines");
    }
    Ok(report)
}

/// Cuts the plan's events into windows; `take` says whether more are wanted.
fn build(plan: &Plan, window: u32, level: u32, mut take: impl FnMut(Window) -> bool) -> anyhow::Result<()> {
    let mut builder = WindowBuilder::new(level);
    let mut wanted = true;
    plan.each(|event| {
        builder.push(event);
        if builder.len() == window
            && let Some(full) = builder.finish()
        {
            wanted = take(full);
        }
        wanted
    })?;
    if let Some(last) = builder.finish() {
        take(last);
    }
    Ok(())
}

/// Deals windows out to the connections in turn, waiting for the one whose turn it is: Filebeat's load balancing.
fn deal(plan: &Plan, window: u32, level: u32, senders: Vec<mpsc::Sender<Window>>) -> anyhow::Result<()> {
    let mut turn = 0;
    build(plan, window, level, |window| {
        turn += 1;
        senders[turn % senders.len()].blocking_send(window).is_ok()
    })
}

fn options(args: &Args, start: Instant) -> Options {
    let mut options = Options::new(&args.to);
    options.pipelining = args.pipelining as usize;
    options.give_up = (args.give_up > 0).then(|| Duration::from_secs(args.give_up));
    options.pace = args.rate.filter(|rate| *rate > 0.0).map(|rate| Arc::new(Pace::new(start.into(), rate)));
    options.tls = args.tls.then(|| Tls {
        ca: args.tls_ca.clone(),
        identity: args.tls_cert.clone().zip(args.tls_key.clone()),
        insecure: args.tls_insecure,
        server_name: args.tls_name.clone(),
    });
    options
}

/// Hidden where nobody watches.
fn bar(events: Option<u64>, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match events {
        Some(events) => (ProgressBar::new(events), "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}"),
        None => (ProgressBar::no_length(), "{msg} {spinner} {human_pos} events {per_sec}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what)
}

async fn watch(progress: ProgressBar, stats: Arc<Stats>) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        progress.set_position(stats.events());
    }
}

fn now_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
