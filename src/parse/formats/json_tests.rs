use super::*;
use proptest::prelude::*;

fn parsed(line: &str) -> Option<Json> {
    let mut fields = Fields::new();
    parse(line, &mut fields).then(|| fields.to_json().into())
}

#[test]
fn objects_come_back() {
    for line in [
        "{}",
        r#" {"a" : 1 , "b":[1,-2,{"c":null}],"d":{},"e":{"f":{"g":"h"}},"i":null, "j" : [ ] } "#,
        r#"{"":"","a.b":{"c.d":1},"日本":"語","\u00e9\n":"\ud83d\ude80\"\\\/\b\f\r\t"}"#,
        r#"{"t":true,"f":false,"n":[0,-1,1.5,1e300,-2.5E-3,18446744073709551615,-9223372036854775808]}"#,
        "{\"nul\":\"\\u0000\"}",
    ] {
        assert_eq!(parsed(line), serde_json::from_str(line).ok(), "{line}");
    }
    for many in [10, 32, 33, 500] {
        let members: Vec<String> = (0..many).map(|i| format!("\"k{i}\":{{\"x\":{i}}}")).collect();
        let line = format!("{{{}}}", members.join(","));
        assert_eq!(parsed(&line), serde_json::from_str(&line).ok(), "{many} members");
    }
}

#[test]
fn what_is_no_object() {
    for line in [
        "",
        "-",
        "{",
        "}",
        "[]",
        "[1,2,3]",
        "\"string\"",
        "1",
        "null",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1",
        "{\"a\":1} x",
        "{\"a\":nan}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":[1,]}",
        "{\"a\":tru}",
        "{\"a\u{1}b\":1}",
        "{\"a\":1}\0",
    ] {
        assert_eq!(parsed(line), None, "{line:?}");
    }
    let whole = r#"{"a":{"b":[1,"é\u00e9",{"c":-1.5e3}]},"d":true}"#;
    for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
        assert_eq!(parsed(&whole[..cut]), None, "cut at {cut}");
    }
}

#[test]
fn of_equal_keys_the_last_counts() {
    for line in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"b":1},"a":{"c":2}}"#,
        r#"{"a":{"b":1},"a":3,"\u0061":{"b":1,"b":2}}"#,
        r#"{"x":{"a":[1],"a":null},"y":1}"#,
    ] {
        assert_eq!(parsed(line), serde_json::from_str(line).ok(), "{line}");
    }
}

#[test]
fn odd_texts_are_kept() {
    assert_eq!(parsed(r#"{"a":"\ud800x"}"#), Some(serde_json::json!({"a": "\u{fffd}x"})));
    assert_eq!(parsed(r#"{"a":1e999}"#), Some(serde_json::json!({"a": "1e999"})));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for depth in [1, 16, 17, 40, 64] {
        assert_eq!(parsed(&nested(depth)), serde_json::from_str(&nested(depth)).ok(), "{depth}");
    }
    assert_eq!(parsed(&nested(100_000)), None);
    assert_eq!(parsed(&format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))), None);
}

#[test]
fn roles_follow_the_text() {
    let long = "x".repeat(257);
    let line = format!(r#"{{"word":"a b","prose":"a b c d e f","long":"{long}","n":1}}"#);
    let mut fields = Fields::new();
    assert!(parse(&line, &mut fields));
    let roles: Vec<Role> = fields.iter().map(|f| f.role).collect();
    assert_eq!(roles, [Role::Keyword, Role::Text, Role::Text, Role::Keyword]);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,8}".prop_map(Json::from),
        ".{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[^\u{1}]{0,6}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_object_comes_back(map in prop::collection::btree_map("[^\u{1}]{0,6}", any_json(), 0..8)) {
        let json = Json::Object(map.into_iter().collect());
        prop_assert_eq!(parsed(&json.to_string()), Some(json));
    }

    #[test]
    fn nothing_panics(line in "\\{[\"\\\\{}\\[\\]:,a0.eu\\-é ]{0,40}") {
        let found = parsed(&line);
        if let Ok(json) = serde_json::from_str::<Json>(&line) {
            prop_assert_eq!(found, Some(json));
        }
    }
}
