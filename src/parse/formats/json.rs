//! JSON lines: any object, its nested objects flattened into names.
//!
//! `{"a":{"b":1}}` is the field `a␁b`. Arrays, nulls and empty objects stand as they are, and so do objects that are
//! nested deep or under long names: a name repeats its whole path, so that flattening a hostile line without a limit
//! would cost the square of its length. [`Fields::to_json`] gives the object back in any case.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::record::{Fields, PATH_SEPARATOR, Role, Value};

use super::json_reader::{Reader, Scalar};
use super::text_role;

/// Objects nested deeper are kept whole.
const FLATTEN_DEPTH_MAX: usize = 16;
/// Objects under a longer name are kept whole.
const FLATTEN_NAME_BYTES_MAX: usize = 256;
/// Objects with more members than this are read by way of a map: finding repeated keys among few is a short search.
const FAST_MEMBERS_MAX: usize = 32;

pub(in crate::parse) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> bool {
    let mark = fields.len();
    let mut reader = Reader::new(line);
    let found = match object(&mut reader, None, 0, fields) {
        Ok(()) => reader.at_end(),
        Err(Stop::Invalid) => false,
        Err(Stop::ByMap) => {
            fields.truncate(mark);
            whole(line, fields).is_some()
        }
    };
    if !found {
        fields.truncate(mark);
    }
    found
}

/// Why the one pass over an object ended early.
enum Stop {
    /// Not JSON, nested too deep, or a key that holds [`PATH_SEPARATOR`].
    Invalid,
    /// A key may be there twice, of which the last counts; a map settles it.
    ByMap,
}

fn object<'a>(
    reader: &mut Reader<'a>,
    prefix: Option<&str>,
    depth: usize,
    fields: &mut Fields<'a>,
) -> Result<(), Stop> {
    reader.open(b'{').ok_or(Stop::Invalid)?;
    if reader.close(b'}') {
        return Ok(());
    }
    let mut seen = [0u64; FAST_MEMBERS_MAX];
    for count in 0.. {
        let key = reader.key().ok_or(Stop::Invalid)?;
        let print = fingerprint(key.as_bytes());
        if count == FAST_MEMBERS_MAX || seen[..count].contains(&print) {
            return Err(Stop::ByMap);
        }
        seen[count] = print;
        if key.contains(PATH_SEPARATOR) {
            return Err(Stop::Invalid);
        }
        let name = name(prefix, key);
        if reader.peek() == Some(b'{') && flattens(&name, depth) && !reader.empty_object() {
            object(reader, Some(&name), depth + 1, fields)?;
        } else {
            let (role, value) = match reader.scalar(depth).ok_or(Stop::Invalid)? {
                Scalar::Str(text) => (text_role(&text), Value::Str(text)),
                Scalar::U64(n) => (Role::Keyword, Value::U64(n)),
                Scalar::I64(n) => (Role::Keyword, Value::I64(n)),
                Scalar::F64(n) => (Role::Keyword, Value::F64(n)),
                Scalar::Bool(b) => (Role::Keyword, Value::Bool(b)),
                Scalar::Json(json) => (Role::Keyword, Value::Json(Box::new(json))),
            };
            fields.push(name, role, value);
        }
        if reader.close(b'}') {
            return Ok(());
        }
        reader.comma().ok_or(Stop::Invalid)?;
    }
    Ok(())
}

/// The slow way: into a map, whose later keys replace earlier ones, and from there.
fn whole(line: &str, fields: &mut Fields<'_>) -> Option<()> {
    let mut reader = Reader::new(line);
    let json = reader.value(0)?;
    let Json::Object(map) = json else { return None };
    if !reader.at_end() {
        return None;
    }
    flatten(map, None, 0, fields)
}

fn flatten(map: Map<String, Json>, prefix: Option<&str>, depth: usize, fields: &mut Fields<'_>) -> Option<()> {
    for (key, json) in map {
        if key.contains(PATH_SEPARATOR) {
            return None;
        }
        let name = name(prefix, Cow::Owned(key));
        let (role, value) = match json {
            Json::Object(inner) if !inner.is_empty() && flattens(&name, depth) => {
                flatten(inner, Some(&name), depth + 1, fields)?;
                continue;
            }
            Json::String(text) => (text_role(&text), Value::Str(text.into())),
            Json::Bool(b) => (Role::Keyword, Value::Bool(b)),
            Json::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                (Some(n), _, _) => (Role::Keyword, Value::U64(n)),
                (_, Some(n), _) => (Role::Keyword, Value::I64(n)),
                (_, _, Some(n)) => (Role::Keyword, Value::F64(n)),
                _ => return None,
            },
            other => (Role::Keyword, Value::Json(Box::new(other))),
        };
        fields.push(name, role, value);
    }
    Some(())
}

fn name<'a>(prefix: Option<&str>, key: Cow<'a, str>) -> Cow<'a, str> {
    match prefix {
        None => key,
        Some(prefix) => {
            let mut name = String::with_capacity(prefix.len() + 1 + key.len());
            name.push_str(prefix);
            name.push(PATH_SEPARATOR);
            name.push_str(&key);
            Cow::Owned(name)
        }
    }
}

fn flattens(name: &str, depth: usize) -> bool {
    depth < FLATTEN_DEPTH_MAX && name.len() <= FLATTEN_NAME_BYTES_MAX
}

/// Equal for equal keys and mostly different for others: length, first and last eight bytes.
fn fingerprint(key: &[u8]) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (first, last) = match key {
        [first @ .., _, _, _, _, _, _, _, _] if first.len() >= 8 => (word(&key[..8]), word(&key[key.len() - 8..])),
        _ => (word(&key[..key.len() / 2]), word(&key[key.len() / 2..])),
    };
    (first ^ last.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ key.len() as u64
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
