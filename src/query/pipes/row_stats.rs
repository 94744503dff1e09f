//! `stats` over rows that are no columns of the store: those of an earlier `stats`, and what `extract` found.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde_json::{Map, Value as Json};

use super::rows::{Row, values_of};
use super::{By, Measure, StatsStage, StepBy, VALUES_SHOWN};
use crate::query::aggregate::values::{AsHash, AsNumber, each_scalar};
use crate::query::aggregate::{Key, Quantiles, Stats, Step, Steps, Unique};
use crate::query::ast::Test;
use crate::query::matches::{self, Aliases};
use crate::query::segment::Stop;

pub struct RowStats<'s> {
    stage: &'s StatsStage,
    /// What `rate` divides by where no key is a time.
    seconds: f64,
    groups: HashMap<Vec<Key>, Vec<State>, FixedState>,
    rows: u64,
    memory_bytes: usize,
}

enum State {
    Count(u64),
    Stats(Stats),
    Quantiles(Quantiles),
    Unique(Unique),
    Values(HashMap<Key, u64, FixedState>),
}

impl State {
    fn new(measure: &Measure) -> Self {
        match measure {
            Measure::Count(_) | Measure::Rate => State::Count(0),
            Measure::Percentile(..) => State::Quantiles(Quantiles::default()),
            Measure::Unique(_) => State::Unique(Unique::default()),
            Measure::Values(_) => State::Values(HashMap::default()),
            _ => State::Stats(Stats::default()),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                State::Quantiles(quantiles) => quantiles.bytes(),
                State::Unique(unique) => unique.bytes(),
                State::Values(values) => values.len() * (size_of::<Key>() + 60),
                _ => 0,
            }
    }
}

/// How often the memory taken is looked at: rows.
const ROWS_BETWEEN_CHECKS: u64 = 4_096;
/// Rows that one row with several values of several keys becomes at most.
const PRODUCT_MAX: usize = 1_024;

impl<'s> RowStats<'s> {
    pub fn new(stage: &'s StatsStage, seconds: f64, memory_bytes: usize) -> Self {
        Self { stage, seconds, groups: HashMap::default(), rows: 0, memory_bytes }
    }

    pub fn add(&mut self, row: &Row, aliases: &Aliases) -> Result<(), Stop> {
        let mut keys: Vec<Vec<Key>> = vec![Vec::new()];
        for by in &self.stage.by {
            let mut values = Vec::new();
            for value in values_of(row, &by.field, aliases) {
                match &by.step {
                    StepBy::Step(step) => values.extend(step_keys(step, value)),
                    StepBy::Value | StepBy::Auto => values.extend(Key::of(value)),
                }
            }
            values.sort_unstable();
            values.dedup();
            let longer = |key: &Vec<Key>| {
                let key = key.clone();
                values
                    .iter()
                    .map(move |value| [key.as_slice(), std::slice::from_ref(value)].concat())
                    .collect::<Vec<_>>()
            };
            keys = keys.iter().flat_map(longer).take(PRODUCT_MAX).collect();
        }
        for key in keys {
            let fresh = || self.stage.measures.iter().map(|(measure, _)| State::new(measure)).collect();
            let states = self.groups.entry(key).or_insert_with(fresh);
            for ((measure, _), state) in self.stage.measures.iter().zip(states) {
                take(measure, state, row, aliases);
            }
        }
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_BETWEEN_CHECKS) && self.bytes() > self.memory_bytes {
            return Err(Stop::Memory { limit_bytes: self.memory_bytes });
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let one = |(key, states): (&Vec<Key>, &Vec<State>)| {
            let texts =
                key.iter().map(|key| if let Key::Text(text) = key { text.len() + 16 } else { 0 }).sum::<usize>();
            key.len() * size_of::<Key>() + texts + 64 + states.iter().map(State::bytes).sum::<usize>()
        };
        self.groups.iter().map(one).sum()
    }

    /// The rows, in the order of their keys.
    pub fn finish(self) -> Vec<Row> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut rows = Vec::with_capacity(groups.len());
        for (key, states) in groups {
            let mut row = Map::new();
            for (By { field, .. }, key) in self.stage.by.iter().zip(&key) {
                row.insert(field.clone(), key.to_json());
            }
            let seconds = seconds_of(self.stage, &key).unwrap_or(self.seconds);
            for ((measure, name), state) in self.stage.measures.iter().zip(states) {
                row.insert(name.clone(), shown(measure, state, seconds));
            }
            rows.push(row);
        }
        rows
    }
}

/// How long the step is that a row stands for, where one of its keys is a time.
pub fn seconds_of(stage: &StatsStage, key: &[Key]) -> Option<f64> {
    stage.by.iter().zip(key).find_map(|(by, key)| match (&by.step, key) {
        (StepBy::Step(step), Key::Time(at)) if step.is_time() => {
            let (start, end) = step.around(*at);
            Some((end - start) as f64 / 1e9)
        }
        _ => None,
    })
}

fn take(measure: &Measure, state: &mut State, row: &Row, aliases: &Aliases) {
    let Some(field) = measure.field() else {
        if let State::Count(count) = state {
            *count += 1;
        }
        return;
    };
    let values = values_of(row, field, aliases);
    match state {
        // As `_exists_` has it: an object with something in it is there too.
        State::Count(count) => {
            *count += u64::from(aliases.names(field).any(|name| matches::field_matches(name, &Test::Exists, row)));
        }
        State::Stats(stats) => numbers(&values).into_iter().for_each(|n| stats.add(n)),
        State::Quantiles(quantiles) => numbers(&values).into_iter().for_each(|n| quantiles.add(n)),
        State::Unique(unique) => {
            values.iter().for_each(|value| each_scalar(value, &mut AsHash, &mut |hash| unique.add(hash)));
        }
        State::Values(counts) => {
            let mut keys: Vec<Key> = values.iter().filter_map(|value| Key::of(value)).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        }
    }
}

/// A row's values of a name are a set.
fn numbers(values: &[&Json]) -> Vec<f64> {
    let mut numbers = Vec::new();
    values.iter().for_each(|value| each_scalar(value, &mut AsNumber, &mut |n| numbers.push(n)));
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

fn shown(measure: &Measure, state: State, seconds: f64) -> Json {
    match state {
        State::Count(count) if *measure == Measure::Rate => Json::from(count as f64 / seconds),
        State::Count(count) => Json::from(count),
        State::Stats(stats) => super::rows::stat_json(measure, &stats),
        State::Quantiles(mut quantiles) => {
            let percent = if let Measure::Percentile(_, percent) = measure { *percent } else { 50.0 };
            Json::from(quantiles.at(&[percent / 100.0])[0])
        }
        State::Unique(unique) => Json::from(unique.count()),
        State::Values(counts) => {
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            counts.iter().take(VALUES_SHOWN).map(|(key, _)| key.to_json()).collect()
        }
    }
}

/// The keys of the steps that a row's values fall into.
fn step_keys(step: &Step, value: &Json) -> Vec<Key> {
    let mut steps = Steps::new(step.clone());
    let mut ids = Vec::new();
    each_scalar(value, &mut steps, &mut |id| ids.push(id));
    ids.into_iter().map(|id| steps.key(steps.start(id))).collect()
}
