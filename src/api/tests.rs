//! The router over a backend made of answers, without a socket; two tests at the end use one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::query::SavedQuery;
use crate::telemetry::Metrics;

/// Answers everything with one record and remembers what it was asked.
#[derive(Default)]
struct Fake {
    asked: Mutex<String>,
    ready: AtomicBool,
    /// What the next tail sends before it ends.
    live: Mutex<Vec<TailEvent>>,
    saved: Mutex<Vec<SavedQuery>>,
    /// Senders of tails that stay open.
    open: Mutex<Vec<mpsc::Sender<TailEvent>>>,
}

fn object(value: Json) -> serde_json::Map<String, Json> {
    value.as_object().cloned().unwrap_or_default()
}

impl Fake {
    fn note(&self, query: &str, asked: String) -> Result<(), QueryError> {
        *self.asked.lock() = asked;
        match query {
            "level:" => Err(QueryError::Syntax {
                offset: 6,
                len: 0,
                message: "a value is missing after the colon".into(),
                hint: Some("write level:E, or level:* for any".into()),
                rendered: "level:\n      ^".into(),
            }),
            "slow" => Err(QueryError::Deadline),
            "broken" => Err(QueryError::Internal("disk on fire at /secret".into())),
            "panic" => panic!("asked to"),
            "sleep" => {
                std::thread::sleep(Duration::from_millis(400));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Backend for Fake {
    fn shards(&self) -> ShardsAnswer {
        let shard = ShardInfo {
            name: "2026-11-22".to_owned(),
            state: "sealed",
            records: 7,
            bytes: 9,
            warm_bytes: 0,
            segments: 1,
            oldest: None,
            newest: None,
        };
        ShardsAnswer { shards: vec![shard], bytes: 9, free_bytes: Some(100), ..Default::default() }
    }

    fn reparse_preview(&self, _: ReparseRequest, _: Instant) -> Result<ReparseAnswer, QueryError> {
        Ok(ReparseAnswer::default())
    }

    fn reparse(&self, request: ReparseRequest) -> Result<ReparseProgress, QueryError> {
        match request.grammar {
            Some(grammar) => Err(QueryError::Conflict(format!("{grammar} is at it"))),
            None => Ok(self.reparse_progress()),
        }
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

    fn grammars(&self) -> GrammarsAnswer {
        GrammarsAnswer { problems: vec!["g.yaml: no samples".to_owned()], ..Default::default() }
    }

    fn search(&self, r: SearchRequest) -> Result<SearchAnswer, QueryError> {
        assert!(r.deadline > Instant::now());
        self.note(&r.query, format!("{} {:?} {} {:?} {:?}", r.query, r.range, r.limit, r.sort, r.cursor))?;
        if r.cursor.as_deref() == Some("old") {
            return Err(QueryError::BadParameter { name: "cursor", message: "the cursor is of another query".into() });
        }
        let hits = vec![object(json!({"message": "m", "log": {"offset": 7}}))];
        Ok(SearchAnswer { total: 3, hits, next_cursor: Some("c".into()), ..SearchAnswer::default() })
    }

    fn histogram(&self, r: HistogramRequest) -> Result<HistogramAnswer, QueryError> {
        self.note(&r.query, format!("{:?}", r.interval))?;
        Ok(HistogramAnswer {
            interval: 60_000_000_000,
            buckets: vec![(0, 2), (60_000_000_000, 1)],
            total: 3,
            partial: false,
        })
    }

    fn facets(&self, r: FacetsRequest) -> Result<FacetsAnswer, QueryError> {
        self.note(&r.query, format!("{:?} {}", r.fields, r.limit))?;
        let values = vec![FacetValue { value: json!("E"), count: 2 }];
        let facet = Facet { field: r.fields[0].clone(), values, other: 1, missing: 0 };
        Ok(FacetsAnswer { facets: vec![facet], total: 3, partial: false })
    }

    fn aggregate(&self, r: AggregateRequest) -> Result<AggregateAnswer, QueryError> {
        self.note(&r.query, format!("{} {}", r.query, r.aggregations))?;
        Ok(AggregateAnswer { total: 3, aggregations: object(json!({"n": {"value": 3}})), partial: false })
    }

    fn export(&self, r: ExportRequest, each: &mut ExportRow<'_>) -> Result<Option<Vec<String>>, QueryError> {
        self.note(&r.query, format!("{} {:?} {:?}", r.query, r.sort, r.fields))?;
        let columns = (!r.fields.is_empty()).then_some(r.fields);
        let lines = if r.query == "nothing" { 0 } else { 3_000 };
        (0..lines).all(|n| each(columns.as_deref(), object(json!({"n": n, "t": "a,b"}))));
        match r.query.as_str() {
            "breaks" => Err(QueryError::Internal("disk on fire".into())),
            _ => Ok(columns),
        }
    }

    fn saved_queries(&self) -> Vec<SavedQuery> {
        self.saved.lock().clone()
    }

    fn save_query(&self, query: SavedQuery) -> Result<(), QueryError> {
        self.note(&query.query, String::new())?;
        self.saved.lock().push(query);
        Ok(())
    }

    fn delete_query(&self, name: &str) -> Result<bool, QueryError> {
        let before = self.saved.lock().len();
        self.saved.lock().retain(|query| query.name != name);
        Ok(self.saved.lock().len() < before)
    }

    fn fields(&self, _: Instant) -> Result<Vec<FieldInfo>, QueryError> {
        Ok(vec![FieldInfo { name: "level".into(), kind: "keyword".into(), aliases: vec!["log.level".into()] }])
    }

    fn context(&self, r: ContextRequest) -> Result<ContextAnswer, QueryError> {
        match r.id.as_str() {
            "known" => Ok(ContextAnswer { record: object(json!({"message": "m"})), ..ContextAnswer::default() }),
            id => Err(QueryError::NotFound(format!("no record has event.id {id:?}"))),
        }
    }

    fn compare(&self, r: CompareRequest) -> Result<CompareAnswer, QueryError> {
        let [before, after] = &r.queries;
        self.note(after, format!("{before} {after} {:?} {:?} {}", r.ranges, r.fields, r.limit))?;
        let value = Changed::Value { value: json!(7), counts: [0, 2] };
        let spread = |p50| Spread { count: 4, p50, p95: 9.0 };
        let difference = |field: &str, changed, text: Option<&str>| Difference {
            field: field.to_owned(),
            changed,
            text: text.map(str::to_owned),
            surprise: 3.5,
        };
        Ok(CompareAnswer {
            totals: [5, 8],
            differences: vec![
                difference("template", value, Some("a <*>")),
                difference("duration", Changed::Numbers([spread(1.0), spread(2.0)]), None),
            ],
            found: 2,
            compared: 60,
            fields: vec!["template".to_owned(), "duration".to_owned()],
            ..CompareAnswer::default()
        })
    }

    fn patterns(&self, r: PatternsRequest) -> Result<PatternsAnswer, QueryError> {
        self.note(&r.query, format!("{} {:?} {}", r.query, r.range, r.limit))?;
        let nearest = Nearest { id: 3, text: "a <*>".into(), difference: vec![(Change::New, "b".into())] };
        let pattern = Pattern {
            id: 7,
            text: Some("a b <*>".into()),
            count: 2,
            new: true,
            nearest: Some(nearest),
            ..Pattern::default()
        };
        Ok(PatternsAnswer { patterns: vec![pattern], templates: 5, total: 9, without: 1, ..PatternsAnswer::default() })
    }

    fn tail(&self, query: &str) -> Result<mpsc::Receiver<TailEvent>, QueryError> {
        self.note(query, query.to_owned())?;
        let (sender, receiver) = mpsc::channel(16);
        for event in self.live.lock().drain(..) {
            sender.try_send(event).unwrap();
        }
        if query == "open" {
            self.open.lock().push(sender);
        }
        Ok(receiver)
    }

    fn find(&self, _: crate::api::FindRequest) -> Result<crate::api::FindAnswer, crate::api::QueryError> {
        Ok(crate::api::FindAnswer::default())
    }

    fn indices(&self) -> Vec<crate::api::IndexInfo> {
        Vec::new()
    }

    fn receive(
        &self,
        _: crate::ingest::http::Request,
    ) -> Result<crate::ingest::http::Received, crate::ingest::http::Declined> {
        Err(crate::ingest::http::Declined::Busy("nothing is kept here"))
    }

    fn wait_searchable(&self) -> bool {
        true
    }

    fn ready(&self) -> Readiness {
        let ok = self.ready.load(Ordering::Relaxed);
        Readiness { checks: vec![Check { name: "journal", ok, detail: "writable or not".into() }] }
    }
}

fn api_with(settings: Settings) -> (Arc<Fake>, Router, CancellationToken) {
    let fake = Arc::new(Fake { ready: AtomicBool::new(true), ..Fake::default() });
    let closing = CancellationToken::new();
    let metrics = Arc::new(Metrics::new().unwrap());
    (Arc::clone(&fake), router(fake, metrics, settings, closing.clone()), closing)
}

fn api() -> (Arc<Fake>, Router) {
    let (fake, router, _) = api_with(Settings::default());
    (fake, router)
}

async fn send(api: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = api.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(api: &Router, uri: &str) -> (StatusCode, HeaderMap, String) {
    send(api, Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn get_json(api: &Router, uri: &str) -> (u16, Json) {
    let (status, _, body) = get(api, uri).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap_or_else(|_| panic!("{uri}: {body}")))
}

async fn post(api: &Router, uri: &str, kind: &str, body: &str) -> (u16, Json) {
    let request = Request::post(uri).header("content-type", kind).body(Body::from(body.to_owned())).unwrap();
    let (status, _, body) = send(api, request).await;
    // An export's lines are no one JSON.
    (status.as_u16(), serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn queries_are_answered_with_what_was_asked() {
    let (fake, api) = api();
    for (uri, asked, answer) in [
        (
            "/api/v1/search?q=level:E+AND+x&limit=5&sort=oldest&cursor=abc&from=0&to=1000",
            r#"level:E AND x TimeRange { from: Some(0), to: Some(1000000000) } 5 Oldest Some("abc")"#,
            json!({"total": 3, "hits": [{"message": "m", "log": {"offset": 7}}], "next_cursor": "c", "partial": false}),
        ),
        (
            "/api/v1/search",
            " TimeRange { from: None, to: None } 100 Newest None",
            json!({"total": 3, "hits": [{"message": "m", "log": {"offset": 7}}], "next_cursor": "c", "partial": false}),
        ),
        (
            "/api/v1/histogram?q=x&interval=1m",
            "Some(60000000000)",
            json!({"total": 3, "interval_ms": 60000, "partial": false, "buckets": [
                {"time": "1970-01-01T00:00:00.000Z", "count": 2}, {"time": "1970-01-01T00:01:00.000Z", "count": 1}]}),
        ),
        (
            "/api/v1/facets?fields=level,%20filename&fields=pod",
            r#"["level", "filename", "pod"] 10"#,
            json!({"total": 3, "partial": false, "facets": [
                {"field": "level", "values": [{"value": "E", "count": 2}], "other": 1, "missing": 0}]}),
        ),
        (
            "/api/v1/patterns?q=level:E&from=1970-01-01&limit=5",
            "level:E TimeRange { from: Some(0), to: None } 5",
            json!({"total": 9, "without": 1, "templates": 5, "partial": false,
                "sparkline_start": "1970-01-01T00:00:00.000Z", "sparkline_interval_ms": 0.0, "patterns": [{
                "sparkline": [],
                "id": 7, "text": "a b <*>", "count": 2, "first_seen": "1970-01-01T00:00:00.000Z",
                "last_seen": "1970-01-01T00:00:00.000Z", "grammar": null, "example": null, "examples": [], "new": true,
                "nearest": {"id": 3, "text": "a <*>", "difference": [{"change": "new", "text": "b"}]}}]}),
        ),
        (
            "/api/v1/compare?q=level:E&from=1970-01-01T01:00:00Z&to=1970-01-01T01:00:10Z&fields=a,b",
            "level:E level:E [TimeRange { from: Some(3590000000000), to: Some(3600000000000) }, \
             TimeRange { from: Some(3600000000000), to: Some(3610000000000) }] [\"a\", \"b\"] 100",
            json!({"before": 5, "after": 8, "total": 2, "compared": 60, "fields": ["template", "duration"], "skipped": [],
                "partial": false, "differences": [
                {"change": "new", "field": "template", "value": 7, "text": "a <*>", "before": 0, "after": 2,
                    "share_before": 0.0, "share_after": 0.25, "surprise": 3.5},
                {"change": "spread", "field": "duration", "value": null, "before": 4, "after": 4, "share_before": 0.8,
                    "share_after": 0.5, "surprise": 3.5,
                    "numbers": {"before": {"p50": 1.0, "p95": 9.0}, "after": {"p50": 2.0, "p95": 9.0}}}]}),
        ),
        (
            "/api/v1/compare?q=a&base_q=b&from=1970-01-01T00:00:01Z&to=1970-01-01T00:00:02Z&limit=1",
            "b a [TimeRange { from: Some(1000000000), to: Some(2000000000) }, \
             TimeRange { from: Some(1000000000), to: Some(2000000000) }] [] 1",
            json!({"before": 5, "after": 8, "total": 2, "compared": 60, "fields": ["template", "duration"], "skipped": [],
                "partial": false, "differences": [
                {"change": "new", "field": "template", "value": 7, "text": "a <*>", "before": 0, "after": 2,
                    "share_before": 0.0, "share_after": 0.25, "surprise": 3.5},
                {"change": "spread", "field": "duration", "value": null, "before": 4, "after": 4, "share_before": 0.8,
                    "share_after": 0.5, "surprise": 3.5,
                    "numbers": {"before": {"p50": 1.0, "p95": 9.0}, "after": {"p50": 2.0, "p95": 9.0}}}]}),
        ),
    ] {
        let (status, mut body) = get_json(&api, uri).await;
        assert_eq!(status, 200, "{uri}: {body}");
        assert!(body.as_object_mut().unwrap().remove("took_ms").unwrap().is_u64());
        assert_eq!(body, answer, "{uri}");
        assert_eq!(*fake.asked.lock(), asked, "{uri}");
    }
    let (_, grammars) = get_json(&api, "/api/v1/grammars").await;
    assert_eq!(grammars, json!({"grammars": [], "problems": ["g.yaml: no samples"]}));
    let (_, progress) = get_json(&api, "/api/v1/reparse/progress").await;
    assert_eq!((&progress["state"], &progress["error"]), (&json!("idle"), &Json::Null));
    let (_, fields) = get_json(&api, "/api/v1/fields").await;
    assert_eq!(fields, json!({"fields": [{"name": "level", "type": "keyword", "aliases": ["log.level"]}]}));
    assert_eq!(get_json(&api, "/api/v1/context?id=known").await.1["record"], json!({"message": "m"}));
}

#[tokio::test]
async fn a_post_asks_the_same_by_json_or_form() {
    let (fake, api) = api();
    for (kind, body) in [
        ("application/json", r#"{"q": "a b", "limit": 5, "sort": null}"#),
        ("application/json; charset=utf-8", r#" {"q": "a b", "limit": "5"}"#),
        ("application/x-www-form-urlencoded", "q=a+b&limit=5"),
        ("application/x-www-form-urlencoded", r#"{"q": "a b", "limit": 5}"#),
    ] {
        let (status, answer) = post(&api, "/api/v1/search", kind, body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        assert!(fake.asked.lock().starts_with("a b ") && fake.asked.lock().contains(" 5 Newest"), "{body}");
    }
    for (kind, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "[1]", 400),
        ("application/json", r#"{"q": {"term": 1}}"#, 400),
        ("text/xml", "<q/>", 415),
    ] {
        let (got, problem) = post(&api, "/api/v1/search", kind, body).await;
        assert_eq!((got, &problem["status"]), (status, &json!(status)), "{body}: {problem}");
    }
    let large = format!(r#"{{"q": "{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(post(&api, "/api/v1/search", "application/json", &large).await.0, 413);
}

#[tokio::test]
async fn refusals_name_the_parameter_and_what_it_accepts() {
    let (_, api) = api();
    for (uri, parameter, says) in [
        ("/api/v1/search?limit=many", "limit", "whole number from 0 to 10000"),
        ("/api/v1/search?limit=10001", "limit", "0 to 10000"),
        ("/api/v1/search?sort=random", "sort", "newest or oldest"),
        ("/api/v1/search?from=yesterday", "from", "is not a time"),
        ("/api/v1/search?from=2026-03-02&to=2026-03-01T00:00:00Z", "to", "before from"),
        ("/api/v1/search?limt=5", "limt", "did you mean \"limit\"?"),
        ("/api/v1/search?q=a&q=b", "q", "given twice"),
        ("/api/v1/search?cursor=old", "cursor", "another query"),
        ("/api/v1/histogram?interval=often", "interval", "length of time"),
        ("/api/v1/facets", "fields", "0 fields"),
        ("/api/v1/compare", "from", "missing"),
        ("/api/v1/compare?from=10&to=20&base_from=30&base_to=20", "base_to", "before base_from"),
        ("/api/v1/compare?from=10&to=20&base_from=30", "base_from", "give both"),
        ("/api/v1/compare?from=10&to=20&base_from=10&base_to=20", "base_from", "both sides are the same"),
        ("/api/v1/context", "id", "missing"),
    ] {
        let (status, headers, body) = get(&api, uri).await;
        let problem: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 400, "{uri}");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(problem["parameter"], parameter, "{uri}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{uri}: {problem}");
    }
    let (_, problem) = get_json(&api, "/api/v1/search?sort=random").await;
    assert_eq!(problem["accepted"], json!(["newest", "oldest"]));
}

#[tokio::test]
async fn an_export_streams_records_or_columns() {
    let (fake, api) = api();
    let (status, headers, body) = get(&api, "/api/v1/export?q=a&sort=oldest").await;
    assert_eq!((status.as_u16(), headers["content-type"].to_str().unwrap()), (200, "application/x-ndjson"));
    assert_eq!(*fake.asked.lock(), "a Oldest []");
    assert_eq!(body.lines().count(), 3_000);
    assert_eq!(body.lines().nth(7), Some(r#"{"n":7,"t":"a,b"}"#));
    let (_, headers, body) = get(&api, "/api/v1/export?q=a&format=csv&fields=t,n").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(body.starts_with("t,n\n\"a,b\",0\n\"a,b\",1\n"), "{}", &body[..50]);
    assert_eq!(get(&api, "/api/v1/export?q=nothing&format=csv&fields=t,n").await.2, "t,n\n");
    for (uri, status, says) in [
        ("/api/v1/export?format=csv", 400, "csv needs columns"),
        ("/api/v1/export?format=xml", 400, "ndjson or csv"),
        ("/api/v1/export?q=level:", 400, "a value is missing"),
        ("/api/v1/export?q=broken", 500, "fault of the server"),
    ] {
        let (got, problem) = get_json(&api, uri).await;
        assert_eq!(got, status, "{uri}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{uri}: {problem}");
    }
    // What fails on its way does not end as if it were whole.
    let request = Request::get("/api/v1/export?q=breaks").body(Body::empty()).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
}

#[tokio::test]
async fn queries_are_saved_shown_and_deleted() {
    let (_, api) = api();
    let ask = async |method: &str, name: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(format!("/api/v1/queries{name}"));
        let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
        let (status, _, body) = send(&api, request).await;
        (status.as_u16(), serde_json::from_str::<Json>(&body).unwrap())
    };
    let saved = json!({"name": "my errors", "query": "level:E", "description": "", "from": "now-1h", "to": ""});
    assert_eq!(ask("PUT", "/my%20errors", r#"{"q": "level:E", "from": "now-1h"}"#).await, (200, saved.clone()));
    assert_eq!(ask("GET", "/my%20errors", "").await, (200, saved.clone()));
    assert_eq!(ask("GET", "", "").await, (200, json!({"queries": [saved]})));
    for (method, name, body, status, says) in [
        ("PUT", "/x", r#"{"q": "level:"}"#, 400, "a value is missing"),
        ("PUT", "/x", "{}", 400, "the query to save"),
        ("PUT", "/x", r#"{"q": "a", "from": "whenever"}"#, 400, "is not a time"),
        ("GET", "/x", "", 404, "no query is saved as \"x\""),
        ("DELETE", "/x", "", 404, "no query is saved as"),
        ("POST", "/x", "", 405, "does not take POST"),
    ] {
        let (got, problem) = ask(method, name, body).await;
        assert_eq!(got, status, "{method} {name} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    assert_eq!(ask("DELETE", "/my%20errors", "").await, (200, json!({"queries": []})));
}

#[tokio::test]
async fn errors_are_problems() {
    let (_, api) = api();
    let (status, problem) = get_json(&api, "/api/v1/search?q=level:").await;
    assert_eq!(status, 400);
    assert_eq!(
        problem,
        json!({
            "type": "urn:loghound:problem:query-syntax", "title": "the query cannot be read", "status": 400,
            "detail": "a value is missing after the colon", "parameter": "q", "offset": 6, "length": 0,
            "hint": "write level:E, or level:* for any", "rendered": "level:\n      ^",
        })
    );
    for (uri, status, says) in [
        ("/api/v1/search?q=slow", 504, "longer"),
        ("/api/v1/search?q=broken", 500, "its log says more"),
        ("/api/v1/search?q=panic", 500, "its log says more"),
        ("/api/v1/tail?q=panic", 500, "its log says more"),
        ("/api/v1/tail?q=level:", 400, "a value is missing"),
        ("/api/v1/context?id=x", 404, "no record has event.id"),
        ("/nothing/at/all", 404, "/openapi.json"),
        ("/api/v1/nothing", 404, "/api/v1/nothing"),
    ] {
        let (got, problem) = get_json(&api, uri).await;
        assert_eq!(got, status, "{uri}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{uri}: {problem}");
        assert!(!problem.to_string().contains("secret"));
    }
    let delete = Request::delete("/api/v1/search").body(Body::empty()).unwrap();
    let (status, headers, body) = send(&api, delete).await;
    assert_eq!(status, 405);
    assert!(headers["allow"].to_str().unwrap().contains("POST"), "{headers:?}");
    assert!(body.contains("urn:loghound:problem:wrong-method"));
}

#[tokio::test]
async fn more_queries_than_may_run_are_told_to_come_back() {
    let (_, api, _) =
        api_with(Settings { queries_max: 1, queue_time_max: Duration::from_millis(20), ..Settings::default() });
    let busy = tokio::spawn({
        let api = api.clone();
        async move { get(&api, "/api/v1/search?q=sleep").await.0 }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, headers, _) = get(&api, "/api/v1/search").await;
    assert_eq!((status.as_u16(), &headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(busy.await.unwrap(), 200);
    assert_eq!(get(&api, "/api/v1/search").await.0, 200);
    let (_, _, metrics) = get(&api, "/metrics").await;
    assert!(metrics.contains(r#"loghound_query_requests_total{result="overloaded",route="search"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"loghound_query_requests_total{result="ok",route="search"} 2"#));
    assert!(metrics.contains("loghound_query_running 0"));
}

#[tokio::test]
async fn probes_tell_life_from_readiness() {
    let (fake, api, closing) = api_with(Settings::default());
    for path in ["/livez", "/healthz", "/-/healthy", "/readyz", "/ready", "/-/ready"] {
        assert_eq!(get(&api, path).await.0, 200, "{path}");
    }
    fake.ready.store(false, Ordering::Relaxed);
    let (status, _, body) = get(&api, "/readyz").await;
    assert_eq!((status.as_u16(), body.as_str()), (503, "not ready: journal: writable or not\n"));
    let (status, body) = get_json(&api, "/readyz?verbose").await;
    assert_eq!((status, &body["checks"][1]["name"]), (503, &json!("journal")));
    assert_eq!(get(&api, "/livez").await.0, 200);
    fake.ready.store(true, Ordering::Relaxed);
    closing.cancel();
    assert_eq!(get(&api, "/readyz").await.0, 503);
    assert_eq!(get(&api, "/livez").await.0, 200);
}

#[tokio::test]
async fn a_tail_sends_records_and_says_what_it_skipped() {
    let (fake, api) = api();
    *fake.live.lock() = vec![
        TailEvent { skipped: 0, record: object(json!({"message": "a\nb"})) },
        TailEvent { skipped: 4, record: object(json!({"message": "c"})) },
        TailEvent { skipped: 1, record: object(json!({})) },
    ];
    let (status, headers, body) = get(&api, "/api/v1/tail?q=x").await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    assert_eq!(
        body,
        "data: {\"message\":\"a\\nb\"}\n\nevent: skipped\ndata: 4\n\ndata: {\"message\":\"c\"}\n\nevent: skipped\ndata: 1\n\n"
    );
    let (_, _, metrics) = get(&api, "/metrics").await;
    assert!(metrics.contains("loghound_query_tail_skipped_total 5") && metrics.contains("loghound_query_tails 0"));
}

#[tokio::test]
async fn every_described_path_is_there() {
    let (_, api) = api();
    let (_, document) = get_json(&api, "/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 9, "{paths:?}");
    for (path, methods) in paths {
        // One named in a path may be there or not.
        if !path.contains('{') {
            assert_ne!(get(&api, path).await.0, 404, "{path}");
        }
        if methods.get("post").is_some() {
            assert_ne!(post(&api, path, "application/json", "{}").await.0, 405, "{path}");
        }
    }
    let body = &paths["/api/v1/search"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(body["properties"]["q"].is_object(), "{body}");
    assert!(document["components"]["schemas"]["SearchBody"].is_object());
    assert!(document["components"]["schemas"]["Problem"].is_object());
}

#[tokio::test]
async fn the_front_page_speaks_to_people_and_to_clients_of_elasticsearch() {
    let (_, api) = api();
    let (_, headers, text) = get(&api, "/").await;
    let ping: Json = serde_json::from_str(&text).unwrap();
    assert_eq!((&ping["tagline"], &ping["version"]["number"]), (&json!("You Know, for Search"), &json!("8.17.0")));
    assert_eq!(headers["x-elastic-product"], "Elasticsearch");
    let browser = Request::get("/").header("accept", "text/html,*/*").body(Body::empty()).unwrap();
    let (status, headers, html) = send(&api, browser).await;
    if ui::there() {
        assert_eq!((status, headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "ui/logs"));
    } else {
        assert!(html.starts_with("<!doctype html>") && html.contains("make ui"));
    }
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
}

async fn listening(
    settings: Settings,
) -> (std::net::SocketAddr, Arc<Fake>, CancellationToken, tokio::task::JoinHandle<()>) {
    let (fake, router, closing) = api_with(settings.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let token = closing.clone();
    let server = tokio::spawn(async move { serve(listener, None, router, &settings, token).await.unwrap() });
    (addr, fake, closing, server)
}

#[tokio::test]
async fn a_query_typed_into_curl_as_it_is_works_over_a_socket() {
    let (addr, fake, closing, server) = listening(Settings::default()).await;
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    for query in ["response_code:>=500", "msg:\"a<b\""] {
        socket.write_all(format!("GET /api/v1/search?q={query} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0u8; 4096];
        let length = socket.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
        assert!(fake.asked.lock().starts_with(query), "{}", fake.asked.lock());
    }
    drop(socket);
    closing.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (addr, _, _, _) = listening(Settings { idle_time_max: Duration::from_millis(50), ..Settings::default() }).await;
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    assert_eq!(socket.read(&mut [0u8; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_has_its_time() {
    let settings = Settings { head_time_max: Duration::from_millis(200), ..Settings::default() };
    let (addr, _, _, _) = listening(settings).await;
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    let head = std::iter::once("GET /livez HTTP/1.1\r\nx: ").chain(std::iter::repeat("a"));
    // Never silent, never ready: twenty seconds of it, if nobody ends it.
    for piece in head.take(4_000) {
        if socket.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
        let mut answer = [0u8; 16];
        match tokio::time::timeout(Duration::from_millis(5), socket.read(&mut answer)).await {
            Err(_) => {}
            Ok(read) => {
                assert!(matches!(read, Ok(0) | Err(_)) || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
                return;
            }
        }
    }
    panic!("a head may come for ever");
}

#[tokio::test]
async fn stopping_ends_open_tails() {
    let (addr, fake, closing, server) = listening(Settings::default()).await;
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    socket.write_all(b"GET /api/v1/tail?q=open HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0u8; 4096];
    let length = socket.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    assert_eq!(fake.open.lock().len(), 1);
    closing.cancel();
    server.await.unwrap();
    assert!(fake.open.lock()[0].is_closed());
}

#[tokio::test]
async fn patterns_and_grammars_are_tried() {
    let (_, api) = api();
    let debug = async |body: Json| post(&api, "/api/v1/grok/debug", "application/json", &body.to_string()).await;
    let (status, answer) = debug(json!({
        "patterns": ["^%{CODE:code:int} ok$", "(?<a>é+)(?!b)"], "definitions": {"CODE": "\\d+"}, "lines": ["7 ok", "xéé", "7 no"],
    }))
    .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["patterns"][0]["warnings"], json!([]));
    let lines = &answer["lines"];
    let captures = |at: usize| lines[at]["captures"].clone();
    let span = |bytes: [u32; 2], chars: [u32; 2]| json!({"start": bytes[0], "end": bytes[1], "start_char": chars[0], "end_char": chars[1]});
    let with = |mut json: Json, more: Json| {
        json.as_object_mut().unwrap().extend(object(more));
        json
    };
    let code = json!({"field": "code", "type": "int", "pattern": "CODE", "value": 7});
    assert_eq!(captures(0), json!([with(code, span([0, 1], [0, 1]))]));
    let a = json!({"field": "a", "type": "text", "pattern": null, "value": "éé"});
    assert_eq!(captures(1), json!([with(a, span([1, 5], [1, 3]))]));
    assert_eq!((&lines[1]["pattern"], &lines[1]["failures"][0]["pattern"]), (&json!(1), &json!(0)));
    assert_eq!((&lines[2]["outcome"], &lines[2]["failures"][0]["offset"]), (&json!("no_match"), &json!(2)), "{lines}");

    for (body, says) in [
        (json!({"patterns": ["%{CODEX:a}"], "lines": []}), "patterns[0]: "),
        (json!({"patterns": [], "lines": []}), "send at least one"),
        (json!({"patterns": ["a"], "lines": vec![""; 1001]}), "more than 1000"),
        (json!({"patterns": ["a"], "definitions": {"a-b": "x"}, "lines": []}), "a-b"),
        (json!({"patterns": ["a"], "line": []}), "unknown field"),
    ] {
        let (status, problem) = debug(body).await;
        assert!(
            (400..500).contains(&status) && problem["detail"].as_str().unwrap().contains(says),
            "{says}: {problem}"
        );
    }

    let check = async |source: &str| {
        post(&api, "/api/v1/grammars/test", "application/json", &json!({"source": source}).to_string()).await.1
    };
    let good = check("name: t\npatterns: ['^(?<a>x.)$']\nsamples: [{line: xy, fields: {a: xy}}]").await;
    assert_eq!((&good["ok"], &good["name"], &good["fields"]), (&json!(true), &json!("t"), &json!(["a"])));
    let bad = check("name: t\npatterns: ['^(?<a>x.)$']\nsamples: [{line: xy, fields: {a: x}}]").await;
    assert!(bad["ok"] == false && bad["error"].as_str().unwrap().contains("sample 1"), "{bad}");
}
