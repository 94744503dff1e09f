//! What storing a record costs: CPU of adding, cutting, committing and merging, and bytes on disk.
//!
//! `cargo bench --bench store [-- records]`: records in memory go through one worker, with a cut and a commit every
//! 45,000, as at 45,000 records a second; then the merges are waited for. Seeded: 64 % Envoy and 36 % klog lines of
//! about 265 bytes, 480 streams. CPU comes from /proc (resolution 10 ms for merging, which runs in other threads).

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use loghound::record::{Event, Fields, GrammarRef, Record, Role, Stream, StreamKey, Value, time};
use loghound::store::{Options, Store};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: u64 = 450_000;
const CUT_EVERY: u64 = 45_000;
const START: i64 = 20_000 * time::NANOS_PER_DAY;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let records = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(RECORDS);
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), Options::default())?;
    let mut worker = store.worker();
    let streams: Vec<_> = (0..480).map(stream).collect();
    let mut random = Random(42);
    let (mut add, mut cut, mut commit, mut line_bytes, mut position) = (0, 0, 0, 0, 0);
    let (wall, process) = (Instant::now(), process_cpu()?);
    let mut made = 0u64;
    for window in 0..records.div_ceil(CUT_EVERY) {
        position = window + 1;
        let before = thread_cpu()?;
        let lines: Vec<Line> = (0..CUT_EVERY).map(|n| Line::make(&mut random, window * CUT_EVERY + n)).collect();
        let filled = thread_cpu()?;
        made += filled - before;
        for line in &lines {
            line_bytes += line.text.len();
            line.with_record(&streams, |record| worker.add(position, record, true))?;
        }
        let added = thread_cpu()?;
        let cuts = vec![worker.cut()?];
        let finished = thread_cpu()?;
        store.commit(position, cuts)?;
        let committed = thread_cpu()?;
        add += added - filled;
        cut += finished - added;
        commit += committed - finished;
    }
    store.finish_merges()?;
    let records = position * CUT_EVERY;
    let process = process_cpu()? - process;
    let view = &store.shards()[0];
    let each = |nanos: u64| nanos as f64 / 1000.0 / records as f64;
    println!("{records} records, {} B a line, wall {:.1} s", line_bytes as u64 / records, wall.elapsed().as_secs_f64());
    println!("us CPU a record: add {:.2}, cut {:.2}, commit {:.2}", each(add), each(cut), each(commit));
    println!(
        "  other threads (merges, commits) {:.2}, rewrites a record {:.2}",
        each(process.saturating_sub(add + cut + commit + made)),
        store.rewritten() as f64 / records as f64
    );
    println!("  all {:.2}", each(process.saturating_sub(made)));
    println!("segments {}, docs {}", view.searcher().segment_readers().len(), view.docs());
    sizes(dir.path(), records)
}

/// Bytes on disk, by kind of file.
fn sizes(root: &std::path::Path, records: u64) -> Result<()> {
    let mut kinds = std::collections::BTreeMap::<String, u64>::new();
    for shard in fs::read_dir(root)?.flatten().filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(shard.path())?.flatten() {
            let kind = file.path().extension().map_or(String::new(), |e| e.to_string_lossy().into_owned());
            *kinds.entry(kind).or_default() += file.metadata()?.len();
        }
    }
    let total: u64 = kinds.values().sum();
    println!("bytes a record on disk: {:.1}", total as f64 / records as f64);
    for (kind, bytes) in kinds {
        println!("  {kind:10} {:.1}", bytes as f64 / records as f64);
    }
    Ok(())
}

fn thread_cpu() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or("0").parse()?)
}

/// User and system time of all threads, ended ones included.
fn process_cpu() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks * 10_000_000)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Small numbers often.
    fn skewed(&mut self, n: u64) -> u64 {
        let x = self.below(1 << 20);
        x * x / (1 << 20) * n / (1 << 20)
    }
}

fn stream(n: u64) -> Arc<Stream> {
    let fields = json!({
        "agent": {"name": format!("node-{}", n % 24), "type": "filebeat", "version": "8.15.0"},
        "kubernetes": {
            "namespace": format!("ns-{}", n % 40),
            "pod": {"name": format!("app-{n}-7d9c5b6f4-x{n:04}"), "uid": format!("{n:032x}")},
            "container": {"name": "main"},
        },
        "log": {"file": {"path": format!("/var/log/containers/app-{n}.log")}},
    });
    Arc::new(Stream {
        key: StreamKey(u128::from(n)),
        canonical: fields.to_string(),
        fields: fields.as_object().cloned().unwrap_or_default(),
        sender: format!("node-{}", n % 24),
        identity_seed: n,
        memory: AtomicU64::new(0),
    })
}

/// A line and the values in it: where each stands, as a parser would find it.
struct Line {
    n: u64,
    stream: usize,
    text: String,
    grammar: &'static str,
    fields: Vec<(&'static str, Role, std::ops::Range<usize>)>,
    numbers: Vec<(&'static str, u64)>,
}

impl Line {
    fn make(random: &mut Random, n: u64) -> Self {
        let stream = random.skewed(480) as usize;
        let mut line = Self { n, stream, text: String::new(), grammar: "", fields: Vec::new(), numbers: Vec::new() };
        if random.below(100) < 64 {
            line.envoy(random)
        } else {
            line.klog(random)
        }
        line
    }

    fn plain(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn field(&mut self, name: &'static str, role: Role, value: impl std::fmt::Display) -> &mut Self {
        let start = self.text.len();
        let _ = write!(self.text, "{value}");
        self.fields.push((name, role, start..self.text.len()));
        self
    }

    fn number(&mut self, name: &'static str, value: u64) -> &mut Self {
        let _ = write!(self.text, "{value}");
        self.numbers.push((name, value));
        self
    }

    fn at(&self) -> i64 {
        START + self.n as i64 * 22_000
    }

    fn envoy(&mut self, random: &mut Random) {
        const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
        const CODES: [u64; 8] = [200, 200, 200, 201, 204, 301, 404, 503];
        self.grammar = "envoy";
        let host = random.skewed(60);
        let (id, id2) = (random.next(), random.next());
        let millis = time::format_rfc3339(self.at() / 1_000_000 * 1_000_000);
        self.plain("[").field("start_time", Role::Stamp, millis).plain("] \"");
        self.field("method", Role::Keyword, METHODS[random.skewed(4) as usize]).plain(" ");
        let path = format!("/api/v{}/{}/{}", random.below(3), ROUTES[random.skewed(16) as usize], random.below(20_000));
        self.field("path", Role::Path, path).plain(" ").field("protocol", Role::Keyword, "HTTP/1.1").plain("\" ");
        self.number("response_code", CODES[random.skewed(8) as usize]).plain(" ");
        self.field("response_flags", Role::Keyword, ["-", "UF", "URX"][random.skewed(3) as usize]).plain(" ");
        self.number("bytes_received", random.skewed(4_000)).plain(" ").number("bytes_sent", random.skewed(60_000));
        let duration = random.skewed(2_000);
        self.plain(" ").number("duration", duration).plain(" ").number("upstream_service_time", duration).plain(" \"");
        let address = format!("10.{}.{}.{}", random.below(4), random.below(64), random.below(250));
        self.field("x_forwarded_for", Role::Keyword, address).plain("\" \"");
        self.field("user_agent", Role::Keyword, format_args!("Mozilla/5.0 (agent {}) Gecko", random.skewed(20)));
        self.plain("\" \"");
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            id >> 32,
            id & 0xffff,
            id2 & 0xfff,
            id2 >> 48,
            id2 >> 16 & 0xffff_ffff_ffff
        );
        self.field("request_id", Role::Id, id).plain("\" \"");
        self.field("authority", Role::Keyword, format_args!("svc-{host}.ns-{}.example.com", host % 7)).plain("\" \"");
        let upstream = format!("10.8.{}.{}:8080", host, random.below(8));
        self.field("upstream_host", Role::Keyword, upstream).plain("\"");
    }

    fn klog(&mut self, random: &mut Random) {
        self.grammar = "klog";
        let file = random.skewed(49);
        let micros = self.at() / 1000 % 86_400_000_000;
        let (s, us) = (micros / 1_000_000, micros % 1_000_000);
        let stream = self.stream;
        let clock = format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60);
        self.field("level", Role::Keyword, ["I", "I", "I", "W", "E"][random.skewed(5) as usize]).plain("1004 ");
        self.field("time", Role::Stamp, clock).plain("       ").number("thread_id", 1 + random.below(9)).plain(" ");
        self.field("filename", Role::Keyword, format_args!("{}_controller.go", ROUTES[file as usize % 16])).plain(":");
        self.number("line", 40 + file * 11).plain("] \"");
        let mut msg = String::from(MESSAGES[file as usize % MESSAGES.len()]);
        for _ in 0..6 + file % 9 {
            let _ = write!(msg, " {}", ROUTES[(file * 7 + random.below(2)) as usize % 16]);
        }
        self.field("msg", Role::Text, msg).plain("\" pod=\"");
        self.field("kv\u{1}pod", Role::Keyword, format_args!("ns-{}/app-{}", file % 40, stream)).plain("\" attempt=");
        self.number("kv\u{1}attempt", random.skewed(20)).plain(" err=\"");
        self.field("kv\u{1}err", Role::Keyword, format_args!("timeout after {}ms", random.below(50) * 100)).plain("\"");
    }

    fn with_record<T>(&self, streams: &[Arc<Stream>], f: impl FnOnce(&Record<'_>) -> T) -> T {
        let event = Event {
            stream: Arc::clone(&streams[self.stream]),
            timestamp: self.at(),
            message: Some(&self.text),
            offset: Some(self.n * 265),
            mark: self.n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32,
            positioned: true,
            extra: None,
        };
        let mut fields = Fields::new();
        for (name, role, range) in &self.fields {
            fields.str(name, *role, &self.text[range.clone()]);
        }
        for (name, value) in &self.numbers {
            fields.push(*name, Role::Keyword, Value::U64(*value));
        }
        f(&Record {
            event: &event,
            grammar: Some(GrammarRef { name: self.grammar, version: 1, source: "" }),
            template: None,
            fields: &fields,
        })
    }
}

const ROUTES: [&str; 16] = [
    "orders",
    "users",
    "items",
    "carts",
    "login",
    "search",
    "health",
    "metrics",
    "replicaset",
    "deployment",
    "endpoint",
    "volume",
    "namespace",
    "scheduler",
    "kubelet",
    "reflector",
];

const MESSAGES: [&str; 7] = [
    "Unable to sync the object from the informer cache and will retry later",
    "Finished syncing object after the queue was drained",
    "Observed a request latency above the threshold configured for the server",
    "Updating the status of the resource failed because it was modified",
    "Event occurred while the controller was watching the resource",
    "Starting to reconcile the desired state with the observed one",
    "Dropping the connection of the watcher since it was too slow",
];
