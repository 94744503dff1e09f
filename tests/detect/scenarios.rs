//! Hours of traffic with one of each kind of incident in it, and with things that must not alert: what of it is a change to
//! single events stands here, each by the minutes it lasts.

use std::rc::Rc;

use loghound::ship::{Incident, Kind};

use super::replay::{Replay, START};

const MINUTE: i64 = 60;
/// Minutes of ordinary traffic first, then one thing begins every so many.
const LEARN: i64 = 150;
const EVERY: i64 = 30;
const LASTS: i64 = 8;
/// Lines a second.
const RATE: f64 = 9.0;

/// What happens, when (minutes since the start), and who is to blame.
pub struct Planned {
    pub name: &'static str,
    pub from: i64,
    pub to: i64,
    /// When it must have been found: ten-minute buckets tell a little later.
    pub end: i64,
    /// Any of these as the first influencer's value, or as the anomaly's service or value; empty for what is harmless.
    pub blamed: Vec<String>,
}

impl Planned {
    pub fn is_harmless(&self) -> bool {
        self.blamed.is_empty()
    }
}

/// What is done to an event: its minute since the thing began, the event; false where it is lost.
type Edit = Box<dyn FnMut(f64, &mut Vec<u8>) -> bool>;

/// The whole: traffic that changes as planned, and how many minutes it lasts.
pub fn plan(seed: u64) -> (Replay, Vec<Planned>, i64) {
    let slot = |n: usize| (LEARN + n as i64 * EVERY, LEARN + n as i64 * EVERY + LASTS);
    let (mut planned, mut n) = (Vec::new(), 0);
    let mut put = |name: &'static str, lasts: i64, blamed: &[&str]| {
        let (from, _) = slot(n);
        // What lasts longer than its slot takes the next one, too.
        n += 1 + (lasts / EVERY) as usize;
        let (to, end) = (from + lasts, slot(n).0.min(from + lasts + 12));
        planned.push(Planned { name, from, to, end, blamed: blamed.iter().map(|b| (*b).into()).collect() });
        (from, from + lasts)
    };
    let app = "checkout.shop.svc.cluster.local";
    let probe = Replay::new(seed, RATE, &[]);
    let (host, node, silent) = {
        let mut probe = probe;
        let traffic = probe.traffic();
        (traffic.upstream(0, 0).to_owned(), traffic.node(3).to_owned(), traffic.node(7).to_owned())
    };
    let mut incidents = Vec::new();
    let kinds: [(Kind, &'static str, Vec<&str>); 6] = [
        (Kind::Host, "one upstream host", vec![&host]),
        (Kind::Etcd, "etcd", vec!["kube-apiserver", "kube-controller-manager"]),
        (Kind::Slow, "sudden latency", vec![app]),
        (Kind::Network, "a node's network", vec![&node, "kubelet", "kube-proxy"]),
        (Kind::Upstream, "an application", vec![app]),
        (Kind::Registry, "the registry", vec!["kubelet"]),
    ];
    for (kind, name, blamed) in &kinds {
        let (from, to) = put(name, LASTS, blamed);
        let nanos = |minute: i64| (START + minute * MINUTE) * 1_000_000_000;
        incidents.push(Incident {
            kind: *kind,
            app: 0,
            node: 3,
            replica: 0,
            start_nanos: nanos(from),
            end_nanos: nanos(to),
        });
    }
    let mut edits: Vec<((i64, i64), Edit)> = vec![
        (put("a deploy", 20, &[]), Box::new(deploy)),
        (put("a node's silence", LASTS, &[&silent]), lost(format!("\"name\":\"{silent}\""), 1.0)),
        (put("a pod's restart", 10, &[]), Box::new(restart)),
        (put("a pod's silence", LASTS, &["istio-proxy", "kubernetes.pod.name"]), silent_pod()),
        (put("lines come late", 10, &[]), Box::new(|_, _| true)),
        (put("traffic drops", LASTS, &["istio-proxy"]), lost("\"istio-proxy\"".into(), 0.7)),
        (put("a daily peak", 59, &[]), thinned()),
        (put("an error burst", LASTS, &["kube-scheduler"]), Box::new(errors)),
        (put("latency creeps", 28, &["istio-proxy", "duration", "upstream_service_time"]), Box::new(creep)),
        (put("a status mix", LASTS, &["istio-proxy", "404"]), sharing(6, |tail| tail.starts_with("200 "), " 404 ")),
        (put("a clock slightly ahead", 28, &[]), Box::new(slightly_ahead)),
        (put("response flags", LASTS, &["istio-proxy", "UF", "503"]), flags()),
        (put("a new template", LASTS, &["kube-proxy"]), Box::new(new_error)),
        (put("a scanner", LASTS, &["sqlmap/1.7.2#stable (https://sqlmap.org)", "istio-proxy"]), scanner()),
    ];
    let end = slot(n).0;
    let mut replay = Replay::new(seed, RATE, &incidents);
    let late = planned.iter().find(|p| p.name == "lines come late").map_or((0, 0), |p| (p.from, p.to));
    let held: super::replay::Held = Rc::default();
    let (keep, marker) = (Rc::clone(&held), finder("\"name\":\"worker-a-1\""));
    replay.held = held;
    replay.change = Box::new(move |time, event| {
        let minutes = (time / 1_000_000_000 - START) as f64 / MINUTE as f64;
        // One node's shipper holds its lines back for half a minute at a time.
        if (late.0 as f64..late.1 as f64).contains(&minutes) && marker.find(event).is_some() {
            keep.borrow_mut().push((time / 1_000_000_000 / 30 * 30 + 30, event.clone()));
            return false;
        }
        edits.iter_mut().all(|((from, to), edit)| {
            !(*from as f64..*to as f64).contains(&minutes) || edit(minutes - *from as f64, event)
        })
    });
    (replay, planned, end)
}

fn finder(text: &str) -> memchr::memmem::Finder<'static> {
    memchr::memmem::Finder::new(text.as_bytes()).into_owned()
}

/// A sequence that is even without being regular: true for this part of its calls.
fn part(of: &mut u64, share: f64) -> bool {
    *of += 1;
    (*of as f64 * 0.618_033_988_75).fract() < share
}

fn has(event: &[u8], text: &str) -> bool {
    memchr::memmem::find(event, text.as_bytes()).is_some()
}

fn replaced(event: &mut Vec<u8>, old: &str, new: &str) {
    let text = String::from_utf8(std::mem::take(event)).unwrap();
    *event = text.replace(old, new).into_bytes();
}

/// Another message in place of an event's.
fn says(event: &mut Vec<u8>, line: &str) {
    let text = String::from_utf8(event.clone()).unwrap();
    let at = text.find("\"message\":\"").unwrap() + 11;
    let end = at + text[at..].find("\",\"").or(text[at..].rfind('"')).unwrap();
    *event = format!("{}{line}{}", &text[..at], &text[end..]).into_bytes();
}

/// What stands behind the request of an Envoy line: where it begins, and its words.
fn answer(text: &str) -> Option<(usize, Vec<&str>)> {
    let at = text.find(" HTTP/")?;
    let at = at + text[at..].find("\\\" ")? + 3;
    Some((at, text[at..].splitn(7, ' ').collect()))
}

fn lost(marker: String, share: f64) -> Edit {
    let (marker, mut n) = (finder(&marker), 0);
    Box::new(move |_, event| marker.find(event).is_none() || !part(&mut n, share))
}

/// One pod of a service falls silent while the others go on.
fn silent_pod() -> Edit {
    let mut pod: Option<String> = None;
    Box::new(move |_, event| {
        let text = String::from_utf8_lossy(event);
        if pod.is_none() {
            let names = text.match_indices("kube-apiserver-").map(|(at, _)| text[at..].split('"').next().unwrap());
            pod = names.max_by_key(|name| name.len()).map(|name| format!("\"{name}\""));
        }
        pod.as_ref().is_none_or(|pod| !text.contains(pod.as_str()))
    })
}

/// New pods of a release that says new things in passing.
fn deploy(_: f64, event: &mut Vec<u8>) -> bool {
    replaced(event, "\"name\":\"kube-scheduler-", "\"name\":\"kube-scheduler-v2-");
    if has(event, "kube-scheduler-v2-") {
        says(event, "I0528 20:26:40.000000       1 profile.go:77] a plugin of the new release is ready");
    }
    true
}

/// All pods of a service are gone for a minute, then there are others.
fn restart(minutes: f64, event: &mut Vec<u8>) -> bool {
    if !has(event, "\"name\":\"cert-manager-") {
        return true;
    }
    replaced(event, "\"name\":\"cert-manager-", "\"name\":\"cert-manager-b-");
    minutes > 1.0
}

/// Traffic swells by a half and ebbs: the lines above the usual are those of a busier copy, so here the usual is thinned.
fn thinned() -> Edit {
    let mut n = 0;
    Box::new(move |minutes, _| part(&mut n, 0.8 + 0.2 * (minutes / 59.0 * std::f64::consts::TAU).cos()))
}

fn errors(_: f64, event: &mut Vec<u8>) -> bool {
    if has(event, "\"kube-scheduler\"") {
        replaced(event, "\"message\":\"I", "\"message\":\"E");
    }
    true
}

/// Durations grow to four times what they were, evenly.
fn creep(minutes: f64, event: &mut Vec<u8>) -> bool {
    let text = String::from_utf8(event.clone()).unwrap();
    if let Some((at, words)) = answer(&text)
        && let (Some(code), Ok(ms)) = (words.first(), words.get(4).unwrap_or(&"-").parse::<f64>())
    {
        let longer = (ms * (1.0 + 3.0 * (minutes / 20.0).min(1.0))).round();
        let begin = format!("{code} {} {} {} {longer}", words[1], words[2], words[3]);
        let old = words[..5].join(" ");
        *event = format!("{}{begin}{}", &text[..at], &text[at + old.len()..]).into_bytes();
    }
    true
}

/// One in so many answers of a kind is another.
fn sharing(one_in: u64, which: fn(&str) -> bool, code: &'static str) -> Edit {
    let mut n = 0u64;
    Box::new(move |_, event| {
        let text = String::from_utf8(event.clone()).unwrap();
        if let Some((at, words)) = answer(&text)
            && which(&text[at..])
        {
            n += 1;
            if n.is_multiple_of(one_in) {
                *event = format!("{}{}{}", &text[..at - 1], code, &text[at + words[0].len() + 1..]).into_bytes();
            }
        }
        true
    })
}

/// One node's clock is fifteen seconds ahead, as clocks are that nobody looks after.
fn slightly_ahead(_: f64, event: &mut Vec<u8>) -> bool {
    let text = String::from_utf8(event.clone()).unwrap();
    if text.contains("\"name\":\"worker-b-2\"") {
        let at = text.find("\"@timestamp\":\"").unwrap() + 14;
        let then: jiff::Timestamp = text[at..at + 24].parse().unwrap();
        let later = then + jiff::SignedDuration::from_secs(15);
        *event = format!("{}{later:.3}{}", &text[..at], &text[at + 24..]).into_bytes();
    }
    true
}

fn flags() -> Edit {
    let mut n = 0u64;
    Box::new(move |_, event| {
        let text = String::from_utf8(event.clone()).unwrap();
        if let Some((at, words)) = answer(&text)
            && words[0] == "200"
        {
            n += 1;
            if n.is_multiple_of(10) {
                let rest = at + words[0].len() + 1 + words[1].len();
                *event = format!("{}503 UF{}", &text[..at], &text[rest..]).into_bytes();
            }
        }
        true
    })
}

fn new_error(_: f64, event: &mut Vec<u8>) -> bool {
    if has(event, "\"kube-proxy\"") && event.len().is_multiple_of(3) {
        says(event, "E0528 20:26:40.000000       1 conntrack.go:88] the table is full, packets are dropped on eth0");
    }
    true
}

/// A tenth of the requests come with a scanner's user agent.
fn scanner() -> Edit {
    let mut n = 0u64;
    Box::new(move |_, event| {
        let text = String::from_utf8(event.clone()).unwrap();
        n += 1;
        if let Some((at, _)) = answer(&text)
            && n.is_multiple_of(10)
        {
            let mut quoted = text[at..].match_indices("\\\"");
            // The first pair holds the address, the second the user agent.
            if let (Some((open, _)), Some((close, _))) = (quoted.nth(2), quoted.next()) {
                let agent = "sqlmap/1.7.2#stable (https://sqlmap.org)";
                *event = format!("{}{agent}{}", &text[..at + open + 2], &text[at + close..]).into_bytes();
            }
        }
        true
    })
}
