//! klog lines from templates: `klog.tsv` holds the texts that Kubernetes' own programs print.

use std::fmt::Write;

use super::super::Random;
use super::cluster::{APPS, Cluster, NAMESPACES, address};
use crate::record::time;

/// One kind of line.
pub(super) struct Template {
    /// The first column: a weight, or an incident's kind.
    pub label: String,
    severity: char,
    /// `file:line`.
    caller: String,
    pub components: Vec<String>,
    text: Vec<Piece>,
}

enum Piece {
    Text(String),
    /// What to put in: a name of [`fill`].
    Hole(String),
}

pub(super) struct KlogLines {
    templates: Vec<(usize, Template)>,
}

impl KlogLines {
    pub fn new() -> Self {
        let templates = parse_templates(include_str!("klog.tsv"));
        Self { templates: templates.into_iter().map(|t| (t.label.parse().unwrap_or(1), t)).collect() }
    }

    /// A template of that component, each as often as its weight says; any where it has none.
    pub fn pick(&self, component: &str, random: &mut Random) -> &Template {
        let fits = |t: &Template| t.components.iter().any(|c| c == component);
        let total: usize = self.templates.iter().filter(|(_, t)| fits(t)).map(|(w, _)| w).sum();
        let mut at = random.below(total);
        for (weight, template) in &self.templates {
            if !fits(template) {
                continue;
            }
            if at < *weight {
                return template;
            }
            at -= weight;
        }
        &self.templates[0].1
    }
}

/// Reads tab-separated templates; lines that begin with `#` are comments.
pub(super) fn parse_templates(text: &str) -> Vec<Template> {
    let mut templates = Vec::new();
    for row in text.lines().filter(|row| !row.starts_with('#')) {
        let mut columns = row.splitn(5, '\t');
        let mut column = || columns.next().unwrap_or_default();
        let (label, severity, caller, components, text) = (column(), column(), column(), column(), column());
        templates.push(Template {
            label: label.to_owned(),
            severity: severity.chars().next().unwrap_or('I'),
            caller: caller.to_owned(),
            components: components.split(',').map(str::to_owned).collect(),
            text: pieces(text),
        });
    }
    templates
}

/// Splits at `{name}`; braces around anything but lower-case letters and digits are the line's own.
fn pieces(mut text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut plain = String::new();
    while let Some(open) = text.find('{') {
        plain.push_str(&text[..open]);
        let rest = &text[open + 1..];
        match rest.find('}') {
            Some(close) if HOLES.contains(&&rest[..close]) => {
                out.push(Piece::Text(std::mem::take(&mut plain)));
                out.push(Piece::Hole(rest[..close].to_owned()));
                text = &rest[close + 1..];
            }
            _ => {
                plain.push('{');
                text = rest;
            }
        }
    }
    plain.push_str(text);
    out.push(Piece::Text(plain));
    out
}

const HOLES: &[&str] = &[
    "ip", "port", "n", "small", "ms", "s", "pct", "uuid", "hex5", "hex17", "hex64", "ns", "app", "pod", "node", "verb",
    "code", "resource", "Kind", "day",
];

impl Template {
    /// Appends `Lmmdd hh:mm:ss.uuuuuu threadid file:line] text` (PROTOCOLS.md 3.1).
    pub fn write(&self, at_nanos: i64, pid: usize, cluster: &Cluster, random: &mut Random, out: &mut String) {
        let micros = at_nanos.div_euclid(1000) * 1000;
        let stamp = time::format_rfc3339(micros);
        let fraction = micros.rem_euclid(time::NANOS_PER_SECOND) / 1000;
        // Writing into a String does not fail.
        let _ = write!(
            out,
            "{}{}{} {}.{fraction:06} {pid:>7} {}] ",
            self.severity,
            &stamp[5..7],
            &stamp[8..10],
            &stamp[11..19],
            self.caller
        );
        for piece in &self.text {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Hole(name) => fill(name, cluster, random, out),
            }
        }
    }
}

fn fill(name: &str, cluster: &Cluster, random: &mut Random, out: &mut String) {
    let number = match name {
        "port" => 30_000 + random.below(30_000),
        "n" => 100_000 + random.below(2_000_000_000),
        "small" => 1 + random.below(30),
        "pct" => 10 + random.below(89),
        "day" => 10 + random.below(20),
        "code" => [200, 200, 200, 200, 200, 200, 201, 404, 409, 422, 429, 500][random.below(12)],
        "uuid" => return random.uuid(out),
        "hex5" => return random.hex(5, out),
        "hex17" => return random.hex(17, out),
        "hex64" => return random.hex(64, out),
        "ip" => return out.push_str(&address(random)),
        "ns" => return out.push_str(random.pick(NAMESPACES)),
        "app" => return out.push_str(APPS[random.skewed(APPS.len())]),
        "node" => return out.push_str(&cluster.nodes[random.below(cluster.nodes.len())]),
        "verb" => return out.push_str(random.pick(&["GET", "GET", "GET", "PUT", "PATCH", "LIST", "DELETE"])),
        "resource" => return out.push_str(random.pick(&["deployments", "replicasets", "daemonsets", "statefulsets"])),
        "Kind" => {
            return out.push_str(random.pick(&["Pod", "Service", "Node", "ConfigMap", "Secret", "EndpointSlice"]));
        }
        "pod" => {
            out.push_str(APPS[random.skewed(APPS.len())]);
            out.push('-');
            random.hex(9, out);
            out.push('-');
            return random.hex(5, out);
        }
        // Milliseconds or seconds with a fraction, long-tailed.
        _ => {
            let median = if name == "s" { 4.0 } else { 12.0 };
            let _ = write!(out, "{:.3}", random.log_normal(median, 1.1));
            return;
        }
    };
    let _ = write!(out, "{number}");
}
