//! A format whose lines are JSON objects: Envoy's `json_format`, an nginx `log_format` that writes JSON.
//!
//! The members become fields by what their operators are called: `{code: '%RESPONSE_CODE%'}` gives `response_code`,
//! however the number is written. A member of several operators is taken apart as a text format is; one without any
//! keeps its key, and its value must be the one that the format says. `null`, `-` and nothing are absent. An object is of
//! the format if no member of it contradicts that, and at least half of them are there (`omit_empty_values` leaves some
//! out, order means nothing). Members that the format does not know give no field; the line keeps them.

use serde_json::{Map, Value as Json};

use crate::parse::formats::json as object;
use crate::parse::grammar::FieldSpec;
use crate::parse::grok::{CompileError, Library};
use crate::parse::names::intern;
use crate::parse::patterns::{Kind, Patterns};
use crate::record::{Field, Fields, PATH_SEPARATOR, Role, Value};

use super::{ABSENT, Compiled, Escape, FormatError, FormatFault, Piece, Shape, error, names, pattern};

/// A dialect's way from text to pieces.
type Dialect<'a> = &'a dyn Fn(&str) -> Result<Vec<Piece>, FormatError>;

/// What the members of an object are. Make a [`JsonFormat`] of it.
#[derive(Debug, Default)]
pub(in crate::parse) struct Members(Vec<(String, Leaf)>);

#[derive(Debug)]
enum Leaf {
    Constant(Json),
    /// One operator: the field's name; `None` for one that stands in the format before.
    One(Option<String>),
    /// Patterns of a text. With a name where a number alone is as good.
    Several(Vec<String>, Option<String>),
}

/// Reads the text of an object.
pub(super) fn object(text: &str) -> Result<Map<String, Json>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn compile(
    format: &Map<String, Json>,
    dialect: Dialect<'_>,
    aliases: &[(&'static str, &'static str)],
) -> Result<Compiled, FormatError> {
    let mut leaves = Vec::new();
    flatten(format, "", dialect, &mut leaves)?;
    let (mut known, mut fields) = (Vec::new(), Vec::new());
    for (_, _, pieces) in &mut leaves {
        names::settle_more(pieces.iter_mut(), &mut known, &mut fields);
    }
    if fields.is_empty() {
        return Err(error("{}", 0, FormatFault::NoFields));
    }
    let member = |(path, json, pieces): (String, Json, Vec<Piece>)| Ok((path, leaf(json, &pieces)?));
    let members = leaves.into_iter().map(member).collect::<Result<_, FormatError>>()?;
    let aliases = names::aliases(&fields, aliases);
    Ok(Compiled { patterns: Vec::new(), fields, aliases, json: Some(Members(members)) })
}

/// The members that are no objects, each with its path, what the format says, and the pieces of that.
fn flatten(
    format: &Map<String, Json>,
    prefix: &str,
    dialect: Dialect<'_>,
    leaves: &mut Vec<(String, Json, Vec<Piece>)>,
) -> Result<(), FormatError> {
    for (key, json) in format {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}{PATH_SEPARATOR}{key}") };
        match json {
            Json::Object(inner) => flatten(inner, &path, dialect, leaves)?,
            Json::Array(_) => return Err(error(&json.to_string(), 0, FormatFault::NotText)),
            Json::String(text) => leaves.push((path, json.clone(), dialect(text)?)),
            _ => leaves.push((path, json.clone(), Vec::new())),
        }
    }
    Ok(())
}

fn leaf(json: Json, pieces: &[Piece]) -> Result<Leaf, FormatError> {
    let value = |piece: &Piece| matches!(piece, Piece::Value(_));
    if !pieces.iter().any(value) {
        return Ok(Leaf::Constant(json));
    }
    let mut alone = None;
    if let [Piece::Value(value)] = pieces {
        match value.shape {
            Shape::Request => {}
            Shape::Numbers { .. } => alone = Some(value.name.clone()),
            _ => return Ok(Leaf::One(value.captured.then(|| value.name.clone()))),
        }
    }
    let text = json.as_str().unwrap_or_default();
    let patterns = pattern::patterns(pieces, Escape::None).map_err(|(offset, fault)| error(text, offset, fault))?;
    Ok(Leaf::Several(patterns, alone))
}

/// A format of JSON objects, compiled.
#[derive(Debug)]
pub(in crate::parse) struct JsonFormat(Vec<Member>);

#[derive(Debug)]
struct Member {
    /// Keys from the outside in, joined by [`PATH_SEPARATOR`].
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Constant { name: &'static str, json: Json },
    One(Option<FieldSlot>),
    Several { patterns: Patterns, alone: Option<FieldSlot> },
}

#[derive(Debug, Clone, Copy)]
struct FieldSlot {
    name: &'static str,
    role: Role,
    kind: Kind,
}

impl Members {
    /// Compiles them; `role` and `kind` say what a field is, by its name.
    pub fn finish(
        &self,
        role: impl Fn(&str) -> Role,
        kind: impl Fn(&str) -> Kind,
    ) -> Result<JsonFormat, Box<CompileError>> {
        let slot = |name: &String| FieldSlot { name: intern(name), role: role(name), kind: kind(name) };
        let member = |(path, leaf): &(String, Leaf)| {
            let what = match leaf {
                Leaf::Constant(json) => What::Constant { name: intern(path), json: json.clone() },
                Leaf::One(name) => What::One(name.as_ref().map(slot)),
                Leaf::Several(texts, alone) => {
                    let mut patterns = Patterns::new(ABSENT.map(str::to_owned).to_vec());
                    for text in texts {
                        patterns.add(&Library::standard(), text, &role, &kind)?;
                    }
                    What::Several { patterns, alone: alone.as_ref().map(slot) }
                }
            };
            Ok(Member { path: path.clone(), what })
        };
        Ok(JsonFormat(self.0.iter().map(member).collect::<Result<_, CompileError>>().map_err(Box::new)?))
    }
}

impl JsonFormat {
    /// The fields it can give, each once.
    pub fn fields(&self) -> Vec<FieldSpec> {
        let mut fields: Vec<FieldSpec> = Vec::new();
        let mut push = |spec: FieldSpec| {
            if fields.iter().all(|known| known.name != spec.name) {
                fields.push(spec);
            }
        };
        for member in &self.0 {
            match &member.what {
                What::Constant { name, json } => {
                    let name = intern(&name.replace(PATH_SEPARATOR, "."));
                    push(FieldSpec { number: json.is_number(), ..FieldSpec::text(name, Role::Keyword) });
                }
                What::One(slot) => slot.iter().for_each(|slot| push(slot.spec())),
                What::Several { patterns, .. } => patterns.fields().for_each(&mut push),
            }
        }
        fields
    }

    /// Appends the fields of an object of this format, or leaves `fields` alone.
    pub fn parse<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> bool {
        let mark = fields.len();
        if !object::parse(text, fields) {
            return false;
        }
        if !self.fits(fields, mark) {
            fields.truncate(mark);
            return false;
        }
        let (mut index, mut at) = (0, 0);
        // What comes of members with several operators, with whether it could be borrowed from the line.
        let mut parts: Vec<Field<'a>> = Vec::new();
        fields.retain_mut(|field| {
            index += 1;
            if index <= mark {
                return true;
            }
            let Some(member) = self.member(&field.name, &mut at) else { return false };
            match &member.what {
                What::Constant { .. } => true,
                What::One(slot) => slot.is_some_and(|slot| slot.put(field, member.path.len())),
                What::Several { patterns, alone } => match &field.value {
                    Value::Str(text) => {
                        let mut inner = Fields::new();
                        patterns.parse(text, &mut inner);
                        parts.extend(inner.iter().map(owned));
                        false
                    }
                    Value::U64(_) | Value::I64(_) | Value::F64(_) => {
                        alone.is_some_and(|slot| slot.put(field, member.path.len()))
                    }
                    _ => false,
                },
            }
        });
        for Field { name, role, value } in parts {
            fields.push(name, role, value);
        }
        true
    }

    fn fits(&self, fields: &Fields<'_>, mark: usize) -> bool {
        let (mut present, mut at, mut before) = (0, 0, 0);
        for field in fields.iter().skip(mark) {
            if let Some(member) = self.member(&field.name, &mut at) {
                if !member.fits(&field.value) {
                    return false;
                }
                // The fields of an object below a member come one after the other.
                present += usize::from(at != before);
                before = at;
            }
        }
        2 * present >= self.0.len()
    }

    /// The member that a key's path is of, or lies below. Servers write members in one order, so the one behind the last
    /// is looked at first.
    fn member(&self, name: &str, at: &mut usize) -> Option<&Member> {
        let is = |place: &usize| {
            let rest = name.strip_prefix(&*self.0[*place].path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(PATH_SEPARATOR))
        };
        let place = (*at..self.0.len()).chain(0..*at).find(is)?;
        *at = place + 1;
        Some(&self.0[place])
    }
}

impl Member {
    /// Whether the value is one that the format can give.
    fn fits(&self, value: &Value<'_>) -> bool {
        match &self.what {
            What::Constant { json, .. } => value.to_json() == *json,
            What::One(Some(slot)) if slot.kind != Kind::Text => number(value, slot.kind).is_some(),
            What::One(_) => true,
            What::Several { patterns, alone } => match value {
                Value::Str(text) if ABSENT.contains(&&**text) => true,
                Value::Str(text) => patterns.parse(text, &mut Fields::new()),
                Value::U64(_) | Value::I64(_) | Value::F64(_) => alone.is_some(),
                Value::Json(json) => json.is_null(),
                Value::Bool(_) => false,
            },
        }
    }
}

impl FieldSlot {
    fn spec(&self) -> FieldSpec {
        FieldSpec { number: self.kind != Kind::Text, ..FieldSpec::text(self.name, self.role) }
    }

    /// Makes a member a field of this name, with what its own has behind its first `len` bytes; false where its value is
    /// absent.
    fn put(self, field: &mut Field<'_>, len: usize) -> bool {
        let value = match &field.value {
            Value::Json(json) if json.is_null() => None,
            Value::Str(text) if ABSENT.contains(&&**text) => None,
            value if self.kind != Kind::Text => number(value, self.kind).flatten(),
            _ => {
                field.role = self.role;
                field.name = match &field.name[len..] {
                    "" => self.name.into(),
                    rest => format!("{}{rest}", self.name).into(),
                };
                return true;
            }
        };
        let Some(value) = value else { return false };
        (field.name, field.role, field.value) = (self.name.into(), self.role, value);
        true
    }
}

/// A number, written as one or as text; `Some(None)` where it is missing, `None` where it is something else.
fn number(value: &Value<'_>, kind: Kind) -> Option<Option<Value<'static>>> {
    let number = match value {
        Value::U64(n) => Value::U64(*n),
        Value::I64(n) => Value::I64(*n),
        Value::F64(n) => Value::F64(*n),
        Value::Json(json) if json.is_null() => return Some(None),
        Value::Str(text) if ABSENT.contains(&&**text) => return Some(None),
        Value::Str(text) => match kind {
            Kind::Float => Value::F64(text.parse().ok()?),
            _ => text.parse().map(Value::U64).or_else(|_| text.parse().map(Value::I64)).ok()?,
        },
        _ => return None,
    };
    Some(Some(number))
}

/// The field with nothing borrowed: it is of a text that is not the line.
fn owned<'a>(field: &Field<'_>) -> Field<'a> {
    let value = match &field.value {
        Value::Str(text) => Value::Str(text.clone().into_owned().into()),
        Value::U64(n) => Value::U64(*n),
        Value::I64(n) => Value::I64(*n),
        Value::F64(n) => Value::F64(*n),
        Value::Bool(b) => Value::Bool(*b),
        Value::Json(json) => Value::Json(json.clone()),
    };
    Field { name: field.name.clone().into_owned().into(), role: field.role, value }
}
