//! What is not told, and not learned: Kibana's custom rules and calendars.

use serde_json::Value as Json;

use crate::record::time::{NANOS_PER_SECOND, parse_rfc3339};

/// Where it holds, a result is skipped, or the model is not updated, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub skip_result: bool,
    pub skip_model_update: bool,
    /// Of each field, whether its value is, or is not, one of these.
    scope: Vec<(String, bool, Vec<String>)>,
    conditions: Vec<(Quantity, Operator, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Actual,
    Typical,
    DiffFromTypical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Rule {
    pub fn read(json: &Json) -> Result<Self, String> {
        let map = json.as_object().ok_or("a rule is an object: actions, scope, conditions")?;
        if let Some(key) = map.keys().find(|key| !["actions", "scope", "conditions"].contains(&key.as_str())) {
            return Err(format!("{key}: a rule has actions, scope and conditions"));
        }
        let (mut skip_result, mut skip_model_update) = (false, false);
        match map.get("actions").map(|actions| (actions, actions.as_array())) {
            // As Kibana has it.
            None => skip_result = true,
            Some((_, Some(actions))) => {
                for action in actions {
                    match action.as_str() {
                        Some("skip_result") => skip_result = true,
                        Some("skip_model_update") => skip_model_update = true,
                        _ => return Err(format!("actions: {action}: it is skip_result or skip_model_update")),
                    }
                }
            }
            Some((other, None)) => return Err(format!("actions: {other}: a list is expected")),
        }
        let mut scope = Vec::new();
        for (field, limits) in map.get("scope").and_then(Json::as_object).into_iter().flatten() {
            let values = limits.get("values").and_then(Json::as_array);
            let values = values.ok_or_else(|| format!("scope: {field}: values is a list of them"))?;
            let include = match limits.get("filter_type").and_then(Json::as_str) {
                None | Some("include") => true,
                Some("exclude") => false,
                Some(other) => return Err(format!("scope: {field}: filter_type {other:?} is include or exclude")),
            };
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            scope.push((field.clone(), include, values.iter().map(text).collect()));
        }
        let mut conditions = Vec::new();
        for (at, condition) in map.get("conditions").and_then(Json::as_array).into_iter().flatten().enumerate() {
            let quantity = match condition.get("applies_to").and_then(Json::as_str) {
                Some("actual") => Quantity::Actual,
                Some("typical") => Quantity::Typical,
                Some("diff_from_typical") => Quantity::DiffFromTypical,
                _ => return Err(format!("conditions[{at}]: applies_to is actual, typical or diff_from_typical")),
            };
            let operator = match condition.get("operator").and_then(Json::as_str) {
                Some("gt") => Operator::Gt,
                Some("gte") => Operator::Gte,
                Some("lt") => Operator::Lt,
                Some("lte") => Operator::Lte,
                _ => return Err(format!("conditions[{at}]: operator is gt, gte, lt or lte")),
            };
            let value = condition.get("value").and_then(Json::as_f64);
            conditions.push((quantity, operator, value.ok_or(format!("conditions[{at}]: value is a number"))?));
        }
        if scope.is_empty() && conditions.is_empty() {
            return Err("it holds always: give it a scope, or conditions, or delete the job".to_owned());
        }
        Ok(Self { skip_result, skip_model_update, scope, conditions })
    }

    /// Whether it holds of a bucket; `value_of` gives the value of a field that splits the job.
    pub fn holds<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>, actual: f64, typical: f64) -> bool {
        let in_scope = |(field, include, values): &(String, bool, Vec<String>)| {
            value_of(field).is_some_and(|value| values.iter().any(|v| v == value) == *include)
        };
        let met = |(quantity, operator, limit): &(Quantity, Operator, f64)| {
            let x = match quantity {
                Quantity::Actual => actual,
                Quantity::Typical => typical,
                Quantity::DiffFromTypical => (actual - typical).abs(),
            };
            match operator {
                Operator::Gt => x > *limit,
                Operator::Gte => x >= *limit,
                Operator::Lt => x < *limit,
                Operator::Lte => x <= *limit,
            }
        };
        self.scope.iter().all(in_scope) && self.conditions.iter().all(met)
    }

    /// Fields its scope speaks of.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().map(|(field, ..)| field.as_str())
    }
}

/// A time that is known to be different: nothing in it is told or learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    pub description: String,
    /// Unix seconds, the second not included.
    pub from: i64,
    pub to: i64,
}

impl Calendar {
    pub fn read(json: &Json) -> Result<Self, String> {
        let map = json.as_object().ok_or("an event is an object: description, from, to")?;
        if let Some(key) = map.keys().find(|key| !["description", "from", "to"].contains(&key.as_str())) {
            return Err(format!("{key}: an event has description, from and to"));
        }
        let time = |key: &str| {
            let text = map.get(key).and_then(Json::as_str);
            let nanos = text.and_then(parse_rfc3339);
            let bad = || format!("{key}: an RFC 3339 time is expected, such as 2026-11-27T06:00:00Z");
            nanos.map(|nanos| nanos.div_euclid(NANOS_PER_SECOND)).ok_or_else(bad)
        };
        let (from, to) = (time("from")?, time("to")?);
        if to <= from {
            return Err("to: it ends before it begins".to_owned());
        }
        let description = map.get("description").and_then(Json::as_str).unwrap_or_default().to_owned();
        Ok(Self { description, from, to })
    }

    /// Whether a bucket lies in it, be it in part.
    pub fn holds(&self, start: i64, seconds: i64) -> bool {
        start < self.to && start + seconds > self.from
    }
}
