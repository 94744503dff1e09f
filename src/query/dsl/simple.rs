//! `simple_query_string`: words, `"phrases"`, `prefix*`, `+` and, `|` or, `-` not, brackets. Never an error, whatever is
//! typed: what makes no sense as an operator is left out, as Elasticsearch does.

use serde_json::Value as Json;

use super::{BadQuery, Body, any, bad, leaf};
use crate::query::ast::{Expr, Test};
use crate::query::glob::{Glob, Step};

/// Brackets within each other; deeper ones are read as if they were not there.
const DEPTH_MAX: usize = 32;

pub fn read(body: &Json) -> Result<Expr, BadQuery> {
    let known = [
        "query",
        "fields",
        "default_operator",
        "analyze_wildcard",
        "lenient",
        "boost",
        "_name",
        "auto_generate_synonyms_phrase_query",
    ];
    let body = Body::of("simple_query_string", body, &known)?;
    let all = match body.get("default_operator").map(Json::as_str) {
        None => false,
        Some(Some(operator)) if operator.eq_ignore_ascii_case("or") => false,
        Some(Some(operator)) if operator.eq_ignore_ascii_case("and") => true,
        Some(_) => return Err(bad("[simple_query_string] default_operator is OR or AND")),
    };
    let fields = leaf::fields("simple_query_string", body.get("fields"))?;
    let mut reader = Reader { rest: body.text("query")?, all, fields };
    let expr = reader.group(0);
    Ok(expr.unwrap_or_else(super::nothing))
}

struct Reader<'q> {
    rest: &'q str,
    /// Words side by side must all match.
    all: bool,
    fields: Vec<String>,
}

impl Reader<'_> {
    /// Up to the bracket that closes it, or the end.
    fn group(&mut self, depth: usize) -> Option<Expr> {
        let mut parts: Vec<Expr> = Vec::new();
        // What joins the next one to those before.
        let mut and = self.all;
        loop {
            self.rest = self.rest.trim_start();
            let Some(c) = self.rest.chars().next() else { break };
            match c {
                ')' => {
                    self.rest = &self.rest[1..];
                    if depth > 0 {
                        break;
                    }
                }
                '+' => {
                    self.rest = &self.rest[1..];
                    and = true;
                }
                '|' => {
                    self.rest = &self.rest[1..];
                    and = false;
                }
                _ => {
                    let Some(expr) = self.one(depth) else { continue };
                    match parts.pop() {
                        Some(before) if and => parts.push(Expr::And(vec![before, expr])),
                        Some(before) => parts.extend([before, expr]),
                        None => parts.push(expr),
                    }
                    and = self.all;
                }
            }
        }
        (!parts.is_empty()).then(|| any(parts))
    }

    fn one(&mut self, depth: usize) -> Option<Expr> {
        if let Some(rest) = self.rest.strip_prefix('-') {
            self.rest = rest;
            // A run of signs is one.
            self.rest = self.rest.trim_start_matches('-');
            if self.rest.is_empty() || self.rest.starts_with(char::is_whitespace) {
                return None;
            }
            return Some(Expr::Not(Box::new(self.one(depth)?)));
        }
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            return if depth < DEPTH_MAX { self.group(depth + 1) } else { None };
        }
        if let Some(rest) = self.rest.strip_prefix('"')
            && let Some(end) = rest.find('"')
        {
            let phrase = rest[..end].to_owned();
            self.rest = &rest[end + 1..];
            self.slop();
            return Some(self.on(Test::value(phrase)));
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || "()|+".contains(c)).unwrap_or(self.rest.len());
        // A sign that stands alone is left out.
        let end = end.max(self.rest.chars().next().map_or(0, char::len_utf8));
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        // How far a word may be off is for ranking's sake: the word itself is asked for.
        let word = word.trim_matches('"').split('~').next().unwrap_or_default().replace('\\', "");
        if word.is_empty() || "()|+".contains(&word) {
            return None;
        }
        Some(match word.strip_suffix('*') {
            Some("") => Expr::All,
            Some(prefix) => {
                let steps = prefix.chars().map(Step::Char).chain(std::iter::once(Step::Many));
                self.on(Test::wildcard(Glob(steps.collect())))
            }
            None => self.on(Test::value(word)),
        })
    }

    fn slop(&mut self) {
        if let Some(rest) = self.rest.strip_prefix('~') {
            self.rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }

    fn on(&self, test: Test) -> Expr {
        match self.fields.as_slice() {
            [] => Expr::leaf(None, test),
            fields => any(fields.iter().map(|field| Expr::leaf(Some(field.clone()), test.clone())).collect()),
        }
    }
}
