//! Where a captured value goes, and as what.

use serde_json::{Map, Value};

/// A field's place in an event, as Logstash writes it: `name`, or `[outer][inner]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldRef {
    path: Vec<String>,
}

impl FieldRef {
    /// Reads a reference. Every text is one: without brackets around all of it, it is one name, dots and all. A
    /// reference inside a reference is flattened: `[a][[b][c]]` is `[a][b][c]`.
    pub fn new(text: &str) -> Self {
        let bracketed = text.starts_with('[') && text.ends_with(']');
        let names = || text.split(['[', ']']).filter(|name| !name.is_empty()).map(str::to_owned);
        match bracketed.then(|| names().collect::<Vec<_>>()) {
            Some(path) if !path.is_empty() => Self { path },
            _ => Self { path: vec![text.to_owned()] },
        }
    }

    /// This field inside another one.
    pub fn under(&self, outer: &FieldRef) -> Self {
        Self { path: outer.path.iter().chain(&self.path).cloned().collect() }
    }

    /// The names from the outside in, at least one.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The field's value. A number as a name picks an element of an array.
    pub fn get<'a>(&self, event: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.path.split_first()?;
        rest.iter().try_fold(event.get(first)?, |value, name| match value {
            Value::Object(object) => object.get(name),
            Value::Array(array) => array.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The place of the field's value, made if it is not there (null, then). `None` where something else than an
    /// object is in the way.
    pub fn slot<'a>(&self, event: &'a mut Map<String, Value>) -> Option<&'a mut Value> {
        let (last, outer) = self.path.split_last()?;
        let mut object = event;
        for name in outer {
            let inner = object.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
            object = inner.as_object_mut()?;
        }
        Some(object.entry(last.as_str()).or_insert(Value::Null))
    }
}

/// What a captured text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// The text as it is.
    Text,
    /// A whole number, by its leading digits.
    Int,
    /// A number, by its leading digits.
    Float,
}

impl Type {
    /// The value of a captured text.
    pub fn value(self, text: &str) -> Value {
        match self {
            Self::Text => Value::from(text),
            Self::Int => leading_int(text),
            Self::Float => Value::from(leading_float(text)),
        }
    }
}

/// `"12abc"` is 12, `""` and `"x"` are 0. A number too long for 64 bits is a float.
fn leading_int(text: &str) -> Value {
    let text = text.trim_start();
    let digits = number_len(text, false);
    match text[..digits].strip_prefix('+').unwrap_or(&text[..digits]) {
        "" | "-" => Value::from(0),
        number => number.parse::<i64>().map_or_else(|_| Value::from(leading_float(number)), Value::from),
    }
}

/// `"1.5s"` is 1.5, `".5"` is 0.5, `"1.e"` is 1, `"x"` is 0.
fn leading_float(text: &str) -> f64 {
    let text = text.trim_start();
    text[..number_len(text, true)].parse().unwrap_or(0.0)
}

/// How many bytes at the start are a number: sign, digits, and with `float` a fraction and an exponent.
fn number_len(text: &str, float: bool) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = |at: usize| usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let mut end = sign(0);
    end += digits(end);
    if !float {
        return end;
    }
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if end > sign(0) && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let from = end + 1 + sign(end + 1);
        if digits(from) > 0 {
            end = from + digits(from);
        }
    }
    end
}

/// A group of a pattern that captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// As the pattern says it: `INT:code:int`, `code`.
    pub label: String,
    pub field: FieldRef,
    pub kind: Type,
    /// The named pattern behind it; `None` for `(?<name>…)`.
    pub pattern: Option<String>,
}

impl Group {
    /// The group of `%{label}`, or of `(?<label>…)` with `pattern` `None`. Both are read alike: pattern, field and
    /// type, split at colons; one part alone is the field's name.
    pub(super) fn new(label: &str, pattern: Option<&str>) -> Self {
        let mut parts = label.split(':');
        let first = parts.next().unwrap_or(label);
        let field = parts.next().filter(|name| !name.is_empty()).unwrap_or(first);
        let kind = match parts.next() {
            Some("int") => Type::Int,
            Some("float") => Type::Float,
            _ => Type::Text,
        };
        Self { label: label.to_owned(), field: FieldRef::new(field), kind, pattern: pattern.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references() {
        for (text, path) in [
            ("a", vec!["a"]),
            ("a.b", vec!["a.b"]),
            ("[a]", vec!["a"]),
            ("[a][b]", vec!["a", "b"]),
            ("[a][[b][c]]", vec!["a", "b", "c"]),
            ("a[b]", vec!["a[b]"]),
            ("[]", vec!["[]"]),
            ("", vec![""]),
        ] {
            assert_eq!(FieldRef::new(text).path(), path, "{text}");
        }
        assert_eq!(FieldRef::new("[x]").under(&FieldRef::new("t")).path(), ["t", "x"]);
    }

    #[test]
    fn getting_and_making() {
        let Value::Object(mut event) = json!({"a": {"b": [1, 2]}, "s": "x"}) else { panic!() };
        assert_eq!(FieldRef::new("[a][b][1]").get(&event), Some(&json!(2)));
        assert_eq!(FieldRef::new("[s][b]").get(&event), None);
        *FieldRef::new("[n][m]").slot(&mut event).unwrap() = json!(3);
        assert_eq!(event["n"], json!({"m": 3}));
        assert!(FieldRef::new("[s][b]").slot(&mut event).is_none());
    }

    #[test]
    fn leading_digits() {
        for (kind, text, value) in [
            (Type::Int, "12abc", json!(12)),
            (Type::Int, "", json!(0)),
            (Type::Int, "-", json!(0)),
            (Type::Int, "+7", json!(7)),
            (Type::Int, " -7.9", json!(-7)),
            (Type::Int, "x1", json!(0)),
            (Type::Int, "9223372036854775807", json!(i64::MAX)),
            (Type::Int, "9223372036854775808", json!(9223372036854775808.0)),
            (Type::Float, "1.5s", json!(1.5)),
            (Type::Float, ".5", json!(0.5)),
            (Type::Float, "1.", json!(1.0)),
            (Type::Float, "-2e3x", json!(-2000.0)),
            (Type::Float, "2e", json!(2.0)),
            (Type::Float, "", json!(0.0)),
            (Type::Float, "e5", json!(0.0)),
            (Type::Text, "1", json!("1")),
        ] {
            assert_eq!(kind.value(text), value, "{text:?}");
        }
    }

    #[test]
    fn labels() {
        for (label, path, kind) in [
            ("INT:a:int", "a", Type::Int),
            ("INT:a:float", "a", Type::Float),
            ("INT:a:long", "a", Type::Text),
            ("INT:[a][b]", "[a][b]", Type::Text),
            ("name", "name", Type::Text),
        ] {
            let group = Group::new(label, None);
            assert_eq!((group.field, group.kind), (FieldRef::new(path), kind), "{label}");
        }
    }
}
