use super::*;
use serde_json::{Value as Json, json};

fn parsed(line: &str) -> Option<Json> {
    let mut fields = Fields::new();
    let fits = parse(line, &mut fields);
    assert_eq!(fits, !fields.is_empty(), "{line:?}");
    fits.then(|| fields.to_json().into())
}

const TIME: &str = "2024-11-08T06:56:49.132Z";

/// A default line of these parts, and what is expected of them.
fn check(request: &str, middle: &str, quoted: &str, expected: Option<Json>) {
    let line = format!("[{TIME}] \"{request}\" {middle} {quoted}");
    let found = parsed(&line).map(|mut found| {
        assert_eq!(found.as_object_mut().unwrap().remove("start_time"), Some(TIME.into()));
        found
    });
    assert_eq!(found, expected, "{line}");
}

const NONE: &str = r#""-" "-" "-" "-" "-""#;

#[test]
fn the_default_format() {
    let numbers = json!({"response_code": 200, "bytes_received": 1, "bytes_sent": 2, "duration": 3});
    let with = |more: Json| {
        let mut all = numbers.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(all)
    };
    let get = |path: &str| json!({"method": "GET", "path": path, "protocol": "HTTP/1.1"});
    check("GET / HTTP/1.1", "200 - 1 2 3 -", NONE, with(get("/")));
    check("GET /a b HTTP/1.1", "200 - 1 2 3 -", NONE, with(get("/a b")));
    check("GET /\"a\" \" HTTP/1.1", "200 - 1 2 3 -", NONE, with(get("/\"a\" \"")));
    check("GET /путь\0 HTTP/1.1", "200 - 1 2 3 -", NONE, with(get("/путь\0")));
    check("- - -", "200 - 1 2 3 -", NONE, with(json!({})));
    check("CONNECT - HTTP/2", "200 - 1 2 3 -", NONE, with(json!({"method": "CONNECT", "protocol": "HTTP/2"})));
    check("- - -", "200  1 2 3 ", r#""" "" "" "" """#, with(json!({})));
    check(
        "- - -",
        "200 UF,URX 1 2 3 4",
        r#""1.2.3.4, ::1" "a "b" "c" d" "id" "host:80" "[::1]:80""#,
        with(json!({"response_flags": "UF,URX", "upstream_service_time": 4, "x_forwarded_for": "1.2.3.4, ::1",
            "user_agent": "a \"b\" \"c\" d", "request_id": "id", "authority": "host:80", "upstream_host": "[::1]:80"})),
    );
    check("- - -", "200 - via_upstream 1 2 3 -", NONE, with(json!({"response_code_details": "via_upstream"})));
}

#[test]
fn the_istio_formats() {
    let tail = "outbound|80||x 127.0.0.1:1 10.0.0.1:80 10.0.0.2:2 sni";
    let base = json!({"response_code": 0, "bytes_received": 1, "bytes_sent": 2, "duration": 3,
        "upstream_cluster": "outbound|80||x", "upstream_local_address": "127.0.0.1:1",
        "downstream_local_address": "10.0.0.1:80", "downstream_remote_address": "10.0.0.2:2",
        "requested_server_name": "sni"});
    let with = |more: Json| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(all)
    };
    check("- - -", "0 - \"-\" 1 2 3 -", &format!("{NONE} {tail}"), with(json!({})));
    check("- - -", "0 - \"-\" \"-\" 1 2 3 -", &format!("{NONE} {tail} a b"), with(json!({"route_name": "a b"})));
    check("- - -", "0 - - - \"-\" 1 2 3 -", &format!("{NONE} {tail} -"), with(json!({})));
    check(
        "- - -",
        "0 - d t \"it's \"so\" 1\" 1 2 3 -",
        &format!("{NONE} {tail} r"),
        with(json!({"response_code_details": "d", "connection_termination_details": "t", "route_name": "r",
            "upstream_transport_failure_reason": "it's \"so\" 1"})),
    );
    check("- - -", "0 - - - \"-\" 1 2 3 -", NONE, None);
    check("- - -", "0 - - - \"-\" 1 2 3 -", &format!("{NONE} a b c d"), None);
    check("- - -", "0 - - - 1 2 3 -", &format!("{NONE} {tail}"), None);
}

#[test]
fn what_is_no_access_log() {
    check("GET / HTTP/1.1", "OK - 1 2 3 -", NONE, None);
    check("GET / HTTP/1.1", "2000 - 1 2 3 -", NONE, None);
    check("GET / HTTP/1.1", "200 lower 1 2 3 -", NONE, None);
    check("GET / HTTP/1.1", "200 - 1 2 3", NONE, None);
    check("GET / HTTP/1.1", "200 - 1 2 3 x", NONE, None);
    check("GET / HTTP/1.1", "200 - 1 2 3 -", &format!("{NONE} more"), None);
    check("GET / HTTP/1.1", "200 - 1 2 3 -", r#""-" "-" "-" "-""#, None);
    check("GET / FTP", "200 - 1 2 3 -", NONE, None);
    check("GET /", "200 - 1 2 3 -", NONE, None);
    check("", "200 - 1 2 3 -", NONE, None);
    for line in [
        "",
        "-",
        "[",
        "[]",
        "ACCESS ",
        "[2024-13-01T03:46:47.000Z] \"- - -\" 0 - 1 2 3 - \"-\" \"-\" \"-\" \"-\" \"-\"",
    ] {
        assert_eq!(parsed(line), None, "{line}");
    }
}

#[test]
fn cut_anywhere_it_is_no_access_log() {
    let head = format!("[{TIME}] \"GET /é HTTP/1.1\" 200 -");
    for whole in [
        format!("{head} 1 2 3 4 \"-\" \"é\" \"-\" \"-\" \"-\""),
        format!("{head} d 1 2 3 4 \"-\" \"é\" \"-\" \"-\" \"-\""),
    ] {
        assert!(parsed(&whole).is_some() && parsed(&format!("ACCESS {whole}")).is_some());
        for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
            assert_eq!(parsed(&whole[..cut]), None, "{}", &whole[..cut]);
        }
    }
}
