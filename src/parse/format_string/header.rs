//! HTTP headers: what they are called as fields, and what they look like.

use crate::record::Role;

use super::names::plain;
use super::{Shape, Value};

/// Headers whose values are known, lower case; the name of the field, its shape and role.
const HEADERS: &[(&str, &str, Shape, Role)] = &[
    (":method", "method", Shape::Word, Role::Keyword),
    (":path", "path", Shape::Path, Role::Path),
    (":authority", "authority", Shape::Word, Role::Keyword),
    (":scheme", "scheme", Shape::Word, Role::Keyword),
    (":status", "status", Shape::Code, Role::Keyword),
    ("x-envoy-original-path", "path", Shape::Path, Role::Path),
    ("x-envoy-upstream-service-time", "upstream_service_time", Shape::Int, Role::Keyword),
    ("x-envoy-attempt-count", "x_envoy_attempt_count", Shape::Int, Role::Keyword),
    ("x-forwarded-for", "x_forwarded_for", Shape::List, Role::Keyword),
    ("x-forwarded-proto", "x_forwarded_proto", Shape::Word, Role::Keyword),
    ("x-forwarded-host", "x_forwarded_host", Shape::List, Role::Keyword),
    ("x-forwarded-port", "x_forwarded_port", Shape::Word, Role::Keyword),
    ("x-real-ip", "x_real_ip", Shape::Word, Role::Keyword),
    ("x-request-id", "request_id", Shape::Word, Role::Id),
    ("x-correlation-id", "x_correlation_id", Shape::Word, Role::Id),
    ("x-b3-traceid", "x_b3_traceid", Shape::Word, Role::Id),
    ("x-b3-spanid", "x_b3_spanid", Shape::Word, Role::Id),
    ("x-b3-parentspanid", "x_b3_parentspanid", Shape::Word, Role::Id),
    ("traceparent", "traceparent", Shape::Word, Role::Id),
    ("content-length", "content_length", Shape::Int, Role::Keyword),
    ("host", "host", Shape::Word, Role::Keyword),
    ("referer", "referer", Shape::Text, Role::Keyword),
    ("user-agent", "user_agent", Shape::Text, Role::Keyword),
    ("accept", "accept", Shape::Text, Role::Keyword),
    ("accept-language", "accept_language", Shape::Text, Role::Keyword),
    ("authorization", "authorization", Shape::Text, Role::Keyword),
    ("content-type", "content_type", Shape::Text, Role::Keyword),
    ("cookie", "cookie", Shape::Text, Role::Keyword),
    ("date", "date", Shape::Text, Role::Keyword),
    ("location", "location", Shape::Word, Role::Path),
    ("set-cookie", "set_cookie", Shape::Text, Role::Keyword),
    ("grpc-status", "grpc_status", Shape::Int, Role::Keyword),
    ("grpc-message", "grpc_message", Shape::Text, Role::Keyword),
];

/// The value of a header. `side` names where it is from (`request`, `response`, …): two headers of one name are told
/// apart by it, the second of them is `response_x`.
pub(super) fn value(header: &str, side: &str, written: String, offset: usize) -> Value {
    let lower = header.to_ascii_lowercase();
    let known = HEADERS.iter().find(|(known, ..)| *known == lower);
    let (name, shape, role) = match known {
        Some((_, name, shape, role)) => ((*name).to_owned(), shape.clone(), *role),
        None => (plain(&lower), Shape::Any, Role::Keyword),
    };
    let other_name = format!("{side}_{name}");
    Value { name, other_name, shape, role, written, offset, captured: true }
}
