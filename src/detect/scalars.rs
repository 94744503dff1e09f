//! The scalars of a JSON object with their dotted names, one after the other, without building the object.
//!
//! What stands in arrays is left out: it has no single value. So is what nests deeper than anybody reads.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'s> {
    Number(f64),
    Bool(bool),
    Text(&'s str),
}

/// Objects within objects.
const DEPTH_MAX: usize = 16;

/// Calls `each` with the dotted name and the value of every scalar. What is no JSON gives those before the mistake.
pub fn each_scalar(json: &str, path: &mut String, each: &mut dyn FnMut(&str, Scalar<'_>)) {
    path.clear();
    let walk = Walk { path, depth: 0, each };
    // The text was accepted as JSON when it was received.
    walk.deserialize(&mut serde_json::Deserializer::from_str(json)).ok();
}

struct Walk<'w> {
    path: &'w mut String,
    depth: usize,
    each: &'w mut dyn FnMut(&str, Scalar<'_>),
}

impl Walk<'_> {
    fn tell(self, value: Scalar<'_>) {
        if self.depth > 0 {
            (self.each)(self.path, value);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.tell(Scalar::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.tell(Scalar::Number(value as f64));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.tell(Scalar::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.tell(Scalar::Number(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.tell(Scalar::Text(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { path, depth, each } = self;
        let outer = path.len();
        while map.next_key_seed(Key(path))?.is_some() {
            if depth < DEPTH_MAX {
                map.next_value_seed(Walk { path, depth: depth + 1, each })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            path.truncate(outer);
        }
        Ok(())
    }
}

/// A member's name, appended to the path.
struct Key<'w>(&'w mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Vec<String> {
        let mut told = Vec::new();
        each_scalar(json, &mut String::new(), &mut |name, value| told.push(format!("{name}={value:?}")));
        told
    }

    #[test]
    fn scalars_have_dotted_names() {
        assert_eq!(
            told(r#"{"a":1,"b":{"c":"x\ny","d":{"e":-2.5}},"f":[1,{"g":2}],"h":null,"i":true,"j.k":"z","":{"":7}}"#),
            [
                "a=Number(1.0)",
                "b.c=Text(\"x\\ny\")",
                "b.d.e=Number(-2.5)",
                "i=Bool(true)",
                "j.k=Text(\"z\")",
                "=Number(7.0)"
            ]
        );
        assert_eq!(told(r#""text""#), [""; 0]);
        assert_eq!(told(r#"{"a":1,"b":"#), ["a=Number(1.0)"]);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
        assert_eq!(told(&deep), [""; 0]);
    }
}
