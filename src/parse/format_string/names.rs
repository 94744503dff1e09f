//! The names of a format's fields: each is one operator's.

use crate::parse::patterns::Kind;
use crate::record::Role;

use super::{FieldType, Piece, Shape, Value};

/// The suffix for the values of a list before its last.
pub(super) const BEFORE: &str = "_before";

/// What a request line gives; the last is for one that is not HTTP.
pub(super) const REQUEST: [(&str, Role); 4] =
    [("method", Role::Keyword), ("path", Role::Path), ("protocol", Role::Keyword), ("request", Role::Path)];

/// Gives every operator a name of its own, and tells the fields in the order of the format. An operator that stands
/// there again gives nothing new; another one whose name is taken gets its other name, then a number behind it.
pub(super) fn settle(pieces: &mut [Piece]) -> Vec<FieldType> {
    let mut fields = Vec::new();
    settle_more(pieces.iter_mut(), &mut Vec::new(), &mut fields);
    fields
}

/// The same where pieces of several texts make one record: `known` are the operators so far.
pub(super) fn settle_more<'a>(
    pieces: impl Iterator<Item = &'a mut Piece>,
    known: &mut Vec<(String, String)>,
    fields: &mut Vec<FieldType>,
) {
    for piece in pieces {
        let Piece::Value(value) = piece else { continue };
        if known.iter().any(|(written, _)| *written == value.written) {
            value.captured = false;
            continue;
        }
        // The parts of a request line have names of their own and no second ones.
        if value.shape == Shape::Request {
            if REQUEST.iter().any(|(name, _)| taken(fields, name)) {
                value.shape = Shape::Text;
                value.name = free(fields, "request", "request_line");
            }
        } else {
            value.name = free(fields, &value.name, &value.other_name);
        }
        known.push((value.written.clone(), value.name.clone()));
        fields.extend(of(value));
    }
}

fn taken(fields: &[FieldType], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

fn free(fields: &[FieldType], name: &str, other: &str) -> String {
    let numbered = (2..).map(|number| format!("{other}_{number}"));
    let mut names = [name.to_owned(), other.to_owned()].into_iter().chain(numbered);
    names.find(|name| !taken(fields, name)).unwrap_or_default()
}

/// The fields a value gives.
fn of(value: &Value) -> Vec<FieldType> {
    let text = |name: &str, role| FieldType { name: name.to_owned(), role, kind: Kind::Text };
    let mut fields = match value.shape {
        Shape::Request => return REQUEST.map(|(name, role)| text(name, role)).to_vec(),
        Shape::Numbers { .. } => vec![text(&format!("{}{BEFORE}", value.name), Role::Keyword)],
        _ => Vec::new(),
    };
    fields.push(FieldType { name: value.name.clone(), role: value.role, kind: value.shape.kind() });
    fields
}

/// The aliases whose fields are there and whose own names are free.
pub(super) fn aliases(fields: &[FieldType], all: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let useful = |(alias, field): &&(&str, &str)| taken(fields, field) && !taken(fields, alias);
    all.iter().filter(useful).copied().collect()
}

/// A name for a field: lower case, all but letters and digits become `_`, one at a time.
pub(super) fn plain(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.is_empty() || name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    // A group's name begins with a letter.
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, "x_");
    }
    name
}
