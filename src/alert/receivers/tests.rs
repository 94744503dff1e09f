//! What each tool documents: shape, limits, keys; and that nothing secret is shown.

use serde_json::{Value as Json, json};

use super::*;
use crate::alert::finding::Line;
use crate::alert::notice::{FindingNote, Kind, Notice};
use crate::detect::{Severity, TemplateNote};

const NOW: i64 = 1_780_000_000 * 1_000_000_000;

fn receiver(yaml: &str) -> Receiver {
    let raw: RawReceiver = serde_saphyr::from_str(&format!("name: r\n{yaml}")).unwrap();
    Receiver::read(raw, &Addresses::default()).unwrap()
}

/// A message with everything in it, each text `times` as long.
fn delivery(kind: Kind, times: usize) -> Delivery {
    let long = |text: &str| text.repeat(times);
    let mut notice = Notice::empty(kind, "00ff00ff00ff00ff", NOW);
    notice.title = long("web: <503> & more \"quoted\" é ");
    notice.severity = Severity::Critical;
    notice.severity_opened = Severity::Major;
    notice.labels =
        [("service", "web"), ("rule", "anomalies"), ("severity", "critical"), ("incident", "00ff00ff00ff00ff")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    notice.ended = (kind == Kind::Resolve).then_some(NOW);
    notice.url = Some("https://logs.example.org/ui/incidents?id=00ff00ff00ff00ff".to_owned());
    notice.runbook = Some("https://wiki.example.org/503".to_owned());
    let finding = FindingNote {
        service: "web".to_owned(),
        rule: "anomalies".to_owned(),
        sentence: long("web: response_code 503 came 240 times a minute "),
        severity: Severity::Critical,
        score: 90.0,
        actual: 240.0,
        typical: 1.25,
        since: "2026-05-28T20:26:40.000Z".to_owned(),
        ended: None,
    };
    notice.findings = vec![finding; 10];
    notice.findings_total = 12;
    let line = |i: usize| Line { id: format!("e{i}"), time: NOW, line: long(&format!("line {i} ``` <b> \u{1b}[0m ")) };
    notice.lines = (0..5).map(line).collect();
    notice.template = Some(TemplateNote {
        id: 7,
        text: "a <*>".to_owned(),
        nearest: Some("b <*>".to_owned()),
        difference: Some("[-b-] {+a+} <*>".to_owned()),
    });
    notice.deploys = vec!["4 min after deploy web v2".to_owned()];
    Delivery::new(3, "r", 0, notice, NOW)
}

fn request(receiver: &Receiver, delivery: &Delivery) -> (Request, Json) {
    match receiver.driver.plan(delivery, NOW).unwrap() {
        Plan::Http(request) => {
            let body = serde_json::from_slice(&request.body).unwrap();
            (request, body)
        }
        Plan::Mail(_) => panic!("no mail"),
    }
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

fn chars(value: &Json) -> usize {
    value.as_str().unwrap().chars().count()
}

#[test]
fn pagerduty_events_v2() {
    let receiver = receiver("pagerduty: {routing_key: 0123456789abcdef0123456789abcdef}");
    let (request_, body) = request(&receiver, &delivery(Kind::Open, 1));
    assert_eq!(request_.url, "https://events.pagerduty.com/v2/enqueue");
    assert_eq!((&body["event_action"], &body["dedup_key"]), (&json!("trigger"), &json!("00ff00ff00ff00ff")));
    assert_eq!((&body["payload"]["severity"], &body["payload"]["source"]), (&json!("critical"), &json!("web")));
    assert_eq!(
        body["links"][0],
        json!({"href": "https://logs.example.org/ui/incidents?id=00ff00ff00ff00ff", "text": "incident"})
    );
    let (long, body) = request(&receiver, &delivery(Kind::Update, 200));
    assert_eq!(chars(&body["payload"]["summary"]), 1_024);
    assert!(long.body.len() <= 512_000, "{}", long.body.len());
    let (_, body) = request(&receiver, &delivery(Kind::Resolve, 1));
    assert_eq!(
        body,
        json!({"routing_key": "0123456789abcdef0123456789abcdef", "event_action": "resolve", "dedup_key": "00ff00ff00ff00ff"})
    );
    assert!(receiver.driver.judge(202, "", None).taken() && !receiver.driver.judge(200, "<html>", None).taken());
    assert!(receiver.driver.judge(400, "", None).permanent && !receiver.driver.judge(429, "", None).permanent);
    assert!(!format!("{receiver:?}").contains("0123456789abcdef"));
}

#[test]
fn opsgenie_alerts() {
    let receiver = receiver("opsgenie: {api_key: s3cret}");
    for times in [1, 500] {
        let (request, body) = request(&receiver, &delivery(Kind::Open, times));
        assert_eq!(header(&request, "authorization"), "GenieKey s3cret");
        assert_eq!((&body["alias"], &body["priority"]), (&json!("00ff00ff00ff00ff"), &json!("P1")));
        assert!(chars(&body["message"]) <= 130 && chars(&body["description"]) <= 15_000);
        assert!(body["tags"].as_array().unwrap().iter().all(|tag| chars(tag) <= 50));
        assert!(body["details"].as_object().unwrap().values().all(Json::is_string));
    }
    let (close, body) = request(&receiver, &delivery(Kind::Resolve, 1));
    assert_eq!(close.url, "https://api.opsgenie.com/v2/alerts/00ff00ff00ff00ff/close?identifierType=alias");
    assert_eq!(body["source"], "loghound");
    let jira = self::receiver("opsgenie: {api_key: x, url: 'https://api.atlassian.com/jsm/ops/integration/v2/alerts'}");
    let (request, _) = request(&jira, &delivery(Kind::Open, 1));
    assert_eq!(request.url, "https://api.atlassian.com/jsm/ops/integration/v2/alerts");
}

#[test]
fn slack_blocks() {
    let receiver = receiver("slack: {url: 'https://hooks.slack.com/services/T/B/s3cret'}");
    for times in [1, 500] {
        let (request, body) = request(&receiver, &delivery(Kind::Open, times));
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks[0]["type"], "header");
        assert!(chars(&blocks[0]["text"]["text"]) <= 150 && blocks.len() <= 50);
        assert!(blocks.iter().all(|block| chars(&block["text"]["text"]) <= 3_000), "{body}");
        assert!(request.body.len() < 13_000 * 3, "{}", request.body.len());
        let text = body["text"].as_str().unwrap();
        assert!(text.contains("&lt;503&gt; &amp; more") && !text.contains('<'));
        let code = blocks[2]["text"]["text"].as_str().unwrap();
        assert!(code.starts_with("```\n") && code.ends_with("\n```") && code.matches("```").count() == 2, "{code}");
    }
    assert!(receiver.driver.judge(404, "no_service", None).permanent);
    assert!(!receiver.driver.judge(429, "", Some(Duration::from_secs(1))).permanent);
    assert_eq!(receiver.driver.targets(), ["https://hooks.slack.com/…"]);
}

#[test]
fn teams_cards() {
    let receiver = receiver("teams: {url: 'https://x.example.org/workflows/s3cret'}");
    for times in [1, 500] {
        let (request, body) = request(&receiver, &delivery(Kind::Open, times));
        assert_eq!(body["type"], "message");
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(
            (&attachment["content"]["type"], &attachment["content"]["version"]),
            (&json!("AdaptiveCard"), &json!("1.4"))
        );
        assert_eq!(attachment["content"]["actions"][0]["type"], "Action.OpenUrl");
        assert!(request.body.len() <= 28 << 10, "{} bytes", request.body.len());
    }
}

#[test]
fn alertmanager_alerts_keep_their_identity() {
    let receiver =
        receiver("alertmanager: {urls: ['https://am-0.example.org:9093/', 'https://am-1.example.org:9093']}");
    assert_eq!(receiver.driver.targets().len(), 2);
    let (first, opened) = request(&receiver, &delivery(Kind::Open, 1));
    assert_eq!(first.url, "https://am-0.example.org:9093/api/v2/alerts");
    let mut second = delivery(Kind::Resolve, 3);
    second.target = 1;
    second.notice.labels.insert("severity".to_owned(), "minor".to_owned());
    let (request, resolved) = request(&receiver, &second);
    assert_eq!(request.url, "https://am-1.example.org:9093/api/v2/alerts");
    // What changed is not among the labels.
    assert_eq!(opened[0]["labels"], resolved[0]["labels"]);
    let labels = json!({"alertname": "anomalies", "rule": "anomalies", "service": "web", "severity": "major", "source": "loghound",
                        "incident": "00ff00ff00ff00ff"});
    assert_eq!(opened[0]["labels"], labels);
    let time = |json: &Json| json.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64;
    assert_eq!(time(&opened[0]["endsAt"]) - NOW, 240 * 1_000_000_000);
    assert_eq!(time(&resolved[0]["endsAt"]), NOW);
    for alert in [&opened[0], &resolved[0]] {
        assert!(alert["annotations"].as_object().unwrap().values().all(Json::is_string));
    }
}

#[test]
fn webhooks_are_signed_and_short() {
    // The example of the specification of Standard Webhooks.
    let receiver_ = receiver(
        "webhook: {url: 'https://example.org/h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, template: '{\"test\": 2432232314}'}",
    );
    let mut example = delivery(Kind::Open, 1);
    example.id = "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned();
    let Plan::Http(request_) = receiver_.driver.plan(&example, 1_614_265_330 * 1_000_000_000).unwrap() else {
        panic!()
    };
    assert_eq!(request_.body, b"{\"test\": 2432232314}");
    assert_eq!(header(&request_, "webhook-timestamp"), "1614265330");
    assert_eq!(header(&request_, "webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    // GitHub's: the example of its documentation.
    let github = receiver(
        "webhook: {url: 'https://example.org/h', signature: github, secret: \"It's a Secret to Everybody\", template: 'Hello, World!'}",
    );
    let Plan::Http(request_) = github.driver.plan(&example, NOW).unwrap() else { panic!() };
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(header(&request_, "x-hub-signature-256"), expected);

    let plain = receiver("webhook: {url: 'https://example.org/h'}");
    let (request_, body) = request(&plain, &delivery(Kind::Open, 60));
    assert!(request_.body.len() < 20_000, "{}", request_.body.len());
    assert_eq!(
        (&body["type"], &body["data"]["since"]),
        (&json!("incident.opened"), &json!("2026-05-28T20:26:40.000Z"))
    );
    assert!(body["data"]["lines"][0]["line"].as_str().unwrap().starts_with("line 0"));
    let templated = receiver(
        "webhook: {url: 'https://example.org/h', template: '{\"text\": {{ notice.title | tojson }}, \"n\": {{ notice.findings | length }}}'}",
    );
    let (_, body) = request(&templated, &delivery(Kind::Open, 1));
    assert_eq!((body["text"].as_str().unwrap().contains("quoted"), &body["n"]), (true, &json!(10)));
    // A template that never ends is stopped.
    let raw: RawReceiver = serde_saphyr::from_str(
        "name: r\nwebhook: {url: 'https://example.org/h', template: '{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}'}",
    )
    .unwrap();
    assert!(Receiver::read(raw, &Addresses::default()).unwrap_err()[0].contains("fuel"));
}

#[test]
fn mails_are_a_thread() {
    let receiver = receiver("email: {host: mail.example.org, from: 'loghound <l@example.org>', to: [ops@example.org]}");
    let mail = |kind| match receiver.driver.plan(&delivery(kind, 1), NOW).unwrap() {
        Plan::Mail(mail) => *mail,
        Plan::Http(_) => panic!("no mail"),
    };
    let (open, resolve) = (mail(Kind::Open), mail(Kind::Resolve));
    let text = |mail: &Mail| String::from_utf8(mail.message.formatted()).unwrap();
    for part in ["To: ops@example.org", "Message-ID: <00ff00ff00ff00ff-open-3@example.org>"] {
        assert!(text(&open).contains(part), "{part}\n{}", text(&open));
    }
    for mail in [&open, &resolve] {
        assert!(text(mail).contains("References: <00ff00ff00ff00ff-r@example.org>"), "{}", text(mail));
    }
    assert_eq!((open.port, open.tls), (587, Tls::Starttls));
}

use super::email::Tls;
