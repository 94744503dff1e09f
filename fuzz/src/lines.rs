//! What holds for every line under every grammar.

use std::borrow::Cow;
use std::sync::LazyLock;

use loghound::parse::Parser;
use loghound::record::Fields;

static PARSER: LazyLock<Parser> = LazyLock::new(Parser::builtin);

/// Bytes as the line that the receiver makes of them.
pub fn line(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Parses `data` with each of the grammars, and by what it looks like. All ways agree, a line that does not fit leaves no
/// field behind, and a container runtime's wrapper around it changes nothing of what is inside.
pub fn check(grammars: &[&str], data: &[u8]) {
    let line = line(data);
    let mut found = Fields::new();
    let auto = PARSER.parse_auto(&line, &mut found).map(|grammar| grammar.name);
    assert!(auto.is_some() || found.is_empty(), "fields of no grammar");
    if let Some(name) = auto {
        let mut again = Fields::new();
        assert!(PARSER.parse_as(name, &line, &mut again), "{name} was found and does not fit");
        assert_eq!(found, again, "{name}");
    }
    for name in grammars {
        let mut fields = Fields::new();
        let fits = PARSER.parse_as(name, &line, &mut fields);
        assert!(fits || fields.is_empty(), "{name} does not fit and gives fields");
        let json = serde_json::Value::from(fields.to_json());
        assert!(serde_json::from_str::<serde_json::Value>(&json.to_string()).is_ok(), "{json}");
        // A wrapper in a wrapper is the content of the outer one.
        if !WRAPPERS.contains(name) && !is_wrapped(&line) {
            check_wrapped(name, &line, fits, &fields);
        }
    }
}

const WRAPPERS: [&str; 2] = ["cri", "docker"];

fn is_wrapped(line: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| PARSER.parse_as(wrapper, line, &mut Fields::new()))
}

fn check_wrapped(name: &str, line: &str, fits: bool, fields: &Fields<'_>) {
    let cri = format!("2026-01-22T03:57:30.123456789Z stderr F {line}");
    let log = serde_json::Value::from(format!("{line}\n"));
    let docker = format!(r#"{{"log":{log},"stream":"stdout","time":"2026-01-22T03:57:30.123456789Z"}}"#);
    for wrapped in [cri, docker] {
        let mut inside = Fields::new();
        let wrapped_fits = PARSER.parse_as(name, &wrapped, &mut inside);
        // Docker's object is a JSON object too: it fits by itself.
        if name == "json" && !fits {
            continue;
        }
        assert_eq!(fits, wrapped_fits, "{name}: {wrapped}");
        if fits {
            assert!(inside.iter().zip(fields.iter()).all(|(inside, alone)| inside == alone), "{name}: {wrapped}");
            assert!(inside.len() > fields.len(), "{name}: {wrapped}: the wrapper's own fields are missing");
        }
    }
}
