//! Real Lumberjack clients send the corpus; every line comes back out of a search, each once.
//! A client somebody wrote elsewhere, with its own idea of the protocol, belongs here.

mod common;

use std::time::Duration;

use common::{Certificates, LogFile, Server, TLS_CONFIG, client, corpus_lines};

const SEARCHABLE: Duration = Duration::from_secs(30);

/// All text lines of the two hot formats.
fn lines() -> Option<Vec<String>> {
    Some([corpus_lines("klog")?, corpus_lines("envoy")?].concat())
}

fn check(server: &Server, host: &str, lines: &[String]) {
    server.wait_for_lines(&format!("host.name:\"{host}\""), lines, SEARCHABLE);
}

#[test]
fn go_lumber_sends_the_corpus() {
    let (Some(lines), Some(client)) = (lines(), client("go-lumber")) else { return };
    let server = Server::start();
    for (host, arguments) in [
        ("go-sync", &["-pipeline", "0", "-window", "500"][..]),
        ("go-async", &["-pipeline", "2", "-window", "2048"]),
        ("go-bare", &["-compress", "0", "-window", "100"]),
        ("go-best", &["-compress", "9", "-window", "1600"]),
        ("go-single", &["-pipeline", "5", "-window", "7"]),
    ] {
        client.send(server.beats, arguments, None, &LogFile::new(host).events(&lines));
        check(&server, host, &lines);
    }
    let klog = server.search("host.name:go-sync AND grammar:klog AND level:E", 1, None);
    assert!(klog["total"].as_u64() > Some(0), "no klog line was parsed: {klog}");
    let envoy = server.search("host.name:go-sync AND grammar:envoy AND response_code:>=500", 1, None);
    assert!(envoy["total"].as_u64() > Some(0), "no Envoy line was parsed: {envoy}");
}

#[test]
fn what_go_lumber_sends_twice_is_there_once() {
    let (Some(lines), Some(client)) = (lines(), client("go-lumber")) else { return };
    let server = Server::start();
    // The same bytes again, as after a lost ack; in other windows, as after a change of bulk_max_size.
    let events = LogFile::new("go-twice").events(&lines[..1000]);
    for window in ["1000", "300"] {
        client.send(server.beats, &["-window", window], None, &events);
    }
    check(&server, "go-twice", &lines[..1000]);
}

#[test]
fn pylogbeat_sends_the_corpus() {
    let (Some(lines), Some(client)) = (lines(), client("pylogbeat")) else { return };
    let server = Server::start();
    client.send(server.beats, &["--window", "300"], None, &LogFile::new("python").events(&lines));
    check(&server, "python", &lines);
}

#[test]
fn lumberjack_client_sends_the_corpus() {
    let (Some(lines), Some(client)) = (lines(), client("lumberjack-client")) else { return };
    let server = Server::start();
    let some: Vec<String> = lines.iter().step_by(16).cloned().collect();
    client.send(server.beats, &[], None, &LogFile::new("node").events(&some));
    check(&server, "node", &some);
}

#[test]
fn all_of_them_speak_tls_and_show_a_certificate() {
    let Some(lines) = lines() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(scratch.path());
    let config = TLS_CONFIG
        .replace("{certificate}", &certificates.server.0.to_string_lossy())
        .replace("{key}", &certificates.server.1.to_string_lossy())
        .replace("{ca}", &certificates.ca.to_string_lossy());
    let path = scratch.path().join("loghound.yaml");
    std::fs::write(&path, config).unwrap();
    // Version 1's frames are flat: no host to tell the clients apart, so each has a server of its own.
    for (name, arguments, count) in [
        ("go-lumber", &["-window", "100"][..], 1000),
        ("pylogbeat", &["--window", "100"], 1000),
        ("lumberjack-client", &[], 100),
        ("lumberjack-protocol", &["--window", "50"], 500),
    ] {
        let Some(client) = client(name) else { continue };
        let server = Server::start_with(None, &["--config", &path.to_string_lossy()]);
        let some: Vec<String> = lines.iter().step_by(lines.len() / count).take(count).cloned().collect();
        client.send(server.beats, arguments, Some(&certificates), &LogFile::new(name).events(&some));
        server.wait_for_lines("*", &some, SEARCHABLE);
    }
}
