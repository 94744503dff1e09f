//! Jobs: those of the configuration, and those posted to the API (`DATA/meta.redb`, table `jobs`, key name, value the object as
//! posted). Their state is `DATA/detect/jobs`: `LHJOBS`, u16 version (1), u32 CRC-32 of the rest, then (postcard) the position of the
//! last batch taken, and of each job its name, a hash of its object and its state. A job whose object changed begins anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use redb::{ReadableTable, TableDefinition};
use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::xxh3_64;

use super::anomalies::Error;
use crate::detect::{Anomaly, Example, Job, JobRow, JobSpec, JobStats, Observations};
use crate::query::{self, Aliases, Expr};
use crate::record::Event;
use crate::store::Meta;

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");
/// Jobs at most: each looks at every record.
const JOBS_MAX: usize = 100;
const MAGIC: &[u8; 8] = b"LHJOBS\x01\x00";
/// A line is shown, and the record itself is in the store: bytes.
const LINE_BYTES_MAX: usize = 1_024;
/// A longer value is cut: bytes.
const VALUE_BYTES_MAX: usize = 256;

/// A job and its filter.
pub struct Compiled {
    /// Of this process alone: a job that is put anew has another.
    pub number: u64,
    pub spec: Arc<JobSpec>,
    /// It stands in the configuration, and is changed there.
    pub configured: bool,
    filter: Expr,
}

/// A job cannot be put or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{}", .0.join("; "))]
    Spec(Vec<String>),
    #[error("the job {0} stands in the configuration: change it there and start again")]
    Configured(String),
    #[error("there is no job {0}: loghound jobs list shows those there are")]
    Unknown(String),
    #[error("{JOBS_MAX} jobs run already, and each looks at every record: delete one first")]
    Full,
    #[error(transparent)]
    Kept(#[from] Error),
}

/// A job as people see it.
pub struct Shown {
    pub spec: Arc<JobSpec>,
    pub configured: bool,
    pub stats: JobStats,
}

struct Running {
    /// The last batch taken.
    position: u64,
    jobs: BTreeMap<u64, Job>,
}

/// All of them.
pub struct Jobs {
    meta: Arc<Meta>,
    path: PathBuf,
    current: RwLock<Arc<[Arc<Compiled>]>>,
    running: Mutex<Running>,
    next: AtomicU64,
}

impl Compiled {
    fn new(number: u64, spec: JobSpec, configured: bool) -> Result<Self, Refusal> {
        let filter = if spec.filter.is_empty() { Ok(Expr::All) } else { query::parse(&spec.filter) };
        let filter = filter.map_err(|error| Refusal::Spec(vec![format!("filter: {error}")]))?;
        Ok(Self { number, spec: Arc::new(spec), configured, filter })
    }

    /// What the job takes of a record; none where its filter does not let it through.
    pub fn row(&self, built: &Map<String, Json>, event: &Event<'_>, aliases: &Aliases) -> Option<JobRow> {
        if !query::matches(&self.filter, built, aliases) {
            return None;
        }
        let spec = &self.spec;
        let text = |field: Option<&String>| field.and_then(|field| value(built, field, aliases)).unwrap_or_default();
        let field = spec.field.as_ref();
        let of_field = field.and_then(|field| value(built, field, aliases));
        // A record without the field is nothing to a function of it.
        if field.is_some() && of_field.is_none() {
            return None;
        }
        let line = event.message.unwrap_or_default();
        Some(JobRow {
            time: event.timestamp,
            partition: text(spec.partition.as_ref()),
            by: text(spec.by.as_ref()),
            over: text(spec.over.as_ref()),
            number: of_field.as_ref().and_then(|text| text.parse().ok()),
            text: of_field,
            influencers: spec.influencers.iter().map(|field| text(Some(field))).collect(),
            example: Example {
                id: query::event_id(event.stream.key, event.id()),
                time: event.timestamp,
                line: line[..line.floor_char_boundary(LINE_BYTES_MAX)].to_owned(),
            },
        })
    }
}

/// The first value of a field, under its name or what it is an alias for.
fn value(built: &Map<String, Json>, field: &str, aliases: &Aliases) -> Option<String> {
    let mut found = None;
    for name in aliases.names(field) {
        query::visit(built, name, &mut |json| {
            found = match json {
                Json::String(text) => Some(text[..text.floor_char_boundary(VALUE_BYTES_MAX)].to_owned()),
                Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
                Json::Null | Json::Array(_) | Json::Object(_) => None,
            };
            found.is_some()
        });
        if found.is_some() {
            break;
        }
    }
    found
}

/// Reads a job as it is written.
pub fn read(json: &Json) -> Result<JobSpec, Refusal> {
    JobSpec::read(json, &check).map_err(Refusal::Spec)
}

fn check(filter: &str) -> Result<(), String> {
    query::parse(filter).map(drop).map_err(|error| error.to_string())
}

impl Jobs {
    /// Those of the configuration, and those that were posted; each goes on where it was.
    pub fn open(data_dir: &Path, meta: Arc<Meta>, configured: Vec<JobSpec>) -> Result<Self, Error> {
        let path = data_dir.join("detect").join("jobs");
        let write = meta.begin_write()?;
        write.open_table(TABLE)?;
        write.commit()?;
        let mut saved = load(&path);
        let mut jobs = Self {
            meta,
            path,
            current: RwLock::new(Arc::from([])),
            running: Mutex::new(Running { position: saved.0, jobs: BTreeMap::new() }),
            next: AtomicU64::new(1),
        };
        let mut all: Vec<(JobSpec, bool)> = configured.into_iter().map(|spec| (spec, true)).collect();
        for spec in jobs.posted()? {
            // The configuration's word is the later one.
            if !all.iter().any(|(known, _)| known.name == spec.name) {
                all.push((spec, false));
            }
        }
        let mut compiled = Vec::new();
        for (spec, configured) in all {
            let number = jobs.next.fetch_add(1, Ordering::Relaxed);
            match Compiled::new(number, spec, configured) {
                Ok(job) => {
                    let state = saved.1.remove(&job.spec.name).filter(|(hash, _)| *hash == hash_of(&job.spec));
                    let loaded = state.and_then(|(_, bytes)| Job::load(Arc::clone(&job.spec), &bytes));
                    let running = loaded.unwrap_or_else(|| Job::new(Arc::clone(&job.spec)));
                    jobs.running.get_mut().jobs.insert(number, running);
                    compiled.push(Arc::new(job));
                }
                Err(error) => tracing::error!(%error, "a stored job cannot be run"),
            }
        }
        *jobs.current.get_mut() = compiled.into();
        Ok(jobs)
    }

    /// What runs now: a worker asks once a batch.
    pub fn current(&self) -> Arc<[Arc<Compiled>]> {
        Arc::clone(&self.current.read())
    }

    pub fn list(&self) -> Vec<Shown> {
        let running = self.running.lock();
        let stats = |number| running.jobs.get(&number).map(Job::stats).unwrap_or_default();
        let shown = |job: &Arc<Compiled>| Shown {
            spec: Arc::clone(&job.spec),
            configured: job.configured,
            stats: stats(job.number),
        };
        self.current().iter().map(shown).collect()
    }

    pub fn get(&self, name: &str) -> Result<Arc<Compiled>, Refusal> {
        let found = self.current().iter().find(|job| job.spec.name == name).map(Arc::clone);
        found.ok_or_else(|| Refusal::Unknown(name.to_owned()))
    }

    /// A job that is only tried.
    pub fn trial(json: &Json) -> Result<Arc<Compiled>, Refusal> {
        Compiled::new(0, read(json)?, false).map(Arc::new)
    }

    /// Puts a job, in the place of one with its name; durable when it returns.
    pub fn put(&self, json: &Json) -> Result<(), Refusal> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let job = Arc::new(Compiled::new(number, read(json)?, false)?);
        let mut current = self.current.write();
        let old = current.iter().find(|other| other.spec.name == job.spec.name).map(Arc::clone);
        if let Some(old) = &old {
            if old.configured {
                return Err(Refusal::Configured(job.spec.name.clone()));
            }
            if old.spec == job.spec {
                return Ok(());
            }
        } else if current.len() >= JOBS_MAX {
            return Err(Refusal::Full);
        }
        let text = json.to_string();
        self.write(|table| table.insert(job.spec.name.as_str(), text.as_bytes()).map(drop))?;
        let mut running = self.running.lock();
        if let Some(old) = &old {
            running.jobs.remove(&old.number);
        }
        running.jobs.insert(number, Job::new(Arc::clone(&job.spec)));
        let others = current.iter().filter(|other| other.spec.name != job.spec.name).map(Arc::clone);
        *current = others.chain([Arc::clone(&job)]).collect();
        Ok(())
    }

    pub fn delete(&self, name: &str) -> Result<(), Refusal> {
        let old = self.get(name)?;
        if old.configured {
            return Err(Refusal::Configured(name.to_owned()));
        }
        let mut current = self.current.write();
        self.write(|table| table.remove(name).map(drop))?;
        self.running.lock().jobs.remove(&old.number);
        *current = current.iter().filter(|job| job.number != old.number).map(Arc::clone).collect();
        Ok(())
    }

    /// Takes what the workers found for jobs in a batch; `now` is how far time has come: Unix seconds.
    pub fn observe(&self, batch: &mut Observations, now: i64) -> Vec<Anomaly> {
        let mut running = self.running.lock();
        let rows = batch.take_jobs();
        if batch.position > running.position {
            running.position = batch.position;
            for (number, row) in rows {
                // One that was deleted meanwhile is not there.
                if let Some(job) = running.jobs.get_mut(&number) {
                    job.observe(&row, now);
                }
            }
        }
        advance(&mut running, now)
    }

    /// Time has come to `now` without records.
    pub fn tick(&self, now: i64) -> Vec<Anomaly> {
        advance(&mut self.running.lock(), now)
    }

    /// Makes the state durable.
    pub fn save(&self) -> io::Result<()> {
        let body = {
            let running = self.running.lock();
            let mut states = Vec::new();
            for job in running.jobs.values() {
                let bytes = job.save().map_err(io::Error::other)?;
                states.push((job.spec().name.clone(), hash_of(job.spec()), bytes));
            }
            postcard::to_stdvec(&(running.position, states)).map_err(io::Error::other)?
        };
        let next = self.path.with_extension("tmp");
        let mut file = File::create(&next)?;
        file.write_all(MAGIC)?;
        file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.sync_data()?;
        fs::rename(&next, &self.path)
    }

    fn posted(&self) -> Result<Vec<JobSpec>, Error> {
        let read = self.meta.begin_read()?;
        let mut specs = Vec::new();
        for row in read.open_table(TABLE)?.iter()? {
            let json: Json = serde_json::from_slice(row?.1.value()).map_err(Error::Json)?;
            match JobSpec::read(&json, &check) {
                Ok(spec) => specs.push(spec),
                Err(problems) => tracing::error!(problems = problems.join("; "), "a stored job cannot be run"),
            }
        }
        Ok(specs)
    }

    fn write(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static str, &'static [u8]>) -> Result<(), redb::StorageError>,
    ) -> Result<(), Error> {
        let write = self.meta.begin_write()?;
        change(&mut write.open_table(TABLE)?)?;
        write.commit()?;
        Ok(())
    }
}

fn advance(running: &mut Running, now: i64) -> Vec<Anomaly> {
    let mut news = Vec::new();
    for job in running.jobs.values_mut() {
        job.advance(now);
        news.extend(job.take());
    }
    news
}

fn hash_of(spec: &JobSpec) -> u64 {
    xxh3_64(spec.source.to_string().as_bytes())
}

type Saved = (u64, BTreeMap<String, (u64, Vec<u8>)>);

/// What was saved; nothing where it cannot be read, and jobs learn anew.
fn load(path: &Path) -> Saved {
    let Ok(bytes) = fs::read(path) else { return Saved::default() };
    let body = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_at_checked(4));
    let sound = body.filter(|(sum, body)| crc32fast::hash(body).to_le_bytes() == **sum);
    let read = sound.and_then(|(_, body)| postcard::from_bytes::<(u64, Vec<(String, u64, Vec<u8>)>)>(body).ok());
    let Some((position, states)) = read else {
        tracing::error!(path = %path.display(), "the jobs' state cannot be read: jobs learn anew");
        return Saved::default();
    };
    (position, states.into_iter().map(|(name, hash, bytes)| (name, (hash, bytes))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(dir: &Path) -> Arc<Meta> {
        fs::create_dir_all(dir.join("detect")).unwrap();
        Arc::new(Meta::open(dir.join("meta.redb")).unwrap())
    }

    #[test]
    fn posted_jobs_stay_configured_ones_are_not_changed_and_bad_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let fixed = JobSpec::read(&json!({"name": "fixed", "function": "count"}), &check).unwrap();
        let meta = meta(dir.path());
        let jobs = Jobs::open(dir.path(), Arc::clone(&meta), vec![fixed.clone()]).unwrap();
        jobs.put(&json!({"name": "b", "function": "rare", "by": "user_agent", "filter": "level:E"})).unwrap();
        let refused = |json: Json| jobs.put(&json).unwrap_err().to_string();
        assert!(refused(json!({"name": "fixed", "function": "mean", "field": "x"})).contains("in the configuration"));
        assert!(refused(json!({"name": "c", "function": "count", "filter": "a AND ("})).starts_with("filter: "));
        assert!(jobs.delete("nope").unwrap_err().to_string().contains("jobs list"));
        jobs.save().unwrap();
        drop(jobs);
        let jobs = Jobs::open(dir.path(), meta, vec![fixed]).unwrap();
        let names: Vec<String> = jobs.list().into_iter().map(|job| job.spec.name.clone()).collect();
        assert_eq!(names, ["fixed", "b"]);
        jobs.delete("b").unwrap();
        assert_eq!(jobs.list().len(), 1);
    }

    #[test]
    fn the_state_goes_on_after_a_start_and_damage_is_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let spec = JobSpec::read(&json!({"name": "a", "function": "count", "bucket_span": "1m"}), &check).unwrap();
        let meta = meta(dir.path());
        let jobs = Jobs::open(dir.path(), Arc::clone(&meta), vec![spec.clone()]).unwrap();
        let number = jobs.current()[0].number;
        let feed = |jobs: &Jobs, number, position| {
            let mut batch = Observations::default();
            batch.position = position;
            batch.add_job(number, JobRow { time: 1_780_000_000_000_000_000, ..JobRow::default() });
            jobs.observe(&mut batch, 1_780_000_000);
        };
        feed(&jobs, number, 7);
        jobs.save().unwrap();
        let again = Jobs::open(dir.path(), Arc::clone(&meta), vec![spec.clone()]).unwrap();
        // Read again from the journal: it has it already.
        feed(&again, again.current()[0].number, 7);
        assert_eq!(again.list()[0].stats.records, 1);
        let path = dir.path().join("detect/jobs");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let fresh = Jobs::open(dir.path(), meta, vec![spec]).unwrap();
        assert_eq!(fresh.list()[0].stats.records, 0);
    }
}
