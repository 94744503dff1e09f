//! Envoy's access log as JSON, with the operators' names for keys, as Istio writes it.
//!
//! Key order is not fixed. Current Envoy writes numbers as numbers and what is missing as `null`; older ones write
//! texts and `-`. Keys that are no operator's are left out of the fields; the line keeps them.

use crate::parse::number::{digits, is_stamp};
use crate::record::{Fields, Value};

use super::envoy::FIELDS;

/// Makes an access log's fields of the JSON object whose members stand in `fields` from `mark` on. False, with
/// nothing changed, where the object is none: it has a start time and a response code, and two of its three counts.
pub(in crate::parse) fn refine(fields: &mut Fields<'_>, mark: usize) -> bool {
    let (mut start, mut code, mut counts) = (false, false, 0);
    for field in fields.iter().skip(mark) {
        match &*field.name {
            "start_time" => start = matches!(&field.value, Value::Str(s) if is_stamp(s)),
            "response_code" => code = matches!(number(&field.value), Some(Some(_))),
            "bytes_received" | "bytes_sent" | "duration" => match number(&field.value) {
                Some(_) => counts += 1,
                None => return false,
            },
            "upstream_service_time" if number(&field.value).is_none() => return false,
            _ => {}
        }
    }
    if !start || !code || counts < 2 {
        return false;
    }
    let mut index = 0;
    fields.retain_mut(|field| {
        index += 1;
        if index <= mark {
            return true;
        }
        let Some(spec) = FIELDS.iter().find(|spec| spec.name == &*field.name) else { return false };
        field.role = spec.role;
        if spec.number {
            match number(&field.value).flatten() {
                Some(n) => field.value = n,
                None => return false,
            }
            return true;
        }
        matches!(&field.value, Value::Str(s) if !matches!(&**s, "" | "-"))
    });
    true
}

/// A number, written as one or as text; `Some(None)` where it is missing, `None` where it is something else.
fn number(value: &Value<'_>) -> Option<Option<Value<'static>>> {
    match value {
        Value::U64(n) => Some(Some(Value::U64(*n))),
        Value::F64(n) => Some(Some(Value::F64(*n))),
        Value::Str(s) if matches!(&**s, "" | "-") => Some(None),
        Value::Str(s) => Some(Some(Value::U64(digits(s.as_bytes())?))),
        Value::Json(json) if json.is_null() => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::formats::json;
    use serde_json::json;

    #[test]
    fn objects() {
        let check = |line: &str, expected: Option<serde_json::Value>| {
            let mut fields = Fields::new();
            assert!(json::parse(line, &mut fields));
            let before = fields.clone();
            if refine(&mut fields, 0) {
                assert_eq!(Some(fields.to_json().into()), expected, "{line}");
            } else {
                assert_eq!((None, fields), (expected, before), "{line}");
            }
        };
        let start = r#""start_time":"2024-11-17T14:48:02.599Z","response_code""#;
        check(
            &format!(r#"{{"duration":2,"bytes_sent":"19","path":"-","other":[1],"authority":null,{start}:"429"}}"#),
            Some(
                json!({"duration": 2, "bytes_sent": 19, "start_time": "2024-11-17T14:48:02.599Z", "response_code": 429}),
            ),
        );
        check(&format!(r#"{{{start}:200,"bytes_sent":1,"duration":"fast"}}"#), None);
        check(&format!(r#"{{{start}:200,"bytes_sent":1}}"#), None);
        check(&format!(r#"{{{start}:null,"bytes_sent":1,"duration":1}}"#), None);
        check(r#"{"response_code":200,"bytes_sent":1,"duration":1}"#, None);
        check("{}", None);
    }
}
