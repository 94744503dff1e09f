use serde_json::{Value as Json, json};

use super::*;
use crate::query::ast::Test;
use crate::query::engine::Between;
use crate::record::time::parse_rfc3339;

fn read(query: Json) -> Result<Expr, BadQuery> {
    let now = parse_rfc3339("2026-11-22T10:30:05Z").unwrap();
    let index = |name: &str| Expr::leaf(Some("_index".to_owned()), Test::value(name));
    Dsl { now, index: &index }.read(&query)
}

#[test]
fn clauses_become_tests() {
    for (query, expected) in [
        (json!({"match_all": {}}), "*"),
        (json!({"match_none": {}}), "NOT *"),
        (json!({"term": {"level": "E"}}), "level:\"E\""),
        (json!({"term": {"level.keyword": {"value": "E", "boost": 2}}}), "level:\"E\""),
        (json!({"term": {"code": 500}}), "code:\"500\""),
        (json!({"term": {"ok": true}}), "ok:\"true\""),
        (json!({"term": {"level": {"value": "e.", "case_insensitive": true}}}), "level:/(?i:e\\.)/"),
        (json!({"terms": {"code": [500, "502"], "boost": 1.0}}), "(code:\"500\" OR code:\"502\")"),
        (json!({"terms": {"code": []}}), "NOT *"),
        (json!({"exists": {"field": "trace_id"}}), "trace_id:*"),
        (json!({"prefix": {"path": "/api"}}), "path:/api*"),
        (json!({"wildcard": {"path": {"value": "/a?i/\\**"}}}), "path:/a?i/**"),
        (json!({"wildcard": {"path": "*"}}), "path:*"),
        (json!({"regexp": {"path": {"value": "/api/[0-9]+\\/x", "flags": "ALL"}}}), "path://api/[0-9]+/x/"),
        (json!({"match": {"message": "timeout"}}), "message:\"timeout\""),
        (
            json!({"match": {"message": "lease lost"}}),
            "(message:\"lease lost\" OR (message:\"lease\" OR message:\"lost\"))",
        ),
        (
            json!({"match": {"message": {"query": "lease lost", "operator": "AND"}}}),
            "(message:\"lease lost\" OR (message:\"lease\" AND message:\"lost\"))",
        ),
        (json!({"match_phrase": {"message": "lease lost"}}), "message:\"lease lost\""),
        (json!({"match_phrase_prefix": {"message": "lease lo"}}), "message:lease lo*"),
        (
            json!({"multi_match": {"query": "x y", "fields": ["a^2", "b"], "type": "phrase"}}),
            "(a:\"x y\" OR b:\"x y\")",
        ),
        (json!({"multi_match": {"query": "x"}}), "\"x\""),
        (json!({"ids": {"values": ["a", "b"]}}), "((event.id:\"a\" OR _id:\"a\") OR (event.id:\"b\" OR _id:\"b\"))"),
        (json!({"term": {"_index": "logs"}}), "_index:\"logs\""),
        (json!({"prefix": {"_index": "logs"}}), "_index:\"logs*\""),
        (json!({"range": {"duration": {"gte": 100, "lt": 200.5}}}), "duration:[100 TO 200.5}"),
        (json!({"range": {"duration": {"from": 1, "to": null, "include_lower": false}}}), "duration:{1 TO *]"),
        (
            json!({"range": {"@timestamp": {"gte": 1772366400123i64, "lte": "1772366400124", "format": "epoch_millis"}}}),
            "@timestamp:[2026-03-01T12:00:00.123Z TO 2026-03-01T12:00:00.124Z]",
        ),
        (json!({"range": {"@timestamp": {"gt": "now-1h"}}}), "@timestamp:{2026-11-22T09:30:05.000Z TO *]"),
        (
            json!({"range": {"@timestamp": {"gte": "now/d", "lte": "now/d"}}}),
            "@timestamp:[2026-11-22T00:00:00.000Z TO 2026-11-22T23:59:59.999Z]",
        ),
        (
            json!({"range": {"@timestamp": {"gte": "2026-11-20||+1d", "lt": "2026-11-22||/d"}}}),
            "@timestamp:[2026-11-21T00:00:00.000Z TO 2026-11-22T00:00:00.000Z}",
        ),
        (json!({"constant_score": {"filter": {"term": {"a": 1}}}}), "a:\"1\""),
        (json!({"dis_max": {"queries": [{"term": {"a": 1}}, {"term": {"b": 2}}]}}), "(a:\"1\" OR b:\"2\")"),
    ] {
        let read = read(query.clone()).map(|expr| expr.to_string());
        assert_eq!(read.as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn clauses_join() {
    let (a, b, c) = (json!({"term": {"a": 1}}), json!({"term": {"b": 2}}), json!({"term": {"c": 3}}));
    for (query, expected) in [
        (json!({"bool": {}}), "*"),
        (json!({"bool": {"must": a, "filter": [b], "must_not": [c]}}), "(a:\"1\" AND b:\"2\" AND NOT c:\"3\")"),
        (json!({"bool": {"should": [a, b]}}), "(a:\"1\" OR b:\"2\")"),
        // Beside what must match, what should only ranks.
        (json!({"bool": {"filter": [a], "should": [b, c]}}), "a:\"1\""),
        (
            json!({"bool": {"filter": [a], "should": [b, c], "minimum_should_match": 1}}),
            "(a:\"1\" AND (b:\"2\" OR c:\"3\"))",
        ),
        (
            json!({"bool": {"should": [a, b, c], "minimum_should_match": "67%"}}),
            "((a:\"1\" AND b:\"2\") OR (a:\"1\" AND c:\"3\") OR (b:\"2\" AND c:\"3\"))",
        ),
        (json!({"bool": {"should": [a, b], "minimum_should_match": -1}}), "(a:\"1\" OR b:\"2\")"),
        (json!({"bool": {"should": [a, b], "minimum_should_match": 3}}), "NOT *"),
        (json!({"bool": {"must_not": [a]}}), "NOT a:\"1\""),
    ] {
        let read = read(query.clone()).map(|expr| expr.to_string());
        assert_eq!(read.as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn query_strings_read_as_lucene_reads_them() {
    for (query, expected) in [
        ("a b", "(\"a\" OR \"b\")"),
        ("a AND b", "(\"a\" AND \"b\")"),
        ("a AND b c", "(\"a\" AND \"b\")"),
        ("+a b", "\"a\""),
        ("a b -c", "(NOT \"c\" AND (\"a\" OR \"b\"))"),
        ("a OR b AND c", "(\"a\" OR (\"b\" AND \"c\"))"),
        ("status:(500 502)", "(status:\"500\" OR status:\"502\")"),
        ("NOT a", "NOT \"a\""),
        ("*", "*"),
        ("level:E AND path:/api*", "(level:\"E\" AND path:/api*)"),
    ] {
        let read = read(json!({"query_string": {"query": query, "analyze_wildcard": true}}));
        assert_eq!(read.map(|expr| expr.to_string()).as_deref(), Ok(expected), "{query}");
    }
    let all = read(json!({"query_string": {"query": "a b", "default_operator": "AND"}})).unwrap();
    assert_eq!(all.to_string(), "(\"a\" AND \"b\")");
    let on = read(json!({"query_string": {"query": "a x:b", "fields": ["m", "n^3"]}})).unwrap();
    assert_eq!(on.to_string(), "((m:\"a\" OR n:\"a\") OR x:\"b\")");
}

#[test]
fn simple_query_strings_always_read() {
    for (query, expected) in [
        ("a b", "(\"a\" OR \"b\")"),
        ("a + b", "(\"a\" AND \"b\")"),
        ("\"a b\" | -c", "(\"a b\" OR NOT \"c\")"),
        ("(a | b) + c*", "((\"a\" OR \"b\") AND c*)"),
        ("a~2 \"b c\"~3", "(\"a\" OR \"b c\")"),
        ("((a", "\"a\""),
        (")) a + | \"", "\"a\""),
        ("-", "NOT *"),
        ("", "NOT *"),
        ("*", "*"),
    ] {
        let read = read(json!({"simple_query_string": {"query": query}}));
        assert_eq!(read.map(|expr| expr.to_string()).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn what_has_no_meaning_here_is_refused_by_name() {
    for (query, named) in [
        (json!({}), "empty clause"),
        (json!([]), "an object"),
        (json!({"term": {"a": 1}, "range": {}}), "bool.filter"),
        (json!({"trem": {"a": 1}}), "did you mean [term]"),
        (json!({"fuzzy": {"a": "x"}}), "[fuzzy] is not supported"),
        (json!({"term": {"a": 1, "b": 2}}), "takes one field"),
        (json!({"term": {"a": {"value": 1, "wat": 2}}}), "[wat]"),
        (json!({"terms": {"a": {"index": "x", "id": "1", "path": "p"}}}), "not supported"),
        (json!({"match": {"a": {"query": "x", "fuzziness": "AUTO"}}}), "[fuzziness]"),
        (json!({"match_phrase": {"a": {"query": "x y", "slop": 2}}}), "[slop]"),
        (json!({"regexp": {"a": "x~y"}}), "[~]"),
        (json!({"regexp": {"a": "x("}}), "regular expression"),
        (json!({"range": {"a": {"gte": 1, "time_zone": "+02:00"}}}), "time_zone"),
        (json!({"range": {"@timestamp": {"gte": "soon"}}}), "soon"),
        (json!({"range": {"@timestamp": {"gte": "now-1y"}}}), "now-1y"),
        (json!({"query_string": {"query": "a:[1"}}), "^"),
        (json!({"query_string": {"query": "a", "default_operator": "xor"}}), "default_operator"),
        (json!({"bool": {"must": [{"nested": {}}]}}), "[nested]"),
        (json!({"bool": {"shuold": []}}), "[shuold]"),
        (json!({"bool": {"should": [], "minimum_should_match": "3<90%"}}), "minimum_should_match"),
        (json!({"terms": {"a": (0..2000).collect::<Vec<_>>()}}), "2000 tests"),
    ] {
        let error = read(query.clone()).expect_err(&query.to_string());
        assert!(error.reason.contains(named), "{query}: {}", error.reason);
    }
    let deep = (0..60).fold(json!({"match_all": {}}), |inner, _| json!({"bool": {"must": [inner]}}));
    assert!(read(deep).unwrap_err().reason.contains("deeper"));
}

#[test]
fn bounds_of_time_are_taken_out_where_all_matches_keep_them() {
    let at = |text: &str| parse_rfc3339(text);
    let range = json!({"range": {"@timestamp": {"gte": 1772366400000i64, "lt": "2026-03-02"}}});
    let term = json!({"term": {"a": 1}});
    let (rest, between) = take_between(read(json!({"bool": {"filter": [range, term]}})).unwrap());
    assert_eq!(rest.to_string(), "a:\"1\"");
    assert_eq!((between.from, between.to), (at("2026-03-01T12:00:00Z"), at("2026-03-02T00:00:00Z")));
    // An upper end that is included ends with what it stands for.
    let (rest, Between { from, to }) =
        take_between(read(json!({"range": {"@timestamp": {"gt": "2026-03-01", "lte": "2026-03-02"}}})).unwrap());
    assert_eq!((rest.to_string().as_str(), from, to), ("*", at("2026-03-02T00:00:00Z"), at("2026-03-03T00:00:00Z")));
    let either = read(json!({"bool": {"should": [range, term]}})).unwrap();
    assert_eq!(take_between(either).1.from, None);
}
