//! The filter's options, by PROTOCOLS section 4.

use serde_json::{Value, json};

use super::{Applied, Captures, Filter, FilterOptions, Library};

fn apply(options: Value, event: &Value) -> (Applied, Value) {
    let options: FilterOptions = serde_json::from_value(options).unwrap();
    let filter = Filter::new(options, Library::standard()).unwrap();
    let mut event = event.as_object().unwrap().clone();
    let applied = filter.apply(&mut event, &mut Captures::new());
    (applied, Value::Object(event))
}

#[track_caller]
fn check(options: Value, event: Value, expected: Value) {
    let (_, found) = apply(options.clone(), &event);
    assert_eq!(found, expected, "{options} on {event}");
}

#[test]
fn fields() {
    check(
        json!({"match": {"message": "%{INT:n:int} %{NUMBER:[a][b]:float} %{WORD}"}}),
        json!({"message": "12 3.5 x"}),
        json!({"message": "12 3.5 x", "n": 12, "a": {"b": 3.5}}),
    );
    check(
        json!({"match": {"message": "%{INT} %{WORD:w}"}, "named_captures_only": false}),
        json!({"message": "12 x"}),
        json!({"message": "12 x", "INT": "12", "w": "x"}),
    );
    check(
        json!({"match": {"message": "(?<year>\\d+) %{ID:id}"}, "pattern_definitions": {"ID": "[a-f]+"}}),
        json!({"message": "2024 abc"}),
        json!({"message": "2024 abc", "year": "2024", "id": "abc"}),
    );
    check(
        json!({"match": {"message": "%{WORD:[w][x]}"}, "target": "[t]"}),
        json!({"message": "abc"}),
        json!({"message": "abc", "t": {"w": {"x": "abc"}}}),
    );
}

#[test]
fn repeated_and_existing_fields() {
    let twice = json!({"match": {"message": "%{WORD:w} %{WORD:w}"}});
    check(twice.clone(), json!({"message": "a b"}), json!({"message": "a b", "w": ["a", "b"]}));
    check(twice.clone(), json!({"message": "a b", "w": "x"}), json!({"message": "a b", "w": ["x", "a", "b"]}));
    check(twice.clone(), json!({"message": "a b", "w": [1]}), json!({"message": "a b", "w": [1, "a", "b"]}));
    check(twice.clone(), json!({"message": "a b", "w": 1}), json!({"message": "a b", "w": 1}));
    check(twice, json!({"message": "a b", "w": null}), json!({"message": "a b", "w": ["a", "b"]}));
    check(
        json!({"match": {"message": "%{INT:n:int}|%{WORD:n:int}"}}),
        json!({"message": "12"}),
        json!({"message": "12", "n": 12}),
    );
    check(
        json!({"match": {"message": "%{INT:n:int} %{INT:n:int}"}}),
        json!({"message": "1 2"}),
        json!({"message": "1 2", "n": [1, 2]}),
    );
    check(
        json!({"match": {"message": "%{WORD} %{GREEDYDATA:message}"}}),
        json!({"message": "a b"}),
        json!({"message": ["a b", "b"]}),
    );
    check(
        json!({"match": {"message": "%{WORD} %{GREEDYDATA:message}"}, "overwrite": ["message"]}),
        json!({"message": "a b"}),
        json!({"message": "b"}),
    );
    check(
        json!({"match": {"message": "%{WORD:[m][x]}"}}),
        json!({"message": "a", "m": "text"}),
        json!({"message": "a", "m": "text"}),
    );
}

#[test]
fn empty_captures() {
    let options = json!({"match": {"message": "1=%{WORD:a}?%{DATA:b};%{WORD:c}"}});
    check(options.clone(), json!({"message": "1=;x"}), json!({"message": "1=;x", "c": "x"}));
    let mut keep = options;
    keep["keep_empty_captures"] = json!(true);
    check(keep, json!({"message": "1=;x"}), json!({"message": "1=;x", "a": null, "b": "", "c": "x"}));
    check(
        json!({"match": {"message": "(?:%{WORD:w})?,%{WORD:w},(?:%{WORD:w})?"}}),
        json!({"message": ",a,"}),
        json!({"message": ",a,", "w": "a"}),
    );
}

#[test]
fn several_patterns() {
    let list = json!({"match": {"message": ["%{INT:n}", "%{WORD:w}"]}});
    check(list.clone(), json!({"message": "1 a"}), json!({"message": "1 a", "n": "1"}));
    check(list.clone(), json!({"message": "a"}), json!({"message": "a", "w": "a"}));
    let mut all = list;
    all["break_on_match"] = json!(false);
    check(all.clone(), json!({"message": "x 1"}), json!({"message": "x 1", "n": "1", "w": "x"}));
    // The last pattern fails and the first did not: no failure.
    check(all.clone(), json!({"message": "1 ."}), json!({"message": "1 .", "n": "1", "w": "1"}));
    check(
        json!({"match": {"message": ["%{INT:n}", "z"]}, "break_on_match": false}),
        json!({"message": "1"}),
        json!({
            "message": "1", "n": "1"
        }),
    );
    // The fields are tried in the order they are written in, not in the order of their names.
    let options = serde_json::from_str(r#"{"match": {"b": "%{WORD:x}", "a": "%{WORD:y}"}}"#).unwrap();
    let Value::Object(mut event) = json!({"a": "1", "b": "2"}) else { panic!() };
    Filter::new(options, Library::standard()).unwrap().apply(&mut event, &mut Captures::new());
    assert_eq!(Value::Object(event), json!({"a": "1", "b": "2", "x": "2"}));
}

#[test]
fn failures() {
    let options = json!({"match": {"message": "^%{INT:n}$"}});
    check(options.clone(), json!({"message": "x"}), json!({"message": "x", "tags": ["_grokparsefailure"]}));
    check(
        options.clone(),
        json!({"message": "x", "tags": ["_grokparsefailure"]}),
        json!({
            "message": "x", "tags": ["_grokparsefailure"]
        }),
    );
    check(
        options.clone(),
        json!({"message": "x", "tags": "a"}),
        json!({
            "message": "x", "tags": ["a", "_grokparsefailure"]
        }),
    );
    check(options.clone(), json!({}), json!({"tags": ["_grokparsefailure"]}));
    assert_eq!(apply(options, &json!({"message": "1"})).0, Applied::Matched);
    check(
        json!({"match": {"message": "z"}, "tag_on_failure": ["a", "b"]}),
        json!({"message": "x"}),
        json!({"message": "x", "tags": ["a", "b"]}),
    );
    check(json!({"match": {"message": "z"}, "tag_on_failure": []}), json!({"message": "x"}), json!({"message": "x"}));
    // Backtracks without end: every beginning of the text is tried with every way to cut it.
    let slow = json!({"match": {"message": r"(?=(?:(?:a+)+)+b)x|(?=(?:(?:(?:a|b)+)+)+c)a"}});
    let (applied, event) = apply(slow, &json!({"message": format!("{}c", "a".repeat(200_000))}));
    assert_eq!((applied, &event["tags"]), (Applied::TimedOut, &json!(["_groktimeout"])));
}

#[test]
fn inputs_that_are_no_text() {
    let options = json!({"match": {"m": "%{INT:n:int}"}});
    check(options.clone(), json!({"m": 12}), json!({"m": 12, "n": 12}));
    check(options.clone(), json!({"m": ["1", "x", 2]}), json!({"m": ["1", "x", 2], "n": 1}));
    check(options.clone(), json!({"m": ["x"]}), json!({"m": ["x"], "tags": ["_grokparsefailure"]}));
    check(options, json!({"m": []}), json!({"m": [], "tags": ["_grokparsefailure"]}));
    check(json!({"match": {"[a][b]": "%{WORD:w}"}}), json!({"a": {"b": "x"}}), json!({"a": {"b": "x"}, "w": "x"}));
    check(json!({"match": {"m": "%{WORD:w}"}}), json!({"m": ["a", "b"]}), json!({"m": ["a", "b"], "w": ["a", "b"]}));
}

#[test]
fn explanations() {
    let line = "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /x HTTP/1.0\" twohundred 2326 \"a\" \"b\"";
    for (patterns, text, offset, atom, definition) in [
        (json!("%{COMMONAPACHELOG}"), line, 65, "%{NUMBER:response}", Some("HTTPD_COMMONLOG")),
        (json!("^%{INT:a} %{INT:b}"), "12 x", 3, "%{INT:b}", None),
        (json!("^%{INT:a} foobar"), "12 foox", 6, "bar", None),
        (json!(["^%{INT:a},", "^%{INT:a} %{WORD:w};"]), "12 ab", 5, ";", None),
        (json!("^(?:%{INT:a}|x-%{WORD:b};)$"), "x-ab", 4, ";", None),
        (json!("^%{INT:a}"), "", 0, "%{INT:a}", None),
        (json!(r"^ö(?<x>\d+)"), "öa", 2, r"(?<x>\d+)", None),
    ] {
        let options = serde_json::from_value(json!({"match": {"message": patterns}})).unwrap();
        let filter = Filter::new(options, Library::standard()).unwrap();
        let Value::Object(event) = json!({"message": text}) else { panic!() };
        let found = filter.explain(&event).unwrap_or_else(|| panic!("{patterns} {text}"));
        assert_eq!((found.offset, found.atom.as_str(), found.definition.as_deref()), (offset, atom, definition));
    }
}
