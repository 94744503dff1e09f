//! What `kafka.inputs` of the configuration means, checked whole.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value as Json;

/// What a message's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line as it was written.
    #[default]
    Lines,
    /// An event as Filebeat's `output.kafka` writes it.
    Filebeat,
    /// A JSON object: a record of any program.
    Records,
}

impl Format {
    pub fn wire(self) -> u8 {
        match self {
            Format::Lines => 1,
            Format::Filebeat => 2,
            Format::Records => 3,
        }
    }

    pub fn from_wire(byte: u8) -> Option<Self> {
        [Format::Lines, Format::Filebeat, Format::Records].into_iter().find(|format| format.wire() == byte)
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names its offsets here: another name begins where the group is.
    pub name: String,
    /// `HOST:PORT`.
    pub brokers: Vec<String>,
    #[serde(default = "group")]
    pub group: String,
    /// Names, or regular expressions that begin with `^`.
    pub topics: Vec<String>,
    #[serde(default)]
    pub format: Format,
    /// Members that may hold a record's time, where it has no `@timestamp`.
    #[serde(default)]
    pub time_fields: Vec<String>,
    /// Members that may hold a record's line, where it has no `message`.
    #[serde(default)]
    pub message_fields: Vec<String>,
    /// librdkafka's, by their names.
    #[serde(default)]
    pub properties: BTreeMap<String, Json>,
}

fn group() -> String {
    "loghound".to_owned()
}

/// Properties that exactly once rests on, or that have a key of their own.
const OWNED: [&str; 8] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.protocol",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "statistics.interval.ms",
];

/// Reads the list as it stands in the configuration; `null` is none. All problems at once.
pub fn read(inputs: &Json) -> Result<Vec<Settings>, Vec<String>> {
    let listed = match inputs {
        Json::Null => return Ok(Vec::new()),
        Json::Array(listed) => listed,
        _ => return Err(vec!["kafka.inputs: write a list of inputs, each with name, brokers and topics".to_owned()]),
    };
    let (mut settings, mut problems, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, input) in listed.iter().enumerate() {
        let place = || match input.get("name").and_then(Json::as_str) {
            Some(name) => format!("kafka.inputs: {name}"),
            None => format!("kafka.inputs: number {}", at + 1),
        };
        match Settings::deserialize(input) {
            Err(error) => problems.push(format!("{}: {error}", place())),
            Ok(input) => {
                problems.extend(input.problems().into_iter().map(|problem| format!("{}: {problem}", place())));
                if !names.insert(input.name.clone()) {
                    problems.push(format!("{}: another input has that name: give each its own", place()));
                }
                settings.push(input);
            }
        }
    }
    if cfg!(not(feature = "kafka")) && !listed.is_empty() {
        problems
            .push("kafka.inputs: this loghound was built without Kafka: build it with the feature kafka".to_owned());
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

impl Settings {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() || self.name.contains(char::is_control) {
            problems.push("name: give it one, such as logs".to_owned());
        }
        if self.brokers.is_empty() || self.brokers.iter().any(|broker| broker.is_empty() || broker.contains(',')) {
            problems.push("brokers: write a list such as [kafka-0:9092, kafka-1:9092]".to_owned());
        }
        if self.group.is_empty() {
            problems.push("group: a consumer group has a name, such as loghound".to_owned());
        }
        if self.topics.is_empty() {
            problems.push("topics: write a list such as [logs, '^app-.*']".to_owned());
        }
        for topic in &self.topics {
            if let Some(Err(error)) = topic.starts_with('^').then(|| regex::Regex::new(topic)) {
                problems.push(format!("topics: {topic}: {error}"));
            } else if topic.is_empty() {
                problems.push("topics: a topic has a name".to_owned());
            }
        }
        if self.format != Format::Records && !(self.time_fields.is_empty() && self.message_fields.is_empty()) {
            problems.push("time_fields, message_fields: these are for format: records".to_owned());
        }
        for (name, value) in &self.properties {
            if OWNED.contains(&name.as_str()) {
                problems.push(format!("properties: {name} is not free: loghound sets it"));
            }
            if value.is_array() || value.is_object() || value.is_null() {
                problems.push(format!("properties: {name}: a text, a number, true or false is expected"));
            }
        }
        #[cfg(feature = "kafka")]
        if problems.is_empty()
            && let Err(error) = self.client().create_native_config()
        {
            problems.push(format!("properties: {error}"));
        }
        problems
    }

    /// librdkafka's configuration of this input.
    #[cfg(feature = "kafka")]
    pub fn client(&self) -> rdkafka::ClientConfig {
        let mut client = rdkafka::ClientConfig::new();
        for (name, value) in [
            ("client.id", "loghound"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("auto.offset.reset", "earliest"),
            // Whoever is killed is missed after ten seconds.
            ("session.timeout.ms", "10000"),
            // Fetched and not yet taken: all the memory an input has, beside one batch.
            ("queued.max.messages.kbytes", "32768"),
            ("fetch.wait.max.ms", "100"),
        ] {
            client.set(name, value);
        }
        for (name, value) in &self.properties {
            client.set(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        for (name, value) in [
            ("bootstrap.servers", self.brokers.join(",")),
            ("group.id", self.group.clone()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            ("statistics.interval.ms", "2000".to_owned()),
        ] {
            client.set(name, value);
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_name_the_input_and_say_what_to_write() {
        let good = json!({"name": "a", "brokers": ["b:9092"], "topics": ["t", "^x-.*"]});
        let with = |key: &str, value: Json| {
            let mut input = good.clone();
            input[key] = value;
            json!([input])
        };
        for (inputs, expected) in [
            (Json::Null, ""),
            (json!([good]), ""),
            (json!({"a": 1}), "write a list"),
            (json!([good, good]), "another input"),
            (json!([{"name": "a"}]), "brokers"),
            (with("topic", json!("x")), "unknown field `topic`"),
            (with("topics", json!(["^("])), "topics"),
            (with("topics", json!([])), "write a list such as [logs"),
            (with("format", json!("avro")), "avro"),
            (with("time_fields", json!(["ts"])), "format: records"),
            (with("properties", json!({"group.id": "x"})), "not free"),
            (with("properties", json!({"no.such": 1})), "no.such"),
            (with("properties", json!({"fetch.wait.max.ms": "soon"})), "fetch.wait.max.ms"),
        ] {
            let problems = read(&inputs).map_or_else(|problems| problems.join("\n"), |_| String::new());
            let fits = if expected.is_empty() { problems.is_empty() } else { problems.contains(expected) };
            if cfg!(feature = "kafka") {
                assert!(fits, "{inputs}: {problems:?}, expected {expected:?}");
            }
        }
    }
}
