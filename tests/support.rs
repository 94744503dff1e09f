//! `loghound support-bundle`: secrets are planted wherever a secret can be, and words in records; the bundle has none of them, and
//! has what it promises.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use common::{Server, http};
use serde_json::Value;

/// Every planted secret has this in it.
const PLANTED: &str = "pl4nted";
/// And every record this.
const RECORD: &str = "r3cordword";

/// Every key that takes a secret, with one in each place of it.
const CONFIG: &str = "\
redact: [token, '/pl4nted-mask-(\\d+)/']
http:
  tokens:
    - {name: admin, role: admin, file: admin.token}
    - {name: reader, role: read, sha256: 0123456789abcdef0123456789abcdef0123456789abcdef01234567cafe7777}
alert:
  external_url: 'https://me:pl4nted-url@logs.example.org/?k=pl4nted-query'
  receivers:
    - {name: hook, webhook: {url: 'https://example.org/pl4nted-path', bearer: pl4nted-bearer, template: 'pl4nted-template'}}
    - {name: signed, webhook: {url: 'https://example.org/', secret: 'whsec_cGw0bnRlZHBsNG50ZWRwbDRudGVkcGw0bnRlZA==', secret_next: {file: next.secret}}}
    - {name: github, webhook: {url: 'https://example.org/', signature: github, secret: {env: HOOK_SECRET}}}
    - {name: am, alertmanager: {urls: ['https://me:pl4nted-am@am.example.org'], bearer: pl4nted-am-bearer}}
    - {name: pd, pagerduty: {routing_key: pl4ntedpl4ntedpl4ntedpl4ntedpl4n}}
    - {name: sl, slack: {url: 'https://hooks.slack.com/services/T/B/pl4nted-slack'}}
    - {name: te, teams: {url: 'https://example.org/workflows/pl4nted-teams'}}
    - {name: og, opsgenie: {api_key: pl4nted-opsgenie}}
    - {name: ma, email: {host: mail.example.org, username: pl4nted-user, password: pl4nted-password, from: 'a@example.org', to: ['b@example.org']}}
  route: {receiver: hook}
  rules:
    - {name: quiet, query: {q: 'level:nothing', above: 1000}, runbook: 'https://me:pl4nted-runbook@wiki.example.org/quiet'}
";
/// What stands for a secret without its word: a base64 of it, and a hash.
const DISGUISED: [&str; 2] = ["cGw0bnRlZ", "cafe7777"];

fn unpacked(bundle: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let file = std::fs::File::open(bundle).unwrap();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        all.insert(name.trim_start_matches("loghound-support/").to_owned(), text);
    }
    all
}

#[test]
fn a_bundle_has_what_helps_and_nothing_secret() {
    let house = tempfile::tempdir().unwrap();
    let at = |name: &str| house.path().join(name);
    std::fs::write(at("admin.token"), format!("{PLANTED}-admin-token")).unwrap();
    std::fs::write(at("next.secret"), "whsec_cGw0bnRlZHBsNG50ZWRwbDRudGVkcGw0bnRlZA==").unwrap();
    let config = CONFIG
        .replace("admin.token", &at("admin.token").to_string_lossy())
        .replace("next.secret", &at("next.secret").to_string_lossy());
    std::fs::write(at("loghound.yaml"), config).unwrap();
    let config = at("loghound.yaml");
    let server = Server::start_in(None, &["--config", &config.to_string_lossy()], &[("HOOK_SECRET", "pl4nted-env")]);
    // A record, one that nobody can read, and what the server says about itself.
    let token = format!("Authorization: Bearer {PLANTED}-admin-token\r\n");
    let body = format!("{{\"message\":\"{RECORD} came\",\"user\":\"{RECORD}\"}}\n");
    let taken = http::request(server.http, "POST", "/insert/jsonline?refresh=true", &token, body.as_bytes()).unwrap();
    assert_eq!(taken.0, 200, "{}", String::from_utf8_lossy(&taken.1));
    let letters = server.data_dir.join("dead-letters");
    let letter = format!(
        "{{\"position\":1,\"index\":0,\"received_at\":\"2026-11-24T01:02:03Z\",\"peer\":\"x\",\"reason\":\"not JSON: {RECORD}\",\"body_base64\":\"{RECORD}\"}}\n"
    );
    std::fs::create_dir_all(&letters).unwrap();
    std::fs::write(letters.join("00000007.ndjson"), letter).unwrap();
    let log = format!(
        "{}2026-11-24T01:00:01Z  WARN loghound::ingest::beats: closing password={PLANTED} peer=\"10.0.0.1\"\n\
         2026-11-24T01:00:02Z  INFO loghound::pipeline::detecting: anomaly: {RECORD}\n",
        server.log()
    );
    std::fs::write(at("serve.log"), log).unwrap();

    let made = |more: &[&str], out: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["support-bundle", "--out", &at(out).to_string_lossy(), "--config", &config.to_string_lossy()])
            .args(["--data-dir", &server.data_dir.to_string_lossy(), "--log", &at("serve.log").to_string_lossy()])
            .args(more)
            .env("HOOK_SECRET", "pl4nted-env")
            .env("LOGHOUND_HTTP_QUERIES_MAX", "5")
            .env("LOGHOUND_TOKEN", format!("{PLANTED}-admin-token"))
            .env(
                "LOGHOUND_KAFKA_INPUTS",
                "[{name: k, brokers: ['pl4nted:9092'], topics: [a], properties: {sasl.password: pl4nted}}]",
            )
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        unpacked(&at(out))
    };
    let files = made(&["--server", &format!("http://{}", server.http)], "one.tar.gz");
    for (name, text) in &files {
        for word in [PLANTED, RECORD].into_iter().chain(DISGUISED) {
            assert!(!text.contains(word), "{name} has {word}:\n{text}");
        }
    }
    let json = |name: &str| {
        serde_json::from_str::<Value>(&files[name]).unwrap_or_else(|err| panic!("{name}: {err}\n{}", files[name]))
    };
    assert_eq!(json("version.json")["loghound"], env!("CARGO_PKG_VERSION"));
    assert!(files["metrics.txt"].contains("loghound_ingest_events_received_total"), "{}", files["metrics.txt"]);
    assert_eq!(json("ready.json")["ready"], true);
    assert!(files["shards.json"].contains("\"shards\""), "{}", files["shards.json"]);
    assert!(json("disk.json")["parts"].as_array().unwrap().iter().any(|part| part["name"] == "shards"));
    assert_eq!(json("dead-letters.json")["letters"], 1);
    assert!(files["log.txt"].contains("10.0.0.1"), "{}", files["log.txt"]);
    let set = &json("configuration.json")["set"];
    let value = |key: &str| {
        set.as_array().unwrap().iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("{key}: {set}"))["value"]
            .clone()
    };
    assert_eq!(value("http.queries_max"), "5");
    assert_eq!(value("alert.receivers").as_array().unwrap().len(), 9);
    assert_eq!(value("alert.receivers")[4]["name"], "pd");
    assert_eq!(value("http.tokens")[1]["role"], "read");
    assert_eq!(value("alert.rules")[0]["query"]["q"], "level:nothing");
    assert_eq!(value("kafka.inputs")[0]["name"], "k");

    // Of a loghound that is down there is still the rest, and what is missing says why.
    let files = made(&["--server", "http://127.0.0.1:1"], "two.tar.gz");
    assert!(files["metrics.txt"].starts_with("not there: nothing answers"), "{}", files["metrics.txt"]);
    assert!(files["disk.json"].contains("shards"));
    // A bundle is for its owner alone, and none is written over.
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(at("two.tar.gz")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["support-bundle", "--out", &at("two.tar.gz").to_string_lossy()])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("name another by --out"));
}
