//! What other senders' protocols carry, as documents: a JSON object a line, which is journalled in place of the body that came.
//!
//! What such a sender says of a whole stream (labels, resources) stands with the stream here too: where there is a name for it
//! (`service`, `kubernetes`, `host` …) under that, else under `fields`.

pub mod loki;
pub mod otlp;

use serde_json::{Map, Value as Json};

use crate::decode::STREAM_KEYS;
use crate::ingest::http::{BadBody, BodyError, Declined};

/// Documents as they are written, within a limit: what a sender says once for many lines is written with each.
pub struct Documents {
    out: Vec<u8>,
    bytes_max: usize,
    count: usize,
}

impl Documents {
    fn new(bytes_max: usize) -> Self {
        Self { out: Vec::new(), bytes_max, count: 0 }
    }

    fn push(&mut self, document: &Map<String, Json>) -> Result<(), Declined> {
        // A map of strings and JSON is written without fail.
        serde_json::to_writer(&mut self.out, document).map_err(|error| BadBody(error.to_string()))?;
        self.out.push(b'\n');
        self.count += 1;
        if self.out.len() > self.bytes_max {
            return Err(BodyError::TooLarge { max: self.bytes_max }.into());
        }
        Ok(())
    }

    /// A JSON object a line, and how many.
    fn finish(self) -> (Vec<u8>, usize) {
        (self.out, self.count)
    }
}

/// Puts a value where its dotted name says, unless something else is there.
fn put(object: &mut Map<String, Json>, dotted: &str, value: Json) {
    match dotted.split_once('.') {
        Some((first, rest)) if !first.is_empty() && !rest.is_empty() => {
            let inner = object.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
        _ => _ = object.entry(dotted).or_insert(value),
    }
}

/// Puts what is said of a whole stream: `name` has a place of its own, is one of the stream's, or stands under `fields`.
fn put_of_stream(object: &mut Map<String, Json>, name: &str, place: Option<&str>, value: Json) {
    let first = name.split('.').next().unwrap_or(name);
    match place {
        Some(place) => put(object, place, value),
        None if name.contains('.') && STREAM_KEYS.contains(&first) => put(object, name, value),
        None => put(object, &format!("fields.{name}"), value),
    }
}

#[cfg(test)]
mod tests;
