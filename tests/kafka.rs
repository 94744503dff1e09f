//! Topics of Kafka as an input, at librdkafka's own mock of a cluster, which speaks the protocol over TCP.
#![cfg(feature = "kafka")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Server, eventually};
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

const SOON: Duration = Duration::from_secs(60);

struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Broker {
    fn start(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        Self { cluster, producer }
    }

    /// To partitions in turn.
    fn produce(&self, topic: &str, partitions: i32, messages: &[impl AsRef<[u8]>]) {
        for (nth, message) in messages.iter().enumerate() {
            let record: BaseRecord<'_, (), [u8]> =
                BaseRecord::to(topic).partition(nth as i32 % partitions).payload(message.as_ref());
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(SOON).unwrap();
    }

    fn server(&self, scratch: &Path, format: &str, group: &str) -> Server {
        let config = scratch.join(format!("{group}.yaml"));
        let yaml = format!(
            "kafka:\n  brokers: {}\n  topics: ['^logs']\n  group: {group}\n  format: {format}\n  properties: {{session.timeout.ms: 6000}}\n",
            self.cluster.bootstrap_servers()
        );
        std::fs::write(&config, yaml).unwrap();
        Server::start_with(Some(&scratch.join("data")), &["--config", &config.to_string_lossy()])
    }
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range
        .map(|n| format!("E1122 10:00:00.{:06}       1 lease.go:{}] lease number {n} failed", n % 1_000_000, n % 900))
        .collect()
}

fn metric(server: &Server, name: &str) -> f64 {
    let text = server.text("/metrics");
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn every_line_is_there_once_through_kills_and_another_group() {
    let scratch = tempfile::tempdir().unwrap();
    let broker = Broker::start("logs", 4);
    let all = lines(0..12_000);
    broker.produce("logs", 4, &all[..6_000]);
    let mut server = broker.server(scratch.path(), "lines", "first");
    for upto in [1_000, 3_000] {
        eventually(SOON, || match server.search("lease", 0, None)["total"].as_u64() {
            Some(total) if total >= upto => Ok(()),
            total => Err(format!("{total:?}\n{}", server.log())),
        });
        server.kill9();
        server.restart();
    }
    broker.produce("logs", 4, &all[6_000..]);
    server.wait_for_lines("lease", &all, SOON);
    assert_eq!(server.search("level:E AND filename:lease.go", 0, None)["total"], 12_000);
    assert_eq!(server.search("kafka.topic:logs AND kafka.partition:3", 0, None)["total"], 3_000);
    assert!(server.terminate().success(), "{}", server.log());
    drop(server);
    // Another group reads all of it from the beginning: all of it is known.
    let server = broker.server(scratch.path(), "lines", "second");
    eventually(SOON, || {
        let known = metric(&server, "loghound_decode_events_duplicate_total");
        if known >= 12_000.0 { Ok(()) } else { Err(format!("{known}\n{}", server.log())) }
    });
    server.wait_for_lines("lease", &all, SOON);
}

#[test]
fn documents_are_taken_as_they_are_and_poison_is_kept_beside() {
    let scratch = tempfile::tempdir().unwrap();
    let broker = Broker::start("logs", 2);
    // Filebeat's second event of the same place is the first one, sent again.
    let filebeat = r#"{"@timestamp":"2026-11-22T10:00:00.000Z","message":"I1122 10:00:00.000001       1 a.go:1] hello","host":{"name":"n1"},"log":{"offset":7,"file":{"path":"/var/log/a"}}}"#;
    let record = r#"{"@timestamp":"2026-11-22T10:00:01.000Z","user":"ada","took_ms":12}"#;
    let messages: [&[u8]; 7] = [
        filebeat.as_bytes(),
        filebeat.as_bytes(),
        record.as_bytes(),
        record.as_bytes(),
        b"no json",
        b"[1,2]",
        b"\xff\xfe",
    ];
    broker.produce("logs", 2, &messages);
    let server = broker.server(scratch.path(), "json", "documents");
    eventually(SOON, || {
        let (taken, poison) =
            (metric(&server, "loghound_kafka_messages_total"), metric(&server, "loghound_kafka_dead_lettered_total"));
        if (taken, poison) == (7.0, 3.0) { Ok(()) } else { Err(format!("{taken} {poison}\n{}", server.log())) }
    });
    server.wait_for_lines("host.name:n1 AND filename:a.go", &["I1122 10:00:00.000001       1 a.go:1] hello"], SOON);
    eventually(SOON, || match &server.search("user:ada AND took_ms:>10", 0, None)["total"] {
        total if *total == 2 => Ok(()),
        total => Err(format!("two messages with equal content are two records, not {total}")),
    });
    let letters: String = std::fs::read_dir(scratch.path().join("data/dead-letters"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default())
        .collect();
    assert_eq!(letters.matches("not a JSON object").count(), 3, "{letters}");
    assert!(letters.contains("kafka:logs/0/2"), "{letters}");
}

#[test]
fn two_of_a_group_share_and_one_takes_over() {
    let scratch = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let broker = Broker::start("logs", 6);
    let mut servers = scratch.each_ref().map(|scratch| broker.server(scratch.path(), "lines", "shared"));
    let all = lines(0..6_000);
    broker.produce("logs", 6, &all[..2_000]);
    let total = |server: &Server| server.search("lease", 0, None)["total"].as_u64().unwrap();
    eventually(SOON, || match servers.each_ref().map(total) {
        [a, b] if a + b == 2_000 => Ok(()),
        both => Err(format!("{both:?}\n{}", servers[0].log())),
    });
    // Both have partitions by now; what comes goes to both.
    eventually(SOON, || {
        let gave = servers.each_ref().map(|server| metric(server, "loghound_kafka_rebalances_total") > 0.0);
        if gave == [true, true] { Ok(()) } else { Err(format!("{gave:?}")) }
    });
    broker.produce("logs", 6, &all[2_000..4_000]);
    eventually(SOON, || match servers.each_ref().map(total) {
        [a, b] if a + b == 4_000 => Ok(()),
        both => Err(format!("{both:?}")),
    });
    assert!(servers[0].terminate().success(), "{}", servers[0].log());
    broker.produce("logs", 6, &all[4_000..]);
    // The first one's lines are on its own disk; the second has all that came after.
    servers[0].restart();
    eventually(SOON, || match servers.each_ref().map(total) {
        [a, b] if a + b == 6_000 => Ok(()),
        both => Err(format!("{both:?}\n{}", servers[1].log())),
    });
    let mut found: Vec<String> = servers.iter().flat_map(|server| server.messages("lease")).collect();
    found.sort_unstable();
    let mut expected = all;
    expected.sort_unstable();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "a line is missing, or there twice");
}

#[test]
fn what_is_wrong_with_the_settings_is_told_before_a_port_opens() {
    let scratch = tempfile::tempdir().unwrap();
    for (yaml, problem) in [
        ("kafka: {brokers: 'localhost:9092'}\n", "brokers and topics belong together"),
        ("kafka: {brokers: 'localhost:9092', topics: [a], format: xml}\n", "write json or lines"),
        ("kafka: {brokers: 'localhost:9092', topics: [a], properties: {no.such.key: 1}}\n", "no.such.key"),
    ] {
        let config = scratch.path().join("loghound.yaml");
        std::fs::write(&config, yaml).unwrap();
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["check-config", "--config", &config.to_string_lossy()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{said}");
        assert!(said.contains(problem), "{said}");
    }
}
