//! The default formats of the servers, compiled, against the parsers of their lines that were written otherwise: on
//! every line of the corpus the fields must be the same.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::parse::detect::unwrapped;
use crate::parse::file::read;
use crate::parse::scanner::Scanner;
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

/// The patterns' scanners: each has one.
fn scanners(grammar: &Grammar) -> Vec<Scanner> {
    let hirs = grammar.patterns.as_ref().unwrap().hirs();
    hirs.map(|hir| Scanner::new(hir).expect("a pattern that the scanner takes")).collect()
}

/// Compares the first of `formats` that fits each line with the grammar of that name.
fn agree(corpus: &str, peer: &str, formats: &[(&str, Grammar)]) {
    let Some(lines) = corpus::corpus_lines(corpus) else { return };
    let parser = Parser::builtin();
    let peer = parser.grammar(peer).unwrap();
    let scanners: Vec<Vec<Scanner>> = formats.iter().map(|(_, grammar)| scanners(grammar)).collect();
    let mut counts = vec![0; formats.len()];
    let (mut neither, mut problems) = (0, String::new());
    for line in &lines {
        let expected = parsed(peer, line);
        let line = line.strip_prefix("ACCESS ").unwrap_or(line);
        let found = formats.iter().position(|(_, grammar)| parsed(grammar, line).is_some());
        let fields = found.and_then(|at| parsed(&formats[at].1, line));
        if fields != expected {
            writeln!(problems, "{line}\n  compiled {fields:?}\n  {corpus} {expected:?}").unwrap();
        }
        // No line of the corpus is beyond the scanner, so none needs the general engine.
        let content = unwrapped(line);
        for (scanner, (name, _)) in
            scanners.iter().zip(formats).flat_map(|(all, format)| all.iter().zip(std::iter::repeat(format)))
        {
            assert!(scanner.captures(&content, &mut []).is_some(), "{name}: {line}");
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
    let mut formats = formats.map(|(name, format)| (name, grammar("envoy", format))).into_iter().collect::<Vec<_>>();
    let operators = [
        ("start_time", "START_TIME"),
        ("method", "REQ(:METHOD)"),
        ("path", "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)"),
        ("protocol", "PROTOCOL"),
        ("response_code", "RESPONSE_CODE"),
        ("response_flags", "RESPONSE_FLAGS"),
        ("response_code_details", "RESPONSE_CODE_DETAILS"),
        ("connection_termination_details", "CONNECTION_TERMINATION_DETAILS"),
        ("upstream_transport_failure_reason", "UPSTREAM_TRANSPORT_FAILURE_REASON"),
        ("bytes_received", "BYTES_RECEIVED"),
        ("bytes_sent", "BYTES_SENT"),
        ("duration", "DURATION"),
        ("upstream_service_time", "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)"),
        ("x_forwarded_for", "REQ(X-FORWARDED-FOR)"),
        ("user_agent", "REQ(USER-AGENT)"),
        ("request_id", "REQ(X-REQUEST-ID)"),
        ("authority", "REQ(:AUTHORITY)"),
        ("upstream_host", "UPSTREAM_HOST"),
        ("upstream_cluster", "UPSTREAM_CLUSTER_RAW"),
        ("upstream_local_address", "UPSTREAM_LOCAL_ADDRESS"),
        ("downstream_local_address", "DOWNSTREAM_LOCAL_ADDRESS"),
        ("downstream_remote_address", "DOWNSTREAM_REMOTE_ADDRESS"),
        ("requested_server_name", "REQUESTED_SERVER_NAME"),
        ("route_name", "ROUTE_NAME"),
    ];
    let json: Map<String, Json> =
        operators.iter().map(|(key, operator)| ((*key).to_owned(), format!("%{operator}%").into())).collect();
    formats.push(("Istio's JSON", grammar("envoy_json", json)));
    agree("envoy", "envoy", &formats);
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
