//! Whose lines a stream's are: the service, and where it runs.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::record::Stream;

/// What of a stream matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Container name, else `service.name`, else the file's path.
    pub service: String,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub node: Option<String>,
    /// The shipper.
    pub sender: String,
}

/// Names of the fields that are the same on all lines of a stream, as records have them.
pub const POD: &str = "kubernetes.pod.name";
pub const NODE: &str = "kubernetes.node.name";
pub const NAMESPACE: &str = "kubernetes.namespace";
pub const TEMPLATE: &str = "template";

impl Entity {
    pub fn of(stream: &Stream) -> Self {
        let get = |names: &[&str]| names.iter().find_map(|name| text(stream.get(name)?));
        let service = ["kubernetes.container.name", "container.name", "service.name", "log.file.path"];
        Self {
            service: get(&service).unwrap_or_else(|| stream.sender.clone()),
            namespace: get(&[NAMESPACE]),
            pod: get(&[POD]),
            node: get(&[NODE, "host.name"]),
            sender: stream.sender.clone(),
        }
    }
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
