//! Templates in queries: joined ids are one, wherever they are asked for or shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::parse::template::Ids;
use crate::parse::{Grammars, Parser};
use crate::record::{Event, Fields, Record, Stream, StreamKey};
use crate::store::{Options, Store};

const DAY: i64 = 86_400_000_000_000;

fn stream() -> Arc<Stream> {
    let fields = json!({"agent": {"name": "n"}}).as_object().cloned().unwrap();
    Arc::new(Stream {
        key: StreamKey(7 << 64),
        canonical: serde_json::to_string(&fields).unwrap(),
        fields,
        sender: "n".into(),
        identity_seed: 7,
        memory: Default::default(),
    })
}

/// Records with these templates and sent fields, a second apart, three of a day in each of three days.
fn engine(records: &[(Option<u64>, Option<&str>)], ids: &Arc<Ids>) -> (Engine, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path().join("shards"), Options::default()).unwrap());
    let (stream, mut worker) = (stream(), store.worker());
    for (n, (template, extra)) in records.iter().enumerate() {
        let line = format!("line {n} of 9");
        let event = Event {
            stream: Arc::clone(&stream),
            timestamp: (n as i64 / 3) * DAY + (n as i64 % 3) * 1_000_000_000,
            message: Some(&line),
            offset: None,
            mark: n as u64,
            positioned: false,
            extra: *extra,
        };
        let record = Record { event: &event, grammar: None, template: *template, fields: &Fields::new() };
        worker.add(n as u64 + 1, &record, false).unwrap();
    }
    store.commit(records.len() as u64 + 1, vec![worker.cut().unwrap()]).unwrap();
    (Engine::new(store, Arc::new(Grammars::fixed(Parser::builtin()))).with_templates(Arc::clone(ids)), dir)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn found(engine: &Engine, query: &str) -> Vec<Map<String, Json>> {
    let search = Search {
        expr: parse(query).unwrap(),
        between: Between::default(),
        limit: 100,
        newest_first: false,
        after: None,
        deadline: soon(),
    };
    engine.search(&search).unwrap().records
}

const RECORDS: [(Option<u64>, Option<&str>); 9] = [
    (Some(1), None),
    (Some(2), None),
    (None, None),
    (Some(3), None),
    (Some(2), None),
    (Some(9), None),
    (Some(9), Some(r#"{"template":"mine"}"#)),
    (None, Some(r#"{"template":3}"#)),
    (Some(1), None),
];

#[test]
fn joined_ids_are_one() {
    let ids = Arc::new(Ids::default());
    ids.publish([(3, 2), (9, 2)].into_iter());
    let (engine, _dir) = engine(&RECORDS, &ids);
    for (query, lines) in [
        ("template:1", &[0, 8][..]),
        ("template:2", &[1, 3, 4, 5, 6]),
        // What was sent under the name is a value too, and 3 is another name of 2.
        ("template:3", &[1, 3, 4, 5, 6]),
        ("template:9", &[1, 3, 4, 5, 6]),
        ("template:7", &[]),
        ("template:mine", &[6]),
        ("_exists_:template", &[0, 1, 3, 4, 5, 6, 7, 8]),
        ("NOT template:*", &[2]),
        ("template:[2 TO 9]", &[1, 3, 4, 5, 6, 7]),
        ("template:>2", &[7]),
        ("template:(1 OR 9) AND NOT template:mine", &[0, 1, 3, 4, 5, 8]),
        // An id is no word of the line.
        ("2", &[2]),
    ] {
        let records = found(&engine, query);
        let expected: Vec<String> = lines.iter().map(|n| format!("line {n} of 9")).collect();
        let messages: Vec<&str> = records.iter().map(|r| r["message"].as_str().unwrap()).collect();
        assert_eq!(messages, expected, "{query}");
        // The plan and the language's definition agree.
        let expr = parse(query).unwrap();
        let all = found(&engine, "");
        let meant: Vec<&str> = all
            .iter()
            .filter(|record| matches(&expr, record, &engine.language().aliases))
            .map(|record| record["message"].as_str().unwrap())
            .collect();
        assert_eq!(meant, expected, "{query}");
    }
    let shown: Vec<Option<Json>> = found(&engine, "").iter().map(|record| record.get("template").cloned()).collect();
    let id = |id: u64| Some(json!(id));
    assert_eq!(shown, [id(1), id(2), None, id(2), id(2), id(2), Some(json!(["mine", 2])), Some(json!(3)), id(1)]);
    // A join that comes later changes what stored records show.
    ids.publish([(2, 1), (3, 1), (9, 1)].into_iter());
    assert_eq!(found(&engine, "template:9").len(), 7);
    assert!(found(&engine, "template:3").iter().all(|record| record["template"] != json!(2)));
}

#[test]
fn counts_come_from_the_records() {
    let ids = Arc::new(Ids::default());
    ids.publish([(3, 2), (9, 2)].into_iter());
    let (engine, _dir) = engine(&RECORDS, &ids);
    let counted =
        |query: &str, between, limit| engine.patterns(&parse(query).unwrap(), between, limit, soon()).unwrap();
    let brief = |patterns: &Patterns| -> Vec<(u64, u64, i64, i64)> {
        patterns.patterns.iter().map(|p| (p.template, p.count, p.first, p.last)).collect()
    };
    let all = counted("", Between::default(), 10);
    assert_eq!((all.total, all.without, all.templates, all.partial), (9, 2, 2, false));
    assert_eq!(brief(&all), [(2, 5, 1_000_000_000, 2 * DAY), (1, 2, 0, 2 * DAY + 2_000_000_000)]);
    assert_eq!(all.patterns[0].sample["message"], "line 6 of 9");
    let steps = &all.patterns[0].sparkline;
    assert_eq!((steps.len(), steps.iter().sum::<u32>(), steps[0], steps[29]), (30, 5, 1, 1));
    assert_eq!(all.interval, (2 * DAY + 2_000_000_000) / 30 + 1);
    let day = counted("", Between { from: Some(DAY), to: Some(2 * DAY) }, 10);
    assert_eq!(brief(&day), [(2, 3, DAY, DAY + 2_000_000_000)]);
    let one = counted("NOT template:1", Between::default(), 1);
    assert_eq!((one.total, one.templates, brief(&one).len()), (7, 1, 1));
    assert_eq!(counted("", Between::default(), 0).templates, 2);

    let facets = engine.facets(&parse("").unwrap(), Between::default(), &["template".into()], 10, soon()).unwrap();
    let values = &facets.facets[0].values;
    assert_eq!(*values, [(json!(2), 5), (json!(1), 2), (json!(3), 1), (json!("mine"), 1)]);
    assert_eq!(facets.facets[0].missing, 1);
    let field = engine.fields().unwrap().into_iter().find(|field| field.name == "template").unwrap();
    assert_eq!(field.kind, "number");
}
