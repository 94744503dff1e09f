//! The HTTP side over a small backend of the tests' own, on a port of its own.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use loghound::api::{
    AggregateAnswer, AggregateRequest, AnomaliesAnswer, AnomaliesRequest, Backend, CompareAnswer, CompareRequest,
    ContextAnswer, ContextRequest, DetectorsAnswer, FacetsAnswer, FacetsRequest, FieldInfo, HistogramAnswer,
    HistogramRequest, PatternsAnswer, PatternsRequest, QueryError, Readiness, ReparseAnswer, ReparseProgress,
    ReparseRequest, SearchAnswer, SearchRequest, Settings, Sort, TailEvent,
};
use loghound::telemetry::Metrics;
use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Holds 25,000 records numbered from 0, newest last.
pub struct Numbers;

pub const HELD: usize = 25_000;

fn record(n: usize) -> Map<String, Json> {
    let record = json!({
        "@timestamp": "2026-03-01T12:00:00Z", "level": "E", "n": n, "message": format!("line {n}\u{1b}[31m"),
        "kubernetes": {"namespace": "prod", "pod": {"name": "web-0"}},
    });
    record.as_object().cloned().unwrap_or_default()
}

impl Backend for Numbers {
    fn reparse_preview(&self, _: ReparseRequest, _: Instant) -> Result<ReparseAnswer, QueryError> {
        Ok(ReparseAnswer::default())
    }

    fn reparse(&self, _: ReparseRequest) -> Result<ReparseProgress, QueryError> {
        Ok(self.reparse_progress())
    }

    fn reparse_progress(&self) -> ReparseProgress {
        ReparseProgress { state: "idle", ..Default::default() }
    }

    fn anomalies(&self, _request: AnomaliesRequest) -> Result<AnomaliesAnswer, QueryError> {
        Ok(AnomaliesAnswer::default())
    }

    fn detectors(&self, _service: Option<&str>) -> Result<DetectorsAnswer, QueryError> {
        Ok(DetectorsAnswer::default())
    }

    fn grammars(&self) -> loghound::api::GrammarsAnswer {
        Default::default()
    }

    fn search(&self, r: SearchRequest) -> Result<SearchAnswer, QueryError> {
        if let Err(err) = loghound::query::pipes::parse_pipeline(&r.query) {
            let rendered = err.render(&r.query);
            return Err(QueryError::Syntax {
                offset: err.offset,
                len: err.len,
                message: err.message,
                hint: err.hint,
                rendered,
            });
        }
        let start: usize = r.cursor.as_deref().map_or(0, |c| c.parse().unwrap());
        let end = (start + r.limit).min(HELD);
        let nth = |i: usize| record(if r.sort == Sort::Newest { HELD - 1 - i } else { i });
        let next_cursor = (end < HELD).then(|| end.to_string());
        Ok(SearchAnswer {
            total: HELD as u64,
            hits: (start..end).map(nth).collect(),
            next_cursor,
            ..Default::default()
        })
    }

    fn histogram(&self, _: HistogramRequest) -> Result<HistogramAnswer, QueryError> {
        Ok(HistogramAnswer::default())
    }

    fn facets(&self, _: FacetsRequest) -> Result<FacetsAnswer, QueryError> {
        Ok(FacetsAnswer::default())
    }

    fn aggregate(&self, _: AggregateRequest) -> Result<AggregateAnswer, QueryError> {
        Ok(AggregateAnswer::default())
    }

    fn export(
        &self,
        r: loghound::api::ExportRequest,
        _: &mut loghound::api::ExportRow<'_>,
    ) -> Result<Option<Vec<String>>, QueryError> {
        Ok((!r.fields.is_empty()).then_some(r.fields))
    }

    fn saved_queries(&self) -> Vec<loghound::query::SavedQuery> {
        Vec::new()
    }

    fn save_query(&self, _: loghound::query::SavedQuery) -> Result<(), QueryError> {
        Ok(())
    }

    fn delete_query(&self, _: &str) -> Result<bool, QueryError> {
        Ok(false)
    }

    fn fields(&self, _: Instant) -> Result<Vec<FieldInfo>, QueryError> {
        Ok(Vec::new())
    }

    fn context(&self, _: ContextRequest) -> Result<ContextAnswer, QueryError> {
        Err(QueryError::NotFound("nothing".to_owned()))
    }

    fn compare(&self, _: CompareRequest) -> Result<CompareAnswer, QueryError> {
        Ok(CompareAnswer::default())
    }

    fn patterns(&self, _: PatternsRequest) -> Result<PatternsAnswer, QueryError> {
        Ok(PatternsAnswer::default())
    }

    fn tail(&self, _: &str) -> Result<mpsc::Receiver<TailEvent>, QueryError> {
        let (sender, receiver) = mpsc::channel(4);
        for (n, skipped) in [(1, 0), (2, 3)] {
            sender.try_send(TailEvent { skipped, record: record(n) }).unwrap();
        }
        Ok(receiver)
    }

    fn find(&self, _: loghound::api::FindRequest) -> Result<loghound::api::FindAnswer, loghound::api::QueryError> {
        Ok(loghound::api::FindAnswer::default())
    }

    fn indices(&self) -> Vec<loghound::api::IndexInfo> {
        Vec::new()
    }

    fn receive(
        &self,
        _: loghound::ingest::http::Request,
    ) -> Result<loghound::ingest::http::Received, loghound::ingest::http::Declined> {
        Err(loghound::ingest::http::Declined::Busy("nothing is kept here"))
    }

    fn wait_searchable(&self) -> bool {
        true
    }

    fn ready(&self) -> Readiness {
        Readiness::default()
    }
}

/// A server for the rest of the test process.
pub fn server() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (settings, closing) = (Settings::default(), CancellationToken::new());
            let metrics = Arc::new(Metrics::new().unwrap());
            let router = loghound::api::router(Arc::new(Numbers), metrics, settings.clone(), closing.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loghound::api::serve(listener, None, router, &settings, closing).await.unwrap();
        });
    });
    told.recv().unwrap()
}
