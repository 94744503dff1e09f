//! Reads a pipeline: the query by its own grammar, then stage by stage.

use std::sync::Arc;

use super::{By, Measure, Stage, StatsStage, StepBy};
use crate::config::distance;
use crate::parse::grok::{Library, Pattern};
use crate::query::aggregate::{Direction, Step, Unit, duration};
use crate::query::ast::Expr;
use crate::query::error::SyntaxError;
use crate::query::grammar::Grammar;

/// A query and what is done with the records it finds.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub expr: Expr,
    pub stages: Vec<Stage>,
}

const STAGES: [&str; 9] = ["stats", "top", "rate", "uniq", "sort", "limit", "fields", "where", "extract"];
const MEASURES: [&str; 11] =
    ["count", "sum", "avg", "min", "max", "median", "p50", "p99", "count_uniq", "values", "rate"];
/// Stages of one pipeline.
const STAGES_MAX: usize = 32;
/// Measures and keys of one stage.
const PARTS_MAX: usize = 32;
/// Rows that `top` shows unless told otherwise.
const TOP_DEFAULT: usize = 10;

/// Reads a query with its pipes. Times relative to now stay as written.
pub fn parse_pipeline(text: &str) -> Result<Pipeline, SyntaxError> {
    let mut grammar = Grammar::new(text)?;
    let expr = grammar.until_pipe()?;
    let mut stages = Vec::new();
    while grammar.lexer.eat("|") {
        if stages.len() == STAGES_MAX {
            return Err(SyntaxError::new(grammar.lexer.at, 0, format!("more than {STAGES_MAX} pipes")));
        }
        stages.push(stage(&mut grammar)?);
        grammar.lexer.skip_blanks();
    }
    match grammar.lexer.peek() {
        None => Ok(Pipeline { expr, stages }),
        Some(_) => Err(grammar.unexpected()),
    }
}

/// [`parse_pipeline`], with `now` (Unix nanoseconds) put in for relative times.
pub fn parse_pipeline_at(text: &str, now: i64) -> Result<Pipeline, SyntaxError> {
    let mut pipeline = parse_pipeline(text)?;
    pipeline.expr.resolve(now);
    for stage in &mut pipeline.stages {
        if let Stage::Where(expr) = stage {
            expr.resolve(now);
        }
    }
    Ok(pipeline)
}

/// A name with its place.
struct Name {
    text: String,
    offset: usize,
    len: usize,
}

fn stage(grammar: &mut Grammar<'_>) -> Result<Stage, SyntaxError> {
    let name = word(grammar, "a pipe")?;
    match name.text.as_str() {
        "stats" => {
            let measures = list(grammar, measure)?;
            let by = if eat_word(grammar, "by") { keys(grammar)? } else { Vec::new() };
            Ok(Stage::Stats(StatsStage { measures, by }))
        }
        "rate" => {
            grammar.lexer.skip_blanks();
            let step = match grammar.lexer.peek() {
                Some(c) if c.is_ascii_digit() || c == 'a' => read_step(grammar)?,
                _ => StepBy::Auto,
            };
            let mut by = vec![By { field: "@timestamp".to_owned(), step }];
            if eat_word(grammar, "by") {
                by.extend(keys(grammar)?);
            }
            Ok(Stage::Stats(StatsStage { measures: vec![(Measure::Rate, "rate".to_owned())], by }))
        }
        "top" => {
            grammar.lexer.skip_blanks();
            let digit = grammar.lexer.peek().is_some_and(|c| c.is_ascii_digit());
            let limit = if digit { number(grammar)? } else { TOP_DEFAULT };
            eat_word(grammar, "by");
            let fields = if at_end(grammar) { Vec::new() } else { list(grammar, field)? };
            Ok(Stage::Top { limit, fields })
        }
        "uniq" => {
            eat_word(grammar, "by");
            Ok(Stage::Uniq(list(grammar, field)?))
        }
        "sort" => {
            eat_word(grammar, "by");
            Ok(Stage::Sort(list(grammar, |grammar| {
                let field = column(grammar)?;
                let descending = eat_word(grammar, "desc");
                if !descending {
                    eat_word(grammar, "asc");
                }
                Ok((field, if descending { Direction::Descending } else { Direction::Ascending }))
            })?))
        }
        "limit" | "head" => Ok(Stage::Limit(number(grammar)?)),
        "fields" => Ok(Stage::Fields(list(grammar, column)?)),
        "where" | "filter" => {
            let at = grammar.lexer.at;
            match grammar.until_pipe()? {
                Expr::All => Err(SyntaxError::new(at, 0, "where needs a query: where duration:>500")),
                expr => Ok(Stage::Where(expr)),
            }
        }
        "extract" => extract(grammar),
        other => Err(unknown("pipe", other, name.offset, name.len, &STAGES)),
    }
}

fn unknown(what: &str, name: &str, offset: usize, len: usize, known: &[&str]) -> SyntaxError {
    let error = SyntaxError::new(offset, len, format!("there is no {what} {name}"));
    match known.iter().map(|k| (distance(k, name), *k)).min().filter(|(far, _)| *far <= 2) {
        Some((_, near)) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("there are {}", known.join(", "))),
    }
}

fn at_end(grammar: &mut Grammar<'_>) -> bool {
    grammar.lexer.skip_blanks();
    matches!(grammar.lexer.peek(), None | Some('|'))
}

/// A word of a pipe, or a name in quotes.
fn word(grammar: &mut Grammar<'_>, what: &str) -> Result<Name, SyntaxError> {
    let lexer = &mut grammar.lexer;
    lexer.skip_blanks();
    let offset = lexer.at;
    let text = match lexer.peek() {
        Some('"') => lexer.quoted()?,
        _ => lexer.word(true, &[',', '='])?.glob.to_text(),
    };
    if text.is_empty() {
        return Err(SyntaxError::new(offset, 0, format!("{what} is missing here")));
    }
    Ok(Name { text, offset, len: lexer.at - offset })
}

/// Takes a word of the language if it is next, whatever its case.
fn eat_word(grammar: &mut Grammar<'_>, wanted: &str) -> bool {
    grammar.lexer.skip_blanks();
    let rest = grammar.lexer.rest();
    let is_it = rest.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted));
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | '|' | ',');
    let found = is_it && rest[wanted.len()..].chars().next().is_none_or(ends);
    if found {
        grammar.lexer.at += wanted.len();
    }
    found
}

fn list<T>(
    grammar: &mut Grammar<'_>,
    mut one: impl FnMut(&mut Grammar<'_>) -> Result<T, SyntaxError>,
) -> Result<Vec<T>, SyntaxError> {
    let mut all = vec![one(grammar)?];
    loop {
        grammar.lexer.skip_blanks();
        if !grammar.lexer.eat(",") {
            return Ok(all);
        }
        if all.len() == PARTS_MAX {
            return Err(SyntaxError::new(grammar.lexer.at, 0, format!("more than {PARTS_MAX} parts in one pipe")));
        }
        all.push(one(grammar)?);
    }
}

fn number(grammar: &mut Grammar<'_>) -> Result<usize, SyntaxError> {
    let word = word(grammar, "a number")?;
    let number = word.text.parse().ok().filter(|n| (1..=super::ROWS_MAX).contains(n));
    number.ok_or_else(|| {
        SyntaxError::new(word.offset, word.len, format!("{} is no number from 1 to {}", word.text, super::ROWS_MAX))
    })
}

fn field(grammar: &mut Grammar<'_>) -> Result<String, SyntaxError> {
    Ok(field_name(word(grammar, "a field")?.text))
}

fn field_name(name: String) -> String {
    if name == "_time" { "@timestamp".to_owned() } else { name }
}

/// A field, or a measure as it was written in `stats`.
fn column(grammar: &mut Grammar<'_>) -> Result<String, SyntaxError> {
    let start = grammar.lexer.at;
    let name = word(grammar, "a field")?;
    if grammar.lexer.peek() != Some('(') {
        return Ok(field_name(name.text));
    }
    grammar.lexer.at = start;
    measure(grammar).map(|(_, name)| name)
}

fn keys(grammar: &mut Grammar<'_>) -> Result<Vec<By>, SyntaxError> {
    grammar.lexer.skip_blanks();
    let bracket = grammar.lexer.eat("(");
    let keys = list(grammar, |grammar| {
        let field = field(grammar)?;
        let step = if grammar.lexer.eat(":") { read_step(grammar)? } else { StepBy::Value };
        if matches!(step, StepBy::Auto) && field != "@timestamp" {
            let at = grammar.lexer.at;
            return Err(
                SyntaxError::new(at - 4, 4, "only _time has steps of its own choice").hint(format!("{field}:100"))
            );
        }
        Ok(By { field, step })
    })?;
    grammar.lexer.skip_blanks();
    if bracket && !grammar.lexer.eat(")") {
        return Err(SyntaxError::new(grammar.lexer.at, 0, "a ) is missing here"));
    }
    Ok(keys)
}

fn read_step(grammar: &mut Grammar<'_>) -> Result<StepBy, SyntaxError> {
    let word = word(grammar, "a step")?;
    let unit = match word.text.as_str() {
        "auto" => return Ok(StepBy::Auto),
        "day" => Some(Unit::Day),
        "week" => Some(Unit::Week),
        "month" => Some(Unit::Month),
        "quarter" => Some(Unit::Quarter),
        "year" => Some(Unit::Year),
        _ => None,
    };
    if let Some(unit) = unit {
        return Ok(StepBy::Step(Step::Calendar { unit, zone: jiff::tz::TimeZone::UTC, offset: 0 }));
    }
    if let Some(width) = duration(&word.text).filter(|width| *width > 0) {
        return Ok(StepBy::Step(Step::Fixed { width, offset: 0 }));
    }
    let width = word.text.parse::<f64>().ok().filter(|width| width.is_finite() && *width > 0.0);
    width.map(|width| StepBy::Step(Step::Number { width, offset: 0.0 })).ok_or_else(|| {
        SyntaxError::new(word.offset, word.len, format!("{} is no step", word.text))
            .hint("a time has steps such as 30s, 5m, 1h, day, month or auto; a number 10 or 0.5")
    })
}

fn measure(grammar: &mut Grammar<'_>) -> Result<(Measure, String), SyntaxError> {
    let name = word(grammar, "a measure")?;
    let mut of = None;
    grammar.lexer.skip_blanks();
    if grammar.lexer.eat("(") {
        grammar.lexer.skip_blanks();
        if grammar.lexer.peek() != Some(')') {
            of = Some(field(grammar)?).filter(|field| field != "*");
        }
        grammar.lexer.skip_blanks();
        if !grammar.lexer.eat(")") {
            return Err(SyntaxError::new(
                grammar.lexer.at,
                0,
                format!("{} has one field: a ) is missing here", name.text),
            ));
        }
    }
    let percent = |text: &str| text.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
    let needs = |of: Option<String>| {
        of.clone().ok_or_else(|| {
            SyntaxError::new(name.offset, name.len, format!("{} needs a field: {}(duration)", name.text, name.text))
        })
    };
    let default = match &of {
        Some(field) => format!("{}_{field}", name.text),
        None => name.text.clone(),
    };
    let measure = match name.text.as_str() {
        "count" => Measure::Count(of),
        "rate" if of.is_none() => Measure::Rate,
        "sum" => Measure::Sum(needs(of)?),
        "avg" => Measure::Avg(needs(of)?),
        "min" => Measure::Min(needs(of)?),
        "max" => Measure::Max(needs(of)?),
        "median" => Measure::Percentile(needs(of)?, 50.0),
        "count_uniq" => Measure::Unique(needs(of)?),
        "values" => Measure::Values(needs(of)?),
        other => match other.strip_prefix('p').and_then(percent) {
            Some(percent) => Measure::Percentile(needs(of)?, percent),
            None => return Err(unknown("measure", other, name.offset, name.len, &MEASURES)),
        },
    };
    let column = if eat_word(grammar, "as") { word(grammar, "a name")?.text } else { default };
    Ok((measure, column))
}

fn extract(grammar: &mut Grammar<'_>) -> Result<Stage, SyntaxError> {
    grammar.lexer.skip_blanks();
    let offset = grammar.lexer.at;
    if grammar.lexer.peek() != Some('"') {
        return Err(SyntaxError::new(offset, 1, "a grok pattern in quotes is missing here")
            .hint("extract \"took %{NUMBER:ms:float} ms\" from msg"));
    }
    let text = grammar.lexer.quoted()?;
    let pattern = Pattern::compile(&Library::standard(), &text).map_err(|error| {
        SyntaxError::new(offset, grammar.lexer.at - offset, format!("this pattern does not work: {error}"))
    })?;
    if pattern.groups().is_empty() {
        return Err(SyntaxError::new(offset, grammar.lexer.at - offset, "this pattern names no field")
            .hint("%{NUMBER:ms:float} puts the number under ms"));
    }
    let from = if eat_word(grammar, "from") { field(grammar)? } else { "message".to_owned() };
    Ok(Stage::Extract { pattern: Arc::new(pattern), from })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_read() {
        let shown = |text: &str| {
            let pipeline = parse_pipeline(text).unwrap_or_else(|err| panic!("{}", err.render(text)));
            let stage = |stage: &Stage| match stage {
                Stage::Stats(stats) => {
                    let measures: Vec<_> = stats.measures.iter().map(|(m, name)| format!("{m:?} {name}")).collect();
                    let by: Vec<_> = stats.by.iter().map(|by| format!("{} {:?}", by.field, by.step)).collect();
                    format!("stats {measures:?} by {by:?}").replace(['"', '\\'], "")
                }
                Stage::Extract { pattern, from } => format!("extract {} from {from}", pattern.source()),
                Stage::Where(expr) => format!("where {expr}"),
                stage => format!("{stage:?}"),
            };
            let stages: Vec<_> = pipeline.stages.iter().map(stage).collect();
            format!("{} | {}", pipeline.expr, stages.join(" | "))
        };
        for (text, wanted) in [
            ("a", r#""a" | "#),
            ("| limit 5", "* | Limit(5)"),
            ("a b | where c:>5 OR d | head 7", r#"("a" AND "b") | where (c:{5 TO *] OR "d") | Limit(7)"#),
            (
                "level:E | stats count(), p99.9(duration), count_uniq(x) as n by _time:5m, host.name",
                "level:\"E\" | stats [Count(None) count, Percentile(duration, 99.9) p99.9_duration, Unique(x) n] by \
                 [@timestamp Step(Fixed { width: 300000000000, offset: 0 }), host.name Value]",
            ),
            (
                "* | stats count by (duration:100, \"a b\")",
                "* | stats [Count(None) count] by [duration Step(Number { width: 100.0, offset: 0.0 }), a b Value]",
            ),
            ("* | top 5 by path, method", "* | Top { limit: 5, fields: [\"path\", \"method\"] }"),
            ("* | top", "* | Top { limit: 10, fields: [] }"),
            ("* | uniq by user", "* | Uniq([\"user\"])"),
            (
                "* | sort by p99(duration) desc, count",
                "* | Sort([(\"p99_duration\", Descending), (\"count\", Ascending)])",
            ),
            (
                "* | rate 1m by level",
                "* | stats [Rate rate] by [@timestamp Step(Fixed { width: 60000000000, offset: 0 }), level Value]",
            ),
            ("* | fields _time, host.name", "* | Fields([\"@timestamp\", \"host.name\"])"),
            ("* | extract \"took %{NUMBER:ms:float}\" from msg", "* | extract took %{NUMBER:ms:float} from msg"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn mistakes_point_at_their_place() {
        for (text, wanted) in [
            (
                "a | stat count()",
                "query:5: there is no pipe stat\n  a | stat count()\n      ^^^^\nhint: did you mean stats?",
            ),
            (
                "a | stats cuont()",
                "query:11: there is no measure cuont\n  a | stats cuont()\n            ^^^^^\nhint: did you mean count?",
            ),
            ("a | stats sum()", "query:11: sum needs a field: sum(duration)\n  a | stats sum()\n            ^^^"),
            ("a |", "query:4: a pipe is missing here\n  a |\n     ^"),
            ("a | limit x", "query:11: x is no number from 1 to 65536\n  a | limit x\n            ^"),
            (
                "a | stats count() by _time:x",
                "query:28: x is no step\n  a | stats count() by _time:x\n                             ^\nhint: a time has steps such as 30s, 5m, 1h, day, month or auto; a number 10 or 0.5",
            ),
            ("a | where", "query:10: where needs a query: where duration:>500\n  a | where\n           ^"),
            (
                "a | where b:",
                "query:13: b: has no value\n  a | where b:\n              ^\nhint: b:* finds the records that have the field",
            ),
            ("a | extract \"%{NUMBR:x}\"", "query:13: this pattern does not work"),
            ("a | extract \"%{NUMBER}\"", "query:13: this pattern names no field"),
            ("a | top 5 by x )", "query:16: this bracket closes nothing"),
        ] {
            let shown = parse_pipeline(text).unwrap_err().render(text);
            assert!(shown.starts_with(wanted), "{text}:\n{shown}");
        }
    }
}
