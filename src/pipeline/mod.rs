//! Wires the rooms: threads, queues, start, drain, stop.
//!
//! Started inside out (lock, store, journal, indexing, API, then the receiver) and stopped in the reverse order: stop
//! receiving, acknowledge what is journalled, index and commit it, close. Whatever a deadline cuts off is in the
//! journal and is indexed at the next start.

mod accounts;
mod alerting;
mod backend;
mod clock;
mod compared;
mod detecting;
mod documents;
mod erasing;
mod export;
mod grammars;
mod indexer;
mod intake;
mod kafka;
mod keeping;
mod live;
mod lock;
mod patterns;
mod queue;
mod repair;
mod reparse;
mod restore;
mod retention;
mod scoring;
mod snapshots;
mod stored;
mod tail;
mod templates;
mod tending;
mod watched;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use backend::Pipeline;
pub use clock::Clock;
pub use detecting::Detecting;
pub use export::{ExportError, export};
pub use keeping::Keep;
pub use lock::{DataDirLock, LockError};
pub use repair::{RepairError, Repaired, repair};
pub use restore::{RestoreError, Restored, copy_files, restore};
pub use tail::TailHub;
pub use templates::Templates;

use self::indexer::Indexer;
use self::intake::Intake;
use crate::alert;
use crate::api;
use crate::decode::{DedupeLimits, Streams};
use crate::detect;
use crate::ingest::beats;
use crate::ingest::dead_letters::{DeadLetter, DeadLetters};
use crate::ingest::frame;
use crate::ingest::tls::{Acceptor, TlsError, TlsFiles};
use crate::journal::{self, Journal, Position};
use crate::parse::Grammars;
use crate::parse::redact::Redactor;
use crate::query::{Engine, SavedQueries};
use crate::record::Batch;
use crate::store::{self, Meta, Store};
use crate::telemetry::Metrics;

/// What the threads of the path share.
pub struct Context {
    pub store: Arc<Store>,
    pub journal: Journal,
    pub grammars: Arc<Grammars>,
    /// `None` where the operator turned templates off.
    pub templates: Option<Arc<Templates>>,
    pub streams: Arc<Streams>,
    pub dead_letters: Mutex<DeadLetters>,
    pub accounts: accounts::Accounts,
    pub live: live::LiveBatches,
    /// Which offsets of Kafka are durable here.
    pub kafka: kafka::Offsets,
    pub documents: documents::Documents,
    pub tails: TailHub,
    pub engine: Engine,
    pub reparse: reparse::Reparse,
    pub erasing: erasing::Erasing,
    pub saved: SavedQueries,
    /// `None` where the operator turned detectors off.
    pub detecting: Option<Arc<Detecting>>,
    /// Detectors over stored days; `None` where they are turned off.
    pub runs: Option<detecting::Runs>,
    pub alerting: Arc<alert::Alerting>,
    /// Masks what must not be kept, before anything is made of a line.
    pub redactor: Option<Arc<Redactor>>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub limits: frame::Limits,
    pub dedupe: DedupeLimits,
    pub workers: usize,
    pub commit_interval: Duration,
    /// Records that are kept for a shorter time than their days.
    pub keep: Vec<Keep>,
    pub data_dir: PathBuf,
    /// The days are a copy that is only looked at.
    pub is_copy: bool,
    /// What was journalled before this process started.
    pub recovered_through: Position,
}

/// How long stopping waits for a day that is being merged.
const TENDING_STOP_MAX: Duration = Duration::from_secs(2);

/// How often the TLS files and the grammar files are looked at.
const FILES_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Indexing had to stop; it starts again from the last commit.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Journal(#[from] journal::ReadError),
    #[error("dead-letter store: {0}")]
    DeadLetters(#[from] crate::ingest::dead_letters::Error),
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("cannot save new templates: {0}; check that the disk has room")]
    Templates(std::io::Error),
    #[error("an indexing thread panicked; its message is in the log")]
    Panicked,
}

impl Context {
    /// What is left of the disk that the data are on; `None` when it does not say.
    fn disk_free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Keeps undecodable events of a batch where a person can look at them.
    fn bury(&self, position: Position, batch: &Batch, bad: &[(usize, &[u8], String)]) -> Result<(), IndexError> {
        let letters: Vec<DeadLetter> = bad
            .iter()
            .map(|(index, bytes, reason)| DeadLetter {
                position: position.0,
                index: *index as u32,
                received_at: crate::record::time::format_rfc3339(batch.received_at),
                peer: batch.peer.clone(),
                reason: reason.clone(),
                body_base64: match self.redactor.as_ref().zip(std::str::from_utf8(bytes).ok()) {
                    Some((redactor, text)) => DeadLetter::encode(redactor.mask(text).as_bytes()),
                    None => DeadLetter::encode(bytes),
                },
            })
            .collect();
        self.dead_letters.lock().append(&letters)?;
        Ok(())
    }
}

/// What a process is started with.
pub struct Settings {
    pub data_dir: PathBuf,
    pub beats_listen: String,
    pub beats: beats::Settings,
    pub beats_tls: Option<TlsFiles>,
    pub http_tls: Option<TlsFiles>,
    pub http_listen: String,
    pub api: api::Settings,
    pub journal_bytes_max: u64,
    pub journal_segment_bytes: u64,
    pub journal_disk_reserve_bytes: u64,
    /// Topics to read.
    pub store: store::Options,
    /// Records that are kept for a shorter time than their days.
    pub keep: Vec<Keep>,
    /// Memory for templates; 0 mines none.
    pub templates_bytes_max: usize,
    /// Memory for the detectors; 0 watches nothing.
    pub detect_bytes_max: usize,
    /// What operators want watched.
    pub jobs: Vec<detect::JobSpec>,
    /// The model to start with, in place of the one in use.
    pub model_version: Option<String>,
    /// Who is told of what.
    pub alert: alert::Settings,
    /// Masks what must not be kept.
    pub redactor: Option<Arc<Redactor>>,
    pub workers: usize,
    pub commit_interval: Duration,
    pub dedupe: DedupeLimits,
    pub live_bytes_max: usize,
    pub shutdown_deadline: Duration,
    pub kafka_inputs: Vec<crate::ingest::kafka::Settings>,
    /// The days are a copy that is only looked at: nothing is received.
    pub is_copy: bool,
}

/// Where a started process listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub beats: SocketAddr,
    pub http: SocketAddr,
    /// The scheme of [`Self::http`]: http or https.
    pub scheme: &'static str,
}

/// A process could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("dead-letter store: {0}")]
    DeadLetters(#[from] crate::ingest::dead_letters::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen { key: &'static str, address: String, source: std::io::Error },
    #[error(transparent)]
    Detect(#[from] detecting::StartError),
    #[error(transparent)]
    Alert(#[from] alert::Error),
    #[error("cannot start: {0}")]
    Start(String),
}

/// Runs until SIGTERM or SIGINT, then drains. `announce` is called once both ports are open.
pub fn run(settings: Settings, grammars: Grammars, announce: impl FnOnce(&Addresses)) -> Result<(), RunError> {
    let _lock = DataDirLock::acquire(&settings.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers.clamp(2, 8))
        .thread_name("loghound-io")
        .enable_all()
        .build()
        .map_err(|e| RunError::Start(e.to_string()))?;
    let context = Arc::new(open(&settings, Arc::new(grammars))?);
    let indexer = Arc::new(Indexer::new(Arc::clone(&context), runtime.handle().clone()));
    let (drain, abort) = (indexer.drain_flag(), indexer.abort_flag());
    let served = runtime.block_on(async {
        let listeners = listen(&settings).await?;
        let indexing = std::thread::Builder::new()
            .name("loghound-index".into())
            .spawn({
                let indexer = Arc::clone(&indexer);
                move || indexer.run()
            })
            .map_err(|e| RunError::Start(e.to_string()))?;
        let detecting = context.detecting.clone().map(|detecting| {
            let context = Arc::clone(&context);
            std::thread::Builder::new()
                .name("loghound-detect".into())
                .spawn(move || detecting.run(context.clock, &context.journal, &context.metrics))
                .map_err(|e| RunError::Start(e.to_string()))
        });
        let detecting = detecting.transpose()?;
        let tending = tending::Tending::start(Arc::clone(&context)).map_err(|e| RunError::Start(e.to_string()))?;
        let deadline = serve(&settings, &context, listeners, announce).await?;
        if !tending.stop(deadline.min(Instant::now() + TENDING_STOP_MAX)).await {
            info!("a day is being merged; that begins anew after the next start");
        }
        drain.store(true, Ordering::Release);
        while !indexing.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if !indexing.is_finished() {
            warn!("not everything was indexed before the shutdown deadline; the journal holds the rest");
            abort.store(true, Ordering::Release);
        }
        let _ = tokio::task::spawn_blocking(move || indexing.join()).await;
        if let (Some(thread), Some(detecting)) = (detecting, &context.detecting) {
            detecting.feed().close();
            while !thread.is_finished() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok::<(), RunError>(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    info!("stopped");
    Ok(())
}

/// Opens what is on disk, saying what was found damaged.
fn open(settings: &Settings, grammars: Arc<Grammars>) -> Result<Context, RunError> {
    let metrics = Arc::new(Metrics::new().map_err(|e| RunError::Start(e.to_string()))?);
    let store = Store::open(settings.data_dir.join("shards"), settings.store.clone())?;
    for damage in store.set_aside() {
        error!(shard = damage.day, "{}", damage.message);
    }
    let observed = Arc::clone(&metrics);
    let observer: journal::Observer = Arc::new(move |commit| match commit {
        journal::Commit::Durable(took) => observed.journal_fsync_seconds.observe(took.as_secs_f64()),
        journal::Commit::Failed => observed.journal_errors.inc(),
    });
    let (journal, report) = Journal::open(journal::Options {
        dir: settings.data_dir.join("journal"),
        segment_bytes: settings.journal_segment_bytes,
        bytes_max: settings.journal_bytes_max,
        disk_reserve_bytes: settings.journal_disk_reserve_bytes,
        observer: Some(observer),
    })?;
    for damage in &report.damages {
        error!(%damage, "journal damage");
        metrics.journal_damages.inc();
    }
    if let Some(torn) = &report.torn {
        info!(%torn, "cut off a write that was interrupted; nothing in it was acknowledged");
    }
    // Were the journal's directory lost, its positions would start over and shards would take new batches for old.
    let held = store.committed().iter().map(|(_, position)| *position).max().unwrap_or(0);
    journal.never_below(Position(held));
    let store = Arc::new(store);
    let templates = open_templates(settings, &store)?;
    let meta = Meta::open(settings.data_dir.join("meta.redb")).map_err(|error| {
        RunError::Start(format!("meta.redb: {error}; move it away to start without anomalies and incidents"))
    })?;
    let meta = Arc::new(meta);
    let accounts =
        accounts::Accounts::open(Arc::clone(&meta), &metrics).map_err(|error| RunError::Start(error.to_string()))?;
    let kafka = kafka::Offsets::open(Arc::clone(&meta)).map_err(|error| RunError::Start(error.to_string()))?;
    journal.never_below(accounts.through());
    let detecting = open_detecting(settings, Arc::clone(&meta), templates.clone())?;
    let alerting = Arc::new(alert::Alerting::open(meta, settings.alert.clone())?);
    if let Some(detecting) = &detecting {
        journal.never_below(detecting.position());
    }
    let mut engine = Engine::new(Arc::clone(&store), Arc::clone(&grammars));
    if let Some(templates) = &templates {
        engine = engine.with_templates(Arc::clone(templates.ids()));
    }
    Ok(Context {
        reparse: reparse::Reparse::new(
            Arc::clone(&store),
            Arc::clone(&grammars),
            templates.clone(),
            settings.redactor.clone(),
            &settings.data_dir,
        ),
        runs: detecting.clone().map(|detecting| {
            let history = detecting::History { store: Arc::clone(&store), grammars: Arc::clone(&grammars) };
            detecting::Runs::new(history, detecting, engine.language().aliases)
        }),
        saved: SavedQueries::open(&settings.data_dir)
            .map_err(|error| RunError::Start(format!("saved queries: {error}")))?,
        store,
        templates,
        detecting,
        alerting,
        recovered_through: *journal.durable().borrow(),
        journal,
        grammars,
        streams: Arc::new(Streams::new(Default::default())),
        accounts,
        kafka,
        erasing: erasing::Erasing::default(),
        dead_letters: Mutex::new(DeadLetters::open(&settings.data_dir.join("dead-letters"))?),
        live: live::LiveBatches::new(settings.live_bytes_max),
        documents: documents::Documents::new(settings.dedupe),
        tails: TailHub::default(),
        engine,
        redactor: settings.redactor.clone(),
        metrics,
        clock: Clock,
        limits: settings.beats.limits,
        data_dir: settings.data_dir.clone(),
        keep: settings.keep.clone(),
        is_copy: settings.is_copy,
        dedupe: settings.dedupe,
        workers: settings.workers,
        commit_interval: settings.commit_interval,
    })
}

fn open_templates(settings: &Settings, store: &Store) -> Result<Option<Arc<Templates>>, RunError> {
    if settings.templates_bytes_max == 0 {
        return Ok(None);
    }
    let dir = settings.data_dir.join("templates");
    let opened =
        Templates::open(&dir, settings.templates_bytes_max, store.highest_template()?, |damage| error!("{damage}"))?;
    Ok(Some(Arc::new(opened)))
}

fn open_detecting(
    settings: &Settings,
    meta: Arc<Meta>,
    templates: Option<Arc<Templates>>,
) -> Result<Option<Arc<Detecting>>, detecting::StartError> {
    if settings.detect_bytes_max == 0 {
        return Ok(None);
    }
    let memory = detect::Settings { bytes_max: settings.detect_bytes_max, ..detect::Settings::default() };
    let pinned = settings.model_version.as_deref();
    Ok(Some(Arc::new(Detecting::open(&settings.data_dir, meta, memory, templates, pinned, settings.jobs.clone())?)))
}

struct Listeners {
    beats: TcpListener,
    http: TcpListener,
    beats_tls: Option<Arc<Acceptor>>,
    http_tls: Option<Arc<Acceptor>>,
}

/// Opens both ports, so that a port in use is known before anything is started.
async fn listen(settings: &Settings) -> Result<Listeners, RunError> {
    let bind = async |key: &'static str, address: &str| {
        TcpListener::bind(address).await.map_err(|source| RunError::Listen { key, address: address.to_owned(), source })
    };
    let tls = |files: &Option<TlsFiles>| files.clone().map(Acceptor::new).transpose().map(|tls| tls.map(Arc::new));
    let (beats_tls, http_tls) = (tls(&settings.beats_tls)?, tls(&settings.http_tls)?);
    let beats = bind("beats.listen", &settings.beats_listen).await?;
    let http = bind("http.listen", &settings.http_listen).await?;
    Ok(Listeners { beats, http, beats_tls, http_tls })
}

/// Serves until asked to stop, then acknowledges what was received whole. Returns when everything must have ended.
async fn serve(
    settings: &Settings,
    context: &Arc<Context>,
    listeners: Listeners,
    announce: impl FnOnce(&Addresses),
) -> Result<Instant, RunError> {
    let failed = |e: std::io::Error| RunError::Start(e.to_string());
    let addresses = Addresses {
        beats: listeners.beats.local_addr().map_err(failed)?,
        http: listeners.http.local_addr().map_err(failed)?,
        scheme: if listeners.http_tls.is_some() { "https" } else { "http" },
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;

    let closing_api = CancellationToken::new();
    let closing_beats = CancellationToken::new();
    let clock = context.clock;
    let ack_metrics = Arc::clone(&context.metrics);
    let receiver = Arc::new(beats::Server::new(
        settings.beats.clone(),
        Arc::new(Intake(Arc::clone(context))),
        listeners.beats_tls.clone(),
        Arc::new(move || clock.now()),
        Arc::new(move |took: Duration| ack_metrics.ack_seconds.observe(took.as_secs_f64())),
    ));
    let runtime = tokio::runtime::Handle::current();
    let (counters, budget) = (receiver.counters(), receiver.budget());
    let pipeline = Arc::new(Pipeline::new(Arc::clone(context), counters, budget, closing_api.clone(), runtime));
    let router = api::router(pipeline, Arc::clone(&context.metrics), settings.api.clone(), closing_api.clone());
    let api_settings = settings.api.clone();
    let api_closing = closing_api.clone();
    let api_tls = listeners.http_tls.clone();
    let api_task =
        tokio::spawn(async move { api::serve(listeners.http, api_tls, router, &api_settings, api_closing).await });
    let receiving = tokio::spawn({
        let (receiver, closing) = (Arc::clone(&receiver), closing_beats.clone());
        let is_copy = context.is_copy;
        async move {
            if is_copy {
                drop(listeners.beats);
                return;
            }
            receiver.run(listeners.beats, closing).await
        }
    });
    #[cfg(feature = "kafka")]
    let inputs = {
        let wanted = if context.is_copy { &[][..] } else { &settings.kafka_inputs };
        kafka::Inputs::start(context, wanted, &tokio::runtime::Handle::current()).map_err(failed)?
    };
    let alerts = alerting::Alerts::start(context).map_err(RunError::Start)?;
    announce(&addresses);
    context.reparse.resume();
    erasing::Erasing::resume(context);

    let mut reload = tokio::time::interval(FILES_CHECK_INTERVAL);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {}
            _ = reload.tick() => {}
        }
        for tls in [&listeners.beats_tls, &listeners.http_tls].into_iter().flatten() {
            tls.reload();
        }
        reload_grammars(context).await;
    }
    info!("stopping: finishing the windows in hand, then indexing what is in the journal");
    let deadline = Instant::now() + settings.shutdown_deadline;
    closing_beats.cancel();
    #[cfg(feature = "kafka")]
    inputs.stop(deadline).await;
    context.reparse.stop();
    context.erasing.stop();
    if tokio::time::timeout_at(deadline.into(), receiving).await.is_err() {
        warn!("some connections did not end before the shutdown deadline; their senders send again");
    }
    alerts.stop().await;
    closing_api.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(2), api_task).await;
    Ok(deadline)
}

/// Takes changed grammar files into use, or says why not; batches under way end with the grammars they began with.
async fn reload_grammars(context: &Arc<Context>) {
    let reloading = Arc::clone(context);
    // Compiling patterns takes longer than an event loop may stand still.
    let reloaded = tokio::task::spawn_blocking(move || reloading.grammars.reload()).await;
    match reloaded {
        Ok(Ok(false)) | Err(_) => {}
        Ok(Ok(true)) => {
            context.metrics.grammar_reloads.of("taken").inc();
            info!(grammars = context.grammars.current().grammars().len(), "grammar files changed and are in use");
        }
        Ok(Err(problems)) => {
            context.metrics.grammar_reloads.of("refused").inc();
            for problem in problems {
                error!("changed grammar files are not taken, the old grammars stay in use: {problem}");
            }
        }
    }
}
