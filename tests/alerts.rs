//! From a bad line to the person on call, in the running program: rules, incidents, messages, kills in between, and the tools that
//! receive them. Whatever is about being told belongs here.

mod common;

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::hook::{Answer, Hook, Received};
use common::{Server, eventually, http, windows};
use loghound::ship::{self, Options, Stats, Windows};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

/// Events of one container, a line each, from now on a millisecond apart.
fn send(server: &Server, service: &str, lines: &[String]) {
    let now = jiff::Timestamp::now();
    let event = |(i, line): (usize, &String)| {
        let at = now + Duration::from_millis(i as u64);
        let offset = now.as_millisecond() * 1_000 + i as i64;
        json!({
            "@timestamp": at.to_string(), "message": line, "agent": {"id": format!("agent-{service}"), "type": "filebeat"},
            "host": {"name": "node-1"}, "log": {"offset": offset, "file": {"path": format!("/var/log/{service}.log")}},
            "kubernetes": {"container": {"name": service}},
        })
        .to_string()
        .into_bytes()
    };
    let events: Vec<_> = lines.iter().enumerate().map(event).collect();
    let windows = windows(&events, 1_000, 1);
    let (sender, receiver) = mpsc::channel(windows.len().max(1));
    for window in windows {
        sender.try_send(window).unwrap_or_else(|_| panic!("the channel holds all windows"));
    }
    drop(sender);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options::new(server.beats.to_string());
    runtime.block_on(ship::send(&options, Windows::Channel(receiver), &Stats::default())).unwrap();
}

/// A server with this under `alert:`.
fn start(alert: &str) -> Server {
    let dir = tempfile::tempdir().unwrap().keep();
    let path = dir.join("loghound.yaml");
    let indented: String = alert.lines().map(|line| format!("  {line}\n")).collect();
    std::fs::write(&path, format!("alert:\n  allow_addresses: [private]\n{indented}")).unwrap();
    Server::start_with(None, &["--config", path.to_str().unwrap()])
}

fn boom(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("boom number {i} of a checkout that failed")).collect()
}

/// A rule that opens with the first bad line, and is over some ten seconds after the last.
const BOOM: &str = "\
rules:
  - {name: booms, query: {q: boom, by: kubernetes.container.name, window: 10s, above: 0}, close_after: 0s, severity: critical, runbook: 'https://wiki/boom'}
";

fn post(server: &Server, path: &str) -> Value {
    let (status, body) = http::post(server.http, path, "application/json", "{}").unwrap();
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    assert_eq!(status, 200, "POST {path}: {value}");
    value
}

fn told(server: &Server, arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(arguments)
        .args(["--server", &format!("http://{}", server.http)])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

#[test]
fn a_bad_line_reaches_a_webhook_signed_and_its_end_too() {
    let hook = Hook::start(|_| Answer::Status(200));
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let server = start(&format!(
        "receivers: [{{name: hook, webhook: {{url: '{}', secret: {secret}}}}}]\nexternal_url: https://logs.example.org\n{BOOM}",
        hook.url()
    ));
    post(&server, "/api/v1/deploys?version=v7&service=checkout&by=ci");
    send(&server, "checkout", &boom(3));
    let started = Instant::now();
    eventually(
        Duration::from_secs(30),
        || if hook.taken().is_empty() { Err("nothing came".to_owned()) } else { Ok(()) },
    );
    println!("first bad line to webhook: {:?}", started.elapsed());
    let message = &hook.taken()[0];
    let body = message.json();
    assert_eq!((&body["type"], &body["data"]["severity"]), (&json!("incident.opened"), &json!("critical")), "{body}");
    let data = &body["data"];
    assert!(
        data["title"].as_str().unwrap().starts_with("booms: kubernetes.container.name checkout: 3 lines of `boom`"),
        "{data}"
    );
    assert_eq!(data["lines"][0]["line"], "boom number 0 of a checkout that failed");
    assert!(data["deploys"][0].as_str().unwrap().contains("deploy checkout v7 by ci"), "{data}");
    assert_eq!(data["runbook"], "https://wiki/boom");
    let incident = data["key"].as_str().unwrap().to_owned();
    assert_eq!(data["url"], format!("https://logs.example.org/ui/incidents?id={incident}"));
    // Standard Webhooks: id, time and body are signed.
    let signed = [message.header("webhook-id"), ".", message.header("webhook-timestamp"), "."].concat().into_bytes();
    let signed = [signed.as_slice(), &message.body].concat();
    let mac = STANDARD.decode(message.header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), &signed, &mac).unwrap();

    // The API and the command line tell the same.
    let (_, incidents) = server.get("/api/v1/incidents?state=open");
    assert_eq!(incidents["incidents"][0]["id"], incident.as_str());
    assert!(told(&server, &["incidents", "--open"]).contains(&incident));
    assert!(told(&server, &["incidents", "ack", &incident, "--by", "ann"]).contains("ann: acknowledged"));
    assert!(told(&server, &["deliveries"]).contains("delivered open"));
    let (_, alerts) = server.get("/api/v1/alerts");
    assert_eq!((&alerts["alerts"][0]["key"], &alerts["alerts"][0]["receiver"]), (&json!(incident), &json!("hook")));

    let (_, rules) = server.get("/api/v1/rules");
    let rule = &rules["rules"][0];
    let query = json!({"q": "boom", "by": "kubernetes.container.name", "window_seconds": 10, "test": "above", "limit": 0.0, "close": 0.0});
    assert_eq!(
        (&rule["name"], &rule["condition"]["query"], &rule["severity"]),
        (&json!("booms"), &query, &json!("critical"))
    );
    assert_eq!(rule["incidents"], json!([incident]));
    let listed = told(&server, &["rules", "list"]);
    assert!(listed.starts_with("booms ") && listed.contains("1 open  query: "), "{listed}");

    eventually(Duration::from_secs(60), || match hook.taken().last() {
        Some(last) if last.json()["type"] == "incident.resolved" => Ok(()),
        _ => Err(format!("{} messages", hook.taken().len())),
    });
    let last = hook.taken().pop().unwrap().json();
    assert_eq!(last["data"]["key"], incident.as_str());
    assert_eq!(server.get(&format!("/api/v1/incidents/{incident}")).1["state"], "resolved");
    assert_eq!(server.get("/api/v1/rules").1["rules"][0]["incidents"], json!([]));
    // No secret is shown anywhere.
    for path in ["/api/v1/receivers", "/api/v1/deliveries"] {
        assert!(!server.text(path).contains(&secret), "{path}");
    }
    assert!(!server.log().contains(&secret));
    assert!(told(&server, &["receivers"]).contains("hook"));
    assert!(told(&server, &["receivers", "test", "hook"]).contains("delivered test"));
}

#[test]
fn kills_and_failing_receivers_tell_each_incident_once() {
    let failing = |seed: u64| {
        // They are well again some day: pauses double with each failure, and a test ends.
        move |number: u64| match (number + seed) % 6 {
            _ if number > 24 => Answer::Status(200),
            0 => Answer::Status(200),
            1 => Answer::Status(500),
            2 => Answer::Reset,
            3 => Answer::Lost,
            4 => Answer::Later(1),
            _ => Answer::Status(202),
        }
    };
    let hooks = [Hook::start(failing(1)), Hook::start(failing(4))];
    let mut server = start(&format!(
        "receivers: [{{name: a, webhook: {{url: '{}'}}}}, {{name: b, webhook: {{url: '{}'}}}}]\n\
         route: {{receiver: a, routes: [{{receiver: a, continue: true}}, {{receiver: b}}]}}\n{BOOM}",
        hooks[0].url(),
        hooks[1].url()
    ));
    for round in 0..6 {
        send(&server, &format!("service-{round}"), &boom(2));
        // Killed at different moments between the line and the delivery: as long as a start of the program takes.
        let moment = Instant::now() + Duration::from_millis(350 * round);
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        server.kill9();
        server.restart();
    }
    let kinds = |hook: &Hook| {
        let mut ids: HashMap<(String, String), Vec<String>> = HashMap::new();
        for message in hook.taken() {
            let body = message.json();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let seen = ids.entry((text(&body["data"]["key"]), text(&body["type"]))).or_default();
            let id = message.header("webhook-id").to_owned();
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        ids
    };
    eventually(Duration::from_secs(240), || {
        let (_, incidents) = server.get("/api/v1/incidents?state=resolved");
        let (_, waiting) = server.get("/api/v1/deliveries?state=waiting&limit=0");
        let total = incidents["total"].as_u64().unwrap();
        let open = server.get("/api/v1/incidents?state=open&limit=0").1["total"].as_u64().unwrap();
        if total == 6 && open == 0 && waiting["total"] == 0 {
            Ok(())
        } else {
            Err(format!("{total} resolved, {open} open, {waiting}"))
        }
    });
    let (_, incidents) = server.get("/api/v1/incidents?state=resolved");
    for hook in &hooks {
        let seen = kinds(hook);
        for incident in incidents["incidents"].as_array().unwrap() {
            let id = incident["id"].as_str().unwrap();
            for kind in ["incident.opened", "incident.resolved"] {
                let ids = seen.get(&(id.to_owned(), kind.to_owned())).map_or(0, Vec::len);
                assert_eq!(ids, 1, "{kind} of {id}\n{}", server.log());
            }
        }
    }
}

#[test]
fn addresses_of_ones_own_network_are_refused_unless_allowed() {
    for (receiver, says) in [
        ("webhook: {url: 'http://127.0.0.1:9/'}", "127.0.0.1 is this machine"),
        ("webhook: {url: 'http://[::ffff:10.0.0.1]/'}", "10.0.0.1 is a private address"),
        ("alertmanager: {urls: ['http://169.254.169.254/']}", "a link-local address"),
        ("slack: {url: 'ftp://example.org/'}", "begins with https://"),
        ("pagerduty: {routing_key: short}", "it has 32 characters"),
        ("webhook: {url: 'https://example.org', sekret: x}", "did you mean secret?"),
        ("webhook: {url: 'https://example.org', template: '{{ notice.title'}", "template:"),
        ("email: {host: mail.example.org, from: a@example.org, to: [nobody]}", "no address of a mailbox"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, format!("alert:\n  receivers:\n    - name: x\n      {receiver}\n")).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .arg("check-config")
            .arg("--config")
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{receiver}: {text}");
        assert!(text.contains("alert.receivers (x)") && text.contains(says), "{receiver}: {text}");
    }
}

/// A program of somebody else's; ends with the test.
struct Peer(std::process::Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_real_alertmanager_receives_groups_and_resolves() {
    let dir = tempfile::tempdir().unwrap();
    let hook = Hook::start(|_| Answer::Status(200));
    let config = dir.path().join("am.yml");
    let text = format!(
        "route: {{receiver: h, group_by: [alertname], group_wait: 1s, group_interval: 1s}}\n\
         receivers: [{{name: h, webhook_configs: [{{url: '{}', send_resolved: true}}]}}]\n",
        hook.url()
    );
    std::fs::write(&config, text).unwrap();
    let port = free_port();
    let started = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.path().display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(child) = started else {
        assert!(std::env::var_os("LOGHOUND_REQUIRE_CLIENTS").is_none(), "prometheus-alertmanager is not installed");
        eprintln!("SKIPPED: prometheus-alertmanager is not installed; tests/clients/setup.sh says how");
        return;
    };
    let _alertmanager = Peer(child);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    eventually(Duration::from_secs(30), || http::get(address, "/-/ready").map(drop).map_err(|err| err.to_string()));
    let server =
        start(&format!("receivers: [{{name: am, alertmanager: {{urls: ['http://127.0.0.1:{port}']}}}}]\n{BOOM}"));
    send(&server, "checkout", &boom(2));
    send(&server, "cart", &boom(2));
    let firing = || {
        let (_, body) = http::get(address, "/api/v2/alerts?active=true").unwrap();
        serde_json::from_slice::<Value>(&body).unwrap().as_array().cloned().unwrap_or_default()
    };
    eventually(Duration::from_secs(30), || if firing().len() == 2 { Ok(()) } else { Err(format!("{:?}", firing())) });
    let alert = &firing()[0];
    assert_eq!((&alert["labels"]["alertname"], &alert["labels"]["severity"]), (&json!("booms"), &json!("critical")));
    assert!(alert["annotations"]["lines"].as_str().unwrap().contains("boom number 0"), "{alert}");
    // Both are one group there, and both end.
    eventually(Duration::from_secs(60), || {
        let last = hook.taken().last().map(Received::json).unwrap_or_default();
        let alerts = last["alerts"].as_array().map_or(0, Vec::len);
        if last["status"] == "resolved" { Ok(()) } else { Err(format!("{} with {alerts} alerts", last["status"])) }
    });
    let most = hook.taken().iter().map(|message| message.json()["alerts"].as_array().map_or(0, Vec::len)).max();
    assert_eq!((most, firing().len()), (Some(2), 0));
}

#[test]
fn a_mail_server_receives_a_thread() {
    let clients = std::env::var("LOGHOUND_CLIENTS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients").to_owned());
    let own = format!("{clients}/python/bin/python");
    let python = if std::path::Path::new(&own).exists() { own } else { "python3".to_owned() };
    let has = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(std::process::Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("LOGHOUND_REQUIRE_CLIENTS").is_none(), "aiosmtpd is not installed");
        eprintln!("SKIPPED: aiosmtpd is not installed; tests/clients/setup.sh says how");
        return;
    }
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let log = dir.path().join("mail");
    let child = Command::new(&python)
        .args([
            "-u",
            "-m",
            "aiosmtpd",
            "-n",
            "-l",
            &format!("127.0.0.1:{port}"),
            "-c",
            "aiosmtpd.handlers.Debugging",
            "stdout",
        ])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let _smtp = Peer(child);
    eventually(Duration::from_secs(30), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|err| err.to_string())
    });
    let server = start(&format!(
        "receivers: [{{name: m, email: {{host: 127.0.0.1, port: {port}, tls: none, from: l@example.org, to: [ops@example.org]}}}}]\n{BOOM}"
    ));
    send(&server, "checkout", &boom(2));
    eventually(Duration::from_secs(60), || {
        let text = std::fs::read_to_string(&log).unwrap();
        let there =
            ["Subject: [critical] booms:", "Subject: resolved: booms:", "> boom number 0", "To: ops@example.org"];
        match there.iter().find(|part| !text.contains(*part)) {
            None => Ok(()),
            Some(part) => Err(format!("no {part:?} in {text}\n{}", server.log())),
        }
    });
}
