//! From what was collected to the answer: groups ordered, cut to what was asked for, gaps filled.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde_json::Value as Json;

use super::answer::{Answer, Group, Stats};
use super::groups::{Groups, Ids, Node};
use super::key::Key;
use super::measure::{Measure, State};
use super::request::{Chosen, Direction, Kind, OrderBy, Shown, StepsOf, Terms};
use super::sketch::Quantiles;
use super::steps::Steps;
use crate::query::matches;
use crate::query::number::Num;
use crate::query::segment::{Language, Stop};

/// What answers are made with.
pub struct Finish {
    pub language: Language,
    pub deadline: std::time::Instant,
    /// Groups that may still go into the answer, of how many.
    pub groups_left: usize,
    pub groups_max: usize,
}

impl Finish {
    fn spend(&mut self, groups: usize) -> Result<(), Stop> {
        self.groups_left = self.groups_left.checked_sub(groups).ok_or(Stop::Groups { groups_max: self.groups_max })?;
        Ok(())
    }
}

/// A node whose groups are sorted by the group above.
pub struct Finished<'a> {
    node: Node<'a>,
    subs: Vec<Finished<'a>>,
    by_parent: HashMap<u32, Vec<u32>, FixedState>,
}

impl<'a> Finished<'a> {
    pub fn new(mut node: Node<'a>) -> Self {
        let (subs, by_parent) = match &mut node {
            Node::Groups(groups) => {
                let subs = std::mem::take(&mut groups.subs);
                (subs.into_iter().map(Finished::new).collect(), groups.table.by_parent())
            }
            Node::Measure(_) => (Vec::new(), HashMap::default()),
        };
        Self { node, subs, by_parent }
    }

    /// The answer within one group above; `None` is a group without records.
    pub fn answer(&mut self, parent: Option<u32>, finish: &mut Finish) -> Result<Answer, Stop> {
        let members = parent.and_then(|parent| self.by_parent.remove(&parent)).unwrap_or_default();
        let groups = match &mut self.node {
            Node::Measure(measure) => return measure_answer(measure, parent, finish),
            Node::Groups(groups) => groups,
        };
        match &groups.request.kind {
            Kind::Terms(terms) => {
                let (shown, other) = ordered(groups, &mut self.subs, terms, members);
                finish.spend(shown.len())?;
                let groups = shown
                    .into_iter()
                    .map(|(key, group)| {
                        Ok(Group {
                            key,
                            count: groups.table.counts[group as usize],
                            answers: below(&mut self.subs, Some(group), finish)?,
                        })
                    })
                    .collect::<Result<_, Stop>>()?;
                Ok(Answer::Groups { groups, other })
            }
            Kind::Steps(of) => {
                let Ids::Steps(ids) = &groups.ids else { return Ok(Answer::Groups { groups: Vec::new(), other: 0 }) };
                let found = members.iter().map(|group| (ids.start(groups.table.ids[*group as usize]), *group));
                let steps = stepped(of, ids, found.collect(), finish.groups_left)
                    .ok_or(Stop::Groups { groups_max: finish.groups_max })?;
                finish.spend(steps.len())?;
                let mut answers = Vec::with_capacity(steps.len());
                for (start, group) in steps {
                    let count = group.map_or(0, |group| groups.table.counts[group as usize]);
                    let below = below(&mut self.subs, group, finish)?;
                    answers.push(Group { key: ids.key(start), count, answers: below });
                }
                Ok(Answer::Groups { groups: answers, other: 0 })
            }
            kind => {
                let places = match kind {
                    Kind::Ranges(ranges) => ranges.ranges.len(),
                    Kind::Filters(filters) => filters.len(),
                    _ => 1,
                };
                let single = matches!(kind, Kind::Filter(_) | Kind::Missing(_));
                finish.spend(places)?;
                let by_place: HashMap<u32, u32> =
                    members.iter().map(|group| (groups.table.ids[*group as usize], *group)).collect();
                let mut answers = Vec::with_capacity(places);
                for place in 0..places as u32 {
                    let group = by_place.get(&place).copied();
                    let count = group.map_or(0, |group| groups.table.counts[group as usize]);
                    let below = below(&mut self.subs, group, finish)?;
                    answers.push(Group { key: Key::Int(place.into()), count, answers: below });
                }
                Ok(match answers.pop() {
                    Some(one) if single => Answer::One(one),
                    last => {
                        answers.extend(last);
                        Answer::Groups { groups: answers, other: 0 }
                    }
                })
            }
        }
    }

    /// A measure's value in a group, by which groups are ordered.
    fn value(&mut self, group: u32, part: &str) -> Option<f64> {
        match &mut self.node {
            Node::Groups(groups) => {
                let members = self.by_parent.get(&group)?;
                Some(members.iter().map(|group| groups.table.counts[*group as usize]).sum::<u64>() as f64)
            }
            Node::Measure(measure) => match (&measure.request.kind, &mut measure.state) {
                (Kind::Stats(_, shown), State::Stats(stats)) => {
                    let stats = stats.get(group as usize).copied().unwrap_or_default();
                    stat(&stats, *shown, part)
                }
                (_, State::Quantiles(all)) => {
                    let rank = part.parse::<f64>().unwrap_or(50.0) / 100.0;
                    all.get_mut(group as usize)?.at(&[rank]).first().copied().flatten()
                }
                (_, State::Unique(all)) => Some(all.get(group as usize).map_or(0, |u| u.count()) as f64),
                (_, State::Count(counts)) => Some(counts.get(group as usize).copied().unwrap_or_default() as f64),
                _ => None,
            },
        }
    }

    fn name(&self) -> &'a str {
        match &self.node {
            Node::Groups(groups) => &groups.request.name,
            Node::Measure(measure) => &measure.request.name,
        }
    }
}

/// One of a field's numbers, by name.
pub fn stat(stats: &Stats, shown: Shown, part: &str) -> Option<f64> {
    match (part, shown) {
        ("count", _) => Some(stats.count as f64),
        ("sum", _) | ("" | "value", Shown::Sum) => Some(stats.sum()),
        ("min", _) | ("" | "value", Shown::Min) => stats.min(),
        ("max", _) | ("" | "value", Shown::Max) => stats.max(),
        ("avg", _) | ("" | "value", _) => stats.avg(),
        ("sum_of_squares", _) => stats.sum_of_squares(),
        ("variance" | "variance_population", _) => stats.variance(),
        ("variance_sampling", _) => stats.variance_sampling(),
        ("std_deviation" | "std_deviation_population", _) => stats.variance().map(f64::sqrt),
        ("std_deviation_sampling", _) => stats.variance_sampling().map(f64::sqrt),
        _ => None,
    }
}

fn below(subs: &mut [Finished<'_>], group: Option<u32>, finish: &mut Finish) -> Result<Vec<Answer>, Stop> {
    subs.iter_mut().map(|sub| sub.answer(group, finish)).collect()
}

/// The groups to show, first first, and how many records the others have.
fn ordered(groups: &Groups<'_>, subs: &mut [Finished<'_>], terms: &Terms, members: Vec<u32>) -> (Vec<(Key, u32)>, u64) {
    struct Place {
        key: Key,
        group: u32,
        count: u64,
        measures: Vec<f64>,
    }
    let mut places: Vec<Place> = Vec::with_capacity(members.len());
    for group in members {
        let (count, key) = (groups.table.counts[group as usize], groups.key(groups.table.ids[group as usize]));
        if count < terms.count_min
            || terms.include.as_ref().is_some_and(|chosen| !chosen.holds(&key))
            || terms.exclude.as_ref().is_some_and(|chosen| chosen.holds(&key))
        {
            continue;
        }
        let measures = terms.order.iter().map(|(by, direction)| match by {
            OrderBy::Measure { name, part } => {
                let sub = subs.iter_mut().find(|sub| sub.name() == name);
                // Groups without a value come last, whichever the direction.
                let none = if *direction == Direction::Ascending { f64::INFINITY } else { f64::NEG_INFINITY };
                sub.and_then(|sub| sub.value(group, part)).unwrap_or(none)
            }
            _ => 0.0,
        });
        places.push(Place { key, group, count, measures: measures.collect() });
    }
    let total: u64 = places.iter().map(|place| place.count).sum();
    let compare = |a: &Place, b: &Place| {
        for (nth, (by, direction)) in terms.order.iter().enumerate() {
            let order = match by {
                OrderBy::Count => a.count.cmp(&b.count),
                OrderBy::Key => a.key.cmp(&b.key),
                OrderBy::Measure { .. } => a.measures[nth].total_cmp(&b.measures[nth]),
            };
            let order = if *direction == Direction::Ascending { order } else { order.reverse() };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.key.cmp(&b.key)
    };
    if places.len() > terms.limit && terms.limit > 0 {
        places.select_nth_unstable_by(terms.limit - 1, compare);
    }
    places.truncate(terms.limit);
    places.sort_unstable_by(compare);
    let shown: u64 = places.iter().map(|place| place.count).sum();
    (places.into_iter().map(|place| (place.key, place.group)).collect(), total - shown)
}

impl Chosen {
    fn holds(&self, key: &Key) -> bool {
        let text = || match key.to_json() {
            Json::String(text) => text,
            other => other.to_string(),
        };
        match self {
            Chosen::These(keys) => keys.contains(key),
            Chosen::Like(regex) => regex.is_match(&text()),
        }
    }
}

/// Start and group of every step to show; `None` when they are more than `max`.
fn stepped(of: &StepsOf, ids: &Steps, mut found: Vec<(i64, u32)>, max: usize) -> Option<Vec<(i64, Option<u32>)>> {
    found.sort_unstable();
    // Bounds come as milliseconds, or as the number; starts are nanoseconds, or counted from zero's.
    let start_of = |bound: f64| match of.step.is_time() {
        true => of.step.around((bound * 1e6) as i64).0,
        false => of.step.index(bound),
    };
    if let Some((low, high)) = of.hard {
        let (low, high) = (start_of(low), start_of(high));
        found.retain(|(start, _)| (low..=high).contains(start));
    }
    let mut steps: Vec<(i64, Option<u32>)> = Vec::with_capacity(found.len());
    if of.count_min == 0 {
        let mut first = found.first().map(|(start, _)| *start);
        let mut last = found.last().map(|(start, _)| *start);
        if let Some((low, high)) = of.extended {
            let (low, high) = (start_of(low), start_of(high));
            first = Some(first.map_or(low, |first| first.min(low)));
            last = Some(last.map_or(high, |last| last.max(high)));
        }
        let mut known = found.iter().peekable();
        let mut next = first;
        while let (Some(start), Some(last)) = (next, last) {
            if start > last {
                break;
            }
            if steps.len() >= max {
                return None;
            }
            let group = known.next_if(|(have, _)| *have == start).map(|(_, group)| *group);
            steps.push((start, group));
            next = Some(if of.step.is_time() { ids.step.around(start).1 } else { start + 1 }).filter(|n| *n > start);
        }
    } else {
        steps.extend(found.into_iter().map(|(start, group)| (start, Some(group))));
    }
    if of.descending {
        steps.reverse();
    }
    Some(steps)
}

fn measure_answer(measure: &mut Measure<'_>, group: Option<u32>, finish: &mut Finish) -> Result<Answer, Stop> {
    let at = group.map_or(usize::MAX, |group| group as usize);
    Ok(match (&measure.request.kind, &mut measure.state) {
        (Kind::Percentiles { percents, .. }, State::Quantiles(all)) => {
            let ranks: Vec<f64> = percents.iter().map(|percent| percent / 100.0).collect();
            let values = all.get_mut(at).map_or_else(|| Quantiles::default().at(&ranks), |q| q.at(&ranks));
            Answer::Percentiles(percents.iter().copied().zip(values).collect())
        }
        (_, State::Stats(stats)) => Answer::Stats(stats.get(at).copied().unwrap_or_default()),
        (_, State::Unique(all)) => Answer::Count(all.get(at).map_or(0, |unique| unique.count())),
        (_, State::Count(counts)) => Answer::Count(counts.get(at).copied().unwrap_or_default()),
        (kind, State::Best(all)) => {
            let Some(best) = all.get_mut(at) else {
                return Ok(match kind {
                    Kind::TopMetrics { .. } => Answer::TopMetrics(Vec::new()),
                    _ => Answer::Hits { total: 0, records: Vec::new() },
                });
            };
            let total = best.offered();
            let found = std::mem::take(best).records(&finish.language, finish.deadline)?;
            match kind {
                Kind::TopMetrics { fields, .. } => {
                    let values = |record: &serde_json::Map<String, Json>| {
                        fields.iter().map(|field| first_value(record, field, &finish.language)).collect()
                    };
                    Answer::TopMetrics(found.iter().map(|(place, record)| (place.timestamp, values(record))).collect())
                }
                _ => Answer::Hits { total, records: found.into_iter().map(|(_, record)| record).collect() },
            }
        }
        _ => Answer::Count(0),
    })
}

/// A field's first value in a record; null without one.
fn first_value(record: &serde_json::Map<String, Json>, field: &str, language: &Language) -> Json {
    let mut found = Json::Null;
    for name in language.aliases.names(field) {
        matches::visit(record, name, &mut |value| {
            let first = value.as_array().map_or(Some(value), |items| items.first());
            found = first.cloned().unwrap_or_default();
            !found.is_null()
        });
        if !found.is_null() {
            break;
        }
    }
    // As its number where it is one, so that 200 and "200" look alike.
    match &found {
        Json::String(text) => match Num::parse(text) {
            Some(Num::U(n)) => Json::from(n),
            Some(Num::I(n)) => Json::from(n),
            Some(Num::F(n)) => Json::from(n),
            None => found,
        },
        _ => found,
    }
}
