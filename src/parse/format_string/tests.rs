//! What formats become: patterns, names, types, and errors with their place.

use serde_json::{Value as Json, json};

use super::corpus_tests::{APACHE, ENVOY, NGINX, grammar};
use super::*;
use crate::parse::grammar::Grammar;
use crate::parse::load;
use crate::record::Fields;

fn parsed(grammar: &Grammar, line: &str) -> Json {
    let mut fields = Fields::new();
    if grammar.parse_line(line, &mut fields) { fields.to_json().into() } else { Json::Null }
}

/// The line of this format gives these fields; every field has the type its grammar says.
#[track_caller]
fn check(dialect: &str, format: impl Into<Json>, line: &str, fields: Json) {
    let grammar = grammar(dialect, format);
    let found = parsed(&grammar, line);
    assert_eq!(found, fields, "{:?}", grammar.patterns().collect::<Vec<_>>());
    for (name, value) in found.as_object().into_iter().flatten() {
        let spec = grammar.fields.iter().find(|spec| spec.name == name).unwrap();
        assert_eq!(spec.number, value.is_number(), "{name}");
    }
}

#[test]
fn envoy_operators() {
    let check = |format: &str, line: &str, fields: Json| check("envoy", format, line, fields);
    check(
        "%START_TIME(%s.%3f)% %DURATION%ms",
        "1527590590.528 12ms",
        json!({"start_time": 1527590590.528, "duration": 12}),
    );
    check(
        "%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%|",
        "2026/01/22T03:57:30+0000 1|",
        json!({"start_time": "2026/01/22T03:57:30+0000 1"}),
    );
    check(
        "%REQ(FOO-BAR?X):20% %RESP(FOO-BAR)% %TRAILER(FOO-BAR)%",
        "a b c",
        json!({"foo_bar": "a", "response_foo_bar": "b", "trailer_foo_bar": "c"}),
    );
    check("%REQ(A)% %REQ(A)% %REQ(a)%", "x x z", json!({"a": "x", "request_a": "z"}));
    check("100%% of %DYNAMIC_METADATA(com.test:k1:k2)%", "100% of y", json!({"dynamic_metadata_com_test_k1_k2": "y"}));
    check("%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)%", "-5", json!({"common_duration_ds_rx_beg_us_tx_beg_us": -5}));
    check(
        "%GRPC_STATUS(NUMBER)% %FILTER_STATE(k:PLAIN)% %NOT_YET_KNOWN%",
        "3 - v",
        json!({"grpc_status": 3, "not_yet_known": "v"}),
    );
    check(
        "%REQ(USER-AGENT)% %RESPONSE_CODE% %BYTES_SENT%",
        "a b 1 c 200 17",
        json!({"user_agent": "a b 1 c", "response_code": 200, "bytes_sent": 17}),
    );
    check("%REQ(:AUTHORITY)%%REQ(:PATH)% %PROTOCOL%", "h:80/a b -", json!({"authority": "h:80", "path": "/a b"}));
    check("[%UPSTREAM_HOST%]", "[[::1]:80]", json!({"upstream_host": "[::1]:80"}));
    check("a=%REQ(A)% b=%DURATION% c=%REQ(C)%", "a= b= c=", json!({}));
    check("a=%REQ(A)% b=%DURATION%", "a=x b=y", Json::Null);
    check("a=%REQ(X-REQUEST-ID)% b=%DURATION%", "a=x y b=1", json!({"request_id": "x y", "duration": 1}));
    check("%DURATION%\\n", "7", json!({"duration": 7}));
    check(
        "%REQ(X-FORWARDED-FOR)% %DURATION%",
        "1.2.3.4, ::1,5.6.7.8 7",
        json!({"x_forwarded_for": "1.2.3.4, ::1,5.6.7.8", "duration": 7}),
    );
}

#[test]
fn envoy_objects() {
    let format = json!({"start": "%START_TIME%", "code": "%RESPONSE_CODE%", "kind": "access", "v": 2,
        "request": "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "nested": {"peer": "%UPSTREAM_HOST%", "meta": "%DYNAMIC_METADATA(a)%"}});
    let line = r#"{"start":"2026-01-22T03:57:30.104Z","code":"503","kind":"access","v":2,"more":1,"request":"GET /a\tb HTTP/2","nested":{"peer":"-","meta":{"x":{"y":1}}}}"#;
    let fields = json!({"start_time": "2026-01-22T03:57:30.104Z", "response_code": 503, "kind": "access", "v": 2,
        "method": "GET", "path": "/a\tb", "protocol": "HTTP/2", "dynamic_metadata_a": {"x": {"y": 1}}});
    let grammar = grammar("envoy_json", format);
    assert_eq!(parsed(&grammar, line), fields);
    // Types as they are now written, what is absent as null; the wrapper of a container runtime comes off.
    let line = r#"{"code":503,"kind":"access","v":2,"start":null,"request":"-"}"#;
    let fields = json!({"response_code": 503, "kind": "access", "v": 2});
    assert_eq!(parsed(&grammar, line), fields);
    let outer = json!({"time": "2026-01-22T03:57:30Z", "stream": "stdout", "logtag": "F"});
    let found = parsed(&grammar, &format!("2026-01-22T03:57:30Z stdout F {line}"));
    assert_eq!((&found["cri"], &found["response_code"]), (&outer, &json!(503)));
    for (from, to) in [
        ("503", "\"x\""),
        ("access", "other"),
        ("\"v\":2", "\"v\":3"),
        ("\"request\":\"-\"", "\"request\":[]"),
        ("\"kind\":\"access\",\"v\":2,", ""),
        ("{", "["),
    ] {
        assert_eq!(parsed(&grammar, &line.replace(from, to)), Json::Null, "{to}");
    }
    assert!(grammar.fields.iter().any(|spec| spec.name == "response_code" && spec.number));
    assert_eq!(grammar.resolve("http.response.status_code"), Some("response_code"));
}

#[test]
fn nginx_variables() {
    let check = |format: &str, line: &str, fields: Json| check("nginx", format, line, fields);
    check("$1 $Own__x", "a b", json!({"x_1": "a", "own_x": "b"}));
    check(
        "$remote_addr ${request_time} $upstream_response_time",
        "::1 0.250 0.050, 0.1 : -",
        json!({"remote_addr": "::1", "request_time": 0.25, "upstream_response_time_before": "0.050, 0.1"}),
    );
    check(
        "$upstream_status $upstream_addr",
        "502, 200 10.0.0.1:80, unix:/a",
        json!({"upstream_status_before": "502", "upstream_status": 200, "upstream_addr": "10.0.0.1:80, unix:/a"}),
    );
    check(
        "$time_iso8601 $scheme://$host$request_uri",
        "2026-01-22T03:57:30+03:30 https://h/a?b",
        json!({"time": "2026-01-22T03:57:30+03:30", "scheme": "https", "host": "h", "path": "/a?b"}),
    );
    check(
        "$uri$is_args$args $msec",
        "/a?b=c 1700000000.123",
        json!({"uri": "/a", "is_args": "?", "args": "b=c", "msec": 1700000000.123}),
    );
    check(
        "\"$request_method $request_uri $server_protocol\" \"$http_x_my_own\"",
        r#""GET /a b HTTP/1.1" "q \x22""#,
        json!({"method": "GET", "path": "/a b", "protocol": "HTTP/1.1", "http_x_my_own": r"q \x22"}),
    );
    check("\"$request\" $request_method", "\"\\x16\\x03\" -", json!({"request": r"\x16\x03"}));
    check(
        "$mine [$proxy_upstream_name] $req_id",
        "a [b c] d",
        json!({"mine": "a", "proxy_upstream_name": "b c", "req_id": "d"}),
    );
    check(
        "$http_user_agent $status",
        "Mozilla/5.0 (X11; x) 200",
        json!({"user_agent": "Mozilla/5.0 (X11; x)", "status": 200}),
    );
}

/// The default of the Kubernetes ingress controller: lists outside quotes, and variables that nginx does not know.
#[test]
fn ingress_nginx() {
    let format = format!(
        "{NGINX} $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] \
         $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"
    );
    let line = r#"10.1.0.1 - - [22/Jan/2026:03:57:30 +0000] "GET /a HTTP/2.0" 200 612 "-" "curl/8.5.0" 370 5.004 [shop-web-80] [] 10.2.0.7:80, 10.2.0.8:80 0, 612 5.000, 0.004 504, 200 6f4b2c"#;
    let found = parsed(&grammar("nginx", format), line);
    let expected = json!({"remote_addr": "10.1.0.1", "time": "22/Jan/2026:03:57:30 +0000", "method": "GET", "path": "/a",
        "protocol": "HTTP/2.0", "status": 200, "bytes": 612, "user_agent": "curl/8.5.0", "request_length": 370,
        "request_time": 5.004, "proxy_upstream_name": "shop-web-80", "upstream_addr": "10.2.0.7:80, 10.2.0.8:80",
        "upstream_response_length_before": "0", "upstream_response_length": 612, "upstream_response_time_before": "5.000",
        "upstream_response_time": 0.004, "upstream_status_before": "504", "upstream_status": 200, "req_id": "6f4b2c"});
    assert_eq!(found, expected);
}

#[test]
fn nginx_directives() {
    let line = r#"192.0.2.7 - alice [22/Jan/2026:03:57:30 +0330] "GET / HTTP/1.1" 200 8214 "-" "curl/8.5.0""#;
    let fields = parsed(&grammar("nginx", NGINX), line);
    assert_eq!(fields["user"], "alice");
    let directive = "  log_format main '$remote_addr - $remote_user [$time_local] \"$request\" ' # the first line\n\
        \t'$status $body_bytes_sent \"$http_referer\" '\n   \"\\\"$http_user_agent\\\"\";\n";
    assert_eq!(parsed(&grammar("nginx", directive), line), fields);
    assert_eq!(parsed(&grammar("nginx", directive.replace("main", "main escape=default")), line), fields);
    let strings = directive
        .trim_start()
        .strip_prefix("log_format main ")
        .unwrap()
        .replace("\"\\\"", "'\"")
        .replace("\\\"\"", "\"'");
    assert_eq!(parsed(&grammar("nginx", strings), line), fields);

    let json = "log_format j escape=json '{\"t\":\"$time_iso8601\",\"code\":$status,\"req\":\"$request\",'\n'\"took\":\"$upstream_response_time\",\"in\":{\"agent\":\"$http_user_agent\"}}';";
    let line = r#"{"t":"2026-01-22T03:57:30+00:00","code":200,"req":"GET /\"a\" HTTP/1.1","took":"0.1, 0.2","in":{"agent":"x \"y\""}}"#;
    let fields = json!({"time": "2026-01-22T03:57:30+00:00", "status": 200, "method": "GET", "path": "/\"a\"",
        "protocol": "HTTP/1.1", "upstream_response_time_before": "0.1", "upstream_response_time": 0.2, "user_agent": "x \"y\""});
    assert_eq!(parsed(&grammar("nginx", json), line), fields);
    let bare = "{\"t\":\"$time_iso8601\",\"code\":$status,\"req\":\"$request\",\"took\":$upstream_response_time}";
    let line = r#"{"t":"2026-01-22T03:57:30+00:00","code":404,"req":"","took":0.3}"#;
    let fields = json!({"time": "2026-01-22T03:57:30+00:00", "status": 404, "upstream_response_time": 0.3});
    assert_eq!(parsed(&grammar("nginx", bare), line), fields);
    // By default values are escaped otherwise, and the line is no JSON.
    let line = r#"{"t":"2026-01-22T03:57:30+00:00","code":404,"req":"\x16","took":-}"#;
    let fields = json!({"time": "2026-01-22T03:57:30+00:00", "status": 404, "request": r"\x16"});
    assert_eq!(parsed(&grammar("nginx", format!("log_format j '{bare}';")), line), fields);
    assert_eq!(parsed(&grammar("nginx", bare), &line.replace(r"\x16", "x")), fields_of_text(&fields));
}

/// A line that a missing number kept from being JSON is read as the text it is.
fn fields_of_text(fields: &Json) -> Json {
    let mut fields = fields.clone();
    fields["request"] = "x".into();
    fields
}

#[test]
fn apache_directives() {
    let check = |format: &str, line: &str, fields: Json| check("apache", format, line, fields);
    let combined = format!("{APACHE} \"%{{Referer}}i\" \"%{{User-agent}}i\"");
    let line = r#"192.0.2.7 - - [22/Jan/2026:03:57:30 +0330] "GET / HTTP/1.1" 200 - "-" "a \"b\"""#;
    let fields = parsed(&grammar("apache", combined.clone()), line);
    assert_eq!(fields["user_agent"], r#"a \"b\""#);
    let escaped = combined.replace('"', "\\\"");
    for format in [
        format!("LogFormat \"{escaped}\" combined"),
        format!("CustomLog \"/var/log/a b.log\" \"{escaped}\""),
        format!("CustomLog logs/a \"{escaped}\" env=!x"),
        escaped,
    ] {
        assert_eq!(parsed(&grammar("apache", format), line), fields);
    }
    check(
        "%!200,304{User-agent}i\\t%<s %>s %%%D",
        "x y\t200 404 %1500",
        json!({"user_agent": "x y", "status": 200, "final_status": 404, "duration_us": 1500}),
    );
    check(
        "%{ms}T %T %I %O %{UNIQUE_ID}e %X",
        "3 0 12 13 Zq-@ +",
        json!({"duration_ms": 3, "duration_s": 0, "bytes_received": 12, "bytes_sent": 13, "env_unique_id": "Zq-@", "connection_status": "+"}),
    );
    check(
        "%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t %{begin:sec}t",
        "2026-01-22T03:57:30.104 1769054250",
        json!({"time": "2026-01-22T03:57:30", "time_msec_frac": 104, "time_sec": 1769054250}),
    );
    check("%{SSL_PROTOCOL}x %{%H:%M}t", "TLSv1.3 03:57", json!({"ssl_protocol": "TLSv1.3", "time": "03:57"}));
    check(
        "%v:%p %U%q %m %H",
        "h:443 /a?b GET HTTP/2",
        json!({"server_name": "h", "server_port": 443, "path": "/a", "query": "?b", "method": "GET", "protocol": "HTTP/2"}),
    );
    check(
        "%{Content-Type}i %{Content-Type}o %{X}C %^FB",
        "a/b c/d e 9",
        json!({"content_type": "a/b", "response_content_type": "c/d", "cookie_x": "e", "first_byte_us": 9}),
    );
}

#[test]
fn an_error_tells_its_place_and_what_to_do() {
    let check = |dialect: &str, format: Json, says: &str| {
        let text = json!({"name": "x", "format": {dialect: format}}).to_string();
        let error = load(&text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}\n  expected {says}");
    };
    let text = |dialect: &str, format: &str, says: &str| check(dialect, format.into(), says);
    text(
        "envoy",
        "ü %REQ(:METHOD %PROTOCOL%",
        "character 3: an operator that begins here is not closed: end it with )%, or write %% for a percent sign\n  ü %REQ(:METHOD %PROTOCOL%\n    ^",
    );
    text("envoy", "%DURATION% %", "character 12");
    text("envoy", "%DURATION", "character 1");
    text("envoy", "%DURATION%%BYTES_SENT%", "character 11: nothing stands between %DURATION% and %BYTES_SENT%");
    text("envoy", "%REQ%", "REQ needs a parameter");
    text("envoy", "%REQ(A):x%", "is not closed");
    text("envoy", "%DURATION:x%", "\"x\" is no length limit");
    text("envoy", "no operators", "the format has no operator");
    check("envoy_json", json!({"a": ["%DURATION%"]}), "a member of a format's object");
    check("envoy_json", json!({"a": "b"}), "the format has no operator");
    check("envoy_json", json!({"a": {"b": "%DURATION"}}), "character 1: an operator");
    text("nginx", "$status $ $x", "character 9: a variable's name is missing");
    text("nginx", "$status ${x", "character 9");
    text("nginx", "$status$body_bytes_sent", "character 8: nothing stands between $status and $body_bytes_sent");
    text("nginx", "log_format main '$status", "character 17: a quote that is not closed");
    text("nginx", "log_format main escape=x '$status'", "character 17: not understood here");
    text("nginx", "log_format main '$status'; access_log x", "character 26: not understood here");
    text("nginx", "{\"a\": $status", "the format is not a JSON object");
    text("apache", "%h %y", "character 4: unknown directive %y");
    text("apache", "%h %{ns}T", "unknown argument {ns} of %T: known are s, ms, us");
    text("apache", "%h %i", "%i needs an argument");
    text("apache", "%h %{Referer", "not closed: end it with }");
    text("apache", "%h %>", "not closed: end it with its letter");
    text("apache", "LogFormat \\\"%h", "a quote that is not closed");
    check("iis", json!("x"), "iis");
    let both = json!({"name": "x", "patterns": ["^(?<a>x)$"], "format": {"nginx": "$status"}}).to_string();
    assert!(load(&both).unwrap_err().to_string().contains("either patterns or format"));
    assert!(load("name: x").unwrap_err().to_string().contains("either patterns or format"));
}

#[test]
fn the_file_overrides_what_the_operators_say() {
    let text = json!({"name": "x", "format": {"envoy": ENVOY}, "fields": {"duration": {"type": "float"}, "path": {"role": "id"}},
        "aliases": {"url.path": "authority"}});
    let grammar = crate::parse::file::read(&text.to_string()).unwrap().0;
    let spec = |name: &str| *grammar.fields.iter().find(|spec| spec.name == name).unwrap();
    assert_eq!(
        (spec("path").role, spec("request_id").role, spec("start_time").role),
        (Role::Id, Role::Id, Role::Stamp)
    );
    assert!(spec("duration").number && spec("upstream_service_time").number && !spec("path").number);
    assert_eq!((grammar.resolve("url.path"), grammar.resolve("url.domain")), (Some("authority"), Some("authority")));
    assert!(
        grammar
            .explain("[2026-01-22T03:57:30.104Z] \"GET / HTTP/1.1\" x")
            .is_some_and(|at| at.atom.contains("response_code"))
    );
}

#[test]
fn every_operator_is_known_once() {
    let mut names: Vec<_> = envoy_operators::OPERATORS.iter().map(|(operator, ..)| operator).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), envoy_operators::OPERATORS.len());
    // What the hand-written parser calls its fields, the operators do as well.
    let known = |name: &str| {
        envoy_operators::OPERATORS.iter().any(|(_, field, ..)| *field == name)
            || ["method", "path", "upstream_service_time", "x_forwarded_for", "user_agent", "request_id", "authority"]
                .contains(&name)
    };
    for spec in crate::parse::formats::envoy::FIELDS {
        assert!(known(spec.name), "{}", spec.name);
    }
}

/// Twice the line takes about twice the time, whatever is in it. The factor leaves room for a busy machine, and the
/// shortest of some runs is taken.
#[test]
fn time_grows_with_the_length() {
    let formats = [
        ("envoy", ENVOY.to_owned()),
        ("envoy", "%REQ(USER-AGENT)% %REQ(REFERER)% %ROUTE_NAME% %RESPONSE_CODE% %DURATION%".to_owned()),
        ("nginx", format!("{NGINX} $upstream_response_time $upstream_addr")),
        ("apache", format!("{APACHE} \"%{{A}}i\" %{{User-agent}}i %u")),
    ];
    let heads = [
        "",
        "[2026-01-22T03:57:30.104Z] \"GET / HTTP/1.1\" 200 - 1 2 3 4 \"-\" \"",
        "1.2.3.4 - - [22/Jan/2026:03:57:30 +0330] \"GET ",
    ];
    for (dialect, format) in formats {
        let grammar = grammar(dialect, format);
        for (head, unit) in
            heads.iter().flat_map(|head| ["a ", "\" \"", "0.1, ", "\\\"", " 200 1", "[", "-"].map(|unit| (head, unit)))
        {
            let time = |bytes: usize| {
                let line = format!("{head}{}", unit.repeat(bytes / unit.len()));
                let run = || {
                    let start = std::time::Instant::now();
                    std::hint::black_box(grammar.parse_line(&line, &mut Fields::new()));
                    start.elapsed()
                };
                (0..3).map(|_| run()).min().unwrap()
            };
            let (short, long) = (time(10_000), time(160_000));
            // Sixteen times the length; its square would be 256 times.
            let most = short * 100 + std::time::Duration::from_millis(20);
            assert!(long < most, "{dialect} {head:?} {unit:?}: {short:?}, then {long:?}");
        }
    }
}
