//! The detectors on made-up traffic of a cluster: what breaks is found, named and told once; a quiet day is quiet.

mod detect {
    pub mod replay;
}

use detect::replay::{Replay, START};
use loghound::detect::{Anomaly, Severity};
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

#[test]
fn an_upstream_host_that_fails_is_named() {
    let mut replay = Replay::new(2, 20.0, &[incident(Kind::Host, 240, 10)]);
    let host = replay.traffic().upstream(0, 0).to_owned();
    let anomalies = replay.run(300);
    show(&anomalies);
    println!("{:?} {host}", replay.stats());
    let found: Vec<_> = anomalies.iter().filter(|a| a.severity >= Severity::Major).collect();
    assert!(!found.is_empty());
    let named = found.iter().filter(|a| a.influencers.first().is_some_and(|i| i.value == host)).count();
    assert!(named > 0, "nobody named {host}");
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
    assert_eq!(broken(|bytes| bytes[8] = 9), "it has version 9, and this loghound reads version 1");
    assert_eq!(broken(|bytes| bytes[1_000] ^= 1), "it is damaged: its checksum does not fit");
}
