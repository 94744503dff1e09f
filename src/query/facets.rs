//! Which values fields have, and how often.

use std::time::Instant;

use serde_json::Value as Json;

use super::aggregate::{Aggregation, Answer, Kind, Limits, Terms};
use super::ast::Expr;
use super::engine::{Between, Engine};
use super::segment::Stop;

/// One field's values.
#[derive(Debug, Default)]
pub struct Facet {
    pub field: String,
    /// Most frequent first.
    pub values: Vec<(Json, u64)>,
    pub other: u64,
    pub missing: u64,
}

#[derive(Debug, Default)]
pub struct Facets {
    pub facets: Vec<Facet>,
    pub total: u64,
    pub partial: bool,
}

impl Engine {
    pub fn facets(
        &self,
        expr: &Expr,
        between: Between,
        fields: &[String],
        limit: usize,
        deadline: Instant,
    ) -> Result<Facets, Stop> {
        let request = |kind| Aggregation { name: String::new(), kind, subs: Vec::new() };
        let of_field =
            |field: &String| [request(Kind::Terms(Terms::top(field, limit))), request(Kind::Missing(field.clone()))];
        let requests: Vec<Aggregation> = fields.iter().flat_map(of_field).collect();
        let found = self.aggregate(expr, between, &requests, Limits::default(), deadline)?;
        let mut facets = Facets { facets: Vec::new(), total: found.total, partial: found.partial };
        for (field, answers) in fields.iter().zip(found.answers.chunks(2)) {
            let mut facet = Facet { field: field.clone(), ..Facet::default() };
            for answer in answers {
                match answer {
                    Answer::Groups { groups, other } => {
                        facet.values = groups.iter().map(|group| (group.key.to_json(), group.count)).collect();
                        facet.other = *other;
                    }
                    Answer::One(missing) => facet.missing = missing.count,
                    _ => {}
                }
            }
            facets.facets.push(facet);
        }
        Ok(facets)
    }
}
