//! Records deleted because somebody asked for it, by query: first how many there are, then day by day in the background.
//!
//! What is asked for is a file, `DATA/erase.json`, until all days are done: a start goes on with the day at which the
//! process ended. A day changes in one commit, so that no query sees half of it. `DATA/audit.ndjson` keeps for good who
//! asked for what and why, and what was deleted. It holds the query, but no record.
//!
//! Deleted is what was searchable when it was asked for. Copies elsewhere stay: snapshots, evidence of anomalies, dead
//! letters, and for some minutes the journal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::Context;
use super::reparse::State;
use crate::api::AuditEntry;
use crate::query::{self, Between, Stop};
use crate::record::time::format_rfc3339;
use crate::store::{self, shard_name};

const TASK: &str = "erase.json";
const AUDIT: &str = "audit.ndjson";
/// A day that somebody else writes anew is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RETRIES_MAX: u32 = 600;
/// Looking at one day may take so long.
pub(super) const DAY_TIME_MAX: Duration = Duration::from_secs(3_600);

/// What is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// In the query language, without pipes.
    pub query: String,
    /// Unix nanoseconds.
    pub from: Option<i64>,
    /// Unix nanoseconds, not included.
    pub to: Option<i64>,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What a wish would delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    pub records: u64,
    /// (Day, records), newest first.
    pub days: Vec<(String, u64)>,
    /// The deadline came first.
    pub partial: bool,
}

/// Why a wish is not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Query(#[from] query::SyntaxError),
    #[error("records are being deleted already: wait until that has ended")]
    Running,
    #[error("{path}: {source}; check the disk", path = path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("the records cannot be searched: {0}")]
    Search(String),
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub state: State,
    /// The day under way.
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub deleted: u64,
    pub error: Option<String>,
}

/// The wish as it is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    #[serde(flatten)]
    wish: Wish,
    /// When it was asked for: Unix nanoseconds. Relative times in the query count from here.
    asked_at: i64,
    days: Vec<i32>,
    days_done: usize,
    deleted: u64,
}

#[derive(Default)]
pub struct Erasing {
    progress: Mutex<Progress>,
    stop: AtomicBool,
}

/// Why a day stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("somebody else writes it anew, for ten minutes now")]
    Busy,
    #[error("the thread panicked; its message is in the log")]
    Panicked,
    #[error("stopping")]
    Stopped,
}

impl Erasing {
    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Ends as soon as it can; the next start goes on.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// How many records the wish means now.
    pub fn preview(&self, context: &Context, wish: &Wish, deadline: Instant) -> Result<Preview, Refusal> {
        let expr = query::parse_at(&wish.query, context.clock.now())?;
        let mut preview = Preview::default();
        for shard in context.store.shards().into_iter().filter(|shard| between(wish).overlaps(shard.day)) {
            match context.engine.documents(&shard, &expr, between(wish), deadline) {
                Ok(found) => {
                    let records = found.iter().map(|(_, docs)| docs.len() as u64).sum();
                    if records > 0 {
                        preview.records += records;
                        preview.days.push((shard_name(shard.day), records));
                    }
                }
                Err(Stop::Deadline) => {
                    preview.partial = true;
                    break;
                }
                Err(stop) => return Err(Refusal::Search(stop.to_string())),
            }
        }
        Ok(preview)
    }

    /// Begins to delete; [`Erasing::progress`] tells how far it is.
    pub fn begin(context: &Arc<Context>, wish: Wish) -> Result<(), Refusal> {
        let asked_at = context.clock.now();
        query::parse_at(&wish.query, asked_at)?;
        let days = context.store.committed().into_iter().map(|(day, _)| day);
        let days: Vec<i32> = days.filter(|day| between(&wish).overlaps(*day)).collect();
        let task = Task { wish, asked_at, days, days_done: 0, deleted: 0 };
        {
            let mut progress = context.erasing.progress.lock();
            if progress.state == State::Running {
                return Err(Refusal::Running);
            }
            audit(&context.data_dir, &entry(&task, asked_at, "delete_begun", None))?;
            save(&context.data_dir, &task)?;
            *progress = Progress { state: State::Running, days: task.days.len(), ..Progress::default() };
        }
        spawn(context, task);
        Ok(())
    }

    /// Goes on with what an earlier process began.
    pub fn resume(context: &Arc<Context>) {
        let path = context.data_dir.join(TASK);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => return error!(file = %path.display(), %error, "cannot read what was to be deleted"),
        };
        match serde_json::from_slice::<Task>(&text) {
            Ok(task) => {
                info!(query = task.wish.query, "goes on deleting records");
                *context.erasing.progress.lock() = Progress {
                    state: State::Running,
                    days: task.days.len(),
                    days_done: task.days_done,
                    deleted: task.deleted,
                    ..Progress::default()
                };
                spawn(context, task);
            }
            Err(error) => {
                error!(file = %path.display(), %error, "is not understood and left alone: ask for the deletion again")
            }
        }
    }
}

fn spawn(context: &Arc<Context>, task: Task) {
    let running = Arc::clone(context);
    let spawned = std::thread::Builder::new().name("loghound-erase".into()).spawn(move || run(&running, task));
    if let Err(error) = spawned {
        let mut progress = context.erasing.progress.lock();
        progress.state = State::Failed;
        progress.error = Some(error.to_string());
    }
}

fn run(context: &Context, mut task: Task) {
    // Live lines and queries go first. Where the system does not let it, it is only less kind.
    let _ = rustix::process::setpriority_process(None, 10);
    let mut failed = None;
    while let Some(&day) = task.days.get(task.days_done) {
        context.erasing.progress.lock().day = Some(shard_name(day));
        let erased = catch_unwind(AssertUnwindSafe(|| erase_day(context, &task, day)));
        match erased.unwrap_or(Err(Failure::Panicked)) {
            Ok(deleted) => task.deleted += deleted,
            Err(Failure::Stopped) => return,
            Err(failure) => {
                let text = format!("{}: {failure}", shard_name(day));
                error!("cannot delete records of a day, it stays as it was: {text}");
                failed.get_or_insert(text);
            }
        }
        task.days_done += 1;
        {
            let mut progress = context.erasing.progress.lock();
            (progress.days_done, progress.deleted) = (task.days_done, task.deleted);
        }
        if let Err(refusal) = save(&context.data_dir, &task) {
            warn!(%refusal, "a restart would look at this day again");
        }
    }
    let action = if failed.is_some() { "delete_failed" } else { "delete_done" };
    if let Err(refusal) = audit(&context.data_dir, &entry(&task, context.clock.now(), action, failed.clone())) {
        error!(%refusal, "cannot note down what was deleted");
    }
    let path = context.data_dir.join(TASK);
    if let Err(error) = fs::remove_file(&path) {
        warn!(file = %path.display(), %error, "cannot be removed");
    }
    let mut progress = context.erasing.progress.lock();
    progress.day = None;
    progress.state = if failed.is_some() { State::Failed } else { State::Done };
    progress.error = failed;
    info!(deleted = progress.deleted, days = progress.days, "records were deleted");
}

/// How many records went.
fn erase_day(context: &Context, task: &Task, day: i32) -> Result<u64, Failure> {
    let expr = query::parse_at(&task.wish.query, task.asked_at).map_err(Refusal::from)?;
    let stopping = || context.erasing.stop.load(Ordering::Acquire);
    let mut tries = 0;
    let rewrite = loop {
        if !context.store.committed().iter().any(|(other, _)| *other == day) {
            return Ok(0);
        }
        match context.store.rewrite(day)? {
            Some(rewrite) => break rewrite,
            None if stopping() => return Err(Failure::Stopped),
            None if tries == RETRIES_MAX => return Err(Failure::Busy),
            None => {
                tries += 1;
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    };
    erase(context, rewrite, &expr, between(&task.wish), &|| !stopping())
}

/// Takes what matches out of a day; how many records went.
pub(super) fn erase(
    context: &Context,
    rewrite: store::Rewrite,
    expr: &query::Expr,
    between: Between,
    go_on: &dyn Fn() -> bool,
) -> Result<u64, Failure> {
    let deadline = Instant::now() + DAY_TIME_MAX;
    let found = context.engine.documents(rewrite.view(), expr, between, deadline);
    let found = found.map_err(|stop| Refusal::Search(stop.to_string()))?;
    let deleted = found.iter().map(|(_, docs)| docs.len() as u64).sum();
    if rewrite.erase(&found, go_on)? { Ok(deleted) } else { Err(Failure::Stopped) }
}

fn between(wish: &Wish) -> Between {
    Between { from: wish.from, to: wish.to }
}

fn entry(task: &Task, at: i64, action: &str, error: Option<String>) -> AuditEntry {
    let wish = &task.wish;
    AuditEntry {
        at: format_rfc3339(at),
        action: action.to_owned(),
        by: wish.by.clone(),
        reason: wish.reason.clone(),
        query: wish.query.clone(),
        from: wish.from.map(format_rfc3339),
        to: wish.to.map(format_rfc3339),
        records: task.deleted,
        error,
    }
}

fn save(data_dir: &Path, task: &Task) -> Result<(), Refusal> {
    let path = data_dir.join(TASK);
    let new = path.with_extension("json.new");
    let written = serde_json::to_vec(task).map_err(io::Error::from).and_then(|text| {
        fs::write(&new, text)?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(data_dir)?.sync_all()
    });
    written.map_err(|source| Refusal::Disk { path, source })
}

/// Adds a line to the audit; durable when it returns.
fn audit(data_dir: &Path, entry: &AuditEntry) -> Result<(), Refusal> {
    let path = data_dir.join(AUDIT);
    let written = serde_json::to_string(entry).map_err(io::Error::from).and_then(|line| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| Refusal::Disk { path, source })
}

/// What was asked for and done, newest first. A line that a crash cut short is left out.
pub fn entries(data_dir: &Path, limit: usize) -> Result<Vec<AuditEntry>, Refusal> {
    let path = data_dir.join(AUDIT);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Refusal::Disk { path, source }),
    };
    let mut entries: Vec<AuditEntry> = BufReader::new(file)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect();
    entries.reverse();
    entries.truncate(limit);
    Ok(entries)
}
