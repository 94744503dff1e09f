//! `/ui`: the web UI. Its files are in the binary, packed by its build: `X`, `X.gz` and `X.br` of each.
//!
//! Every page is one level below `/ui`, and the UI names its files and the API relative to that, so it works
//! behind a proxy that serves it under a prefix.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::error::Problem;
use super::home;

/// What pages may do: load their own files, ask their own server, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page that all paths without a file show; which of them is up to the UI.
const INDEX: &str = "index.html";

#[cfg(feature = "ui")]
#[derive(rust_embed::Embed)]
#[folder = "dashboards/web/dist"]
struct Files;

#[cfg(feature = "ui")]
fn file(name: &str) -> Option<File> {
    let file = <Files as rust_embed::RustEmbed>::get(name)?;
    Some(File { bytes: file.data, hash: file.metadata.sha256_hash() })
}

#[cfg(not(feature = "ui"))]
fn file(_: &str) -> Option<File> {
    None
}

struct File {
    bytes: std::borrow::Cow<'static, [u8]>,
    hash: [u8; 32],
}

/// Whether this binary was built with the UI.
pub(super) fn there() -> bool {
    file(INDEX).is_some()
}

/// `/ui` itself: its first page.
pub async fn front(uri: Uri) -> Response {
    let below = if uri.path().ends_with('/') { "logs" } else { "ui/logs" };
    (StatusCode::SEE_OTHER, [(header::LOCATION, below)]).into_response()
}

/// A page of the UI or one of its files.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if !there() {
        return Problem::not_found(home::HOW_TO_GET_THE_UI).into_response();
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    // A page's name has no dot, a file's has.
    let name = if last.contains('.') { path.as_str() } else { INDEX };
    match serve(name, &headers) {
        Some(response) => response,
        None => Problem::not_found(format!("the web UI has no file {path:?}: it starts at /ui/logs")).into_response(),
    }
}

fn serve(name: &str, headers: &HeaderMap) -> Option<Response> {
    // Packed forms are answers, not files with names of their own.
    let kind = content_type(name)?;
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let packed = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(encoding, suffix)| {
        let found = accepts(accepted, encoding).then(|| file(&format!("{name}{suffix}")))??;
        Some((Some(encoding), found))
    });
    let (encoding, File { bytes, hash }) = match packed {
        Some(found) => found,
        None => (None, file(name)?),
    };
    let etag = format!("\"{}\"", hash[..12].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let seen = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut response = if seen.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], bytes).into_response()
    };
    let out = response.headers_mut();
    // The names of assets change with what they hold.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut set = |header: HeaderName, value| out.insert(header, HeaderValue::from_static(value));
    set(header::CACHE_CONTROL, cache);
    set(header::VARY, "accept-encoding");
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    out.insert(header::ETAG, HeaderValue::from_str(&etag).ok()?);
    Some(response)
}

fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// Whether an `Accept-Encoding` allows `encoding`, by name or by `*`, and not with `q=0` (RFC 9110, 12.5.3).
fn accepts(accepted: &str, encoding: &str) -> bool {
    let mut any = false;
    for part in accepted.split(',') {
        let mut pieces = part.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let refused = pieces.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0)));
        if name.eq_ignore_ascii_case(encoding) {
            return !refused;
        }
        any |= name == "*" && !refused;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_chosen_as_asked_for() {
        for (accepted, encoding, expected) in [
            ("", "br", false),
            ("gzip, deflate, br, zstd", "br", true),
            ("gzip", "br", false),
            ("br;q=0, gzip;q=0.5", "br", false),
            ("br;q=0, gzip;q=0.5", "gzip", true),
            ("BR", "br", true),
            ("*", "gzip", true),
            ("*;q=0", "gzip", false),
            ("gzip;q=0, *", "gzip", false),
            ("abr", "br", false),
        ] {
            assert_eq!(accepts(accepted, encoding), expected, "{accepted:?} {encoding}");
        }
    }

    /// With a built UI: its first page, packed, once; and its files for ever.
    #[test]
    fn what_is_built_is_served() {
        let mut headers = HeaderMap::new();
        let Some(plain) = serve(INDEX, &headers) else {
            return assert!(!there(), "without a build there is nothing to serve");
        };
        assert_eq!(plain.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(plain.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        let packed = serve(INDEX, &headers).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "br");
        headers.insert(header::IF_NONE_MATCH, packed.headers()[header::ETAG].clone());
        assert_eq!(serve(INDEX, &headers).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert!(serve("index.html.br", &headers).is_none(), "packed forms have no address");
        assert!(serve("../Cargo.toml", &headers).is_none());
    }
}
