use std::collections::HashSet;

use serde_json::Value;

use super::Traffic;

#[test]
fn the_same_seed_gives_the_same_traffic() {
    let events = |seed| {
        let mut traffic = Traffic::new(seed, 1_780_000_000_000_000_000);
        let mut out = Vec::new();
        (0..200).for_each(|_| traffic.next_event(&mut out));
        out
    };
    assert_eq!(events(7), events(7));
    assert_ne!(events(7), events(8));
}

#[test]
fn events_are_what_filebeat_sends() {
    let mut traffic = Traffic::new(1, 1_780_000_000_000_000_000);
    let (mut pods, mut nodes, mut identities) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut lines, mut event_bytes, mut line_bytes, mut envoy, mut envoy_bytes) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut orders = HashSet::new();
    let mut out = Vec::new();
    for _ in 0..20_000 {
        out.clear();
        traffic.next_event(&mut out);
        let event: Value = serde_json::from_slice(&out).unwrap();
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        for pointer in ["/@timestamp", "/agent/id", "/container/id", "/stream", "/kubernetes/labels/app", "/host/name"]
        {
            assert!(!text(pointer).is_empty(), "{pointer} in {event}");
        }
        let message = text("/message");
        lines += 1;
        event_bytes += out.len() as u64;
        line_bytes += message.len() as u64;
        if message.starts_with('[') {
            envoy += 1;
            envoy_bytes += message.len() as u64;
        }
        pods.insert(text("/kubernetes/pod/name"));
        nodes.insert(text("/kubernetes/node/name"));
        assert!(identities.insert((text("/log/file/fingerprint"), event.pointer("/log/offset").unwrap().as_u64())));
        orders.insert(out[..6].to_vec());
    }
    let share = envoy as f64 / lines as f64;
    assert!((0.62..0.66).contains(&share), "{share} of the lines are Envoy's");
    let (event, line) = (event_bytes / lines, line_bytes / lines);
    let (of_envoy, of_klog) = (envoy_bytes / envoy, (line_bytes - envoy_bytes) / (lines - envoy));
    assert!((240..300).contains(&line), "a line has {line} bytes; Envoy {of_envoy}, klog {of_klog}, event {event}");
    assert!((1200..2300).contains(&event), "an event has {event} bytes");
    assert!(pods.len() > 350 && nodes.len() == 20, "{} pods on {} nodes", pods.len(), nodes.len());
    assert!(orders.len() > 5, "the keys are in {} orders", orders.len());
}

#[test]
fn an_hour_has_quiet_and_broken_minutes() {
    let mut traffic = Traffic::new(3, 1_780_000_000_000_000_000).with_rate(20.0);
    let mut errors = vec![0u32; 60];
    let mut line = Vec::new();
    let start = traffic.now_nanos();
    loop {
        line.clear();
        traffic.next_line(&mut line);
        let minute = ((traffic.now_nanos() - start) / 60_000_000_000) as usize;
        if minute >= errors.len() {
            break;
        }
        let text = String::from_utf8(line.clone()).unwrap();
        errors[minute] += u32::from(text.starts_with('E') || text.contains("\" 503 "));
    }
    let (quiet, worst) = (errors.iter().min().unwrap(), errors.iter().max().unwrap());
    assert!(*worst > 2 * (quiet + 5), "quiet {quiet}, worst {worst}: {errors:?}");
}
