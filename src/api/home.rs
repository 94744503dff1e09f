//! The front page: a browser goes to the UI, or is told how to get it; other programs read where the API is.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::{elastic, ui};

/// What a binary without the UI answers where the UI would be.
pub(super) const HOW_TO_GET_THE_UI: &str = "this binary was built without the web UI: install Node 20.19 or newer, \
     run `make ui`, and build again (`make build` does both)";

const PATHS: &[(&str, &str)] = &[
    ("/api/v1/search", "records that match: q, from, to, limit, sort, cursor"),
    ("/api/v1/histogram", "matching records over time: q, from, to, interval"),
    ("/api/v1/facets", "top values of fields: q, from, to, fields, limit"),
    ("/api/v1/patterns", "which log statements, how often, which are new: q, from, to, limit"),
    ("/api/v1/compare", "what is different: q, from, to against base_q, base_from, base_to; fields, limit"),
    ("/api/v1/fields", "known fields with their types"),
    ("/api/v1/context", "lines around a line: id, before, after"),
    ("/api/v1/tail", "live records, as server-sent events: q"),
    ("/api/v1/incidents", "what is wrong, and what belongs together: state, service, severity, from, to, limit"),
    ("/api/v1/alerts", "what receivers were told and is not over: receiver"),
    ("/api/v1/silences", "who is not told of what, until when, and why; POST makes one"),
    ("/api/v1/receivers", "the tools that call people; POST /NAME/test sends a test"),
    ("/api/v1/deliveries", "messages, their attempts, dead letters: receiver, state, key, limit"),
    ("/api/v1/deploys", "what was put into service; POST tells of one"),
    ("/api/v1/rules", "what makes incidents, and which are open by each"),
    ("/api/v1/rules/dry-run", "what rules would have sent: from, to, rules"),
    ("/api/v1/shards", "the days on disk, and what is deleted next"),
    ("/api/v1/delete", "what a query would delete: q, from, to; POST does it: by, reason"),
    ("/api/v1/audit", "who asked for what to be deleted, and why"),
    ("/api/v1/snapshots", "the store as it was at one moment; POST takes one: name"),
    ("/api/v1/grammars", "the formats that lines are read by"),
    ("/api/v1/reparse", "what parsing stored lines anew would change; POST does it: from, to, grammar, all"),
    ("/_search", "the same for Elasticsearch's clients; _bulk, _msearch, _field_caps and others beside it"),
    ("/openapi.json", "all of it, described"),
    ("/metrics", "loghound's own numbers, for Prometheus"),
    ("/livez", "does the process live"),
    ("/readyz", "can it do its work; ?verbose lists the checks"),
];

pub async fn home(headers: HeaderMap) -> Response {
    let wants_html =
        headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    match (wants_html, ui::there()) {
        // Whatever is no browser may be a client of Elasticsearch, which asks here who is there.
        (false, _) => elastic::ping().await.into_response(),
        // Relative, so that a proxy's prefix stays.
        (true, true) => (StatusCode::SEE_OTHER, [(header::LOCATION, "ui/logs")]).into_response(),
        (true, false) => Html(html()).into_response(),
    }
}

fn html() -> String {
    let rows: String = PATHS
        .iter()
        .map(|(path, what)| format!("<tr><td><a href=\"{path}\">{path}</a></td><td>{what}</td></tr>\n"))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>loghound</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"></head>\n\
         <body><h1>loghound {version}</h1>\n<p>{HOW_TO_GET_THE_UI}</p>\n<table>\n{rows}</table></body></html>\n"
    )
}
