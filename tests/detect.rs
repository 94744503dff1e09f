//! The detectors on made-up traffic of a cluster: what breaks is found, named and told once; a quiet day is quiet.

mod detect {
    pub mod replay;
    pub mod scenarios;
}

use std::cell::RefCell;
use std::rc::Rc;

use detect::replay::{Replay, START};
use detect::scenarios;
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

/// What five runs of hours with incidents in them came to.
#[derive(Default)]
struct Tally {
    found: usize,
    all: usize,
    blamed_first: usize,
    blamed: usize,
    delays: Vec<i64>,
    right: u32,
    wrong: u32,
    harmless: Vec<(&'static str, usize)>,
}

/// One run, and what it prints.
fn scenario(seed: u64) -> (Tally, String) {
    let (mut replay, planned, minutes) = scenarios::plan(seed);
    let mut anomalies = replay.run(minutes);
    anomalies.retain(|anomaly| anomaly.severity >= Severity::Major);
    let (mut tally, mut out) = (Tally::default(), format!("seed {seed}, {} series\n", replay.stats().series));
    let mut belongs = vec![false; anomalies.len()];
    for plan in &planned {
        let (from, to) = (START + plan.from * MINUTE, START + plan.end * MINUTE);
        let mut of: Vec<&Anomaly> = Vec::new();
        for (anomaly, belongs) in anomalies.iter().zip(&mut belongs) {
            if (from..to).contains(&anomaly.found) {
                of.push(anomaly);
                *belongs = !plan.is_harmless();
            }
        }
        let first = of.iter().min_by_key(|a| a.found);
        if plan.is_harmless() {
            tally.harmless.push((plan.name, usize::from(first.is_some())));
        } else {
            let is_named = |a: &&&Anomaly| {
                let of_anomaly = [Some(&a.service), a.value.as_ref(), a.field.as_ref()];
                of_anomaly.into_iter().flatten().any(|name| plan.blamed.contains(name))
                    || a.influencers.first().is_some_and(|i| plan.blamed.contains(&i.value))
            };
            tally.all += 1;
            tally.found += usize::from(first.is_some());
            tally.blamed_first += usize::from(first.filter(|a| is_named(a)).is_some());
            tally.blamed += usize::from(of.iter().any(|a| is_named(&a)));
            tally.delays.extend(first.map(|a| a.found - from));
        }
        let told = first.map_or("", |a| &a.sentence);
        let delay = first.map(|a| a.found - from);
        let kind = if plan.is_harmless() { "harmless" } else { "" };
        out += &format!("  {:20} {kind:8} {:2} major, after {delay:?} s: {told}\n", plan.name, of.len());
    }
    for (anomaly, belongs) in anomalies.iter().zip(belongs) {
        tally.right += u32::from(belongs);
        tally.wrong += u32::from(!belongs);
        if !belongs {
            let minute = (anomaly.found - START) / MINUTE;
            out += &format!("  wrong, minute {minute}, {:.0}: {}\n", anomaly.score, anomaly.sentence);
        }
    }
    (tally, out)
}

#[test]
fn incidents_are_found_soon_and_the_right_one_is_blamed() {
    let mut sum = Tally::default();
    let runs: Vec<_> = (2..7).map(|seed| std::thread::spawn(move || scenario(seed))).collect();
    for run in runs {
        let (tally, told) = run.join().unwrap();
        println!("{told}");
        sum.found += tally.found;
        sum.all += tally.all;
        sum.blamed_first += tally.blamed_first;
        sum.blamed += tally.blamed;
        sum.delays.extend(tally.delays);
        sum.right += tally.right;
        sum.wrong += tally.wrong;
        sum.harmless.extend(tally.harmless);
    }
    let Tally { found, all, blamed_first, blamed, right, wrong, mut delays, harmless } = sum;
    delays.sort_unstable();
    let (median, precision) = (delays[delays.len() / 2], f64::from(right) / f64::from(right + wrong));
    let alerting = harmless.iter().filter(|(_, alerts)| *alerts > 0).count();
    println!("recall {found} of {all}, blamed {blamed} ({blamed_first} by the first), precision {precision:.2}");
    println!("median delay {median} s: {delays:?}; {alerting} of {} harmless alert", harmless.len());
    assert!(found * 10 >= all * 9, "{found} of {all} found");
    assert!(blamed * 10 >= found * 8, "{blamed} of {found} blamed");
    assert!(precision >= 0.85 && median <= 120, "precision {precision}, median delay {median} s");
    assert!(alerting * 5 <= harmless.len(), "{alerting} of {} harmless alert", harmless.len());
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
    show(&quiet);
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
fn a_line_from_long_ago_begins_no_years_of_empty_minutes() {
    let mut replay = Replay::new(24, 5.0, &[]);
    let mut lines = 0;
    replay.change = Box::new(move |time, event| {
        lines += 1;
        // Among them first lines of their services.
        if time > (START + 60) * 1_000_000_000 && lines % 10 == 0 {
            let text = String::from_utf8_lossy(event).into_owned();
            let at = text.find("\"@timestamp\":\"").unwrap() + 14;
            replaced(event, &text[at..at + 24], "2001-09-09T01:46:40.000Z");
        }
        true
    });
    let minutes = 4;
    replay.run(minutes);
    let stats = replay.stats();
    assert!(stats.late > 50 && stats.records > stats.late, "{stats:?}");
    let learned = replay.detector.watches(None).iter().map(|watch| watch.buckets).max();
    assert!(learned.is_some_and(|buckets| i64::from(buckets) <= minutes + 1), "{learned:?}");
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
