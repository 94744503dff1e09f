//! https: the command line, large bodies, strangers, silent and plain clients, and a certificate that is replaced.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Certificates, eventually};

/// A server with https, ended with the test.
struct Served {
    child: Child,
    http: SocketAddr,
    scratch: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Served {
    fn start(certificates: &Certificates, more: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let config = scratch.path().join("loghound.yaml");
        let (certificate, key) = (certificates.server.0.display(), certificates.server.1.display());
        let yaml = format!(
            "data_dir: {}\nbeats: {{listen: '127.0.0.1:0'}}\nhttp:\n  listen: 127.0.0.1:0\n  tls:\n    certificate: {certificate}\n    key: {key}\n{more}",
            scratch.path().join("data").display()
        );
        std::fs::write(&config, yaml).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["serve", "--config", &config.to_string_lossy()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines.find_map(|line| line.unwrap().strip_prefix("http   listening on ").map(str::to_owned));
        let http = listening.unwrap().parse().unwrap();
        // The rest of the banner has to be read by somebody.
        let rest: Vec<String> =
            lines.by_ref().map_while(|line| line.ok().filter(|line| !line.starts_with("try"))).collect();
        assert!(rest.iter().any(|line| line == &format!("ui     https://{http}/")), "{rest:?}");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, http, scratch }
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loghound"));
        command.args(arguments).args(["--server", &format!("https://{}", self.http)]);
        for (name, value) in environment {
            command.env(name, value);
        }
        command.output().unwrap()
    }

    fn is_ready(&self, ca: &Path) -> Result<(), String> {
        let output = self.run(&["ready", "--ca", &ca.to_string_lossy()], &[]);
        output.status.success().then_some(()).ok_or_else(|| said(&output))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A PEM file of certificate and key.
fn identity(at: &Path, (certificate, key): &(PathBuf, PathBuf)) -> PathBuf {
    let path = at.join("identity.pem");
    let both = [std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap()].concat();
    std::fs::write(&path, both).unwrap();
    path
}

#[test]
fn the_command_line_and_large_bodies_by_https() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(dir.path());
    let served = Served::start(&certificates, "");
    eventually(Duration::from_secs(30), || served.is_ready(&certificates.ca));

    // 12 MB in one request, through a client that has never heard of loghound.
    let body: String = (0..60_000).map(|n| format!("{{\"message\":\"line {n} {}\"}}\n", "x".repeat(160))).collect();
    let pem = reqwest::Certificate::from_pem(&std::fs::read(&certificates.ca).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([pem]).build().unwrap();
        let url = format!("https://{}/insert/jsonline", served.http);
        client.post(url).body(body).send().await.unwrap().status()
    });
    assert!(status.is_success(), "{status}");
    eventually(Duration::from_secs(30), || {
        let arguments = ["query", "*", "--export", "--output", "ndjson"];
        let output = served.run(&arguments, &[("LOGHOUND_CA", &certificates.ca)]);
        let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
        if lines == 60_000 { Ok(()) } else { Err(format!("{lines} lines; {}", said(&output))) }
    });

    let untrusted = served.run(&["ready"], &[]);
    assert!(!untrusted.status.success() && said(&untrusted).contains("--ca FILE"), "{}", said(&untrusted));
}

#[test]
fn silent_and_plain_clients_harm_nobody_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(dir.path());
    let served = Served::start(&certificates, "");
    let mut silent: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(served.http).unwrap()).collect();
    // Half of them begin a handshake.
    silent.iter_mut().step_by(2).for_each(|socket| socket.write_all(b"\x16\x03\x01").unwrap());
    eventually(Duration::from_secs(30), || served.is_ready(&certificates.ca));

    let mut plain = TcpStream::connect(served.http).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", text.len())) && text.contains("https://"), "{answer}");
    let output = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .args(["shards", "list", "--server", &format!("http://{}", served.http)])
        .output()
        .unwrap();
    assert!(said(&output).contains("https://"), "{}", said(&output));
}

#[test]
fn only_listed_names_of_known_authorities_may_ask() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(dir.path());
    let asks = |names: &str| format!("    client_ca: {}\n    client_names: [{names}]\n", certificates.ca.display());
    let served = Served::start(&certificates, &asks("client"));
    let shown = identity(served.scratch.path(), &certificates.client);
    let ready = |served: &Served, shows: &[(&str, &Path)]| {
        let output = served.run(&["ready", "--ca", &certificates.ca.to_string_lossy()], shows);
        output.status.success().then_some(()).ok_or_else(|| said(&output))
    };
    eventually(Duration::from_secs(30), || ready(&served, &[("LOGHOUND_IDENTITY", &shown)]));
    assert!(ready(&served, &[]).is_err());

    let other = Served::start(&certificates, &asks("somebody-else"));
    for shows in [&[][..], &[("LOGHOUND_IDENTITY", shown.as_path())]] {
        assert!(ready(&other, shows).is_err());
    }
}

#[test]
fn a_replaced_certificate_is_used_at_once() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (Certificates::write(dirs.0.path()), Certificates::write(dirs.1.path()));
    let old_ca = dirs.0.path().join("old-ca.pem");
    std::fs::copy(&old.ca, &old_ca).unwrap();
    let served = Served::start(&old, "");
    eventually(Duration::from_secs(30), || served.is_ready(&old_ca));
    assert!(served.is_ready(&new.ca).is_err());
    std::fs::copy(&new.server.0, &old.server.0).unwrap();
    std::fs::copy(&new.server.1, &old.server.1).unwrap();
    let pid = rustix::process::Pid::from_child(&served.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    eventually(Duration::from_secs(30), || served.is_ready(&new.ca));
    assert!(served.is_ready(&old_ca).is_err());
}
