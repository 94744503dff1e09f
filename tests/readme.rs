//! The README keeps its word: every command in it parses, every make target exists, every curl is answered.
//!
//! Blocks marked `sh` hold commands, one a line; all other blocks are something else (output, configuration).

mod fake;
mod pages;

use std::path::Path;
use std::process::Command;

use clap::Parser;
use pages::{blocks, page, shell_words};

fn readme() -> String {
    page("README.md")
}

/// The commands of all `sh` blocks, as a shell would split them.
fn commands() -> Vec<Vec<String>> {
    let blocks = blocks(&readme());
    let lines = blocks.iter().filter(|block| block.is(&["sh"])).flat_map(pages::Block::lines);
    lines.map(|line| shell_words(&line)).collect()
}

fn of(program: &str) -> Vec<Vec<String>> {
    let found: Vec<_> = commands().into_iter().filter(|words| words[0] == program).collect();
    assert!(!found.is_empty(), "the README shows no {program} command");
    found
}

#[test]
fn words_split_as_a_shell_does() {
    for (line, words) in [
        ("a  b", vec!["a", "b"]),
        (r#"q 'x "y" z' """#, vec!["q", r#"x "y" z"#, ""]),
        (r#"q a'b c'd"#, vec!["q", "ab cd"]),
        ("q a#b  # what it does", vec!["q", "a#b"]),
    ] {
        assert_eq!(shell_words(line), words, "{line}");
    }
}

#[test]
fn every_command_is_of_a_kind_that_is_checked() {
    for words in commands() {
        assert!(["make", "loghound", "curl"].contains(&words[0].as_str()), "nobody checks {words:?}");
    }
}

#[test]
fn loghound_commands_parse() {
    for words in of("loghound") {
        if let Err(err) = loghound::cli::Cli::try_parse_from(&words) {
            panic!("{words:?}: {err}");
        }
    }
}

#[test]
fn make_targets_exist() {
    for words in of("make") {
        let dry = Command::new("make")
            .arg("--dry-run")
            .args(&words[1..])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        assert!(dry.status.success(), "{words:?}: {}", String::from_utf8_lossy(&dry.stderr));
    }
}

#[test]
fn the_grammars_shown_do_what_their_samples_show() {
    let readme = readme();
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let grammars =
        blocks.filter(|text| text.starts_with("name: ")).map(|text| loghound::parse::load(text).unwrap().name);
    assert_eq!(grammars.collect::<Vec<_>>(), ["billing", "edge"]);
}

#[test]
fn the_query_that_cannot_be_read_is_shown_as_it_is_shown() {
    let rendered = loghound::query::parse("level:").unwrap_err().render("level:");
    assert!(
        readme().contains(&format!("```text\n{rendered}\n```\n")),
        "the README shows something else than:\n{rendered}"
    );
}

/// The words with the README's address replaced by one that listens here.
fn directed_at(words: &[String], server: std::net::SocketAddr) -> Vec<String> {
    let server = server.to_string();
    words.iter().map(|word| word.replace("localhost:8044", &server).replace("127.0.0.1:8044", &server)).collect()
}

#[test]
fn curl_commands_are_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let server = fake::server();
    for words in of("curl") {
        let answer = Command::new("curl")
            .args(["--silent", "--fail-with-body", "--noproxy", "*"])
            .args(&directed_at(&words, server)[1..])
            .output()
            .unwrap();
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stdout));
    }
}

#[test]
fn loghound_queries_are_answered() {
    let server = fake::server();
    for words in of("loghound").iter().filter(|words| words[1] == "query") {
        let answer = Command::new(env!("CARGO_BIN_EXE_loghound"))
            .args(&words[1..])
            .env("LOGHOUND_SERVER", format!("http://{server}"))
            .output()
            .unwrap();
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stderr));
    }
}

#[test]
fn the_first_screen_is_the_banner() {
    let at = loghound::pipeline::Addresses {
        beats: "127.0.0.1:5044".parse().unwrap(),
        http: "127.0.0.1:8044".parse().unwrap(),
        scheme: "http",
    };
    let banner = loghound::cli::serve::banner(&at, Path::new("./loghound-data"), "target/release/loghound");
    assert!(readme().contains(&format!("```text\n{banner}```\n")), "the README shows another banner than:\n{banner}");
}
