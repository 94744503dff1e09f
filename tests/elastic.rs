//! The face that Elasticsearch's clients see: official clients, the requests that Grafana and Filebeat send, and kills
//! while documents arrive.

mod common;

use std::collections::HashMap;
use std::time::Duration;

use common::{Server, client, http, run_client};
use serde_json::{Value, json};

/// Status and answer of a POST of JSON.
fn post(server: &Server, path: &str, body: &str) -> (u16, Value) {
    let headers = "Content-Type: application/x-ndjson\r\n";
    let (status, body) = http::request(server.http, "POST", path, headers, body.as_bytes())
        .unwrap_or_else(|error| panic!("POST {path}: {error}\n{}", server.log()));
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn official_clients_load_search_and_load_again_after_a_kill() {
    let Some(client) = client("elastic") else { return };
    let mut server = Server::start();
    let url = format!("http://{}", server.http);
    for kind in ["elasticsearch", "opensearch"] {
        assert_eq!(run_client(&client, &[kind, &url, "use"]), "{\"documents\": 2001}");
        server.kill9();
        server.restart();
        assert_eq!(run_client(&client, &[kind, &url, "again"]), "{\"known\": 1000}");
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_once_and_known() {
    let mut server = Server::start();
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let body: String = (0..200)
            .map(|n| {
                format!(
                    "{{\"create\":{{\"_index\":\"k\",\"_id\":\"{round}-{n}\"}}}}\n{{\"message\":\"{round} {n}\"}}\n"
                )
            })
            .collect();
        let (status, answer) = post(&server, "/_bulk", &body);
        assert_eq!((status, &answer["errors"]), (200, &json!(false)), "{answer}");
        acknowledged.push(body);
        // At once: nothing of it is in a shard yet, or some of it is.
        if round % 2 == 1 {
            server.kill9();
            server.restart();
        }
    }
    for body in &acknowledged {
        let (_, answer) = post(&server, "/_bulk?refresh=true", body);
        let items = answer["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item["create"]["status"] == 409), "{answer}");
    }
    let (_, answer) = post(&server, "/k/_count", "");
    assert_eq!(answer["count"], 1600, "{answer}");
}

#[test]
fn json_lines_are_taken_and_bad_ones_named() {
    let server = Server::start();
    let lines =
        "{\"_time\":\"2026-03-01T12:00:00Z\",\"_msg\":\"first\"}\nnot json\n{\"ts\":1772366401,\"line\":\"second\"}\n";
    let (status, answer) =
        post(&server, "/insert/jsonline?refresh=true&_time_field=_time,ts&_msg_field=_msg,line", lines);
    assert_eq!(
        (status, &answer["accepted"], &answer["rejected"], &answer["errors"][0]["line"]),
        (200, &json!(2), &json!(1), &json!(2))
    );
    let records: HashMap<String, String> = server
        .records("*")
        .iter()
        .map(|r| (r["message"].as_str().unwrap().to_owned(), r["@timestamp"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(records["first"], "2026-03-01T12:00:00.000Z");
    assert_eq!(records["second"], "2026-03-01T12:00:01.000Z");
    assert_eq!(post(&server, "/insert/jsonline", "nonsense").0, 400);
    assert_eq!(post(&server, "/insert/jsonline?nope=1", "{}").0, 400);
}

/// What Grafana's data source sends, as its query editor makes it.
#[test]
fn grafana_is_answered() {
    // Old days are days like others where all are kept.
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("loghound.yaml");
    std::fs::write(&config, "store: {retention: 0d}\n").unwrap();
    let server = Server::start_with(None, &["--config", config.to_str().unwrap()]);
    let body: String = (0..120)
        .map(|n| {
            let at = 1_772_366_400_000_i64 + n * 1_000;
            let host = if n % 3 == 0 { "a" } else { "b" };
            format!("{{\"create\":{{}}}}\n{{\"@timestamp\":{at},\"host\":{{\"name\":\"{host}\"}},\"took\":{n},\"message\":\"line {n}\"}}\n")
        })
        .collect();
    assert_eq!(post(&server, "/_bulk?refresh=true", &body).1["errors"], json!(false));
    let (status, health) = server.get("/_cluster/health?wait_for_status=yellow");
    assert_eq!((status, &health["status"]), (200, &json!("green")));
    let (status, mapping) = server.get("/loghound-2026.03.01/_mapping");
    assert_eq!(status, 200);
    assert_eq!(mapping["loghound-2026.03.01"]["mappings"]["properties"]["@timestamp"]["type"], "date");
    assert_eq!(server.get("/loghound-2026.02.28/_mapping").0, 404);
    let (_, caps) = server.get("/loghound-*/_field_caps?fields=@timestamp");
    assert_eq!(caps["fields"]["@timestamp"]["date"]["aggregatable"], true);

    let head = json!({"search_type": "query_then_fetch", "ignore_unavailable": true, "index": ["loghound-2026.03.01"]});
    let filter = json!([
        {"range": {"@timestamp": {"gte": 1_772_366_400_000_i64, "lte": 1_772_366_459_999_i64, "format": "epoch_millis"}}},
        {"query_string": {"analyze_wildcard": true, "query": "message:line"}},
    ]);
    let metrics = json!({"size": 0, "query": {"bool": {"filter": filter}}, "aggs": {"2": {
        "terms": {"field": "host.name", "size": 10, "order": {"1": "desc"}, "min_doc_count": 1},
        "aggs": {"1": {"avg": {"field": "took"}}, "3": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": "30s", "min_doc_count": 0, "format": "epoch_millis",
                "extended_bounds": {"min": 1_772_366_400_000_i64, "max": 1_772_366_459_999_i64}},
            "aggs": {"1": {"avg": {"field": "took"}}},
        }},
    }}});
    let logs = json!({"size": 5, "query": {"bool": {"filter": filter}}, "script_fields": {}, "docvalue_fields": ["@timestamp"],
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}],
        "highlight": {"fields": {"*": {}}, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2147483647}});
    let broken = json!({"size": 0, "query": {"percolate": {}}});
    let request: String = [&metrics, &logs, &broken].iter().map(|body| format!("{head}\n{body}\n")).collect();
    let (status, answer) = post(&server, "/_msearch?max_concurrent_shard_requests=5", &request);
    assert_eq!(status, 200, "{answer}");
    let responses = &answer["responses"];
    let hosts = responses[0]["aggregations"]["2"]["buckets"].as_array().unwrap();
    let shown: Vec<_> = hosts.iter().map(|host| (&host["key"], &host["doc_count"], &host["1"]["value"])).collect();
    assert_eq!(shown, [(&json!("b"), &json!(40), &json!(30.0)), (&json!("a"), &json!(20), &json!(28.5))]);
    let steps = hosts[0]["3"]["buckets"].as_array().unwrap();
    assert_eq!(
        steps.iter().map(|step| step["key"].as_i64().unwrap()).collect::<Vec<_>>(),
        [1_772_366_400_000, 1_772_366_430_000]
    );
    let hits = responses[1]["hits"]["hits"].as_array().unwrap();
    assert_eq!((&responses[1]["status"], hits.len(), &hits[0]["_source"]["took"]), (&json!(200), 5, &json!(59)));
    assert_eq!(
        (&hits[0]["sort"][0], &hits[0]["_index"]),
        (&json!(1_772_366_459_000_i64), &json!("loghound-2026.03.01"))
    );
    assert_eq!(responses[2]["status"], 400);
    assert!(responses[2]["error"]["reason"].as_str().unwrap().contains("percolate"));
}

/// What Filebeat's output.elasticsearch asks before it sends, and what it reads of the answer.
#[test]
fn filebeat_is_answered() {
    let server = Server::start();
    let (_, ping) = server.get("/");
    assert_eq!(ping["version"]["number"], "8.17.0");
    assert_eq!(server.get("/_license").1["license"]["status"], "active");
    for path in ["/_index_template/filebeat-8.17.0", "/_ilm/policy/filebeat", "/_ingest/pipeline/filebeat-x"] {
        let (status, answer) = http::request(server.http, "PUT", path, "", b"{}").unwrap();
        assert_eq!(
            (status, serde_json::from_slice::<Value>(&answer).unwrap()),
            (200, json!({"acknowledged": true})),
            "{path}"
        );
    }
    let event = |offset: u64| {
        json!({"@timestamp": "2026-03-01T12:00:00.000Z", "agent": {"name": "node-1"}, "message": format!("line {offset}"),
            "log": {"offset": offset, "file": {"path": "/var/log/containers/a_b_c-0123.log"}}})
    };
    let body: String =
        (0..50).map(|n| format!("{{\"create\":{{\"_index\":\"filebeat-8.17.0\"}}}}\n{}\n", event(n))).collect();
    for _ in 0..2 {
        let path = "/_bulk?refresh=true&filter_path=errors%2Citems.%2A.error%2Citems.%2A.status";
        let (status, answer) = post(&server, path, &body);
        let items = vec![json!({"create": {"status": 201}}); 50];
        assert_eq!((status, answer), (200, json!({"errors": false, "items": items})));
    }
    server.wait_for_lines(
        "agent.name:node-1",
        &(0..50).map(|n| format!("line {n}")).collect::<Vec<_>>(),
        Duration::from_secs(10),
    );
}
