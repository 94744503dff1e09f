//! Runs the detectors beside the index: batches in the journal's order, anomalies kept, state saved with the position it holds.
//!
//! The journal is not freed beyond what the saved state holds, so a restart reads the rest of it again, and no record is
//! missing or taken twice.

mod anomalies;
mod feed;
mod feedback;
mod history;
mod jobs;
mod models;
mod runs;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{error, info, warn};

pub use anomalies::{Anomalies, Error, Wish};
use feed::{Feed, Next};
use feedback::Labels;
pub use history::History;
pub use jobs::{Jobs, Refusal as JobRefusal, Shown as JobShown};
pub use models::Error as ModelError;
use models::Models;

pub use runs::{Aim, DayOf, Progress as RunProgress, Refusal as RunRefusal, Runs, Wish as RunWish};
use snapshot::Snapshots;

use super::{Clock, Templates};
use crate::detect::{
    Anomaly, Detector, JobSpec, Names, Observer, Preview, Rule, Settings, Severity, Stats, TemplateNote, Watch,
};
use crate::journal::{Journal, Position};
use crate::parse::template::{Change, TemplateId};
use crate::record::time::NANOS_PER_SECOND;
use crate::store::Meta;
use crate::telemetry::Metrics;

/// Observed batches that wait for the detectors: bytes.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How often the state is saved, unless saving takes long.
const SAVE_INTERVAL: Duration = Duration::from_secs(15);
/// A save that took a second is not repeated for at least so many.
const SAVE_SHARE: u32 = 30;
/// Without a batch for so long, time moves on by the clock.
const IDLE: Duration = Duration::from_secs(1);

/// Sentences of a preview.
const PREVIEW_EXAMPLES_MAX: usize = 5;

/// The detectors and what is kept of them.
pub struct Detecting {
    names: Arc<Names>,
    detector: Mutex<Detector>,
    feed: Feed,
    snapshots: Snapshots,
    anomalies: Anomalies,
    feedback: Labels,
    models: Models,
    /// The model that somebody asked beside the one in use: name, when it was made, state.
    other: Mutex<Option<(String, String, Arc<Detector>)>>,
    jobs: Jobs,
    settings: Settings,
    templates: Option<Arc<Templates>>,
    /// The position that the saved state holds, and the last that all shards hold.
    saved: AtomicU64,
    committed: AtomicU64,
    /// What all shards held when this process began: up to here batches are read again for the detectors alone.
    pub held: AtomicU64,
}

/// The detectors could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot open the detectors' state: {0}")]
    State(#[from] std::io::Error),
    #[error(transparent)]
    Anomalies(#[from] Error),
    #[error("LOGHOUND_MODEL_VERSION: {0}")]
    Model(#[from] ModelError),
}

impl Detecting {
    pub fn open(
        data_dir: &Path,
        meta: Arc<Meta>,
        settings: Settings,
        templates: Option<Arc<Templates>>,
        pinned: Option<&str>,
        jobs: Vec<JobSpec>,
    ) -> Result<Self, StartError> {
        let names = Arc::new(Names::default());
        let snapshots = Snapshots::open(data_dir)?;
        let mut detector = snapshots.load(Arc::clone(&names), settings, |damage| error!("{damage}"))?;
        let models = Models::open(data_dir)?;
        if let Some(version) = pinned.filter(|version| *version != detector.version()) {
            let (path, state) = models.state(version)?;
            let model = Detector::load(&state, Arc::clone(&names), settings)
                .map_err(|source| ModelError::Unreadable { path, source })?;
            detector = model.in_place_of(&detector);
            info!(version, "the pinned model is active");
        }
        let saved = detector.position();
        info!(position = saved, series = detector.stats().series, "detectors start");
        Ok(Self {
            names,
            detector: Mutex::new(detector),
            feed: Feed::new(QUEUE_BYTES_MAX),
            snapshots,
            models,
            other: Mutex::new(None),
            jobs: Jobs::open(data_dir, Arc::clone(&meta), jobs)?,
            settings,
            feedback: Labels::open(Arc::clone(&meta))?,
            anomalies: Anomalies::open(meta)?,
            templates,
            saved: AtomicU64::new(saved),
            committed: AtomicU64::new(0),
            held: AtomicU64::new(0),
        })
    }

    /// The last batch that the detectors took.
    pub fn position(&self) -> Position {
        Position(self.detector.lock().position())
    }

    /// What a worker observes its records with.
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::clone(&self.names))
    }

    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// All shards hold everything up to `position`; gives up to where the journal is not needed any more.
    pub fn committed(&self, position: Position) -> Position {
        self.committed.store(position.0, Ordering::Release);
        Position(position.0.min(self.saved.load(Ordering::Acquire)))
    }

    /// Takes batches until there are no more. Blocks; give it a thread of its own.
    pub fn run(&self, clock: Clock, journal: &Journal, metrics: &Metrics) {
        let guard = BreakOff(self);
        let (mut last_save, mut pause) = (Instant::now(), SAVE_INTERVAL);
        loop {
            let next = self.feed.next(IDLE);
            let closed = matches!(next, Next::Closed);
            let news = {
                let mut detector = self.detector.lock();
                let mut jobs = Vec::new();
                match next {
                    Next::Batch(mut batch) => {
                        detector.observe(&batch);
                        jobs = self.jobs.observe(&mut batch, detector.now());
                    }
                    Next::Idle => {
                        detector.tick(clock.now().div_euclid(NANOS_PER_SECOND));
                        jobs = self.jobs.tick(detector.now());
                    }
                    Next::Closed => {}
                }
                let mut news = detector.take();
                news.append(&mut jobs);
                news
            };
            self.keep(news, metrics);
            if closed || last_save.elapsed() >= pause {
                let took = self.save(journal);
                pause = SAVE_INTERVAL.max(took * SAVE_SHARE);
                last_save = Instant::now();
            }
            if closed {
                break;
            }
        }
        std::mem::forget(guard);
    }

    fn keep(&self, mut news: Vec<Anomaly>, metrics: &Metrics) {
        if news.is_empty() {
            return;
        }
        for anomaly in &mut news {
            self.explain_template(anomaly);
            let began = anomaly.last == anomaly.since && anomaly.ended.is_none();
            if began && anomaly.severity >= Severity::Major {
                info!(score = anomaly.score.round(), service = anomaly.service, "anomaly: {}", anomaly.sentence);
            }
            metrics.anomalies.of(anomaly.severity.name()).inc_by(u64::from(began));
        }
        if let Err(err) = self.anomalies.put(&news) {
            error!(error = %err, count = news.len(), "cannot keep anomalies");
        }
    }

    /// In place of a template's number its text, and what it is nearest to.
    pub(super) fn explain_template(&self, anomaly: &mut Anomaly) {
        let Some(templates) = &self.templates else { return };
        let text = |id: &str| {
            let id = TemplateId::from(id.parse::<u64>().ok()?);
            templates.with(|miner| miner.template(id)).map(|view| view.text)
        };
        if anomaly.field.as_deref() == Some("template")
            && let Some(value) = anomaly.value.clone()
            && let Some(own) = text(&value)
        {
            let id = TemplateId::from(value.parse::<u64>().unwrap_or_default());
            let nearest = templates.with(|miner| {
                let (nearest, steps) = miner.nearest(id)?;
                Some((miner.template(nearest)?.text, steps))
            });
            let difference = nearest.as_ref().map(|(_, steps)| steps.iter().map(marked).collect::<Vec<_>>().join(" "));
            anomaly.sentence =
                anomaly.sentence.replacen(&format!("template {value} "), &format!("template \"{own}\" "), 1);
            anomaly.template =
                Some(TemplateNote { id: id.get(), text: own, nearest: nearest.map(|n| n.0), difference });
        }
        for influencer in anomaly.influencers.iter_mut().filter(|influencer| influencer.field == "template") {
            if let Some(text) = text(&influencer.value) {
                let value = std::mem::replace(&mut influencer.value, text);
                let (old, new) = (format!("template {value} has"), format!("template \"{}\" has", influencer.value));
                anomaly.sentence = anomaly.sentence.replacen(&old, &new, 1);
            }
        }
    }

    /// Saves the state, then lets the journal go; gives how long that took.
    fn save(&self, journal: &Journal) -> Duration {
        let started = Instant::now();
        let (state, position) = {
            let detector = self.detector.lock();
            if detector.position() == self.saved.load(Ordering::Acquire) {
                return Duration::ZERO;
            }
            (detector.save(), detector.position())
        };
        // First, so that it is never behind: the journal is read again from the detectors' position on.
        if let Err(error) = self.jobs.save() {
            warn!(%error, "cannot save the jobs' state; after a crash they will have missed something");
        }
        let saved =
            state.map_err(|err| err.to_string()).and_then(|s| self.snapshots.save(&s).map_err(|e| e.to_string()));
        if let Err(error) = saved {
            // Senders must not wait for it: the journal is let go all the same.
            warn!(error, "cannot save the detectors' state; after a crash they will have missed something");
        }
        self.saved.store(position, Ordering::Release);
        let committed = self.committed.load(Ordering::Acquire);
        if committed > 0 {
            journal.trim(Position(position.min(committed)));
        }
        started.elapsed()
    }

    pub fn find(&self, wish: &Wish) -> Result<(Vec<Anomaly>, u64), Error> {
        self.anomalies.find(wish)
    }

    /// What was found, and what of it is news.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// What operators want watched.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Trained models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The model in use.
    pub fn version(&self) -> String {
        self.detector.lock().version().to_owned()
    }

    /// A detector that knows nothing, to be told stored days.
    fn beginner(&self, version: &str) -> Detector {
        Detector::new(Arc::clone(&self.names), self.settings).named(version)
    }

    /// Puts a trained model in the place of the one in use, which is put aside. One that is no better by what people
    /// labelled is refused, unless forced.
    pub fn activate(&self, version: &str, force: bool) -> Result<(), ModelError> {
        let model = self.models.get(version)?;
        let quality = model.quality;
        if !force && quality.beats() == Some(false) {
            return Err(ModelError::NoBetter {
                version: model.version,
                useful_found: quality.useful_found,
                useful: quality.useful,
                wrong_found: quality.false_alarms_found,
                wrong: quality.false_alarms,
            });
        }
        self.put_in_place(self.models.state(version)?)
    }

    /// Goes back to what the last activation put aside.
    pub fn roll_back(&self) -> Result<(), ModelError> {
        self.put_in_place(self.models.replaced()?)
    }

    fn put_in_place(&self, (path, state): (PathBuf, Vec<u8>)) -> Result<(), ModelError> {
        let loaded = Detector::load(&state, Arc::clone(&self.names), self.settings);
        let model = loaded.map_err(|source| ModelError::Unreadable { path: path.clone(), source })?;
        let mut detector = self.detector.lock();
        let old = detector.save();
        let old = old.map_err(|error| ModelError::Io { path, source: std::io::Error::other(error) })?;
        self.models.replace(&old)?;
        *detector = model.in_place_of(&detector);
        info!(version = detector.version(), "a model is active");
        Ok(())
    }

    /// What people said of them.
    pub fn feedback(&self) -> &Labels {
        &self.feedback
    }

    /// What a rule would have hidden.
    pub fn preview(&self, rule: &Rule) -> Result<Preview, Error> {
        let useful = self.feedback.useful()?;
        let mut preview = Preview::default();
        self.anomalies.each(|anomaly| {
            preview.of += 1;
            if rule.hides(&anomaly) {
                preview.hidden += 1;
                preview.major += u64::from(anomaly.severity == Severity::Major);
                preview.critical += u64::from(anomaly.severity == Severity::Critical);
                preview.useful += u64::from(useful.contains(&anomaly.id));
                if preview.examples.len() < PREVIEW_EXAMPLES_MAX {
                    preview.examples.push(anomaly.sentence);
                }
            }
        })?;
        Ok(preview)
    }

    /// How far time has come, by the lines' clock: Unix seconds.
    pub fn now(&self) -> i64 {
        self.detector.lock().now()
    }

    /// Asks a model: the one in use, or another by its name.
    pub fn with_model<T>(&self, version: Option<&str>, ask: impl FnOnce(&Detector) -> T) -> Result<T, ModelError> {
        let Some(version) = version else { return Ok(ask(&self.detector.lock())) };
        {
            let detector = self.detector.lock();
            if detector.version() == version {
                return Ok(ask(&detector));
            }
        }
        Ok(ask(&*self.other_model(version)?))
    }

    /// A model that is not in use: the last one asked for stays in memory.
    fn other_model(&self, version: &str) -> Result<Arc<Detector>, ModelError> {
        let created = self.models.get(version)?.created;
        let mut other = self.other.lock();
        if let Some((name, at, model)) = &*other
            && (name.as_str(), at) == (version, &created)
        {
            return Ok(Arc::clone(model));
        }
        // Only one at a time: the old one goes before the new one comes.
        *other = None;
        let (path, state) = self.models.state(version)?;
        let loaded = Detector::load(&state, Arc::clone(&self.names), self.settings);
        let model = Arc::new(loaded.map_err(|source| ModelError::Unreadable { path, source })?);
        *other = Some((version.to_owned(), created, Arc::clone(&model)));
        Ok(model)
    }

    pub fn watches(&self, service: Option<&str>) -> Vec<Watch> {
        self.detector.lock().watches(service)
    }

    pub fn stats(&self) -> Stats {
        self.detector.lock().stats()
    }
}

fn marked(step: &Change) -> String {
    match step {
        Change::Same(text) => text.clone(),
        Change::Gone(text) => format!("[-{text}-]"),
        Change::New(text) => format!("{{+{text}+}}"),
    }
}

/// If the detectors break, indexing goes on without them.
struct BreakOff<'d>(&'d Detecting);

impl Drop for BreakOff<'_> {
    fn drop(&mut self) {
        error!("the detectors stopped; records are kept and searchable, anomalies are not found until the next start");
        self.0.saved.store(u64::MAX, Ordering::Release);
        self.0.feed.break_off();
    }
}
