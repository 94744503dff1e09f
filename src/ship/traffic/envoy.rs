//! Envoy's default access log (PROTOCOLS.md 3.3): requests of browsers, phones, scripts and the mesh itself.

use std::fmt::Write;

use super::super::Random;
use super::cluster::{APPS, Cluster, NAMESPACES, address};
use super::incidents::{Incident, Kind};
use crate::record::time;

pub(super) struct EnvoyLines {
    user_agents: Vec<String>,
    /// What stands for no upstream host.
    none: String,
}

/// Path shapes; `{}` becomes an identifier, most numeric, some UUIDs.
const PATHS: &[&str] = &[
    "/",
    "/api/v1/products/{}",
    "/api/v1/products?category=outdoor&page={}&size=50&sort=price",
    "/api/v1/cart/{}/items",
    "/api/v1/orders/{}",
    "/api/v1/orders/{}/invoice.pdf",
    "/api/v2/search?q=term-{}&lang=en",
    "/healthz",
    "/healthz/ready",
    "/metrics",
    "/api/v1/users/{}/profile",
    "/api/v1/users/{}/avatar.png",
    "/login",
    "/oauth2/token",
    "/static/js/app.{}.js",
    "/static/css/main.{}.css",
    "/api/v1/recommendations?user={}&limit=12",
    "/grpc.health.v1.Health/Check",
    "/shop.payment.v1.PaymentService/Charge",
    "/shop.ledger.v1.Ledger/Append",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/api/v1/shipping/quote",
    "/favicon.ico",
    "/api/v1/reviews?product={}&stars=5",
    "/api/v1/notifications/{}/ack",
    "/media/{}/thumb_320.webp",
];

impl EnvoyLines {
    pub fn new(random: &mut Random) -> Self {
        Self { user_agents: user_agents(random), none: "-".to_owned() }
    }

    /// Appends one line. `failing`: the incident that makes one application's answers bad.
    pub fn write(
        &self,
        at_nanos: i64,
        cluster: &Cluster,
        failing: Option<Incident>,
        random: &mut Random,
        out: &mut String,
    ) {
        let app = random.skewed(APPS.len());
        let failing = failing.filter(|incident| incident.app % APPS.len() == app);
        let replicas = &cluster.upstreams[app];
        let broken = failing.is_some_and(|incident| incident.kind == Kind::Upstream) && random.chance(0.6);
        let path = random.skewed(PATHS.len());
        let grpc = PATHS[path].contains(".v1.");
        let method = match path {
            _ if grpc => "POST",
            12 | 13 | 21 => "POST",
            _ => random.pick(&["GET", "GET", "GET", "GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD"]),
        };
        let protocol = if grpc { "HTTP/2" } else { random.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/2"]) };
        let mut answer = answer(broken, random);
        let mut host = &replicas[random.skewed(replicas.len())];
        match failing {
            Some(Incident { kind: Kind::Host, replica, .. }) if *host == replicas[replica % replicas.len()] => {
                answer = self::answer(true, random);
                answer.upstream = true;
            }
            Some(Incident { kind: Kind::Slow, .. }) => answer.slow(8),
            _ => {}
        }
        if !answer.upstream {
            host = &self.none;
        }
        let received = if method == "GET" || method == "HEAD" { 0 } else { random.log_normal(420.0, 1.2) as u64 };
        let sent = if answer.code >= 500 { 91 } else { random.log_normal(2400.0, 1.6) as u64 };
        let start = at_nanos - at_nanos.rem_euclid(1_000_000);
        // Writing into a String does not fail.
        let _ = write!(out, "[{}] \"{method} ", time::format_rfc3339(start));
        write_path(PATHS[path], random, out);
        let _ = write!(out, " {protocol}\" {} {} {received} {sent} {} ", answer.code, answer.flags, answer.duration_ms);
        match answer.upstream_ms {
            Some(ms) => {
                let _ = write!(out, "{ms} \"");
            }
            None => out.push_str("- \""),
        }
        match random.below(10) {
            0..2 => out.push('-'),
            2..7 => client(random, out),
            _ => {
                client(random, out);
                out.push(',');
                out.push_str(&address(random));
            }
        }
        out.push_str("\" \"");
        out.push_str(&self.user_agents[random.skewed(self.user_agents.len())]);
        out.push_str("\" \"");
        random.uuid(out);
        let _ = write!(out, "\" \"{}.{}.svc.cluster.local\" \"", APPS[app], NAMESPACES[app % NAMESPACES.len()]);
        out.push_str(host);
        out.push('"');
    }
}

struct Answer {
    code: u16,
    flags: &'static str,
    duration_ms: u64,
    upstream_ms: Option<u64>,
    /// An upstream host had been chosen.
    upstream: bool,
}

impl Answer {
    /// Makes it take so many times as long.
    fn slow(&mut self, times: u64) {
        self.duration_ms *= times;
        self.upstream_ms = self.upstream_ms.map(|ms| ms * times);
    }
}

fn answer(broken: bool, random: &mut Random) -> Answer {
    let served = |code, ms: f64, random: &mut Random| {
        let upstream_ms = ms as u64;
        let duration_ms = upstream_ms + random.below(3) as u64;
        Answer { code, flags: "-", duration_ms, upstream_ms: Some(upstream_ms), upstream: true }
    };
    let refused = |code, flags, duration_ms, upstream| Answer { code, flags, duration_ms, upstream_ms: None, upstream };
    if broken {
        return match random.below(6) {
            0 | 1 => refused(503, "UF,URX", random.log_normal(60.0, 0.6) as u64, true),
            2 => refused(503, "UH", 0, false),
            3 => refused(504, "UT", 15_000 + random.below(8) as u64, true),
            4 => refused(503, "UC", random.log_normal(900.0, 0.8) as u64, true),
            _ => served(500, random.log_normal(4000.0, 0.5), random),
        };
    }
    match random.below(1000) {
        0..930 => {
            served([200, 200, 200, 200, 201, 204, 304, 302][random.below(8)], random.log_normal(14.0, 1.1), random)
        }
        930..970 => served([404, 404, 401, 403, 400, 409][random.below(6)], random.log_normal(6.0, 0.8), random),
        970..980 => refused(429, "RL", 0, false),
        980..985 => refused(0, "DC", random.log_normal(300.0, 1.0) as u64, true),
        985..992 => served(500, random.log_normal(40.0, 1.0), random),
        992..996 => refused(503, "UC", random.log_normal(30.0, 1.0) as u64, true),
        996..998 => refused(404, "NR", 0, false),
        _ => refused(504, "UT", 15_000, true),
    }
}

fn write_path(shape: &str, random: &mut Random, out: &mut String) {
    match shape.split_once("{}") {
        None => out.push_str(shape),
        Some((before, after)) => {
            out.push_str(before);
            if random.chance(0.2) {
                random.uuid(out);
            } else {
                let _ = write!(out, "{}", 1 + random.skewed(200_000));
            }
            out.push_str(after);
        }
    }
}

/// A client's address, from the ranges kept for documentation (RFC 5737).
fn client(random: &mut Random, out: &mut String) {
    let net = random.pick(&["192.0.2", "198.51.100", "203.0.113"]);
    let _ = write!(out, "{net}.{}", 1 + random.below(254));
}

/// Several hundred user agents, some frequent, most rare.
fn user_agents(random: &mut Random) -> Vec<String> {
    let mut agents: Vec<String> = [
        "kube-probe/1.31",
        "Prometheus/2.55.1",
        "grpc-go/1.68.0",
        "curl/8.11.0",
        "okhttp/4.12.0",
        "Go-http-client/2.0",
    ]
    .map(str::to_owned)
    .into();
    let systems = [
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
        "Linux; Android 14; Pixel 8",
        "iPhone; CPU iPhone OS 18_1 like Mac OS X",
    ];
    for major in 100..150 {
        let build = 5000 + random.below(1800);
        for system in systems {
            agents.push(match random.below(3) {
                0 => format!("Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
                1 => format!(
                    "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.{build}.{} Safari/537.36",
                    random.below(200)
                ),
                _ => format!("shop-app/{}.{} ({system}; build {build})", major / 25, major % 25),
            });
        }
    }
    for minor in 0..60 {
        agents.push(format!("python-requests/2.{}.{}", minor % 33, minor % 4));
        agents.push(format!("grpc-java-netty/1.{}.{}", 40 + minor % 30, minor % 3));
    }
    // The order decides the popularity.
    agents.dedup();
    for i in (1..agents.len()).rev() {
        agents.swap(i, random.below(i + 1));
    }
    agents
}
