//! The detectors on made-up traffic of a cluster: what breaks is found, named and told once; a quiet day is quiet.

mod detect {
    pub mod replay;
}

use std::cell::RefCell;
use std::rc::Rc;

use detect::replay::{Replay, START};
use loghound::detect::{Anomaly, CLUSTER, Measure, Severity, State};
use loghound::ship::{Incident, Kind};

const MINUTE: i64 = 60;

fn incident(kind: Kind, minute: i64, minutes: i64) -> Incident {
    let start_nanos = (START + minute * MINUTE) * 1_000_000_000;
    let end_nanos = start_nanos + minutes * MINUTE * 1_000_000_000;
    Incident { kind, app: 0, node: 3, replica: 0, start_nanos, end_nanos }
}

fn show(anomalies: &[Anomaly]) {
    for a in anomalies {
        println!(
            "{:>5} min {:>5.1} {:8} found +{:>4} s p {:.1e} | {}",
            (a.since - START) / MINUTE,
            a.score,
            a.severity.name(),
            a.found - a.since,
            a.probability,
            a.sentence
        );
        for i in &a.influencers {
            println!("          {} {} {:.2} -> {:.2} ({:.2})", i.field, i.value, i.before, i.after, i.influence);
        }
    }
}

#[test]
fn a_quiet_day_is_quiet() {
    let mut replay = Replay::new(1, 10.0, &[]);
    let anomalies = replay.run(8 * 60);
    show(&anomalies);
    println!("{:?}", replay.stats());
    let paged = anomalies.iter().filter(|a| a.severity >= Severity::Major).count();
    println!("{} told, {paged} major", anomalies.len());
    assert!(paged <= 1, "{paged} false alarms in half a day");
}

/// What an incident is called, when it is (minutes), and who is to blame.
struct Planned {
    name: &'static str,
    from: i64,
    to: i64,
    /// Any of these as the first influencer, or as the entity itself.
    blamed: Vec<String>,
}

/// Hours of traffic with one of each kind of incident in it: what was found, how fast, and whether the right one was blamed.
fn hours_with_incidents(seed: u64) -> (Vec<Planned>, Vec<Anomaly>, u64) {
    const LEARN: i64 = 180;
    const EVERY: i64 = 40;
    const LASTS: i64 = 8;
    let kinds = [Kind::Host, Kind::Etcd, Kind::Slow, Kind::Network, Kind::Upstream, Kind::Registry];
    let at = |n: usize| LEARN + n as i64 * EVERY;
    let incidents: Vec<Incident> = kinds.iter().enumerate().map(|(n, kind)| incident(*kind, at(n), LASTS)).collect();
    let mut replay = Replay::new(seed, 12.0, &incidents);
    let (host, node) = (replay.traffic().upstream(0, 0).to_owned(), replay.traffic().node(3).to_owned());
    let silent_node = replay.traffic().node(7).to_owned();
    let app = "checkout.shop.svc.cluster.local".to_owned();
    let mut planned: Vec<Planned> = kinds
        .iter()
        .enumerate()
        .map(|(n, kind)| {
            let (name, blamed) = match kind {
                Kind::Host => ("one upstream host", vec![host.clone()]),
                Kind::Slow => ("latency", vec![app.clone()]),
                Kind::Upstream => ("an application", vec![app.clone()]),
                Kind::Network => ("a node's network", vec![node.clone(), "kubelet".into(), "kube-proxy".into()]),
                Kind::Etcd => ("etcd", vec!["kube-apiserver".into(), "kube-controller-manager".into()]),
                Kind::Registry => ("the registry", vec!["kubelet".into()]),
            };
            Planned { name, from: at(n), to: at(n) + LASTS, blamed }
        })
        .collect();
    let (from, to) = (at(kinds.len()), at(kinds.len()) + LASTS);
    planned.push(Planned { name: "a node's silence", from, to, blamed: vec![silent_node.clone()] });
    let nanos = move |minute: i64| (START + minute * MINUTE) * 1_000_000_000;
    let marker = format!("\"name\":\"{silent_node}\"").into_bytes();
    let finder = memchr::memmem::Finder::new(&marker).into_owned();
    replay.change =
        Box::new(move |time, event| !(nanos(from)..nanos(to)).contains(&time) || finder.find(event).is_none());
    let anomalies = replay.run(at(kinds.len() + 1));
    (planned, anomalies, replay.stats().series)
}

#[test]
fn incidents_are_found_soon_and_the_right_one_is_blamed() {
    let (mut found, mut blamed, mut all, mut delays) = (0, 0, 0, Vec::new());
    let (mut right, mut wrong) = (0, 0);
    for seed in [2, 3, 4] {
        let (planned, anomalies, series) = hours_with_incidents(seed);
        let major: Vec<&Anomaly> = anomalies.iter().filter(|a| a.severity >= Severity::Major).collect();
        println!("seed {seed}, {series} series, {} told, {} major", anomalies.len(), major.len());
        for plan in &planned {
            let (from, to) = (START + plan.from * MINUTE, START + (plan.to + 5) * MINUTE);
            let of: Vec<&&Anomaly> = major.iter().filter(|a| (from..to).contains(&a.found)).collect();
            let first = of.iter().min_by_key(|a| a.found);
            let named = |a: &&&&Anomaly| {
                plan.blamed.contains(&a.service)
                    || a.influencers.first().is_some_and(|i| plan.blamed.contains(&i.value))
            };
            all += 1;
            found += usize::from(first.is_some());
            blamed += usize::from(of.iter().find(named).is_some());
            delays.extend(first.map(|a| a.found - from));
            let says = of.iter().find(named).or(first).map_or("", |a| &a.sentence);
            println!("  {:20} {:2} major, after {:?} s: {says}", plan.name, of.len(), first.map(|a| a.found - from));
        }
        for anomaly in &major {
            let belongs = planned
                .iter()
                .any(|plan| (START + plan.from * MINUTE..START + (plan.to + 6) * MINUTE).contains(&anomaly.found));
            if belongs {
                right += 1;
            } else {
                wrong += 1;
                show(std::slice::from_ref(anomaly));
            }
        }
    }
    delays.sort_unstable();
    let (median, precision) = (delays[delays.len() / 2], f64::from(right) / f64::from(right + wrong));
    println!("recall {found} of {all}, blamed {blamed}, precision {precision:.2}, median delay {median} s: {delays:?}");
    assert!(found * 10 >= all * 9, "{found} of {all} found");
    assert!(blamed * 10 >= found * 8, "{blamed} of {found} blamed");
    assert!(precision >= 0.85 && median <= 120, "precision {precision}, median delay {median} s");
}

#[test]
fn a_restart_changes_nothing() {
    let incidents = [incident(Kind::Upstream, 70, 4)];
    let mut whole = Replay::new(5, 8.0, &incidents);
    let mut told = Vec::new();
    let mut parted = Vec::new();
    let mut restarted = whole.fresh();
    let (mut batches, mut minute) = (0, 0);
    while let Some(batch) = whole.batch(START + 90 * MINUTE) {
        whole.detector.observe(&batch);
        told.extend(whole.detector.take());
        restarted.observe(&batch);
        parted.extend(restarted.take());
        batches += 1;
        // At each bucket's boundary, and in the middle of a bucket, another process goes on.
        if whole.detector.now() / 30 != minute {
            minute = whole.detector.now() / 30;
            restarted = whole.reload(&restarted.save().unwrap());
            // A batch that was taken is not taken twice.
            restarted.observe(&batch);
        }
    }
    println!("{batches} batches, {} anomalies", told.len());
    assert!(batches > 100 && !told.is_empty());
    assert_eq!(told, parted);
    let saved = restarted.save().unwrap();
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut bytes = saved.clone();
        change(&mut bytes);
        whole.try_reload(&bytes).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(broken(|bytes| bytes.truncate(20)), "this is no state of detectors");
    assert_eq!(broken(|bytes| bytes[8] = 9), "it has version 9, and this loghound reads version 3");
    assert_eq!(broken(|bytes| bytes[1_000] ^= 1), "it is damaged: its checksum does not fit");
}

/// Ships what `change` leaves of quiet traffic; the major anomalies of it.
fn major_of(seed: u64, minutes: i64, change: detect::replay::Change) -> Vec<Anomaly> {
    let mut replay = Replay::new(seed, 8.0, &[]);
    replay.change = change;
    let mut anomalies = replay.run(minutes);
    anomalies.retain(|anomaly| anomaly.severity >= Severity::Major);
    show(&anomalies);
    anomalies
}

fn minute_of(time: i64) -> i64 {
    (time / 1_000_000_000 - START) / MINUTE
}

/// Puts `new` where `old` stands in an event, wherever that is.
fn replaced(event: &mut Vec<u8>, old: &str, new: &str) {
    let text = String::from_utf8(std::mem::take(event)).unwrap();
    *event = text.replace(old, new).into_bytes();
}

#[test]
fn a_slow_swell_and_ebb_is_no_news() {
    // Traffic between a third and all of its peak, as a day has it, twice as fast.
    let mut at = 0u64;
    let swell = move |time: i64, _: &mut Vec<u8>| {
        at += 1;
        let phase = minute_of(time) as f64 / 720.0 * std::f64::consts::TAU;
        let kept = 0.65 - 0.35 * phase.cos();
        // A sequence that is even without being regular.
        (at as f64 * 0.618_033_988_75).fract() < kept
    };
    let found = major_of(21, 9 * 60, Box::new(swell));
    assert!(found.len() <= 1, "{} false alarms", found.len());
}

#[test]
fn what_all_services_do_at_once_is_one_finding_of_the_cluster() {
    // A day's slow traffic, then a load test: forty times as many lines of everything.
    let mut replay = Replay::new(26, 1.2, &[]);
    let quiet = replay.run(8 * 60);
    let false_alarms = quiet.iter().filter(|a| a.severity >= Severity::Major).count();
    replay.traffic().set_rate(50.0);
    let mut loud = replay.run(30);
    loud.retain(|anomaly| anomaly.severity >= Severity::Major);
    show(&loud);
    assert!(false_alarms <= 1, "{false_alarms} before");
    let of_all = loud.iter().filter(|a| a.service == CLUSTER && a.measure == Measure::Lines).collect::<Vec<_>>();
    assert_eq!(of_all.len(), 1, "{of_all:?}");
    assert!(of_all[0].sentence.contains("services have about "), "{}", of_all[0].sentence);
    assert!(loud.len() <= 2, "{} findings besides", loud.len() - 1);
    // All fall silent for a while: that is one thing, too.
    replay.change = Box::new(|time, _| !(520..528).contains(&minute_of(time)));
    let mut silent = replay.run(30);
    silent.retain(|anomaly| anomaly.severity >= Severity::Major && anomaly.since >= START + 515 * MINUTE);
    show(&silent);
    let of_all = silent.iter().filter(|a| a.service == CLUSTER && a.measure == Measure::Silence).count();
    assert!(of_all == 1 && silent.len() <= 2, "{of_all} of {} findings", silent.len());
}

#[test]
fn a_deploy_with_new_lines_is_no_news_and_a_new_error_is() {
    let deploy = |level: &'static str| {
        move |time: i64, event: &mut Vec<u8>| {
            let minute = minute_of(time);
            if minute >= 200 {
                // The scheduler's pods have other names now, and say something they never said.
                replaced(event, "\"name\":\"kube-scheduler-", "\"name\":\"kube-scheduler-v2-");
                if String::from_utf8_lossy(event).contains("kube-scheduler-v2-") && time / 1_000_000 % 10 < 8 {
                    let text = String::from_utf8(event.clone()).unwrap();
                    let at = text.find("\"message\":\"").unwrap() + 11;
                    let line = format!(
                        "{level}0528 20:26:40.000000       1 profile.go:77] a plugin of the new release is ready"
                    );
                    let end = at + text[at..].find("\",\"").or(text[at..].rfind('"')).unwrap();
                    *event = format!("{}{line}{}", &text[..at], &text[end..]).into_bytes();
                }
            }
            true
        }
    };
    let told = |found: &[Anomaly]| found.iter().filter(|a| a.service == "kube-scheduler").count();
    assert_eq!(told(&major_of(22, 240, Box::new(deploy("I")))), 0);
    assert!(told(&major_of(22, 240, Box::new(deploy("E")))) > 0);
}

#[test]
fn a_node_whose_clock_is_ahead_is_named_and_nothing_else_is_said() {
    let ahead = |time: i64, event: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(event).into_owned();
        if minute_of(time) >= 150 && text.contains("\"name\":\"worker-b-2\"") {
            let at = text.find("\"@timestamp\":\"").unwrap() + 14;
            let then: jiff::Timestamp = text[at..at + 24].parse().unwrap();
            let later = then + jiff::SignedDuration::from_secs(600);
            replaced(event, &text[at..at + 24], &format!("{later:.3}"));
        }
        true
    };
    let found = major_of(23, 220, Box::new(ahead));
    let sentences: Vec<&str> = found.iter().map(|anomaly| anomaly.sentence.as_str()).collect();
    assert!(sentences.iter().any(|s| s.contains("the clock of worker-b-2 is 5")), "{sentences:?}");
    assert!(found.len() <= 3, "{sentences:?}");
}

#[test]
fn lines_that_were_only_late_take_a_silence_back() {
    // The lines of one node are held back for ten minutes, then all come, dated as they were.
    let mut replay = Replay::new(25, 10.0, &[]);
    let node = replay.traffic().node(0).to_owned();
    let marker = memchr::memmem::Finder::new(format!("\"name\":\"{node}\"").as_bytes()).into_owned();
    let held: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let (keep, seen) = (Rc::clone(&held), marker.clone());
    replay.change = Box::new(move |time, event| {
        let hold = (120..130).contains(&minute_of(time)) && seen.find(event).is_some();
        if hold {
            keep.borrow_mut().push(event.clone());
        }
        !hold
    });
    let before = replay.run(130);
    let silent =
        |found: &[Anomaly]| found.iter().filter(|a| a.measure == Measure::Silence && a.service == node).count();
    assert_eq!(silent(&before), 1);
    replay.late = held.take();
    assert!(replay.late.len() > 100);
    let after = replay.run_all(2);
    let taken_back = after.iter().find(|a| a.measure == Measure::Silence && a.service == node).unwrap();
    assert_eq!(taken_back.state, State::Retracted);
    assert!(taken_back.late_lines > 100, "{taken_back:?}");
}

#[test]
fn memory_stays_within_its_budget_and_what_is_given_up_is_counted() {
    let mut replay = Replay::new(24, 20.0, &[]);
    let budget = 8 << 20;
    replay.detector.settings.bytes_max = budget;
    let mut n = 0u64;
    replay.change = Box::new(move |_, event| {
        n += 1;
        replaced(event, "\"istio-proxy\"", &format!("\"proxy-{}\"", n % 400));
        true
    });
    replay.run(90);
    let stats = replay.stats();
    println!("{stats:?}");
    assert!(stats.bytes <= budget as u64 * 5 / 4, "{} bytes", stats.bytes);
    assert!(stats.not_covered > 0 || stats.evicted > 0, "nothing was given up");
}
