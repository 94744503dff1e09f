//! Named, typed values of one record, borrowed from the line they were parsed out of.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

/// Stands between the segments of a nested field's name (`kv␁pod`), so that a key may itself hold a dot.
pub const PATH_SEPARATOR: char = '\u{1}';

/// Names that a parsed field cannot have.
const ENVELOPE: [&str; 6] = ["message", "@timestamp", "grammar", "event", "parse", "template"];

/// A typed value. Text borrows from the line unless an escape had to be undone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Str(Cow<'a, str>),
    U64(u64),
    I64(i64),
    F64(f64),
    Bool(bool),
    /// An array, an empty object or a null of a JSON line, as it stood.
    Json(Box<Json>),
}

/// How a string is meant to be searched; it decides what the store builds for it. Numbers ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Matched as a whole, counted in facets: a level, a file name, a host.
    Keyword,
    /// Free text: its words are indexed, and it is found by them.
    Text,
    /// A keyword whose words are indexed as well: a path.
    Path,
    /// Matched as a whole, too many values to count: a request id.
    Id,
    /// A time of day or an instant the format prints; kept as a number, printed back from the line.
    Stamp,
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Segments joined by [`PATH_SEPARATOR`].
    pub name: Cow<'a, str>,
    pub role: Role,
    pub value: Value<'a>,
}

/// The parsed fields of one record, in the order the format has them. Reused from line to line by [`Fields::clear`].
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    /// The first `len` are the record's. Those behind are left from other lines and written over in place: a field that
    /// is built elsewhere and copied here takes half the time of a klog line.
    slots: Vec<Field<'a>>,
    len: usize,
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<'a> Fields<'a> {
    pub fn new() -> Self {
        Self { slots: Vec::with_capacity(32), len: 0 }
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    fn as_slice(&self) -> &[Field<'a>] {
        &self.slots[..self.len]
    }

    /// Moves fields whose names belong to the envelope (a JSON line's own `message`, `event`, …) below `parsed`, so that
    /// a record's `message` is always its line. Whoever indexes or rebuilds a record does this after parsing.
    pub fn leave_envelope_alone(&mut self) {
        for field in self.iter_mut() {
            let taken = ENVELOPE.iter().any(|name| {
                field.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(PATH_SEPARATOR))
            });
            if taken {
                field.name = Cow::Owned(format!("parsed{PATH_SEPARATOR}{}", field.name));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Forgets every field from the `len`th on: a parser's way back from a format that did not fit.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    #[inline]
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, role: Role, value: Value<'a>) {
        let name = name.into();
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                slot.name = name;
                slot.role = role;
                slot.value = value;
            }
            None => self.slots.push(Field { name, role, value }),
        }
        self.len += 1;
    }

    #[inline]
    pub fn str(&mut self, name: &'static str, role: Role, value: &'a str) {
        self.push(name, role, Value::Str(Cow::Borrowed(value)));
    }

    #[inline]
    pub fn u64(&mut self, name: &'static str, value: u64) {
        self.push(name, Role::Keyword, Value::U64(value));
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Field<'a>> {
        self.as_slice().iter()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Field<'a>> {
        self.slots[..self.len].iter_mut()
    }

    /// Keeps the fields that `keep` wants, in order; it may change them.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut Field<'a>) -> bool) {
        self.slots.truncate(self.len);
        self.slots.retain_mut(keep);
        self.len = self.slots.len();
    }

    /// The first field of that name; segments joined by dots or by [`PATH_SEPARATOR`].
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.iter().find(|f| f.is_named(name)).map(|f| &f.value)
    }

    /// Writes the fields into a nested JSON object, later ones winning.
    pub fn write_into(&self, object: &mut Map<String, Json>) {
        for field in self.iter() {
            insert_nested(object, &field.name, field.value.to_json());
        }
    }

    /// The fields as a nested JSON object.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut object = Map::new();
        self.write_into(&mut object);
        object
    }
}

impl<'a> Field<'a> {
    /// Whether the name, its segments joined by dots, is `name`.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.len() == name.len()
            && self.name.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == PATH_SEPARATOR as u8 && b == b'.'))
    }

    /// The name with dots between its segments, as a query writes it.
    pub fn dotted(&self) -> Cow<'_, str> {
        if self.name.contains(PATH_SEPARATOR) {
            Cow::Owned(self.name.replace(PATH_SEPARATOR, "."))
        } else {
            Cow::Borrowed(&self.name)
        }
    }
}

impl Value<'_> {
    pub fn to_json(&self) -> Json {
        match self {
            Value::Str(s) => Json::String(s.to_string()),
            Value::U64(n) => Json::from(*n),
            Value::I64(n) => Json::from(*n),
            Value::F64(n) => serde_json::Number::from_f64(*n).map_or(Json::Null, Json::Number),
            Value::Bool(b) => Json::Bool(*b),
            Value::Json(v) => (**v).clone(),
        }
    }
}

fn insert_nested(object: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once(PATH_SEPARATOR) {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some((head, rest)) => {
            let slot = object.entry(head).or_insert_with(|| Json::Object(Map::new()));
            if !slot.is_object() {
                *slot = Json::Object(Map::new());
            }
            if let Json::Object(inner) = slot {
                insert_nested(inner, rest, value);
            }
        }
    }
}
