//! The template miner on klog messages, on one thread: `cargo bench --bench template`.
//!
//! The figures to reach: a million lines a second, and 100,000 templates in 64 MiB. The lines are made here, as
//! Kubernetes' components write them, with variables that never repeat. With `LOGHOUND_BENCH_LINES` set the first part
//! alone runs once over that many lines, for callgrind.

use std::hint::black_box;
use std::time::Instant;

use loghound::parse::template::{Limits, Miner};

/// Messages of klog lines; `{n}` is a number, `{s}` a pod's random name, `{i}` an address, `{w}` one of many plain words.
const MESSAGES: &[&str] = &[
    "\"Starting reflector\" type=\"*v1.Pod\" resyncPeriod=\"{n}s\"",
    "\"SyncLoop UPDATE\" source=\"api\" pods=[\"kube-system/coredns-{s}\"]",
    "\"Observed pod startup duration\" pod=\"default/web-{s}\" podStartSLOduration={n}.{n} pullDuration=\"{n}ms\"",
    "Caches are synced for resource quota",
    "Resetting endpoints for master service \"kubernetes\" to [{i}]",
    "Trace[{n}]: \"List\" url:/api/v1/pods,user-agent:kubelet/v1.{n}.0,client:{i} (total time: {n}ms):",
    "Unable to update cni config: no networks found in /etc/cni/net.d",
    "Scaled up replica set web-{s} to {n}",
    "error retrieving resource lock kube-system/{w}: etcdserver: request timed out",
    "attempting to acquire leader lease kube-system/kube-controller-manager...",
    "Node ip-{i} status is now: NodeReady after {n} seconds",
    "\"Failed to delete cgroup paths\" cgroupName=[\"kubepods\",\"burstable\",\"pod{s}\"] err=\"timed out {n}\"",
];

/// A small generator with a fixed seed (xorshift), so that each run mines the same lines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Letters only.
    fn word(&mut self, letters: u32) -> String {
        (0..letters).map(|_| char::from(b'a' + (self.next() % 26) as u8)).collect()
    }

    fn fill(&mut self, message: &str) -> String {
        let n = self.next();
        let i = format!("10.{}.{}.{}", n % 250, n / 250 % 250, n / 62500 % 250);
        // One pod name in some 30 has no digit, and is a plain word.
        let s = format!("{:x}-{}{}", n >> 40, n % 10, self.word(4));
        let w = ["scheduler", "controller", "manager", "proxy", "autoscaler", "dns", "metrics"][(n % 7) as usize];
        message.replace("{n}", &(n % 100_000).to_string()).replace("{i}", &i).replace("{s}", &s).replace("{w}", w)
    }
}

fn rate(lines: &[String]) {
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut miner = Miner::new(Limits::default());
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        for line in lines {
            black_box(miner.observe(line));
        }
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let per_second = lines.len() as f64 / times[2];
    println!(
        "klog messages: {:.2} M lines/s, {:.0} ns a line of {} bytes (median of 5), {} templates",
        per_second / 1e6,
        1e9 / per_second,
        bytes / lines.len(),
        miner.ids().len()
    );
}

/// Resident bytes of this process, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<usize>().ok()? << 10)
}

fn memory(random: &mut Random) {
    const TEMPLATES: usize = 100_000;
    let before = resident();
    let mut miner = Miner::new(Limits::default());
    let mut slowest = 0.0f64;
    let start = Instant::now();
    for n in 0..TEMPLATES {
        // Statements that differ in all their words, eight words and two values in each.
        let line = format!(
            "{} {}: {} {} {} at {n} ({} {}) took {} ms",
            random.word(6),
            random.word(4),
            random.word(8),
            random.word(5),
            random.word(7),
            random.word(4),
            random.word(6),
            n % 97
        );
        let one = Instant::now();
        black_box(miner.observe(&line));
        slowest = slowest.max(one.elapsed().as_secs_f64());
    }
    let took = start.elapsed().as_secs_f64();
    let stats = miner.stats();
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "{TEMPLATES} new templates: {} kept, {:.1} MiB counted, {:.1} MiB resident, {:.1} µs each, slowest {:.2} ms",
        miner.ids().len(),
        mib(miner.bytes()),
        mib(resident().unwrap_or_default().saturating_sub(before.unwrap_or_default())),
        took * 1e6 / TEMPLATES as f64,
        slowest * 1e3,
    );
    assert!(miner.bytes() <= 64 << 20);
    assert_eq!(stats.evicted_templates, 0, "100,000 templates fit into the default limit");
}

fn main() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let once: Option<usize> = std::env::var("LOGHOUND_BENCH_LINES").ok().and_then(|n| n.parse().ok());
    if once.is_none() {
        // First, so that no memory freed by the other part is used again.
        memory(&mut random);
    }
    let mut lines =
        |count: usize| -> Vec<String> { (0..count).map(|n| random.fill(MESSAGES[n % MESSAGES.len()])).collect() };
    if let Some(count) = once {
        let lines = lines(count);
        let mut miner = Miner::new(Limits::default());
        for line in &lines {
            black_box(miner.observe(line));
        }
        return;
    }
    rate(&lines(200_000));
}
