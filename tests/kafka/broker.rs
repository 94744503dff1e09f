//! A real Apache Kafka broker, killed and started again, with two loghounds of one group that are killed as well: over both
//! stores each line is there once. Wants Java and the broker's jars (`make test-clients`); skipped aloud without.
//! `LOGHOUND_KAFKA_ROUNDS` troubles (8), `LOGHOUND_KAFKA_SEED` repeats their order.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loghound::ship::{Random, Traffic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer;

use super::{config, producer, send};
use crate::common::{Server, counted, now_nanos, same_lines};

const PARTITIONS: i32 = 8;
const START: Duration = Duration::from_secs(90);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The folder of the broker's jars, where it and Java are there.
fn jars() -> Option<PathBuf> {
    let clients = std::env::var_os("LOGHOUND_CLIENTS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_BIN_EXE_loghound")).ancestors().nth(2).unwrap().join("clients"));
    let libs = clients.join("kafka/libs");
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if java && libs.is_dir() {
        return Some(libs);
    }
    assert!(std::env::var_os("LOGHOUND_REQUIRE_CLIENTS").is_none(), "no Java, or no jars in {}", libs.display());
    eprintln!("SKIPPED: a real Kafka broker: no Java, or no jars in {}: make test-clients", libs.display());
    None
}

struct Broker {
    child: Child,
    port: u16,
    libs: PathBuf,
    dir: tempfile::TempDir,
}

impl Broker {
    fn start(libs: PathBuf) -> Self {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, controller) = (free(), free());
        let dir = tempfile::tempdir().unwrap();
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\ninter.broker.listener.name=PLAINTEXT\n\
             log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n",
            dir.path().join("logs").display()
        );
        let file = dir.path().join("server.properties");
        std::fs::write(&file, properties).unwrap();
        let class_path = format!("{}/*", libs.display());
        let format = Command::new("java")
            .args(["-cp", &class_path, "kafka.tools.StorageTool", "format", "--standalone"])
            .args(["-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", &file.display().to_string()])
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        let child = spawn(&libs, dir.path());
        let broker = Self { child, port, libs, dir };
        broker.wait();
        broker
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn wait(&self) {
        let until = Instant::now() + START;
        while TcpStream::connect(self.address()).is_err() {
            let log = || std::fs::read_to_string(self.dir.path().join("broker.log")).unwrap_or_default();
            assert!(Instant::now() < until, "the broker does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// SIGKILL, and again where it was.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.libs, self.dir.path());
        self.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(libs: &Path, dir: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(dir.join("broker.log")).unwrap();
    Command::new("java")
        .args(["-Xmx512m", "-cp", &format!("{}/*", libs.display()), "kafka.Kafka"])
        .arg(dir.join("server.properties"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn create_topic(address: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    made.into_iter().for_each(|made| drop(made.unwrap()));
}

#[test]
fn two_loghounds_of_one_group_hold_each_line_once_whatever_is_killed() {
    let Some(libs) = jars() else { return };
    let (rounds, seed) = (number("LOGHOUND_KAFKA_ROUNDS", 8), number("LOGHOUND_KAFKA_SEED", now_nanos() as u64));
    eprintln!("LOGHOUND_KAFKA_ROUNDS={rounds} LOGHOUND_KAFKA_SEED={seed}");
    let mut random = Random::new(seed);
    let mut broker = Broker::start(libs);
    create_topic(&broker.address(), "logs", PARTITIONS);
    let stop = Arc::new(AtomicBool::new(false));
    let feed = std::thread::spawn({
        let (stop, address) = (Arc::clone(&stop), broker.address());
        move || {
            let producer = producer(&address);
            let (mut traffic, mut random) = (Traffic::new(seed, now_nanos()), Random::new(seed ^ 1));
            let mut lines = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..100 {
                    let mut line = Vec::new();
                    match random.below(10) {
                        0 => line.extend_from_slice(b"the same line again"),
                        _ => traffic.next_line(&mut line),
                    }
                    send(&producer, "logs", random.below(PARTITIONS as usize) as i32, Some(&line));
                    lines.push(String::from_utf8(line).unwrap());
                }
                producer.poll(Duration::from_millis(20));
            }
            producer.flush(Duration::from_secs(60)).unwrap();
            lines
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let input = format!(
        "    - {{name: logs, brokers: ['{}'], topics: [logs], properties: {{session.timeout.ms: 2000, heartbeat.interval.ms: 300}}}}\n",
        broker.address()
    );
    let config = config(dir.path(), &input);
    let mut servers = [0, 1].map(|_| Server::start_with(None, &["--config", &config]));
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(200 + random.below(2500) as u64));
        let at = random.below(2);
        match random.below(4) {
            // The other takes over what a dead one had; it finds its own when it is back.
            0 => {
                servers[at].kill9();
                std::thread::sleep(Duration::from_millis(random.below(5000) as u64));
                servers[at].restart();
            }
            1 => {
                servers[at].kill9();
                servers[at].restart();
            }
            2 => {
                assert!(servers[at].terminate().success(), "{}", servers[at].log());
                servers[at].restart();
            }
            _ => broker.restart(),
        }
    }
    stop.store(true, Ordering::Relaxed);
    let lines = feed.join().unwrap();
    eprintln!("{} lines", lines.len());
    let until = Instant::now() + Duration::from_secs(120);
    let total = |server: &Server| server.search("*", 0, None)["total"].as_u64().unwrap_or(0);
    let totals = loop {
        let totals = [total(&servers[0]), total(&servers[1])];
        if totals.iter().sum::<u64>() >= lines.len() as u64 || Instant::now() >= until {
            break totals;
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    // One too many does not go away, and would come soon.
    std::thread::sleep(Duration::from_secs(3));
    let found: Vec<String> = servers.iter().flat_map(|server| server.messages("*")).collect();
    if let Err(difference) = same_lines(&counted(&lines), &counted(&found)) {
        let logs: Vec<String> = servers.iter().map(Server::log).collect();
        panic!("{totals:?} of {}: {difference}\n{}", lines.len(), logs.join("\n----\n"));
    }
    eprintln!("in the stores: {totals:?}");
}

/// Lines a second from a topic that is full into the store. `LOGHOUND_KAFKA_LINES` of them (1,000,000).
#[test]
#[ignore = "a measurement: make bench-kafka"]
fn lines_a_second() {
    let Some(libs) = jars() else { return };
    let count = number("LOGHOUND_KAFKA_LINES", 1_000_000);
    let broker = Broker::start(libs);
    create_topic(&broker.address(), "logs", PARTITIONS);
    let producer = producer(&broker.address());
    let (mut traffic, mut line, mut sent) = (Traffic::new(1, now_nanos()), Vec::new(), 0u64);
    let mut bytes = 0;
    while sent < count {
        line.clear();
        traffic.next_line(&mut line);
        // klog's lines alone: they begin with the level's letter and the date.
        if !line.first().is_some_and(|level| b"IWEF".contains(level)) {
            continue;
        }
        // A run of lines stays together, as a producer's batches do.
        send(&producer, "logs", (sent / 500 % PARTITIONS as u64) as i32, Some(&line));
        (sent, bytes) = (sent + 1, bytes + line.len());
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let input = format!("    - {{name: logs, brokers: ['{}'], topics: [logs]}}\n", broker.address());
    let server = Server::start_with(None, &["--config", &config(dir.path(), &input)]);
    let metric = |name: &str| {
        let text = server.text("/metrics");
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_default().to_owned();
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let (mut first, until) = (None, Instant::now() + Duration::from_secs(170));
    while metric("loghound_store_events_indexed_total") < count as f64 {
        if first.is_none() && metric("loghound_ingest_events_received_total") > 0.0 {
            first = Some(Instant::now());
        }
        assert!(Instant::now() < until, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = first.map_or(0.0, |first| first.elapsed().as_secs_f64());
    let cpu = metric("process_cpu_seconds_total") * 1e6 / count as f64;
    let rate = count as f64 / took;
    eprintln!("{count} lines of {} bytes: {rate:.0} lines/s, {cpu:.1} us of CPU a line", bytes as u64 / count);
}
