//! The real Lumberjack clients of tests/clients: installed once, started with events on their standard input.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Certificates;

/// A client that is installed.
pub struct Client {
    name: &'static str,
    command: Vec<PathBuf>,
}

/// The client of that name, or `None` after saying loudly that it is skipped. With `LOGHOUND_REQUIRE_CLIENTS=1` a
/// missing client is a failure.
pub fn client(name: &'static str) -> Option<Client> {
    let directory = installed();
    let command = match name {
        "go-lumber" => vec![directory.join("lumber-client")],
        "pylogbeat" => vec![directory.join("python/bin/python"), sources().join("python/send.py")],
        "elastic" => vec![directory.join("python/bin/python"), sources().join("python/elastic.py")],
        "push" => vec![directory.join("python/bin/python"), sources().join("python/push.py")],
        "lumberjack-client" => vec!["node".into(), directory.join("node/v2.js")],
        "lumberjack-protocol" => vec!["node".into(), directory.join("node/v1.js")],
        _ => panic!("there is no client {name}"),
    };
    let present = command.iter().all(|part| *part == Path::new("node") || part.exists());
    if present && works(&command) {
        return Some(Client { name, command });
    }
    let required = std::env::var("LOGHOUND_REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
    assert!(!required, "{name} is not installed and LOGHOUND_REQUIRE_CLIENTS=1: see tests/clients/setup.sh");
    eprintln!("SKIPPED {name}: not installed, see tests/clients/setup.sh");
    None
}

impl Client {
    /// Sends the events and waits until the client says that all are acknowledged.
    pub fn send(&self, to: SocketAddr, arguments: &[&str], tls: Option<&Certificates>, events: &[Vec<u8>]) {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(["--to", &to.to_string()]).args(arguments);
        if let Some(tls) = tls {
            command.arg("--tls").arg("--ca").arg(&tls.ca);
            command.arg("--cert").arg(&tls.client.0).arg("--key").arg(&tls.client.1);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = events.join(&b'\n');
        let feed = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {arguments:?}: {}\n{said}{complained}", self.name, output.status);
        feed.join().unwrap().unwrap();
        let expected = format!("\"events\":{}", events.len());
        assert!(said.replace(": ", ":").contains(&expected), "{} says {said}", self.name);
    }
}

/// Runs a client with these arguments; gives its last line.
pub fn run_client(client: &Client, arguments: &[&str]) -> String {
    let mut command = Command::new(&client.command[0]);
    let output = command.args(&client.command[1..]).args(arguments).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}: {}\n{said}{complained}", client.name, output.status);
    said.trim_end().lines().last().unwrap_or_default().to_owned()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The directory the clients are installed in, after installing them.
fn installed() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // Beside the binary under test: .../target/debug/loghound → .../target/clients.
        let target = Path::new(env!("CARGO_BIN_EXE_loghound")).ancestors().nth(2).unwrap().to_owned();
        let directory = std::env::var_os("LOGHOUND_CLIENTS").map_or_else(|| target.join("clients"), PathBuf::from);
        let status = Command::new("sh").arg(sources().join("setup.sh")).arg(&directory).status();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            eprintln!("tests/clients/setup.sh: {status:?}");
        }
        directory
    })
}

/// Whether the program can be started at all.
fn works(command: &[PathBuf]) -> bool {
    let version = if command[0].ends_with("lumber-client") { "-help" } else { "--version" };
    Command::new(&command[0]).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
