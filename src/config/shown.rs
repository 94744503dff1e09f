//! What was configured, as it may be shown to others: what can be a secret is hidden, and what nobody thought of is, too.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::file;
use super::keys::{Key, keys};

/// In place of what is not shown.
const HIDDEN: &str = "[hidden]";

/// Keys whose trees are shown whole. All other lists and trees are hidden but for what [`value`] names, so that a new key
/// is a secret until somebody decides.
const OPEN: [&str; 10] = [
    "routes",
    "jobs",
    "store.keep",
    "alert.rules",
    "alert.route",
    "alert.time_intervals",
    "alert.allow_addresses",
    "alert.join_on",
    "beats.tls.client_names",
    "http.tls.client_names",
];

/// Members of hidden trees that are shown: they say what something is and never who may use it.
const TOKEN: [&str; 2] = ["name", "role"];
const RECEIVER: [&str; 4] = ["name", "send_resolved", "per_day", "digest"];
const KAFKA: [&str; 6] = ["name", "topics", "group", "format", "time_fields", "message_fields"];

/// Every value that file and environment give, with its place: `[{key, value, from}]`. Defaults are not among them. An error
/// does not quote the file.
pub fn shown(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Json>, &'static str> {
    let keys = keys();
    let mut all = Vec::new();
    if let Some(path) = file {
        let whole: Vec<&str> = keys.iter().filter(|key| key.list).map(|key| key.name).collect();
        let entries = file::read(path, &whole).map_err(|_| "the file cannot be read, or is no YAML")?;
        for entry in entries {
            let known = keys.iter().find(|key| key.name == entry.key);
            all.push(json!({"key": entry.key, "value": known.map_or_else(hidden, |key| value(key, &entry.value)),
                            "from": format!("{}:{}", path.display(), entry.line)}));
        }
    }
    for (name, text) in environment {
        if let Some(key) = super::keys_of_environment(&name).and_then(|name| keys.iter().find(|key| key.name == name)) {
            all.push(json!({"key": key.name, "value": value(key, &text), "from": name}));
        }
    }
    Ok(all)
}

fn hidden() -> Json {
    json!(HIDDEN)
}

fn value(key: &Key, text: &str) -> Json {
    if !key.list {
        return json!(plain(text));
    }
    // The environment gives lists as YAML, the file as JSON, which is YAML as well.
    let Ok(tree) = serde_saphyr::from_str::<Json>(text) else { return hidden() };
    match key.name {
        name if OPEN.contains(&name) => masked(&tree, &|_| true, true),
        "http.tokens" => masked(&tree, &|name| TOKEN.contains(&name), false),
        "alert.receivers" => masked(&tree, &|name| RECEIVER.contains(&name), false),
        "kafka.inputs" => masked(&tree, &|name| KAFKA.contains(&name), false),
        // Names of masks; an expression may hold what it is to find.
        "redact" => match tree {
            Json::Array(masks) => masks.iter().map(|mask| mask_name(mask).unwrap_or_else(hidden)).collect(),
            _ => hidden(),
        },
        _ => hidden(),
    }
}

fn mask_name(mask: &Json) -> Option<Json> {
    mask.as_str().filter(|name| name.bytes().all(|b| b.is_ascii_lowercase())).map(|name| json!(name))
}

/// The tree with its members' names, and the values below those that `show` names; `open`: this value is below one.
fn masked(tree: &Json, show: &dyn Fn(&str) -> bool, open: bool) -> Json {
    match tree {
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let open = open || (show(name) && !value.is_object());
                (name.clone(), masked(value, show, open))
            });
            Json::Object(members.collect())
        }
        Json::Array(values) => values.iter().map(|value| masked(value, show, open)).collect(),
        Json::String(text) if open => json!(plain(text)),
        other if open => other.clone(),
        Json::Null => Json::Null,
        _ => hidden(),
    }
}

/// A text without what an address carries beside where it leads: names and passwords before its host, and its query.
fn plain(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden_and_the_rest_is_not() {
        for (name, text, expected) in [
            ("http.queries_max", "8", json!("8")),
            (
                "alert.external_url",
                "https://me:s3cret@logs.example.org/ui?key=s3cret",
                json!("https://logs.example.org/ui"),
            ),
            ("redact", r#"[token, '/s3cret=(\S+)/']"#, json!(["token", HIDDEN])),
            (
                "http.tokens",
                r#"[{"name":"a","role":"read","sha256":"s3cret"}]"#,
                json!([{"name": "a", "role": "read", "sha256": HIDDEN}]),
            ),
            (
                "alert.receivers",
                r#"[{"name":"a","budget":{"per_day":5},"webhook":{"url":"s3cret","secret":{"env":"S3CRET"},"name":{"x":"s3cret"}}}]"#,
                json!([{"name": "a", "budget": {"per_day": 5},
                        "webhook": {"url": HIDDEN, "secret": {"env": HIDDEN}, "name": {"x": HIDDEN}}}]),
            ),
            (
                "kafka.inputs",
                r#"[{"name":"k","topics":["a"],"brokers":["s3cret:9092"],"properties":{"sasl.password":"s3cret","name":5}}]"#,
                json!([{"name": "k", "topics": ["a"], "brokers": [HIDDEN], "properties": {"sasl.password": HIDDEN, "name": 5}}]),
            ),
            (
                "alert.rules",
                r#"[{"name":"r","runbook":"https://a:s3cret@wiki/x","query":{"q":"level:E","above":5}}]"#,
                json!([{"name": "r", "runbook": "https://wiki/x", "query": {"q": "level:E", "above": 5}}]),
            ),
            ("alert.receivers", "{ no yaml", json!(HIDDEN)),
        ] {
            let keys = keys();
            let key = keys.iter().find(|key| key.name == name).unwrap();
            assert_eq!(value(key, text), expected, "{name}");
        }
    }

    /// Whoever adds a list or a tree decides here whether it may be shown.
    #[test]
    fn every_list_is_spoken_of() {
        let spoken = ["redact", "http.tokens", "alert.receivers", "kafka.inputs"];
        for key in keys().iter().filter(|key| key.list) {
            assert!(OPEN.contains(&key.name) != spoken.contains(&key.name), "{}: shown, or hidden?", key.name);
        }
    }
}
