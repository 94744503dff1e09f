//! What `/api/v1/patterns` shows: counts from the records, texts from the registry.

use std::time::Instant;

use super::Templates;
use crate::api::{Change, Nearest, Pattern};
use crate::parse::template::{self, Miner, TemplateId};
use crate::query;

/// Adds to what was counted what the registry knows. `from`: the start of the time range, Unix nanoseconds. Ends early at the
/// deadline: `nearest` is then missing of the rest, and the second value is true.
pub fn described(
    counted: Vec<query::Pattern>,
    templates: Option<&Templates>,
    from: Option<i64>,
    deadline: Instant,
) -> (Vec<Pattern>, bool) {
    let mut late = false;
    let patterns = counted.into_iter().map(|counted| {
        late = late || Instant::now() > deadline;
        // The lock is let go after each: workers wait for it.
        match templates {
            Some(templates) => templates.with(|miner| pattern(counted, Some(miner), from, late)),
            None => pattern(counted, None, from, late),
        }
    });
    (patterns.collect(), late)
}

fn pattern(counted: query::Pattern, miner: Option<&Miner>, from: Option<i64>, late: bool) -> Pattern {
    let query::Pattern { template, count, first, last, sparkline, sample } = counted;
    let text = |name: &str| sample.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let id = TemplateId::from(template);
    let view = miner.and_then(|miner| miner.template(id));
    let first_seen = view.as_ref().and_then(|view| view.first_seen);
    let new = from.is_some_and(|from| first_seen.is_some_and(|seen| seen >= from));
    Pattern {
        id: template,
        count,
        first,
        last,
        sparkline,
        grammar: text("grammar"),
        example: text("message"),
        nearest: miner.filter(|_| new && !late).and_then(|miner| nearest(miner, id)),
        new,
        examples: view.as_ref().map(|view| view.examples.clone()).unwrap_or_default(),
        text: view.map(|view| view.text),
    }
}

fn nearest(miner: &Miner, id: TemplateId) -> Option<Nearest> {
    let (nearest, steps) = miner.nearest(id)?;
    let step = |step| match step {
        template::Change::Same(text) => (Change::Same, text),
        template::Change::Gone(text) => (Change::Gone, text),
        template::Change::New(text) => (Change::New, text),
    };
    Some(Nearest {
        id: nearest.get(),
        text: miner.template(nearest)?.text,
        difference: steps.into_iter().map(step).collect(),
    })
}
