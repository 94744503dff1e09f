//! What `/api/v1/grammars` shows of the grammars in use.

use crate::api::{GrammarDetail, GrammarField, GrammarInfo, GrammarSample, GrammarsAnswer};
use crate::parse::{FieldSpec, Grammar, Grammars, Sample, embedded_text, samples};
use crate::record::Role;

pub fn all(grammars: &Grammars) -> GrammarsAnswer {
    GrammarsAnswer {
        grammars: grammars.current().grammars().iter().map(|grammar| info(grammar)).collect(),
        problems: grammars.problems(),
    }
}

pub fn one(grammars: &Grammars, name: &str) -> Option<GrammarDetail> {
    let current = grammars.current();
    let grammar = current.grammars().iter().find(|grammar| grammar.name == name)?;
    let source = (!grammar.source.is_empty()).then(|| grammar.source.clone());
    let sample = |sample: Sample| GrammarSample { line: sample.line, fields: sample.fields };
    Some(GrammarDetail {
        grammar: info(grammar),
        builtin: source.is_none() || embedded_text(name) == source.as_deref(),
        when: grammar.when().to_vec(),
        types: grammar.fields.iter().map(|field| field_of(grammar, field)).collect(),
        aliases: grammar.aliases.iter().map(|(alias, field)| ((*alias).to_owned(), (*field).to_owned())).collect(),
        samples: samples(&grammar.source).into_iter().map(sample).collect(),
        source,
    })
}

fn info(grammar: &Grammar) -> GrammarInfo {
    GrammarInfo {
        name: grammar.name.to_owned(),
        version: format!("{:x}", grammar.version),
        about: grammar.about.clone(),
        patterns: grammar.patterns().map(str::to_owned).collect(),
        fields: grammar.fields.iter().map(|field| field.name.to_owned()).collect(),
    }
}

fn field_of(grammar: &Grammar, field: &FieldSpec) -> GrammarField {
    let kind = match field.role {
        _ if field.number => "number",
        Role::Keyword => "keyword",
        Role::Text => "text",
        Role::Path => "path",
        Role::Id => "id",
        Role::Stamp => "date",
    };
    GrammarField { name: field.name.to_owned(), kind, unit: grammar.unit(field.name).map(str::to_owned) }
}
