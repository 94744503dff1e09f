//! Answers in the shapes that Elasticsearch's clients read.

use serde_json::{Map, Value as Json, json};

use super::super::answer::{Answer, Group, Stats};
use super::super::finish::stat;
use super::super::key::Key;
use super::super::request::{Aggregation, Kind, Ranges, Shown};
use crate::record::time::format_rfc3339;

/// `aggregations` of an answer: `answers` to `requests`, by name.
pub fn to_json(requests: &[Aggregation], answers: &[Answer]) -> Map<String, Json> {
    let named = requests.iter().zip(answers);
    named.map(|(request, answer)| (request.name.clone(), one(request, answer))).collect()
}

fn one(request: &Aggregation, answer: &Answer) -> Json {
    match (answer, &request.kind) {
        (Answer::Groups { groups, other }, Kind::Terms(_)) => {
            let buckets: Vec<Json> = groups.iter().map(|group| Json::Object(bucket(request, group))).collect();
            json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": other, "buckets": buckets})
        }
        (Answer::Groups { groups, .. }, Kind::Steps(steps)) if steps.keyed => {
            let buckets = groups.iter().map(|group| {
                let bucket = bucket(request, group);
                let name = bucket.get("key_as_string").and_then(Json::as_str).map(str::to_owned);
                (name.unwrap_or_else(|| group.key.to_json().to_string()), Json::Object(bucket))
            });
            json!({"buckets": buckets.collect::<Map<_, _>>()})
        }
        (Answer::Groups { groups, .. }, Kind::Ranges(ranges)) => {
            let named = ranges.ranges.iter().zip(groups).map(|(range, group)| {
                let mut out = Map::new();
                out.insert("key".into(), Json::from(range.key.clone()));
                bound(&mut out, "from", range.from, ranges);
                bound(&mut out, "to", range.to, ranges);
                out.append(&mut below(request, group));
                (range.key.clone(), out)
            });
            if ranges.keyed {
                let buckets = named.map(|(key, mut bucket)| {
                    bucket.remove("key");
                    (key, Json::Object(bucket))
                });
                return json!({"buckets": buckets.collect::<Map<_, _>>()});
            }
            json!({"buckets": named.map(|(_, bucket)| Json::Object(bucket)).collect::<Vec<_>>()})
        }
        (Answer::Groups { groups, .. }, Kind::Filters(filters)) => {
            if filters.iter().all(|(name, _)| name.is_some()) {
                let buckets = filters.iter().zip(groups);
                let buckets =
                    buckets.filter_map(|((name, _), group)| Some((name.clone()?, Json::Object(below(request, group)))));
                return json!({"buckets": buckets.collect::<Map<_, _>>()});
            }
            json!({"buckets": groups.iter().map(|group| Json::Object(below(request, group))).collect::<Vec<_>>()})
        }
        (Answer::Groups { groups, .. }, _) => {
            json!({"buckets": groups.iter().map(|group| Json::Object(bucket(request, group))).collect::<Vec<_>>()})
        }
        (Answer::One(group), _) => Json::Object(below(request, group)),
        (Answer::Stats(stats), Kind::Stats(field, shown)) => stats_json(stats, field, *shown),
        (Answer::Percentiles(values), kind) => {
            if matches!(kind, Kind::Percentiles { keyed: false, .. }) {
                let values = values.iter().map(|(percent, value)| json!({"key": percent, "value": value}));
                return json!({"values": values.collect::<Vec<_>>()});
            }
            let values = values.iter().map(|(percent, value)| (format!("{percent:?}"), json!(value)));
            json!({"values": values.collect::<Map<_, _>>()})
        }
        (Answer::Count(count), _) => json!({"value": count}),
        (Answer::Hits { total, records }, _) => {
            let hits: Vec<Json> = records.iter().map(hit).collect();
            json!({"hits": {"total": {"value": total, "relation": "eq"}, "max_score": null, "hits": hits}})
        }
        (Answer::TopMetrics(rows), Kind::TopMetrics { fields, .. }) => {
            let top = rows.iter().map(|(at, values)| {
                let metrics: Map<String, Json> = fields.iter().cloned().zip(values.iter().cloned()).collect();
                json!({"sort": [format_rfc3339(*at)], "metrics": metrics})
            });
            json!({"top": top.collect::<Vec<_>>()})
        }
        _ => Json::Null,
    }
}

fn hit(record: &Map<String, Json>) -> Json {
    let id = record.get("event").and_then(|event| event.get("id")).cloned().unwrap_or_default();
    let sort = record.get("@timestamp").cloned().unwrap_or_default();
    json!({"_index": "loghound", "_id": id, "_score": null, "_source": record, "sort": [sort]})
}

/// A group with its key.
fn bucket(request: &Aggregation, group: &Group) -> Map<String, Json> {
    let mut out = Map::new();
    match &group.key {
        Key::Time(at) => {
            out.insert("key_as_string".into(), Json::from(format_rfc3339(*at)));
            out.insert("key".into(), Json::from(at.div_euclid(1_000_000)));
        }
        Key::Bool(b) => {
            out.insert("key".into(), Json::from(u8::from(*b)));
            out.insert("key_as_string".into(), Json::from(if *b { "true" } else { "false" }));
        }
        key => _ = out.insert("key".into(), key.to_json()),
    }
    out.append(&mut below(request, group));
    out
}

/// A group without its key.
fn below(request: &Aggregation, group: &Group) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("doc_count".into(), Json::from(group.count));
    out.append(&mut to_json(&request.subs, &group.answers));
    out
}

fn bound(out: &mut Map<String, Json>, name: &str, bound: Option<f64>, ranges: &Ranges) {
    let Some(value) = bound else { return };
    out.insert(name.into(), Json::from(value));
    if ranges.is_time {
        out.insert(format!("{name}_as_string"), Json::from(format_rfc3339((value * 1e6) as i64)));
    }
}

fn stats_json(stats: &Stats, field: &str, shown: Shown) -> Json {
    let as_time =
        |value: Option<f64>| value.filter(|_| field == "@timestamp").map(|ms| format_rfc3339((ms * 1e6) as i64));
    if !matches!(shown, Shown::Stats | Shown::Extended) {
        let value = stat(stats, shown, "");
        let mut out = json!({"value": value});
        if let (Some(text), Json::Object(out)) = (as_time(value), &mut out) {
            out.insert("value_as_string".into(), Json::from(text));
        }
        return out;
    }
    let mut out = Map::new();
    let names: &[&str] = match shown {
        Shown::Extended => &[
            "count",
            "min",
            "max",
            "avg",
            "sum",
            "sum_of_squares",
            "variance",
            "variance_population",
            "variance_sampling",
            "std_deviation",
            "std_deviation_population",
            "std_deviation_sampling",
        ],
        _ => &["count", "min", "max", "avg", "sum"],
    };
    for name in names {
        let value = match *name {
            "count" => json!(stats.count),
            name => json!(stat(stats, shown, name)),
        };
        out.insert((*name).to_owned(), value);
    }
    for name in ["min", "max", "avg"] {
        if let Some(text) = as_time(stat(stats, shown, name)) {
            out.insert(format!("{name}_as_string"), Json::from(text));
        }
    }
    if shown == Shown::Extended {
        let bound = |deviation: Option<f64>, sign: f64| Some(stats.avg()? + sign * 2.0 * deviation?);
        let (population, sampling) = (stats.variance().map(f64::sqrt), stats.variance_sampling().map(f64::sqrt));
        let bounds = json!({
            "upper": bound(population, 1.0), "lower": bound(population, -1.0),
            "upper_population": bound(population, 1.0), "lower_population": bound(population, -1.0),
            "upper_sampling": bound(sampling, 1.0), "lower_sampling": bound(sampling, -1.0),
        });
        out.insert("std_deviation_bounds".into(), bounds);
    }
    Json::Object(out)
}
