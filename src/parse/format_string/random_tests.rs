//! Formats that nobody wrote, on values that servers could write: what was put into a line comes out of it.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::corpus_tests::grammar;
use crate::record::Fields;

/// What is put in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Int,
    Float,
    Code,
    Word,
    /// Blanks only in quotes.
    Text,
    List,
    Stamp,
    Clf,
    Request,
    Tries,
}

type Operator = (&'static str, &'static str, Kind);

const ENVOY: &[Operator] = &[
    ("%START_TIME%", "start_time", Kind::Stamp),
    ("%DURATION%", "duration", Kind::Int),
    ("%BYTES_SENT%", "bytes_sent", Kind::Int),
    ("%RESPONSE_CODE%", "response_code", Kind::Code),
    ("%UPSTREAM_HOST%", "upstream_host", Kind::Word),
    ("%ROUTE_NAME%", "route_name", Kind::Text),
    ("%REQ(USER-AGENT)%", "user_agent", Kind::Text),
    ("%REQ(X-FORWARDED-FOR)%", "x_forwarded_for", Kind::List),
    ("%REQ(MY-HEADER?OTHER):80%", "my_header", Kind::Text),
    ("%RESP(MY-OTHER)%", "my_other", Kind::Text),
    ("%REQ(:PATH)%", "path", Kind::Word),
    ("%DYNAMIC_METADATA(a.b:c)%", "dynamic_metadata_a_b_c", Kind::Text),
    ("%SOMETHING_NEW%", "something_new", Kind::Text),
];

const NGINX: &[Operator] = &[
    ("$time_local", "time", Kind::Clf),
    ("$request", "", Kind::Request),
    ("$status", "status", Kind::Code),
    ("${body_bytes_sent}", "bytes", Kind::Int),
    ("$request_time", "request_time", Kind::Float),
    ("$msec", "msec", Kind::Float),
    ("$remote_addr", "remote_addr", Kind::Word),
    ("$http_user_agent", "user_agent", Kind::Text),
    ("$http_x_mine", "http_x_mine", Kind::Text),
    ("$upstream_addr", "upstream_addr", Kind::List),
    ("$upstream_response_time", "upstream_response_time", Kind::Tries),
    ("$request_id", "request_id", Kind::Word),
    ("$mine", "mine", Kind::Text),
];

const APACHE: &[Operator] = &[
    ("%{%d/%b/%Y:%T %z}t", "time", Kind::Clf),
    ("%r", "", Kind::Request),
    ("%>s", "status", Kind::Code),
    ("%!200b", "bytes", Kind::Int),
    ("%D", "duration_us", Kind::Int),
    ("%h", "remote_addr", Kind::Word),
    ("%{User-agent}i", "user_agent", Kind::Text),
    ("%{Mine}n", "note_mine", Kind::Text),
    ("%{Location}o", "location", Kind::Word),
    ("%{X-Forwarded-For}i", "x_forwarded_for", Kind::List),
];

/// The text of a value.
fn value(kind: Kind, quoted: bool, escapes: bool) -> BoxedStrategy<String> {
    let word = "[a-zA-Z0-9][a-zA-Z0-9./:_|?=%é-]{0,12}";
    let text = match (quoted, escapes) {
        (false, _) => word,
        (true, false) => "[a-zA-Z0-9é(][ a-zA-Z0-9./:;,(){}\\[\\]'é-]{0,20}",
        (true, true) => "([a-zA-Z0-9é(]|\\\\x22)([ a-zA-Z0-9./:;,(){}\\[\\]'é-]|\\\\\"|\\\\\\\\|\\\\x1F){0,20}",
    };
    let pattern = match kind {
        Kind::Int => "0|[1-9][0-9]{0,9}",
        Kind::Float => "[1-9]?[0-9]\\.[0-9]{3}",
        Kind::Code => "[1-5][0-9]{2}",
        Kind::Word => word,
        Kind::Text => text,
        Kind::List => "[a-z0-9.:/]{1,9}(, [a-z0-9.:/]{1,9}){0,2}",
        Kind::Stamp => "20[0-9]{2}-0[1-9]-[01][1-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        Kind::Clf => "[0-2][0-9]/(Jan|May)/20[0-9]{2}:[01][0-9]:[0-5][0-9]:[0-5][0-9] [+-]0[0-9]30",
        Kind::Request => "(GET|POST) /[a-z0-9/?&=]{0,12} HTTP/[12](\\.[01])?",
        Kind::Tries => "([0-9]\\.[0-9]{3}(, | : )){0,2}[0-9]\\.[0-9]{3}",
    };
    let text = proptest::string::string_regex(pattern).unwrap();
    // A time, and a request by its being in quotes, is always there.
    if matches!(kind, Kind::Stamp | Kind::Clf | Kind::Code) {
        text.boxed()
    } else {
        prop_oneof![9 => text, 1 => Just("-".to_owned())].boxed()
    }
}

/// What a value becomes.
fn expect(fields: &mut Map<String, Json>, name: &str, kind: Kind, text: &str) {
    if text == "-" {
        return;
    }
    let float = |text: &str| Json::from(text.parse::<f64>().unwrap());
    let value = match kind {
        Kind::Int | Kind::Code => text.parse::<u64>().unwrap().into(),
        Kind::Float => float(text),
        Kind::Request => {
            let names = ["method", "path", "protocol"];
            fields.extend(names.iter().zip(text.split(' ')).map(|(name, part)| ((*name).to_owned(), part.into())));
            return;
        }
        Kind::Tries => {
            let split = [text.rfind(", ").map(|at| (at, at + 2)), text.rfind(" : ").map(|at| (at, at + 3))];
            let (before, last) = match split.into_iter().flatten().max() {
                Some((end, begin)) => (&text[..end], &text[begin..]),
                None => ("", text),
            };
            if !before.is_empty() {
                fields.insert(format!("{name}_before"), before.into());
            }
            float(last)
        }
        _ => text.into(),
    };
    fields.insert(name.to_owned(), value);
}

/// A format, a line of it, and the line's fields.
#[derive(Debug, Clone)]
struct Case {
    dialect: &'static str,
    format: String,
    line: String,
    fields: Map<String, Json>,
}

fn case() -> impl Strategy<Value = Case> {
    let dialect = prop_oneof![Just(("envoy", ENVOY)), Just(("nginx", NGINX)), Just(("apache", APACHE))];
    let picked = dialect.prop_flat_map(|(dialect, operators)| {
        let some = proptest::sample::subsequence(operators.to_vec(), 1..=operators.len()).prop_shuffle();
        (Just(dialect), some)
    });
    let whole = picked.prop_flat_map(|(dialect, operators)| {
        let item = |operator: Operator| {
            let separator = proptest::sample::select(vec![" ", " - ", " | ", "; x=", "] [", "\t", " 100%% ", ") $"]);
            (Just(operator), any::<bool>(), separator).prop_flat_map(move |(operator, quoted, separator)| {
                let quoted = quoted || operator.2 == Kind::Request;
                (Just((operator, quoted, separator)), value(operator.2, quoted, dialect != "envoy"))
            })
        };
        (Just(dialect), operators.into_iter().map(item).collect::<Vec<_>>())
    });
    whole.prop_map(|(dialect, items)| {
        let mut case = Case { dialect, format: String::new(), line: String::new(), fields: Map::new() };
        for (number, ((operator, quoted, separator), text)) in items.iter().enumerate() {
            if number > 0 {
                // What means itself differs: a percent sign is two for Envoy and Apache, a dollar none for nginx.
                let written = match dialect {
                    "nginx" => separator.replace('$', "").replace("%%", "%"),
                    _ => (*separator).to_owned(),
                };
                case.format.push_str(&written);
                case.line.push_str(&written.replace("%%", "%"));
            }
            let quote = if *quoted { "\"" } else { "" };
            case.format.push_str(&format!("{quote}{}{quote}", operator.0));
            case.line.push_str(&format!("{quote}{text}{quote}"));
            expect(&mut case.fields, operator.1, operator.2, text);
        }
        case
    })
}

/// A format of a JSON object, an object of it, and its fields. Members are nested or not, numbers are written as such or
/// as texts, what is absent is null or `-`.
fn object() -> impl Strategy<Value = (Json, Json, Map<String, Json>)> {
    let some = proptest::sample::subsequence(ENVOY.to_vec(), 1..=ENVOY.len()).prop_shuffle();
    let items = some.prop_flat_map(|operators| {
        let item = |operator: Operator| (Just(operator), any::<bool>(), any::<bool>(), value(operator.2, true, false));
        operators.into_iter().map(item).collect::<Vec<_>>()
    });
    items.prop_map(|items| {
        let (mut format, mut object, mut fields) = (Map::new(), Map::new(), Map::new());
        for (number, ((written, name, kind), nested, typed, text)) in items.into_iter().enumerate() {
            expect(&mut fields, name, kind, &text);
            let value = match fields.get(name) {
                None if typed => Json::Null,
                Some(value) if typed => value.clone(),
                _ => text.into(),
            };
            let key = format!("k{number}");
            for (object, value) in [(&mut format, written.into()), (&mut object, value)] {
                let inner = object.entry("in").or_insert_with(|| Map::new().into()).as_object_mut().unwrap();
                if nested {
                    inner.insert(key.clone(), value)
                } else {
                    object.insert(key.clone(), value)
                };
            }
        }
        (format.into(), object.into(), fields)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back(case in case()) {
        let grammar = grammar(case.dialect, case.format.clone());
        let mut fields = Fields::new();
        let fits = grammar.parse_line(&case.line, &mut fields);
        prop_assert_eq!(fits.then(|| fields.to_json()), Some(case.fields), "{:?}", grammar.patterns().collect::<Vec<_>>());
    }

    #[test]
    fn members_come_back((format, object, expected) in object()) {
        let grammar = grammar("envoy_json", format);
        let mut fields = Fields::new();
        let line = object.to_string();
        prop_assert!(grammar.parse_line(&line, &mut fields), "{}", line);
        prop_assert_eq!(fields.to_json(), expected, "{}", line);
    }

    #[test]
    fn any_text_is_a_format_or_an_error(text in "[%$(){}:?A-Za-z\"'\\\\ .\\]\\[é>!^;#-]{0,30}", dialect in 0..3usize) {
        let dialect = ["envoy", "nginx", "apache"][dialect];
        let file = serde_json::json!({"name": "x", "format": {dialect: text}}).to_string();
        if let Err(error) = crate::parse::file::read(&file) {
            prop_assert!(error.to_string().starts_with("format: character "), "{}", error);
        }
    }
}
