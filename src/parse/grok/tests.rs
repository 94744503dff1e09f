//! What patterns mean, by PROTOCOLS section 4.

use super::{Captures, Library, Outcome, Pattern};

/// `field=value` of every group that took part, in storing order; `None` for no match.
fn fields(pattern: &str, text: &str) -> Option<Vec<String>> {
    let pattern = Pattern::compile(&Library::standard(), pattern).unwrap_or_else(|e| panic!("{}", e.render()));
    let mut captures = Captures::new();
    match pattern.matches(text, &mut captures) {
        Outcome::Match => {}
        Outcome::NoMatch => return None,
        Outcome::StepLimit => panic!("step limit: {text}"),
    }
    let values = pattern.values(text, &captures).filter_map(|(group, value)| {
        let value = group.kind.value(value?);
        Some(format!("{}={value}", group.field.path().join("/")))
    });
    Some(values.collect())
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: &[&str]) {
    let found = fields(pattern, text).unwrap_or_else(|| panic!("{pattern:?} does not match {text:?}"));
    assert_eq!(found, expected, "{pattern:?} on {text:?}");
}

#[track_caller]
fn no_match(pattern: &str, text: &str) {
    assert_eq!(fields(pattern, text), None, "{pattern:?} on {text:?}");
}

#[test]
fn combined_apache_log() {
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
    check(
        "%{COMBINEDAPACHELOG}",
        line,
        &[
            r#"clientip="127.0.0.1""#,
            r#"ident="-""#,
            r#"auth="frank""#,
            r#"timestamp="10/Oct/2000:13:55:36 -0700""#,
            r#"verb="GET""#,
            r#"request="/apache_pb.gif""#,
            r#"httpversion="1.0""#,
            r#"response="200""#,
            r#"bytes="2326""#,
            r#"referrer="\"http://www.example.com/start.html\"""#,
            r#"agent="\"Mozilla/4.08 [en] (Win98; I ;Nav)\"""#,
        ],
    );
}

#[test]
fn every_standard_pattern_is_linear() {
    let library = Library::standard();
    assert!(library.names().count() > 300);
    for name in library.names() {
        let pattern = Pattern::compile(&library, &format!("%{{{name}}}")).unwrap_or_else(|e| panic!("{}", e.render()));
        assert!(!pattern.needs_backtracking(), "{name}");
    }
}

#[test]
fn look_around_at_a_character_is_exact() {
    // The digits of an address's last part are not cut short, as they would be if the look-ahead were dropped.
    no_match("%{IPV4:ip}", "1.2.3.4567");
    no_match("%{IPV4:ip}", "x21.2.3.4567 ");
    check("%{IPV4:ip}", "1.2.3.4567 10.0.0.1.", &[r#"ip="10.0.0.1""#]);
    check("%{IP:ip}", "9999.2.3.4 10.0.0.1", &[r#"ip="10.0.0.1""#]);
    no_match("%{NUMBER:n}%", "v1.22.333%");
    check("%{GREEDYDATA:a}%{NUMBER:b}", "took 123", &[r#"a="took ""#, r#"b="123""#]);
    check(r"(?<a>\w+)%{NUMBER:b}", "abc12", &[r#"a="abc""#, r#"b="12""#]);
    check("%{TIME:t}.%{INT:ms}", "01:02:03.456", &[r#"t="01:02:03""#, r#"ms="456""#]);
}
