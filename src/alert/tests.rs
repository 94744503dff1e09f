//! The room as a whole: anomalies in, messages out, with crashes, failing receivers and storms in between.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::delivery::Outcome;
use super::engine::{NEAR, STORM_INCIDENTS};
use super::incident::FINDINGS_MAX;
use super::notice::Kind;
use super::*;
use crate::detect::{Anomaly, Direction, Example, Influencer, Measure, Severity, State as AnomalyState};
use crate::ship::Random;
use crate::store::Meta;

const S: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * S;
/// Midnight, UTC.
const START: i64 = 1_780_012_800 * S;

fn settings(yaml: &str) -> Settings {
    let json: Json = serde_saphyr::from_str(yaml).unwrap();
    let raw = Raw {
        rules: json["rules"].clone(),
        receivers: json["receivers"].clone(),
        route: json["route"].clone(),
        time_intervals: json["time_intervals"].clone(),
        external_url: json["external_url"].as_str().map(str::to_owned),
        allow_addresses: json!(["private"]),
        ..Raw::default()
    };
    Settings::read(&raw, &|_| Ok(())).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

const TWO: &str = "
receivers:
  - {name: a, webhook: {url: 'http://127.0.0.1:1/'}}
  - {name: b, webhook: {url: 'http://127.0.0.1:2/'}}
route: {receiver: a, routes: [{receiver: a, continue: true}, {receiver: b}]}
";

fn anomaly(id: &str, service: &str, since: i64) -> Anomaly {
    Anomaly {
        id: id.into(),
        group: id.into(),
        series: format!("{service}/lines"),
        service: service.into(),
        measure: Measure::Lines,
        field: None,
        value: None,
        score: 80.0,
        severity: Severity::Critical,
        probability: 1e-9,
        direction: Direction::High,
        actual: 100.0,
        typical: 1.0,
        low: 0.0,
        high: 5.0,
        bucket_seconds: 60,
        since: since / S,
        last: since / S,
        found: since / S + 60,
        ended: None,
        state: AnomalyState::Open,
        sentence: format!("{service}: {id} is out of the ordinary"),
        influencers: vec![],
        examples: vec![Example { id: format!("{id}-1"), time: since, line: format!("a line of {id}") }],
        late_lines: 0,
        template: None,
        version: "streaming".into(),
    }
}

fn ended(mut anomaly: Anomaly, at: i64) -> Anomaly {
    anomaly.ended = Some(at / S);
    anomaly.last = at / S;
    anomaly.state = AnomalyState::Ended;
    anomaly
}

fn influenced(mut anomaly: Anomaly, field: &str, value: &str) -> Anomaly {
    anomaly.influencers.push(Influencer {
        field: field.into(),
        value: value.into(),
        before: 0.1,
        after: 0.9,
        influence: 0.9,
    });
    anomaly
}

/// A process that can be killed: what is in the database stays.
struct World {
    meta: Arc<Meta>,
    settings: Settings,
    alerting: Alerting,
}

impl World {
    fn new(yaml: &str) -> Self {
        let meta = Arc::new(Meta::in_memory().unwrap());
        let settings = settings(yaml);
        let alerting = Alerting::open(Arc::clone(&meta), settings.clone()).unwrap();
        Self { meta, settings, alerting }
    }

    fn kill(&mut self) {
        self.alerting = Alerting::open(Arc::clone(&self.meta), self.settings.clone()).unwrap();
    }

    /// Delivers everything that is due; gives (receiver, kind, key) of each.
    fn drain(&self, now: i64) -> Vec<(String, Kind, String)> {
        let mut sent = Vec::new();
        loop {
            let jobs = self.alerting.outbox.take(now, 100).unwrap();
            if jobs.is_empty() {
                return sent;
            }
            for job in jobs {
                let delivery = self.alerting.outbox.finish(job, &Outcome::of_status(200, "", None), now, 0.5).unwrap();
                sent.push((delivery.receiver.clone(), delivery.kind(), delivery.notice.key.clone()));
            }
        }
    }

    fn kinds(&self, now: i64) -> Vec<Kind> {
        self.drain(now).into_iter().map(|(_, kind, _)| kind).collect()
    }

    /// Ticks once a minute up to `to`; what was sent when, in minutes since `from`.
    fn play(&self, from: i64, to: i64) -> Vec<(i64, Kind)> {
        let mut sent = Vec::new();
        let mut now = from;
        while now <= to {
            self.alerting.tick(now).unwrap();
            sent.extend(self.kinds(now).into_iter().map(|kind| ((now - from) / MINUTE, kind)));
            now += MINUTE;
        }
        sent
    }

    fn open(&self) -> Vec<Incident> {
        self.alerting.incidents(&IncidentWish { open: Some(true), limit: 10_000, ..Default::default() }).unwrap().0
    }
}

const ONE: &str = "
receivers: [{name: a, webhook: {url: 'http://127.0.0.1:1/'}}]
rules: [{name: anomalies, anomalies: {score: 50}, close_after: 5m}]
";

#[test]
fn an_anomaly_is_told_added_to_repeated_and_resolved() {
    let world = World::new(ONE);
    let first = anomaly("x", "web", START);
    world.alerting.take(std::slice::from_ref(&first), START).unwrap();
    let sent = world.drain(START);
    let id = world.open()[0].id.clone();
    assert_eq!(sent, [("a".to_owned(), Kind::Open, id)]);
    // The same again is no news, nor is another clock tick.
    world.alerting.take(std::slice::from_ref(&first), START + S).unwrap();
    assert_eq!(world.play(START + S, START + 10 * MINUTE), []);
    // A second finding is told with the next update, 5 minutes after the last message at the earliest.
    let second = anomaly("y", "web", START + 10 * MINUTE);
    world.alerting.take(std::slice::from_ref(&second), START + 10 * MINUTE).unwrap();
    assert_eq!(world.kinds(START + 10 * MINUTE), [Kind::Update]);
    world.alerting.take(&[anomaly("z", "web", START + 11 * MINUTE)], START + 11 * MINUTE).unwrap();
    assert_eq!(world.play(START + 11 * MINUTE, START + 20 * MINUTE), [(4, Kind::Update)]);
    // It goes on: a reminder after 4 hours.
    assert_eq!(world.play(START + 20 * MINUTE, START + 300 * MINUTE), [(235, Kind::Update)]);
    let over = START + 301 * MINUTE;
    let all = [first, second, anomaly("z", "web", START + 11 * MINUTE)].map(|anomaly| ended(anomaly, over));
    world.alerting.take(&all[..2], over).unwrap();
    world.alerting.take(&all[2..], over).unwrap();
    // All is over, and stays so for the time asked.
    assert_eq!(world.play(over, over + 20 * MINUTE).last(), Some(&(5, Kind::Resolve)));
    assert!(world.open().is_empty() && world.alerting.alerts(None).is_empty());
    // History, not news: a replay after a crash says what is known.
    world.alerting.take(&all, over + 30 * MINUTE).unwrap();
    world.alerting.take(&[anomaly("x", "web", START)], over + 30 * MINUTE).unwrap();
    assert_eq!(world.play(over + 30 * MINUTE, over + 40 * MINUTE), []);
}

#[test]
fn old_lines_that_are_loaded_call_nobody() {
    let world = World::new(ONE);
    let now = START + 7 * 60 * MINUTE;
    world.alerting.take(&[anomaly("1", "web", START)], now).unwrap();
    assert_eq!(world.play(now, now + 10 * MINUTE), []);
    assert_eq!(world.open()[0].muted, 1);
    // What joins it and is of now is told.
    world.alerting.take(&[anomaly("2", "api", now)], now).unwrap();
    assert_eq!(world.kinds(now), [Kind::Open]);
}

#[test]
fn flapping_is_one_incident() {
    let world = World::new(ONE);
    let mut sent = Vec::new();
    for i in 0..10 {
        let at = START + i * 4 * MINUTE;
        let one = anomaly(&format!("x{i}"), "web", at);
        world.alerting.take(std::slice::from_ref(&one), at).unwrap();
        world.alerting.take(&[ended(one, at + MINUTE)], at + MINUTE).unwrap();
        sent.extend(world.play(at, at + 3 * MINUTE).into_iter().map(|(_, kind)| kind));
    }
    assert_eq!(sent.iter().filter(|kind| **kind == Kind::Open).count(), 1);
    assert!(!sent.contains(&Kind::Resolve), "{sent:?}");
    assert_eq!(world.open()[0].findings_total, 10);
}

#[test]
fn what_has_something_in_common_near_in_time_is_one_incident() {
    let host = |id, service, at| influenced(anomaly(id, service, at), "upstream_host", "10.0.0.7:80");
    let level = |id, service, at| influenced(anomaly(id, service, at), "level", "E");
    let later = START + NEAR.as_nanos() as i64 + 10 * MINUTE;
    for (name, anomalies, incidents) in [
        ("a service", vec![anomaly("1", "web", START), anomaly("2", "web", START + MINUTE)], 1),
        ("two services", vec![anomaly("1", "web", START), anomaly("2", "api", START)], 2),
        ("an upstream host", vec![host("1", "web", START), host("2", "api", START + MINUTE)], 1),
        ("a level says nothing", vec![level("1", "web", START), level("2", "api", START)], 2),
        ("long after", vec![anomaly("1", "web", START), anomaly("2", "web", later)], 2),
        (
            "what joins two shows that they are one",
            vec![anomaly("1", "web", START), host("2", "api", START), host("3", "web", START + MINUTE)],
            1,
        ),
    ] {
        let world = World::new(ONE);
        for anomaly in &anomalies {
            world.alerting.take(std::slice::from_ref(anomaly), anomaly.since * S).unwrap();
        }
        let open = world.open();
        assert_eq!(open.len(), incidents, "{name}");
        let found: u64 = open.iter().map(|incident| incident.findings_total).sum();
        assert_eq!(found, anomalies.len() as u64, "{name}");
    }
}

#[test]
fn a_cause_that_is_found_late_comes_first() {
    let world = World::new(ONE);
    world.alerting.take(&[anomaly("effect", "web", START + MINUTE)], START + MINUTE).unwrap();
    world.alerting.take(&[anomaly("cause", "web", START)], START + 2 * MINUTE).unwrap();
    let incident = &world.open()[0];
    assert_eq!((incident.title.as_str(), incident.since), ("web: cause is out of the ordinary", START));
    assert_eq!(incident.findings.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["cause", "effect"]);
}

#[test]
fn merging_tells_where_it_went_and_each_key_ends_once() {
    let world = World::new(ONE);
    world.alerting.take(&[anomaly("1", "web", START), anomaly("2", "api", START + S)], START + S).unwrap();
    assert_eq!(world.kinds(START + S), [Kind::Open, Kind::Open]);
    let (web, api) = (world.open()[0].clone(), world.open()[1].clone());
    let (into, from) = if web.since < api.since { (web, api) } else { (api, web) };
    let merged = world.alerting.merge(&into.id, &from.id, "ann", START + MINUTE).unwrap();
    assert_eq!((merged.findings_total, merged.findings_open), (2, 2));
    assert_eq!(world.drain(START + MINUTE), [("a".to_owned(), Kind::Resolve, from.id.clone())]);
    assert_eq!(world.alerting.incident(&from.id).unwrap().merged_into, Some(into.id.clone()));
    assert!(matches!(world.alerting.close(&from.id, "ann", "", START), Err(Refusal::Conflict(_))));
    // What ends of the one that is gone ends in the other.
    for (id, service) in [("1", "web"), ("2", "api")] {
        world.alerting.take(&[ended(anomaly(id, service, START), START + 2 * MINUTE)], START + 2 * MINUTE).unwrap();
    }
    let sent = world.play(START + 2 * MINUTE, START + 20 * MINUTE);
    assert_eq!(sent.last(), Some(&(5, Kind::Resolve)));
    assert_eq!(world.alerting.incident(&into.id).unwrap().state, State::Resolved);
}

#[test]
fn people_acknowledge_close_and_split() {
    let world = World::new(ONE);
    world.alerting.take(&[anomaly("1", "web", START), anomaly("2", "web", START + S)], START + S).unwrap();
    let id = world.open()[0].id.clone();
    assert_eq!(world.kinds(START + S), [Kind::Open]);
    world.alerting.acknowledge(&id, "ann", "on it", START + MINUTE).unwrap();
    // Acknowledged: no reminder for a day.
    assert_eq!(world.play(START + MINUTE, START + 20 * 60 * MINUTE), []);
    let now = START + 20 * 60 * MINUTE;
    assert!(matches!(world.alerting.split(&id, &[], "ann", now), Err(Refusal::Bad { .. })));
    assert!(matches!(world.alerting.split(&id, &["1".into(), "2".into()], "ann", now), Err(Refusal::Bad { .. })));
    let made = world.alerting.split(&id, &["2".to_owned()], "ann", now).unwrap();
    assert_eq!(made.findings_total, 1);
    let mut kinds = world.drain(now);
    kinds.sort();
    let mut expected = vec![("a".to_owned(), Kind::Open, made.id.clone()), ("a".to_owned(), Kind::Update, id.clone())];
    expected.sort();
    assert_eq!(kinds, expected);
    assert_eq!(world.alerting.close(&made.id, "ann", "not ours", now).unwrap().state, State::Resolved);
    assert_eq!(world.drain(now), [("a".to_owned(), Kind::Resolve, made.id.clone())]);
    let history: Vec<String> = world
        .alerting
        .incident(&made.id)
        .unwrap()
        .history
        .into_iter()
        .map(|e| format!("{} {}", e.by, e.text))
        .collect();
    assert_eq!(
        history,
        [" opened".to_owned(), format!("ann split off from incident {id}"), "ann closed: not ours".into()]
    );
    assert!(matches!(world.alerting.incident("nobody"), Err(Refusal::NotFound(_))));
}

#[test]
fn routes_group_and_go_on_as_alertmanagers_do() {
    let world = World::new(
        "
receivers:
  - {name: all, webhook: {url: 'http://127.0.0.1:1/'}}
  - {name: web, webhook: {url: 'http://127.0.0.1:1/'}}
  - {name: night, webhook: {url: 'http://127.0.0.1:1/'}}
  - {name: named, webhook: {url: 'http://127.0.0.1:1/'}}
time_intervals: [{name: night, times: [{start_time: '00:00', end_time: '06:00'}]}]
rules:
  - {name: special, anomalies: {services: [special]}, receivers: [named]}
  - {name: anomalies, anomalies: {score: 50}, labels: {team: core}}
route:
  receiver: all
  routes:
    - {receiver: night, matchers: ['team=core'], mute_time_intervals: [night], continue: true}
    - {receiver: web, matchers: ['service=~web.*'], group_by: [team], group_wait: 1m}
",
    );
    let names = |now| {
        world.alerting.tick(now).unwrap();
        let mut sent: Vec<_> = world.drain(now).into_iter().map(|(receiver, kind, _)| (receiver, kind)).collect();
        sent.sort();
        sent
    };
    let of = |list: &[(&str, Kind)]| list.iter().map(|(r, k)| ((*r).to_owned(), *k)).collect::<Vec<_>>();
    world
        .alerting
        .take(&[anomaly("1", "web1", START), anomaly("2", "web2", START), anomaly("3", "db", START)], START)
        .unwrap();
    assert_eq!(names(START), of(&[]));
    world.alerting.take(&[anomaly("4", "special", START)], START).unwrap();
    assert_eq!(names(START), of(&[("named", Kind::Open)]));
    // Two incidents of one team are one alert, told after the wait.
    assert_eq!(names(START + MINUTE), of(&[("web", Kind::Open)]));
    assert_eq!(world.alerting.alerts(Some("web"))[0].incidents.len(), 2);
    // At six the night is over: what goes on is told.
    assert_eq!(
        names(START + 6 * 60 * MINUTE)[..3],
        of(&[("named", Kind::Update), ("night", Kind::Open), ("night", Kind::Open)])
    );
}

#[test]
fn silences_mute_what_they_fit_and_say_how_often() {
    let world = World::new(ONE);
    let matchers = |text| vec![Matcher::parse(text).unwrap()];
    let bad = world.alerting.silence(matchers("service=~.*"), (START, START + MINUTE), "ann", "x", START);
    assert!(matches!(bad, Err(Refusal::Bad { name: "matchers", .. })));
    let bad = world.alerting.silence(matchers("service=web"), (START, START - 1), "ann", "x", START);
    assert!(matches!(bad, Err(Refusal::Bad { name: "ends", .. })));
    let until = START + 30 * MINUTE;
    let silence = world.alerting.silence(matchers("service=web"), (START, until), "ann", "deploying", START).unwrap();
    world.alerting.take(&[anomaly("1", "web", START), anomaly("2", "api", START)], START).unwrap();
    assert_eq!(world.drain(START).len(), 1);
    assert_eq!(world.alerting.silences()[0].muted_alerts, 1);
    let muted = world.open().into_iter().find(|incident| incident.labels["service"] == "web").unwrap();
    assert_eq!(muted.muted, 1);
    // It is over: what still goes on is told.
    assert_eq!(world.play(START + MINUTE, until), [(29, Kind::Open)]);
    // An end is told in a silence too: what was opened is closed.
    world.alerting.silence(matchers("service=api"), (until, until + 60 * MINUTE), "ann", "again", until).unwrap();
    world.alerting.take(&[ended(anomaly("2", "api", START), until)], until).unwrap();
    assert_eq!(world.play(until, until + 10 * MINUTE), [(5, Kind::Resolve)]);
    assert!(matches!(world.alerting.expire(&silence.id, until + MINUTE), Err(Refusal::Conflict(_))));
    // What ends while it is muted is never told.
    world.alerting.silence(matchers("service=db"), (until, until + 60 * MINUTE), "ann", "again", until).unwrap();
    world.alerting.take(&[anomaly("3", "db", until)], until).unwrap();
    world.alerting.take(&[ended(anomaly("3", "db", until), until + MINUTE)], until + MINUTE).unwrap();
    assert_eq!(world.play(until, until + 20 * MINUTE), []);
}

#[test]
fn a_budget_holds_back_says_so_and_tells_when_there_is_room() {
    let world = World::new(
        "
receivers: [{name: a, webhook: {url: 'http://127.0.0.1:1/'}, budget: {per_day: 3, digest: 1h}}]
rules: [{name: anomalies, anomalies: {score: 50}, repeat: 10d}]
",
    );
    for i in 0..8 {
        world.alerting.take(&[anomaly(&format!("{i}"), &format!("s{i}"), START)], START + i * S).unwrap();
    }
    assert_eq!(world.kinds(START + MINUTE), [Kind::Open; 3]);
    let sent = world.play(START + MINUTE, START + 23 * 60 * MINUTE);
    assert_eq!(sent, [(1, Kind::Digest)]);
    let (digests, _) = world.alerting.deliveries(&DeliveryWish { limit: 1, ..Default::default() }).unwrap();
    assert_eq!((digests[0].notice.findings_total, digests[0].notice.lines.len()), (5, 5));
    let info = &world.alerting.receivers(START)[0];
    assert_eq!((info.budget, info.told_today, info.held_today), (Some(3), Some(3), Some(5)));
    // The next day has a budget of its own; the digest ends, and five that were held are told as far as it goes.
    let tomorrow = START + 24 * 60 * MINUTE;
    world.alerting.tick(tomorrow).unwrap();
    let mut kinds = world.kinds(tomorrow);
    world.alerting.tick(tomorrow + S).unwrap();
    kinds.extend(world.kinds(tomorrow + S));
    kinds.sort();
    assert_eq!(kinds, [Kind::Open, Kind::Open, Kind::Open, Kind::Resolve]);
}

#[test]
fn a_storm_is_few_incidents_and_little_memory() {
    let world = World::new(ONE);
    let mut random = Random::new(7);
    let anomalies: Vec<Anomaly> = (0..10_000)
        .map(|i| {
            let service = format!("service-{}", random.below(3_000));
            influenced(anomaly(&format!("a{i}"), &service, START + i * 6 * S / 1_000), "path", &format!("/{i}"))
        })
        .collect();
    let mut now = START;
    let mut told = 0;
    for batch in anomalies.chunks(500) {
        now += 3 * S;
        world.alerting.take(batch, now).unwrap();
        told += world.drain(now).len();
    }
    let open = world.open();
    assert!(open.len() <= STORM_INCIDENTS + 1, "{}", open.len());
    assert_eq!(open.iter().map(|incident| incident.findings_total).sum::<u64>(), 10_000);
    assert!(open.iter().any(|incident| incident.storm && incident.title.contains("a storm")));
    for incident in &open {
        assert!(incident.findings.len() <= FINDINGS_MAX);
        let bytes = serde_json::to_vec(incident).unwrap().len();
        assert!(bytes < 64 << 10, "{bytes} bytes");
    }
    // Opening messages, and those of a severity that rose: not one a finding.
    assert!(told <= 2 * (STORM_INCIDENTS + 1), "{told} messages");
    // All ends: each is resolved once.
    let over: Vec<_> = anomalies.into_iter().map(|anomaly| ended(anomaly, now)).collect();
    for batch in over.chunks(500) {
        world.alerting.take(batch, now).unwrap();
    }
    let sent = world.play(now, now + 10 * MINUTE);
    assert_eq!(sent.iter().filter(|(_, kind)| *kind == Kind::Resolve).count(), open.len());
    assert!(world.open().is_empty());
}

#[test]
fn deploys_appear_in_incidents_shortly_after_them() {
    let world = World::new(ONE);
    let deploy = |service: &str, version: &str, at| Deploy {
        at,
        service: service.into(),
        version: version.into(),
        ..Deploy::default()
    };
    for (service, version, at) in
        [("web", "v1", START - 180 * MINUTE), ("web", "v2", START - 4 * MINUTE), ("api", "v7", START - MINUTE)]
    {
        world.alerting.deploy(deploy(service, version, at), START).unwrap();
    }
    world.alerting.take(&[anomaly("1", "web", START)], START).unwrap();
    world.alerting.deploy(deploy("", "cluster 1.30", START - 10 * MINUTE), START + S).unwrap();
    let versions: Vec<String> = world.open()[0].deploys.iter().map(|deploy| deploy.version.clone()).collect();
    assert_eq!(versions, ["cluster 1.30", "v2"]);
    let (sent, _) = world.alerting.deliveries(&DeliveryWish { limit: 9, ..Default::default() }).unwrap();
    assert_eq!(sent.last().unwrap().notice.deploys, ["4 min after deploy web v2"]);
}

#[test]
fn rules_on_numbers_open_and_close() {
    let world = World::new(
        "
receivers: [{name: a, webhook: {url: 'http://127.0.0.1:1/'}}]
rules: [{name: errors, query: {q: 'level:E', by: service.name, above: 10, close: 5}, for: 1m, close_after: 1m, severity: critical}]
",
    );
    let settings = world.alerting.settings().clone();
    let (rule, query) = settings.queries().next().unwrap();
    let read = |number, now: i64| {
        let reading = Reading { rule, query, by: "web", number, at: now, sentence: None };
        let line = Line { id: "1".into(), time: now, line: "E boom".into() };
        world.alerting.observe(&reading, now, || vec![line]).unwrap();
        world.alerting.tick(now).unwrap();
        world.kinds(now)
    };
    assert_eq!(read(11.0, START), []);
    assert_eq!(read(12.0, START + MINUTE), [Kind::Open]);
    let incident = &world.open()[0];
    assert_eq!(incident.title, "errors: service.name web: 12 lines of `level:E` in 5 min, more than 10 lines");
    assert_eq!((incident.labels["service"].as_str(), incident.severity), ("web", Severity::Critical));
    // An anomaly of the service belongs to it.
    world.alerting.take(&[anomaly("1", "web", START)], START + MINUTE).unwrap();
    assert_eq!(world.open().len(), 1);
    world.alerting.take(&[ended(anomaly("1", "web", START), START + MINUTE)], START + MINUTE).unwrap();
    assert_eq!(read(40.0, START + 6 * MINUTE), [Kind::Update]);
    assert_eq!(world.open()[0].findings.iter().find(|f| f.rule == "errors").unwrap().lines.len(), 1);
    assert_eq!(read(4.0, START + 7 * MINUTE), []);
    assert_eq!(read(4.0, START + 8 * MINUTE), []);
    assert_eq!(read(4.0, START + 9 * MINUTE), [Kind::Resolve]);
}

#[test]
fn a_dead_letter_is_sent_again_only_while_its_alert_goes_on() {
    let world = World::new(ONE);
    world.alerting.take(&[anomaly("1", "web", START)], START).unwrap();
    let refuse = || {
        let job = world.alerting.outbox.take(START, 1).unwrap().pop().unwrap();
        world.alerting.outbox.finish(job, &Outcome::of_status(400, "no such key", None), START, 0.5).unwrap()
    };
    let dead = refuse();
    assert_eq!((dead.state, dead.attempts[0].body.as_str()), (DeliveryState::Dead, "no such key"));
    let again = world.alerting.resend(dead.seq, START + MINUTE).unwrap();
    assert_eq!((again.id, again.state), (dead.id, DeliveryState::Waiting));
    assert!(matches!(world.alerting.resend(dead.seq, START + MINUTE), Err(Refusal::Conflict(_))));
    let job = world.alerting.outbox.take(START + MINUTE, 1).unwrap().pop().unwrap();
    world.alerting.outbox.finish(job, &Outcome::of_status(400, "", None), START + MINUTE, 0.5).unwrap();
    world.alerting.close(&world.open()[0].id, "ann", "", START + MINUTE).unwrap();
    assert!(matches!(world.alerting.resend(dead.seq, START + MINUTE), Err(Refusal::Conflict(_))));
}

#[test]
fn a_dry_run_says_what_would_have_been_sent() {
    let anomalies = [
        ended(anomaly("1", "web", START), START + 5 * MINUTE),
        ended(anomaly("2", "api", START + 60 * MINUTE), START + 65 * MINUTE),
        Anomaly { score: 30.0, ..anomaly("3", "db", START + 61 * MINUTE) },
    ];
    let run = DryRun::of(settings(ONE), &anomalies).unwrap();
    let kinds: Vec<_> = run.messages.iter().map(|message| ((message.at - START) / MINUTE, message.kind)).collect();
    assert_eq!(kinds, [(1, Kind::Open), (10, Kind::Resolve), (61, Kind::Open), (70, Kind::Resolve)]);
    assert_eq!((run.incidents, run.anomalies), (2, 3));
}

/// What a receiver saw: by key, the ids of its opening and its resolving messages.
#[derive(Default)]
struct Seen(BTreeMap<(String, Kind), Vec<String>>);

/// Two receivers that fail at random, a process that is killed at random, before and after each step, between sending and
/// writing down: at the end each receiver has seen one opening and one end of each incident, each under one id.
#[test]
fn kills_at_random_moments_tell_each_thing_once() {
    let mut kills = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut world = World::new(TWO);
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let mut script: Vec<(i64, Anomaly)> = Vec::new();
        for i in 0..6 {
            let one = anomaly(&format!("a{i}"), &format!("s{}", i % 4), START + i * 30 * S);
            script.push((START + i * 30 * S, one.clone()));
            script.push((START + 20 * MINUTE + i * S, ended(one, START + 20 * MINUTE)));
        }
        script.sort_by_key(|(at, _)| *at);
        // What was given and not known to be taken is given again, as the table of news does.
        let mut given = 0;
        let mut now = START;
        let end = START + 40 * 60 * MINUTE;
        while now < end {
            while given < script.len() && script[given].0 <= now {
                world.alerting.take(std::slice::from_ref(&script[given].1), now).unwrap();
                if random.chance(0.15) {
                    kills += 1;
                    // Decided, and not known to be: the same comes again.
                    world.kill();
                    continue;
                }
                given += 1;
            }
            world.alerting.tick(now).unwrap();
            if random.chance(0.02) {
                kills += 1;
                world.kill();
            }
            let healthy = now > START + 30 * MINUTE;
            for job in world.alerting.outbox.take(now, 3).unwrap() {
                let delivery = job.delivery.clone();
                let chance = if healthy { 0.0 } else { random.unit() };
                // (status, whether the receiver took it, whether the answer came back)
                let (outcome, took) = match chance {
                    c if c < 0.4 => (Outcome::of_status(202, "", None), true),
                    c if c < 0.5 => (Outcome::failed("timeout"), false),
                    c if c < 0.6 => (Outcome::of_status(500, "", None), false),
                    c if c < 0.7 => (Outcome::of_status(429, "", Some(std::time::Duration::from_secs(7))), false),
                    c if c < 0.8 => (Outcome::failed("connection reset"), false),
                    _ => (Outcome::failed("the answer was lost"), true),
                };
                if took {
                    let seen = seen.entry(delivery.receiver.clone()).or_default();
                    seen.0.entry((delivery.notice.key.clone(), delivery.kind())).or_default().push(delivery.id.clone());
                }
                if random.chance(if healthy { 0.0 } else { 0.1 }) {
                    // Killed between the receiver's taking it and our writing that down.
                    kills += 1;
                    world.kill();
                    break;
                }
                world.alerting.outbox.finish(job, &outcome, now, random.unit()).unwrap();
            }
            now += if world.alerting.counts().waiting > 0 { S } else { 20 * S };
            if given == script.len() && world.alerting.open_keys().is_empty() && world.alerting.counts().waiting == 0 {
                break;
            }
        }
        assert!(world.open().is_empty() && world.alerting.counts().waiting == 0, "seed {seed}: not all told");
        let (closed, total) = world.alerting.incidents(&IncidentWish { limit: 100, ..Default::default() }).unwrap();
        assert_eq!(closed.len() as u64, total);
        assert_eq!(closed.len(), 4, "seed {seed}");
        for receiver in ["a", "b"] {
            for incident in &closed {
                for kind in [Kind::Open, Kind::Resolve] {
                    let mut ids = seen[receiver].0.get(&(incident.id.clone(), kind)).cloned().unwrap_or_default();
                    ids.dedup();
                    assert_eq!(ids.len(), 1, "seed {seed}: {receiver} saw {kind:?} of {} as {ids:?}", incident.id);
                }
            }
        }
    }
    println!("{kills} kills");
    assert!(kills >= 1_000, "{kills}");
}
