//! Every key, in one table: its name, what it means, and where its value goes.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::values::{bytes, duration};
use super::{ClientAuth, Config, Keep, Route, Token, TokenSecret};

pub struct Key {
    /// Dotted; the environment's name is `LOGHOUND_` and this in capitals, dots as underscores.
    pub name: &'static str,
    pub help: &'static str,
    /// The value is a list, given as YAML.
    pub list: bool,
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

fn key(name: &'static str, help: &'static str, set: fn(&mut Config, &str) -> Result<(), String>) -> Key {
    Key { name, help, list: false, set }
}

/// A key whose value is a list or a tree, taken whole.
fn json(name: &'static str, help: &'static str, set: fn(&mut Config, &str) -> Result<(), String>) -> Key {
    Key { list: true, ..key(name, help, set) }
}

pub fn keys() -> Vec<Key> {
    vec![
        key("data_dir", "where everything is kept", |c, v| put(&mut c.data_dir, path(v))),
        key("grammars_dir", "grammar files beside those built in", |c, v| put(&mut c.grammars_dir, path(v).map(Some))),
        Key {
            list: true,
            ..key("routes", "which streams' lines have which grammar", |c, v| put(&mut c.routes, routes(v)))
        },
        Key {
            list: true,
            ..key("redact", "what is masked before a line is kept", |c, v| put(&mut c.redact, masks(v)))
        },
        key("insecure", "listen beyond loopback without authentication", |c, v| put(&mut c.insecure, boolean(v))),
        key("beats.listen", "where Filebeat's output.logstash connects", |c, v| put(&mut c.beats.listen, address(v))),
        key("beats.connections_max", "connections at once", |c, v| put(&mut c.beats.connections_max, count(v))),
        key("beats.memory_bytes_max", "memory that windows under way may take", |c, v| {
            put(&mut c.beats.memory_bytes_max, bytes(v))
        }),
        key("beats.window_events_max", "events one window may announce", |c, v| {
            put(&mut c.beats.window_events_max, window_events(v))
        }),
        key("beats.frame_bytes_max", "size of one event's frame", |c, v| put(&mut c.beats.frame_bytes_max, bytes(v))),
        key("beats.compressed_bytes_max", "size of one compressed frame", |c, v| {
            put(&mut c.beats.compressed_bytes_max, bytes(v))
        }),
        key("beats.inflated_bytes_max", "what a window may inflate to", |c, v| {
            put(&mut c.beats.inflated_bytes_max, bytes(v))
        }),
        key("beats.idle_timeout", "a silent connection is closed after this", |c, v| {
            put(&mut c.beats.idle_timeout, duration(v))
        }),
        key(
            "beats.connection_age_max",
            "a connection this old is closed between windows, so that senders spread over replicas; 0s keeps it",
            |c, v| put(&mut c.beats.connection_age_max, duration(v)),
        ),
        key("beats.tls.certificate", "PEM file of the certificate chain; turns TLS on", |c, v| {
            put(&mut c.beats.tls.certificate, path(v).map(Some))
        }),
        key("beats.tls.key", "PEM file of its key", |c, v| put(&mut c.beats.tls.key, path(v).map(Some))),
        key("beats.tls.client_ca", "PEM file of the authorities that clients' certificates come from", |c, v| {
            put(&mut c.beats.tls.client_ca, path(v).map(Some))
        }),
        key("beats.tls.client_auth", "none, optional or required (the default with client_ca)", |c, v| {
            put(&mut c.beats.tls.client_auth, client_auth(v).map(Some))
        }),
        json(
            "beats.tls.client_names",
            "whose certificates of client_ca are taken, such as [filebeat.logging.svc]",
            |c, v| put(&mut c.beats.tls.client_names, names(v)),
        ),
        key("http.listen", "where the API listens", |c, v| put(&mut c.http.listen, address(v))),
        key("http.tls.certificate", "PEM file of the certificate chain; turns https on", |c, v| {
            put(&mut c.http.tls.certificate, path(v).map(Some))
        }),
        key("http.tls.key", "PEM file of its key", |c, v| put(&mut c.http.tls.key, path(v).map(Some))),
        key("http.tls.client_ca", "PEM file of the authorities that clients' certificates come from", |c, v| {
            put(&mut c.http.tls.client_ca, path(v).map(Some))
        }),
        key("http.tls.client_auth", "none, optional or required (the default with client_ca)", |c, v| {
            put(&mut c.http.tls.client_auth, client_auth(v).map(Some))
        }),
        json(
            "http.tls.client_names",
            "whose certificates of client_ca are taken, such as [grafana.example.org]",
            |c, v| put(&mut c.http.tls.client_names, names(v)),
        ),
        json(
            "http.tokens",
            "who may ask: [{name: NAME, role: ingest|read|admin, sha256: HEX or file: PATH}]",
            |c, v| put(&mut c.http.tokens, tokens(v)),
        ),
        key("http.queries_max", "queries that run at once", |c, v| put(&mut c.http.queries_max, count(v))),
        key("http.query_timeout", "how long one may run", |c, v| put(&mut c.http.query_timeout, duration(v))),
        json(
            "kafka.inputs",
            "topics to read, each with name, brokers, topics, and group, format, properties",
            |c, v| put(&mut c.kafka.inputs, tree(v)),
        ),
        key("journal.bytes_max", "disk the journal may take before senders wait", |c, v| {
            put(&mut c.journal.bytes_max, bytes(v))
        }),
        key("journal.segment_bytes", "size of one journal file", |c, v| put(&mut c.journal.segment_bytes, bytes(v))),
        key("journal.disk_reserve_bytes", "disk left free: below it senders wait", |c, v| {
            put(&mut c.journal.disk_reserve_bytes, bytes(v))
        }),
        key("store.workers", "threads that parse and index; 0 is one for each core", |c, v| {
            put(&mut c.store.workers, number(v))
        }),
        key("store.commit_interval", "how often lines become searchable", |c, v| {
            put(&mut c.store.commit_interval, duration(v))
        }),
        key("store.late_grace", "how long after its end a day waits for late lines before it is sealed", |c, v| {
            put(&mut c.store.late_grace, duration(v))
        }),
        key("store.warm_dir", "a directory on a larger, slower volume that sealed days move to", |c, v| {
            put(&mut c.store.warm_dir, path(v).map(Some))
        }),
        key("store.warm_after", "how long after its end a sealed day moves to store.warm_dir", |c, v| {
            put(&mut c.store.warm_after, duration(v))
        }),
        key("store.retention", "how long days are kept; 0d keeps all", |c, v| put(&mut c.store.retention, duration(v))),
        json("store.keep", "records that go before their day: [{query: 'namespace:dev', for: 3d}]", |c, v| {
            put(&mut c.store.keep, keep(v))
        }),
        key("store.bytes_max", "disk that all days may take before the oldest go; 0 keeps all", |c, v| {
            put(&mut c.store.bytes_max, bytes(v))
        }),
        key("store.future_max", "lines from further in the future are quarantined", |c, v| {
            put(&mut c.store.future_max, duration(v))
        }),
        key("templates.memory", "memory for templates; 0 finds none", |c, v| put(&mut c.templates.memory, bytes(v))),
        key("detect.memory", "memory for the detectors; 0 watches nothing", |c, v| put(&mut c.detect.memory, bytes(v))),
        json("jobs", "what is watched beside all else: function, field, by, over, partition, filter", |c, v| {
            put(&mut c.jobs, tree(v))
        }),
        json("alert.rules", "what is worth an incident: on anomalies, queries, new templates", |c, v| {
            put(&mut c.alert.rules, tree(v))
        }),
        json("alert.receivers", "the tools that call people", |c, v| put(&mut c.alert.receivers, tree(v))),
        json("alert.route", "which incidents go to which receiver, as a tree", |c, v| put(&mut c.alert.route, tree(v))),
        json("alert.time_intervals", "times that rules and routes name", |c, v| {
            put(&mut c.alert.time_intervals, tree(v))
        }),
        json(
            "alert.allow_addresses",
            "private, or networks, that messages may go to beside public addresses",
            |c, v| put(&mut c.alert.allow_addresses, tree(v)),
        ),
        json("alert.join_on", "fields whose values tell that two services have one cause", |c, v| {
            put(&mut c.alert.join_on, tree(v))
        }),
        key("alert.external_url", "where people reach loghound: messages link to it", |c, v| {
            put(&mut c.alert.external_url, Ok(Some(v.to_owned())))
        }),
        key("alert.canary_receiver", "who gets the test message of the line that goes in every minute", |c, v| {
            put(&mut c.alert.canary_receiver, Ok(Some(v.to_owned())))
        }),
        key("log.level", "error, warn, info, debug, trace, or a filter", |c, v| {
            put(&mut c.log.level, Ok(v.to_owned()))
        }),
        key("log.format", "text or json", |c, v| put(&mut c.log.format, log_format(v))),
        key("stop_timeout", "how long stopping may take", |c, v| put(&mut c.stop_timeout, duration(v))),
    ]
}

fn put<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
    *slot = value?;
    Ok(())
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is missing".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn tree(text: &str) -> Result<serde_json::Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

fn routes(text: &str) -> Result<Vec<Route>, String> {
    let routes: Vec<Route> = serde_saphyr::from_str(text).map_err(|error| {
        format!(
            "{error}\n  write a list such as [{{when: {{kubernetes.container.name: [web, 'api-*']}}, grammar: nginx}}]"
        )
    })?;
    match routes.iter().find(|route| route.when.is_empty()) {
        Some(route) => Err(format!("the rule for {} holds for every stream: name a field", route.grammar)),
        None => Ok(routes),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        name: String,
        role: String,
        sha256: Option<String>,
        file: Option<PathBuf>,
    }
    let entries: Vec<Entry> = serde_saphyr::from_str(text).map_err(|error| {
        format!("{error}\n  write a list such as [{{name: grafana, role: read, sha256: HEX}}]: loghound tokens create makes one")
    })?;
    let entries = entries.into_iter().map(|Entry { name, role, sha256, file }| {
        let secret = match (sha256, file) {
            (Some(text), None) => TokenSecret::Sha256(
                hex(&text)
                    .ok_or_else(|| format!("{name}: sha256 is 64 hex digits: loghound tokens create tells them"))?,
            ),
            (None, Some(path)) => TokenSecret::File(path),
            _ => return Err(format!("{name}: give sha256, or file, which holds the token itself")),
        };
        Ok(Token { name, role, secret })
    });
    entries.collect()
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.trim();
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn names(text: &str) -> Result<Vec<String>, String> {
    serde_saphyr::from_str(text)
        .map_err(|error| format!("{error}\n  write a list such as [filebeat.logging.svc, '*.nodes.example.org']"))
}

fn keep(text: &str) -> Result<Vec<Keep>, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        query: String,
        r#for: String,
    }
    let entries: Vec<Entry> = serde_saphyr::from_str(text)
        .map_err(|error| format!("{error}\n  write a list such as [{{query: 'namespace:dev', for: 3d}}]"))?;
    let entries = entries.into_iter().map(|entry| Ok(Keep { query: entry.query, after: duration(&entry.r#for)? }));
    entries.collect()
}

fn masks(text: &str) -> Result<Vec<String>, String> {
    serde_saphyr::from_str(text)
        .map_err(|error| format!("{error}\n  write a list such as [token, email, '/user=(\\w+)/']"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| format!("{text:?} is not an address: write IP:PORT, such as 127.0.0.1:5044 or [::]:5044"))
}

/// A window's count is a 32-bit number on the wire.
fn window_events(text: &str) -> Result<usize, String> {
    let events = count(text)?;
    if u32::try_from(events).is_ok() { Ok(events) } else { Err(format!("{text:?} is too many: at most {}", u32::MAX)) }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number"))
}

fn count(text: &str) -> Result<usize, String> {
    match number(text)? {
        0 => Err("0 would let nothing in: write at least 1".to_owned()),
        n => Ok(n),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

fn client_auth(text: &str) -> Result<ClientAuth, String> {
    match text {
        "none" => Ok(ClientAuth::None),
        "optional" => Ok(ClientAuth::Optional),
        "required" => Ok(ClientAuth::Required),
        _ => Err(format!("{text:?} is none of none, optional, required")),
    }
}

fn log_format(text: &str) -> Result<crate::telemetry::LogFormat, String> {
    match text {
        "text" => Ok(crate::telemetry::LogFormat::Text),
        "json" => Ok(crate::telemetry::LogFormat::Json),
        _ => Err(format!("{text:?} is neither text nor json")),
    }
}
