//! Runs a pipeline: what the store's columns can answer by them, the rest record by record and row by row.

use std::collections::BinaryHeap;
use std::time::Instant;

use super::row_stats::{RowStats, seconds_of};
use super::rows::{self, Row};
use super::{By, Measure, Pipeline, ROWS_MAX, Stage, StatsStage, StepBy, VALUES_SHOWN};
use crate::parse::grok::Captures;
use crate::query::aggregate::{
    Aggregation, Answer, Direction, Group, Key, Kind, Limits, OrderBy, Shown, Step, StepsOf, Terms,
};
use crate::query::ast::Expr;
use crate::query::best::Place;
use crate::query::engine::{Between, Engine};
use crate::query::histogram::width_for;
use crate::query::matches::Aliases;
use crate::query::search::Search;
use crate::query::segment::Stop;

/// How a pipeline is to be run.
#[derive(Debug, Clone)]
pub struct Run {
    pub between: Between,
    /// Records in the answer; a table is as long as its pipes make it.
    pub limit: usize,
    pub newest_first: bool,
    pub after: Option<Place>,
    pub deadline: Instant,
    pub limits: Limits,
}

/// Records, or the rows of a table.
#[derive(Debug, Default)]
pub struct Piped {
    /// The table's columns in order; `None` for records.
    pub columns: Option<Vec<String>>,
    pub rows: Vec<Row>,
    /// Records that the query matches, whatever the pipes made of them.
    pub total: u64,
    /// The last record's place, when there may be more; never of a table.
    pub next: Option<Place>,
    pub partial: bool,
}

/// Groups on all levels of a `stats` before further pipes choose among its rows: each takes some hundred bytes.
const GROUPS_MAX: usize = 2 * ROWS_MAX;
/// Records looked at in one go where a pipe decides which are shown.
const PAGE: usize = 2_000;

impl Engine {
    pub fn run(&self, pipeline: &Pipeline, run: &Run) -> Result<Piped, Stop> {
        let mut stages = &pipeline.stages[..];
        let mut all = vec![pipeline.expr.clone()];
        while let [Stage::Where(expr), rest @ ..] = stages {
            all.push(expr.clone());
            stages = rest;
        }
        all.retain(|expr| !matches!(expr, Expr::All));
        let expr = Expr::and(all);
        let aliases = self.language().aliases;
        let (mut piped, rest) = match stages {
            [] => return self.records(expr, run, run.limit),
            [Stage::Stats(stats), rest @ ..] => {
                let top = highest(stats, rest);
                (self.stats(&expr, run, stats, top)?, rest)
            }
            [Stage::Top { limit, fields }, rest @ ..] if !fields.is_empty() => {
                let stats = counted(fields);
                let mut piped = self.stats(&expr, run, &stats, Some((*limit, "count", Direction::Descending)))?;
                sort(&mut piped.rows, &[("count".to_owned(), Direction::Descending)], &aliases);
                piped.rows.truncate(*limit);
                (piped, rest)
            }
            [Stage::Uniq(fields), rest @ ..] => {
                let mut piped = self.stats(&expr, run, &counted(fields), None)?;
                sort(&mut piped.rows, &[("count".to_owned(), Direction::Descending)], &aliases);
                (piped, rest)
            }
            stages => self.one_by_one(expr, run, stages, &aliases)?,
        };
        for stage in rest {
            self.work(&mut piped, stage, run, &aliases)?;
        }
        if piped.columns.is_some() && piped.rows.len() > ROWS_MAX {
            return Err(Stop::Groups { groups_max: ROWS_MAX });
        }
        Ok(piped)
    }

    /// Every record that gets through, or the rows of the table that the pipes make, until `each` says no. Gives the
    /// columns, where there are some.
    pub fn run_all(
        &self,
        pipeline: &Pipeline,
        run: &Run,
        each: &mut dyn FnMut(Option<&[String]>, Row) -> bool,
    ) -> Result<Option<Vec<String>>, Stop> {
        let streamed = |stage: &Stage| {
            matches!(stage, Stage::Where(_) | Stage::Extract { .. } | Stage::Limit(_) | Stage::Fields(_))
        };
        if !pipeline.stages.iter().all(streamed) {
            let piped = self.run(pipeline, run)?;
            let columns = piped.columns.as_deref();
            piped.rows.into_iter().all(|row| each(columns, row));
            return Ok(piped.columns);
        }
        let aliases = self.language().aliases;
        let mut captures = Captures::new();
        let mut left: Vec<usize> =
            pipeline.stages.iter().map(|stage| if let Stage::Limit(limit) = stage { *limit } else { 0 }).collect();
        let columns = pipeline.stages.iter().rev().find_map(|stage| match stage {
            Stage::Fields(fields) => Some(fields.as_slice()),
            _ => None,
        });
        let mut one = |mut row: Row| {
            for (stage, left) in pipeline.stages.iter().zip(&mut left) {
                match stage {
                    Stage::Where(expr) if !rows::fits(&row, expr, &aliases) => return true,
                    Stage::Limit(_) if *left == 0 => return false,
                    Stage::Limit(_) => *left -= 1,
                    Stage::Fields(fields) => row = rows::only(&row, fields, &aliases),
                    Stage::Extract { pattern, from } => rows::extract(&mut row, pattern, from, &mut captures, &aliases),
                    _ => {}
                }
            }
            each(columns, row)
        };
        self.export(&pipeline.expr, run.between, run.newest_first, run.deadline, &mut one)?;
        Ok(columns.map(<[String]>::to_vec))
    }

    fn records(&self, expr: Expr, run: &Run, limit: usize) -> Result<Piped, Stop> {
        let (between, newest_first, after, deadline) = (run.between, run.newest_first, run.after, run.deadline);
        let hits = self.search(&Search { expr, between, limit, newest_first, after, deadline })?;
        Ok(Piped { columns: None, rows: hits.records, total: hits.total, next: hits.next, partial: hits.partial })
    }

    /// Records as rows, up to the first stage that makes a table of them; that one and what follows it is left.
    fn one_by_one<'p>(
        &self,
        expr: Expr,
        run: &Run,
        stages: &'p [Stage],
        aliases: &Aliases,
    ) -> Result<(Piped, &'p [Stage]), Stop> {
        let streamed = |stage: &Stage| matches!(stage, Stage::Extract { .. } | Stage::Where(_));
        let (before, rest) = stages.split_at(stages.iter().take_while(|stage| streamed(stage)).count());
        let mut captures = Captures::new();
        let mut through = |row: &mut Row| {
            before.iter().all(|stage| match stage {
                Stage::Extract { pattern, from } => {
                    rows::extract(row, pattern, from, &mut captures, aliases);
                    true
                }
                Stage::Where(expr) => rows::fits(row, expr, aliases),
                _ => true,
            })
        };
        match rest {
            [Stage::Stats(_) | Stage::Uniq(_), ..] | [Stage::Top { .. }, ..] => {
                let (stats, top, used) = match rest {
                    [Stage::Stats(stats), ..] => (stats.clone(), None, 1),
                    [Stage::Top { limit, fields }, ..] => (counted(fields), Some(*limit), 1),
                    [Stage::Uniq(fields), ..] => (counted(fields), Some(usize::MAX), 1),
                    _ => (counted(&[]), None, 0),
                };
                let stats = self.with_steps(&stats, run.between)?;
                let seconds = self.seconds(run.between)?;
                let mut found = RowStats::new(&stats, seconds, run.limits.memory_bytes);
                let (total, partial) =
                    self.each_record(
                        &expr,
                        run,
                        |mut row| {
                            if through(&mut row) { found.add(&row, aliases) } else { Ok(()) }
                        },
                    )?;
                let mut piped =
                    Piped { columns: Some(columns(&stats)), rows: found.finish(), total, next: None, partial };
                if let Some(limit) = top {
                    sort(&mut piped.rows, &[("count".to_owned(), Direction::Descending)], aliases);
                    piped.rows.truncate(limit);
                }
                Ok((piped, &rest[used..]))
            }
            [Stage::Sort(by), after @ ..] => {
                let limit = match after {
                    [Stage::Limit(limit), ..] => (*limit).min(run.limit),
                    _ => run.limit,
                };
                let mut best: BinaryHeap<Sorted<'_>> = BinaryHeap::with_capacity(limit.min(1024) + 1);
                let (total, partial) = self.each_record(&expr, run, |mut row| {
                    if through(&mut row) {
                        best.push(Sorted { row, by, aliases });
                        if best.len() > limit {
                            best.pop();
                        }
                    }
                    Ok(())
                })?;
                let rows = best.into_sorted_vec().into_iter().map(|sorted| sorted.row).collect();
                Ok((Piped { columns: None, rows, total, next: None, partial }, after))
            }
            // The first records that get through, newest first: page by page until there are enough.
            _ => {
                let limit = match rest {
                    [Stage::Limit(limit), ..] => (*limit).min(run.limit),
                    _ => run.limit,
                };
                if before.is_empty() {
                    return Ok((self.records(expr, run, limit)?, rest));
                }
                let mut piped = Piped::default();
                let (mut after, mut page) = (run.after, PAGE.min(limit * 4).max(1));
                loop {
                    let run = Run { after, ..run.clone() };
                    let some = self.records(expr.clone(), &run, page)?;
                    (piped.total, piped.partial) = (some.total, piped.partial || some.partial);
                    for mut row in some.rows {
                        if piped.rows.len() < limit && through(&mut row) {
                            piped.rows.push(row);
                        }
                    }
                    after = some.next;
                    if after.is_none() || piped.rows.len() >= limit || piped.partial {
                        return Ok((piped, rest));
                    }
                    if Instant::now() > run.deadline {
                        piped.partial = true;
                        return Ok((piped, rest));
                    }
                    page = (page * 4).min(5 * PAGE);
                }
            }
        }
    }

    /// Calls `each` with every matching record, in no order; gives how many there are and whether the time was up.
    fn each_record(
        &self,
        expr: &Expr,
        run: &Run,
        mut each: impl FnMut(Row) -> Result<(), Stop>,
    ) -> Result<(u64, bool), Stop> {
        let mut total = 0;
        let partial = self.scan(expr, run.between, run.deadline, run.newest_first, |_, _, segment, docs| {
            total += docs.count();
            for (nth, doc) in docs.iter().enumerate() {
                if nth.is_multiple_of(64) {
                    segment.check()?;
                }
                each(segment.record(doc)?)?;
            }
            Ok(())
        })?;
        Ok((total, partial))
    }

    /// What a stage makes of rows that are there.
    fn work(&self, piped: &mut Piped, stage: &Stage, run: &Run, aliases: &Aliases) -> Result<(), Stop> {
        match stage {
            Stage::Limit(limit) => piped.rows.truncate(*limit),
            Stage::Where(expr) => piped.rows.retain(|row| rows::fits(row, expr, aliases)),
            Stage::Sort(by) => sort(&mut piped.rows, by, aliases),
            Stage::Top { limit, fields } if fields.is_empty() => {
                if let Some(column) = self.first_measure(piped) {
                    sort(&mut piped.rows, &[(column, Direction::Descending)], aliases);
                }
                piped.rows.truncate(*limit);
            }
            Stage::Fields(fields) => {
                piped.rows = piped.rows.iter().map(|row| rows::only(row, fields, aliases)).collect();
                piped.columns = Some(fields.clone());
                piped.next = None;
            }
            Stage::Extract { pattern, from } => {
                let mut captures = Captures::new();
                for row in &mut piped.rows {
                    rows::extract(row, pattern, from, &mut captures, aliases);
                }
                if let Some(columns) = &mut piped.columns {
                    let new = pattern.groups().iter().map(|group| group.field.path().join("."));
                    let new: Vec<String> = new.filter(|name| !columns.contains(name)).collect();
                    columns.extend(new);
                }
            }
            Stage::Stats(_) | Stage::Top { .. } | Stage::Uniq(_) => {
                let (stats, top) = match stage {
                    Stage::Stats(stats) => (self.with_steps(stats, run.between)?, None),
                    Stage::Top { limit, fields } => (counted(fields), Some(*limit)),
                    Stage::Uniq(fields) => (counted(fields), Some(usize::MAX)),
                    _ => return Ok(()),
                };
                let mut found = RowStats::new(&stats, self.seconds(run.between)?, run.limits.memory_bytes);
                piped.rows.iter().try_for_each(|row| found.add(row, aliases))?;
                piped.rows = found.finish();
                if let Some(limit) = top {
                    sort(&mut piped.rows, &[("count".to_owned(), Direction::Descending)], aliases);
                    piped.rows.truncate(limit);
                }
                piped.columns = Some(columns(&stats));
                piped.next = None;
            }
        }
        Ok(())
    }

    /// The first column whose values are numbers.
    fn first_measure(&self, piped: &Piped) -> Option<String> {
        let columns = piped.columns.as_ref()?;
        let numeric =
            |column: &&String| piped.rows.iter().any(|row| row.get(*column).is_some_and(serde_json::Value::is_number));
        // Keys stand in front of the measures.
        columns.iter().rev().take_while(numeric).last().cloned()
    }

    /// `stats` by the store's columns. `top` keeps only the rows that will be shown, where one key alone makes rows.
    fn stats(
        &self,
        expr: &Expr,
        run: &Run,
        stage: &StatsStage,
        top: Option<(usize, &str, Direction)>,
    ) -> Result<Piped, Stop> {
        let stage = self.with_steps(stage, run.between)?;
        let mut request = measures(&stage);
        for (depth, by) in stage.by.iter().enumerate().rev() {
            let mut terms = Terms::top(&by.field, usize::MAX);
            if let (0, 1, Some((limit, name, direction))) = (depth, stage.by.len(), top) {
                terms.limit = limit;
                terms.order = vec![(order_by(&stage, name), direction)];
            }
            let kind = match &by.step {
                StepBy::Step(step) => Kind::Steps(StepsOf { count_min: 1, ..StepsOf::new(&by.field, step.clone()) }),
                StepBy::Value | StepBy::Auto => Kind::Terms(terms),
            };
            request = vec![Aggregation { name: by.field.clone(), kind, subs: request }];
        }
        let limits = Limits { groups: GROUPS_MAX, ..run.limits };
        let found = self.aggregate(expr, run.between, &request, limits, run.deadline)?;
        let seconds = self.seconds(run.between)?;
        let mut piped =
            Piped { columns: Some(columns(&stage)), total: found.total, partial: found.partial, ..Piped::default() };
        if stage.by.is_empty() {
            piped.rows.push(row(&stage, &[], found.total, &found.answers, seconds));
        } else if let [Answer::Groups { groups, .. }] = &found.answers[..] {
            flatten(&stage, groups, &mut Vec::new(), seconds, &mut piped.rows);
        }
        Ok(piped)
    }

    /// The stage with steps of its own choice chosen.
    fn with_steps(&self, stage: &StatsStage, between: Between) -> Result<StatsStage, Stop> {
        let mut stage = stage.clone();
        for By { step, .. } in &mut stage.by {
            if let StepBy::Auto = step {
                let width = width_for(self.span(between)?);
                *step = StepBy::Step(Step::Fixed { width, offset: 0 });
            }
        }
        Ok(stage)
    }

    /// What `rate` divides by where no key is a time: the range asked for, else that of the records.
    fn seconds(&self, between: Between) -> Result<f64, Stop> {
        let span = match (between.from, between.to) {
            (Some(from), Some(to)) => Some((from, to)),
            _ => self.span(between)?,
        };
        Ok(span.map_or(1.0, |(from, to)| (to - from) as f64 / 1e9).max(1e-9))
    }
}

/// `stats count() by` the fields.
fn counted(fields: &[String]) -> StatsStage {
    let by = fields.iter().map(|field| By { field: field.clone(), step: StepBy::Value });
    StatsStage { measures: vec![(Measure::Count(None), "count".to_owned())], by: by.collect() }
}

fn columns(stage: &StatsStage) -> Vec<String> {
    let keys = stage.by.iter().map(|by| by.field.clone());
    keys.chain(stage.measures.iter().map(|(_, name)| name.clone())).collect()
}

/// Which rows alone will be shown: what `| top 10` and `| sort by x desc | limit 10` say of a `stats` in front of them.
fn highest<'s>(stats: &'s StatsStage, rest: &'s [Stage]) -> Option<(usize, &'s str, Direction)> {
    let is_measure = |name: &str| stats.measures.iter().any(|(m, n)| n == name && orders(m));
    match rest {
        [Stage::Top { limit, fields }, ..] if fields.is_empty() => {
            let (measure, name) = stats.measures.first()?;
            orders(measure).then_some((*limit, name.as_str(), Direction::Descending))
        }
        [Stage::Sort(by), Stage::Limit(limit), ..] => match &by[..] {
            [(name, direction)] if is_measure(name) => Some((*limit, name, *direction)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether groups can be ordered by it while they are still groups.
fn orders(measure: &Measure) -> bool {
    !matches!(measure, Measure::Values(_) | Measure::Count(Some(_)))
}

fn order_by(stage: &StatsStage, name: &str) -> OrderBy {
    match stage.measures.iter().find(|(_, n)| n == name) {
        Some((Measure::Count(None) | Measure::Rate, _)) | None => OrderBy::Count,
        Some((Measure::Percentile(_, percent), _)) => {
            OrderBy::Measure { name: name.to_owned(), part: percent.to_string() }
        }
        Some(_) => OrderBy::Measure { name: name.to_owned(), part: String::new() },
    }
}

fn measures(stage: &StatsStage) -> Vec<Aggregation> {
    let one = |(measure, name): &(Measure, String)| {
        let kind = match measure {
            Measure::Count(None) | Measure::Rate => return None,
            // Records that have the field, however many values.
            Measure::Count(Some(field)) => Kind::Missing(field.clone()),
            Measure::Sum(field) => Kind::Stats(field.clone(), Shown::Sum),
            Measure::Avg(field) => Kind::Stats(field.clone(), Shown::Avg),
            Measure::Min(field) => Kind::Stats(field.clone(), Shown::Min),
            Measure::Max(field) => Kind::Stats(field.clone(), Shown::Max),
            Measure::Percentile(field, percent) => {
                Kind::Percentiles { field: field.clone(), percents: vec![*percent], keyed: true }
            }
            Measure::Unique(field) => Kind::Unique(field.clone()),
            Measure::Values(field) => Kind::Terms(Terms::top(field, VALUES_SHOWN)),
        };
        Some(Aggregation { name: name.clone(), kind, subs: Vec::new() })
    };
    stage.measures.iter().filter_map(one).collect()
}

fn flatten(stage: &StatsStage, groups: &[Group], keys: &mut Vec<Key>, seconds: f64, rows: &mut Vec<Row>) {
    for group in groups {
        keys.push(group.key.clone());
        if keys.len() == stage.by.len() {
            rows.push(row(stage, keys, group.count, &group.answers, seconds));
        } else if let [Answer::Groups { groups, .. }] = &group.answers[..] {
            flatten(stage, groups, keys, seconds, rows);
        }
        keys.pop();
    }
}

fn row(stage: &StatsStage, keys: &[Key], count: u64, answers: &[Answer], seconds: f64) -> Row {
    let mut row = Row::new();
    for (by, key) in stage.by.iter().zip(keys) {
        row.insert(by.field.clone(), key.to_json());
    }
    let seconds = seconds_of(stage, keys).unwrap_or(seconds);
    let mut answers = answers.iter();
    for (measure, name) in &stage.measures {
        let value = match measure {
            Measure::Count(None) => count.into(),
            Measure::Rate => (count as f64 / seconds).into(),
            measure => match answers.next() {
                Some(Answer::Stats(stats)) => rows::stat_json(measure, stats),
                Some(Answer::Percentiles(values)) => {
                    values.first().and_then(|(_, value)| *value).map(rows::number).unwrap_or_default()
                }
                Some(Answer::Count(n)) => (*n).into(),
                Some(Answer::One(missing)) => (count - missing.count).into(),
                Some(Answer::Groups { groups, .. }) => groups.iter().map(|group| group.key.to_json()).collect(),
                _ => serde_json::Value::Null,
            },
        };
        row.insert(name.clone(), value);
    }
    row
}

fn sort(rows: &mut [Row], by: &[(String, Direction)], aliases: &Aliases) {
    rows.sort_by(|a, b| rows::compare(a, b, by, aliases));
}

/// A row in a heap: the one that comes last on top.
struct Sorted<'s> {
    row: Row,
    by: &'s [(String, Direction)],
    aliases: &'s Aliases,
}

impl PartialEq for Sorted<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Sorted<'_> {}
impl PartialOrd for Sorted<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sorted<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        rows::compare(&self.row, &other.row, self.by, self.aliases)
    }
}
