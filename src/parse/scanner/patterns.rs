//! Real patterns, for tests and the bench: grok's definitions without look-around, and an expansion of `%{NAME:field}`
//! that does for these patterns. Plain groups do not capture, `\w` and its like are ASCII, `\b` is not.

const DEFINITIONS: &[(&str, &str)] = &[
    ("INT", r"(?:[+-]?(?:[0-9]+))"),
    ("NUMBER", r"(?:[+-]?(?:(?:[0-9]+(?:\.[0-9]+)?)|(?:\.[0-9]+)))"),
    ("POSINT", r"\b(?:[1-9][0-9]*)\b"),
    ("WORD", r"\b[0-9A-Za-z_]+\b"),
    ("NOTSPACE", r"[^\t\n\x0b\x0c\r ]+"),
    ("DATA", ".*?"),
    ("GREEDYDATA", ".*"),
    ("QS", r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#),
    ("UUID", "[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}"),
    ("USER", "[a-zA-Z0-9._-]+"),
    ("EMAIL", r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]{1,64}(?:\.[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]{1,62}){0,63}@%{HOSTNAME}"),
    ("HTTPDUSER", "(?:%{EMAIL}|%{USER})"),
    ("H4", "[0-9A-Fa-f]{1,4}"),
    (
        "V4TAIL",
        r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3})",
    ),
    (
        "IPV6",
        "(?:(?:(?:%{H4}:){7}(?:%{H4}|:))|(?:(?:%{H4}:){6}(?::%{H4}|%{V4TAIL}|:))\
         |(?:(?:%{H4}:){5}(?:(?:(?::%{H4}){1,2})|:%{V4TAIL}|:))\
         |(?:(?:%{H4}:){4}(?:(?:(?::%{H4}){1,3})|(?:(?::%{H4})?:%{V4TAIL})|:))\
         |(?:(?:%{H4}:){3}(?:(?:(?::%{H4}){1,4})|(?:(?::%{H4}){0,2}:%{V4TAIL})|:))\
         |(?:(?:%{H4}:){2}(?:(?:(?::%{H4}){1,5})|(?:(?::%{H4}){0,3}:%{V4TAIL})|:))\
         |(?:(?:%{H4}:){1}(?:(?:(?::%{H4}){1,6})|(?:(?::%{H4}){0,4}:%{V4TAIL})|:))\
         |(?::(?:(?:(?::%{H4}){1,7})|(?:(?::%{H4}){0,5}:%{V4TAIL})|:)))(?:%.+)?",
    ),
    ("V4PART", "(?:[0-1]?[0-9]{1,2}|2[0-4][0-9]|25[0-5])"),
    ("IPV4", "(?:%{V4PART}[.]%{V4PART}[.]%{V4PART}[.]%{V4PART})"),
    ("IP", "(?:%{IPV6}|%{IPV4})"),
    ("HOSTNAME", r"\b(?:[0-9A-Za-z][0-9A-Za-z-]{0,62})(?:\.(?:[0-9A-Za-z][0-9A-Za-z-]{0,62}))*(?:\.?|\b)"),
    ("IPORHOST", "(?:%{IP}|%{HOSTNAME})"),
    (
        "MONTH",
        r"\b(?:[Jj]an(?:uary|uar)?|[Ff]eb(?:ruary|ruar)?|[Mm](?:a|ä)?r(?:ch|z)?|[Aa]pr(?:il)?|[Mm]a(?:y|i)?|[Jj]un(?:e|i)?|[Jj]ul(?:y)?|[Aa]ug(?:ust)?|[Ss]ep(?:tember)?|[Oo](?:c|k)?t(?:ober)?|[Nn]ov(?:ember)?|[Dd]e(?:c|z)(?:ember)?)\b",
    ),
    ("MONTHNUM", "(?:0?[1-9]|1[0-2])"),
    ("MONTHDAY", "(?:(?:0[1-9])|(?:[12][0-9])|(?:3[01])|[1-9])"),
    ("YEAR", "[0-9][0-9](?:[0-9][0-9])?"),
    ("HOUR", "(?:2[0123]|[01]?[0-9])"),
    ("MINUTE", "(?:[0-5][0-9])"),
    ("SECOND", "(?:(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?)"),
    ("TIME", "%{HOUR}:%{MINUTE}(?::%{SECOND})"),
    ("ZONE", "(?:Z|[+-]%{HOUR}(?::?%{MINUTE}))"),
    ("TIMESTAMP_ISO8601", "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ZONE}?"),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    (
        "LOGLEVEL",
        "(?:[Aa]lert|ALERT|[Tt]race|TRACE|[Dd]ebug|DEBUG|[Nn]otice|NOTICE|[Ii]nfo|INFO|[Ww]arn?(?:ing)?|WARN?(?:ING)?|[Ee]rr?(?:or)?|ERR?(?:OR)?|[Cc]rit?(?:ical)?|CRIT?(?:ICAL)?|[Ff]atal|FATAL|[Ss]evere|SEVERE|EMERG(?:ENCY)?|[Ee]merg(?:ency)?)",
    ),
];

/// A format: its folder of the corpus, its name, its pattern in grok's syntax.
pub const PATTERNS: &[(&str, &str, &str)] = &[
    (
        "klog",
        "klog",
        r"^(?<level>[IWEF])(?<month>\d\d)(?<day>\d\d) %{TIME:time} +%{INT:thread_id} %{NOTSPACE:filename}:%{INT:line_number}\] %{GREEDYDATA:msg}",
    ),
    (
        "klog",
        "klog-book",
        r"(?<level>.)(?<DAYOFMONTH>\d\d)(?<MONTHDAY>\d\d) %{TIME:timeofday} *%{INT:thread_id} %{NOTSPACE:filename}:%{INT:line_number}\] %{GREEDYDATA:msg}",
    ),
    (
        "envoy",
        "envoy",
        r#"^\[%{TIMESTAMP_ISO8601:start_time}\] "%{DATA:method} %{DATA:path} %{DATA:protocol}" %{NUMBER:response_code} %{DATA:response_flags} %{NUMBER:bytes_received} %{NUMBER:bytes_sent} %{NUMBER:duration} (?:%{NUMBER:upstream_service_time}|-) "%{DATA:x_forwarded_for}" "%{DATA:user_agent}" "%{DATA:request_id}" "%{DATA:authority}" "%{DATA:upstream_host}""#,
    ),
    (
        "nginx",
        "nginx combined",
        r#"%{IPORHOST:clientip} %{HTTPDUSER:ident} %{HTTPDUSER:auth} \[%{HTTPDATE:timestamp}\] "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})" %{NUMBER:response} (?:%{NUMBER:bytes}|-) %{QS:referrer} %{QS:agent}"#,
    ),
    (
        "oslo",
        "oslo",
        r"%{TIMESTAMP_ISO8601:time} %{POSINT:pid} %{LOGLEVEL:level} %{NOTSPACE:logger} \[%{DATA:context}\] (?:\[instance: %{UUID:instance}\] )?%{GREEDYDATA:msg}",
    ),
];

/// The pattern as the `regex` crate reads it.
pub fn expanded(grok: &str) -> String {
    let mut pattern = grok.replace(r"\d", "[0-9]");
    while let Some(begin) = pattern.find("%{") {
        let len = pattern[begin..].find('}').expect("an end of the reference");
        let (name, field) = match pattern[begin + 2..begin + len].split_once(':') {
            Some((name, field)) => (name, Some(field)),
            None => (&pattern[begin + 2..begin + len], None),
        };
        let known = DEFINITIONS.iter().find(|(known, _)| *known == name);
        let definition = known.unwrap_or_else(|| panic!("no pattern {name}")).1;
        let group = field.map_or("(?:".to_owned(), |field| format!("(?<{field}>"));
        pattern.replace_range(begin..=begin + len, &format!("{group}{definition})"));
    }
    pattern
}
