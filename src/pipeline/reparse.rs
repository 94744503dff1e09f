//! Stored lines parsed anew after a grammar was mended: first what would change, then the days written anew, one after
//! the other, in the background.
//!
//! What is asked for is a file, `DATA/reparse.json`, until all days are done: a start goes on with the day at which the
//! process ended. A day changes in one commit ([`store::Rewrite`](crate::store::Rewrite)), so that no query sees half of
//! it. Lines keep their time and their place in it; those received meanwhile are parsed by the new grammars anyway.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tracing::{error, info, warn};

use super::templates::Templates;
use crate::parse::redact::Redactor;
use crate::parse::template::Text;
use crate::parse::{Grammar, Grammars, Parser};
use crate::query::Between;
use crate::record::{Event, Fields, Record, Stream, time};
use crate::store::{self, Documents, ShardView, Store};

const FILE: &str = "reparse.json";

/// Documents between two looks at whether to stop.
const STOP_CHECK_DOCS: u32 = 1024;

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
            if !between(wish).overlaps(shard.day) {
                continue;
            }
            let mut day = Day::new(&shard, &parser, &self.shared, wish);
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
        let days = days.into_iter().filter(|day| between(&wish).overlaps(*day)).collect();
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
            let mut looked = Day::new(&view, &parser, self, wish);
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

fn between(wish: &Wish) -> Between {
    Between { from: wish.from, to: wish.to }
}

/// A grammar as a person tells its versions apart.
fn named((name, version): (&str, u64)) -> String {
    format!("{name}@{version:x}")
}

fn mask<'t>(redactor: Option<&Redactor>, text: Option<&'t str>) -> Option<Cow<'t, str>> {
    text.map(|text| redactor.map_or(Cow::Borrowed(text), |redactor| redactor.mask(text)))
}

/// A stored line, parsed anew.
struct Line<'l> {
    event: &'l Event<'l>,
    text: &'l str,
    /// The grammar it has, by name and version.
    old: Option<(&'l str, u64)>,
    /// The id of its template.
    template: Option<u64>,
    /// The grammar it gets, and what that finds.
    new: Option<Arc<Grammar>>,
    fields: &'l Fields<'l>,
    /// Whether `new` says what the line is; else its grammar does not load.
    settled: bool,
    /// Whether a mask hides something that was kept so far.
    masked: bool,
}

impl Line<'_> {
    fn gets(&self) -> Option<(&str, u64)> {
        self.new.as_ref().map(|grammar| (grammar.name, grammar.version))
    }

    fn changed(&self) -> bool {
        self.settled && (self.masked || self.old != self.gets())
    }
}

/// A day's lines, looked at with the grammars of now.
struct Day<'d> {
    view: &'d ShardView,
    parser: &'d Parser,
    redactor: Option<&'d Redactor>,
    grammars: Vec<Option<Arc<Grammar>>>,
    streams: Vec<Arc<Stream>>,
    wish: &'d Wish,
}

impl<'d> Day<'d> {
    fn new(view: &'d ShardView, parser: &'d Parser, shared: &'d Shared, wish: &'d Wish) -> Self {
        let known = view.grammars().iter().map(|g| shared.grammars.version(&g.name, g.version, &g.source)).collect();
        let stream = |entry: &Arc<store::StreamEntry>| {
            Arc::new(Stream {
                key: entry.key,
                fields: entry.fields.clone(),
                canonical: String::new(),
                sender: entry.sender.clone(),
                identity_seed: entry.identity_seed,
                memory: Default::default(),
            })
        };
        let streams = view.streams().iter().map(stream).collect();
        Self { view, parser, redactor: shared.redactor.as_deref(), grammars: known, streams, wish }
    }

    /// Calls `found` with every record of the segments meant, those outside the wish as they are.
    fn each(
        &mut self,
        segment: impl Fn(tantivy::index::SegmentId) -> bool,
        stop: impl Fn() -> Result<(), Failure>,
        mut found: impl FnMut(&Line<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for reader in self.view.searcher().segment_readers().iter().filter(|reader| segment(reader.segment_id())) {
            let documents = Documents::open(reader, self.view.fields)?;
            for doc in reader.doc_ids_alive() {
                if doc.is_multiple_of(STOP_CHECK_DOCS) {
                    stop()?;
                }
                self.one(&documents, doc, &mut found)?;
            }
        }
        Ok(())
    }

    fn one(
        &self,
        documents: &Documents<'_>,
        doc: u32,
        found: &mut impl FnMut(&Line<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let stored = documents.stored(doc)?;
        let number = documents.streams.first(doc).unwrap_or(u64::MAX) as usize;
        let Some(stream) = self.streams.get(number) else { return Ok(()) };
        let timestamp = documents.timestamps.first(doc).unwrap_or(0);
        let old = documents.grammars.first(doc).map(|number| number as usize);
        let meant = stored.line().is_some() && between(self.wish).holds(timestamp) && (self.wish.all || old.is_none());
        let redactor = self.redactor.filter(|_| meant);
        let (message, extra) = (mask(redactor, stored.line()), mask(redactor, stored.extra()));
        let masked = [&message, &extra].into_iter().any(|text| matches!(text, Some(Cow::Owned(_))));
        let event = Event {
            stream: Arc::clone(stream),
            timestamp,
            message: message.as_deref(),
            offset: documents.offsets.first(doc),
            mark: documents.marks.first(doc).unwrap_or(0),
            positioned: true,
            extra: extra.as_deref(),
        };
        let entry = old.and_then(|number| self.view.grammars().get(number));
        let known = old.and_then(|number| self.grammars.get(number).cloned().flatten());
        let mut fields = Fields::new();
        let text = message.as_deref().unwrap_or_default();
        let mut settled = true;
        let mut new = None;
        if meant {
            new = match self.wish.grammar.as_deref() {
                None | Some("auto") => self.parser.parse(stream, text, &mut fields),
                Some(name) => self
                    .parser
                    .grammars()
                    .iter()
                    .find(|grammar| grammar.name == name)
                    .filter(|g| g.parse_line(text, &mut fields)),
            }
            .cloned();
        }
        // What the wish does not speak of stays as it is.
        if !meant || (new.is_none() && self.wish.grammar.is_some()) {
            settled = old.is_none() || known.as_ref().is_some_and(|grammar| grammar.parse_line(text, &mut fields));
            new = known;
            // What a mask left of the line is no longer of its grammar: it is kept whole, and what was hidden is not.
            if masked && !settled {
                (settled, new) = (true, None);
            }
        }
        fields.leave_envelope_alone();
        let old = entry.map(|entry| (&*entry.name, entry.version));
        let template = documents.templates.first(doc);
        found(&Line { event: &event, text, old, template, new, fields: &fields, settled, masked })
    }
}
