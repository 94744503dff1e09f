//! Which values fields have, and how often.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value as Json;
use tantivy::columnar::DynamicColumn;

use super::ast::Expr;
use super::bits::Bits;
use super::engine::{Between, Engine};
use super::segment::{Segment, Stop};

/// One field's values.
#[derive(Debug, Default)]
pub struct Facet {
    pub field: String,
    /// Most frequent first.
    pub values: Vec<(Json, u64)>,
    pub other: u64,
    pub missing: u64,
}

#[derive(Debug, Default)]
pub struct Facets {
    pub facets: Vec<Facet>,
    pub total: u64,
    pub partial: bool,
}

impl Engine {
    pub fn facets(
        &self,
        expr: &Expr,
        between: Between,
        fields: &[String],
        limit: usize,
        deadline: Instant,
    ) -> Result<Facets, Stop> {
        let mut answer = Facets::default();
        let mut counts: Vec<Counts> = fields.iter().map(|_| Counts::default()).collect();
        answer.partial = self.scan(expr, between, deadline, true, |_, _, segment, docs| {
            answer.total += docs.count();
            for (field, counts) in fields.iter().zip(&mut counts) {
                let names: Vec<&str> = segment.language.aliases.names(field).collect();
                count_values(segment, docs, &names, counts)?;
            }
            Ok(())
        })?;
        for (field, counts) in fields.iter().zip(counts) {
            let mut values: Vec<(Key, u64)> = counts.values.into_iter().collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let other = values.iter().skip(limit).map(|(_, n)| n).sum();
            values.truncate(limit);
            let values = values.into_iter().map(|(key, n)| (key.into_json(), n)).collect();
            let missing = answer.total.saturating_sub(counts.docs);
            answer.facets.push(Facet { field: field.clone(), values, other, missing });
        }
        Ok(answer)
    }
}

#[derive(Debug, Default)]
struct Counts {
    values: HashMap<Key, u64>,
    /// Documents with any value.
    docs: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Bool(bool),
    Int(i128),
    /// Bits of a float, ordered as it is for those above zero.
    Float(u64),
    Text(String),
}

impl Key {
    fn of(value: &Json) -> Option<Self> {
        Some(match value {
            Json::Bool(b) => Key::Bool(*b),
            Json::Number(n) => match (n.as_u64(), n.as_i64()) {
                (Some(n), _) => Key::Int(n.into()),
                (_, Some(n)) => Key::Int(n.into()),
                _ => Key::float(n.as_f64()?),
            },
            Json::String(text) => Key::Text(text.clone()),
            _ => return None,
        })
    }

    fn float(n: f64) -> Self {
        if n.fract() == 0.0 && n.abs() < 9e15 { Key::Int(n as i128) } else { Key::Float(n.to_bits()) }
    }

    fn into_json(self) -> Json {
        match self {
            Key::Bool(b) => Json::Bool(b),
            Key::Int(n) => u64::try_from(n).map(Json::from).unwrap_or_else(|_| Json::from(n as i64)),
            Key::Float(bits) => Json::from(f64::from_bits(bits)),
            Key::Text(text) => Json::String(text),
        }
    }
}

fn count_values(segment: &Segment<'_>, docs: &Bits, names: &[&str], counts: &mut Counts) -> Result<(), Stop> {
    let mut with_value = Bits::none(docs.len());
    for name in names {
        // A stream's fields are counted by the stream's number and folded once.
        let streams = segment.shard.streams();
        let mut by_stream: HashMap<u64, u64> = HashMap::new();
        let values: Vec<Vec<Key>> = streams
            .iter()
            .map(|s| {
                let mut keys = Vec::new();
                super::matches::visit(&s.fields, name, &mut |value| {
                    match value {
                        Json::Array(items) => keys.extend(items.iter().filter_map(Key::of)),
                        value => keys.extend(Key::of(value)),
                    }
                    false
                });
                keys
            })
            .collect();
        if values.iter().any(|keys| !keys.is_empty()) {
            for doc in docs.iter() {
                let number = segment.streams.first(doc).unwrap_or(u64::MAX);
                if values.get(number as usize).is_some_and(|keys| !keys.is_empty()) {
                    *by_stream.entry(number).or_default() += 1;
                    with_value.set(doc);
                }
            }
            for (number, n) in by_stream {
                for key in &values[number as usize] {
                    *counts.values.entry(key.clone()).or_default() += n;
                }
            }
        }
        if *name == "grammar" {
            for (entry, of_grammar) in segment.shard.grammars().iter().zip(segment.by_grammar().iter()) {
                let found = docs.clone().and(of_grammar);
                if !found.is_none() {
                    *counts.values.entry(Key::Text(entry.name.clone())).or_default() += found.count();
                    with_value.add(&found);
                }
            }
        }
        if *name == "template" {
            count_column(docs, &mut with_value, counts, |doc| {
                segment.template(doc).map(|id| Key::Int(id.into())).into_iter()
            });
        }
        let columns = segment.reader.fast_fields();
        for field in ["kw", "num"] {
            for handle in columns.dynamic_column_handles(&format!("{field}.{name}"))? {
                match handle.open()? {
                    DynamicColumn::Str(column) => {
                        let mut by_ord: HashMap<u64, u64> = HashMap::new();
                        for doc in docs.iter() {
                            for ord in column.term_ords(doc) {
                                *by_ord.entry(ord).or_default() += 1;
                                with_value.set(doc);
                            }
                        }
                        for (ord, n) in by_ord {
                            let mut text = String::new();
                            column.ord_to_str(ord, &mut text)?;
                            *counts.values.entry(Key::Text(text)).or_default() += n;
                        }
                    }
                    DynamicColumn::Bool(c) => {
                        count_column(docs, &mut with_value, counts, |doc| c.values_for_doc(doc).map(Key::Bool))
                    }
                    DynamicColumn::U64(c) => count_column(docs, &mut with_value, counts, |doc| {
                        c.values_for_doc(doc).map(|n| Key::Int(n.into()))
                    }),
                    DynamicColumn::I64(c) => count_column(docs, &mut with_value, counts, |doc| {
                        c.values_for_doc(doc).map(|n| Key::Int(n.into()))
                    }),
                    DynamicColumn::F64(c) => {
                        count_column(docs, &mut with_value, counts, |doc| c.values_for_doc(doc).map(Key::float))
                    }
                    _ => {}
                }
            }
        }
    }
    counts.docs += with_value.count();
    Ok(())
}

fn count_column<I: Iterator<Item = Key>>(docs: &Bits, with: &mut Bits, counts: &mut Counts, values: impl Fn(u32) -> I) {
    for doc in docs.iter() {
        for key in values(doc) {
            *counts.values.entry(key).or_default() += 1;
            with.set(doc);
        }
    }
}
