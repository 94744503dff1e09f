//! What differs between two sets of records: values of fields and log statements that came more or less often, and
//! numbers that are spread differently. Everything is counted, nothing is sampled.

use std::collections::HashMap;
use std::time::Instant;

use super::aggregate::{Aggregation, Answer, Chosen, Key, Kind, Limits, Ranges, Terms, ValueRange};
use super::ast::Expr;
use super::engine::{Between, Engine};
use super::fields::FieldType;
use super::segment::Stop;
use super::surprise::{distance, g2, g2_of_value, surprise};

/// One set of records.
#[derive(Debug, Clone, Copy)]
pub struct Side<'q> {
    pub expr: &'q Expr,
    pub between: Between,
}

#[derive(Debug, Default)]
pub struct Comparison {
    /// Records of each side.
    pub totals: [u64; 2],
    /// Most surprising first, up to the limit.
    pub differences: Vec<Difference>,
    /// Differences, those beyond the limit included.
    pub found: usize,
    /// Values and distributions that were looked at.
    pub compared: usize,
    /// Fields looked at.
    pub fields: Vec<String>,
    /// Fields that have too many different values to be counted.
    pub skipped: Vec<String>,
    pub partial: bool,
}

#[derive(Debug, Clone)]
pub struct Difference {
    pub field: String,
    pub what: What,
    /// Decimal digits of how unlikely it is by chance, all that was looked at considered.
    pub surprise: f64,
}

#[derive(Debug, Clone)]
pub enum What {
    /// So many records have this value.
    Value {
        key: Key,
        counts: [u64; 2],
    },
    Numbers([Spread; 2]),
}

/// Of the numbers of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spread {
    pub count: u64,
    pub p50: f64,
    pub p95: f64,
}

/// Fields compared at most, where none are named.
const FIELDS_MAX: usize = 96;
/// Fields that are counted in one pass: what does not fit into memory is then tried alone.
const FIELDS_AT_ONCE: usize = 16;
/// The most frequent values of a field on either side; those that only one side has among its own are counted on the other.
const VALUES_MAX: usize = 1_000;
/// A number with so many values at most is a code: its values are compared, not its distribution.
const CODES_MAX: u64 = 64;
/// What is told would come about by chance once in a hundred comparisons.
const SURPRISE_MIN: f64 = 2.0;
/// Lines come in bursts, so among many records chance makes more than independent ones would: what is told is also of a size
/// that somebody would act on.
const FACTOR_MIN: f64 = 1.2;
const DISTANCE_MIN: f64 = 0.1;
const PERCENTS: [f64; 10] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0];

/// Says which line it is, who sent it, or when: different on both sides by nature.
const IDENTITIES: [&str; 28] = [
    "@timestamp",
    "@version",
    "agent.",
    "container.id",
    "day",
    "ecs.",
    "event.id",
    "input.",
    "kubernetes.labels.",
    "kubernetes.namespace_labels.",
    "kubernetes.namespace_uid",
    "kubernetes.node.hostname",
    "kubernetes.node.labels.",
    "kubernetes.node.uid",
    "kubernetes.pod.ip",
    "kubernetes.pod.uid",
    "kubernetes.replicaset.",
    "log.file.device_id",
    "log.file.fingerprint",
    "log.file.inode",
    "log.offset",
    "message",
    "month",
    "process.pid",
    "request_id",
    "thread_id",
    "time",
    "_id",
];

impl Engine {
    /// Compares two sets of records by `fields`, or by those worth comparing when none are named.
    pub fn compare(
        &self,
        sides: [Side<'_>; 2],
        fields: &[String],
        limit: usize,
        deadline: Instant,
    ) -> Result<Comparison, Stop> {
        let known = self.fields()?;
        let chosen = chosen(&known, fields);
        let mut comparison =
            Comparison { fields: chosen.iter().map(|field| field.name.clone()).collect(), ..Comparison::default() };
        for (side, total) in sides.iter().zip(&mut comparison.totals) {
            let counted = self.aggregate(side.expr, side.between, &[], Limits::default(), deadline)?;
            *total = counted.total;
            comparison.partial |= counted.partial;
        }
        let mut found = Vec::new();
        let mut compare = |fields: &[Field]| -> Result<(), Stop> {
            let mut pass = Pass { engine: self, sides, deadline, partial: false };
            let compared = pass.compare(fields, comparison.totals)?;
            comparison.partial |= pass.partial;
            found.extend(compared);
            Ok(())
        };
        let mut skipped = Vec::new();
        for fields in chosen.chunks(FIELDS_AT_ONCE) {
            match compare(fields) {
                Err(Stop::Memory { .. }) => {
                    for field in fields {
                        match compare(std::slice::from_ref(field)) {
                            Err(Stop::Memory { .. }) => skipped.push(field.name.clone()),
                            done => done?,
                        }
                    }
                }
                done => done?,
            }
        }
        comparison.skipped = skipped;
        comparison.compared = found.len();
        let tests = found.len();
        let surprising = found.into_iter().filter(|candidate: &Candidate| candidate.matters).filter_map(|candidate| {
            let surprise = surprise(candidate.g2, candidate.freedom, tests);
            let Candidate { field, what, .. } = candidate;
            (surprise >= SURPRISE_MIN).then_some(Difference { field, what, surprise })
        });
        let mut differences: Vec<Difference> = surprising.collect();
        differences.sort_by(|a, b| b.surprise.total_cmp(&a.surprise).then_with(|| a.field.cmp(&b.field)));
        comparison.found = differences.len();
        differences.truncate(limit);
        comparison.differences = differences;
        Ok(comparison)
    }
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    is_number: bool,
}

fn chosen(known: &[FieldType], named: &[String]) -> Vec<Field> {
    let field =
        |name: &str, kind: &str| Field { name: name.to_owned(), is_number: kind == "number" && name != "template" };
    if !named.is_empty() {
        let kind = |name: &String| {
            let found = known.iter().find(|field| field.name == *name || field.aliases.contains(name));
            found.map_or("keyword", |field| field.kind)
        };
        return named.iter().map(|name| field(name, kind(name))).collect();
    }
    let says_who = |name: &str| {
        IDENTITIES
            .iter()
            .any(|identity| if identity.ends_with('.') { name.starts_with(identity) } else { name == *identity })
    };
    let worth = |field: &&FieldType| matches!(field.kind, "keyword" | "boolean" | "number") && !says_who(&field.name);
    let mut fields: Vec<Field> = known.iter().filter(worth).map(|known| field(&known.name, known.kind)).collect();
    // What is parsed and where it runs stands before the many pairs of structured lines.
    fields.sort_by_key(|field| (field.name.starts_with("kv."), field.name != "template"));
    fields.truncate(FIELDS_MAX);
    fields
}

/// What was looked at, surprising or not.
struct Candidate {
    field: String,
    what: What,
    g2: f64,
    freedom: usize,
    /// It is large enough to be told, if chance does not make it.
    matters: bool,
}

/// Some fields of both sides, counted in few scans.
struct Pass<'e> {
    engine: &'e Engine,
    sides: [Side<'e>; 2],
    deadline: Instant,
    partial: bool,
}

/// The values of a field on one side.
#[derive(Default)]
struct Values {
    counts: HashMap<Key, u64>,
    /// There are no others.
    whole: bool,
}

impl Pass<'_> {
    fn aggregate(&mut self, side: usize, requests: &[Aggregation]) -> Result<Vec<Answer>, Stop> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let Side { expr, between } = self.sides[side];
        let found = self.engine.aggregate(expr, between, requests, Limits::default(), self.deadline)?;
        self.partial |= found.partial;
        Ok(found.answers)
    }

    fn both(&mut self, requests: &[Aggregation]) -> Result<[Vec<Answer>; 2], Stop> {
        Ok([self.aggregate(0, requests)?, self.aggregate(1, requests)?])
    }

    fn compare(&mut self, fields: &[Field], totals: [u64; 2]) -> Result<Vec<Candidate>, Stop> {
        let (numbers, mut valued): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|field| field.is_number);
        let shapes = numbers.iter().flat_map(|field| {
            let percentiles =
                Kind::Percentiles { field: field.name.clone(), percents: PERCENTS.to_vec(), keyed: false };
            [request(Kind::Unique(field.name.clone())), request(percentiles)]
        });
        let shapes: Vec<Aggregation> = shapes.collect();
        let found = self.both(&shapes)?;
        let mut spread = Vec::new();
        for (at, field) in numbers.into_iter().enumerate() {
            let different = |side: usize| match found[side].get(2 * at) {
                Some(Answer::Count(count)) => *count,
                _ => 0,
            };
            if different(0).max(different(1)) <= CODES_MAX {
                valued.push(field);
                continue;
            }
            let percentiles = |side: usize| match found[side].get(2 * at + 1) {
                Some(Answer::Percentiles(all)) => all.iter().filter_map(|(_, value)| *value).collect::<Vec<f64>>(),
                _ => Vec::new(),
            };
            spread.push((field, [percentiles(0), percentiles(1)]));
        }
        let mut candidates = self.values(&valued, totals)?;
        candidates.extend(self.numbers(&spread)?);
        Ok(candidates)
    }

    fn values(&mut self, fields: &[&Field], totals: [u64; 2]) -> Result<Vec<Candidate>, Stop> {
        let top: Vec<Aggregation> =
            fields.iter().map(|field| request(Kind::Terms(Terms::top(&field.name, VALUES_MAX)))).collect();
        let found = self.both(&top)?;
        let [mut before, mut after] = found.map(|answers| answers.into_iter().map(values).collect::<Vec<Values>>());
        self.fill(0, fields, &mut before, &after)?;
        self.fill(1, fields, &mut after, &before)?;
        let mut candidates = Vec::new();
        for (field, (before, after)) in fields.iter().zip(before.iter().zip(&after)) {
            let mut keys: Vec<&Key> = before.counts.keys().collect();
            keys.extend(after.counts.keys().filter(|key| !before.counts.contains_key(key)));
            keys.sort();
            for key in keys {
                let count = |values: &Values| values.counts.get(key).copied().unwrap_or(0);
                let counts = [count(before), count(after)];
                let share = |side: usize| counts[side] as f64 / totals[side].max(1) as f64;
                let (less, more) = (share(0).min(share(1)), share(0).max(share(1)));
                candidates.push(Candidate {
                    field: field.name.clone(),
                    what: What::Value { key: key.clone(), counts },
                    g2: g2_of_value(counts, totals),
                    freedom: 1,
                    matters: more >= FACTOR_MIN * less,
                });
            }
        }
        Ok(candidates)
    }

    /// Counts on one side what only the other has among its most frequent values.
    fn fill(&mut self, side: usize, fields: &[&Field], ours: &mut [Values], theirs: &[Values]) -> Result<(), Stop> {
        let mut requests = Vec::new();
        let mut places = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            let (own, other) = (&ours[at], &theirs[at]);
            let absent: Vec<Key> =
                other.counts.keys().filter(|key| !own.whole && !own.counts.contains_key(key)).cloned().collect();
            if !absent.is_empty() {
                let limit = absent.len();
                let terms = Terms { include: Some(Chosen::These(absent)), ..Terms::top(&field.name, limit) };
                requests.push(request(Kind::Terms(terms)));
                places.push(at);
            }
        }
        for (at, answer) in places.into_iter().zip(self.aggregate(side, &requests)?) {
            ours[at].counts.extend(values(answer).counts);
        }
        Ok(())
    }

    /// Each distribution in classes that hold a tenth of the two sides' percentiles each.
    fn numbers(&mut self, fields: &[(&Field, [Vec<f64>; 2])]) -> Result<Vec<Candidate>, Stop> {
        let classes = fields.iter().map(|(field, percentiles)| {
            let mut bounds: Vec<f64> = percentiles.iter().flatten().copied().collect();
            bounds.sort_by(f64::total_cmp);
            // Every other of them: of two sides with as many records these are the deciles of both together.
            let mut bounds: Vec<f64> = bounds.into_iter().skip(1).step_by(2).collect();
            bounds.dedup();
            let edges = std::iter::once(None).chain(bounds.iter().copied().map(Some)).chain([None]);
            let edges: Vec<Option<f64>> = edges.collect();
            let range = |two: &[Option<f64>]| ValueRange { key: String::new(), from: two[0], to: two[1] };
            let ranges = edges.windows(2).map(range).collect();
            request(Kind::Ranges(Ranges { field: field.name.clone(), ranges, is_time: false, keyed: false }))
        });
        let classes: Vec<Aggregation> = classes.collect();
        let found = self.both(&classes)?;
        let mut candidates = Vec::new();
        for (at, (field, percentiles)) in fields.iter().enumerate() {
            let counts = |side: usize| match found[side].get(at) {
                Some(Answer::Groups { groups, .. }) => groups.iter().map(|group| group.count).collect::<Vec<u64>>(),
                _ => Vec::new(),
            };
            let (before, after) = (counts(0), counts(1));
            let classes: Vec<[u64; 2]> = before.iter().zip(&after).map(|(before, after)| [*before, *after]).collect();
            let spread = |side: usize| {
                let count = classes.iter().map(|counts| counts[side]).sum();
                let at = |percent: f64| {
                    let place = PERCENTS.iter().position(|p| *p == percent);
                    place.and_then(|place| percentiles[side].get(place)).copied().unwrap_or(f64::NAN)
                };
                Spread { count, p50: at(50.0), p95: at(95.0) }
            };
            let spreads = [spread(0), spread(1)];
            // A field that one side does not have differs in which statements there are, not in its numbers.
            let both = spreads.iter().all(|spread| spread.count > 0);
            candidates.push(Candidate {
                field: field.name.clone(),
                g2: g2(&classes),
                freedom: classes.len().saturating_sub(1),
                matters: both && distance(&classes) >= DISTANCE_MIN,
                what: What::Numbers(spreads),
            });
        }
        Ok(candidates)
    }
}

fn request(kind: Kind) -> Aggregation {
    Aggregation { name: String::new(), kind, subs: Vec::new() }
}

fn values(answer: Answer) -> Values {
    match answer {
        Answer::Groups { groups, other } => {
            Values { counts: groups.into_iter().map(|group| (group.key, group.count)).collect(), whole: other == 0 }
        }
        _ => Values::default(),
    }
}
