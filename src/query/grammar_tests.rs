//! Queries and how they are read; wrong ones and the whole text of what is said about them.

use super::*;

#[test]
fn queries_read_as_people_mean_them() {
    for (text, read) in [
        ("", "*"),
        ("  ", "*"),
        ("*", "*"),
        ("*:*", "*"),
        (
            r#"level:E AND filename:lease.go "Resetting endpoints""#,
            r#"(level:"E" AND filename:"lease.go" AND "Resetting endpoints")"#,
        ),
        ("response_code:>=500 AND NOT path:/healthz*", "(response_code:[500 TO *] AND NOT path:/healthz*)"),
        ("duration:[100 TO 500]", "duration:[100 TO 500]"),
        ("duration:{100 TO 500]", "duration:{100 TO 500]"),
        ("duration:[ 100 to *}", "duration:[100 TO *]"),
        ("duration:[* TO *]", "duration:*"),
        ("duration:<5", "duration:[* TO 5}"),
        ("status >= 500 level:E", r#"(status:[500 TO *] AND level:"E")"#),
        ("status>5", "status:{5 TO *]"),
        ("@timestamp:>now-15m", "@timestamp:{now-15m TO *]"),
        (r#"@timestamp:["2026-11-22T10:00:00Z" TO now]"#, "@timestamp:[2026-11-22T10:00:00Z TO now]"),
        ("_exists_:trace_id", "trace_id:*"),
        ("trace_id:*", "trace_id:*"),
        ("msg:/lease.*expired/", "msg:/lease.*expired/"),
        (r"path:/a\/b/", "path:/a/b/"),
        (
            "kubernetes.namespace:(prod OR staging)",
            r#"(kubernetes.namespace:"prod" OR kubernetes.namespace:"staging")"#,
        ),
        (
            "code:(>=500 OR 200 OR [1 TO 2] OR x* OR NOT \"a b\")",
            r#"(code:[500 TO *] OR code:"200" OR code:[1 TO 2] OR code:x* OR NOT code:"a b")"#,
        ),
        ("a b OR c d", r#"(("a" AND "b") OR ("c" AND "d"))"#),
        ("a and not b or !c", r#"(("a" AND NOT "b") OR NOT "c")"#),
        ("a && b || c", r#"(("a" AND "b") OR "c")"#),
        ("a&&b||c", r#"(("a" AND "b") OR "c")"#),
        ("+a -b", r#"("a" AND NOT "b")"#),
        ("-level:I", r#"NOT level:"I""#),
        ("upstream_host:10.0.0.1:8080", r#"upstream_host:"10.0.0.1:8080""#),
        ("10.0.0.1:8080", r#""10.0.0.1:8080""#),
        ("http://example.com/a", r#""http://example.com/a""#),
        ("path:/api/v1/pods", r#"path:"/api/v1/pods""#),
        ("path:/a AND path:/b", r#"(path:"/a" AND path:"/b")"#),
        ("path:/a path:/", r#"(path:"/a" AND path:"/")"#),
        ("/healthz*", "/healthz*"),
        ("lea?e*", "lea?e*"),
        (r"a\*b", r#""a*b""#),
        (r"a\:b", r#""a:b""#),
        (r"\AND x", r#"("AND" AND "x")"#),
        (r#""say \"hi\" \n""#, r#""say \"hi\" \\n""#),
        ("order nothing android", r#"("order" AND "nothing" AND "android")"#),
        ("level: E", r#"level:"E""#),
        ("a-b msg:a->b", r#"("a-b" AND msg:"a->b")"#),
        ("(a OR (b c)) d", r#"(("a" OR ("b" AND "c")) AND "d")"#),
        ("NOT (a b)", r#"NOT ("a" AND "b")"#),
        ("größe:5 ünïcode", r#"(größe:"5" AND "ünïcode")"#),
        ("path:/a?b=1&c=2", "path:/a?b=1&c=2"),
        ("foo[0]", r#""foo[0]""#),
    ] {
        match parse(text) {
            Ok(expr) => assert_eq!(expr.to_string(), read, "{text}"),
            Err(err) => panic!("{text}\n{}", err.render(text)),
        }
    }
}

#[test]
fn errors_point_at_the_place() {
    for (text, shown) in [
        ("level:E AND", "query:12: the query ends where a word was expected\n  level:E AND\n             ^"),
        (
            "level:E | stats count()",
            "query:9: a query without pipes is asked for here\n  level:E | stats count()\n          ^\n\
             hint: search, aggregate and export take pipes; quote \"|\" to search the character",
        ),
        ("(a OR b", "query:1: this bracket is never closed\n  (a OR b\n  ^\nhint: add a ) where the group ends"),
        ("a)", "query:2: this bracket closes nothing\n  a)\n   ^\nhint: quote \")\" to search the character"),
        ("()", "query:1: nothing stands between these brackets\n  ()\n  ^^"),
        ("OR a", "query:1: OR has nothing to join\n  OR a\n  ^^\nhint: quote \"OR\" to search the word"),
        ("é \"abc", "query:3: this quote is never closed\n  é \"abc\n    ^\nhint: add a \" at the end of the phrase"),
        (
            "level:",
            "query:7: level: has no value\n  level:\n        ^\nhint: level:* finds the records that have the field",
        ),
        (
            "d:[1 2]",
            "query:6: expected TO between the two ends of a range\n  d:[1 2]\n       ^\nhint: write d:[100 TO 500], d:>=100, or d:[100 TO *]",
        ),
        ("d:[1 TO 2", "query:3: this range is never closed\n  d:[1 TO 2\n    ^\nhint: add a ] at its end"),
        (
            "[1 TO 2]",
            "query:1: a range needs a field\n  [1 TO 2]\n  ^\nhint: write field:[from TO to]; quote the text to search a bracket",
        ),
        (
            "level: AND msg:x",
            "query:7: level: has no value\n  level: AND msg:x\n        ^\nhint: level:* finds the records that have the field",
        ),
        (
            "msg:/a(/",
            "query:5: not a regular expression: unclosed group\n  msg:/a(/\n      ^^^^\n\
             hint: quote the text to search it as it stands; look-around and back-references are not supported",
        ),
        (
            "kube*:x",
            "query:1: a field's name cannot hold a wildcard\n  kube*:x\n  ^^^^^\n\
             hint: name the fields one by one: (a:x OR b:x), or leave the name out",
        ),
        ("a\\", "query:2: a backslash with nothing to escape\n  a\\\n   ^\nhint: write \\\\ for a backslash"),
        (
            "a - b",
            "query:3: nothing stands right after -\n  a - b\n    ^\nhint: write -word without a blank, or \"-\" to search the sign",
        ),
        (
            "\"a b\"~3",
            "query:6: near searches are not supported\n  \"a b\"~3\n       ^\nhint: search the words one by one, without quotes",
        ),
    ] {
        match parse(text) {
            Ok(expr) => panic!("{text} was read as {expr}"),
            Err(err) => assert_eq!(err.render(text), shown, "{text}"),
        }
    }
}

#[test]
fn everything_has_a_limit() {
    let message = |text: &str| parse(text).unwrap_err().message;
    assert_eq!(message(&"é".repeat(QUERY_BYTES_MAX)), "the query is longer than 8192 bytes");
    assert_eq!(message(&"(".repeat(1000)), "nested deeper than 64");
    assert_eq!(message(&"-".repeat(1000)), "nested deeper than 64");
    assert_eq!(message(&format!("{}a", "not ".repeat(1000))), "nested deeper than 64");
    assert_eq!(message(&"a ".repeat(TERMS_MAX + 1)), "more than 1000 terms in one query");
    // All of it is marked, the backslash of the slash too.
    let error = parse(r"a:/é\/(/").unwrap_err();
    assert_eq!((error.offset, error.len), (2, 7));
    assert_eq!(message("a:/(a{1000}){1000}/"), "not a regular expression: it is too big when compiled");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    /// No text makes the parser panic, and what it says points into the text.
    #[test]
    fn any_text_is_read_or_refused(text in r#"([a-z:"()\[\]{}/*?\\|&!+<>= \-~é]|AND|OR|NOT|TO|now){0,40}"#) {
        match parse(&text) {
            Ok(expr) => { let _ = expr.to_string(); }
            Err(err) => {
                proptest::prop_assert!(err.offset <= text.len() && text.is_char_boundary(err.offset), "{err:?}");
                let _ = err.render(&text);
            }
        }
    }
}
