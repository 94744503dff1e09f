//! The default formats of the servers, compiled, against the parsers of their lines that were written otherwise: on
//! every line of the corpus the fields must be the same.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::parse::file::read;
use crate::parse::{Grammar, Parser};
use crate::record::Fields;

#[path = "../../../tests/common/corpus.rs"]
mod corpus;

pub(super) const ENVOY: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"
"#;

/// Istio's columns behind the upstream host.
const ISTIO_TAIL: &str = "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%";

pub(super) const NGINX: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

pub(super) const APACHE: &str = r#"%h %l %u %t "%r" %>s %b"#;

/// The format with text put in before its flags' next column, and text at its end.
fn envoy(after_flags: &str, tail: &str) -> String {
    let format = ENVOY.trim_end().replace("%RESPONSE_FLAGS%", &format!("%RESPONSE_FLAGS%{after_flags}"));
    format!("{format}{tail}")
}

pub(super) fn grammar(dialect: &str, format: impl Into<Json>) -> Grammar {
    let text = json!({"name": "test", "format": {dialect: format.into()}}).to_string();
    read(&text).unwrap_or_else(|error| panic!("{error}")).0
}

fn parsed(grammar: &Grammar, line: &str) -> Option<Json> {
    let mut fields = Fields::new();
    grammar.parse_line(line, &mut fields).then(|| fields.to_json().into())
}

/// Compares the first of `formats` that fits each line with the grammar of that name.
fn agree(corpus: &str, peer: &str, formats: &[(&str, Grammar)]) {
    let Some(lines) = corpus::corpus_lines(corpus) else { return };
    let parser = Parser::builtin();
    let peer = parser.grammar(peer).unwrap();
    let mut counts = vec![0; formats.len()];
    let (mut neither, mut problems) = (0, String::new());
    for line in &lines {
        let expected = parsed(peer, line);
        if line.starts_with('{')
            && corpus == "envoy"
            && expected.as_ref().is_none_or(|fields| fields.get("cri").is_none())
        {
            continue;
        }
        let line = line.strip_prefix("ACCESS ").unwrap_or(line);
        let found = formats.iter().position(|(_, grammar)| parsed(grammar, line).is_some());
        let fields = found.and_then(|at| parsed(&formats[at].1, line));
        if fields != expected {
            writeln!(problems, "{line}\n  compiled {fields:?}\n  {corpus} {expected:?}").unwrap();
        }
        match found {
            Some(at) => counts[at] += 1,
            None => neither += 1,
        }
    }
    for ((name, _), count) in formats.iter().zip(&counts) {
        println!("{corpus}: {count} lines of {name}");
        assert!(*count > 0, "no line of {name}");
    }
    println!("{corpus}: {neither} lines of neither");
    assert_eq!(problems, "");
}

#[test]
fn envoy_and_istio() {
    let mixer = " \"%DYNAMIC_METADATA(istio.mixer:status)%\"";
    let reason = " \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\"";
    let details = " %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%";
    let tail = &format!(" {ISTIO_TAIL}");
    let with_route = &format!("{tail} %ROUTE_NAME%");
    let formats = [
        ("the default", envoy("", "")),
        ("the default with details", envoy(" %RESPONSE_CODE_DETAILS%", "")),
        ("Istio 1.9", envoy(&format!("{details}{reason}"), with_route)),
        ("Istio 1.3", envoy(&format!("{mixer}{reason}"), with_route)),
        ("Istio 1.2", envoy(mixer, with_route)),
        ("Istio 1.1", envoy(mixer, tail)),
    ];
    agree("envoy", "envoy", &formats.map(|(name, format)| (name, grammar("envoy", format))));
}

#[test]
fn nginx() {
    let formats = [("main", format!("{NGINX} \"$http_x_forwarded_for\"")), ("combined", NGINX.to_owned())];
    agree("nginx", "nginx", &formats.map(|(name, format)| (name, grammar("nginx", format))));
}

#[test]
fn apache() {
    let formats = [("combined", format!("{APACHE} \"%{{Referer}}i\" \"%{{User-agent}}i\""))];
    agree("apache", "apache", &formats.map(|(name, format)| (name, grammar("apache", format))));
}
