//! A job at work: records in, buckets closed by the lines' own time, anomalies out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model::{Population, Times, Values};
use super::spec::{Function, Side, Spec};
use super::tally::{Tally, count};
use crate::detect::anomaly::{Anomaly, Example, Influencer, STREAMING, State as AnomalyState, number};
use crate::detect::episode::id;
use crate::detect::finding::Measure;
use crate::detect::score::{Severity, score};
use crate::detect::series::{Direction, Kind, Scored};
use crate::detect::service::text_hash;
use crate::detect::watched::Watched;
use crate::record::time::{NANOS_PER_SECOND, format_rfc3339};

/// What a job takes of a record.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Unix nanoseconds.
    pub time: i64,
    /// Values that split the job; empty where it is not split, or the record has none.
    pub partition: String,
    pub by: String,
    pub over: String,
    /// The field's value: as a number where it is one, and as text.
    pub number: Option<f64>,
    pub text: Option<String>,
    /// Of each influencer its value, or nothing.
    pub influencers: Vec<String>,
    pub example: Example,
}

/// Which series: values of partition, by, over; empty where the job is not split so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key([String; 3]);

impl Key {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.iter().map(String::len).sum::<usize>()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Level {
    series: Watched,
    /// Start of the last bucket with records: Unix seconds.
    last: i64,
}

/// All that a job knows; saved whole.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Buckets before are closed; 0 before the first record. Unix seconds, as all below.
    closed_until: i64,
    now: i64,
    open: BTreeMap<i64, BTreeMap<Key, Tally>>,
    levels: BTreeMap<Key, Level>,
    populations: BTreeMap<Key, Population>,
    values: BTreeMap<String, Values>,
    times: BTreeMap<Key, Times>,
    /// Of each influencer its values and their weight, the older the less.
    usual: Vec<Vec<(String, f64)>>,
    episodes: BTreeMap<Key, Anomaly>,
    /// Of all that grows.
    bytes: usize,
    records: u64,
    late: u64,
    not_covered: u64,
    anomalies: u64,
    buckets: u64,
}

/// How a job is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobStats {
    /// Records that its filter let through.
    pub records: u64,
    /// Of these, those that came after their bucket was closed.
    pub late: u64,
    /// Of these, those of series or values there was no room for.
    pub not_covered: u64,
    pub series: u64,
    pub bytes: u64,
    /// Closed so far.
    pub buckets: u64,
    pub anomalies: u64,
}

/// One job. The same rows in the same order give the same anomalies.
#[derive(Debug)]
pub struct Job {
    spec: Arc<Spec>,
    state: State,
    out: Vec<Anomaly>,
}

/// Lines are waited for so long after their bucket's end, but no longer than a bucket: seconds.
const LATENCY_SECONDS: i64 = 60;
/// A jump of time by more than this is a gap in what was received: seconds.
const GAP_SECONDS: i64 = 2 * 3_600;
/// A record so far ahead of all others has a wrong clock: seconds.
const AHEAD_SECONDS: i64 = 600;
/// A series without records for so many buckets, and for so long, is forgotten.
const IDLE_BUCKETS: i64 = 1_000;
const IDLE_SECONDS: i64 = 7 * 86_400;
/// Buckets without a finding end an anomaly.
const CALM_BUCKETS: i64 = 3;
/// Values of an influencer of which the usual weight is known, and what is left of it after a bucket.
const USUAL_MAX: usize = 256;
const USUAL_KEPT: f64 = 0.995;
/// Less than this share of what is out of the ordinary explains nothing.
const INFLUENCE_MIN: f64 = 0.1;
const INFLUENCERS_MAX: usize = 5;
/// A new tally or model with what holds it: bytes.
const ENTRY_BYTES: usize = 600;

impl Job {
    pub fn new(spec: Arc<Spec>) -> Self {
        Self { spec, state: State::default(), out: Vec::new() }
    }

    /// Goes on from saved bytes; none where they cannot be read.
    pub fn load(spec: Arc<Spec>, bytes: &[u8]) -> Option<Self> {
        let state = postcard::from_bytes(bytes).ok()?;
        Some(Self { spec, state, out: Vec::new() })
    }

    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&self.state)
    }

    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    pub fn stats(&self) -> JobStats {
        let State { records, late, not_covered, buckets, anomalies, .. } = self.state;
        let series = self.state.levels.len() + self.state.populations.len() + self.state.times.len();
        let series = (series + self.state.values.len()) as u64;
        JobStats { records, late, not_covered, series, bytes: self.state.bytes as u64, buckets, anomalies }
    }

    /// Anomalies that began, changed or ended since the last call, in order.
    pub fn take(&mut self) -> Vec<Anomaly> {
        std::mem::take(&mut self.out)
    }

    /// Takes a record of a batch; `now` is how far time has come (Unix seconds): what is far ahead of it has a wrong clock.
    pub fn observe(&mut self, row: &Row, now: i64) {
        let spec = &self.spec;
        let seconds = row.time.div_euclid(NANOS_PER_SECOND);
        let start = seconds - seconds.rem_euclid(spec.bucket_seconds);
        let state = &mut self.state;
        state.records += 1;
        if state.closed_until == 0 {
            state.closed_until = start;
            state.now = state.now.max(seconds);
        }
        if start < state.closed_until || seconds > now.max(state.now) + AHEAD_SECONDS {
            state.late += 1;
            return;
        }
        let key = Key([row.partition.clone(), row.by.clone(), row.over.clone()]);
        let bucket = state.open.entry(start).or_default();
        if !bucket.contains_key(&key) {
            if state.bytes > spec.bytes_max {
                state.not_covered += 1;
                return;
            }
            state.bytes += key.bytes() + ENTRY_BYTES;
        }
        let tally = bucket.entry(key).or_default();
        let before = tally.bytes();
        let weight = tally.add(spec.function, row);
        state.bytes += tally.bytes().saturating_sub(before);
        state.usual.resize(row.influencers.len(), Vec::new());
        for (counts, value) in state.usual.iter_mut().zip(&row.influencers) {
            count(counts, value, weight, USUAL_MAX);
        }
    }

    /// Time has come to `now`: closes what is over. Unix seconds.
    pub fn advance(&mut self, now: i64) {
        let gap = self.state.now > 0 && now - self.state.now > GAP_SECONDS.max(2 * self.spec.bucket_seconds);
        self.state.now = self.state.now.max(now);
        if self.state.closed_until == 0 {
            return;
        }
        let bucket = self.spec.bucket_seconds;
        let latency = LATENCY_SECONDS.min(bucket);
        while self.state.closed_until + bucket + latency <= self.state.now {
            let first = self.state.open.first_key_value().map(|(start, _)| *start);
            if gap && first.is_none_or(|first| first > self.state.closed_until) {
                // Nothing was received from anybody: that is no silence of this job's.
                let through = self.state.now - latency - bucket;
                self.state.closed_until = first.unwrap_or(through - through.rem_euclid(bucket) + bucket);
                continue;
            }
            self.close();
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        while !self.state.open.is_empty() {
            self.close();
        }
    }

    fn close(&mut self) {
        let start = self.state.closed_until;
        let bucket = self.spec.bucket_seconds;
        self.state.closed_until = start + bucket;
        let tallies = self.state.open.remove(&start).unwrap_or_default();
        if !self.spec.calendars.iter().any(|event| event.holds(start, bucket)) {
            self.state.buckets += 1;
            match (self.spec.function, self.spec.over.is_some()) {
                (Function::Rare | Function::New, _) => self.close_values(start, &tallies),
                (Function::FreqRare, _) => self.close_frequently_rare(start, &tallies),
                (Function::TimeOfDay | Function::TimeOfWeek, _) => self.close_times(start, &tallies),
                (_, true) => self.close_population(start, &tallies),
                (_, false) => self.close_levels(start, &tallies),
            }
            for (_, weight) in self.state.usual.iter_mut().flatten() {
                *weight *= USUAL_KEPT;
            }
            self.state.usual.iter_mut().for_each(|counts| counts.retain(|(_, weight)| *weight > 1e-3));
        }
        self.end_calm(start);
        self.account(start);
    }

    /// A series against its own past.
    fn close_levels(&mut self, start: i64, tallies: &BTreeMap<Key, Tally>) {
        let spec = Arc::clone(&self.spec);
        let mut values: BTreeMap<&Key, f64> = BTreeMap::new();
        for (key, tally) in tallies {
            let Some(value) = tally.value(spec.function) else { continue };
            values.insert(key, value);
            if !self.state.levels.contains_key(key) {
                if self.state.bytes > spec.bytes_max {
                    self.state.not_covered += tally.lines;
                    continue;
                }
                self.state.bytes += key.bytes() + ENTRY_BYTES;
                let series = Watched::new(kind(spec.function, value), spec.bucket_seconds);
                self.state.levels.insert(key.clone(), Level { series, last: start });
            }
        }
        let looks = self.state.levels.len() as f64;
        let mut found = Vec::new();
        for (key, level) in &mut self.state.levels {
            let value = match values.get(key) {
                Some(value) => {
                    level.last = start;
                    *value
                }
                None if spec.function.counts_nothing() => 0.0,
                None => continue,
            };
            let typical = level.series.typical(start).typical;
            let exempt = exempt(&spec, key, value, typical);
            if let Some(finding) = level.series.peek(start, value).filter(|_| !exempt.0) {
                let scored = Scored {
                    p: finding.p,
                    typical: finding.typical,
                    low: finding.low,
                    high: finding.high,
                    direction: finding.direction,
                };
                found.push((key.clone(), scored, value));
            }
            if !exempt.1 {
                level.series.push(start, value);
            }
        }
        for (key, scored, value) in found {
            self.report(start, &key, scored, value, looks, tallies.get(&key));
        }
    }

    /// A member against the others of its population.
    fn close_population(&mut self, start: i64, tallies: &BTreeMap<Key, Tally>) {
        let function = self.spec.function;
        let values: Vec<(Key, f64)> =
            tallies.iter().filter_map(|(key, tally)| Some((key.clone(), tally.value(function)?))).collect();
        self.judge_members(start, values, tallies);
    }

    fn judge_members(&mut self, start: i64, values: Vec<(Key, f64)>, tallies: &BTreeMap<Key, Tally>) {
        let spec = Arc::clone(&self.spec);
        let (mut found, mut learned) = (Vec::new(), Vec::new());
        for (key, value) in values {
            let group = Key([
                key.0[0].clone(),
                if spec.function == Function::FreqRare { String::new() } else { key.0[1].clone() },
                String::new(),
            ]);
            if !self.state.populations.contains_key(&group) {
                if self.state.bytes > spec.bytes_max {
                    self.state.not_covered += 1;
                    continue;
                }
                self.state.bytes += group.bytes() + ENTRY_BYTES;
                self.state.populations.insert(group.clone(), Population::default());
            }
            let scored = self.state.populations.get(&group).and_then(|population| population.score(value));
            let exempt = exempt(&spec, &key, value, scored.map_or(0.0, |scored| scored.typical));
            if !exempt.1 {
                learned.push((group, value));
            }
            if let Some(scored) = scored.filter(|_| !exempt.0) {
                found.push((key, scored, value));
            }
        }
        // All of a bucket are judged by what was known before it.
        for (group, value) in learned {
            if let Some(population) = self.state.populations.get_mut(&group) {
                population.learn(value);
            }
        }
        let looks = found.len() as f64;
        for (key, scored, value) in found {
            let tally = tallies.get(&key).or_else(|| {
                tallies.iter().find(|(k, _)| k.0[0] == key.0[0] && k.0[2] == key.0[2]).map(|(_, tally)| tally)
            });
            self.report(start, &key, scored, value, looks, tally);
        }
    }

    /// Values against how often they came, or how many members have them.
    fn close_values(&mut self, start: i64, tallies: &BTreeMap<Key, Tally>) {
        let spec = Arc::clone(&self.spec);
        let (fresh, population) = (spec.function == Function::New, spec.over.is_some());
        let mut found = Vec::new();
        for (key, tally) in tallies.iter().filter(|(key, _)| !key.0[1].is_empty()) {
            let Some(values) = self.state.values.get(&key.0[0]) else { continue };
            let by = &key.0[1];
            let scored = if population { values.score_by_members(by) } else { values.score(by, fresh) };
            let lines = tally.lines as f64;
            if let Some(scored) = scored
                && !exempt(&spec, key, lines, scored.typical).0
            {
                found.push((key.clone(), scored, lines));
            }
        }
        self.learn_values(&spec, tallies);
        let looks = self.state.values.len() as f64;
        for (key, scored, lines) in found {
            self.report(start, &key, scored, lines, looks, tallies.get(&key));
        }
    }

    fn learn_values(&mut self, spec: &Spec, tallies: &BTreeMap<Key, Tally>) {
        let mut partitions: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for (Key([partition, by, over]), tally) in tallies {
            let key = Key([partition.clone(), by.clone(), over.clone()]);
            if !by.is_empty() && !exempt(spec, &key, tally.lines as f64, 0.0).1 {
                let member = if over.is_empty() { 0 } else { text_hash(over).max(1) };
                partitions.entry(partition).or_default().push((by, member));
            }
        }
        for (partition, values) in partitions {
            let room = self.state.bytes <= spec.bytes_max;
            if !room && !self.state.values.contains_key(partition) {
                self.state.not_covered += values.len() as u64;
                continue;
            }
            let model = self.state.values.entry(partition.to_owned()).or_default();
            self.state.bytes += model.learn(values.into_iter(), room);
        }
    }

    /// Members that have many values that few have.
    fn close_frequently_rare(&mut self, start: i64, tallies: &BTreeMap<Key, Tally>) {
        let spec = Arc::clone(&self.spec);
        let mut rare: BTreeMap<Key, f64> = BTreeMap::new();
        for (key, tally) in tallies {
            let Some(values) = self.state.values.get(&key.0[0]) else { continue };
            let member = Key([key.0[0].clone(), String::new(), key.0[2].clone()]);
            let lines = if values.is_rare(&key.0[1]) { tally.lines as f64 } else { 0.0 };
            *rare.entry(member).or_insert(0.0) += lines;
        }
        self.learn_values(&spec, tallies);
        self.judge_members(start, rare.into_iter().collect(), tallies);
    }

    /// Records against the times at which there are any.
    fn close_times(&mut self, start: i64, tallies: &BTreeMap<Key, Tally>) {
        let spec = Arc::clone(&self.spec);
        let days = if spec.function == Function::TimeOfDay { 1 } else { 7 };
        let mut found = Vec::new();
        for (key, tally) in tallies {
            if !self.state.times.contains_key(key) {
                if self.state.bytes > spec.bytes_max {
                    self.state.not_covered += tally.lines;
                    continue;
                }
                let times = Times::new(days, start);
                self.state.bytes += key.bytes() + times.bytes();
                self.state.times.insert(key.clone(), times);
            }
            let Some(times) = self.state.times.get_mut(key) else { continue };
            let (scored, lines) = (times.score(start), tally.lines as f64);
            let exempt = exempt(&spec, key, lines, scored.map_or(0.0, |scored| scored.typical));
            if let Some(scored) = scored.filter(|_| !exempt.0) {
                found.push((key.clone(), scored, lines));
            }
            if !exempt.1 {
                times.learn(start);
            }
        }
        let looks = self.state.times.len() as f64;
        for (key, scored, lines) in found {
            self.report(start, &key, scored, lines, looks, tallies.get(&key));
        }
    }

    fn report(&mut self, start: i64, key: &Key, scored: Scored, actual: f64, looks: f64, tally: Option<&Tally>) {
        let spec = &self.spec;
        let wrong_side = match spec.side {
            Side::Both => false,
            Side::High => scored.direction == Direction::Low,
            Side::Low => scored.direction == Direction::High,
        };
        let score = score(scored.p, spec.bucket_seconds as u32, looks);
        if wrong_side || score < spec.score_min {
            return;
        }
        let known = self.state.episodes.get_mut(key);
        if let Some(open) = known {
            open.last = open.last.max(start);
            if open.score >= score {
                return;
            }
        }
        let series = self.series(key);
        let influencers = tally.map(|tally| self.influencers(tally)).unwrap_or_default();
        let known = self.state.episodes.get(key);
        let since = known.map_or(start, |open| open.since);
        let own = id(&series, self.spec.bucket_seconds as u32, since, since);
        let related = self.state.episodes.iter().find(|(other, _)| other.0[0] == key.0[0]);
        let group = known.or(related.map(|(_, open)| open)).map_or_else(|| own.clone(), |open| open.group.clone());
        let spec = &self.spec;
        let split = |at: usize| Some(key.0[at].clone()).filter(|value| !value.is_empty());
        let sentence = sentence(spec, key, &scored, actual, since, &influencers);
        let anomaly = Anomaly {
            id: own,
            group,
            series,
            service: format!("job:{}", spec.name),
            measure: Measure::Job,
            field: spec.field.clone().or_else(|| spec.by.clone()),
            value: split(1).or_else(|| split(2)).or_else(|| split(0)),
            score,
            severity: Severity::of(score),
            probability: scored.p,
            direction: scored.direction,
            actual,
            typical: scored.typical,
            low: scored.low,
            high: scored.high,
            bucket_seconds: spec.bucket_seconds as u32,
            since,
            last: start,
            found: known.map_or(self.state.now, |open| open.found),
            ended: None,
            state: AnomalyState::Open,
            sentence,
            influencers,
            examples: tally.map(|tally| tally.examples.clone()).unwrap_or_default(),
            late_lines: 0,
            template: None,
            version: STREAMING.to_owned(),
        };
        self.state.anomalies += u64::from(known.is_none());
        self.state.episodes.insert(key.clone(), anomaly.clone());
        self.out.push(anomaly);
    }

    fn series(&self, key: &Key) -> String {
        let Spec { name, function_name, field, .. } = &*self.spec;
        let mut text = format!("job:{name}/{}/{function_name}", field.as_deref().unwrap_or("lines"));
        for value in key.0.iter().filter(|value| !value.is_empty()) {
            text += &format!("/{value}");
        }
        text
    }

    /// Values that have more of this bucket than they usually have of all.
    fn influencers(&self, tally: &Tally) -> Vec<Influencer> {
        let mut found = Vec::new();
        for ((field, counts), usual) in self.spec.influencers.iter().zip(&tally.influences).zip(&self.state.usual) {
            let share = |counts: &[(String, f64)], value: &str| {
                let all: f64 = counts.iter().map(|(_, weight)| weight).sum();
                counts.iter().find(|(known, _)| known == value).map_or(0.0, |(_, weight)| weight / all.max(1e-9))
            };
            for (value, _) in counts {
                let (before, after) = (share(usual, value), share(counts, value));
                let influence = ((after - before) / (1.0 - before).max(1e-9)).clamp(0.0, 1.0);
                if influence >= INFLUENCE_MIN {
                    found.push(Influencer { field: field.clone(), value: value.clone(), before, after, influence });
                }
            }
        }
        found.sort_by(|a, b| b.influence.total_cmp(&a.influence));
        found.truncate(INFLUENCERS_MAX);
        found
    }

    fn end_calm(&mut self, start: i64) {
        let bucket = self.spec.bucket_seconds;
        let out = &mut self.out;
        self.state.episodes.retain(|_, open| {
            let calm = start >= open.last + CALM_BUCKETS * bucket;
            if calm {
                out.push(Anomaly { state: AnomalyState::Ended, ended: Some(open.last + bucket), ..open.clone() });
            }
            !calm
        });
    }

    /// Forgets what is idle, and counts what is left.
    fn account(&mut self, start: i64) {
        let spec = &self.spec;
        let full = self.state.bytes > spec.bytes_max;
        // Where there is no room, a day is long.
        let idle = if full { 86_400 } else { IDLE_SECONDS.max(IDLE_BUCKETS * spec.bucket_seconds) };
        let state = &mut self.state;
        state.levels.retain(|_, level| level.last + idle > start);
        let open: usize = state.open.values().flatten().map(|(key, tally)| key.bytes() + tally.bytes() + 64).sum();
        let levels: usize = state.levels.iter().map(|(key, level)| key.bytes() + level.series.bytes() + 64).sum();
        let times: usize = state.times.iter().map(|(key, times)| key.bytes() + times.bytes()).sum();
        let populations = state.populations.keys().map(|key| key.bytes() + 64).sum::<usize>();
        let values: usize = state.values.values().map(Values::bytes).sum();
        let episodes = state.episodes.len() * (ENTRY_BYTES + size_of::<Anomaly>());
        state.bytes = open + levels + times + populations + values + episodes;
    }
}

/// Whether a result is skipped, and whether the model does not learn it.
fn exempt(spec: &Spec, key: &Key, actual: f64, typical: f64) -> (bool, bool) {
    let value_of = |field: &str| {
        let names = [&spec.partition, &spec.by, &spec.over];
        names.iter().position(|name| name.as_deref() == Some(field)).map(|at| key.0[at].as_str())
    };
    let held = spec.rules.iter().filter(|rule| rule.holds(value_of, actual, typical));
    held.fold((false, false), |(result, update), rule| (result || rule.skip_result, update || rule.skip_model_update))
}

fn kind(function: Function, first: f64) -> Kind {
    match function {
        Function::Count | Function::NonZeroCount | Function::DistinctCount => Kind::Count,
        _ if first < 0.0 => Kind::Plain,
        _ => Kind::Continuous,
    }
}

fn sentence(spec: &Spec, key: &Key, scored: &Scored, actual: f64, since: i64, influencers: &[Influencer]) -> String {
    let by = spec.by.as_deref().unwrap_or_default();
    let (actual, typical) = (number(actual), number(scored.typical));
    let mut text = format!("job {}: ", spec.name);
    text += &match (spec.function, spec.over.is_some()) {
        (Function::New, _) => format!("{by} {} is new, and came {actual} times", key.0[1]),
        (Function::Rare, false) => format!("{by} {} is rare: in {typical} buckets before", key.0[1]),
        (Function::Rare, true) => format!("{by} {} is rare: {typical} others have it", key.0[1]),
        (Function::TimeOfDay, _) => format!("{actual} lines at a time of day that usually has none"),
        (Function::TimeOfWeek, _) => format!("{actual} lines at a time of the week that usually has none"),
        _ => {
            let field = spec.field.as_ref().map(|field| format!(" of {field}")).unwrap_or_default();
            let (low, high) = (number(scored.low), number(scored.high));
            format!("{}{field} is {actual}, usually {typical} ({low} to {high})", spec.function_name)
        }
    };
    for (name, value) in [&spec.partition, &spec.by, &spec.over].into_iter().zip(&key.0) {
        let told = matches!(spec.function, Function::New | Function::Rare) && name == &spec.by;
        if let Some(name) = name.as_ref().filter(|_| !value.is_empty() && !told) {
            text += &format!(" for {name} {value}");
        }
    }
    let time = format_rfc3339(since * NANOS_PER_SECOND);
    text += &format!(", since {}", &time[11..16]);
    if let Some(Influencer { field, value, before, after, .. }) = influencers.first() {
        text += &format!("; {field} {value} has {:.0} % of these, {:.0} % usually", after * 100.0, before * 100.0);
    }
    text
}

#[cfg(test)]
mod tests;
