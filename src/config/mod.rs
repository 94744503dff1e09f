//! What the operator said: a file, `LOGHOUND_…` variables and flags, in rising order; read whole and checked whole,
//! all problems at once, before any port opens.

mod file;
mod keys;
mod shown;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::record::When;
use crate::telemetry::LogFormat;
pub use keys::{Key, keys};
pub use shown::shown;
pub use values::{bytes, duration};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub grammars_dir: Option<PathBuf>,
    pub routes: Vec<Route>,
    /// Masks by name, or regular expressions between slashes.
    pub redact: Vec<String>,
    pub insecure: bool,
    pub beats: Beats,
    pub http: Http,
    pub kafka: Kafka,
    pub journal: Journal,
    pub store: Store,
    pub templates: Templates,
    pub detect: Detect,
    /// What operators want watched, as it is written; the room it is for reads it.
    pub jobs: Json,
    pub alert: Alert,
    pub log: Log,
    pub stop_timeout: Duration,
}

/// Sends the lines of some streams to a grammar; of several rules the first that holds counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub when: When,
    pub grammar: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beats {
    pub listen: SocketAddr,
    pub connections_max: usize,
    pub memory_bytes_max: u64,
    pub window_events_max: usize,
    pub frame_bytes_max: u64,
    pub compressed_bytes_max: u64,
    pub inflated_bytes_max: u64,
    pub idle_timeout: Duration,
    /// Zero keeps connections however old they are.
    pub connection_age_max: Duration,
    pub tls: Tls,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
    pub client_auth: Option<ClientAuth>,
    /// As it is written: names of certificates.
    pub client_names: Vec<String>,
}

impl Tls {
    /// Whether every client has to show a certificate.
    fn asks_everybody(&self) -> bool {
        self.client_ca.is_some() && !matches!(self.client_auth, Some(ClientAuth::None | ClientAuth::Optional))
    }

    fn problems(&self, key: &str, problems: &mut Vec<String>) {
        if self.certificate.is_some() != self.key.is_some() {
            problems.push(format!("{key}: certificate and key belong together: give both or none"));
        }
        if self.client_ca.is_some() && self.certificate.is_none() {
            problems.push(format!("{key}.client_ca: needs {key}.certificate and {key}.key"));
        }
        if self.client_ca.is_none() && !matches!(self.client_auth, None | Some(ClientAuth::None)) {
            problems.push(format!("{key}.client_auth: needs {key}.client_ca"));
        }
        if self.client_ca.is_none() && !self.client_names.is_empty() {
            problems.push(format!("{key}.client_names: needs {key}.client_ca"));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Optional,
    Required,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub listen: SocketAddr,
    pub tls: Tls,
    /// Who may ask; everybody without.
    pub tokens: Vec<Token>,
    pub queries_max: usize,
    pub query_timeout: Duration,
}

/// One who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    /// The room that it is for reads it.
    pub role: String,
    pub secret: TokenSecret,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSecret {
    Sha256([u8; 32]),
    /// The token itself is in this file.
    File(PathBuf),
}

/// As it is written: the room that it is for reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kafka {
    pub inputs: Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub bytes_max: u64,
    pub segment_bytes: u64,
    pub disk_reserve_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// 0 is one for each core.
    pub workers: usize,
    pub commit_interval: Duration,
    /// How long after its end a day waits for late lines before it is sealed.
    pub late_grace: Duration,
    pub warm_dir: Option<PathBuf>,
    /// From the end of a day.
    pub warm_after: Duration,
    /// What is kept for a shorter time.
    pub keep: Vec<Keep>,
    /// In whole days; 0 keeps all.
    pub retention: Duration,
    /// Bytes; 0 keeps all.
    pub bytes_max: u64,
    /// Lines from further in the future are quarantined.
    pub future_max: Duration,
}

/// Records that are kept for a shorter time than their days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// In the query language; the room that it is for reads it.
    pub query: String,
    /// From the end of a record's day.
    pub after: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    /// Bytes; 0 mines none.
    pub memory: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detect {
    /// For all series; 0 watches nothing. Bytes.
    pub memory: u64,
}

/// Who is told of what, as it is written: the room that it is for reads it, and `null` is what was not written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alert {
    pub rules: Json,
    pub receivers: Json,
    pub route: Json,
    pub time_intervals: Json,
    pub allow_addresses: Json,
    pub join_on: Json,
    pub external_url: Option<String>,
    pub canary_receiver: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./loghound-data"),
            grammars_dir: None,
            routes: Vec::new(),
            redact: Vec::new(),
            insecure: false,
            beats: Beats {
                listen: SocketAddr::from(([127, 0, 0, 1], 5044)),
                connections_max: 10_000,
                memory_bytes_max: 128 << 20,
                window_events_max: 65_536,
                frame_bytes_max: 16 << 20,
                compressed_bytes_max: 64 << 20,
                inflated_bytes_max: 256 << 20,
                idle_timeout: Duration::from_secs(300),
                connection_age_max: Duration::ZERO,
                tls: Tls::default(),
            },
            http: Http {
                listen: SocketAddr::from(([127, 0, 0, 1], 8044)),
                tls: Tls::default(),
                tokens: Vec::new(),
                queries_max: 8,
                query_timeout: Duration::from_secs(30),
            },
            kafka: Kafka::default(),
            journal: Journal { bytes_max: 8 << 30, segment_bytes: 64 << 20, disk_reserve_bytes: 256 << 20 },
            store: Store {
                workers: 0,
                commit_interval: Duration::from_secs(1),
                late_grace: Duration::from_secs(3_600),
                keep: Vec::new(),
                warm_dir: None,
                warm_after: Duration::from_secs(2 * 86_400),
                retention: Duration::from_secs(30 * 86_400),
                bytes_max: 0,
                future_max: Duration::from_secs(86_400),
            },
            templates: Templates { memory: 64 << 20 },
            detect: Detect { memory: 256 << 20 },
            jobs: Json::Null,
            alert: Alert::default(),
            log: Log { level: "info".to_owned(), format: LogFormat::Text },
            stop_timeout: Duration::from_secs(25),
        }
    }
}

/// Everything that is wrong, each with where it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Reads and checks. `environment` gives the process's variables, `flags` keys and values from the command line.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(&str, String)],
) -> Result<Config, Problems> {
    let (mut config, mut problems, keys) = (Config::default(), Vec::new(), keys());
    let mut set = |name: &str, value: &str, place: String, problems: &mut Vec<String>| {
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            let nearest = keys.iter().map(|k| (distance(k.name, name), k.name)).min();
            let advice = nearest.map(|(_, k)| format!(": did you mean {k}?")).unwrap_or_default();
            problems.push(format!("{place}: there is no key {name}{advice}"));
            return;
        };
        if let Err(problem) = (key.set)(&mut config, value) {
            problems.push(format!("{place}: {name}: {problem}"));
        }
    };
    if let Some(path) = file {
        let whole: Vec<&str> = keys.iter().filter(|key| key.list).map(|key| key.name).collect();
        match file::read(path, &whole) {
            Ok(entries) => {
                for entry in entries {
                    let place = format!("{}:{}", path.display(), entry.line);
                    let takes_list = keys.iter().any(|key| key.list && key.name == entry.key);
                    if entry.list && !takes_list {
                        problems.push(format!("{place}: {}: a single value is expected", entry.key));
                    } else {
                        set(&entry.key, &entry.value, place, &mut problems);
                    }
                }
            }
            Err(problem) => problems.push(format!("{}: {problem}", path.display())),
        }
    }
    for (name, value) in environment {
        // Variables that belong to clients and tests pass by: only those of a key are ours.
        let key = keys_of_environment(&name);
        if let Some(key) = key {
            set(key, &value, name, &mut problems);
        }
    }
    for (name, value) in flags {
        set(name, value, format!("--{}", name.replace(['.', '_'], "-")), &mut problems);
    }
    check(&config, &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

fn keys_of_environment(variable: &str) -> Option<&'static str> {
    let rest = variable.strip_prefix("LOGHOUND_")?;
    keys().into_iter().map(|key| key.name).find(|name| name.replace('.', "_").to_ascii_uppercase() == rest)
}

/// What no single value shows.
fn check(config: &Config, problems: &mut Vec<String>) {
    config.beats.tls.problems("beats.tls", problems);
    config.http.tls.problems("http.tls", problems);
    if config.journal.segment_bytes < 1 << 20 || config.journal.bytes_max < 2 * config.journal.segment_bytes {
        problems.push("journal: segment_bytes is at least 1MiB, and bytes_max holds at least two segments".to_owned());
    }
    if config.beats.memory_bytes_max < 8 << 20 {
        problems.push("beats.memory_bytes_max: less than 8MiB holds no window of Filebeat's".to_owned());
    }
    if (1..1 << 20).contains(&config.templates.memory) {
        problems.push("templates.memory: less than 1MiB knows too few templates: give more, or 0 for none".to_owned());
    }
    if config.detect.memory == 0 && !config.jobs.is_null() {
        problems
            .push("jobs: nothing is watched with detect.memory 0: give it memory, or leave the jobs out".to_owned());
    }
    if (1..4 << 20).contains(&config.detect.memory) {
        problems.push("detect.memory: less than 4MiB watches too little: give more, or 0 for nothing".to_owned());
    }
    let http_asks = !config.http.tokens.is_empty() || config.http.tls.asks_everybody();
    for (key, address, authenticated, what) in [
        ("beats.listen", config.beats.listen, config.beats.tls.asks_everybody(), "client certificates"),
        ("http.listen", config.http.listen, http_asks, "http.tokens or client certificates"),
    ] {
        if !address.ip().is_loopback() && !authenticated && !config.insecure {
            problems.push(format!(
                "{key}: {address} is open to others without authentication: listen on 127.0.0.1, ask for {what}, or accept that with --insecure"
            ));
        }
    }
}

/// Edits between two names (Levenshtein), for "did you mean".
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
