//! The pages under `docs/` keep their word. What stands between fences is run or read by what it is for:
//!
//! | fence | what is done |
//! |---|---|
//! | `query` | each line is asked of a day of demo traffic and must find something; behind `# none:` it may find nothing |
//! | `query wrong` | a query, a blank line, and what the program says of it, to the letter |
//! | `sh` | each line runs, in order, in a directory with the page's files, against that server, and must succeed |
//! | `sh elsewhere` | for machines that a test has not: commands of loghound must at least parse |
//! | `yaml loghound FILE` | `check-config` takes it |
//! | `yaml grammar FILE` | it loads, which proves its samples |
//! | `yaml job FILE` | it is a job |
//! | `yaml filebeat FILE` | YAML with inputs or an output that loghound takes |
//! | `yaml helm` | keys that the chart has |
//! | `text FILE` | a file that commands of the page want |
//! | `text` · `ruby` · `json` | for people: output, and what others' configurations look like |

mod common;
mod pages;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clap::Parser;
use pages::{Block, blocks, page, root, shell_words};
use serde_json::Value as Json;

/// A day of sample traffic, and what serves it. Kinds of lines that are asked for come in a day of so many.
struct Demo {
    process: Child,
    server: String,
    beats: String,
}

const LINES: &str = "40000";

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(["demo", "--http", "127.0.0.1:0", "--lines", LINES])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut demo = Self { process, server: String::new(), beats: String::new() };
        for line in output.lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("http   listening on ") {
                demo.server = format!("http://{address}");
            }
            if let Some(address) = line.strip_prefix("beats  listening on ") {
                address.clone_into(&mut demo.beats);
            }
            if line.starts_with("demo: ") {
                demo.wait_until_there();
                return demo;
            }
        }
        panic!("the demo ended before its day was in");
    }

    /// The last lines of the day are searchable with the next commit.
    fn wait_until_there(&self) {
        let address = self.server.trim_start_matches("http://").parse().unwrap();
        common::eventually(std::time::Duration::from_secs(60), || {
            let (_, body) = common::http::get(address, "/api/v1/search?limit=1").map_err(|err| err.to_string())?;
            let answer: Json = serde_json::from_slice(&body).map_err(|err| err.to_string())?;
            let total = answer["total"].as_u64().unwrap_or_default();
            if total >= LINES.parse().unwrap() { Ok(()) } else { Err(format!("{total} records are there")) }
        });
    }

    /// loghound, pointed here.
    fn loghound(&self, arguments: &[String], directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loghound"));
        let arguments = arguments.iter().map(|word| word.replace("127.0.0.1:5044", &self.beats));
        command.args(arguments).env("LOGHOUND_SERVER", &self.server).current_dir(directory);
        command
    }

    fn curl(&self, arguments: &[String], directory: &Path) -> Command {
        let address = self.server.trim_start_matches("http://");
        let mut command = Command::new("curl");
        command.args(["--silent", "--fail-with-body", "--noproxy", "*"]).current_dir(directory);
        command.args(arguments.iter().map(|word| word.replace("localhost:8044", address)));
        command
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        self.process.wait().ok();
    }
}

fn pages() -> Vec<(String, Vec<Block>)> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    names.into_iter().map(|name| (format!("docs/{name}"), blocks(&page(format!("docs/{name}"))))).collect()
}

/// Every block of every page, with where it stands.
fn each_block(mut visit: impl FnMut(&str, &Block)) {
    for (name, blocks) in pages() {
        for block in &blocks {
            visit(&format!("{name}:{}", block.line), block);
        }
    }
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let kinds: &[&[&str]] = &[
        &["query"],
        &["sh"],
        &["yaml", "loghound"],
        &["yaml", "grammar"],
        &["yaml", "job"],
        &["yaml", "filebeat"],
        &["yaml", "helm"],
        &["text"],
        &["ruby"],
        &["json"],
    ];
    let mut seen = BTreeSet::new();
    each_block(|place, block| {
        let kind = kinds.iter().find(|kind| block.is(kind));
        seen.insert(kind.unwrap_or_else(|| panic!("{place}: nobody checks a block marked {:?}", block.marks)));
    });
    assert!(seen.len() >= 6, "the pages have blocks of few kinds: {seen:?}");
}

#[test]
fn grammars_do_what_their_samples_show() {
    let mut names = Vec::new();
    each_block(|place, block| {
        if block.is(&["yaml", "grammar"]) {
            let grammar = loghound::parse::load(&block.text).unwrap_or_else(|err| panic!("{place}: {err}"));
            names.push(grammar.name.to_string());
        }
    });
    assert!(!names.is_empty());
}

#[test]
fn what_filebeat_is_given_is_what_loghound_takes() {
    each_block(|place, block| {
        if !block.is(&["yaml", "filebeat"]) {
            return;
        }
        let yaml: Json = serde_saphyr::from_str(&block.text).unwrap_or_else(|err| panic!("{place}: {err}"));
        let known = [
            "filebeat.inputs",
            "processors",
            "output.logstash",
            "output.elasticsearch",
            "setup.template.enabled",
            "setup.ilm.enabled",
        ];
        for key in yaml.as_object().unwrap().keys() {
            assert!(known.contains(&key.as_str()), "{place}: {key}");
        }
        if let Some(hosts) = yaml.get("output.elasticsearch").map(|output| &output["hosts"]) {
            assert!(hosts[0].as_str().unwrap().contains("8044"), "{place}: {hosts}");
        }
    });
}

#[test]
fn what_the_chart_is_given_is_what_it_has() {
    fn known(given: &Json, has: &Json, place: &str) {
        let Some(given) = given.as_object() else { return };
        for (key, value) in given {
            let there = has.get(key).unwrap_or_else(|| panic!("{place}: the chart has no {key}"));
            known(value, there, &format!("{place}: {key}"));
        }
    }
    let values: Json = serde_saphyr::from_str(&page("deploy/helm/loghound/values.yaml")).unwrap();
    each_block(|place, block| {
        if block.is(&["yaml", "helm"]) {
            known(&serde_saphyr::from_str(&block.text).unwrap(), &values, place);
        }
    });
}

/// Keys of the configuration that a page names are keys.
#[test]
fn keys_named_are_keys() {
    let keys: BTreeSet<&str> = loghound::config::keys().iter().map(|key| key.name).collect();
    let rooms = ["beats", "http", "journal", "store", "templates", "detect", "alert", "log", "kafka"];
    for (name, _) in pages() {
        let text = page(&name);
        for code in text.split('`').skip(1).step_by(2) {
            let is_key = code.split_once('.').is_some_and(|(room, rest)| {
                rooms.contains(&room) && rest.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'))
            });
            let known = keys.iter().any(|key| *key == code || key.starts_with(&format!("{code}.")));
            // Fields of records begin like some keys.
            assert!(!is_key || known || FIELDS.contains(&code), "{name}: there is no key {code}");
        }
    }
}

const FIELDS: [&str; 6] =
    ["http.response.status_code", "log.level", "log.offset", "log.file.path", "log.logger", "kafka.inputs"];

/// What a page says that the program says, the program says: in headings and in running text that is a whole message.
#[test]
fn messages_shown_are_in_the_source() {
    fn source(directory: &Path, into: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                source(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // A string that goes on in the next line is one.
                let text = std::fs::read_to_string(path).unwrap();
                let mut pieces = text.split("\\\n");
                into.push_str(pieces.next().unwrap_or_default());
                pieces.for_each(|piece| into.push_str(piece.trim_start()));
            }
        }
    }
    let mut all = String::new();
    source(&root().join("src"), &mut all);
    let text = page("docs/troubleshooting.md");
    let mut checked = 0;
    for line in text.lines() {
        for code in line.split('`').skip(1).step_by(2) {
            // What others say stands in headings that name them; commands, keys and values are no messages.
            let ours = !line.contains("Filebeat says") && !code.starts_with("loghound ");
            let parts = code.split('…').map(str::trim).filter(|part| part.split(' ').count() >= 4);
            for part in parts.filter(|_| ours) {
                assert!(all.contains(part), "docs/troubleshooting.md: nothing in the program says {part:?}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 15, "only {checked} messages were found to check");
}

#[test]
fn what_is_said_of_wrong_queries_is_said() {
    each_block(|place, block| {
        if block.is(&["query", "wrong"]) {
            let (query, said) = block.text.split_once("\n\n").unwrap();
            let error = loghound::query::pipes::parse_pipeline(query).map(drop).unwrap_err();
            assert_eq!(error.render(query), said.trim_end(), "{place}");
        }
    });
}

#[test]
fn commands_for_other_machines_parse() {
    let others = ["kubectl", "helm", "systemctl", "filebeat", "sudo", "docker", "make", "cp", "export", "rsync"];
    each_block(|place, block| {
        if !block.is(&["sh", "elsewhere"]) {
            return;
        }
        for line in block.lines() {
            let words = shell_words(&line);
            match words.first().map(String::as_str) {
                None => {}
                Some("loghound") => {
                    loghound::cli::Cli::try_parse_from(&words).unwrap_or_else(|err| panic!("{place}: {line}: {err}"));
                }
                Some("make") => {
                    let makefile = page("Makefile");
                    let exists = words[1..].iter().all(|target| makefile.contains(&format!("\n{target}:")));
                    assert!(exists, "{place}: {line}: no such target");
                }
                Some(program) => assert!(others.contains(&program), "{place}: nobody checks {program}"),
            }
        }
    });
}

/// SECURITY.md names what stands behind each row: files that are there, and tests that are in them.
#[test]
fn tests_named_are_there() {
    fn has_test(path: &Path, name: &str) -> bool {
        if path.is_dir() {
            return std::fs::read_dir(path).unwrap().any(|entry| has_test(&entry.unwrap().path(), name));
        }
        std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {name}(")))
    }
    let text = page("SECURITY.md");
    let mut named = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let mut file = None;
        for code in row.rsplit(" | ").next().unwrap_or_default().split('`').skip(1).step_by(2) {
            if code.starts_with("tests/") || code.starts_with("src/") || code == "deny.toml" {
                assert!(root().join(code).exists(), "SECURITY.md: there is no {code}");
                file = Some(root().join(code));
            } else if code.contains('_') {
                let file = file.as_deref().unwrap_or_else(|| panic!("SECURITY.md: {code} is in no file"));
                assert!(has_test(file, code), "SECURITY.md: no {code} in {}", file.display());
                named += 1;
            }
        }
    }
    assert!(named >= 12, "only {named} tests are named");
}

/// Links lead to what is there: pages, files, and headings within pages.
#[test]
fn links_lead_somewhere() {
    let anchor = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    for (name, _) in pages() {
        let text = page(&name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&name) } else { root().join("docs").join(path) };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            if !heading.is_empty() {
                let there = page(target).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(there, "{name}: {link}: no such heading");
            }
        }
    }
}

#[test]
fn pages_are_answered_by_a_server() {
    let demo = Demo::start();
    let mut wrong = Vec::new();
    for (name, blocks) in pages() {
        let directory = tempfile::tempdir().unwrap();
        for block in &blocks {
            let file = if block.is(&["text"]) { block.marks.get(1) } else { block.marks.get(2) };
            if let Some(file) = file {
                let file = directory.path().join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, &block.text).unwrap();
            }
        }
        for block in &blocks {
            let place = format!("{name}:{}", block.line);
            if let Err(what) = answered(&demo, block, directory.path()) {
                wrong.push(format!("{place}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} blocks do not hold:\n{}", wrong.len(), wrong.join("\n"));
}

fn answered(demo: &Demo, block: &Block, directory: &Path) -> Result<(), String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if block.is(&["yaml", "loghound"]) {
        let file = directory.join("checked.yaml");
        std::fs::write(&file, &block.text).map_err(|err| err.to_string())?;
        succeeds(&mut demo.loghound(&words(&["check-config", "--config", "checked.yaml"]), directory))?;
    } else if block.is(&["yaml", "job"]) {
        let file = block.marks.get(2).ok_or("the job has no file's name")?;
        succeeds(&mut demo.loghound(&words(&["jobs", "put", file]), directory))?;
    } else if block.is(&["query"]) && !block.is(&["query", "wrong"]) {
        for line in block.lines() {
            let none = line.strip_prefix("# none:");
            let query = none.unwrap_or(&line).trim();
            let arguments = words(&["query", query, "--limit", "3", "--output", "ndjson"]);
            let found = succeeds(&mut demo.loghound(&arguments, directory))?;
            if found.trim().is_empty() && none.is_none() {
                return Err(format!("{query} finds nothing"));
            }
        }
    } else if block.is(&["sh"]) && !block.is(&["sh", "elsewhere"]) {
        for line in block.lines() {
            let words = shell_words(&line);
            match words.first().map(String::as_str) {
                None => {}
                Some("loghound") => _ = succeeds(&mut demo.loghound(&words[1..], directory))?,
                Some("curl") => _ = succeeds(&mut demo.curl(&words[1..], directory))?,
                Some(other) => return Err(format!("nobody runs {other}: mark the block `sh elsewhere`")),
            }
        }
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|err| format!("{command:?}: {err}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{:?}: {}", command.get_args().collect::<Vec<_>>(), String::from_utf8_lossy(&said)))
}
