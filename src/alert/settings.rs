//! What the operator wants: receivers, routes, rules, time intervals; read whole and checked whole.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::guard::Addresses;
use super::interval::{Interval, RawInterval};
use super::matcher::{Labels, Matcher};
use super::receivers::{RawReceiver, Receiver};
use super::route::Route;
use super::rule::{Anomalies, Condition, NewTemplate, Query, Rule, Test};
use crate::config::{distance, duration};
use crate::detect::Severity;

/// What the configuration's `alert` keys say, as they are written; `Null` where nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw {
    pub rules: Json,
    pub receivers: Json,
    pub route: Json,
    pub time_intervals: Json,
    pub external_url: Option<String>,
    pub allow_addresses: Json,
    pub join_on: Json,
    pub canary_receiver: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub rules: Vec<Rule>,
    pub receivers: Vec<Receiver>,
    pub route: Route,
    pub intervals: Vec<Interval>,
    pub external_url: Option<String>,
    pub addresses: Addresses,
    /// Fields whose values tell that two services have one cause.
    pub join_on: Vec<String>,
    /// Who gets the line that goes in every minute; nobody where absent.
    pub canary: Option<String>,
}

/// Where two services meet.
const JOIN_ON: [&str; 6] =
    ["upstream_host", "upstream_cluster", "kubernetes.node.name", "host.name", "kubernetes.pod.name", "trace_id"];
const RULES_MAX: usize = 500;
const RECEIVERS_MAX: usize = 100;
/// The rule that is there where none is written.
const DEFAULT_RULE: &str = "anomalies";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    anomalies: Option<RawAnomalies>,
    query: Option<RawQuery>,
    new_template: Option<RawNewTemplate>,
    #[serde(rename = "for")]
    hold_open: Option<String>,
    close_after: Option<String>,
    severity: Option<String>,
    #[serde(default)]
    labels: Labels,
    runbook: Option<String>,
    #[serde(default)]
    receivers: Vec<String>,
    #[serde(default)]
    schedule: Vec<String>,
    repeat: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAnomalies {
    score: Option<Json>,
    services: Vec<String>,
    detectors: Vec<String>,
    fields: Vec<String>,
    values: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawNewTemplate {
    services: Vec<String>,
    texts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    q: String,
    of: Option<String>,
    window: Option<String>,
    by: Option<String>,
    above: Option<f64>,
    below: Option<f64>,
    #[serde(default)]
    absent: bool,
    close: Option<f64>,
    #[serde(default)]
    lines_min: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRoute {
    receiver: Option<String>,
    matchers: Vec<String>,
    #[serde(rename = "continue")]
    go_on: bool,
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    repeat_interval: Option<String>,
    mute_time_intervals: Vec<String>,
    active_time_intervals: Vec<String>,
    routes: Vec<RawRoute>,
}

/// Problems, each with the place it is at.
struct Problems(Vec<String>);

impl Problems {
    fn at<T>(&mut self, place: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.0.push(format!("{place}: {problem}"))).ok()
    }

    fn length(&mut self, place: &str, text: Option<&String>, default: Duration) -> Duration {
        text.and_then(|text| self.at(place, duration(text))).unwrap_or(default)
    }
}

/// Lengths of time that are not written.
const CLOSE_AFTER: Duration = Duration::from_secs(120);
const QUERY_WINDOW: Duration = Duration::from_secs(300);
const GROUP_INTERVAL: Duration = Duration::from_secs(300);
const REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3_600);

impl Settings {
    /// Reads and checks; `check_query` says what is wrong with a query. All problems at once.
    pub fn read(raw: &Raw, check_query: &dyn Fn(&str) -> Result<(), String>) -> Result<Self, Vec<String>> {
        let mut problems = Problems(Vec::new());
        let intervals: Vec<Interval> = list::<RawInterval>("alert.time_intervals", &raw.time_intervals, &mut problems)
            .into_iter()
            .filter_map(|(place, raw)| problems.at(&place, Interval::read(raw)))
            .collect();
        let addresses = words("alert.allow_addresses", &raw.allow_addresses, &mut problems);
        let addresses = problems.at("alert.allow_addresses", Addresses::read(&addresses)).unwrap_or_default();
        let receivers: Vec<Receiver> = list::<RawReceiver>("alert.receivers", &raw.receivers, &mut problems)
            .into_iter()
            .filter_map(|(place, raw)| {
                let receiver = Receiver::read(raw, &addresses);
                receiver.map_err(|found| problems.0.extend(found.iter().map(|p| format!("{place}: {p}")))).ok()
            })
            .collect();
        let mut rules: Vec<Rule> = list::<RawRule>("alert.rules", &raw.rules, &mut problems)
            .into_iter()
            .filter_map(|(place, raw)| rule(&place, raw, check_query, &mut problems))
            .collect();
        if raw.rules.is_null() {
            rules.push(default_rule());
        }
        unique("alert.rules", rules.iter().map(|rule| rule.name.as_str()), &mut problems);
        unique("alert.receivers", receivers.iter().map(|receiver| receiver.name.as_str()), &mut problems);
        unique("alert.time_intervals", intervals.iter().map(|interval| interval.name.as_str()), &mut problems);
        for (place, len, max) in
            [("alert.rules", rules.len(), RULES_MAX), ("alert.receivers", receivers.len(), RECEIVERS_MAX)]
        {
            if len > max {
                problems.0.push(format!("{place}: {len} are too many: at most {max}"));
            }
        }
        let route = match &raw.route {
            Json::Null => RawRoute { receiver: receivers.first().map(|r| r.name.clone()), ..RawRoute::default() },
            json => problems.at("alert.route", read(json)).unwrap_or_default(),
        };
        let route = build("alert.route", "0", route, None, &mut problems);
        let mut join_on = words("alert.join_on", &raw.join_on, &mut problems);
        if raw.join_on.is_null() {
            join_on = JOIN_ON.map(str::to_owned).to_vec();
        }
        if let Some(url) = &raw.external_url
            && !reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            problems.0.push(format!("alert.external_url: {url:?} is no address: write https://HOST"));
        }
        let settings = Self {
            rules,
            receivers,
            route,
            intervals,
            external_url: raw.external_url.clone(),
            addresses,
            join_on,
            canary: raw.canary_receiver.clone(),
        };
        settings.check_names(!raw.route.is_null(), &mut problems);
        if problems.0.is_empty() { Ok(settings) } else { Err(problems.0) }
    }

    /// Names that lead nowhere.
    fn check_names(&self, routed: bool, problems: &mut Problems) {
        let receivers: Vec<&str> = self.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let intervals: Vec<&str> = self.intervals.iter().map(|interval| interval.name.as_str()).collect();
        let mut check = |place: String, kind: &str, name: &str, known: &[&str]| {
            if !known.contains(&name) {
                let nearest = known.iter().map(|k| (distance(k, name), *k)).min();
                let advice = nearest.map(|(_, k)| format!(": did you mean {k}?")).unwrap_or_default();
                problems.0.push(format!("{place}: there is no {kind} {name:?}{advice}"));
            }
        };
        for rule in &self.rules {
            let place = format!("alert.rules ({})", rule.name);
            for name in &rule.receivers {
                check(format!("{place}.receivers"), "receiver", name, &receivers);
            }
            for name in &rule.schedule {
                check(format!("{place}.schedule"), "time interval", name, &intervals);
            }
        }
        self.route.each(&mut |route| {
            let place = format!("alert.route {}", route.id);
            if routed || !receivers.is_empty() {
                check(place.clone(), "receiver", &route.receiver, &receivers);
            }
            for name in route.mute_times.iter().chain(&route.active_times) {
                check(place.clone(), "time interval", name, &intervals);
            }
        });
        if let Some(name) = &self.canary {
            check("alert.canary_receiver".to_owned(), "receiver", name, &receivers);
        }
    }

    /// The same with other rules: for a dry run.
    pub fn with_rules(
        &self,
        rules: Json,
        check_query: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Problems(Vec::new());
        let rules = list::<RawRule>("rules", &rules, &mut problems)
            .into_iter()
            .filter_map(|(place, raw)| rule(&place, raw, check_query, &mut problems))
            .collect();
        let settings = Self { rules, ..self.clone() };
        settings.check_names(false, &mut problems);
        if problems.0.is_empty() { Ok(settings) } else { Err(problems.0) }
    }

    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// Whether a rule with this schedule is at work.
    pub fn works(&self, schedule: &[String], now: i64) -> bool {
        schedule.is_empty() || self.is_in(schedule, now)
    }

    /// Whether a route tells now.
    pub fn may_tell(&self, route: &Route, now: i64) -> bool {
        !self.is_in(&route.mute_times, now) && self.works(&route.active_times, now)
    }

    fn is_in(&self, names: &[String], now: i64) -> bool {
        self.intervals.iter().any(|interval| names.contains(&interval.name) && interval.contains(now))
    }

    /// Rules that ask a number of the store.
    pub fn queries(&self) -> impl Iterator<Item = (&Rule, &Query)> {
        self.rules.iter().filter_map(|rule| match &rule.condition {
            Condition::Query(query) => Some((rule, query)),
            Condition::Anomalies(_) | Condition::NewTemplate(_) => None,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&Raw::default(), &|_| Ok(())).unwrap_or_else(|_| Self {
            rules: vec![default_rule()],
            receivers: Vec::new(),
            route: build("", "0", RawRoute::default(), None, &mut Problems(Vec::new())),
            intervals: Vec::new(),
            external_url: None,
            addresses: Addresses::default(),
            join_on: Vec::new(),
            canary: None,
        })
    }
}

/// Major anomalies, whatever they are of.
fn default_rule() -> Rule {
    Rule {
        name: DEFAULT_RULE.to_owned(),
        condition: Condition::Anomalies(Anomalies { score_min: Severity::Major.score_min(), ..Anomalies::default() }),
        hold_open: Duration::ZERO,
        hold_close: CLOSE_AFTER,
        severity: None,
        labels: Labels::new(),
        runbook: None,
        receivers: Vec::new(),
        schedule: Vec::new(),
        repeat: None,
    }
}

fn read<T: DeserializeOwned>(json: &Json) -> Result<T, String> {
    serde_json::from_value(json.clone()).map_err(|err| advised(&err.to_string()))
}

/// serde's "unknown field `x`, expected one of `a`, `b`" with the nearest of them.
fn advised(text: &str) -> String {
    let mut names = text.split('`').skip(1).step_by(2);
    let nearest = names.next().filter(|_| text.starts_with("unknown field")).and_then(|unknown| {
        names.map(|known| (distance(known, unknown), known)).min().filter(|(far, known)| *far <= known.len() / 2 + 1)
    });
    nearest.map_or_else(|| text.to_owned(), |(_, known)| format!("{text}; did you mean {known}?"))
}

/// The entries of a list, each with its place; what cannot be read is told.
fn list<T: DeserializeOwned>(key: &str, json: &Json, problems: &mut Problems) -> Vec<(String, T)> {
    let entries = match json {
        Json::Null => return Vec::new(),
        Json::Array(entries) => entries,
        _ => {
            problems.0.push(format!("{key}: a list is expected"));
            return Vec::new();
        }
    };
    let place = |at: usize, entry: &Json| match entry.get("name").and_then(Json::as_str) {
        Some(name) => format!("{key} ({name})"),
        None => format!("{key}, entry {}", at + 1),
    };
    let entries = entries.iter().enumerate().map(|(at, entry)| (place(at, entry), entry));
    entries.filter_map(|(place, entry)| problems.at(&place, read(entry)).map(|read| (place, read))).collect()
}

fn words(key: &str, json: &Json, problems: &mut Problems) -> Vec<String> {
    if json.is_null() { Vec::new() } else { problems.at(key, read(json)).unwrap_or_default() }
}

fn unique<'n>(key: &str, names: impl Iterator<Item = &'n str>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.0.push(format!("{key}: {name:?} is there twice: names are what they are known by"));
        }
    }
}

fn rule(
    place: &str,
    raw: RawRule,
    check_query: &dyn Fn(&str) -> Result<(), String>,
    problems: &mut Problems,
) -> Option<Rule> {
    let hold_open = problems.length(&format!("{place}.for"), raw.hold_open.as_ref(), Duration::ZERO);
    let hold_close = problems.length(&format!("{place}.close_after"), raw.close_after.as_ref(), CLOSE_AFTER);
    let repeat = raw.repeat.as_ref().and_then(|text| problems.at(&format!("{place}.repeat"), duration(text)));
    let severity = raw.severity.as_ref().and_then(|text| problems.at(&format!("{place}.severity"), severity(text)));
    if raw.name.is_empty() || raw.name.contains('/') {
        problems.0.push(format!("{place}: a rule needs a name, without a slash"));
    }
    for name in raw.labels.keys().filter(|name| ["incident", "severity", "rule"].contains(&name.as_str())) {
        problems.0.push(format!("{place}.labels: {name} is set by loghound"));
    }
    let condition = match (raw.anomalies, raw.query, raw.new_template) {
        (Some(which), None, None) => Condition::Anomalies(anomalies(place, which, problems)),
        (None, Some(query), None) => {
            Condition::Query(query_of(&format!("{place}.query"), query, check_query, problems)?)
        }
        (None, None, Some(which)) => {
            Condition::NewTemplate(NewTemplate { services: which.services, texts: which.texts })
        }
        _ => {
            problems.0.push(format!("{place}: give one of anomalies, query, new_template"));
            return None;
        }
    };
    Some(Rule {
        name: raw.name,
        condition,
        hold_open,
        hold_close,
        severity,
        labels: raw.labels,
        runbook: raw.runbook,
        receivers: raw.receivers,
        schedule: raw.schedule,
        repeat,
    })
}

pub fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];
    let found = all.into_iter().find(|severity| severity.name() == text);
    found.ok_or_else(|| format!("{text:?} is none of warning, minor, major, critical"))
}

fn anomalies(place: &str, raw: RawAnomalies, problems: &mut Problems) -> Anomalies {
    let score = match raw.score {
        None => Ok(Severity::Major.score_min()),
        Some(Json::String(text)) => severity(&text).map(Severity::score_min),
        Some(json) => json
            .as_f64()
            .filter(|score| (0.0..=100.0).contains(score))
            .ok_or_else(|| format!("{json} is no score: write a number from 0 to 100, or minor, major, critical")),
    };
    Anomalies {
        score_min: problems.at(&format!("{place}.score"), score).unwrap_or_default(),
        services: raw.services,
        detectors: raw.detectors,
        fields: raw.fields,
        values: raw.values,
    }
}

fn query_of(
    place: &str,
    raw: RawQuery,
    check_query: &dyn Fn(&str) -> Result<(), String>,
    problems: &mut Problems,
) -> Option<Query> {
    problems.at(&format!("{place}.q"), check_query(&raw.q));
    if let Some(of) = &raw.of {
        problems.at(&format!("{place}.of"), check_query(of));
    }
    let window = problems.length(&format!("{place}.window"), raw.window.as_ref(), QUERY_WINDOW);
    if window < Duration::from_secs(10) || window > Duration::from_secs(7 * 86_400) {
        problems.0.push(format!("{place}.window: it is from 10s to 7d"));
    }
    let test = match (raw.above, raw.below, raw.absent) {
        (Some(limit), None, false) => Test::Above(limit),
        (None, Some(limit), false) => Test::Below(limit),
        (None, None, true) => Test::Absent,
        _ => {
            problems.0.push(format!("{place}: give one of above, below, absent: true"));
            return None;
        }
    };
    let close = raw.close.unwrap_or(test.limit());
    let wrong = match test {
        Test::Above(limit) => close > limit,
        Test::Below(limit) => close < limit,
        Test::Absent => raw.close.is_some() || raw.of.is_some() || raw.by.is_some(),
    };
    if wrong {
        problems.0.push(match test {
            Test::Absent => format!("{place}: absent goes without of, by and close"),
            _ => format!(
                "{place}.close: {close} lies on the wrong side of {}: it would close what it opens",
                test.limit()
            ),
        });
    }
    if raw.of.is_some() && !(0.0..=1.0).contains(&test.limit()) {
        problems.0.push(format!("{place}: a share is from 0 to 1, not {}", test.limit()));
    }
    Some(Query { q: raw.q, of: raw.of, window, by: raw.by, test, close, lines_min: raw.lines_min })
}

/// A node with what it inherits.
fn build(place: &str, id: &str, raw: RawRoute, above: Option<&Route>, problems: &mut Problems) -> Route {
    let matchers = raw.matchers.iter().filter_map(|text| problems.at(place, Matcher::parse(text))).collect::<Vec<_>>();
    if above.is_none() && !raw.matchers.is_empty() {
        problems.0.push(format!("{place}: the root takes everything: matchers belong on its routes"));
    }
    let mut length = |name: &str, text: &Option<String>, inherited: Option<Duration>, default| {
        problems.length(&format!("{place}.{name}"), text.as_ref(), inherited.unwrap_or(default))
    };
    let mut route = Route {
        id: id.to_owned(),
        receiver: raw.receiver.or_else(|| above.map(|r| r.receiver.clone())).unwrap_or_default(),
        matchers,
        go_on: raw.go_on,
        group_by: raw
            .group_by
            .or_else(|| above.map(|r| r.group_by.clone()))
            .unwrap_or_else(|| vec!["incident".to_owned()]),
        group_wait: length("group_wait", &raw.group_wait, above.map(|r| r.group_wait), Duration::ZERO),
        group_interval: length("group_interval", &raw.group_interval, above.map(|r| r.group_interval), GROUP_INTERVAL),
        repeat_interval: length(
            "repeat_interval",
            &raw.repeat_interval,
            above.map(|r| r.repeat_interval),
            REPEAT_INTERVAL,
        ),
        // Alertmanager does not inherit these.
        mute_times: raw.mute_time_intervals,
        active_times: raw.active_time_intervals,
        routes: Vec::new(),
    };
    for (at, child) in raw.routes.into_iter().enumerate() {
        let child = build(&format!("{place}.routes[{at}]"), &format!("{id}.{at}"), child, Some(&route), problems);
        route.routes.push(child);
    }
    route
}
