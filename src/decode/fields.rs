//! Which members of an event belong to its stream, and the stream's fields taken out of a decoded event.

use serde_json::{Map, Value as Json, json};

/// Top-level keys whose values are the same for every line of one container's log. `log.file` is one more;
/// `agent.ephemeral_id` is none, because it changes at every start of the agent.
pub const STREAM_KEYS: &[&str] = &[
    "agent",
    "beat",
    "cloud",
    "container",
    "data_stream",
    "ecs",
    "fields",
    "host",
    "input",
    "kubernetes",
    "orchestrator",
    "prospector",
    "service",
    "stream",
    "tags",
];

/// The stream's fields of an event, as they stand in it.
pub fn of_event(mut event: Map<String, Json>) -> Map<String, Json> {
    let mut fields = Map::new();
    for &key in STREAM_KEYS {
        if let Some(value) = event.remove(key) {
            fields.insert(key.to_owned(), value);
        }
    }
    if let Some(Json::Object(agent)) = fields.get_mut("agent") {
        agent.remove("ephemeral_id");
        if agent.is_empty() {
            fields.remove("agent");
        }
    }
    if let Some(file) = event.get_mut("log").and_then(|log| log.get_mut("file")) {
        fields.insert("log".to_owned(), json!({ "file": file.take() }));
    }
    // `source` is the path in Filebeat 6 only; elsewhere it is a key of the user's.
    if fields.contains_key("beat")
        && let Some(source) = event.remove("source")
    {
        fields.insert("source".to_owned(), source);
    }
    fields
}

/// Leaf members: values that are no objects, and empty objects. What the scanner counts.
pub fn leaves(fields: &Map<String, Json>) -> u32 {
    let count = |value: &Json| match value {
        Json::Object(inner) if !inner.is_empty() => leaves(inner),
        _ => 1,
    };
    fields.values().map(count).sum()
}

/// Gives the fields of Filebeat 6 their later names: `beat.*` → `agent.*`, `source` → `log.file.path`,
/// `prospector` → `input`.
pub fn modernise(fields: &mut Map<String, Json>) {
    if let Some(beat) = fields.remove("beat") {
        fields.entry("agent").or_insert(beat);
    }
    if let Some(prospector) = fields.remove("prospector") {
        fields.entry("input").or_insert(prospector);
    }
    if let Some(source) = fields.remove("source") {
        let log = fields.entry("log").or_insert_with(|| json!({ "file": {} }));
        if let Some(Json::Object(file)) = log.get_mut("file") {
            file.entry("path").or_insert(source);
        }
    }
}
