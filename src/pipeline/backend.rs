//! What the API asks, answered by the rooms behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::erasing::{self, Erasing};
use super::reparse::{Change, Refusal, Wish};
use crate::alert::{Alerting, DryRun};
use crate::api::{
    AggregateAnswer, AggregateRequest, AnomaliesAnswer, AnomaliesRequest, AuditEntry, Backend, Check, CompareAnswer,
    CompareRequest, ContextAnswer, ContextRequest, DetectorsAnswer, EraseDay, ErasePreview, EraseProgress,
    EraseRequest, ExportRequest, ExportRow, Facet, FacetValue, FacetsAnswer, FacetsRequest, FeedbackAnswer, FieldInfo,
    FindAnswer, FindRequest, GrammarDetail, GrammarsAnswer, HistogramAnswer, HistogramRequest, IndexInfo,
    PatternsAnswer, PatternsRequest, QueryError, Readiness, ReparseAnswer, ReparseChange, ReparseProgress,
    ReparseRequest, RunAnswer, RunRequest, ScoreAnswer, ScoreRequest, SearchAnswer, SearchRequest, ShardsAnswer,
    SnapshotInfo, Sort, TailEvent, TimeRange, Word,
};
use crate::detect::{Model, Precision};
use crate::ingest::beats::{Budget, CloseReason, Counters};
use crate::ingest::http;
use crate::query::aggregate::{self, Limits, Reader};
use crate::query::pipes::{ROWS_MAX, Run, Stage};
use crate::query::{self, BUCKETS_MAX, Between, Expr, Place, SaveError, SavedQuery, Search, Stop, SyntaxError};
use crate::store::QUARANTINE;

pub struct Pipeline {
    context: Arc<Context>,
    counters: Arc<Counters>,
    budget: Arc<Budget>,
    closing: CancellationToken,
    /// What its methods, which block, wait with.
    runtime: Handle,
}

impl Pipeline {
    pub fn new(
        context: Arc<Context>,
        counters: Arc<Counters>,
        budget: Arc<Budget>,
        closing: CancellationToken,
        runtime: Handle,
    ) -> Self {
        Self { context, counters, budget, closing, runtime }
    }

    fn pipeline(&self, text: &str) -> Result<query::pipes::Pipeline, QueryError> {
        query::pipes::parse_pipeline_at(text, self.context.clock.now()).map_err(|error| syntax(&error, text))
    }

    fn parse(&self, text: &str) -> Result<Expr, QueryError> {
        parse(text, self.context.clock.now())
    }
}

pub(super) fn parse(text: &str, now: i64) -> Result<Expr, QueryError> {
    query::parse_at(text, now).map_err(|error| syntax(&error, text))
}

/// An export ends when its client does; one that neither reads nor closes ends after this.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

impl Backend for Pipeline {
    fn search(&self, request: SearchRequest) -> Result<SearchAnswer, QueryError> {
        let after = match &request.cursor {
            None => None,
            Some(text) => Some(Place::from_cursor(text).ok_or_else(|| QueryError::BadParameter {
                name: "cursor",
                message: "this is no cursor: pass next_cursor of the page before, as it is".to_owned(),
            })?),
        };
        let pipeline = self.pipeline(&request.query)?;
        let run = Run {
            between: between(request.range),
            limit: request.limit,
            newest_first: request.sort == Sort::Newest,
            after,
            deadline: request.deadline,
            limits: Limits::default(),
        };
        let engine = &self.context.engine;
        let piped = engine.run(&pipeline, &run).map_err(stopped)?;
        let mut warnings = Vec::new();
        if piped.total == 0 || piped.columns.is_some() {
            warnings = engine.unknown_fields(&pipeline.fields()).map_err(stopped)?;
        }
        Ok(SearchAnswer {
            total: piped.total,
            hits: piped.rows,
            columns: piped.columns,
            warnings,
            next_cursor: piped.next.map(Place::to_cursor),
            partial: piped.partial,
        })
    }

    fn histogram(&self, request: HistogramRequest) -> Result<HistogramAnswer, QueryError> {
        let expr = self.parse(&request.query)?;
        let range = between(request.range);
        let engine = &self.context.engine;
        if let (Some(width), Some((first, last))) = (request.interval, engine.span(range).map_err(stopped)?)
            && (last - first) / width >= BUCKETS_MAX
        {
            return Err(QueryError::BadParameter {
                name: "interval",
                message: format!(
                    "this interval gives {} bars, more than the {BUCKETS_MAX} allowed: choose a longer one or a \
                     shorter time range",
                    (last - first) / width + 1
                ),
            });
        }
        let answer = engine.histogram(&expr, range, request.interval, request.deadline).map_err(stopped)?;
        Ok(HistogramAnswer {
            interval: answer.interval,
            buckets: answer.buckets,
            total: answer.total,
            partial: answer.partial,
        })
    }

    fn facets(&self, request: FacetsRequest) -> Result<FacetsAnswer, QueryError> {
        let expr = self.parse(&request.query)?;
        let range = between(request.range);
        let engine = &self.context.engine;
        let answer = engine.facets(&expr, range, &request.fields, request.limit, request.deadline).map_err(stopped)?;
        let facets = answer.facets.into_iter().map(|facet| Facet {
            field: facet.field,
            values: facet.values.into_iter().map(|(value, count)| FacetValue { value, count }).collect(),
            other: facet.other,
            missing: facet.missing,
        });
        Ok(FacetsAnswer { facets: facets.collect(), total: answer.total, partial: answer.partial })
    }

    fn export(&self, request: ExportRequest, each: &mut ExportRow<'_>) -> Result<Option<Vec<String>>, QueryError> {
        let mut pipeline = self.pipeline(&request.query)?;
        if !request.fields.is_empty() {
            pipeline.stages.push(Stage::Fields(request.fields));
        }
        let run = Run {
            between: between(request.range),
            // What pipes sort is a table, and as long as one may be.
            limit: ROWS_MAX,
            newest_first: request.sort == Sort::Newest,
            after: None,
            deadline: Instant::now() + EXPORT_TIME_MAX,
            limits: Limits::default(),
        };
        self.context.engine.run_all(&pipeline, &run, each).map_err(stopped)
    }

    fn aggregate(&self, request: AggregateRequest) -> Result<AggregateAnswer, QueryError> {
        let expr = self.parse(&request.query)?;
        let now = self.context.clock.now();
        let reader = Reader { query: &|json| aggregate::query_of(json, now), now };
        let wanted = aggregate::parse_aggregations(&request.aggregations, &reader)
            .map_err(|bad| QueryError::BadParameter { name: "aggs", message: bad.to_string() })?;
        let (range, deadline) = (between(request.range), request.deadline);
        let engine = &self.context.engine;
        let answer = engine.aggregate(&expr, range, &wanted, Limits::default(), deadline).map_err(stopped)?;
        Ok(AggregateAnswer {
            total: answer.total,
            aggregations: aggregate::to_json(&wanted, &answer.answers),
            partial: answer.partial,
        })
    }

    fn saved_queries(&self) -> Vec<SavedQuery> {
        self.context.saved.all()
    }

    fn save_query(&self, query: SavedQuery) -> Result<(), QueryError> {
        self.pipeline(&query.query)?;
        self.context.saved.put(query).map(|_| ()).map_err(not_saved)
    }

    fn delete_query(&self, name: &str) -> Result<bool, QueryError> {
        self.context.saved.delete(name).map_err(not_saved)
    }

    fn fields(&self, _deadline: Instant) -> Result<Vec<FieldInfo>, QueryError> {
        let fields = self.context.engine.fields().map_err(stopped)?;
        let shown = fields.into_iter().map(|f| FieldInfo { name: f.name, kind: f.kind.to_owned(), aliases: f.aliases });
        Ok(shown.collect())
    }

    fn context(&self, request: ContextRequest) -> Result<ContextAnswer, QueryError> {
        let found = self.context.engine.context(&request.id, request.before, request.after, request.deadline);
        let (before, record, after) = found
            .map_err(stopped)?
            .ok_or_else(|| QueryError::NotFound(format!("there is no record with event.id {}", request.id)))?;
        Ok(ContextAnswer { before, record, after })
    }

    fn score(&self, request: ScoreRequest) -> Result<ScoreAnswer, QueryError> {
        super::scoring::score(&self.context, request)
    }

    fn compare(&self, request: CompareRequest) -> Result<CompareAnswer, QueryError> {
        super::compared::compare(&self.context, request)
    }

    fn patterns(&self, request: PatternsRequest) -> Result<PatternsAnswer, QueryError> {
        let expr = self.parse(&request.query)?;
        let (range, deadline) = (between(request.range), request.deadline);
        let counted = self.context.engine.patterns(&expr, range, request.limit, deadline).map_err(stopped)?;
        let templates = self.context.templates.as_deref();
        let (patterns, late) = super::patterns::described(counted.patterns, templates, request.range.from, deadline);
        Ok(PatternsAnswer {
            patterns,
            templates: counted.templates,
            total: counted.total,
            without: counted.without,
            start: counted.start,
            interval: counted.interval,
            partial: counted.partial || late,
        })
    }

    fn anomalies(&self, request: AnomaliesRequest) -> Result<AnomaliesAnswer, QueryError> {
        super::watched::anomalies(self.context.detecting.as_deref(), request)
    }

    fn detectors(&self, service: Option<&str>) -> Result<DetectorsAnswer, QueryError> {
        super::watched::detectors(self.context.detecting.as_deref(), service)
    }

    fn give_feedback(&self, anomaly: &str, word: Word) -> Result<FeedbackAnswer, QueryError> {
        super::watched::give_feedback(self.context.detecting.as_deref(), anomaly, word)
    }

    fn feedback(&self, anomaly: &str) -> Result<FeedbackAnswer, QueryError> {
        super::watched::feedback(self.context.detecting.as_deref(), anomaly)
    }

    fn precision(&self) -> Result<Vec<Precision>, QueryError> {
        Ok(self.context.detecting.as_deref().map(|detecting| detecting.feedback().precision()).unwrap_or_default())
    }

    fn begin_run(&self, request: RunRequest) -> Result<RunAnswer, QueryError> {
        super::watched::begin_run(
            self.context.detecting.as_deref(),
            self.context.runs.as_ref(),
            request,
            self.context.clock.now(),
        )
    }

    fn run_progress(&self) -> Result<RunAnswer, QueryError> {
        super::watched::run_progress(self.context.runs.as_ref())
    }

    fn stop_run(&self) -> Result<RunAnswer, QueryError> {
        if let Some(runs) = &self.context.runs {
            runs.stop();
        }
        self.run_progress()
    }

    fn models(&self) -> Result<(String, Vec<Model>), QueryError> {
        super::watched::models(self.context.detecting.as_deref())
    }

    fn jobs(&self) -> Result<Vec<crate::api::JobBody>, QueryError> {
        super::watched::jobs(self.context.detecting.as_deref())
    }

    fn put_job(&self, job: &serde_json::Value) -> Result<(), QueryError> {
        super::watched::put_job(self.context.detecting.as_deref(), job)
    }

    fn delete_job(&self, name: &str) -> Result<(), QueryError> {
        super::watched::delete_job(self.context.detecting.as_deref(), name)
    }

    fn activate_model(&self, version: &str, force: bool) -> Result<(), QueryError> {
        super::watched::activate(self.context.detecting.as_deref(), Some(version), force)
    }

    fn roll_back_model(&self) -> Result<(), QueryError> {
        super::watched::activate(self.context.detecting.as_deref(), None, false)
    }

    fn shards(&self) -> ShardsAnswer {
        super::retention::shards(
            &self.context.store,
            &self.context.keep,
            self.context.clock.now(),
            self.context.disk_free_bytes(),
        )
    }

    fn erase_preview(&self, request: EraseRequest, deadline: Instant) -> Result<ErasePreview, QueryError> {
        let wish = erasure(request);
        let preview = self.context.erasing.preview(&self.context, &wish, deadline);
        let preview = preview.map_err(|refusal| not_erased(refusal, &wish.query))?;
        let day = |(name, records)| EraseDay { name, records };
        let days = preview.days.into_iter().map(day).collect();
        Ok(ErasePreview { records: preview.records, days, partial: preview.partial })
    }

    fn erase(&self, request: EraseRequest) -> Result<EraseProgress, QueryError> {
        if self.context.is_copy {
            return Err(QueryError::Conflict("this is a copy to look at: nothing is deleted from it".to_owned()));
        }
        let wish = erasure(request);
        let query = wish.query.clone();
        Erasing::begin(&self.context, wish).map_err(|refusal| not_erased(refusal, &query))?;
        self.erase_progress()
    }

    fn erase_progress(&self) -> Result<EraseProgress, QueryError> {
        let progress = self.context.erasing.progress();
        Ok(EraseProgress {
            state: progress.state.name(),
            day: progress.day,
            days: progress.days,
            days_done: progress.days_done,
            deleted: progress.deleted,
            error: progress.error,
        })
    }

    fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, QueryError> {
        erasing::entries(&self.context.data_dir, limit).map_err(|refusal| not_erased(refusal, ""))
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, QueryError> {
        super::snapshots::list(&self.context)
    }

    fn take_snapshot(&self, name: Option<&str>) -> Result<SnapshotInfo, QueryError> {
        super::snapshots::take(&self.context, name)
    }

    fn delete_snapshot(&self, name: &str) -> Result<bool, QueryError> {
        super::snapshots::delete(&self.context, name)
    }

    fn alerting(&self) -> Result<Arc<Alerting>, QueryError> {
        Ok(Arc::clone(&self.context.alerting))
    }

    fn dry_run(&self, range: TimeRange, rules: Option<&str>) -> Result<DryRun, QueryError> {
        super::alerting::dry_run(&self.context, range, rules)
    }

    fn tail(&self, query: &str) -> Result<mpsc::Receiver<TailEvent>, QueryError> {
        Ok(self.context.tails.subscribe(self.parse(query)?, self.context.engine.language().aliases))
    }

    fn grammars(&self) -> GrammarsAnswer {
        super::grammars::all(&self.context.grammars)
    }

    fn grammar(&self, name: &str) -> Option<GrammarDetail> {
        super::grammars::one(&self.context.grammars, name)
    }

    fn reparse_preview(&self, request: ReparseRequest, deadline: Instant) -> Result<ReparseAnswer, QueryError> {
        let preview = self.context.reparse.preview(&wish(request), deadline).map_err(refused)?;
        let change = |change: Change| ReparseChange {
            from: change.from,
            to: change.to,
            lines: change.lines,
            example: change.example,
            fields: change.fields,
        };
        Ok(ReparseAnswer {
            changes: preview.changes.into_iter().map(change).collect(),
            examined: preview.examined,
            partial: preview.partial,
        })
    }

    fn reparse(&self, request: ReparseRequest) -> Result<ReparseProgress, QueryError> {
        self.context.reparse.begin(wish(request)).map_err(refused)?;
        Ok(self.reparse_progress())
    }

    fn reparse_progress(&self) -> ReparseProgress {
        let progress = self.context.reparse.progress();
        ReparseProgress {
            state: progress.state.name(),
            day: progress.day,
            days: progress.days,
            days_done: progress.days_done,
            examined: progress.examined,
            changed: progress.changed,
            error: progress.error,
        }
    }

    fn find(&self, request: FindRequest) -> Result<FindAnswer, QueryError> {
        let (engine, range, deadline) = (&self.context.engine, between(request.range), request.deadline);
        let mut answer = FindAnswer::default();
        if request.limit > 0 || request.aggregations.is_empty() {
            let found = engine.search(&Search {
                expr: request.expr.clone(),
                between: range,
                limit: request.limit,
                newest_first: request.sort == Sort::Newest,
                after: request.after,
                deadline,
            });
            let found = found.map_err(stopped)?;
            answer.total = found.total;
            answer.partial = found.partial;
            answer.hits = found.places.into_iter().zip(found.records).collect();
        }
        if !request.aggregations.is_empty() {
            let found = engine.aggregate(&request.expr, range, &request.aggregations, Limits::default(), deadline);
            let found = found.map_err(stopped)?;
            answer.total = found.total;
            answer.partial |= found.partial;
            answer.aggregations = aggregate::to_json(&request.aggregations, &found.answers);
        }
        Ok(answer)
    }

    fn indices(&self) -> Vec<IndexInfo> {
        let mut indices = BTreeMap::new();
        for shard in self.context.store.shards() {
            let mut is_ours = false;
            for stream in shard.streams() {
                match stream.fields.get("_index").and_then(serde_json::Value::as_str) {
                    None | Some(http::INDEX) => is_ours = true,
                    Some(name) => _ = indices.entry(name.to_owned()).or_insert((None, 0)),
                }
            }
            // The quarantine is of no day, so no index names it; what asks for all finds it.
            if is_ours && shard.day != QUARANTINE {
                let name = crate::api::day_index(shard.day);
                indices.insert(name, (Some(shard.day), shard.bytes()));
            }
        }
        indices.into_iter().map(|(name, (day, bytes))| IndexInfo { name, day, bytes }).collect()
    }

    fn receive(&self, request: http::Request) -> Result<http::Received, http::Declined> {
        self.context.documents.receive(&self.context, &self.runtime, request)
    }

    fn wait_searchable(&self) -> bool {
        self.context.documents.wait_searchable(&self.runtime)
    }

    fn ready(&self) -> Readiness {
        let closing = self.closing.is_cancelled();
        let journal = self.context.journal.usage();
        // A full journal slows senders and must not take the searches away, so it is told and does not fail.
        let waits = if journal.blocked { ", senders wait for space" } else { "" };
        Readiness {
            checks: vec![
                Check {
                    name: "running",
                    ok: !closing,
                    detail: if closing { "stopping".to_owned() } else { "serving".to_owned() },
                },
                Check {
                    name: "journal",
                    ok: true,
                    detail: format!("{} of {} bytes{waits}", journal.bytes, journal.bytes_max),
                },
                Check { name: "shards", ok: true, detail: format!("{} serve", self.context.store.shards().len()) },
            ],
        }
    }

    fn refresh_metrics(&self) {
        let (context, counters) = (&self.context, &self.counters);
        let metrics = &context.metrics;
        let journal = context.journal.usage();
        metrics.journal_bytes.set(journal.bytes as i64);
        metrics.journal_limit_bytes.set(journal.bytes_max as i64);
        metrics.journal_blocked.set(i64::from(journal.blocked));
        metrics.shards.set(context.store.shards().len() as i64);
        metrics.shards_set_aside.set(context.store.set_aside().len() as i64);
        metrics.tails.set(context.tails.subscribers() as i64);
        metrics.budget_bytes.set(self.budget.used() as i64);
        metrics.budget_limit_bytes.set(self.budget.soft() as i64);
        metrics.connections.set(counters.open.load(Relaxed) as i64);
        let catch_up = |counter: &prometheus::IntCounter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        catch_up(&metrics.connections_opened, counters.opened.load(Relaxed));
        catch_up(&metrics.keepalives, counters.keepalives.load(Relaxed));
        for (reason, name) in CloseReason::ALL {
            catch_up(metrics.connections_closed.of(name), counters.closed(reason));
        }
        if let Some(templates) = &context.templates {
            let counts = templates.counts();
            metrics.templates.set(counts.live as i64);
            metrics.templates_bytes.set(counts.bytes as i64);
            catch_up(&metrics.templates_new, counts.new);
            catch_up(&metrics.templates_joined, counts.joined);
            catch_up(&metrics.templates_evicted, counts.evicted);
        }
        if let Some(detecting) = &context.detecting {
            let stats = detecting.stats();
            metrics.detect_series.set(stats.series as i64);
            metrics.detect_services.set(stats.services as i64);
            metrics.detect_bytes.set(stats.bytes as i64);
            catch_up(&metrics.detect_records, stats.records);
            catch_up(&metrics.detect_late, stats.late);
            catch_up(&metrics.detect_evicted, stats.evicted);
            catch_up(&metrics.detect_not_covered, stats.not_covered);
            for row in detecting.feedback().precision() {
                let labels = [row.detector.as_str(), row.version.as_str()];
                for (label, count) in
                    [("useful", row.useful), ("false_alarm", row.false_alarm), ("expected", row.expected)]
                {
                    metrics.detect_feedback.with_label_values(&[labels[0], labels[1], label]).set(count as i64);
                }
                if let Some(precision) = row.precision {
                    metrics.detect_precision.with_label_values(&labels).set(precision);
                }
            }
        }
        if let Some(bytes) = context.disk_free_bytes() {
            metrics.disk_free_bytes.set(bytes as i64);
        }
    }
}

fn wish(request: ReparseRequest) -> Wish {
    let ReparseRequest { range, grammar, all } = request;
    Wish { from: range.from, to: range.to, grammar, all }
}

fn refused(refusal: Refusal) -> QueryError {
    match refusal {
        Refusal::Grammar(message) => QueryError::BadParameter { name: "grammar", message },
        Refusal::Running => QueryError::Conflict(refusal.to_string()),
        Refusal::Disk { .. } => QueryError::Internal(refusal.to_string()),
    }
}

pub(super) fn between(range: TimeRange) -> Between {
    Between { from: range.from, to: range.to }
}

fn not_saved(error: SaveError) -> QueryError {
    match error {
        SaveError::Name => QueryError::BadParameter { name: "name", message: error.to_string() },
        SaveError::Full => QueryError::Conflict(error.to_string()),
        SaveError::Write { .. } => QueryError::Internal(error.to_string()),
    }
}

fn syntax(error: &SyntaxError, text: &str) -> QueryError {
    QueryError::Syntax {
        offset: error.offset,
        len: error.len,
        message: error.message.clone(),
        hint: error.hint.clone(),
        rendered: error.render(text),
    }
}

pub(super) fn stopped(stop: Stop) -> QueryError {
    match stop {
        Stop::Deadline | Stop::Cancelled => QueryError::Deadline,
        Stop::Memory { .. } | Stop::Groups { .. } => QueryError::BadParameter { name: "q", message: stop.to_string() },
        other => QueryError::Internal(other.to_string()),
    }
}

fn erasure(request: EraseRequest) -> erasing::Wish {
    let EraseRequest { query, range, by, reason } = request;
    erasing::Wish { query, from: range.from, to: range.to, by, reason }
}

fn not_erased(refusal: erasing::Refusal, query: &str) -> QueryError {
    match refusal {
        erasing::Refusal::Query(error) => syntax(&error, query),
        other => QueryError::Conflict(other.to_string()),
    }
}
