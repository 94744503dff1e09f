//! What `/api/v1/anomalies` and `/api/v1/detectors` show, in the API's own types.

use serde_json::Value as Json;

use super::detecting::{Aim, Detecting, JobRefusal, Jobs, ModelError, RunProgress, RunRefusal, RunWish, Runs, Wish};
use crate::api::{
    AnomaliesAnswer, AnomaliesRequest, Anomaly, AnomalyTemplate, DetectorInfo, DetectorsAnswer, Example,
    FeedbackAnswer, Influencer, JobBody, QueryError, RunAnswer, RunRequest, Word,
};
use crate::detect::{self, Direction, Feedback, FieldKind, Rule, State, Watch};
use crate::query::Between;
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

pub(super) const OFF: &str = "the detectors are turned off: give detect.memory in the configuration some memory";

/// Anomalies that were kept.
pub fn anomalies(detecting: Option<&Detecting>, request: AnomaliesRequest) -> Result<AnomaliesAnswer, QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    // A bound within a second means that second's end: what was found in it is not before it.
    let seconds = |nanos: i64| nanos.div_euclid(NANOS_PER_SECOND) + i64::from(nanos.rem_euclid(NANOS_PER_SECOND) > 0);
    let AnomaliesRequest { range, score_min, service, open, limit } = request;
    let wish = Wish { from: range.from.map(seconds), to: range.to.map(seconds), score_min, service, open, limit };
    let (found, total) = detecting.find(&wish).map_err(|err| QueryError::Internal(err.to_string()))?;
    Ok(AnomaliesAnswer { anomalies: found.into_iter().map(shown).collect(), total })
}

/// Series that are watched.
pub fn detectors(detecting: Option<&Detecting>, service: Option<&str>) -> Result<DetectorsAnswer, QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let stats = detecting.stats();
    Ok(DetectorsAnswer {
        services: stats.services,
        series: stats.series,
        bytes: stats.bytes,
        records: stats.records,
        late: stats.late,
        evicted: stats.evicted,
        not_covered: stats.not_covered,
        detectors: detecting.watches(service).into_iter().map(info).collect(),
    })
}

/// Keeps what somebody says of an anomaly.
pub fn give_feedback(detecting: Option<&Detecting>, anomaly: &str, word: Word) -> Result<FeedbackAnswer, QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let Word { label, by, note, at } = word;
    let found = find(detecting, anomaly)?;
    let feedback = Feedback {
        anomaly: anomaly.to_owned(),
        label,
        by,
        at: format_rfc3339(at),
        note,
        rule: Rule::of(&found),
        version: found.version,
    };
    detecting.feedback().put(&feedback).map_err(internal)?;
    self::feedback(Some(detecting), anomaly)
}

/// What was said of one, and what a rule made of it would have hidden.
pub fn feedback(detecting: Option<&Detecting>, anomaly: &str) -> Result<FeedbackAnswer, QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let rule = Rule::of(&find(detecting, anomaly)?);
    let feedback = detecting.feedback().of(anomaly).map_err(internal)?;
    let preview = detecting.preview(&rule).map_err(internal)?;
    Ok(FeedbackAnswer { feedback, rule, preview })
}

/// Begins a run over stored days.
pub fn begin_run(
    detecting: Option<&Detecting>,
    runs: Option<&Runs>,
    request: RunRequest,
    now: i64,
) -> Result<RunAnswer, QueryError> {
    let runs = runs.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let RunRequest { train, job, range, service, score_min } = request;
    let job = match (job, detecting) {
        (Some(Json::String(name)), Some(detecting)) => Some(detecting.jobs().get(&name).map_err(no_job)?),
        (Some(written), _) => Some(Jobs::trial(&written).map_err(no_job)?),
        (None, _) => None,
    };
    let aim = match (train, job) {
        (Some(version), _) => Aim::Train(version),
        (None, Some(job)) => Aim::Job(job),
        (None, None) => Aim::Backtest,
    };
    let between = Between { from: range.from, to: range.to };
    let begun = runs.begin(RunWish { aim, between, service, score_min }, now);
    begun.map(run).map_err(|refusal| match refusal {
        RunRefusal::Running => QueryError::Conflict(refusal.to_string()),
        RunRefusal::NoDays => QueryError::NotFound(refusal.to_string()),
        RunRefusal::Model(error) => no_model(error),
        RunRefusal::Thread(_) => QueryError::Internal(refusal.to_string()),
    })
}

pub fn run_progress(runs: Option<&Runs>) -> Result<RunAnswer, QueryError> {
    runs.map(|runs| run(runs.progress())).ok_or_else(|| QueryError::Conflict(OFF.to_owned()))
}

/// The model in use, and those there are.
pub fn models(detecting: Option<&Detecting>) -> Result<(String, Vec<detect::Model>), QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    Ok((detecting.version(), detecting.models().list().map_err(no_model)?))
}

/// Puts a model in use; without a version the one that was replaced.
pub fn activate(detecting: Option<&Detecting>, version: Option<&str>, force: bool) -> Result<(), QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    match version {
        Some(version) => detecting.activate(version, force),
        None => detecting.roll_back(),
    }
    .map_err(no_model)
}

/// Jobs, those of the configuration first.
pub fn jobs(detecting: Option<&Detecting>) -> Result<Vec<JobBody>, QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    let body = |job: super::detecting::JobShown| JobBody {
        name: job.spec.name.clone(),
        job: job.spec.source.clone(),
        configured: job.configured,
        stats: job.stats,
    };
    Ok(detecting.jobs().list().into_iter().map(body).collect())
}

pub fn put_job(detecting: Option<&Detecting>, job: &Json) -> Result<(), QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    detecting.jobs().put(job).map_err(no_job)
}

pub fn delete_job(detecting: Option<&Detecting>, name: &str) -> Result<(), QueryError> {
    let detecting = detecting.ok_or_else(|| QueryError::Conflict(OFF.to_owned()))?;
    detecting.jobs().delete(name).map_err(no_job)
}

fn no_job(refusal: JobRefusal) -> QueryError {
    let text = refusal.to_string();
    match refusal {
        JobRefusal::Spec(_) => QueryError::BadParameter { name: "job", message: text },
        JobRefusal::Unknown(_) => QueryError::NotFound(text),
        JobRefusal::Configured(_) | JobRefusal::Full => QueryError::Conflict(text),
        JobRefusal::Kept(_) => QueryError::Internal(text),
    }
}

pub(super) fn no_model(error: ModelError) -> QueryError {
    let text = error.to_string();
    match error {
        ModelError::Unknown(_) => QueryError::NotFound(text),
        ModelError::Name(_) => QueryError::BadParameter { name: "version", message: text },
        ModelError::NothingReplaced | ModelError::NoBetter { .. } => QueryError::Conflict(text),
        ModelError::Io { .. } | ModelError::Unreadable { .. } => QueryError::Internal(text),
    }
}

fn run(progress: RunProgress) -> RunAnswer {
    let day = |found: super::detecting::DayOf| {
        (found.day, found.total, found.anomalies.into_iter().map(shown).collect::<Vec<_>>())
    };
    RunAnswer {
        state: progress.state,
        day: progress.day,
        days: progress.days,
        days_done: progress.days_done,
        records: progress.records,
        found: progress.found.into_iter().map(day).collect(),
        model: progress.model,
        error: progress.error,
    }
}

fn find(detecting: &Detecting, anomaly: &str) -> Result<detect::Anomaly, QueryError> {
    let none =
        || QueryError::NotFound(format!("there is no anomaly {anomaly}: /api/v1/anomalies lists those there are"));
    detecting.anomalies().get(anomaly).map_err(internal)?.ok_or_else(none)
}

fn internal(error: super::detecting::Error) -> QueryError {
    QueryError::Internal(error.to_string())
}

fn info(watch: Watch) -> DetectorInfo {
    let kind = match watch.kind {
        FieldKind::Unknown => "unknown",
        FieldKind::Number => "number",
        FieldKind::Category => "category",
        FieldKind::Identifier => "identifier",
    };
    DetectorInfo {
        kind: watch.field.is_some().then_some(kind),
        service: watch.service,
        field: watch.field,
        measure: watch.measure.name(),
        value: watch.value,
        bucket_seconds: watch.bucket_seconds,
        buckets: watch.buckets,
        learning: watch.learning,
        typical: watch.typical,
        low: watch.low,
        high: watch.high,
    }
}

fn shown(anomaly: detect::Anomaly) -> Anomaly {
    let nanos = |seconds: i64| seconds.saturating_mul(NANOS_PER_SECOND);
    Anomaly {
        id: anomaly.id,
        group: anomaly.group,
        series: anomaly.series,
        service: anomaly.service,
        measure: anomaly.measure.name(),
        field: anomaly.field,
        value: anomaly.value,
        score: anomaly.score,
        severity: anomaly.severity.name(),
        probability: anomaly.probability,
        direction: match anomaly.direction {
            Direction::High => "high",
            Direction::Low => "low",
        },
        actual: anomaly.actual,
        typical: anomaly.typical,
        low: anomaly.low,
        high: anomaly.high,
        bucket: nanos(i64::from(anomaly.bucket_seconds)),
        since: nanos(anomaly.since),
        last: nanos(anomaly.last),
        found: nanos(anomaly.found),
        ended: anomaly.ended.map(nanos),
        state: match anomaly.state {
            State::Open => "open",
            State::Ended => "ended",
            State::Retracted => "retracted",
        },
        sentence: anomaly.sentence,
        influencers: anomaly
            .influencers
            .into_iter()
            .map(|i| Influencer {
                field: i.field,
                value: i.value,
                before: i.before,
                after: i.after,
                influence: i.influence,
            })
            .collect(),
        examples: anomaly.examples.into_iter().map(|e| Example { id: e.id, time: e.time, line: e.line }).collect(),
        template: anomaly.template.map(|t| AnomalyTemplate {
            id: t.id,
            text: t.text,
            nearest: t.nearest,
            difference: t.difference,
        }),
        late_lines: anomaly.late_lines,
        version: anomaly.version,
    }
}
