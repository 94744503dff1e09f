//! Traffic as a busy cluster writes it: klog and Envoy access logs of some 480 pods on 20 nodes, with incidents in it.
//!
//! Everything follows from a seed and a start time, so a load, a demonstration and a test see the same lines again.
//! 64 % of the lines are Envoy's default format, 36 % klog; a line has about 265 bytes, an event about 1.6 KB.

mod cluster;
mod envoy;
mod incidents;
mod klog;
#[cfg(test)]
mod tests;

use cluster::{Cluster, PodIndex};
use envoy::EnvoyLines;
use incidents::Incidents;
pub use incidents::{Incident, Kind};
use klog::KlogLines;

use super::Random;

/// Share of the lines that are Envoy's.
const ENVOY_SHARE: f64 = 0.64;

/// A seeded, endless source of lines with their time, pod and file offset.
pub struct Traffic {
    random: Random,
    now_nanos: i64,
    /// Mean time between two lines: nanoseconds.
    gap_nanos: f64,
    cluster: Cluster,
    klog: KlogLines,
    envoy: EnvoyLines,
    incidents: Incidents,
    line: String,
}

impl Traffic {
    /// Traffic that begins at `start_nanos` (Unix nanoseconds), 1,000 lines a second in its own time.
    pub fn new(seed: u64, start_nanos: i64) -> Self {
        let mut random = Random::new(seed);
        let cluster = Cluster::new(&mut random);
        Self {
            now_nanos: start_nanos,
            gap_nanos: 1e6,
            klog: KlogLines::new(),
            envoy: EnvoyLines::new(&mut random),
            incidents: Incidents::new(start_nanos, &mut random),
            cluster,
            random,
            line: String::with_capacity(512),
        }
    }

    /// Sets how many lines a second the traffic's own clock gives.
    pub fn with_rate(mut self, lines_per_second: f64) -> Self {
        self.gap_nanos = 1e9 / lines_per_second.max(1e-3);
        self
    }

    /// Sets which incidents there are, in place of random ones; none make quiet traffic.
    pub fn with_incidents(mut self, incidents: &[Incident]) -> Self {
        self.incidents.plan(incidents);
        self
    }

    /// Sets how many lines a second from now on.
    pub fn set_rate(&mut self, lines_per_second: f64) {
        self.gap_nanos = 1e9 / lines_per_second.max(1e-3);
    }

    /// `address:port` of an application's instance.
    pub fn upstream(&self, app: usize, replica: usize) -> &str {
        let replicas = &self.cluster.upstreams[app % self.cluster.upstreams.len()];
        &replicas[replica % replicas.len()]
    }

    /// The name of a node.
    pub fn node(&self, node: usize) -> &str {
        &self.cluster.nodes[node % self.cluster.nodes.len()]
    }

    /// Gives every file another identity, for a second copy of the same traffic.
    pub fn with_copy(mut self, copy: u32) -> Self {
        self.cluster = Cluster::new(&mut Random::new(0x00C0_FFEE ^ (u64::from(copy) << 32)));
        self
    }

    /// The traffic's own clock: Unix nanoseconds of the last line.
    pub fn now_nanos(&self) -> i64 {
        self.now_nanos
    }

    /// Appends the next event, one JSON object as Filebeat sends it, without a newline.
    pub fn next_event(&mut self, out: &mut Vec<u8>) {
        let writer = self.advance();
        let pod = self.cluster.pod(writer);
        let offset = pod.offset;
        // The file holds what the container runtime wrote: `<time> stderr F ` before the line, a newline after it.
        pod.offset += self.line.len() as u64 + 41;
        pod.envelope.write(self.now_nanos, &self.line, offset, &mut self.random, out);
    }

    /// Appends the next bare line, without a newline.
    pub fn next_line(&mut self, out: &mut Vec<u8>) {
        self.advance();
        out.extend_from_slice(self.line.as_bytes());
    }

    /// Moves the clock and writes the next line; gives the pod that wrote it.
    fn advance(&mut self) -> PodIndex {
        let random = &mut self.random;
        // Exponential gaps: arrivals of many independent writers.
        self.now_nanos += (-(1.0 - random.unit()).ln() * self.gap_nanos) as i64 + 1;
        let incident = self.incidents.at(self.now_nanos, random);
        self.line.clear();
        if random.chance(ENVOY_SHARE) {
            let proxy = random.skewed(self.cluster.proxies.len());
            let failing = incident.filter(|i| matches!(i.kind, Kind::Upstream | Kind::Host | Kind::Slow));
            self.envoy.write(self.now_nanos, &self.cluster, failing, random, &mut self.line);
            return PodIndex::Proxy(proxy);
        }
        let bad = incident.filter(|_| random.chance(0.3)).and_then(|i| self.incidents.template(i.kind, random));
        let component = match bad {
            Some(template) => self.cluster.component(&template.components[0]),
            None => self.cluster.any_component(random),
        };
        let pods = self.cluster.components[component].pods.len();
        let mut which = random.skewed(pods);
        if let Some(incident) = incident.filter(|i| bad.is_some() && i.kind == Kind::Network) {
            // A broken network plugin is one node's trouble; a component that runs everywhere has a pod for each node.
            which = incident.node % pods;
        }
        let template = match bad {
            Some(template) => template,
            None => self.klog.pick(&self.cluster.components[component].name, random),
        };
        let pid = self.cluster.components[component].pods[which].pid;
        template.write(self.now_nanos, pid, &self.cluster, random, &mut self.line);
        PodIndex::Component(component, which)
    }
}
