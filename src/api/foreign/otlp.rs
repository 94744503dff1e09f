//! OpenTelemetry's logs over HTTP: protobuf or JSON. Source: the OTLP specification, `logs.proto` and `common.proto`.

use prost::Message;
use serde_json::{Map, Number, Value as Json};

use super::{Documents, put, put_of_stream};
use crate::ingest::http::{BadBody, Declined};
use crate::record::time::format_rfc3339;

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogsRequest {
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    #[prost(string, tag = "3")]
    pub severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub event_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct LogsResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The answer to a request of which so many records were refused, and why the first was: protobuf, or JSON.
pub fn answer(rejected: usize, why: &str, json: bool) -> Vec<u8> {
    match (rejected, json) {
        (0, true) => b"{}".to_vec(),
        (0, false) => Vec::new(),
        (_, true) => {
            let partial = serde_json::json!({"rejectedLogRecords": rejected.to_string(), "errorMessage": why});
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        (_, false) => {
            let rejected_log_records = i64::try_from(rejected).unwrap_or(i64::MAX);
            let partial_success = Some(PartialSuccess { rejected_log_records, error_message: why.to_owned() });
            LogsResponse { partial_success }.encode_to_vec()
        }
    }
}

/// The documents of a request in protobuf, and how many.
pub fn of_protobuf(body: &[u8], bytes_max: usize) -> Result<(Vec<u8>, usize), Declined> {
    let request = LogsRequest::decode(body).map_err(|error| BadBody(format!("no logs of OTLP: {error}")))?;
    let mut documents = Documents::new(bytes_max);
    for resource in request.resource_logs {
        let mut of_resource = Map::new();
        for KeyValue { key, value } in resource.resource.map(|resource| resource.attributes).unwrap_or_default() {
            attribute_of_resource(&mut of_resource, &key, json(value));
        }
        for scope in resource.scope_logs {
            let logger = scope.scope.map(|scope| scope.name).unwrap_or_default();
            for record in scope.log_records {
                let mut attributes = Map::new();
                for KeyValue { key, value } in record.attributes {
                    put(&mut attributes, &key, json(value));
                }
                let record = Record {
                    nanos: [record.time_unix_nano, record.observed_time_unix_nano],
                    severity: record.severity_number,
                    level: record.severity_text,
                    body: json(record.body),
                    attributes,
                    trace: hex(&record.trace_id),
                    span: hex(&record.span_id),
                    event: record.event_name,
                };
                documents.push(&record.document(&of_resource, &logger))?;
            }
        }
    }
    Ok(documents.finish())
}

/// The documents of a request in JSON: OTLP's own mapping, where 64-bit numbers are strings and ids are hex.
pub fn of_json(body: &[u8], bytes_max: usize) -> Result<(Vec<u8>, usize), Declined> {
    let request: Json = serde_json::from_slice(body).map_err(|error| BadBody(format!("no logs of OTLP: {error}")))?;
    let Some(resources) = request.get("resourceLogs").and_then(Json::as_array) else {
        return Err(BadBody("no logs of OTLP: there is no list resourceLogs".to_owned()).into());
    };
    let mut documents = Documents::new(bytes_max);
    for resource in resources {
        let mut of_resource = Map::new();
        for (key, value) in pairs(resource.pointer("/resource/attributes")) {
            attribute_of_resource(&mut of_resource, key, value);
        }
        for scope in list(resource.get("scopeLogs")) {
            let logger = text(scope.pointer("/scope/name"));
            for record in list(scope.get("logRecords")) {
                let mut attributes = Map::new();
                for (key, value) in pairs(record.get("attributes")) {
                    put(&mut attributes, key, value);
                }
                let nanos = |name: &str| integer(record.get(name)).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                let record = Record {
                    nanos: [nanos("timeUnixNano"), nanos("observedTimeUnixNano")],
                    severity: integer(record.get("severityNumber")).and_then(|n| n.try_into().ok()).unwrap_or(0),
                    level: text(record.get("severityText")).to_owned(),
                    body: record.get("body").map_or(Json::Null, any),
                    attributes,
                    trace: text(record.get("traceId")).to_ascii_lowercase(),
                    span: text(record.get("spanId")).to_ascii_lowercase(),
                    event: text(record.get("eventName")).to_owned(),
                };
                documents.push(&record.document(&of_resource, logger))?;
            }
        }
    }
    Ok(documents.finish())
}

/// A log record, whichever way it came.
struct Record {
    /// When it was written, and when it was seen; 0 is unknown.
    nanos: [u64; 2],
    severity: i32,
    level: String,
    body: Json,
    attributes: Map<String, Json>,
    trace: String,
    span: String,
    event: String,
}

impl Record {
    fn document(self, of_resource: &Map<String, Json>, logger: &str) -> Map<String, Json> {
        let mut document = of_resource.clone();
        if let Some(nanos) = self.nanos.into_iter().find(|nanos| *nanos != 0) {
            let at = format_rfc3339(i64::try_from(nanos).unwrap_or(i64::MAX));
            document.insert("@timestamp".to_owned(), Json::String(at));
        }
        match self.body {
            Json::Null => {}
            Json::String(line) => _ = document.insert("message".to_owned(), Json::String(line)),
            // Structured: no line, but values.
            object @ Json::Object(_) => _ = document.insert("body".to_owned(), object),
            other => _ = document.insert("message".to_owned(), Json::String(other.to_string())),
        }
        let level = if self.level.is_empty() { level(self.severity).to_owned() } else { self.level };
        for (name, value) in [
            ("level", level),
            ("log.logger", logger.to_owned()),
            ("trace.id", self.trace),
            ("span.id", self.span),
            ("event_name", self.event),
        ] {
            if !value.is_empty() {
                put(&mut document, name, Json::String(value));
            }
        }
        if !self.attributes.is_empty() {
            document.insert("attributes".to_owned(), Json::Object(self.attributes));
        }
        document
    }
}

/// The specification's short names of its ranges.
fn level(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}

/// OpenTelemetry's names of what has another name here.
fn attribute_of_resource(document: &mut Map<String, Json>, name: &str, value: Json) {
    let place = match name {
        "k8s.namespace.name" => Some("kubernetes.namespace"),
        "k8s.pod.name" => Some("kubernetes.pod.name"),
        "k8s.pod.uid" => Some("kubernetes.pod.uid"),
        "k8s.container.name" => Some("kubernetes.container.name"),
        "k8s.node.name" => Some("kubernetes.node.name"),
        "k8s.deployment.name" => Some("kubernetes.deployment.name"),
        "log.file.path" => Some("log.file.path"),
        _ => None,
    };
    put_of_stream(document, name, place, value);
}

fn json(value: Option<AnyValue>) -> Json {
    match value.and_then(|value| value.value) {
        None => Json::Null,
        Some(Value::Text(text)) => Json::String(text),
        Some(Value::Bool(flag)) => Json::Bool(flag),
        Some(Value::Int(n)) => Json::from(n),
        Some(Value::Double(n)) => Number::from_f64(n).map_or(Json::Null, Json::Number),
        Some(Value::Array(array)) => array.values.into_iter().map(|value| json(Some(value))).collect(),
        Some(Value::Map(map)) => {
            let mut object = Map::new();
            map.values.into_iter().for_each(|pair| put(&mut object, &pair.key, json(pair.value)));
            Json::Object(object)
        }
        Some(Value::Bytes(bytes)) => Json::String(hex(&bytes)),
    }
}

/// The same of OTLP's JSON.
fn any(value: &Json) -> Json {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else { return Json::Null };
    match kind.as_str() {
        "intValue" => integer(Some(inner)).map_or(Json::Null, Json::from),
        "arrayValue" => list(inner.get("values")).iter().map(any).collect(),
        "kvlistValue" => {
            let mut object = Map::new();
            pairs(inner.get("values")).for_each(|(key, value)| put(&mut object, key, value));
            Json::Object(object)
        }
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => inner.clone(),
        _ => Json::Null,
    }
}

fn list(value: Option<&Json>) -> &[Json] {
    value.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: Option<&Json>) -> &str {
    value.and_then(Json::as_str).unwrap_or_default()
}

fn integer(value: Option<&Json>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn pairs(attributes: Option<&Json>) -> impl Iterator<Item = (&str, Json)> {
    list(attributes).iter().map(|pair| (text(pair.get("key")), pair.get("value").map_or(Json::Null, any)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
