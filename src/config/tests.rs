//! What is read, and what is refused with which words.

use super::*;

fn loaded(yaml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, yaml).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let flags: Vec<_> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let prefix = format!("{}:", path.display());
    load(Some(&path), environment, &flags)
        .map_err(|p| p.0.into_iter().map(|text| text.replace(&prefix, "c.yaml:")).collect())
}

#[test]
fn a_flag_wins_over_a_variable_and_that_over_the_file() {
    let yaml = "# comment\ndata_dir: /a\nbeats:\n  listen: 127.0.0.1:1\n  tls: {certificate: c.pem, key: k.pem}\nhttp:\n  queries_max: 3\n";
    let config = loaded(
        yaml,
        &[
            ("LOGHOUND_BEATS_LISTEN", "127.0.0.1:2"),
            ("LOGHOUND_DATA_DIR", "/b"),
            ("LOGHOUND_SERVER", "x"),
            ("HOME", "y"),
        ],
        &[("data_dir", "/c")],
    )
    .unwrap();
    assert_eq!(config.data_dir, Path::new("/c"));
    assert_eq!(config.beats.listen.port(), 2);
    assert_eq!((config.http.queries_max, config.beats.tls.key), (3, Some("k.pem".into())));
    assert_eq!(loaded("", &[], &[]).unwrap(), Config::default());
    assert_eq!(loaded("http:\n", &[], &[]).unwrap(), Config::default());
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let yaml = "data_dr: /a\nbeats:\n  listen: nowhere\n  tls:\n    key: k.pem\njournal:\n  bytes_max: 8GB\n  segment_bytes: [1]\n";
    let problems = loaded(yaml, &[("LOGHOUND_STOP_TIMEOUT", "5")], &[("http.listen", "0.0.0.0:80")]).unwrap_err();
    for says in [
        "c.yaml:1: there is no key data_dr: did you mean data_dir?",
        "c.yaml:3: beats.listen: \"nowhere\" is not an address",
        "c.yaml:7: journal.bytes_max: \"8GB\" is not a size",
        "c.yaml:8: journal.segment_bytes: a single value is expected",
        "LOGHOUND_STOP_TIMEOUT: stop_timeout: \"5\" is not a length of time",
        "beats.tls: certificate and key belong together",
        "http.listen: 0.0.0.0:80 is open to others without authentication",
    ] {
        assert!(problems.iter().any(|p| p.starts_with(says)), "{says}\n{problems:#?}");
    }
    assert_eq!(problems.len(), 7, "{problems:#?}");
}

#[test]
fn listening_beyond_loopback_is_said_aloud() {
    assert!(loaded("beats: {listen: '0.0.0.0:5044'}", &[], &[]).is_err());
    assert!(loaded("beats: {listen: '0.0.0.0:5044'}", &[], &[("insecure", "true")]).is_ok());
    let mutual = "beats: {listen: '[::]:5044', tls: {certificate: a, key: b, client_ca: c}}";
    assert!(loaded(mutual, &[], &[]).is_ok());
}

#[test]
fn names_are_as_far_apart_as_edits_between_them() {
    for (a, b, far) in [("limit", "limt", 1), ("q", "q", 0), ("", "abc", 3), ("sort", "srot", 2)] {
        assert_eq!(distance(a, b), far, "{a} {b}");
    }
}

#[test]
fn the_example_file_has_every_key_at_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/loghound.yaml");
    assert_eq!(load(Some(&path), [], &[]).unwrap(), Config::default());
    // With what is commented out, no key is missing.
    let text = std::fs::read_to_string(&path).unwrap();
    let uncommented = text
        .replace("# grammars_dir:", "grammars_dir:")
        .replace("# routes:", "routes:")
        .replace("#   - {", "  - {")
        .replace("  # tls:", "  tls:")
        .replace("  # keep:", "  keep:")
        .replace("  # tokens:", "  tokens:")
        .replace("  # warm_dir:", "  warm_dir:")
        .replace("  #   ", "    ");
    // Whole blocks, up to an empty line.
    let uncomment = |text: String, key: &str| {
        let Some((before, block)) = text.split_once(&format!("\n# {key}:\n")) else { return text };
        let (block, after) = block.split_once("\n\n").unwrap_or((block, ""));
        let block = block.lines().map(|line| line.replacen("# ", "", 1)).collect::<Vec<_>>().join("\n");
        format!("{before}\n{key}:\n{block}\n\n{after}")
    };
    let uncommented = ["alert", "jobs", "kafka"].into_iter().fold(uncommented, uncomment);
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("c.yaml");
    std::fs::write(&copy, uncommented).unwrap();
    let named: Vec<String> = file::read(&copy, &keys().iter().filter(|k| k.list).map(|k| k.name).collect::<Vec<_>>())
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    let missing: Vec<_> = keys().into_iter().map(|k| k.name).filter(|k| !named.iter().any(|n| n == k)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
