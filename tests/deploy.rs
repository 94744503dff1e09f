//! What is in deploy/ and dashboards/grafana says what is true: configurations load, manifests render and name the ports, paths and
//! files that there are, rules and dashboards name metrics that there are.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Server;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory with one of these endings.
fn files(dir: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|ending| endings.contains(&&*ending.to_string_lossy())) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing in {dir}");
    found
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple::<Value>(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

#[test]
fn every_configuration_can_be_used() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("webhook");
    std::fs::write(&secret, "https://hooks.example.org/loghound").unwrap();
    for path in files("deploy", &["yaml"]).iter().filter(|path| path.ends_with("loghound.yaml")) {
        // The one thing that is read from a Secret.
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("/etc/loghound-receivers/webhook", &secret.to_string_lossy());
        let config = scratch.path().join("loghound.yaml");
        std::fs::write(&config, text).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["check-config", "--config", &config.to_string_lossy()])
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
    }
}

/// What `kubectl kustomize` makes of a directory; `None` where there is no kubectl.
fn rendered(dir: &str) -> Option<Vec<Value>> {
    let output = match Command::new("kubectl").arg("kustomize").arg(root().join("deploy/kubernetes").join(dir)).output()
    {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED rendering {dir}: cannot run kubectl: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{dir}: {}", String::from_utf8_lossy(&output.stderr));
    Some(documents(&String::from_utf8(output.stdout).unwrap()))
}

fn of_kind<'v>(objects: &'v [Value], kind: &str) -> Vec<&'v Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn manifests_render_and_fit_the_server() {
    let server = Server::start();
    for dir in ["base", "overlays/single-node", "overlays/production"] {
        let Some(objects) = rendered(dir) else { return };
        let [set] = of_kind(&objects, "StatefulSet")[..] else { panic!("{dir}: not one StatefulSet") };
        let pod = &set["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            assert_eq!(server.get(path).0, 200, "{dir}: {probe}");
        }
        // The ports are those of the configuration that is mounted.
        let [map] = of_kind(&objects, "ConfigMap")[..] else { panic!("{dir}: not one ConfigMap") };
        let config = &documents(map["data"]["loghound.yaml"].as_str().unwrap())[0];
        for (name, section) in [("beats", "beats"), ("http", "http")] {
            let ports = container["ports"].as_array().unwrap();
            let port = ports.iter().find(|port| port["name"] == name).unwrap();
            let listen = format!("0.0.0.0:{}", port["containerPort"]);
            assert_eq!(config[section]["listen"], listen, "{dir}");
        }
        for service in of_kind(&objects, "Service") {
            for port in service["spec"]["ports"].as_array().unwrap() {
                let ports = container["ports"].as_array().unwrap();
                assert!(ports.iter().any(|known| known["name"] == port["targetPort"]), "{dir}: {port}");
            }
            let labels = set["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
            for (key, value) in service["spec"]["selector"].as_object().unwrap() {
                assert_eq!(labels.get(key), Some(value), "{dir}: a Service selects no pod");
            }
        }
        // Whatever the configuration names is mounted, and what is written to is not the image.
        let mounts: Vec<&str> = container["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|mount| mount["mountPath"].as_str())
            .collect();
        let text = map["data"]["loghound.yaml"].as_str().unwrap();
        for word in text.split([' ', '\n', '}', '{', ',']).filter(|word| word.starts_with('/')) {
            assert!(mounts.iter().any(|mount| Path::new(word).starts_with(mount)), "{dir}: {word} is not mounted");
        }
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > loghound_stop_timeout(), "{dir}: killed before it has stopped");
    }
}

/// Seconds: the default, which no configuration here changes.
fn loghound_stop_timeout() -> u64 {
    let text = std::fs::read_to_string(root().join("deploy/loghound.yaml")).unwrap();
    let config = &documents(&text)[0];
    config["stop_timeout"].as_str().unwrap().trim_end_matches('s').parse().unwrap()
}

#[test]
fn filebeat_is_sent_to_the_service_that_there_is() {
    let Some(filebeat) = rendered("filebeat") else { return };
    let Some(base) = rendered("base") else { return };
    let [map] = of_kind(&filebeat, "ConfigMap")[..] else { panic!("not one ConfigMap") };
    let config = &documents(map["data"]["filebeat.yml"].as_str().unwrap())[0];
    let host = config["output.logstash"]["hosts"][0].as_str().unwrap();
    let services = of_kind(&base, "Service");
    let known = services.iter().any(|service| {
        let (name, namespace) = (&service["metadata"]["name"], &service["metadata"]["namespace"]);
        let port = &service["spec"]["ports"][0]["port"];
        host == format!("{}.{}.svc:{port}", name.as_str().unwrap(), namespace.as_str().unwrap())
    });
    assert!(known, "there is no Service {host}");
}

#[test]
fn every_file_can_be_read() {
    for path in files("deploy", &["yaml", "yml"]) {
        assert!(!documents(&std::fs::read_to_string(&path).unwrap()).is_empty(), "{}", path.display());
    }
    let rules = |path: &str| documents(&std::fs::read_to_string(root().join(path)).unwrap()).remove(0);
    let (plain, operators) =
        (rules("deploy/prometheus/rules.yaml"), rules("deploy/kubernetes/monitoring/prometheusrule.yaml"));
    assert_eq!(plain["groups"], operators["spec"]["groups"]);
    // Each alert has its page.
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    for rule in plain["groups"][0]["rules"].as_array().unwrap() {
        let heading = format!("\n## {}\n", rule["alert"].as_str().unwrap());
        assert!(runbook.contains(&heading), "docs/runbook.md has nothing on {heading}");
    }
}

/// Names of metrics in a text: `loghound_…`, without what histograms add.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("loghound_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn rules_and_dashboards_name_metrics_that_there_are() {
    let server = Server::start();
    let exposed = server.text("/metrics");
    // Those whose labels come with the first value have their name among the constants only.
    let constants = std::fs::read_to_string(root().join("src/telemetry/names.rs")).unwrap();
    let (exposed, named) = (metrics_in(&exposed), metrics_in(&constants));
    let mut files = files("dashboards/grafana", &["json"]);
    files.push(root().join("deploy/prometheus/rules.yaml"));
    for path in files {
        let used = metrics_in(&std::fs::read_to_string(&path).unwrap());
        assert!(used.len() > 3, "{}", path.display());
        for metric in used {
            assert!(exposed.contains(&metric) || named.contains(&metric), "{}: there is no {metric}", path.display());
        }
    }
    for path in self::files("dashboards/grafana", &["json"]) {
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str(), dashboard["uid"].as_str());
        let titles: BTreeSet<&str> =
            dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["title"].as_str()).collect();
        assert!(titles.len() >= 8, "{}", path.display());
    }
}
