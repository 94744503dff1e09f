//! The value a group stands for, and the numbers that groups work with instead.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde_json::Value as Json;

use super::values::Target;
use crate::query::number::Num;
use crate::record::time::format_rfc3339;

/// One value of a field. Numbers are equal in value however they are stored: 200 and 200.0 are one, "200" is a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    Unsigned(u64),
    /// Bits of a number that is no whole number, or is beyond 9e15.
    Float(u64),
    /// Unix nanoseconds.
    Time(i64),
    Text(Arc<str>),
}

impl Key {
    pub fn number(n: Num) -> Self {
        match n {
            Num::U(n) => i64::try_from(n).map_or(Key::Unsigned(n), Key::Int),
            Num::I(n) => Key::Int(n),
            Num::F(n) if n.fract() == 0.0 && n.abs() < 9e15 => Key::Int(n as i64),
            Num::F(n) => Key::Float(n.to_bits()),
        }
    }

    /// The value of a scalar.
    pub fn of(value: &Json) -> Option<Self> {
        match value {
            Json::Bool(b) => Some(Key::Bool(*b)),
            Json::Number(n) => Num::of(n).map(Key::number),
            Json::String(text) => Some(Key::Text(text.as_str().into())),
            _ => None,
        }
    }

    pub fn to_json(&self) -> Json {
        match self {
            Key::Bool(b) => Json::from(*b),
            Key::Int(n) => Json::from(*n),
            Key::Unsigned(n) => Json::from(*n),
            Key::Float(bits) => Json::from(f64::from_bits(*bits)),
            Key::Time(at) => Json::from(format_rfc3339(*at)),
            Key::Text(text) => Json::from(&**text),
        }
    }

    fn as_f64(&self) -> f64 {
        match self {
            Key::Int(n) => *n as f64,
            Key::Unsigned(n) => *n as f64,
            Key::Float(bits) => f64::from_bits(*bits),
            _ => f64::NAN,
        }
    }

    fn class(&self) -> u8 {
        match self {
            Key::Bool(_) => 0,
            Key::Int(_) | Key::Unsigned(_) | Key::Float(_) => 1,
            Key::Time(_) => 2,
            Key::Text(_) => 3,
        }
    }
}

/// Bools, numbers by value, times, texts by their bytes.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Bool(a), Key::Bool(b)) => a.cmp(b),
            (Key::Int(a), Key::Int(b)) | (Key::Time(a), Key::Time(b)) => a.cmp(b),
            (Key::Unsigned(a), Key::Unsigned(b)) => a.cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (a, b) if a.class() == b.class() => a.as_f64().total_cmp(&b.as_f64()),
            (a, b) => a.class().cmp(&b.class()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Gives each value a number, dense from 0: what is counted by is then the number, in every segment the same.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    texts: HashMap<Arc<str>, u32, FixedState>,
    others: HashMap<Key, u32, FixedState>,
    text_bytes: usize,
    bytes_max: usize,
    full: bool,
}

impl Keys {
    /// Takes values until they are `bytes_max` in memory; further ones get the number 0 and [`Keys::is_full`] says so.
    pub fn up_to(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn get(&self, id: u32) -> &Key {
        &self.keys[id as usize]
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        // A key, its entry in the map, and the text's own allocation.
        self.keys.len() * (size_of::<Key>() + 40) + self.text_bytes
    }

    pub fn id(&mut self, key: Key) -> u32 {
        if let Key::Text(text) = &key {
            return self.text_id(text);
        }
        if let Some(&id) = self.others.get(&key) {
            return id;
        }
        let Some(id) = self.next() else { return 0 };
        self.keys.push(key.clone());
        self.others.insert(key, id);
        id
    }

    fn next(&mut self) -> Option<u32> {
        self.full = self.full || self.bytes() > self.bytes_max;
        if self.full && !self.keys.is_empty() { None } else { Some(self.keys.len() as u32) }
    }

    fn text_id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.texts.get(text) {
            return id;
        }
        let Some(id) = self.next() else { return 0 };
        let text: Arc<str> = text.into();
        self.text_bytes += text.len() + 16;
        self.keys.push(Key::Text(Arc::clone(&text)));
        self.texts.insert(text, id);
        id
    }
}

impl Target for Keys {
    type Out = u32;
    const DIRECT: bool = false;

    fn text(&mut self, text: &str) -> Option<u32> {
        Some(self.text_id(text))
    }

    fn number(&mut self, n: Num) -> Option<u32> {
        Some(self.id(Key::number(n)))
    }

    fn boolean(&mut self, b: bool) -> Option<u32> {
        Some(self.id(Key::Bool(b)))
    }

    fn time(&mut self, nanos: i64) -> Option<u32> {
        // As the record shows it.
        Some(self.text_id(&format_rfc3339(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_one_key_and_a_place() {
        let mut keys: Vec<Key> =
            [json!("b"), json!(200.0), json!(-1), json!(1.5), json!(true), json!("a"), json!(u64::MAX), json!(200)]
                .iter()
                .filter_map(Key::of)
                .collect();
        keys.sort();
        keys.dedup();
        let shown: Vec<Json> = keys.iter().map(Key::to_json).collect();
        assert_eq!(shown, [json!(true), json!(-1), json!(1.5), json!(200), json!(u64::MAX), json!("a"), json!("b")]);
        assert_eq!([json!(null), json!([1]), json!({})].iter().find_map(Key::of), None);
        let mut ids = Keys::up_to(1 << 20);
        let of = |ids: &mut Keys, value: Json| ids.id(Key::of(&value).unwrap());
        assert_eq!((of(&mut ids, json!("x")), of(&mut ids, json!(1)), of(&mut ids, json!("1"))), (0, 1, 2));
        assert_eq!((of(&mut ids, json!("1")), of(&mut ids, json!(1.0)), ids.keys.len()), (2, 1, 3));
        let mut few = Keys::up_to(100);
        assert_eq!((of(&mut few, json!("x")), few.is_full()), (0, false));
        (0..9).for_each(|n| _ = of(&mut few, json!(n)));
        assert!(few.is_full() && few.keys.len() < 4);
    }
}
