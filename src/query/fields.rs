//! Which fields records have, and of what kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tantivy::columnar::DynamicColumn;

use super::engine::Engine;
use super::segment::Stop;
use crate::record::{PATH_SEPARATOR, Role};
use crate::store::STAMP_PREFIX;

/// What a field's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldType {
    pub name: String,
    pub kind: &'static str,
    pub aliases: Vec<String>,
}

impl Engine {
    pub fn fields(&self) -> Result<Vec<FieldType>, Stop> {
        let language = self.language();
        let mut kinds: BTreeMap<String, &'static str> = BTreeMap::from([
            ("@timestamp".to_owned(), "date"),
            ("message".to_owned(), "text"),
            ("log.offset".to_owned(), "number"),
            ("grammar".to_owned(), "keyword"),
            ("event.id".to_owned(), "id"),
            ("template".to_owned(), "number"),
        ]);
        for shard in self.store.shards() {
            for stream in shard.streams() {
                stream_fields(&stream.fields, "", &mut kinds);
            }
            let segments = shard.searcher().segment_readers();
            for path in shard.paths() {
                let name = path.replace(PATH_SEPARATOR, ".");
                let mut kind = None;
                for reader in segments {
                    let columns = reader.fast_fields();
                    let has = |column: String| -> Result<bool, Stop> {
                        Ok(!columns.dynamic_column_handles(&column)?.is_empty())
                    };
                    if has(format!("num.{name}"))? {
                        kind = Some("number");
                    } else if has(format!("num.{}{name}", STAMP_PREFIX.replace(PATH_SEPARATOR, ".")))? {
                        kind = Some("date");
                    } else if let Some(handle) = columns.dynamic_column_handles(&format!("kw.{name}"))?.first() {
                        kind =
                            Some(if matches!(handle.open()?, DynamicColumn::Bool(_)) { "boolean" } else { "keyword" });
                    }
                    if kind.is_some() {
                        break;
                    }
                }
                if !segments.is_empty() {
                    kinds.entry(name).or_insert(kind.unwrap_or("id"));
                }
            }
        }
        let known = language.parser.grammars().iter().flat_map(|g| &g.fields);
        for field in known.filter(|f| f.role == Role::Text) {
            kinds.entry(field.name.to_owned()).or_insert("text");
        }
        let fields = kinds.into_iter();
        Ok(fields.map(|(name, kind)| FieldType { aliases: language.aliases.of_field(&name), name, kind }).collect())
    }
}

fn stream_fields(object: &Map<String, Json>, prefix: &str, kinds: &mut BTreeMap<String, &'static str>) {
    for (name, value) in object {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Json::Object(inner) => stream_fields(inner, &name, kinds),
            Json::Number(_) => _ = kinds.entry(name).or_insert("number"),
            Json::Bool(_) => _ = kinds.entry(name).or_insert("boolean"),
            Json::Null => {}
            _ => _ = kinds.entry(name).or_insert("keyword"),
        }
    }
}
