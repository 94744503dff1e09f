//! Kafka in, from outside: librdkafka's mock cluster here, a real broker in `broker`.
//! What a message becomes, and that it is there exactly once, belongs here.
#![cfg(feature = "kafka")]

mod common;

use std::time::Duration;

use common::{Server, eventually};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const WITHIN: Duration = Duration::from_secs(60);

/// A configuration file with these inputs.
fn config(dir: &std::path::Path, inputs: &str) -> String {
    let path = dir.join("loghound.yaml");
    std::fs::write(&path, format!("kafka:\n  inputs:\n{inputs}")).unwrap();
    path.display().to_string()
}

fn producer(brokers: &str) -> BaseProducer {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("linger.ms", "5").set("enable.idempotence", "true");
    // Brokers that come back are asked at once; librdkafka's own pause grows to ten seconds for each of three.
    client.set("reconnect.backoff.max.ms", "500");
    client.create().unwrap()
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, value: Option<&[u8]>) {
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
    let mut record = match value {
        Some(value) => record.payload(value),
        None => record.key(b"gone".as_slice()),
    };
    while let Err((_, back)) = producer.send(record) {
        producer.poll(Duration::from_millis(10));
        record = back;
    }
}

#[test]
fn every_format_arrives_once_across_a_kill_and_what_cannot_be_read_is_a_dead_letter() {
    let cluster = MockCluster::new(3).unwrap();
    for topic in ["plain", "app-web", "beats", "json"] {
        cluster.create_topic(topic, 3, 1).unwrap();
    }
    let brokers = cluster.bootstrap_servers();
    let producer = producer(&brokers);
    let klog = "I0102 03:04:05.678901    17 lease.go:12] \"Reset\" name=\"a\"";
    let mut lines = Vec::new();
    let mut write = |from: usize, to: usize| {
        for at in from..to {
            let partition = (at % 3) as i32;
            let line = format!("{klog} number={at}");
            send(&producer, "plain", partition, Some(line.as_bytes()));
            lines.push(line);
            // The very same line again is another message.
            send(&producer, "app-web", partition, Some(b"the same line\n"));
            lines.push("the same line".to_owned());
            let event = format!(
                r#"{{"@timestamp":"2099-01-01T00:00:00.000Z","message":"beat {at}","agent":{{"name":"n"}},"log":{{"offset":{at},"file":{{"path":"/a"}}}}}}"#
            )
            .replace("2099-01-01T00:00:00.000Z", &jiff::Timestamp::now().to_string());
            // What Filebeat wrote twice is one event.
            send(&producer, "beats", partition, Some(event.as_bytes()));
            send(&producer, "beats", partition, Some(event.as_bytes()));
            lines.push(format!("beat {at}"));
            let now = jiff::Timestamp::now();
            send(&producer, "json", partition, Some(format!(r#"{{"ts":"{now}","msg":"doc","n":1}}"#).as_bytes()));
            lines.push("doc".to_owned());
        }
        send(&producer, "json", 1, Some(b"{\"cut"));
        send(&producer, "plain", 2, None);
        producer.flush(Duration::from_secs(20)).unwrap();
        lines.clone()
    };
    let expected = write(0, 500);
    let dir = tempfile::tempdir().unwrap();
    let input = |more: &str| format!("    - {{brokers: [{}], {more}}}\n", quoted(&brokers));
    let inputs = [
        input("name: lines, topics: [plain, '^app-.*']"),
        input("name: beats, topics: [beats], format: filebeat, group: other"),
        input("name: docs, topics: [json], format: records, group: third, time_fields: [ts], message_fields: [msg]"),
    ]
    .concat();
    let config = config(dir.path(), &inputs);
    let mut server = Server::start_with(None, &["--config", &config]);
    server.wait_for_lines("*", &expected, WITHIN);
    server.kill9();
    let expected = write(500, 700);
    server.restart();
    server.wait_for_lines("*", &expected, WITHIN);

    let record = &server.search("kafka.topic:plain", 1, None)["hits"][0];
    assert_eq!((&record["level"], &record["filename"]), (&"I".into(), &"lease.go".into()), "{record}");
    assert!(record["kafka"]["partition"].is_number() && record["log"]["offset"].is_number(), "{record}");
    let letters = std::fs::read_dir(server.data_dir.join("dead-letters")).unwrap();
    let letters: String = letters.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(letters.lines().count(), 2, "{letters}");
    assert!(letters.contains("topic json partition 1 offset "), "{letters}");
    eventually(WITHIN, || {
        let metrics = server.text("/metrics");
        let has = |line: &str| metrics.lines().any(|l| l == line);
        match has("loghound_ingest_kafka_lag_messages 0") && has("loghound_ingest_kafka_partitions 12") {
            true => Ok(()),
            false => Err(metrics.lines().filter(|l| l.contains("kafka")).collect::<Vec<_>>().join("\n")),
        }
    });
    assert!(server.terminate().success(), "{}", server.log());
}

fn quoted(brokers: &str) -> String {
    brokers.split(',').map(|broker| format!("'{broker}'")).collect::<Vec<_>>().join(", ")
}

#[test]
fn commits_that_fail_and_brokers_that_go_away_neither_lose_nor_double() {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("t", 4, 3).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer = producer(&brokers);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &format!("    - {{name: t, brokers: [{}], topics: [t]}}\n", quoted(&brokers)));
    let server = Server::start_with(None, &["--config", &config]);
    let mut lines = Vec::new();
    for round in 0..6 {
        use RDKafkaRespErr::*;
        let errors = [
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        ];
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &errors[..round % 4]);
        if round == 3 {
            (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
        }
        for at in 0..300 {
            let line = format!("line {round} {at}");
            send(&producer, "t", at % 4, Some(line.as_bytes()));
            lines.push(line);
        }
        if round == 3 {
            producer.poll(Duration::from_secs(1));
            (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
        }
        producer.flush(WITHIN).unwrap();
        server.wait_for_lines("*", &lines, WITHIN);
    }
}

#[path = "kafka/broker.rs"]
mod broker;
