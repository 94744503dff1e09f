//! nginx's variables: what their values look like. Those that are not here are named as they are, and nothing is known
//! of them.
//!
//! Source: nginx's index of variables. Times are seconds with a fraction.

use crate::record::Role;

use super::header;
use super::names::plain;
use super::{CLF_TIME, IS_ARGS, Shape, Value};
use crate::parse::patterns::Kind;

/// Names that differ from the variable's: those of the `nginx` grammar.
const RENAMED: &[(&str, &str)] = &[
    ("remote_user", "user"),
    ("body_bytes_sent", "bytes"),
    ("time_local", "time"),
    ("time_iso8601", "time"),
    ("request_method", "method"),
    ("request_uri", "path"),
    ("server_protocol", "protocol"),
];

const INTS: &[&str] = &[
    "body_bytes_sent",
    "bytes_received",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connections_active",
    "connections_reading",
    "connections_waiting",
    "connections_writing",
    "content_length",
    "http_content_length",
    "limit_rate",
    "pid",
    "proxy_port",
    "proxy_protocol_port",
    "proxy_protocol_server_port",
    "realip_remote_port",
    "remote_port",
    "request_length",
    "sent_http_content_length",
    "server_port",
    "ssl_client_v_remain",
    "tcpinfo_rcv_space",
    "tcpinfo_rtt",
    "tcpinfo_rttvar",
    "tcpinfo_snd_cwnd",
    "upstream_http_content_length",
];

const FLOATS: &[&str] = &["connection_time", "gzip_ratio", "msec", "request_time", "session_time"];

/// One value for each upstream server that was tried.
const INT_LISTS: &[&str] =
    &["upstream_bytes_received", "upstream_bytes_sent", "upstream_response_length", "upstream_status"];

const FLOAT_LISTS: &[&str] = &[
    "upstream_connect_time",
    "upstream_first_byte_time",
    "upstream_header_time",
    "upstream_queue_time",
    "upstream_response_time",
    "upstream_session_time",
];

const WORDS: &[&str] = &[
    "ancient_browser",
    "binary_remote_addr",
    "date_gmt",
    "geoip_country_code",
    "geoip_country_code3",
    "host",
    "hostname",
    "http2",
    "http3",
    "https",
    "nginx_version",
    "pipe",
    "proxy_host",
    "proxy_protocol_addr",
    "proxy_protocol_server_addr",
    "quic",
    "realip_remote_addr",
    "remote_addr",
    "request_completion",
    "request_id",
    "request_method",
    "scheme",
    "server_addr",
    "server_name",
    "server_protocol",
    "ssl_cipher",
    "ssl_client_fingerprint",
    "ssl_client_serial",
    "ssl_curve",
    "ssl_early_data",
    "ssl_protocol",
    "ssl_server_name",
    "ssl_session_id",
    "ssl_session_reused",
    "upstream_cache_status",
];

const LISTS: &[&str] = &["proxy_add_x_forwarded_for", "ssl_ciphers", "ssl_curves", "upstream_addr"];

const TEXTS: &[&str] = &[
    "date_local",
    "geoip_area_code",
    "geoip_city",
    "geoip_city_country_name",
    "geoip_country_name",
    "geoip_org",
    "geoip_region_name",
    "http_cookie",
    "query_string",
    "remote_user",
    "request_body",
    "ssl_client_i_dn",
    "ssl_client_s_dn",
    "ssl_client_verify",
];

const PATHS: &[&str] =
    &["document_uri", "fastcgi_script_name", "realpath_root", "request_filename", "request_uri", "uri"];

/// Too many values to count.
const IDS: &[&str] = &[
    "connection",
    "remote_port",
    "req_id",
    "request_id",
    "ssl_client_fingerprint",
    "ssl_client_serial",
    "ssl_session_id",
    "msec",
];

pub(super) fn value(variable: &str, written: String, offset: usize) -> Value {
    let other_name = plain(variable);
    let value = |name: &str, shape, role| {
        let (name, other_name, written) = (name.to_owned(), other_name.clone(), written.clone());
        Value { name, other_name, shape, role, written, offset, captured: true }
    };
    // Headers of the request are told by what they are called, and keep the names that the `nginx` grammar has.
    if let Some(name) = variable.strip_prefix("http_").filter(|_| !INTS.contains(&variable)) {
        let known = header::value(&name.replace('_', "-"), "http", written.clone(), offset);
        let short = matches!(name, "referer" | "user_agent" | "x_forwarded_for");
        return value(if short { name } else { &other_name }, known.shape, known.role);
    }
    let is = |list: &[&str]| list.contains(&variable);
    let name = RENAMED.iter().find(|(known, _)| *known == variable).map_or(&*other_name, |(_, name)| name);
    let time = |pattern: &str| Shape::Like { pattern: pattern.to_owned(), kind: Kind::Text, ends_itself: true };
    let shape = match variable {
        "request" => Shape::Request,
        "status" => Shape::Like { pattern: "[0-9]{3}".to_owned(), kind: Kind::Int, ends_itself: false },
        "time_local" => time(CLF_TIME),
        "time_iso8601" => Shape::Stamp,
        "server_protocol" => Shape::Protocol,
        "is_args" => time(IS_ARGS),
        _ if is(INTS) => Shape::Int,
        _ if is(FLOATS) => Shape::Float,
        _ if is(INT_LISTS) => Shape::Numbers { float: false },
        _ if is(FLOAT_LISTS) => Shape::Numbers { float: true },
        _ if is(LISTS) => Shape::List,
        _ if is(WORDS) => Shape::Word,
        _ if is(TEXTS) => Shape::Text,
        _ if is(PATHS) => Shape::Path,
        _ => Shape::Any,
    };
    let role = match shape {
        Shape::Stamp => Role::Stamp,
        Shape::Path => Role::Path,
        _ if is(IDS) || variable == "time_local" => Role::Id,
        _ => Role::Keyword,
    };
    value(name, shape, role)
}
