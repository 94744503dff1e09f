//! Who may ask for what: tokens with roles, and what each path needs.
//!
//! A token is 256 random bits, so nobody finds it by trying, and its SHA-256 is as good as a slow hash of a password would be; only
//! that is kept. It comes as `Authorization: Bearer TOKEN`, or as the password of HTTP's basic authentication under any name: browsers ask for
//! that by themselves, so that the web UI needs no page to sign in. A browser sends such a password along with what other
//! sites make it ask for; what changes something is therefore taken from this site's own pages only.
//!
//! A path that is not spoken of here is for administrators, unless it only shows something.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Problem;
use crate::telemetry::Metrics;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends documents, and sees nothing.
    Ingest,
    /// Sees everything, and does what somebody on call does: acknowledges, silences, labels, saves queries.
    Read,
    /// Everything: deletes, parses anew, changes models, takes snapshots.
    Admin,
}

impl Role {
    pub const ALL: [(&str, Role); 3] = [("ingest", Role::Ingest), ("read", Role::Read), ("admin", Role::Admin)];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    fn may(self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing | Needs::AnyToken => true,
            Needs::Ingest => self != Role::Read,
            Needs::Read => self != Role::Ingest,
            Needs::Admin => self == Role::Admin,
        }
    }
}

/// One who may ask.
#[derive(Debug, Clone)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub sha256: [u8; 32],
}

/// The SHA-256 of a token's text.
pub fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Who may ask; everybody for everything where there are no tokens.
#[derive(Debug, Clone, Default)]
pub struct Access {
    tokens: Arc<[Token]>,
}

impl Access {
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens: tokens.into() }
    }

    fn known(&self, token: &str) -> Option<&Token> {
        let sha256 = hash(token);
        // All are compared, so that the time says nothing of which it was.
        self.tokens.iter().fold(None, |found, known| {
            if verify_slices_are_equal(&known.sha256, &sha256).is_ok() { Some(known) } else { found }
        })
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    AnyToken,
    Ingest,
    Read,
    Admin,
}

/// Lets a request through, or says why not.
pub async fn guard(access: Access, metrics: Arc<Metrics>, request: Request, next: Next) -> Response {
    if access.tokens.is_empty() {
        return next.run(request).await;
    }
    let needs = needs(request.method(), request.uri().path());
    if needs == Needs::Nothing {
        return next.run(request).await;
    }
    let credentials = credentials(request.headers());
    let Some(token) = credentials.as_ref().and_then(|given| access.known(&given.token)) else {
        metrics.http_refused.of("unknown").inc();
        return unknown(credentials.is_some());
    };
    let is_elsewhere = credentials.is_some_and(|given| given.from_browser) && is_from_elsewhere(&request);
    if !token.role.may(needs) || is_elsewhere {
        metrics.http_refused.of("forbidden").inc();
        let (method, path) = (request.method(), request.uri().path());
        let detail = match is_elsewhere {
            true => format!("{method} {path} comes from a page of another site"),
            false => format!(
                "the token {:?} is not for {method} {path}: that needs the role {}",
                token.name,
                role_for(needs)
            ),
        };
        return Problem::new(
            StatusCode::FORBIDDEN,
            "urn:loghound:problem:forbidden",
            "this token may not do that",
            detail,
        )
        .into_response();
    }
    next.run(request).await
}

fn role_for(needs: Needs) -> &'static str {
    match needs {
        Needs::Admin => "admin",
        Needs::Ingest => "ingest",
        _ => "read",
    }
}

fn unknown(was_given: bool) -> Response {
    let detail = match was_given {
        true => "this token is not known here",
        false => "a token is needed: send Authorization: Bearer TOKEN, or the token as password",
    };
    let kind = "urn:loghound:problem:unauthorized";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, kind, "nobody knows who asks", detail).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"loghound: the token as password\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

struct Credentials {
    token: String,
    /// A browser sends them unasked.
    from_browser: bool,
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("apikey") {
        return Some(Credentials { token: rest.to_owned(), from_browser: false });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (_, token) = text.split_once(':')?;
    Some(Credentials { token: token.to_owned(), from_browser: true })
}

/// Whether a request that changes something was made by a page of another site.
fn is_from_elsewhere(request: &Request) -> bool {
    if is_safe(request.method()) {
        return false;
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = header("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    // An older browser: it names the page's origin.
    let host = header("host").unwrap_or_default();
    header("origin").is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| from != host))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Questions that are asked by POST as well.
const QUESTIONS: [&str; 13] = [
    "search",
    "histogram",
    "facets",
    "aggregate",
    "export",
    "patterns",
    "compare",
    "anomalies",
    "context",
    "grok/debug",
    "grammars/test",
    "rules/dry-run",
    "score",
];
/// What somebody on call does.
const ON_CALL: [&str; 5] = ["incidents", "silences", "queries", "deliveries", "deploys"];
/// What clients of Elasticsearch ask and set before they send or search; answered, and not kept.
const ELASTIC_FIRST: [&str; 14] = [
    "_license",
    "_xpack",
    "_cluster",
    "_nodes",
    "_ilm",
    "_index_template",
    "_component_template",
    "_template",
    "_ingest",
    "_data_stream",
    "_alias",
    "_aliases",
    "_refresh",
    "_security",
];
const ELASTIC_QUESTIONS: [&str; 8] =
    ["_search", "_msearch", "_count", "_field_caps", "_mapping", "_mappings", "_pit", "_resolve"];

/// What a request to a path needs.
pub fn needs(method: &Method, path: &str) -> Needs {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        ["livez" | "healthz" | "readyz" | "ready"] | ["-", "healthy" | "ready"] => Needs::Nothing,
        [] if is_safe(method) => Needs::AnyToken,
        ["insert", ..] | ["loki", "api", "v1", "push"] | ["v1", "logs"] => Needs::Ingest,
        ["api", _, ref rest @ ..] => api_needs(method, rest),
        ["ui" | "metrics" | "openapi.json", ..] if is_safe(method) => Needs::Read,
        _ => elastic_needs(method, &parts),
    }
}

fn api_needs(method: &Method, rest: &[&str]) -> Needs {
    let path = rest.join("/");
    let is_feedback = matches!(rest, ["anomalies", _, "feedback"]);
    let on_call = rest.first().is_some_and(|first| ON_CALL.contains(first));
    match path.as_str() {
        "audit" => Needs::Admin,
        _ if is_safe(method) || is_feedback || on_call => Needs::Read,
        path if *method == Method::POST && QUESTIONS.contains(&path) => Needs::Read,
        _ => Needs::Admin,
    }
}

fn elastic_needs(method: &Method, parts: &[&str]) -> Needs {
    match parts {
        [.., "_bulk" | "_doc"] | [_, "_create", _] => Needs::Ingest,
        [.., last] if ELASTIC_QUESTIONS.contains(last) => Needs::Read,
        [first, ..] if ELASTIC_FIRST.contains(first) => Needs::AnyToken,
        [.., "_refresh" | "_alias"] => Needs::AnyToken,
        [_] if *method == Method::PUT || *method == Method::HEAD => Needs::AnyToken,
        _ if is_safe(method) => Needs::Read,
        _ => Needs::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_needs_what_it_does() {
        for (method, path, expected) in [
            ("GET", "/livez", Needs::Nothing),
            ("GET", "/-/ready", Needs::Nothing),
            ("GET", "/", Needs::AnyToken),
            ("POST", "/", Needs::Admin),
            ("GET", "/ui/logs", Needs::Read),
            ("GET", "/metrics", Needs::Read),
            ("POST", "/insert/jsonline", Needs::Ingest),
            ("POST", "/loki/api/v1/push", Needs::Ingest),
            ("POST", "/v1/logs", Needs::Ingest),
            ("POST", "/_bulk", Needs::Ingest),
            ("PUT", "/logs/_bulk", Needs::Ingest),
            ("PUT", "/logs/_create/7", Needs::Ingest),
            ("POST", "/logs/_search", Needs::Read),
            ("POST", "/_msearch", Needs::Read),
            ("PUT", "/_index_template/filebeat", Needs::AnyToken),
            ("DELETE", "/logs", Needs::Admin),
            ("POST", "/logs/_delete_by_query", Needs::Admin),
            ("GET", "/api/v1/search", Needs::Read),
            ("POST", "/api/v1/search", Needs::Read),
            ("POST", "/api/v1/search/", Needs::Read),
            ("GET", "/api/v1/audit", Needs::Admin),
            ("GET", "/api/v1/delete", Needs::Read),
            ("POST", "/api/v1/delete", Needs::Admin),
            ("POST", "/api/v1/reparse", Needs::Admin),
            ("POST", "/api/v1/snapshots", Needs::Admin),
            ("POST", "/api/v1/models/3/activate", Needs::Admin),
            ("POST", "/api/v1/incidents/x/acknowledge", Needs::Read),
            ("POST", "/api/v1/anomalies/x/feedback", Needs::Read),
            ("POST", "/api/v1/receivers/chat/test", Needs::Admin),
            ("POST", "/api/v1/something/new", Needs::Admin),
            ("POST", "//api/v1/delete", Needs::Admin),
            ("DELETE", "/api/v1/search", Needs::Admin),
        ] {
            assert_eq!(needs(&Method::from_bytes(method.as_bytes()).unwrap(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_password() {
        let given = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            credentials(&headers).map(|given| (given.token, given.from_browser))
        };
        assert_eq!(given("Bearer abc"), Some(("abc".to_owned(), false)));
        assert_eq!(given("bearer  abc "), Some(("abc".to_owned(), false)));
        assert_eq!(given(&format!("Basic {}", STANDARD.encode("me:a:c"))), Some(("a:c".to_owned(), true)));
        for bad in ["Bearer", "Digest abc", "Basic !", "Basic YWJj"] {
            assert_eq!(given(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_whole_token_is_known() {
        let access = Access::new(vec![
            Token { name: "a".into(), role: Role::Read, sha256: hash("secret-a") },
            Token { name: "b".into(), role: Role::Admin, sha256: hash("secret-b") },
        ]);
        assert_eq!(access.known("secret-b").map(|token| token.name.as_str()), Some("b"));
        assert_eq!(access.known("secret-a").map(|token| token.role), Some(Role::Read));
        assert!(["", "secret-", "secret-c", "secret-aa"].iter().all(|token| access.known(token).is_none()));
    }
}
