//! What somebody on the network may try who is no broken sender but means harm: bombs, endless bodies, silence, names that lead
//! elsewhere, values that want to be queries or headers. SECURITY.md says which row of its table each test stands behind.
//!
//! Who may ask for what is in `access.rs`, connections that break in `faults.rs`, stalling senders in `memory.rs`.

mod common;
mod fake;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::hook::{Answer, Hook};
use common::{Server, eventually, http};
use loghound::api::Settings;
use loghound::telemetry::Metrics;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How long a test waits for an answer, or a connection to end, before it says that none came.
const PATIENCE: Duration = Duration::from_secs(20);

fn gzip(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..times {
        encoder.write_all(chunk).unwrap();
    }
    encoder.finish().unwrap()
}

/// The status of an answer, or `None` where the connection ended without one.
fn status(mut stream: &TcpStream) -> Option<u16> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(2).any(|two| two == b"\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("neither an answer nor an end: {error}"),
        }
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok())
}

/// Sends until all is sent or nobody reads on.
fn pour(address: SocketAddr, pieces: impl IntoIterator<Item = Vec<u8>>) -> (TcpStream, u64) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut sent = 0;
    for piece in pieces {
        match stream.write_all(&piece) {
            Ok(()) => sent += piece.len() as u64,
            Err(_) => break,
        }
    }
    (stream, sent)
}

fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn total(server: &Server, query: &str) -> u64 {
    server.search(query, 1, None)["total"].as_u64().unwrap()
}

/// One document, there before the answer comes.
fn keep(server: &Server, document: &Value) {
    let body = format!("{{\"create\":{{}}}}\n{document}\n");
    let (status, answer) =
        http::post(server.http, "/things/_bulk?refresh=true", "application/x-ndjson", &body).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
}

/// Paths that take documents, by the API's own description or the router's list of Elasticsearch's.
const INFLATING: [&str; 8] = [
    "/_bulk",
    "/things/_bulk",
    "/things/_doc",
    "/things/_create/1",
    "/insert/jsonline",
    "/api/v1/score",
    "/loki/api/v1/push",
    "/v1/logs",
];

#[test]
fn a_bomb_is_refused_on_every_route_that_inflates() {
    let server = Server::start();
    let before = peak_mib(server.pid());
    // A gigabyte of blank lines in a megabyte: sixteen members of 64 MiB each. And one string without end, in 100 KB.
    let blanks = gzip(&[b'\n'; 1 << 16], 1 << 10).repeat(16);
    let mut string = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    string.write_all(b"{\"create\":{}}\n{\"message\":\"").unwrap();
    (0..96 << 4).for_each(|_| string.write_all(&[b'a'; 1 << 16]).unwrap());
    string.write_all(b"\"}\n").unwrap();
    let string = string.finish().unwrap();
    for path in INFLATING {
        for bomb in [&blanks, &string] {
            assert!(bomb.len() < 2_000_000, "{}", bomb.len());
            let headers = "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n";
            let (status, answer) = http::request(server.http, "POST", path, headers, bomb).unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(status, 413, "{path}: {answer}");
            assert!(answer.contains("bytes"), "{path} does not say why: {answer}");
        }
        // A bomb within a bomb is no gzip that anybody inflates twice.
        let nested = gzip(&blanks, 1);
        let headers = "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n";
        let (status, _) = http::request(server.http, "POST", path, headers, &nested).unwrap();
        assert!((200..500).contains(&status), "{path}: {status}");
    }
    // Many at once share what one budget has; who finds none of it is told to come again.
    std::thread::scope(|scope| {
        for at in 0..24 {
            let (server, bomb) = (&server, [&blanks, &string][at % 2]);
            scope.spawn(move || {
                let headers = "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n";
                let path = INFLATING[at % INFLATING.len()];
                let (status, _) = http::request(server.http, "POST", path, headers, bomb).unwrap();
                assert!(matches!(status, 413 | 429), "{path}: {status}");
            });
        }
    });
    let grown = peak_mib(server.pid()) - before;
    assert!(grown < 400, "{grown} MiB were taken for bombs of a gigabyte");
    assert_eq!(total(&server, "aaaa*"), 0);
    keep(&server, &json!({"message": "still here"}));
    assert_eq!(total(&server, "\"still here\""), 1);
}

#[test]
fn bodies_and_heads_have_an_end() {
    let server = Server::start();
    let at = server.http;
    let post = |path: &str, length: u64| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes()
    };
    let chunked = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes()
    };
    let many = |n: usize| std::iter::repeat_n(vec![b' '; 1 << 16], n);
    let chunks =
        |n: usize| std::iter::repeat_n([b"10000\r\n".to_vec(), vec![b' '; 1 << 16], b"\r\n".to_vec()].concat(), n);
    for path in ["/api/v1/search", "/api/v1/aggregate", "/_search", "/api/v1/grok/debug", "/api/v1/jobs"] {
        // 160 MiB are announced, or never end; a hundredth is more than a question has.
        let (stream, sent) = pour(at, std::iter::once(post(path, 160 << 20)).chain(many(2_560)));
        assert!(sent < 100 << 20, "{path} read {sent} bytes of a question");
        assert!(matches!(status(&stream), Some(413) | None), "{path}: {:?}", status(&stream));
        let (_, sent) = pour(at, std::iter::once(chunked(path)).chain(chunks(2_560)));
        assert!(sent < 100 << 20, "{path} read {sent} bytes of a question in chunks");
    }
    for path in INFLATING {
        let (stream, sent) = pour(at, std::iter::once(chunked(path)).chain(chunks(2_560)));
        assert!(sent < 100 << 20, "{path} read {sent} bytes");
        assert!(matches!(status(&stream), Some(413 | 429) | None), "{path}");
    }
    // Heads: one endless line, one endless value, names without number.
    let get = b"GET /livez HTTP/1.1\r\nhost: x\r\n".to_vec();
    let line = std::iter::once(b"GET /".to_vec()).chain(std::iter::repeat_n(vec![b'a'; 1 << 16], 640));
    let value = [get.clone(), b"x: ".to_vec()].into_iter().chain(std::iter::repeat_n(vec![b'a'; 1 << 16], 640));
    let names = std::iter::once(get).chain((0..200_000).map(|n| format!("x-{n}: {n}\r\n").into_bytes()));
    for (what, pieces) in [
        ("line", Box::new(line) as Box<dyn Iterator<Item = Vec<u8>>>),
        ("value", Box::new(value)),
        ("names", Box::new(names)),
    ] {
        let (stream, sent) = pour(at, pieces);
        assert!(sent < 32 << 20, "{what}: {sent} bytes of a head were read");
        assert!(matches!(status(&stream), Some(400 | 414 | 431) | None), "{what}");
    }
    assert_eq!(http::get(at, "/livez").unwrap().0, 200);
}

/// The API with these limits, for the rest of the test process.
fn limited(settings: Settings) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let closing = CancellationToken::new();
            let metrics = Arc::new(Metrics::new().unwrap());
            let router = loghound::api::router(Arc::new(fake::Numbers), metrics, settings.clone(), closing.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loghound::api::serve(listener, None, router, &settings, closing).await.unwrap();
        });
    });
    told.recv().unwrap()
}

#[test]
fn silent_clients_are_closed_and_others_are_served() {
    // HTTP: all places but one are held by those who say a part and wait.
    let beginnings: [&[u8]; 5] = [
        b"",
        b"GET /api/v1/search?q=a HT",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx-a: ",
        b"POST /api/v1/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"q\":",
        b"POST /insert/jsonline HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"message\":",
    ];
    let settings = Settings {
        idle_time_max: Duration::from_millis(500),
        request_time_max: Duration::from_millis(300),
        connections_max: beginnings.len() * 4 + 1,
        ..Settings::default()
    };
    let at = limited(settings);
    let started = Instant::now();
    let silent: Vec<TcpStream> = (0..4).flat_map(|_| beginnings).map(|bytes| pour(at, [bytes.to_vec()]).0).collect();
    assert_eq!(http::get(at, "/livez").unwrap().0, 200, "somebody is kept waiting by the silent");
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Whatever is said before the end, the end comes: of itself, or as a reset for what was not read.
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    }
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());

    // Beats: connected and silent, or silent within a window; one that sends is acknowledged meanwhile.
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("loghound.yaml");
    std::fs::write(&config, "beats:\n  idle_timeout: 500ms\n").unwrap();
    let server = Server::start_with(None, &["--config", &config.to_string_lossy()]);
    let silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(server.beats).unwrap()).collect();
    let shipped = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["ship", "--to", &server.beats.to_string(), "--generate", "500", "--give-up", "20"])
        .output()
        .unwrap();
    assert!(shipped.status.success(), "{}", String::from_utf8_lossy(&shipped.stderr));
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "a silent connection was answered");
    }
}

/// All files below, with their sizes.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), std::fs::metadata(&path).unwrap().len()));
        }
    }
    all.sort();
    all
}

#[test]
fn names_lead_nowhere_else() {
    let house = tempfile::tempdir().unwrap();
    let data = house.path().join("a/data");
    std::fs::create_dir_all(&data).unwrap();
    for outside in ["secret", "a/secret", "a/snapshots", "a/queries.json"] {
        std::fs::write(house.path().join(outside), "outside").unwrap();
    }
    std::fs::create_dir_all(house.path().join("a/victim")).unwrap();
    std::fs::write(house.path().join("a/victim/meta.json"), "outside").unwrap();
    let server = Server::start_with(Some(&data), &[]);
    keep(&server, &json!({"message": "one"}));
    let outside =
        || -> Vec<_> { files(house.path()).into_iter().filter(|(path, _)| !path.starts_with(&data)).collect() };
    let before = outside();
    let names = [
        "..",
        ".",
        "../victim",
        "../../victim",
        "../../secret",
        "/etc/passwd",
        "a/b",
        "..\\victim",
        "%00",
        "x\u{0}y",
        ".hidden",
        "x/../../victim",
        "snapshots/../../victim",
        "%2e%2e%2fvictim",
        "replaced",
        "~root",
        "$(id)",
        "`id`",
        "a\r\nb",
        "…",
    ];
    let long = "a".repeat(300);
    for name in names.into_iter().chain([long.as_str()]) {
        let escaped = http::escaped(name);
        let twice = http::escaped(&escaped);
        for name in [&escaped, &twice] {
            for (method, path) in [
                ("POST", format!("/api/v1/snapshots?name={name}")),
                ("DELETE", format!("/api/v1/snapshots/{name}")),
                ("POST", format!("/api/v1/models?version={name}")),
                ("POST", format!("/api/v1/models/{name}/activate")),
                ("GET", format!("/api/v1/queries/{name}")),
                ("DELETE", format!("/api/v1/queries/{name}")),
                ("PUT", format!("/api/v1/queries/{name}?q=level:E")),
                ("GET", format!("/api/v1/jobs/{name}")),
                ("DELETE", format!("/api/v1/jobs/{name}")),
                ("GET", format!("/ui/{name}")),
                ("GET", format!("/ui/assets/{name}")),
            ] {
                let (status, answer) = http::request(server.http, method, &path, "Content-Length: 0\r\n", b"").unwrap();
                let text = String::from_utf8_lossy(&answer);
                assert!(status < 500, "{method} {path}: {status} {text}");
                assert!(!text.contains("root:x:") && !text.contains("outside"), "{method} {path}: {text}");
                // A name of a query is text in a file of all queries; all other names would be files' names.
                let is_text = path.contains("/queries/") || path.starts_with("/ui/");
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric()) && name.len() <= 64;
                assert!(is_text || plain || status >= 400, "{method} {path} was taken: {status} {text}");
            }
        }
        let job = json!({"name": name, "function": "count"}).to_string();
        let (status, _) = http::post(server.http, "/api/v1/jobs", "application/json", &job).unwrap();
        assert!(status == 400 || (status == 200 && name == "replaced"), "a job was named {name:?}: {status}");
        let grammar = json!({"name": name, "patterns": ["^a$"], "samples": [{"line": "a", "fields": {}}]});
        let refused = loghound::parse::load(&grammar.to_string()).is_err();
        assert!(refused || name == "replaced" || name == long, "a grammar was named {name:?}");
    }
    // Paths that lead upwards are no paths of the UI, in whatever way they are written.
    for path in [
        "/ui/../../../etc/passwd",
        "/ui/..%2f..%2fetc/passwd",
        "/ui//etc/passwd",
        "/../etc/passwd",
        "/ui/%2e%2e/metrics",
    ] {
        let (status, answer) = http::get(server.http, path).unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("root:x:"), "{path}: {status}");
    }
    assert_eq!(outside(), before, "something outside the data directory was made, changed or deleted");
    assert_eq!(total(&server, "one"), 1);
}

#[test]
fn values_stay_values_within_queries() {
    let server = Server::start();
    let nasty = [
        r#"x" OR level:E OR ""#,
        "*",
        "a) OR (*",
        r"\",
        "x | stats count()",
        "/.*/",
        "[* TO *]",
        "NOT",
        "_exists_:level",
        "x\u{0}y",
        "{\"match_all\":{}}",
    ];
    for user in nasty {
        keep(&server, &json!({"message": "by hand", "level": "I", "user": user}));
    }
    keep(&server, &json!({"message": "of somebody else", "level": "E", "user": "eve"}));
    for user in nasty {
        // Elasticsearch's terms are values, whatever they look like.
        for query in [
            json!({"term": {"user": user}}),
            json!({"terms": {"user": [user]}}),
            json!({"bool": {"filter": {"term": {"user": user}}}}),
        ] {
            let body = json!({"query": query, "size": 20}).to_string();
            let (status, answer) = http::post(server.http, "/things/_search", "application/json", &body).unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(status, 200, "{user:?}: {answer}");
            let hits = answer["hits"]["hits"].as_array().unwrap();
            assert!(hits.len() == 1 && hits[0]["_source"]["user"] == user, "{user:?}: {answer}");
        }
        // An index's name does not become a condition.
        let index = http::escaped(user);
        if user != "*" {
            let (status, answer) = http::get(server.http, &format!("/{index}/_search?size=20")).unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let found = answer["hits"]["hits"].as_array().map_or(0, Vec::len);
            assert!(status < 500 && found == 0, "index {user:?}: {status} {answer}");
        }
        // A parameter that has another's characters in it stays one parameter.
        let (status, answer) =
            server.get(&format!("/api/v1/facets?q=user:eve&fields={}", http::escaped(&format!("user&q=*{user}"))));
        assert!(status < 500 && !answer.to_string().contains("by hand"), "{user:?}: {status} {answer}");
    }
}

#[test]
fn lines_do_not_reach_headers() {
    let hook = Hook::start(|_| Answer::Status(200));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loghound.yaml");
    let yaml = format!(
        "alert:\n  allow_addresses: [private]\n  external_url: https://logs.example.org\n  receivers:\n    \
         - {{name: hook, webhook: {{url: '{0}'}}}}\n    \
         - {{name: templated, webhook: {{url: '{0}t', content_type: text/plain, template: '{{{{ notice.title }}}}'}}}}\n  \
         route: {{receiver: hook, routes: [{{receiver: hook, continue: true}}, {{receiver: templated}}]}}\n  rules:\n    \
         - {{name: booms, query: {{q: boom, by: user, window: 1h, above: 0}}, severity: critical}}\n",
        hook.url()
    );
    std::fs::write(&path, yaml).unwrap();
    let server = Server::start_with(None, &["--config", &path.to_string_lossy()]);
    let user = "eve\r\nX-Evil: 1\r\n\r\nPOST /evil HTTP/1.1";
    keep(
        &server,
        &json!({"message": format!("boom {user}"), "user": user, "@timestamp": jiff::Timestamp::now().to_string()}),
    );
    eventually(Duration::from_secs(40), || {
        let taken = hook.taken();
        let both = taken.iter().any(|m| m.path == "/") && taken.iter().any(|m| m.path == "/t");
        if both { Ok(()) } else { Err(format!("{} messages came\n{}", taken.len(), server.log())) }
    });
    let mut told = false;
    for message in hook.taken() {
        assert!(["/", "/t"].contains(&message.path.as_str()), "{}", message.path);
        assert!(
            message.headers.iter().all(|(name, value)| name != "x-evil" && !value.contains("vil")),
            "{:?}",
            message.headers
        );
        told |= String::from_utf8_lossy(&message.body).contains("eve");
    }
    assert!(told, "no message had the value in its body, so that nothing was tried");
}

#[test]
fn answers_run_nothing() {
    let server = Server::start();
    let script = "<script>alert(1)</script>\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}";
    keep(&server, &json!({"message": script, "user": script, "level": "E"}));
    for path in [
        "/api/v1/search?q=level:E",
        "/things/_search?q=level:E",
        "/<script>alert(1)</script>",
        "/api/v1/search?q=%3Cscript%3E:",
        "/api/v1/export?q=level:E",
    ] {
        let mut stream = TcpStream::connect(server.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: text/html\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert!(!head.contains("text/html"), "{path}: {head}");
    }
    // A terminal is not told to do anything by a line.
    let shown = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loghound"));
        let output =
            command.args(arguments).env("LOGHOUND_SERVER", format!("http://{}", server.http)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for arguments in [
        &["query", "level:E", "--output", "text"][..],
        &["query", "level:E | top by user", "--output", "text"],
        &["query", "level:E", "--output", "ndjson"],
        &["patterns", "level:E"],
    ] {
        let text = shown(arguments);
        assert!(text.contains("alert"), "{arguments:?} shows nothing: {text}");
        let raw = text.chars().find(|c| c.is_control() && *c != '\n');
        // In JSON, where a program reads, C1 and directions may stand as they are.
        let harmless = arguments.contains(&"ndjson") && raw.is_some_and(|c| c > '\u{7f}');
        assert!(raw.is_none() || harmless, "{arguments:?} writes {raw:?}");
    }
}
