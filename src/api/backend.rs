//! What the API needs from behind it: one trait, and the questions and answers that cross it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;

use crate::alert::{Alerting, DryRun};
use crate::api::erase::{AuditEntry, ErasePreview, EraseProgress, EraseRequest};
use crate::api::jobs::JobBody;
use crate::api::snapshots::SnapshotInfo;
use crate::detect::{Feedback, Label, Model, Precision, Preview, Rule};
use crate::ingest::http;
use crate::query::aggregate::Aggregation;
use crate::query::{Expr, Place, SavedQuery};

/// Who answers queries. The methods block: the API calls them off the event loop and gives each a deadline, after
/// which an implementation stops with [`QueryError::Deadline`] or returns what it has with `partial` set.
pub trait Backend: Send + Sync + 'static {
    fn search(&self, request: SearchRequest) -> Result<SearchAnswer, QueryError>;
    fn histogram(&self, request: HistogramRequest) -> Result<HistogramAnswer, QueryError>;
    fn facets(&self, request: FacetsRequest) -> Result<FacetsAnswer, QueryError>;
    fn aggregate(&self, request: AggregateRequest) -> Result<AggregateAnswer, QueryError>;
    /// Calls `each` with every matching record, or every row of a table with its columns, until it says no. Gives the
    /// columns, where there are some. Has no deadline: it lasts as long as its client reads.
    fn export(&self, request: ExportRequest, each: &mut ExportRow<'_>) -> Result<Option<Vec<String>>, QueryError>;
    /// By name.
    fn saved_queries(&self) -> Vec<SavedQuery>;
    /// Keeps a query in the place of one with its name; refuses one that cannot be read.
    fn save_query(&self, query: SavedQuery) -> Result<(), QueryError>;
    /// False when there is none of that name.
    fn delete_query(&self, name: &str) -> Result<bool, QueryError>;
    /// The known fields with their types, by name.
    fn fields(&self, deadline: Instant) -> Result<Vec<FieldInfo>, QueryError>;
    fn context(&self, request: ContextRequest) -> Result<ContextAnswer, QueryError>;
    fn score(&self, _: ScoreRequest) -> Result<ScoreAnswer, QueryError> {
        Err(QueryError::Conflict("nothing is scored here".to_owned()))
    }
    /// `None` where there is no such grammar.
    fn grammar(&self, _: &str) -> Option<GrammarDetail> {
        None
    }
    fn compare(&self, request: CompareRequest) -> Result<CompareAnswer, QueryError>;
    fn patterns(&self, request: PatternsRequest) -> Result<PatternsAnswer, QueryError>;
    /// Records that match from now on. Dropping the receiver ends the tail. A full channel means a slow client: the
    /// sender counts what it leaves out and says so in the next event.
    fn tail(&self, query: &str) -> Result<mpsc::Receiver<TailEvent>, QueryError>;
    /// What was out of the ordinary, newest first.
    fn anomalies(&self, request: AnomaliesRequest) -> Result<AnomaliesAnswer, QueryError>;
    /// What is watched, of one service or of all.
    fn detectors(&self, service: Option<&str>) -> Result<DetectorsAnswer, QueryError>;
    /// Keeps what somebody says of an anomaly. Of each person the last word is kept.
    fn give_feedback(&self, _anomaly: &str, _word: Word) -> Result<FeedbackAnswer, QueryError> {
        Err(QueryError::Conflict("there are no anomalies here".to_owned()))
    }
    /// What was said of an anomaly, and what a rule made of it would have hidden.
    fn feedback(&self, _anomaly: &str) -> Result<FeedbackAnswer, QueryError> {
        Err(QueryError::Conflict("there are no anomalies here".to_owned()))
    }
    /// How often detectors were right, by what people said.
    fn precision(&self) -> Result<Vec<Precision>, QueryError> {
        Ok(Vec::new())
    }
    /// Tells stored days to detectors, in the background.
    fn begin_run(&self, _request: RunRequest) -> Result<RunAnswer, QueryError> {
        Err(QueryError::Conflict("there are no stored days here".to_owned()))
    }
    /// How far that is, and what it found.
    fn run_progress(&self) -> Result<RunAnswer, QueryError> {
        Err(QueryError::Conflict("there are no stored days here".to_owned()))
    }
    fn stop_run(&self) -> Result<RunAnswer, QueryError> {
        self.run_progress()
    }
    /// The model in use, and those that were trained, the newest first.
    fn models(&self) -> Result<(String, Vec<Model>), QueryError> {
        Err(QueryError::Conflict("there are no models here".to_owned()))
    }
    /// Puts a trained model in use.
    fn activate_model(&self, _version: &str, _force: bool) -> Result<(), QueryError> {
        Err(QueryError::Conflict("there are no models here".to_owned()))
    }
    /// Goes back to what the last activation put aside.
    fn roll_back_model(&self) -> Result<(), QueryError> {
        Err(QueryError::Conflict("there are no models here".to_owned()))
    }
    /// What operators want watched.
    fn jobs(&self) -> Result<Vec<JobBody>, QueryError> {
        Err(QueryError::Conflict("there are no jobs here".to_owned()))
    }
    /// Puts a job, in the place of one with its name.
    fn put_job(&self, _job: &Json) -> Result<(), QueryError> {
        Err(QueryError::Conflict("there are no jobs here".to_owned()))
    }
    fn delete_job(&self, _name: &str) -> Result<(), QueryError> {
        Err(QueryError::Conflict("there are no jobs here".to_owned()))
    }
    /// Incidents, messages, and who is told of them.
    fn alerting(&self) -> Result<Arc<Alerting>, QueryError> {
        Err(QueryError::Conflict("nobody is told of anything here".to_owned()))
    }
    /// What rules (YAML; those in use where absent) would have sent for anomalies that were found in this range.
    fn dry_run(&self, _range: TimeRange, _rules: Option<&str>) -> Result<DryRun, QueryError> {
        Err(QueryError::Conflict("there are no rules here".to_owned()))
    }
    fn grammars(&self) -> GrammarsAnswer;
    fn shards(&self) -> ShardsAnswer {
        ShardsAnswer::default()
    }
    /// What a query would delete.
    fn erase_preview(&self, _: EraseRequest, _deadline: Instant) -> Result<ErasePreview, QueryError> {
        Err(nothing_deleted())
    }
    /// Begins to delete records, in the background.
    fn erase(&self, _: EraseRequest) -> Result<EraseProgress, QueryError> {
        Err(nothing_deleted())
    }
    fn erase_progress(&self) -> Result<EraseProgress, QueryError> {
        Err(nothing_deleted())
    }
    /// Who asked for what to be deleted, newest first.
    fn audit(&self, _limit: usize) -> Result<Vec<AuditEntry>, QueryError> {
        Ok(Vec::new())
    }
    /// Newest first.
    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, QueryError> {
        Ok(Vec::new())
    }
    /// Takes a snapshot, called for the time without a name.
    fn take_snapshot(&self, _name: Option<&str>) -> Result<SnapshotInfo, QueryError> {
        Err(QueryError::Conflict("there are no snapshots here".to_owned()))
    }
    /// False where there is none of that name.
    fn delete_snapshot(&self, _name: &str) -> Result<bool, QueryError> {
        Ok(false)
    }
    /// What parsing stored lines anew would change.
    fn reparse_preview(&self, request: ReparseRequest, deadline: Instant) -> Result<ReparseAnswer, QueryError>;
    /// Begins to parse stored lines anew, in the background.
    fn reparse(&self, request: ReparseRequest) -> Result<ReparseProgress, QueryError>;
    fn reparse_progress(&self) -> ReparseProgress;
    /// Records that a query finds, and aggregations over all of them.
    fn find(&self, request: FindRequest) -> Result<FindAnswer, QueryError>;
    /// The indices there are, by name.
    fn indices(&self) -> Vec<IndexInfo>;
    /// Takes documents; returns when they are durable.
    fn receive(&self, request: http::Request) -> Result<http::Received, http::Declined>;
    /// Waits until all that was taken so far can be found; false when that takes too long.
    fn wait_searchable(&self) -> bool;
    /// Named checks. Must not wait for a disk or a lock held across one.
    fn ready(&self) -> Readiness;
    /// Brings gauges up to date before a scrape: journal usage, free disk, shards.
    fn refresh_metrics(&self) {}
}

fn nothing_deleted() -> QueryError {
    QueryError::Conflict("nothing is deleted here".to_owned())
}

/// A run of detectors over stored days.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// The name of the model to make of it; none makes a backtest.
    pub train: Option<String>,
    /// What one job would have found, in place of all detectors: its name, or a job as it is written.
    pub job: Option<Json>,
    pub range: TimeRange,
    pub service: Option<String>,
    /// Anomalies shown have at least this score.
    pub score_min: f64,
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub struct RunAnswer {
    pub state: &'static str,
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub records: u64,
    /// Day, how many anomalies it has, and those shown.
    pub found: Vec<(String, u64, Vec<Anomaly>)>,
    pub model: Option<Model>,
    pub error: Option<String>,
}

/// What somebody says of an anomaly.
#[derive(Debug, Clone)]
pub struct Word {
    pub label: Label,
    pub by: String,
    pub note: String,
    /// Unix nanoseconds.
    pub at: i64,
}

/// What was said of an anomaly.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FeedbackAnswer {
    /// The newest first.
    pub feedback: Vec<Feedback>,
    /// The narrowest rule that has it, and what that would have hidden so far.
    pub rule: Rule,
    pub preview: Preview,
}

/// The days on disk.
#[derive(Debug, Clone, Default)]
pub struct ShardsAnswer {
    /// Newest day first, the quarantine last.
    pub shards: Vec<ShardInfo>,
    pub bytes: u64,
    /// On the disk they are on.
    pub free_bytes: Option<u64>,
    /// What a day has brought lately; `None` where there is no telling.
    pub bytes_a_day: Option<u64>,
    /// At that pace, were nothing deleted.
    pub disk_full_in_days: Option<f64>,
    /// `None` keeps all.
    pub retention_days: Option<u32>,
    pub bytes_max: Option<u64>,
    pub next: Vec<NextRemoval>,
}

#[derive(Debug, Clone)]
pub struct ShardInfo {
    pub name: String,
    /// `open`, `late`, `ended`, `sealed` or `warm`.
    pub state: &'static str,
    pub records: u64,
    pub bytes: u64,
    /// Of these, on the warm volume.
    pub warm_bytes: u64,
    pub segments: usize,
    /// Unix nanoseconds of its first and last record.
    pub oldest: Option<i64>,
    pub newest: Option<i64>,
}

/// A deletion to come.
#[derive(Debug, Clone)]
pub struct NextRemoval {
    pub name: String,
    /// Of its records those that match; `None` means all.
    pub query: Option<String>,
    pub reason: &'static str,
    /// Unix nanoseconds; for disk use an estimate.
    pub at: i64,
}

#[derive(Debug, Clone, Default)]
pub struct AnomaliesRequest {
    /// When they were found.
    pub range: TimeRange,
    pub score_min: f64,
    pub service: Option<String>,
    /// Only those that go on, or only those that ended.
    pub open: Option<bool>,
    pub limit: usize,
}

#[derive(Debug, Clone, Default)]
pub struct AnomaliesAnswer {
    pub anomalies: Vec<Anomaly>,
    /// Those beyond the limit included.
    pub total: u64,
}

/// Out of the ordinary. Times are Unix nanoseconds of the lines' own clock.
#[derive(Debug, Clone, Default)]
pub struct Anomaly {
    pub id: String,
    pub group: String,
    pub series: String,
    pub service: String,
    pub measure: &'static str,
    pub field: Option<String>,
    pub value: Option<String>,
    pub score: f64,
    pub severity: &'static str,
    pub probability: f64,
    pub direction: &'static str,
    pub actual: f64,
    pub typical: f64,
    pub low: f64,
    pub high: f64,
    pub bucket: i64,
    pub since: i64,
    pub last: i64,
    pub found: i64,
    pub ended: Option<i64>,
    pub state: &'static str,
    pub sentence: String,
    pub influencers: Vec<Influencer>,
    pub examples: Vec<Example>,
    pub template: Option<AnomalyTemplate>,
    pub late_lines: u64,
    /// The model that found it.
    pub version: String,
}

/// A value that explains an anomaly; shares and influence from 0 to 1.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Influencer {
    pub field: String,
    pub value: String,
    /// Its share of all lines of the service before.
    pub before: f64,
    /// Its share of the lines in question.
    pub after: f64,
    /// How much it accounts for.
    pub influence: f64,
}

/// A line of an anomaly.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// `event.id`.
    pub id: String,
    /// Unix nanoseconds.
    pub time: i64,
    pub line: String,
}

/// The template that an anomaly is about.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct AnomalyTemplate {
    pub id: u64,
    pub text: String,
    /// The one most like it that was known before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// From that one's text to this one's: `[-gone-]`, `{+new+}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

/// What is watched.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct DetectorsAnswer {
    /// Services and series that are watched, and the memory they take.
    pub services: u64,
    pub series: u64,
    pub bytes: u64,
    /// Since the start: records taken, records that came after their minute was judged, series given up for want of memory,
    /// and records of services that there was no memory for.
    pub records: u64,
    pub late: u64,
    pub evicted: u64,
    pub not_covered: u64,
    pub detectors: Vec<DetectorInfo>,
}

/// One series.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct DetectorInfo {
    pub service: String,
    /// Absent where it is about all lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the field turned out to be: `number`, `category`, `identifier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// `lines`, `unparsed`, `median`, `p95`, `mix`, `rate`, `distinct_count`.
    pub measure: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub bucket_seconds: u32,
    /// Buckets learned.
    pub buckets: u32,
    /// It has seen too little to say anything.
    pub learning: bool,
    /// What it expects next, and the band that is ordinary.
    pub typical: f64,
    pub low: f64,
    pub high: f64,
}

/// Unix nanoseconds, `from` included, `to` not. `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
}

#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// In the query language; empty matches everything.
    pub query: String,
    pub range: TimeRange,
    /// 0 only counts.
    pub limit: usize,
    pub sort: Sort,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct SearchAnswer {
    /// Records that match, not only those on this page, whatever pipes made of them.
    pub total: u64,
    /// Records, or the rows of a table.
    pub hits: Vec<Map<String, Json>>,
    /// The table's columns, where pipes made one.
    pub columns: Option<Vec<String>>,
    /// What looks like a slip, a sentence each.
    pub warnings: Vec<String>,
    pub next_cursor: Option<String>,
    /// The deadline came before all shards were read: `total` and `hits` are of those that were.
    pub partial: bool,
}

#[derive(Debug, Clone)]
pub struct HistogramRequest {
    pub query: String,
    pub range: TimeRange,
    /// Width of a bar in nanoseconds; `None` lets the backend choose one that gives some sixty bars.
    pub interval: Option<i64>,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct HistogramAnswer {
    /// Width of a bar in nanoseconds.
    pub interval: i64,
    /// Start of each bar (Unix nanoseconds) and its count, oldest first, empty bars between included.
    pub buckets: Vec<(i64, u64)>,
    pub total: u64,
    pub partial: bool,
}

#[derive(Debug, Clone)]
pub struct FacetsRequest {
    pub query: String,
    pub range: TimeRange,
    pub fields: Vec<String>,
    /// Values per field.
    pub limit: usize,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct FacetsAnswer {
    /// One for each field asked for, in that order.
    pub facets: Vec<Facet>,
    /// Records that match.
    pub total: u64,
    pub partial: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Facet {
    pub field: String,
    /// Most frequent first.
    pub values: Vec<FacetValue>,
    /// Records whose value is none of `values`.
    pub other: u64,
    /// Records without this field.
    pub missing: u64,
}

#[derive(Debug, Clone)]
pub struct FacetValue {
    pub value: Json,
    pub count: u64,
}

/// Takes a record, or a row with its columns, and says whether more is wanted.
pub type ExportRow<'e> = dyn FnMut(Option<&[String]>, Map<String, Json>) -> bool + 'e;

#[derive(Debug, Clone)]
pub struct ExportRequest {
    pub query: String,
    pub range: TimeRange,
    pub sort: Sort,
    /// Only these, as columns; all when empty.
    pub fields: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct AggregateRequest {
    pub query: String,
    pub range: TimeRange,
    /// As Elasticsearch's clients write them: an object of named aggregations.
    pub aggregations: Json,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct AggregateAnswer {
    /// Records that match.
    pub total: u64,
    /// As Elasticsearch's clients read them, by name.
    pub aggregations: Map<String, Json>,
    pub partial: bool,
}

/// A search whose query is understood already.
#[derive(Debug, Clone)]
pub struct FindRequest {
    pub expr: Expr,
    pub range: TimeRange,
    pub limit: usize,
    pub sort: Sort,
    /// Only what comes after it.
    pub after: Option<Place>,
    pub aggregations: Vec<Aggregation>,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct FindAnswer {
    /// Records that match.
    pub total: u64,
    pub hits: Vec<(Place, Map<String, Json>)>,
    /// As Elasticsearch's clients read them, by name.
    pub aggregations: Map<String, Json>,
    pub partial: bool,
}

/// An index, as Elasticsearch's clients know them: a day of the records that have none, or what documents were sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexInfo {
    pub name: String,
    /// The UTC day number, where it is a day.
    pub day: Option<i32>,
    /// On disk, where it is a day.
    pub bytes: u64,
}

/// A field that records have or may have.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct FieldInfo {
    /// Dotted, as a query writes it.
    pub name: String,
    /// `keyword`, `text`, `number`, `date`, `boolean` or `id`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Other names that queries accept for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// The grammars in use.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct GrammarsAnswer {
    pub grammars: Vec<GrammarInfo>,
    /// Why the grammar files as they are now are not in use; empty when they are.
    pub problems: Vec<String>,
}

/// One grammar, whole.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct GrammarDetail {
    #[serde(flatten)]
    pub grammar: GrammarInfo,
    /// It is part of the program, and no file of the grammars' directory stands in its place.
    pub builtin: bool,
    /// Its file's text, with the patterns it takes from others; null where the parser is part of the program.
    pub source: Option<String>,
    /// Which streams' lines it is tried on, any of these; empty for all.
    #[schema(value_type = Vec<Object>)]
    pub when: Vec<crate::record::When>,
    pub types: Vec<GrammarField>,
    /// Other names that queries accept for its fields, ECS first.
    #[schema(value_type = Object)]
    pub aliases: std::collections::BTreeMap<String, String>,
    /// Lines that prove it.
    pub samples: Vec<GrammarSample>,
}

/// What a grammar says of a field.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct GrammarField {
    pub name: String,
    /// `number`, `keyword`, `text`, `path`, `id` or `date`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A line, and what the grammar makes of it: null for a line it must not fit.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct GrammarSample {
    pub line: String,
    #[schema(value_type = Option<Object>)]
    pub fields: Option<Map<String, Json>>,
}

/// A format that lines are read by.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct GrammarInfo {
    pub name: String,
    /// Differs when what the grammar says does: hex.
    pub version: String,
    pub about: String,
    /// Its patterns; none where the parser is part of the program.
    pub patterns: Vec<String>,
    /// The fields it gives; none where they are the line's own.
    pub fields: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct ReparseRequest {
    pub range: TimeRange,
    /// The grammar to try; without one, all as for a new line.
    pub grammar: Option<String>,
    /// Lines that have a grammar too, not only those without.
    pub all: bool,
}

#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct ReparseAnswer {
    /// Most lines first.
    pub changes: Vec<ReparseChange>,
    /// Lines looked at.
    pub examined: u64,
    /// The time limit came before everything was read.
    pub partial: bool,
}

/// Lines that would go from one grammar to another.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct ReparseChange {
    /// Name and version, `nginx@1f3c`; null for no grammar.
    pub from: Option<String>,
    pub to: Option<String>,
    pub lines: u64,
    /// One of them.
    pub example: String,
    /// Its fields afterwards.
    #[schema(value_type = Object)]
    pub fields: Map<String, Json>,
}

/// How far parsing stored lines anew is.
#[derive(Debug, Clone, Default, serde::Serialize, utoipa::ToSchema)]
pub struct ReparseProgress {
    /// `idle`, `running`, `done` or `failed`.
    pub state: &'static str,
    /// The day under way.
    pub day: Option<String>,
    pub days: usize,
    pub days_done: usize,
    pub examined: u64,
    pub changed: u64,
    pub error: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ContextRequest {
    /// `event.id` of the record in the middle.
    pub id: String,
    pub before: usize,
    pub after: usize,
    pub deadline: Instant,
}

/// Neighbours in the same stream, in the file's order.
#[derive(Debug, Clone, Default)]
pub struct ContextAnswer {
    pub before: Vec<Map<String, Json>>,
    pub record: Map<String, Json>,
    pub after: Vec<Map<String, Json>>,
}

/// Records to be scored, a JSON object a line.
#[derive(Debug, Clone)]
pub struct ScoreRequest {
    /// The model in use where none is named.
    pub version: Option<String>,
    pub body: Bytes,
    pub records_max: usize,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct ScoreAnswer {
    /// The model that answered.
    pub version: String,
    pub records: Vec<Scored>,
    /// Records that could not be read: their places, and why.
    pub errors: Vec<(usize, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// Among the lines that are not empty, from 0.
    pub place: usize,
    pub service: String,
    /// The model knows the service well enough.
    pub known: bool,
    pub score: f64,
    pub severity: &'static str,
    pub probability: f64,
    /// The most unusual first.
    pub values: Vec<ScoredValue>,
}

#[derive(Debug, Clone, Default)]
pub struct ScoredValue {
    pub field: String,
    pub value: String,
    pub probability: f64,
    pub score: f64,
    pub sentence: String,
}

/// Before and after.
#[derive(Debug, Clone)]
pub struct CompareRequest {
    pub queries: [String; 2],
    pub ranges: [TimeRange; 2],
    /// Those worth comparing when empty.
    pub fields: Vec<String>,
    pub limit: usize,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct CompareAnswer {
    /// Records of each side.
    pub totals: [u64; 2],
    /// Most surprising first.
    pub differences: Vec<Difference>,
    /// Differences, those beyond the limit included.
    pub found: usize,
    /// Values and distributions that were looked at.
    pub compared: usize,
    pub fields: Vec<String>,
    /// Fields with too many different values.
    pub skipped: Vec<String>,
    pub partial: bool,
}

#[derive(Debug, Clone)]
pub struct Difference {
    pub field: String,
    pub changed: Changed,
    /// Of a template.
    pub text: Option<String>,
    pub surprise: f64,
}

#[derive(Debug, Clone)]
pub enum Changed {
    Value { value: Json, counts: [u64; 2] },
    Numbers([Spread; 2]),
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    pub count: u64,
    pub p50: f64,
    pub p95: f64,
}

#[derive(Debug, Clone)]
pub struct PatternsRequest {
    pub query: String,
    pub range: TimeRange,
    pub limit: usize,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Default)]
pub struct PatternsAnswer {
    /// Most frequent first.
    pub patterns: Vec<Pattern>,
    /// Different templates, those beyond the limit included.
    pub templates: u64,
    /// Records that match.
    pub total: u64,
    /// Those without a template.
    pub without: u64,
    /// Where the sparklines begin, and how wide their steps are: Unix nanoseconds, nanoseconds.
    pub start: i64,
    pub interval: i64,
    pub partial: bool,
}

/// The matching records of one template.
#[derive(Debug, Clone, Default)]
pub struct Pattern {
    pub id: u64,
    /// Variables as `<*>`; `None` where the template was forgotten.
    pub text: Option<String>,
    pub count: u64,
    /// Times of its first and last record among them: Unix nanoseconds.
    pub first: i64,
    pub last: i64,
    /// Records over time, in the answer's steps.
    pub sparkline: Vec<u32>,
    pub grammar: Option<String>,
    /// The last one's line.
    pub example: Option<String>,
    /// Values of each variable.
    pub examples: Vec<Vec<String>>,
    /// It begins within the range, which has a beginning.
    pub new: bool,
    pub nearest: Option<Nearest>,
}

/// The template that was known and is most like a new one.
#[derive(Debug, Clone, Default)]
pub struct Nearest {
    pub id: u64,
    pub text: String,
    /// From its text to the new one's.
    pub difference: Vec<(Change, String)>,
}

/// Whether a piece is in both texts or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Same,
    Gone,
    New,
}

/// A live record, and how many were left out just before it because the client reads too slowly.
#[derive(Debug, Clone, Default)]
pub struct TailEvent {
    pub skipped: u64,
    pub record: Map<String, Json>,
}

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The query's text cannot be read. `offset` and `len` are in bytes of the text; `rendered` shows it with a caret.
    #[error("{message}")]
    Syntax { offset: usize, len: usize, message: String, hint: Option<String>, rendered: String },
    #[error("the query took longer than it may: narrow its time range, or ask for fewer records")]
    Deadline,
    /// A parameter is readable and still of no use: an old cursor, a field that cannot be counted.
    #[error("{message}")]
    BadParameter { name: &'static str, message: String },
    #[error("{0}")]
    NotFound(String),
    /// Not while something else goes on.
    #[error("{0}")]
    Conflict(String),
    /// Ours. Logged whole, shown to clients without its text.
    #[error("{0}")]
    Internal(String),
}

/// Whether this process can do its work, check by check.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pub checks: Vec<Check>,
}

#[derive(Debug, Clone)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    /// What is wrong, or what was found.
    pub detail: String,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}
