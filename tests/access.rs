//! Tokens: each role at each path of the API's own description, browsers, and what the command line does with one.

mod common;

use std::net::SocketAddr;
use std::process::Command;

use common::Server;
use serde_json::Value;

/// Status and head of an answer.
fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The tail goes on for ever: its head is enough.
    let mut chunk = [0; 4096];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut chunk).unwrap() {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{method} {path}: {text}")), text.to_ascii_lowercase())
}

struct Tokens {
    server: Server,
    /// Ingest, read, admin.
    tokens: Vec<String>,
    _scratch: tempfile::TempDir,
}

/// A server that knows one token of each role, as `loghound tokens create` makes them.
fn started() -> Tokens {
    let scratch = tempfile::tempdir().unwrap();
    let (mut tokens, mut yaml) = (Vec::new(), String::from("http:\n  tokens:\n"));
    for role in ["ingest", "read", "admin"] {
        let made = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["tokens", "create", &format!("the {role}"), "--role", role])
            .output()
            .unwrap();
        tokens.push(String::from_utf8(made.stdout).unwrap().trim().to_owned());
        let said = String::from_utf8(made.stderr).unwrap();
        let entry = said.lines().find(|line| line.contains("sha256")).unwrap_or_else(|| panic!("{said}"));
        yaml.push_str(entry);
        yaml.push('\n');
    }
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(&config, yaml).unwrap();
    let server = Server::start_with(None, &["--config", &config.to_string_lossy()]);
    Tokens { server, tokens, _scratch: scratch }
}

#[test]
fn each_role_at_each_path() {
    let Tokens { server, tokens, .. } = started();
    let at = server.http;
    let bearer = |token: &str| format!("Bearer {token}");
    let admin = bearer(&tokens[2]);
    // The description itself needs a token.
    assert_eq!(ask(at, "GET", "/openapi.json", &[]).0, 401);
    let body =
        common::http::request(at, "GET", "/openapi.json", &format!("authorization: {admin}\r\n"), b"").unwrap().1;
    let description: Value = serde_json::from_slice(&body).unwrap();
    let mut checked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            // Names of things that are not there: nothing is changed by this test.
            let path = path
                .split('/')
                .map(|part| if part.starts_with('{') { "none" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let is_open = ["/livez", "/readyz", "/healthz"].contains(&path.as_str());
            let (nobody, _) = ask(at, &method, &path, &[]);
            let (wrong, head) = ask(at, &method, &path, &[("authorization", "Bearer lh_wrong")]);
            assert_eq!((nobody == 401, wrong == 401), (!is_open, !is_open), "{method} {path}");
            assert!(is_open || head.contains("www-authenticate: basic"), "{method} {path}: {head}");
            let may = |token: &str| {
                let (status, _) = ask(at, &method, &path, &[("authorization", &bearer(token))]);
                assert_ne!(status, 401, "{method} {path}");
                status != 403
            };
            let sends = path.contains("_bulk")
                || path.starts_with("/insert/")
                || path.ends_with("/push")
                || path == "/v1/logs"
                || path.ends_with("/_doc");
            let shows = method == "GET" && path != "/api/v1/audit";
            let acts = path.starts_with("/api/v1/")
                && ([
                    "search",
                    "histogram",
                    "facets",
                    "aggregate",
                    "export",
                    "patterns",
                    "compare",
                    "score",
                    "context",
                    "anomalies",
                    "grok/debug",
                    "grammars/test",
                    "rules/dry-run",
                ]
                .contains(&&path["/api/v1/".len()..])
                    || path.ends_with("/feedback")
                    || ["incidents", "silences", "queries", "deliveries", "deploys"]
                        .iter()
                        .any(|on_call| path["/api/v1/".len()..].starts_with(on_call)));
            if path.starts_with("/api/") {
                assert!(!may(&tokens[0]), "ingest: {method} {path}");
                assert_eq!(may(&tokens[1]), shows || acts && path != "/api/v1/audit", "read: {method} {path}");
            } else if sends {
                assert_eq!((may(&tokens[0]), may(&tokens[1])), (true, false), "{method} {path}");
            }
            // What an administrator asks for without a body or with names of nothing is refused for that alone.
            let begins = [
                "/api/v1/reparse",
                "/api/v1/backtest",
                "/api/v1/models",
                "/api/v1/snapshots",
                "/api/v1/models/rollback",
            ];
            if method == "GET" || !begins.contains(&path.as_str()) {
                assert!(may(&tokens[2]), "admin: {method} {path}");
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked} paths");
}

#[test]
fn a_browser_may_change_things_from_this_site_alone() {
    use base64::Engine as _;
    let Tokens { server, tokens, .. } = started();
    let at = server.http;
    let password = base64::engine::general_purpose::STANDARD.encode(format!("anybody:{}", tokens[1]));
    let basic = format!("Basic {password}");
    let path = "/api/v1/incidents/none/acknowledge";
    for (header, expected) in [
        (("sec-fetch-site", "same-origin"), false),
        (("sec-fetch-site", "cross-site"), true),
        (("sec-fetch-site", "same-site"), true),
        (("origin", "http://evil.example.org"), true),
        (("origin", "null"), true),
        (("x-nothing", "at all"), false),
    ] {
        let (status, _) = ask(at, "POST", path, &[("authorization", &basic), header]);
        assert_eq!(status == 403, expected, "{header:?}: {status}");
    }
    let own = format!("http://{at}");
    assert_ne!(ask(at, "POST", path, &[("authorization", &basic), ("origin", &own)]).0, 403);
    // Looking is not changing, and a program's token is not sent unasked.
    assert_eq!(
        ask(at, "GET", "/api/v1/incidents", &[("authorization", &basic), ("sec-fetch-site", "cross-site")]).0,
        200
    );
    let bearer = format!("Bearer {}", tokens[1]);
    assert_ne!(ask(at, "POST", path, &[("authorization", &bearer), ("sec-fetch-site", "cross-site")]).0, 403);
    assert!([200, 303].contains(&ask(at, "GET", "/ui/", &[("authorization", &basic)]).0));
}

#[test]
fn the_command_line_shows_its_token() {
    let Tokens { server, tokens, .. } = started();
    let url = format!("http://{}", server.http);
    let query = |token: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loghound"));
        command.args(["query", "*", "--server", &url]).env_remove("LOGHOUND_TOKEN");
        command.envs(token.map(|token| ("LOGHOUND_TOKEN", token))).output().unwrap()
    };
    let refused = query(None);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a token is needed"));
    assert!(String::from_utf8_lossy(&query(Some(&tokens[0])).stderr).contains("needs the role read"));
    let found = query(Some(&tokens[1]));
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let metrics = common::http::request(
        server.http,
        "GET",
        "/metrics",
        &format!(
            "authorization: Bearer {}
",
            tokens[1]
        ),
        b"",
    )
    .unwrap()
    .1;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("loghound_http_refused_total{why=\"unknown\"} 1"), "{metrics}");
    // Nothing of a token is told anywhere.
    assert!(tokens.iter().all(|token| !server.log().contains(token) && !metrics.contains(token)));
}

#[test]
fn what_is_wrong_with_a_token_is_told_before_a_port_opens() {
    let scratch = tempfile::tempdir().unwrap();
    let short = scratch.path().join("short");
    std::fs::write(&short, "secret\n").unwrap();
    for (tokens, problem) in [
        ("[{name: a, role: king, sha256: 'HEX'}]".replace("HEX", &"0".repeat(64)), "is no role"),
        ("[{name: a, role: read, sha256: abc}]".to_owned(), "64 hex digits"),
        ("[{name: a, role: read}]".to_owned(), "give sha256, or file"),
        ("[{name: a, role: read, file: /nowhere}]".to_owned(), "cannot be read"),
        (format!("[{{name: a, role: read, file: {}}}]", short.display()), "less than 16 characters"),
    ] {
        let config = scratch.path().join("loghound.yaml");
        std::fs::write(&config, format!("http:\n  tokens: {tokens}\n")).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["check-config", "--config", &config.to_string_lossy()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{tokens}: {said}");
        assert!(said.contains(problem), "{tokens}: {said}");
    }
    // With tokens the HTTP port may be open to others; Beats' still asks for certificates.
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(
        &config,
        format!("http:\n  listen: 0.0.0.0:8044\n  tokens: [{{name: a, role: read, sha256: '{}'}}]\n", "0".repeat(64)),
    )
    .unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["check-config", "--config", &config.to_string_lossy()])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
