//! Asks the store for the numbers of query rules.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::Context;
use crate::alert::{Line, Query, Reading, Rule, Test};
use crate::query::{self, Between, Search};
use crate::record::time::{NANOS_PER_SECOND, parse_rfc3339};

/// Values that a rule with `by` looks at.
const VALUES_MAX: usize = 200;
/// One rule's questions may take so long.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Lines that come by then belong to a window that needs all of its lines: nanoseconds after the watermark.
const SETTLED: i64 = 5 * NANOS_PER_SECOND;
const LINES_MAX: usize = 5;

/// When each rule is asked next.
pub struct Rules {
    next: Vec<Instant>,
}

impl Rules {
    pub fn new(context: &Context) -> Self {
        let now = Instant::now();
        Self { next: context.alerting.settings().queries().map(|_| now).collect() }
    }

    pub fn ask(&mut self, context: &Context, now: Instant, closing: &CancellationToken) {
        for ((rule, query), next) in context.alerting.settings().queries().zip(&mut self.next) {
            if now < *next || closing.is_cancelled() {
                continue;
            }
            *next = now + query.every();
            if let Err(problem) = ask(context, rule, query) {
                context.metrics.rule_errors.inc();
                warn!(rule = rule.name, error = problem, "a rule's query failed; it is asked again");
            }
        }
    }
}

fn ask(context: &Context, rule: &Rule, query: &Query) -> Result<(), String> {
    let now = context.clock.now();
    let at = if query.test.needs_all_lines() || query.of.is_some() { settled(context, now) } else { now };
    let deadline = Instant::now() + TIME_MAX;
    let window = i64::try_from(query.window.as_nanos()).unwrap_or(i64::MAX);
    // A line may be stamped a little ahead; what is still to come of the future is not asked for.
    let between = Between { from: Some(at.saturating_sub(window)), to: Some(at.saturating_add(1)) };
    let mut numbers = numbers(context, query, between, deadline)?;
    for by in context.alerting.watched(&rule.name) {
        // What is named no more has no lines.
        numbers.entry(by).or_insert(Some(0.0));
    }
    for (by, number) in numbers {
        let Some(number) = number else { continue };
        let reading = Reading { rule, query, by: &by, number, at, sentence: None };
        let lines = || examples(context, query, &by, between, deadline);
        context.alerting.observe(&reading, now, lines).map_err(|err| err.to_string())?;
    }
    Ok(())
}

/// Up to when all lines have come: the detectors' watermark, which waits for slow senders.
fn settled(context: &Context, now: i64) -> i64 {
    let watermark = context.detecting.as_ref().map(|detecting| detecting.now().saturating_mul(NANOS_PER_SECOND));
    // A watermark that stands still (nobody sends) must not hide that nothing comes.
    let oldest = now.saturating_sub(60 * NANOS_PER_SECOND);
    watermark.unwrap_or(now).clamp(oldest, now).saturating_sub(SETTLED)
}

/// The number by value; `None` where there are too few lines to say.
fn numbers(
    context: &Context,
    query: &Query,
    between: Between,
    deadline: Instant,
) -> Result<BTreeMap<String, Option<f64>>, String> {
    let counts = |text: &str| count(context, text, query.by.as_deref(), between, deadline);
    let lines = counts(&query.q)?;
    let Some(of) = &query.of else {
        return Ok(lines.into_iter().map(|(by, count)| (by, Some(count as f64))).collect());
    };
    let share = |(by, all): (String, u64)| {
        let some = lines.get(&by).copied().unwrap_or(0);
        let number = (all > 0 && all >= query.lines_min).then(|| some as f64 / all as f64);
        (by, number)
    };
    Ok(counts(of)?.into_iter().map(share).collect())
}

/// Lines by value; by the empty value without a field.
fn count(
    context: &Context,
    text: &str,
    by: Option<&str>,
    between: Between,
    deadline: Instant,
) -> Result<BTreeMap<String, u64>, String> {
    let expr = query::parse_at(text, context.clock.now()).map_err(|err| err.to_string())?;
    let fields: Vec<String> = by.iter().map(|field| (*field).to_owned()).collect();
    let found =
        context.engine.facets(&expr, between, &fields, VALUES_MAX, deadline).map_err(|stop| format!("{stop:?}"))?;
    if found.partial {
        return Err(format!("it took longer than {} s", TIME_MAX.as_secs()));
    }
    Ok(match found.facets.into_iter().next() {
        None => [(String::new(), found.total)].into(),
        Some(facet) => facet.values.into_iter().map(|(value, count)| (text_of(&value), count)).collect(),
    })
}

fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The first lines and the newest of those that count; none of a number that is too small.
fn examples(context: &Context, query: &Query, by: &str, between: Between, deadline: Instant) -> Vec<Line> {
    if !matches!(query.test, Test::Above(_)) {
        return Vec::new();
    }
    let text = match &query.by {
        Some(field) => format!("({}) AND {field}:\"{}\"", query.q, by.replace('\\', "\\\\").replace('"', "\\\"")),
        None => query.q.clone(),
    };
    let Ok(expr) = query::parse_at(&text, context.clock.now()) else { return Vec::new() };
    let search = |newest_first, limit| {
        let search = Search { expr: expr.clone(), between, limit, newest_first, after: None, deadline };
        context.engine.search(&search).map(|hits| hits.records).unwrap_or_default()
    };
    let mut lines: Vec<Line> = search(false, LINES_MAX - 1).iter().map(line).collect();
    if lines.len() == LINES_MAX - 1 {
        lines.extend(search(true, 1).iter().map(line));
    }
    lines
}

/// A record as a line.
pub fn line(record: &Map<String, Json>) -> Line {
    let text = |value: Option<&Json>| value.and_then(Json::as_str).unwrap_or_default().to_owned();
    let time = record.get("@timestamp").and_then(Json::as_str).and_then(parse_rfc3339).unwrap_or_default();
    let mut message = text(record.get("message"));
    message.truncate(message.floor_char_boundary(1_000));
    Line { id: text(record.get("event").and_then(|event| event.get("id"))), time, line: message }
}
