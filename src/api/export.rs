//! `/api/v1/export`: every matching record, or a table, as it is found: NDJSON, or CSV of chosen fields.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::csv::{csv_cell, plain};
use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Shared, Waiting, now};
use super::{ExportRequest, QueryError, Sort, TimeRange};
use crate::query::interruptible;

/// Bytes gathered before they are sent.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that a slow client may be behind: the export waits for it then.
const CHUNKS_MAX: usize = 4;
const FIELDS_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

struct Wanted {
    query: String,
    range: TimeRange,
    sort: Sort,
    fields: Vec<String>,
    format: Format,
}

/// Every record that matches, newest first unless asked otherwise, without a limit; or the table that pipes make. An
/// export that fails on its way breaks the connection off, so that what is incomplete does not look whole.
#[utoipa::path(get, path = "/api/v1/export", tag = "query", params(
    ("q" = Option<String>, Query, description = "the query, pipes and all; empty matches all"),
    ("from" = Option<String>, Query, description = "from this time on"),
    ("to" = Option<String>, Query, description = "before this time"),
    ("sort" = Option<String>, Query, description = "`newest` (default) or `oldest` first"),
    ("format" = Option<String>, Query, description = "`ndjson` (default) or `csv`, which needs `fields` or a table"),
    ("fields" = Option<String>, Query, description = "names separated by commas: only these, as columns"),
), responses(
    (status = 200, content_type = "application/x-ndjson", body = String, description = "a JSON object a line; or text/csv"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn export(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let started = Instant::now();
    let result = open(&shared, params).await;
    let label = result.as_ref().map_or_else(Problem::result_label, |_| "ok");
    shared.metrics.query("export", label, started.elapsed().as_secs_f64());
    result.unwrap_or_else(IntoResponse::into_response)
}

fn wanted(params: &Params) -> Result<Wanted, Problem> {
    params.only(&["q", "from", "to", "sort", "format", "fields"])?;
    let format = match params.get("format") {
        None | Some("ndjson") => Format::Ndjson,
        Some("csv") => Format::Csv,
        Some(other) => {
            let detail = format!("format is {other:?}: it is ndjson or csv");
            return Err(Problem::bad_parameter("format", detail).accepting(["ndjson", "csv"]));
        }
    };
    let fields = params.list("fields");
    if fields.len() > FIELDS_MAX {
        return Err(Problem::bad_parameter("fields", format!("more than {FIELDS_MAX} fields")));
    }
    Ok(Wanted {
        query: params.get("q").unwrap_or_default().to_owned(),
        range: params.range(now())?,
        sort: params.sort()?,
        fields,
        format,
    })
}

async fn open(shared: &Shared, params: Result<Params, Problem>) -> Result<Response, Problem> {
    let wanted = wanted(&params?)?;
    // An export lasts as long as its client reads: it is counted with the streams, not with the queries.
    let permit = shared.admit(&shared.tails).await?;
    let (chunks, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(CHUNKS_MAX);
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let backend = Arc::clone(&shared.backend);
    let (waiting, format) = (Waiting::default(), wanted.format);
    let gone = waiting.gone();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut writer = Writer { format, columns: None, buffer: Vec::new(), chunks, begun: Some(begun) };
        let request =
            ExportRequest { query: wanted.query, range: wanted.range, sort: wanted.sort, fields: wanted.fields };
        let done =
            interruptible(gone, || backend.export(request, &mut |columns, record| writer.record(columns, &record)));
        writer.finish(done);
    });
    match beginning.await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => return Err(problem),
        Err(_) => return Err(Problem::internal()),
    }
    // Dropped with the body: then nobody reads on.
    let stream = ReceiverStream::new(receiver).map(move |chunk| {
        let _held = &waiting;
        chunk
    });
    let kind = if format == Format::Csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response())
}

/// Gathers lines to chunks. The answer's head waits for the first record or the end, so that a query that cannot be read
/// is refused as any other.
struct Writer {
    format: Format,
    columns: Option<Vec<String>>,
    buffer: Vec<u8>,
    chunks: mpsc::Sender<Result<Bytes, std::io::Error>>,
    begun: Option<tokio::sync::oneshot::Sender<Result<(), Problem>>>,
}

impl Writer {
    /// Writes one; false when the client is gone or cannot be served.
    fn record(&mut self, columns: Option<&[String]>, record: &Map<String, Json>) -> bool {
        if self.begun.is_some() {
            self.columns = columns.map(<[String]>::to_vec);
            if !self.begin() {
                return false;
            }
        }
        match (self.format, &self.columns) {
            (Format::Csv, Some(columns)) => {
                let cells: Vec<String> = columns.iter().map(|column| csv_cell(&plain(record.get(column)))).collect();
                self.buffer.extend_from_slice(cells.join(",").as_bytes());
            }
            // A map with text keys always has a JSON form.
            _ => serde_json::to_writer(&mut self.buffer, record).unwrap_or_default(),
        }
        self.buffer.push(b'\n');
        self.buffer.len() < CHUNK_BYTES || self.send()
    }

    fn begin(&mut self) -> bool {
        let Some(begun) = self.begun.take() else { return true };
        if self.format == Format::Csv {
            let Some(columns) = &self.columns else {
                let detail = "csv needs columns: give fields, or end the query with | fields a, b";
                let problem = Problem::bad_parameter("fields", detail);
                // A client that is gone needs no answer.
                begun.send(Err(problem)).ok();
                return false;
            };
            let header: Vec<String> = columns.iter().map(|column| csv_cell(column)).collect();
            self.buffer.extend_from_slice(header.join(",").as_bytes());
            self.buffer.push(b'\n');
        }
        begun.send(Ok(())).is_ok()
    }

    fn send(&mut self) -> bool {
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.chunks.blocking_send(Ok(chunk)).is_ok()
    }

    fn finish(mut self, done: Result<Option<Vec<String>>, QueryError>) {
        match done {
            Err(error) => match self.begun.take() {
                Some(begun) => _ = begun.send(Err(error.into())),
                None => {
                    tracing::warn!(error = %error, "export broken off");
                    let broken = std::io::Error::other("the export failed on the server");
                    self.chunks.blocking_send(Err(broken)).ok();
                }
            },
            Ok(columns) => {
                if self.begun.is_some() {
                    self.columns = columns;
                    if !self.begin() {
                        return;
                    }
                }
                if !self.buffer.is_empty() {
                    self.send();
                }
            }
        }
    }
}
