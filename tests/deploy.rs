//! What is under `deploy/` is true: configurations can be used, commands parse, ports and probes are the program's own, the
//! plain manifests are the chart's. Whether Kubernetes and Prometheus take them is `make check-deploy`.

mod common;
mod fake;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use loghound::config::TokenSecret;
use serde_json::Value as Json;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The YAML files below `dir`; the chart's templates are none before they are rendered.
fn yaml(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&deploy().join(dir), &mut found);
    found.retain(|path| path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml"));
    found.retain(|path| !path.components().any(|part| part.as_os_str() == "templates"));
    found.sort();
    assert!(!found.is_empty(), "nothing below {dir}");
    found
}

fn documents(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// All objects of a kind in the plain manifests, with the file each is in.
fn objects(kind: &str) -> Vec<(PathBuf, Json)> {
    let all = yaml("kubernetes").into_iter().flat_map(|path| {
        let of_path = documents(&path);
        of_path.into_iter().map(move |document| (path.clone(), document))
    });
    let found: Vec<_> = all.filter(|(_, document)| document["kind"] == kind).collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found
}

fn strings(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_file_is_yaml() {
    for dir in ["docker", "kubernetes", "helm"] {
        for path in yaml(dir) {
            assert!(!documents(&path).is_empty(), "{} is empty", path.display());
        }
    }
}

#[test]
fn every_configuration_can_be_used() {
    let shipped: Vec<_> =
        yaml(".").into_iter().filter(|path| path.file_name().is_some_and(|n| n == "loghound.yaml")).collect();
    assert!(shipped.len() >= 5, "{shipped:?}");
    // Certificates and tokens are where a Secret puts them: here, in a directory of ours.
    let secrets = tempfile::tempdir().unwrap();
    let made = common::Certificates::write(secrets.path());
    for dir in ["beats-tls", "http-tls", "tokens"] {
        std::fs::create_dir(secrets.path().join(dir)).unwrap();
        for (name, from) in [("tls.crt", &made.server.0), ("tls.key", &made.server.1), ("ca.crt", &made.ca)] {
            std::fs::copy(from, secrets.path().join(dir).join(name)).unwrap();
        }
    }
    for name in ["admin", "metrics"] {
        std::fs::write(secrets.path().join("tokens").join(name), format!("lh_{}", name.repeat(8))).unwrap();
    }
    let copy = secrets.path().join("loghound.yaml");
    for path in shipped {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&copy, text.replace("/etc/loghound/", &format!("{}/", secrets.path().display()))).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["check-config", "--config"])
            .arg(&copy)
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn what_containers_run_are_commands_of_this_program() {
    let (_, server) = objects("StatefulSet").remove(0);
    let (_, train) = objects("CronJob").remove(0);
    let mut commands = vec![
        strings(&server["spec"]["template"]["spec"]["containers"][0]["args"]),
        strings(&train["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]),
    ];
    let dockerfile = std::fs::read_to_string(deploy().join("docker/Dockerfile")).unwrap();
    for line in dockerfile.lines() {
        if let Some((_, list)) = line.split_once("CMD ") {
            let words: Vec<String> = serde_json::from_str(list).unwrap();
            commands.push(words.into_iter().filter(|word| word != "/usr/bin/loghound").collect());
        }
    }
    assert_eq!(commands.len(), 4, "{commands:?}");
    for words in commands {
        let words = words.iter().map(|word| word.replace("$(POD_NAME)", "loghound-train-29384023-x7k2p"));
        let words: Vec<String> = std::iter::once("loghound".to_owned()).chain(words).collect();
        loghound::cli::Cli::try_parse_from(&words).unwrap_or_else(|err| panic!("{words:?}: {err}"));
    }
}

/// Where a system has no authorities nothing that speaks HTTPS starts, receivers of alerts among it; what speaks HTTP does.
#[test]
fn the_image_has_the_authorities_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let without = |server: &str| {
        let asked = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["ready", "--server", server])
            .env("SSL_CERT_FILE", dir.path().join("none.pem"))
            .env("SSL_CERT_DIR", dir.path())
            .output();
        String::from_utf8_lossy(&asked.unwrap().stderr).into_owned()
    };
    let said = without("https://127.0.0.1:1");
    assert!(said.contains("No CA certificates"), "they are needed no more, so the image need not have them:\n{said}");
    let said = without("http://127.0.0.1:1");
    assert!(said.contains("nothing answers at"), "{said}");
    let dockerfile = std::fs::read_to_string(deploy().join("docker/Dockerfile")).unwrap();
    let (_, last) = dockerfile.rsplit_once("\nFROM ").unwrap();
    assert!(last.contains(" /etc/ssl/certs/ca-certificates.crt\n"), "the last stage has none:\nFROM {last}");
}

#[test]
fn ports_are_those_that_the_configurations_open() {
    let (_, server) = objects("StatefulSet").remove(0);
    let ports = |list: &Json, member: &str| -> Vec<(String, u64)> {
        let port = |port: &Json| (port["name"].as_str().unwrap().to_owned(), port[member].as_u64().unwrap());
        list.as_array().unwrap().iter().map(port).collect()
    };
    let open = ports(&server["spec"]["template"]["spec"]["containers"][0]["ports"], "containerPort");
    assert_eq!(open, [("beats".to_owned(), 5044), ("http".to_owned(), 8044)]);
    for (path, service) in objects("Service") {
        for (port, target) in ports(&service["spec"]["ports"], "port")
            .iter()
            .zip(service["spec"]["ports"].as_array().unwrap().iter().map(|port| port["targetPort"].as_str().unwrap()))
        {
            assert!(open.contains(port) && port.0 == target, "{}: {port:?} to {target}", path.display());
        }
    }
    for path in yaml(".").into_iter().filter(|path| path.file_name().is_some_and(|n| n == "loghound.yaml")) {
        if path.parent() == Some(&deploy()) {
            continue;
        }
        let config = loghound::config::load(Some(&path), [], &[]).unwrap();
        let listens = [config.beats.listen, config.http.listen].map(|addr| addr.to_string());
        assert_eq!(listens, ["0.0.0.0:5044", "0.0.0.0:8044"], "{}", path.display());
    }
}

#[test]
fn volumes_hold_what_the_configurations_name() {
    let (_, server) = objects("StatefulSet").remove(0);
    let mounts = server["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].as_array().unwrap();
    let mounted = |path: &Path| mounts.iter().any(|m| m["mountPath"].as_str() == path.to_str());
    let base = loghound::config::load(Some(&deploy().join("kubernetes/base/loghound.yaml")), [], &[]).unwrap();
    assert!(mounted(&base.data_dir), "{}", base.data_dir.display());
    assert!(mounted(base.store.warm_dir.as_ref().unwrap()));
    let production = deploy().join("kubernetes/overlays/production/loghound.yaml");
    let production = loghound::config::load(Some(&production), [], &[]).unwrap();
    let patch = std::fs::read_to_string(deploy().join("kubernetes/overlays/production/loghound-patch.yaml")).unwrap();
    let tokens = production.http.tokens.into_iter().map(|token| match token.secret {
        TokenSecret::File(path) => path,
        TokenSecret::Sha256(_) => panic!("{}: a hash is no Secret's", token.name),
    });
    let (beats, http) = (production.beats.tls, production.http.tls);
    let files = [beats.certificate, beats.key, beats.client_ca, http.certificate, http.key];
    for file in files.into_iter().map(Option::unwrap).chain(tokens) {
        let dir = file.parent().unwrap().to_str().unwrap().to_owned();
        assert!(patch.contains(&format!("mountPath: {dir},")), "{} is not mounted", file.display());
    }
}

#[test]
fn stopping_takes_less_time_than_it_is_given() {
    let (_, server) = objects("StatefulSet").remove(0);
    let pod = &server["spec"]["template"]["spec"];
    let pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    for path in yaml("kubernetes").into_iter().filter(|path| path.file_name().is_some_and(|n| n == "loghound.yaml")) {
        let stop = loghound::config::load(Some(&path), [], &[]).unwrap().stop_timeout.as_secs();
        assert!(pause + stop < given, "{}: {pause} + {stop} s of {given}", path.display());
    }
}

#[tokio::test]
async fn probes_are_answered() {
    let (_, server) = objects("StatefulSet").remove(0);
    let container = &server["spec"]["template"]["spec"]["containers"][0];
    let at = fake::server();
    let mut paths: Vec<String> = ["startupProbe", "livenessProbe", "readinessProbe"]
        .iter()
        .map(|probe| container[*probe]["httpGet"]["path"].as_str().unwrap().to_owned())
        .collect();
    let (_, monitor) = objects("ServiceMonitor").remove(0);
    paths.push(monitor["spec"]["endpoints"][0]["path"].as_str().unwrap().to_owned());
    for path in paths {
        let answer = reqwest::get(format!("http://{at}{path}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    // The image's health check is the same question.
    let server = format!("http://{at}");
    let ready = tokio::task::spawn_blocking(move || {
        let loghound = || Command::new(env!("CARGO_BIN_EXE_loghound"));
        let ready = loghound().args(["ready", "--server", &server]).output().unwrap();
        // Port 1 is nobody's.
        (ready, loghound().args(["ready", "--server", "http://127.0.0.1:1"]).output().unwrap())
    });
    let (ready, absent) = ready.await.unwrap();
    assert_eq!((ready.status.code(), ready.stdout.as_slice()), (Some(0), b"ready\n".as_slice()));
    assert_eq!(absent.status.code(), Some(1));
}

#[test]
fn kustomizations_name_files_that_are_there() {
    for (path, kustomization) in objects("Kustomization").into_iter().chain(objects("Component")) {
        let dir = path.parent().unwrap();
        let mut named: Vec<String> =
            ["resources", "components"].iter().flat_map(|k| strings(&kustomization[*k])).collect();
        for patch in kustomization["patches"].as_array().into_iter().flatten() {
            named.push(patch["path"].as_str().unwrap().to_owned());
        }
        for map in kustomization["configMapGenerator"].as_array().into_iter().flatten() {
            named.extend(strings(&map["files"]));
        }
        assert!(!named.is_empty(), "{}", path.display());
        for name in named {
            assert!(dir.join(&name).exists(), "{}: there is no {name}", path.display());
        }
    }
}

#[test]
fn the_plain_manifests_are_what_the_chart_renders() {
    let helm = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
    if Command::new(&helm).arg("version").output().is_err() {
        eprintln!("SKIPPED: helm is not installed (or set HELM); make check-deploy gets one");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rendered = Command::new(deploy().join("render")).arg(dir.path()).env("HELM", &helm).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let mut fresh = Vec::new();
    files(dir.path(), &mut fresh);
    assert!(fresh.len() >= 8, "{fresh:?}");
    for path in fresh {
        let kept = deploy().join("kubernetes").join(path.strip_prefix(dir.path()).unwrap());
        let [now, then] = [&path, &kept].map(|path| std::fs::read_to_string(path).unwrap());
        assert_eq!(now, then, "{} differs from the chart: run deploy/render", kept.display());
    }
}

/// Metrics that exist once something has happened: nobody has labelled an anomaly of a fresh server.
const LATER: [&str; 2] =
    [loghound::telemetry::names::DETECT_FEEDBACK.name, loghound::telemetry::names::DETECT_PRECISION.name];

/// Every PromQL expression of dashboards and rules, with the file it is in.
fn expressions() -> Vec<(PathBuf, String)> {
    fn inside(value: &Json, found: &mut Vec<String>) {
        match value {
            Json::Object(members) => {
                for (name, value) in members {
                    match value {
                        Json::String(text) if name == "expr" || name == "query" || name == "definition" => {
                            found.push(text.clone());
                        }
                        value => inside(value, found),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| inside(item, found)),
            _ => {}
        }
    }
    let dashboards = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana");
    let mut all = vec![deploy().join("helm/loghound/files/rules.yaml")];
    files(&dashboards, &mut all);
    assert!(all.len() >= 5, "{all:?}");
    let of_file = |path: PathBuf| {
        let mut found = Vec::new();
        documents(&path).iter().for_each(|document| inside(document, &mut found));
        assert!(!found.is_empty(), "{} asks nothing", path.display());
        found.into_iter().map(move |expr| (path.clone(), expr))
    };
    all.into_iter().flat_map(of_file).collect()
}

/// Labels, and the values that each may have.
type Matchers = Vec<(String, Vec<String>)>;

/// What stands in an expression's selectors: a metric and its matchers of the form `label="a"` or `label=~"a|b"`.
fn selectors(expression: &str) -> Vec<(String, Matchers)> {
    let selector = regex::Regex::new(r#"((?:loghound|process)_[a-z0-9_]+)(?:\{([^}]*)\})?"#).unwrap();
    let matcher = regex::Regex::new(r#"([a-z_]+)!?=~?"([^"]*)""#).unwrap();
    let of = |found: regex::Captures<'_>| {
        let matchers = found.get(2).map_or("", |m| m.as_str());
        let values =
            matcher.captures_iter(matchers).map(|m| (m[1].to_owned(), m[2].split('|').map(str::to_owned).collect()));
        (found[1].to_owned(), values.collect())
    };
    selector.captures_iter(expression).map(of).collect()
}

#[test]
fn dashboards_and_rules_ask_for_what_a_running_server_has() {
    let server = common::Server::start();
    let metrics = server.text("/metrics");
    // What Prometheus adds itself, or Grafana fills in.
    let added = ["job", "instance", "le"];
    let mut asked = std::collections::BTreeSet::new();
    for (path, expression) in expressions() {
        for (metric, matchers) in selectors(&expression) {
            asked.insert(metric.clone());
            if LATER.contains(&metric.as_str()) {
                continue;
            }
            let samples: Vec<&str> = metrics
                .lines()
                .filter(|line| line.strip_prefix(metric.as_str()).is_some_and(|rest| rest.starts_with(['{', ' '])))
                .collect();
            assert!(!samples.is_empty(), "{}: there is no metric {metric}\n{expression}", path.display());
            for (label, values) in matchers.iter().filter(|(label, _)| !added.contains(&label.as_str())) {
                for value in values {
                    let pair = format!("{label}=\"{value}\"");
                    assert!(samples.iter().any(|s| s.contains(&pair)), "{}: no {metric} has {pair}", path.display());
                }
            }
        }
    }
    // And what there is can be seen somewhere.
    let kept: std::collections::BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE loghound_")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "histogram" => format!("loghound_{name}_bucket"),
            _ => format!("loghound_{name}"),
        })
        .collect();
    let unseen: Vec<_> = kept.difference(&asked).collect();
    let expected = [
        "loghound_decode_events_recovered_total",
        "loghound_ingest_batches_total",
        "loghound_ingest_connections_opened_total",
        "loghound_parse_templates_joined_total",
    ];
    assert_eq!(unseen, expected.iter().collect::<Vec<_>>(), "metrics that no dashboard and no rule shows");
}

#[test]
fn every_alert_has_a_runbook_and_a_test() {
    let rules = documents(&deploy().join("helm/loghound/files/rules.yaml")).remove(0);
    let tested = std::fs::read_to_string(deploy().join("prometheus/rules_test.yaml")).unwrap();
    let mut pages = Vec::new();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"));
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert_eq!(rule["annotations"]["runbook"], format!("docs/runbooks/{name}.md"));
        let text = std::fs::read_to_string(docs.join(format!("docs/runbooks/{name}.md")));
        let text = text.unwrap_or_else(|err| panic!("docs/runbooks/{name}.md: {err}"));
        for section in ["# ", "## What it means", "## Look", "## Do"] {
            assert!(text.contains(section), "{name} says nothing under {section:?}");
        }
        assert!(tested.contains(&format!("alertname: {name}\n")), "{name} is not in rules_test.yaml");
        pages.push(format!("{name}.md"));
    }
    for page in std::fs::read_dir(docs.join("docs/runbooks")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        assert!(pages.contains(&name) || name == "README.md", "{name} belongs to no alert");
    }
}
