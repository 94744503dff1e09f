//! Stored lines parsed anew after a grammar was mended: first what would change, then the days written anew, one after
//! the other, in the background.
//!
//! What is asked for is a file, `DATA/reparse.json`, until all days are done: a start goes on with the day at which the
//! process ended. A day changes in one commit ([`store::Rewrite`](crate::store::Rewrite)), so that no query sees half of
//! it. Lines keep their time and their place in it; those received meanwhile are parsed by the new grammars anyway.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tracing::{error, info, warn};

use super::stored::{Day, Line};
use super::templates::Templates;
use crate::parse::redact::Redactor;
use crate::parse::template::Text;
use crate::parse::{Grammars, Parser};
use crate::query::Between;
use crate::record::{Record, time};
use crate::store::{self, Store};

const FILE: &str = "reparse.json";

/// What is to be parsed anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Unix nanoseconds.
    pub from: Option<i64>,
    /// Unix nanoseconds, not included.
    pub to: Option<i64>,
    /// The grammar to try; without one, all of them as for a new line.
    pub grammar: Option<String>,
    /// Lines that have a grammar too, not only those without.
    pub all: bool,
}

impl Wish {
    pub(super) fn between(&self) -> Between {
        Between { from: self.from, to: self.to }
    }
}

/// Why a wish is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Grammar(String),
    #[error("stored lines are being parsed anew already: wait until that has ended")]
    Running,
    #[error("cannot note down what to do in {path}: {cause}")]
    Disk { path: PathBuf, cause: String },
}

/// Lines that would go from one grammar to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `None`: no grammar.
    pub from: Option<String>,
    pub to: Option<String>,
    pub lines: u64,
    /// One of them, and its fields afterwards.
    pub example: String,
    pub fields: Map<String, Json>,
}

/// What a wish would change.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Most lines first.
    pub changes: Vec<Change>,
    pub examined: u64,
    /// The deadline came first.
    pub partial: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Idle,
    Running,
    Done,
    Failed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub state: State,
    /// The day under way, `2026-11-22`.
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub examined: u64,
    pub changed: u64,
    pub error: Option<String>,
}

/// The wish as it is on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    #[serde(flatten)]
    wish: Wish,
    /// UTC day numbers, newest first.
    days: Vec<i32>,
    days_done: usize,
}

/// Parses stored lines anew. Cheap to clone.
#[derive(Clone)]
pub struct Reparse {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    grammars: Arc<Grammars>,
    templates: Option<Arc<Templates>>,
    redactor: Option<Arc<Redactor>>,
    file: PathBuf,
    progress: Mutex<Progress>,
    stop: AtomicBool,
}

/// Why a day was not written anew.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("cannot read the shard: {0}")]
    Read(#[from] tantivy::TantivyError),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("cannot save templates: {0}")]
    Templates(#[from] std::io::Error),
    #[error("stopping")]
    Stopped,
}

impl Reparse {
    /// What `redactor` hides is hidden in stored lines as well.
    pub fn new(
        store: Arc<Store>,
        grammars: Arc<Grammars>,
        templates: Option<Arc<Templates>>,
        redactor: Option<Arc<Redactor>>,
        data_dir: &Path,
    ) -> Self {
        let (file, progress, stop) = (data_dir.join(FILE), Mutex::default(), AtomicBool::new(false));
        let shared = Shared { store, grammars, templates, redactor, file, progress, stop };
        Self { shared: Arc::new(shared) }
    }

    pub fn progress(&self) -> Progress {
        self.shared.progress.lock().clone()
    }

    /// What would change.
    pub fn preview(&self, wish: &Wish, deadline: Instant) -> Result<Preview, Refusal> {
        let parser = self.shared.grammars.current();
        check(wish, &parser)?;
        let mut preview = Preview::default();
        let mut changes: BTreeMap<(Option<String>, Option<String>), Change> = BTreeMap::new();
        for shard in self.shared.store.shards() {
            if !wish.between().overlaps(shard.day) {
                continue;
            }
            let shared = &self.shared;
            let day = Day::new(&shard, &shared.grammars, &parser, shared.redactor.as_deref(), Some(wish));
            let seen = day.each(
                |_| true,
                || if Instant::now() > deadline { Err(Failure::Stopped) } else { Ok(()) },
                |line| {
                    preview.examined += 1;
                    if line.changed() {
                        let key = (line.old.map(named), line.gets().map(named));
                        let change = changes.entry(key).or_insert_with_key(|(from, to)| Change {
                            from: from.clone(),
                            to: to.clone(),
                            lines: 0,
                            example: line.text.to_owned(),
                            fields: line.fields.to_json(),
                        });
                        change.lines += 1;
                    }
                    Ok(())
                },
            );
            match seen {
                Ok(()) => {}
                Err(Failure::Stopped) => {
                    preview.partial = true;
                    break;
                }
                Err(failure) => warn!(day = store::shard_name(shard.day), %failure, "cannot look at a day"),
            }
        }
        preview.changes = changes.into_values().collect();
        preview.changes.sort_by_key(|change| std::cmp::Reverse(change.lines));
        Ok(preview)
    }

    /// Begins to write days anew; [`Reparse::progress`] tells how far it is.
    pub fn begin(&self, wish: Wish) -> Result<(), Refusal> {
        check(&wish, &self.shared.grammars.current())?;
        let days: Vec<i32> = self.shared.store.committed().into_iter().map(|(day, _)| day).collect();
        let days = days.into_iter().filter(|day| wish.between().overlaps(*day)).collect();
        let task = Task { wish, days, days_done: 0 };
        {
            let mut progress = self.shared.progress.lock();
            if progress.state == State::Running {
                return Err(Refusal::Running);
            }
            self.shared.save(&task)?;
            *progress = Progress { state: State::Running, days: task.days.len(), ..Progress::default() };
        }
        self.spawn(task);
        Ok(())
    }

    /// Goes on with what an earlier process began.
    pub fn resume(&self) {
        let text = match std::fs::read_to_string(&self.shared.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                return warn!(file = %self.shared.file.display(), %error, "cannot read what was to be reparsed");
            }
        };
        match serde_json::from_str::<Task>(&text) {
            Ok(task) => {
                info!(days = task.days.len() - task.days_done.min(task.days.len()), "goes on parsing stored days anew");
                let (days, days_done) = (task.days.len(), task.days_done);
                *self.shared.progress.lock() =
                    Progress { state: State::Running, days, days_done, ..Progress::default() };
                self.spawn(task);
            }
            Err(error) => warn!(file = %self.shared.file.display(), %error, "is not understood and left alone"),
        }
    }

    /// Ends as soon as it can; the next start goes on.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    fn spawn(&self, task: Task) {
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new().name("loghound-reparse".into()).spawn(move || shared.run(task));
        if let Err(error) = spawned {
            let mut progress = self.shared.progress.lock();
            progress.state = State::Failed;
            progress.error = Some(error.to_string());
        }
    }
}

impl Shared {
    fn run(&self, mut task: Task) {
        // Live lines and queries go first. Where the system does not let it, it is only less kind.
        let _ = rustix::process::setpriority_process(None, 10);
        let mut failed = None;
        while let Some(&day) = task.days.get(task.days_done) {
            self.progress.lock().day = Some(time::format_day(day));
            match self.day(day, &task.wish) {
                Ok(()) => {}
                Err(Failure::Stopped) => return,
                Err(failure) => {
                    let text = format!("{}: {failure}", time::format_day(day));
                    error!("cannot parse a stored day anew, it stays as it was: {text}");
                    failed.get_or_insert(text);
                }
            }
            task.days_done += 1;
            self.progress.lock().days_done = task.days_done;
            if let Err(refusal) = self.save(&task) {
                warn!(%refusal, "a restart would begin with this day again");
            }
        }
        if let Err(error) = std::fs::remove_file(&self.file) {
            warn!(file = %self.file.display(), %error, "cannot be removed");
        }
        let mut progress = self.progress.lock();
        progress.day = None;
        progress.state = if failed.is_some() { State::Failed } else { State::Done };
        progress.error = failed;
        info!(
            days = progress.days,
            examined = progress.examined,
            changed = progress.changed,
            "stored days parsed anew"
        );
    }

    fn day(&self, day: i32, wish: &Wish) -> Result<(), Failure> {
        let parser = self.grammars.current();
        check(wish, &parser)?;
        let Some(mut rewrite) = self.store.rewrite(day)? else { return Ok(()) };
        let view = Arc::clone(rewrite.view());
        let mut replaced = Vec::new();
        let stop = || if self.stop.load(Ordering::Acquire) { Err(Failure::Stopped) } else { Ok(()) };
        for reader in view.searcher().segment_readers() {
            let id = reader.segment_id();
            let looked = Day::new(&view, &self.grammars, &parser, self.redactor.as_deref(), Some(wish));
            let (mut changed, mut examined, mut unknown) = (0, 0, false);
            looked.each(
                |other| other == id,
                stop,
                |line| {
                    examined += 1;
                    changed += u64::from(line.changed());
                    // Its fields cannot be found again, so it could not be indexed again.
                    unknown |= line.old.is_some() && line.new.is_none() && !line.settled;
                    Ok(())
                },
            )?;
            if unknown {
                warn!(
                    day = time::format_day(day),
                    "a segment with lines of a grammar that does not load is left as it is"
                );
                continue;
            }
            if changed > 0 {
                looked.each(
                    |other| other == id,
                    stop,
                    |line| {
                        let covers = line.new.as_ref().is_some_and(|grammar| grammar.covers(line.text));
                        let grammar = line.new.as_ref().map(|grammar| grammar.key());
                        // Other fields may mean another text.
                        let template = if line.changed() { self.mined(line) } else { line.template };
                        let record = Record { event: line.event, grammar, template, fields: line.fields };
                        Ok(rewrite.add(&record, covers)?)
                    },
                )?;
                replaced.push(id);
            }
            let mut progress = self.progress.lock();
            progress.examined += examined;
            progress.changed += changed;
        }
        if !replaced.is_empty() {
            // What a record refers to is on disk before the record.
            if let Some(templates) = &self.templates {
                templates.save()?;
            }
            rewrite.finish(&replaced)?;
        }
        Ok(())
    }

    /// The template of a line whose grammar is another now.
    fn mined(&self, line: &Line<'_>) -> Option<u64> {
        let text = Text::of(line.new.as_deref(), line.event.message, line.fields)?;
        let mut ids = Vec::new();
        self.templates.as_ref()?.observe(std::iter::once(Some((text, line.event.timestamp))), &mut ids);
        ids.pop().flatten()
    }

    fn save(&self, task: &Task) -> Result<(), Refusal> {
        let refusal = |error: std::io::Error| Refusal::Disk { path: self.file.clone(), cause: error.to_string() };
        let text = serde_json::to_vec(task).map_err(|error| refusal(error.into()))?;
        let new = self.file.with_extension("json.new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::File::open(&new)?.sync_all());
        written.and_then(|()| std::fs::rename(&new, &self.file)).map_err(refusal)
    }
}

fn check(wish: &Wish, parser: &Parser) -> Result<(), Refusal> {
    match wish.grammar.as_deref() {
        None | Some("auto") => Ok(()),
        Some(name) => parser.check_name(name).map_err(|unknown| Refusal::Grammar(unknown.to_string())),
    }
}

/// A grammar as a person tells its versions apart.
fn named((name, version): (&str, u64)) -> String {
    format!("{name}@{version:x}")
}
