//! `loghound serve`: reads the configuration, starts the program, says where it listens and what to try next.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::api::access::{Access, Role, Token};
use crate::config::{ClientAuth, Config, Tls, TokenSecret};
use crate::decode::DedupeLimits;
use crate::ingest::beats;
use crate::ingest::frame::Limits;
use crate::ingest::tls::{ClientAuthentication, Name, TlsFiles};
use crate::pipeline::Addresses;
use crate::{api, pipeline, store, telemetry};

#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// A configuration file (YAML).
    #[arg(long, value_name = "FILE", env = "LOGHOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where Filebeat's output.logstash connects.
    #[arg(long, value_name = "ADDR")]
    pub beats: Option<String>,
    /// Where the API listens.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Listen on addresses other than loopback without authentication.
    #[arg(long)]
    pub insecure: bool,
}

impl Args {
    /// The configuration that file, environment and these flags make; all its problems as one [`super::Usage`].
    pub fn load(&self) -> anyhow::Result<crate::config::Config> {
        let mut flags = Vec::new();
        if let Some(data_dir) = &self.data_dir {
            flags.push(("data_dir", data_dir.display().to_string()));
        }
        flags.extend(self.beats.clone().map(|addr| ("beats.listen", addr)));
        flags.extend(self.http.clone().map(|addr| ("http.listen", addr)));
        if self.insecure {
            flags.push(("insecure", "true".to_owned()));
        }
        // A variable that is no text is none of ours.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        crate::config::load(self.config.as_deref(), environment, &flags)
            .map_err(|problems| super::Usage(format!("the configuration cannot be used:\n{problems}")).into())
    }
}

const BEATS_DEFAULT: u16 = 5044;
const HTTP_DEFAULT: u16 = 8044;

/// What is printed once both ports are open. Programs wait for its first two lines: keep them as they are.
/// `program` is how this program was called, so that the commands can be pasted.
pub fn banner(at: &Addresses, data_dir: &Path, program: &str) -> String {
    let Addresses { beats, http, scheme } = *at;
    let beats_here = reachable(beats);
    let http_here = format!("{scheme}://{}", reachable(http));
    let is_default = scheme == "http" && http.port() == HTTP_DEFAULT;
    let server = if is_default { String::new() } else { format!(" --server {http_here}") };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "beats  listening on {beats}\n\
         http   listening on {http}\n\
         data   {}\n\
         ui     {http_here}/\n\
         \n\
         try next:\n\
         \x20 {program} ship --to {beats_here} FILE\n\
         \x20 {program} query{server} 'level:E OR response_code:>=500'\n\
         \x20 curl '{http_here}/api/v1/search?q=level:E&limit=10'\n",
        data_dir.display()
    );
    if beats.port() != BEATS_DEFAULT && beats.ip().is_loopback() {
        let _ = writeln!(text, "\nFilebeat:  output.logstash.hosts: [\"{beats}\"]");
    }
    text
}

/// The address under which a listener on all addresses is reached from this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(a) if a.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], a.port())),
        SocketAddr::V6(a) if a.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, a.port())),
        addr => addr,
    }
}

/// How this program was called.
pub fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "loghound".to_owned())
}

/// Runs until SIGTERM or an interrupt.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.load()?;
    telemetry::init_logs(&config.log.level, config.log.format)?;
    let data_dir = config.data_dir.clone();
    let grammars = super::grammars::open(&config)?;
    let mut settings = pipeline::Settings {
        redactor: super::grammars::redactor(&config)?.map(Arc::new),
        alert: super::alerts::open(&config)?,
        jobs: jobs(&config)?,
        keep: keep(&config)?,
        kafka_inputs: kafka_inputs(&config)?,
        beats_tls: tls("beats.tls", &config.beats.tls)?,
        http_tls: tls("http.tls", &config.http.tls)?,
        ..settings(&config)
    };
    settings.api.access = access(&config)?;
    pipeline::run(settings, grammars, |at| {
        // Where nobody reads standard output, the ports are open all the same.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(banner(at, &data_dir, &program()).as_bytes());
        let _ = stdout.flush();
    })?;
    Ok(())
}

/// A listener's TLS, if it has any.
pub(super) fn tls(key: &str, tls: &Tls) -> Result<Option<TlsFiles>, super::Usage> {
    let Some((certificate, private)) = tls.certificate.clone().zip(tls.key.clone()) else { return Ok(None) };
    let names = tls.client_names.iter().map(|name| Name::read(name)).collect::<Result<_, _>>();
    Ok(Some(TlsFiles {
        certificate,
        key: private,
        client_authentication: match (tls.client_auth, &tls.client_ca) {
            (Some(ClientAuth::None), _) | (None, None) => ClientAuthentication::None,
            (Some(ClientAuth::Optional), _) => ClientAuthentication::Optional,
            (Some(ClientAuth::Required), _) | (None, Some(_)) => ClientAuthentication::Required,
        },
        certificate_authorities: tls.client_ca.iter().cloned().collect(),
        client_names: names.map_err(|problem| super::Usage(format!("{key}.client_names: {problem}")))?,
    }))
}

/// Kafka's inputs, checked whole; all problems as one [`super::Usage`].
pub(super) fn kafka_inputs(config: &Config) -> anyhow::Result<Vec<crate::ingest::kafka::Settings>> {
    crate::ingest::kafka::read(&config.kafka.inputs)
        .map_err(|problems| super::Usage(format!("the configuration cannot be used:\n{}", problems.join("\n"))).into())
}

/// The configuration in the words of the rooms it is for.
pub(super) fn settings(config: &Config) -> pipeline::Settings {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    pipeline::Settings {
        data_dir: config.data_dir.clone(),
        beats_listen: config.beats.listen.to_string(),
        beats: beats::Settings {
            limits: Limits {
                window_events_max: config.beats.window_events_max as u32,
                frame_bytes_max: config.beats.frame_bytes_max as usize,
                compressed_bytes_max: config.beats.compressed_bytes_max as usize,
                inflated_bytes_max: config.beats.inflated_bytes_max as usize,
                ..Limits::default()
            },
            connections_max: config.beats.connections_max,
            memory_budget: config.beats.memory_bytes_max as usize,
            idle_timeout: config.beats.idle_timeout,
            age_max: Some(config.beats.connection_age_max).filter(|age| !age.is_zero()),
            ..Default::default()
        },
        beats_tls: None,
        http_tls: None,
        http_listen: config.http.listen.to_string(),
        api: api::Settings {
            queries_max: config.http.queries_max,
            query_time_max: config.http.query_timeout,
            request_time_max: config.http.query_timeout + Duration::from_secs(10),
            ..Default::default()
        },
        journal_bytes_max: config.journal.bytes_max,
        journal_segment_bytes: config.journal.segment_bytes,
        journal_disk_reserve_bytes: config.journal.disk_reserve_bytes,
        store: store_options(&config.store),
        keep: Vec::new(),
        templates_bytes_max: config.templates.memory as usize,
        model_version: std::env::var("LOGHOUND_MODEL_VERSION").ok().filter(|version| !version.is_empty()),
        detect_bytes_max: config.detect.memory as usize,
        alert: crate::alert::Settings::default(),
        jobs: Vec::new(),
        redactor: None,
        kafka_inputs: Vec::new(),
        workers: if config.store.workers == 0 { cores } else { config.store.workers },
        commit_interval: config.store.commit_interval,
        dedupe: DedupeLimits::default(),
        live_bytes_max: LIVE_BYTES_MAX,
        shutdown_deadline: config.stop_timeout,
        is_copy: false,
    }
}

/// Who may ask.
pub(super) fn access(config: &Config) -> Result<Access, super::Usage> {
    let tokens = config.http.tokens.iter().map(|token| {
        let wrong = |what: String| super::Usage(format!("http.tokens: {}: {what}", token.name));
        let role = Role::named(&token.role)
            .ok_or_else(|| wrong(format!("{:?} is no role: write ingest, read or admin", token.role)))?;
        let sha256 = match &token.secret {
            TokenSecret::Sha256(hash) => *hash,
            TokenSecret::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
                match text.trim() {
                    short if short.len() < 16 => {
                        return Err(wrong(format!("{} holds less than 16 characters", path.display())));
                    }
                    token => api::access::hash(token),
                }
            }
        };
        Ok(Token { name: token.name.clone(), role, sha256 })
    });
    Ok(Access::new(tokens.collect::<Result<_, super::Usage>>()?))
}

/// The configuration's `jobs`, checked whole; all problems as one.
pub(super) fn jobs(config: &Config) -> Result<Vec<crate::detect::JobSpec>, super::Usage> {
    let check = |text: &str| crate::query::parse(text).map(drop).map_err(|error| error.to_string());
    crate::detect::JobSpec::list(&config.jobs, &check)
        .map_err(|problems| super::Usage(format!("the configuration cannot be used:\n{}", problems.join("\n"))))
}

/// The queries of `store.keep`, read.
pub(super) fn keep(config: &Config) -> Result<Vec<pipeline::Keep>, super::Usage> {
    let keep = config.store.keep.iter().map(|keep| {
        let after_nanos = i64::try_from(keep.after.as_nanos()).unwrap_or(i64::MAX);
        pipeline::Keep::new(keep.query.clone(), after_nanos)
            .map_err(|error| super::Usage(format!("store.keep: {}", error.render(&keep.query))))
    });
    keep.collect()
}

/// Received batches that wait for a worker in memory; further ones wait in the journal. Bytes.
const LIVE_BYTES_MAX: usize = 48 << 20;

fn store_options(config: &crate::config::Store) -> store::Options {
    const DAY: u64 = 86_400;
    // A day is kept or not: what is said in hours is rounded up.
    let days = u32::try_from(config.retention.as_secs().div_ceil(DAY)).unwrap_or(u32::MAX);
    let days = (days > 0).then_some(days);
    let ahead_nanos = i64::try_from(config.future_max.as_nanos()).unwrap_or(i64::MAX);
    let late_grace_nanos = i64::try_from(config.late_grace.as_nanos()).unwrap_or(i64::MAX);
    let after_nanos = i64::try_from(config.warm_after.as_nanos()).unwrap_or(i64::MAX);
    store::Options {
        warm: config.warm_dir.clone().map(|dir| store::WarmOptions { dir, after_nanos }),
        late_grace_nanos,
        believable: store::Believable { days, ahead_nanos },
        retention: store::Retention { days, bytes_max: (config.bytes_max > 0).then_some(config.bytes_max) },
        ..store::Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_tells_where_and_what_next() {
        let at = |beats: &str, http: &str, scheme| Addresses {
            beats: beats.parse().unwrap(),
            http: http.parse().unwrap(),
            scheme,
        };
        let text = banner(&at("127.0.0.1:5044", "127.0.0.1:8044", "http"), Path::new("./loghound-data"), "loghound");
        assert_eq!(
            text,
            "beats  listening on 127.0.0.1:5044\nhttp   listening on 127.0.0.1:8044\ndata   ./loghound-data\n\
             ui     http://127.0.0.1:8044/\n\n\
             try next:\n  loghound ship --to 127.0.0.1:5044 FILE\n  \
             loghound query 'level:E OR response_code:>=500'\n  \
             curl 'http://127.0.0.1:8044/api/v1/search?q=level:E&limit=10'\n"
        );
        let text = banner(&at("0.0.0.0:5044", "[::]:9000", "https"), Path::new("d"), "./loghound");
        assert!(text.starts_with("beats  listening on 0.0.0.0:5044\nhttp   listening on [::]:9000\n"));
        assert!(text.contains("--server https://[::1]:9000") && text.contains("--to 127.0.0.1:5044"), "{text}");
    }
}
