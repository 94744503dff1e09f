//! A job as it is written, read whole and checked whole: every problem names its place.

use serde_json::{Map, Value as Json};

use super::exempt::{Calendar, Rule};
use crate::config::{bytes, distance, duration};

/// What is taken of a bucket's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Count,
    NonZeroCount,
    DistinctCount,
    Mean,
    Median,
    P95,
    Min,
    Max,
    Sum,
    InfoContent,
    Rare,
    FreqRare,
    New,
    TimeOfDay,
    TimeOfWeek,
}

/// Which side of usual is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Both,
    High,
    Low,
}

/// Names without `high_` or `low_`; the flag says whether those exist.
pub const FUNCTIONS: [(&str, Function, bool); 15] = [
    ("count", Function::Count, true),
    ("non_zero_count", Function::NonZeroCount, true),
    ("distinct_count", Function::DistinctCount, true),
    ("mean", Function::Mean, true),
    ("median", Function::Median, true),
    ("p95", Function::P95, true),
    ("min", Function::Min, false),
    ("max", Function::Max, false),
    ("sum", Function::Sum, true),
    ("info_content", Function::InfoContent, true),
    ("rare", Function::Rare, false),
    ("freq_rare", Function::FreqRare, false),
    ("new", Function::New, false),
    ("time_of_day", Function::TimeOfDay, false),
    ("time_of_week", Function::TimeOfWeek, false),
];

impl Function {
    /// Whether it needs `field`.
    pub fn takes_field(self) -> bool {
        use Function::{DistinctCount, InfoContent, Max, Mean, Median, Min, P95, Sum};
        matches!(self, DistinctCount | Mean | Median | P95 | Min | Max | Sum | InfoContent)
    }

    /// Whether a bucket without records is an observation of 0.
    pub fn counts_nothing(self) -> bool {
        matches!(self, Self::Count | Self::Sum)
    }

    fn takes_values(self) -> bool {
        matches!(self, Self::Rare | Self::FreqRare | Self::New)
    }
}

/// One job, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// 1 to 64 of a-z, 0-9, - and _.
    pub name: String,
    pub description: String,
    /// As it was written: `high_mean`.
    pub function_name: String,
    pub function: Function,
    pub side: Side,
    pub field: Option<String>,
    pub by: Option<String>,
    pub over: Option<String>,
    pub partition: Option<String>,
    /// 10 to 86,400.
    pub bucket_seconds: i64,
    /// In the query language; empty takes every record.
    pub filter: String,
    pub influencers: Vec<String>,
    pub rules: Vec<Rule>,
    pub calendars: Vec<Calendar>,
    /// Bytes that all its series may take.
    pub bytes_max: usize,
    /// Anomalies below this are not told: 0 to 100.
    pub score_min: f64,
    /// The object it was read from.
    pub source: Json,
}

/// Influencers of one job, and rules and calendars.
const INFLUENCERS_MAX: usize = 8;
const LIST_MAX: usize = 100;
/// Series and values of a job without `memory`: bytes.
const BYTES_DEFAULT: usize = 16 << 20;

/// Names a job may have, and those that Kibana's users write for the same.
const KEYS: [(&str, &[&str]); 14] = [
    ("name", &["job_id"]),
    ("description", &[]),
    ("function", &[]),
    ("field", &["field_name"]),
    ("by", &["by_field_name"]),
    ("over", &["over_field_name"]),
    ("partition", &["partition_field_name"]),
    ("bucket_span", &[]),
    ("filter", &["query"]),
    ("influencers", &[]),
    ("custom_rules", &[]),
    ("calendars", &[]),
    ("memory", &["model_memory_limit"]),
    ("score", &[]),
];

impl Spec {
    /// Reads a list of jobs, as under `jobs` of the configuration. `check` says what is wrong with a filter.
    pub fn list(json: &Json, check: &dyn Fn(&str) -> Result<(), String>) -> Result<Vec<Self>, Vec<String>> {
        let list = match json {
            Json::Null => return Ok(Vec::new()),
            Json::Array(list) => list,
            _ => return Err(vec!["jobs: a list of jobs is expected".to_owned()]),
        };
        let (mut specs, mut problems) = (Vec::<Self>::new(), Vec::new());
        for (at, json) in list.iter().enumerate() {
            let named = json.get("name").or_else(|| json.get("job_id")).and_then(Json::as_str);
            let place = named.map_or_else(|| format!("jobs[{at}]"), |name| format!("jobs[{at}] ({name})"));
            match Self::read(json, check) {
                Ok(spec) if specs.iter().any(|other| other.name == spec.name) => {
                    problems.push(format!("{place}: name: another job has this name"));
                }
                Ok(spec) => specs.push(spec),
                Err(found) => problems.extend(found.into_iter().map(|problem| format!("{place}: {problem}"))),
            }
        }
        if problems.is_empty() { Ok(specs) } else { Err(problems) }
    }

    /// Reads one job; all that is wrong with it, each with its key.
    pub fn read(json: &Json, check: &dyn Fn(&str) -> Result<(), String>) -> Result<Self, Vec<String>> {
        let Json::Object(map) = json else { return Err(vec!["a job is an object: name, function, …".to_owned()]) };
        let mut reader = Reader { map, problems: Vec::new() };
        reader.unknown();
        let name = reader.required("name");
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !name.is_empty() && (name.len() > 64 || !name.bytes().all(fits)) {
            reader.note("name", format!("{name:?} is no name: 1 to 64 of a-z, 0-9, - and _"));
        }
        let function_name = reader.required("function");
        let (function, side) = reader.function(&function_name).unwrap_or((Function::Count, Side::Both));
        let [field, by, over, partition] = ["field", "by", "over", "partition"].map(|key| reader.text(key));
        if !function_name.is_empty() && reader.problems.iter().all(|p| !p.starts_with("function")) {
            if function.takes_field() && field.is_none() {
                reader.note("field", format!("{function_name} needs the field it is taken of"));
            }
            if !function.takes_field()
                && let Some(field) = &field
            {
                let instead =
                    if function.takes_values() { format!("; did you mean by: {field}?") } else { String::new() };
                reader.note("field", format!("{function_name} takes no field{instead}"));
            }
            if function.takes_values() && by.is_none() {
                reader.note("by", format!("{function_name} needs by: the field whose values are looked at"));
            }
            if function == Function::FreqRare && over.is_none() {
                reader.note("over", "freq_rare needs over: the members of the population".to_owned());
            }
            let clock = matches!(function, Function::TimeOfDay | Function::TimeOfWeek);
            if (clock || function == Function::New) && over.is_some() {
                reader.note("over", format!("{function_name} has no population: use by or partition"));
            }
        }
        let bucket_seconds = reader.bucket_span();
        let filter = reader.text("filter").unwrap_or_default();
        if !filter.is_empty()
            && let Err(problem) = check(&filter)
        {
            reader.note("filter", problem);
        }
        let influencers = reader.names("influencers");
        if influencers.len() > INFLUENCERS_MAX {
            reader.note("influencers", format!("{} are given: at most {INFLUENCERS_MAX}", influencers.len()));
        }
        let rules = reader.each("custom_rules", Rule::read);
        let calendars = reader.each("calendars", Calendar::read);
        let bytes_max = match reader.text("memory").map(|text| bytes(&text)) {
            None => BYTES_DEFAULT,
            Some(Ok(given)) if (1 << 20..=1 << 32).contains(&given) => given as usize,
            Some(Ok(_)) => reader.problem("memory", "is from 1MiB to 4GiB".to_owned()).unwrap_or(BYTES_DEFAULT),
            Some(Err(problem)) => reader.problem("memory", problem).unwrap_or(BYTES_DEFAULT),
        };
        let score_min = match map.get("score") {
            None => 25.0,
            Some(score) => match score.as_f64().filter(|score| (0.0..=100.0).contains(score)) {
                Some(score) => score,
                None => reader.problem("score", format!("{score} is no score: 0 to 100")).unwrap_or(25.0),
            },
        };
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let description = reader.text("description").unwrap_or_default();
        Ok(Self {
            name,
            description,
            function_name,
            function,
            side,
            field,
            by,
            over,
            partition,
            bucket_seconds,
            filter,
            influencers,
            rules,
            calendars,
            bytes_max,
            score_min,
            source: json.clone(),
        })
    }
}

struct Reader<'m> {
    map: &'m Map<String, Json>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn note(&mut self, key: &str, text: String) {
        self.problems.push(format!("{key}: {text}"));
    }

    /// The same, where a value is expected.
    fn problem<T>(&mut self, key: &str, text: String) -> Option<T> {
        self.note(key, text);
        None
    }

    fn unknown(&mut self) {
        for name in self.map.keys() {
            let known = |(key, others): &(&str, &[&str])| key == name || others.contains(&name.as_str());
            if KEYS.iter().any(known) {
                continue;
            }
            let keys = KEYS.iter().map(|(key, _)| *key);
            let nearest = keys.map(|key| (distance(key, name), key)).min();
            let advice = nearest.map(|(_, key)| format!("; did you mean {key}?")).unwrap_or_default();
            self.note(name, format!("a job has no such key{advice}"));
        }
    }

    fn value(&self, key: &str) -> Option<&Json> {
        let others = KEYS.iter().find(|(known, _)| *known == key).map_or(&[][..], |(_, others)| others);
        let found = self.map.get(key).or_else(|| others.iter().find_map(|other| self.map.get(*other)));
        found.filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Json::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Json::Number(number) if key == "memory" => Some(number.to_string()),
            other => {
                let text = format!("{other} is no text");
                self.problem(key, text)
            }
        }
    }

    fn required(&mut self, key: &str) -> String {
        if self.value(key).is_none() {
            self.note(key, "is missing".to_owned());
        }
        self.text(key).unwrap_or_default()
    }

    fn names(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let names = value.as_array().map(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        match names {
            Some(Some(names)) => names,
            _ => self.problem(key, "a list of names of fields is expected".to_owned()).unwrap_or_default(),
        }
    }

    fn each<T>(&mut self, key: &str, read: impl Fn(&Json) -> Result<T, String>) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.as_array().filter(|list| list.len() <= LIST_MAX).cloned() else {
            return self.problem(key, format!("a list is expected, of at most {LIST_MAX}")).unwrap_or_default();
        };
        let mut out = Vec::new();
        for (at, item) in list.iter().enumerate() {
            match read(item) {
                Ok(item) => out.push(item),
                Err(problem) => self.problems.push(format!("{key}[{at}]: {problem}")),
            }
        }
        out
    }

    fn function(&mut self, name: &str) -> Option<(Function, Side)> {
        let (rest, side) = match (name.strip_prefix("high_"), name.strip_prefix("low_")) {
            (Some(rest), _) => (rest, Side::High),
            (_, Some(rest)) => (rest, Side::Low),
            _ => (name, Side::Both),
        };
        let found = FUNCTIONS.iter().find(|(known, _, sided)| *known == rest && (*sided || side == Side::Both));
        match found {
            Some((_, function, _)) => Some((*function, side)),
            None if name.is_empty() => None,
            None => {
                let all = FUNCTIONS.iter().flat_map(|(known, _, sided)| {
                    let sides = if *sided { &["", "high_", "low_"][..] } else { &[""][..] };
                    sides.iter().map(move |side| format!("{side}{known}"))
                });
                let nearest = all.map(|known| (distance(&known, name), known)).min();
                let advice = nearest.map(|(_, known)| format!("; did you mean {known}?")).unwrap_or_default();
                self.problem("function", format!("{name:?} is no function{advice}"))
            }
        }
    }

    fn bucket_span(&mut self) -> i64 {
        match self.text("bucket_span").map(|text| duration(&text)) {
            None => 900,
            Some(Ok(span)) if (10..=86_400).contains(&span.as_secs()) && 86_400 % span.as_secs() == 0 => {
                span.as_secs() as i64
            }
            Some(Ok(_)) => {
                let text = "is from 10s to 1d, and a day holds a whole number of them: 1m, 5m, 15m, 1h";
                self.problem("bucket_span", text.to_owned()).unwrap_or(900)
            }
            Some(Err(problem)) => self.problem("bucket_span", problem).unwrap_or(900),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(job: Json) -> String {
        let check = |text: &str| if text.contains('(') { Err("1:1: ( is not closed".to_owned()) } else { Ok(()) };
        Spec::list(&json!([job]), &check).map_or_else(|problems| problems.join("\n"), |_| String::new())
    }

    #[test]
    fn a_job_is_checked_whole_and_each_problem_names_its_place() {
        let sound = json!({"job_id": "slow", "function": "high_mean", "field_name": "duration", "bucket_span": "5m",
            "partition_field_name": "upstream_cluster", "model_memory_limit": "4MiB", "influencers": ["path"]});
        assert_eq!(problems(sound), "");
        for (job, expected) in [
            (json!({"name": "a", "function": "high_meen", "field": "x"}), "did you mean high_mean?"),
            (json!({"name": "a", "function": "mean"}), "jobs[0] (a): field: mean needs the field"),
            (json!({"name": "a", "function": "count", "field": "x"}), "field: count takes no field"),
            (json!({"name": "a", "function": "rare", "field": "x"}), "did you mean by: x?"),
            (json!({"name": "a", "function": "freq_rare", "by": "x"}), "over: freq_rare needs over"),
            (json!({"name": "a", "function": "high_rare", "by": "x"}), "is no function"),
            (json!({"name": "A b", "function": "count"}), "name: \"A b\" is no name"),
            (json!({"name": "a", "function": "count", "bucket_span": "7m"}), "bucket_span: is from 10s"),
            (json!({"name": "a", "function": "count", "buckets": "7m"}), "buckets: a job has no such key"),
            (json!({"name": "a", "function": "count", "filter": "("}), "filter: 1:1: ( is not closed"),
            (json!({"name": "a", "function": "count", "memory": "1KiB"}), "memory: is from 1MiB"),
            (json!({"name": "a", "function": "count", "score": 101}), "score: 101 is no score"),
            (json!({"name": "a", "function": "count", "custom_rules": [{}]}), "custom_rules[0]:"),
            (json!({"name": "a", "function": "count", "calendars": [{"from": "x"}]}), "calendars[0]: from"),
            (json!({"function": "count"}), "jobs[0]: name: is missing"),
            (json!("count"), "a job is an object"),
        ] {
            let told = problems(job.clone());
            assert!(told.contains(expected), "{job}: {told}");
        }
        let two = problems(json!({"name": "a", "function": "count", "score": -1, "memory": "x"}));
        assert_eq!(two.lines().count(), 2, "{two}");
    }

    #[test]
    fn two_jobs_have_two_names() {
        let job = json!({"name": "a", "function": "count"});
        let told = Spec::list(&json!([job, job]), &|_| Ok(())).unwrap_err();
        assert_eq!(told, ["jobs[1] (a): name: another job has this name"]);
    }
}
