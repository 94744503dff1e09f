//! `loghound serve`, started on free ports, killed, and started again where it was.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{http, same_lines};

/// TLS on the Beats port, as a configuration file says it; `{certificate}`, `{key}` and `{ca}` are filled in.
pub const TLS_CONFIG: &str = "\
beats:
  tls:
    certificate: {certificate}
    key: {key}
    client_ca: {ca}
";

/// How long a start may take, recovery included.
const START: Duration = Duration::from_secs(60);
/// Records a page: the API's largest.
const PAGE: usize = 10_000;

pub struct Server {
    child: Child,
    pub beats: SocketAddr,
    pub http: SocketAddr,
    pub data_dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// What the program says about itself, over all its starts.
    log: PathBuf,
    scratch: TempDir,
}

impl Server {
    /// On a temporary directory.
    pub fn start() -> Self {
        Self::start_with(None, &[])
    }

    /// On this data directory, or a temporary one, with further arguments.
    pub fn start_with(data_dir: Option<&Path>, arguments: &[&str]) -> Self {
        Self::start_in(data_dir, arguments, &[])
    }

    /// The same with variables set for the process.
    pub fn start_in(data_dir: Option<&Path>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let data_dir = data_dir.map_or_else(|| scratch.path().join("data"), Path::to_owned);
        let log = scratch.path().join("serve.log");
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let any = "127.0.0.1:0".parse().unwrap();
        let (child, beats, http) = spawn(&data_dir, any, any, &arguments, &environment, &log);
        let server = Self { child, beats, http, data_dir, arguments, environment, log, scratch };
        server.wait_ready();
        server
    }

    /// SIGKILL, as a power cut would: no handler runs, nothing is flushed.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same ports and directory, after [`Self::kill9`].
    pub fn restart(&mut self) {
        let (child, beats, http) =
            spawn(&self.data_dir, self.beats, self.http, &self.arguments, &self.environment, &self.log);
        (self.child, self.beats, self.http) = (child, beats, http);
        self.wait_ready();
    }

    /// SIGTERM, and the exit it leads to.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Whether the process that was started is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the program wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A place for a test's own files.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A JSON answer of the API, whatever its status.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = http::get(self.http, path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log()));
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (status, value)
    }

    /// An answer of the API that is text.
    pub fn text(&self, path: &str) -> String {
        let (_, body) = http::get(self.http, path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log()));
        String::from_utf8(body).unwrap()
    }

    /// One page of a search: the answer.
    pub fn search(&self, query: &str, limit: usize, cursor: Option<&str>) -> Value {
        let mut path = format!("/api/v1/search?q={}&limit={limit}", http::escaped(query));
        if let Some(cursor) = cursor {
            path.push_str(&format!("&cursor={}", http::escaped(cursor)));
        }
        let (status, answer) = self.get(&path);
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }

    /// Every record of a query, page by page.
    pub fn records(&self, query: &str) -> Vec<Value> {
        let mut records = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut answer = self.search(query, PAGE, cursor.as_deref());
            let Some(hits) = answer["hits"].as_array_mut() else { panic!("no hits in {answer}") };
            let some = !hits.is_empty();
            records.append(hits);
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || !some {
                return records;
            }
        }
    }

    /// The `message` of every record of a query.
    pub fn messages(&self, query: &str) -> Vec<String> {
        self.records(query).iter().map(|r| r["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until exactly these lines are found by the query, each as often as given.
    pub fn wait_for_lines(&self, query: &str, lines: &[impl AsRef<str>], within: Duration) {
        let expected = super::counted(lines);
        // Counting is cheap, fetching is not: fetch when the number is right, and at last in any case.
        let deadline = Instant::now() + within;
        loop {
            let total = self.search(query, 0, None)["total"].as_u64().unwrap_or(0);
            let late = Instant::now() >= deadline;
            if total >= lines.len() as u64 || late {
                let found = super::counted(self.messages(query));
                match same_lines(&expected, &found) {
                    Ok(()) => return,
                    Err(difference) if late => panic!("{query}: {total} records.\n{difference}\n{}", self.log()),
                    // One too many does not go away.
                    Err(difference) if total > lines.len() as u64 => panic!("{query}: {difference}\n{}", self.log()),
                    Err(_) => {}
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_ready(&self) {
        super::eventually(START, || match http::get(self.http, "/readyz") {
            Ok((200, _)) => Ok(()),
            Ok((status, _)) => Err(format!("/readyz answers {status}\n{}", self.log())),
            Err(error) => Err(format!("/readyz: {error}\n{}", self.log())),
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    data_dir: &Path,
    beats: SocketAddr,
    http: SocketAddr,
    arguments: &[String],
    environment: &[(String, String)],
    log: &Path,
) -> (Child, SocketAddr, SocketAddr) {
    let stderr = File::options().create(true).append(true).open(log).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_loghound"))
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--beats", &beats.to_string(), "--http", &http.to_string()])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    // Reads to the end, so that the program never waits for a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let (mut beats, mut http) = (None, None);
    let deadline = Instant::now() + START;
    while beats.is_none() || http.is_none() {
        let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "loghound serve did not say where it listens ({status:?})\n{}",
                std::fs::read_to_string(log).unwrap()
            );
        };
        let mut words = line.split_whitespace();
        let name = words.next();
        let address = words.next_back().and_then(|word| word.parse().ok());
        match name {
            Some("beats") => beats = beats.or(address),
            Some("http") => http = http.or(address),
            _ => {}
        }
    }
    (child, beats.unwrap(), http.unwrap())
}
