//! Detectors over stored days, in the background, one run at a time: a backtest (what would have alerted), or the training of a
//! model. The live detectors are not touched by either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tracing::{info, warn};

use super::Detecting;
use super::history::{Failure, History, Listener};
use super::jobs::Compiled as Job;
use super::models;
use crate::detect::{self, Anomaly, Detector, JobRow, Label, Model, Observer, Quality, Rule, STREAMING, Severity};
use crate::parse::Parser;
use crate::query::{self, Aliases, Between};
use crate::record::Record;
use crate::record::time::{NANOS_PER_SECOND, day_of, format_day, format_rfc3339};

/// Anomalies shown of one day, those of the highest score.
const SHOWN_MAX: usize = 100;
/// An anomaly told that much earlier or later is the same one: seconds.
const SAME_SECONDS: i64 = 900;

/// What a run is for.
#[derive(Clone)]
pub enum Aim {
    Backtest,
    /// A model of this name.
    Train(String),
    /// What a job would have found.
    Job(Arc<Job>),
}

/// What is asked for.
#[derive(Clone)]
pub struct Wish {
    pub aim: Aim,
    pub between: Between,
    /// Anomalies shown are of this service, and have at least this score.
    pub service: Option<String>,
    pub score_min: f64,
}

/// One day's anomalies.
#[derive(Debug, Clone, Default)]
pub struct DayOf {
    pub day: String,
    /// Those that are not shown too.
    pub total: u64,
    /// By the time they began.
    pub anomalies: Vec<Anomaly>,
}

/// How far it is, and what was found so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// `idle`, `running`, `done`, `failed`.
    pub state: &'static str,
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub records: u64,
    pub found: Vec<DayOf>,
    pub model: Option<Model>,
    pub error: Option<String>,
}

/// A run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("a run over stored days goes on already: wait until it has ended, or stop it")]
    Running,
    #[error("no stored day lies in this range: loghound shards list shows those there are")]
    NoDays,
    #[error(transparent)]
    Model(#[from] models::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Runs(Arc<Shared>);

struct Shared {
    history: History,
    detecting: Arc<Detecting>,
    aliases: Aliases,
    progress: Mutex<Progress>,
    stop: AtomicBool,
}

impl Runs {
    pub fn new(history: History, detecting: Arc<Detecting>, aliases: Aliases) -> Self {
        let progress = Mutex::new(Progress { state: "idle", ..Progress::default() });
        Self(Arc::new(Shared { history, detecting, aliases, progress, stop: AtomicBool::new(false) }))
    }

    pub fn progress(&self) -> Progress {
        self.0.progress.lock().clone()
    }

    /// What runs ends soon; what it found stays to be seen.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
    }

    /// Begins a run.
    pub fn begin(&self, wish: Wish, now: i64) -> Result<Progress, Refusal> {
        if let Aim::Train(version) = &wish.aim {
            models::check(version)?;
        }
        let days = self.0.history.days(wish.between);
        if days.is_empty() {
            return Err(Refusal::NoDays);
        }
        let mut progress = self.0.progress.lock();
        if progress.state == "running" {
            return Err(Refusal::Running);
        }
        *progress = Progress { state: "running", days: days.len(), ..Progress::default() };
        let begun = progress.clone();
        drop(progress);
        self.0.stop.store(false, Ordering::Release);
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("loghound-history".into());
        let spawned = thread.spawn(move || shared.run(&wish, &days, now));
        spawned.map_err(|error| {
            self.0.progress.lock().state = "failed";
            Refusal::Thread(error)
        })?;
        Ok(begun)
    }
}

impl Shared {
    fn run(&self, wish: &Wish, days: &[i32], now: i64) {
        let ended = self.tell(wish, days, now);
        let mut progress = self.progress.lock();
        progress.day = None;
        match ended {
            Ok(model) => {
                info!(days = days.len(), records = progress.records, "stored days were told to detectors");
                (progress.state, progress.model) = ("done", model);
            }
            Err(error) => {
                warn!(%error, "a run over stored days did not end well");
                (progress.state, progress.error) = ("failed", Some(error.to_string()));
            }
        }
    }

    fn tell(&self, wish: &Wish, days: &[i32], now: i64) -> Result<Option<Model>, Ended> {
        let version = match &wish.aim {
            Aim::Job(job) => return self.try_job(job, wish, days).map(|()| None),
            Aim::Backtest => STREAMING,
            Aim::Train(version) => version,
        };
        let mut detector = self.detecting.beginner(version);
        let mut observer = self.detecting.observer();
        let mut all: Vec<Anomaly> = Vec::new();
        for day in days {
            self.progress.lock().day = Some(format_day(*day));
            let mut watching =
                Watching { shared: self, detector: &mut detector, observer: &mut observer, all: &mut all };
            self.history.tell(*day, wish.between, &mut watching)?;
            let found = self.shown(wish, &all, *day);
            let mut progress = self.progress.lock();
            progress.days_done += 1;
            progress.found.push(found);
        }
        detector.finish();
        gather(&mut all, detector.take());
        // What began just before midnight may have been told only after it.
        let found = days.iter().map(|day| self.shown(wish, &all, *day)).collect();
        let records = {
            let mut progress = self.progress.lock();
            progress.found = found;
            progress.records
        };
        match &wish.aim {
            Aim::Backtest | Aim::Job(_) => Ok(None),
            Aim::Train(version) => {
                let state = detector.save().map_err(|error| Ended::State(error.to_string()))?;
                let seconds = |at: Option<i64>, other: i64| format_rfc3339(at.unwrap_or(other));
                let day = crate::record::time::NANOS_PER_DAY;
                let (first, last) = (days[0], days[days.len() - 1]);
                let model = Model {
                    version: version.clone(),
                    created: format_rfc3339(now),
                    from: seconds(wish.between.from, i64::from(first) * day),
                    to: seconds(wish.between.to, now.min((i64::from(last) + 1) * day)),
                    records,
                    series: detector.stats().series,
                    bytes: state.len() as u64,
                    anomalies: all.iter().filter(|a| a.severity >= Severity::Major).count() as u64,
                    quality: self.quality(&all, wish.between)?,
                };
                self.detecting.models().keep(&model, &state, &self.detecting.version())?;
                Ok(Some(model))
            }
        }
    }

    /// The same for one job.
    fn try_job(&self, job: &Arc<Job>, wish: &Wish, days: &[i32]) -> Result<(), Ended> {
        let mut trial = Trial {
            shared: self,
            job,
            running: detect::Job::new(Arc::clone(&job.spec)),
            parser: self.history.grammars.current(),
            aliases: self.aliases.clone(),
            rows: Vec::new(),
            now: 0,
            all: Vec::new(),
        };
        for day in days {
            self.progress.lock().day = Some(format_day(*day));
            self.history.tell(*day, wish.between, &mut trial)?;
            let found = self.shown(wish, &trial.all, *day);
            let mut progress = self.progress.lock();
            progress.days_done += 1;
            progress.found.push(found);
        }
        trial.running.finish();
        gather(&mut trial.all, trial.running.take());
        self.progress.lock().found = days.iter().map(|day| self.shown(wish, &trial.all, *day)).collect();
        Ok(())
    }

    /// Counts told records; false when the run is to stop.
    fn told(&self, records: usize) -> bool {
        self.progress.lock().records += records as u64;
        !self.stop.load(Ordering::Acquire)
    }

    fn shown(&self, wish: &Wish, all: &[Anomaly], day: i32) -> DayOf {
        let of_day = |a: &&Anomaly| {
            day_of(a.since * NANOS_PER_SECOND) == day
                && a.score >= wish.score_min
                && wish.service.as_ref().is_none_or(|service| *service == a.service)
        };
        let mut anomalies: Vec<Anomaly> = all.iter().filter(of_day).cloned().collect();
        let total = anomalies.len() as u64;
        anomalies.sort_by(|a, b| b.score.total_cmp(&a.score));
        anomalies.truncate(SHOWN_MAX);
        anomalies.sort_by(|a, b| a.since.cmp(&b.since).then(a.id.cmp(&b.id)));
        for anomaly in &mut anomalies {
            self.detecting.explain_template(anomaly);
        }
        DayOf { day: format_day(day), total, anomalies }
    }

    /// What these anomalies have of those that people labelled within the range.
    fn quality(&self, all: &[Anomaly], between: Between) -> Result<Quality, Ended> {
        let mut quality = Quality::default();
        for feedback in self.detecting.feedback().last()? {
            let Some(labelled) = self.detecting.anomalies().get(&feedback.anomaly)? else { continue };
            if !between.holds(labelled.since * NANOS_PER_SECOND) {
                continue;
            }
            let rule = Rule::of(&labelled);
            let same = |a: &Anomaly| (a.since - labelled.since).abs() <= SAME_SECONDS && rule.hides(a);
            let found = u64::from(all.iter().any(|a| a.severity >= labelled.severity && same(a)));
            match feedback.label {
                Label::Useful => {
                    quality.useful += 1;
                    quality.useful_found += found;
                }
                Label::FalseAlarm => {
                    quality.false_alarms += 1;
                    quality.false_alarms_found += found;
                }
                Label::Expected => {}
            }
        }
        Ok(quality)
    }
}

/// Anomalies in their last form, those taken back left out.
fn gather(all: &mut Vec<Anomaly>, news: Vec<Anomaly>) {
    for anomaly in news {
        let known = all.iter().rposition(|known| known.id == anomaly.id);
        match (known, anomaly.state == crate::detect::State::Retracted) {
            (Some(at), true) => drop(all.remove(at)),
            (Some(at), false) => all[at] = anomaly,
            (None, true) => {}
            (None, false) => all.push(anomaly),
        }
    }
}

/// The detectors, told stored records.
struct Watching<'r> {
    shared: &'r Shared,
    detector: &'r mut Detector,
    observer: &'r mut Observer,
    all: &'r mut Vec<Anomaly>,
}

impl Listener for Watching<'_> {
    fn begin(&mut self, received_at: i64, records: usize) {
        self.observer.begin(self.detector.position() + 1, received_at, records);
    }

    fn record(&mut self, record: &Record<'_>) {
        self.observer.add(record);
    }

    fn end(&mut self, records: usize) -> bool {
        self.detector.observe(&self.observer.finish());
        gather(self.all, self.detector.take());
        self.shared.told(records)
    }
}

/// A job, told stored records.
struct Trial<'r> {
    shared: &'r Shared,
    job: &'r Job,
    running: detect::Job,
    parser: Arc<Parser>,
    aliases: Aliases,
    rows: Vec<JobRow>,
    now: i64,
    all: Vec<Anomaly>,
}

impl Listener for Trial<'_> {
    fn begin(&mut self, received_at: i64, _: usize) {
        self.now = received_at.div_euclid(NANOS_PER_SECOND);
    }

    fn record(&mut self, record: &Record<'_>) {
        let built = query::build_record(record, &self.parser);
        self.rows.extend(self.job.row(&built, record.event, &self.aliases));
    }

    fn end(&mut self, records: usize) -> bool {
        for row in self.rows.drain(..) {
            self.running.observe(&row, self.now);
        }
        self.running.advance(self.now);
        gather(&mut self.all, self.running.take());
        self.shared.told(records)
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    History(#[from] Failure),
    #[error(transparent)]
    Model(#[from] models::Error),
    #[error(transparent)]
    Kept(#[from] super::Error),
    #[error("the model cannot be written: {0}")]
    State(String),
}
