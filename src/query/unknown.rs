//! Names in a query that no record has: most often a slip of the pen, and then the nearest known name helps.

use std::collections::BTreeSet;

use super::ast::{Expr, Leaf};
use super::engine::Engine;
use super::pipes::{Pipeline, Stage};
use super::segment::Stop;
use crate::config::distance;

impl Expr {
    /// Calls `each` with the fields that are asked for.
    pub fn each_field<'e>(&'e self, each: &mut dyn FnMut(&'e str)) {
        match self {
            Expr::All => {}
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| part.each_field(each)),
            Expr::Not(inner) => inner.each_field(each),
            Expr::Leaf(Leaf { field, .. }) => {
                if let Some(field) = field {
                    each(field);
                }
            }
        }
    }
}

impl Pipeline {
    /// The fields that the records themselves are asked for: those of the query, and of the pipes up to the first table.
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut fields = BTreeSet::new();
        self.expr.each_field(&mut |field| _ = fields.insert(field));
        let mut found = BTreeSet::new();
        for stage in &self.stages {
            match stage {
                Stage::Where(expr) => expr.each_field(&mut |field| _ = fields.insert(field)),
                Stage::Extract { pattern, from } => {
                    fields.insert(from);
                    found.extend(pattern.groups().iter().map(|group| group.field.path().join(".")));
                }
                Stage::Sort(by) => fields.extend(by.iter().map(|(field, _)| field.as_str())),
                Stage::Limit(_) => {}
                Stage::Stats(stats) => {
                    fields.extend(stats.by.iter().map(|by| by.field.as_str()));
                    fields.extend(stats.measures.iter().filter_map(|(measure, _)| measure.field()));
                    break;
                }
                Stage::Top { fields: names, .. } | Stage::Uniq(names) | Stage::Fields(names) => {
                    fields.extend(names.iter().map(String::as_str));
                    break;
                }
            }
        }
        fields.retain(|field| !found.contains(*field));
        fields
    }
}

impl Engine {
    /// A sentence for each of these fields that no record has.
    pub fn unknown_fields(&self, fields: &BTreeSet<&str>) -> Result<Vec<String>, Stop> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.fields()?;
        let names: Vec<&str> = known
            .iter()
            .flat_map(|f| std::iter::once(f.name.as_str()).chain(f.aliases.iter().map(String::as_str)))
            .collect();
        // An object is known by what is in it.
        let is_known = |field: &str| {
            names.iter().any(|n| n.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        let unknown = fields.iter().filter(|field| !is_known(field) && !matches!(**field, "parse.error" | "parse"));
        let sentence = |field: &&str| {
            let far_max = (field.len() / 3).clamp(1, 3);
            let near = names.iter().map(|name| (distance(name, field), *name)).min().filter(|(far, _)| *far <= far_max);
            // `pod` for `kubernetes.pod.name`: the last part of a longer name.
            let part = || names.iter().find(|name| name.split('.').any(|part| part == *field)).copied();
            match near.map(|(_, name)| name).or_else(part) {
                Some(name) => format!("no record has a field {field}; did you mean {name}?"),
                None => format!("no record has a field {field}"),
            }
        };
        Ok(unknown.map(sentence).collect())
    }
}
