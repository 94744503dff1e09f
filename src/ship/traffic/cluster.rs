//! The cluster the traffic comes from: nodes, the control plane's pods, the mesh's proxies.

use super::super::{Envelope, Random, Workload};

pub(super) const NODES: usize = 20;
/// Applications behind the proxies, and how many replicas each has.
const REPLICAS: usize = 10;

pub(super) const APPS: &[&str] = &[
    "checkout",
    "payment",
    "catalog",
    "search",
    "recommendation",
    "cart",
    "shipping",
    "email",
    "frontend",
    "profile",
    "auth",
    "inventory",
    "pricing",
    "reviews",
    "notifications",
    "media",
    "orders",
    "ledger",
];
pub(super) const NAMESPACES: &[&str] = &["shop", "payments", "platform", "media", "staging", "search"];

/// A container that writes one of the files.
pub(super) struct Pod {
    pub envelope: Envelope,
    /// Where the next line starts in its file: bytes.
    pub offset: u64,
    /// As klog prints it: 1 in a container, the kubelet's own on the host.
    pub pid: usize,
}

/// A klog-writing program and its pods.
pub(super) struct Component {
    pub name: String,
    pub pods: Vec<Pod>,
    /// Relative number of lines.
    weight: usize,
}

/// Where a pod stands in the cluster.
#[derive(Debug, Clone, Copy)]
pub(super) enum PodIndex {
    Proxy(usize),
    /// Component, and pod of it.
    Component(usize, usize),
}

pub(super) struct Cluster {
    pub nodes: Vec<String>,
    pub proxies: Vec<Pod>,
    pub components: Vec<Component>,
    /// `address:port` of each application's replicas.
    pub upstreams: Vec<Vec<String>>,
}

impl Cluster {
    pub fn new(random: &mut Random) -> Self {
        let nodes: Vec<String> = (0..NODES).map(|i| format!("worker-{}-{}", ["a", "b", "c"][i % 3], i + 1)).collect();
        let mut proxies = Vec::new();
        for replica in 0..REPLICAS {
            for (i, app) in APPS.iter().enumerate() {
                let node = &nodes[(i * 7 + replica * 3) % NODES];
                let namespace = NAMESPACES[i % NAMESPACES.len()];
                proxies.push(pod(node, namespace, app, "istio-proxy", "docker.io/istio/proxyv2:1.24.2", 1, random));
            }
        }
        let plan: [(&str, &[&str], usize, usize); 7] = [
            ("apiserver", &["kube-apiserver"], 3, 24),
            ("controller", &["kube-controller-manager"], 3, 12),
            ("scheduler", &["kube-scheduler"], 3, 8),
            ("kubelet", &["kubelet"], NODES, 24),
            ("proxy", &["kube-proxy"], NODES, 8),
            ("csi", &["ebs-csi-node"], NODES, 8),
            (
                "operator",
                &[
                    "cluster-autoscaler",
                    "cert-manager",
                    "metrics-server",
                    "descheduler",
                    "external-secrets",
                    "node-tuner",
                ],
                39,
                16,
            ),
        ];
        let components = plan
            .into_iter()
            .map(|(name, programs, each, weight)| {
                let mut pods = Vec::new();
                for i in 0..each {
                    for program in programs {
                        let pid = if name == "kubelet" { 900 + random.below(6000) } else { 1 };
                        let image = format!("registry.k8s.io/{program}:v1.31.4");
                        pods.push(pod(&nodes[i % NODES], "kube-system", program, program, &image, pid, random));
                    }
                }
                Component { name: name.to_owned(), pods, weight }
            })
            .collect();
        let upstreams = APPS
            .iter()
            .map(|_| (0..REPLICAS).map(|_| format!("{}:{}", address(random), 8080 + random.below(4))).collect())
            .collect();
        Self { nodes, proxies, components, upstreams }
    }

    pub fn pod(&mut self, index: PodIndex) -> &mut Pod {
        match index {
            PodIndex::Proxy(proxy) => &mut self.proxies[proxy],
            PodIndex::Component(component, pod) => &mut self.components[component].pods[pod],
        }
    }

    /// The number of a component; the first one for a name that does not exist.
    pub fn component(&self, name: &str) -> usize {
        self.components.iter().position(|c| c.name == name).unwrap_or(0)
    }

    /// A component, each as often as it writes.
    pub fn any_component(&self, random: &mut Random) -> usize {
        let total: usize = self.components.iter().map(|c| c.weight).sum();
        let mut at = random.below(total);
        for (i, component) in self.components.iter().enumerate() {
            if at < component.weight {
                return i;
            }
            at -= component.weight;
        }
        0
    }
}

/// A pod address of the cluster's own range.
pub(super) fn address(random: &mut Random) -> String {
    format!("10.{}.{}.{}", 244 + random.below(4), random.below(64), 2 + random.below(252))
}

fn pod(node: &str, namespace: &str, app: &str, container: &str, image: &str, pid: usize, random: &mut Random) -> Pod {
    let mut name = format!("{app}-");
    random.hex(9, &mut name);
    name.push('-');
    random.hex(5, &mut name);
    let workload = Workload {
        node: node.to_owned(),
        namespace: namespace.to_owned(),
        app: app.to_owned(),
        pod: name,
        container: container.to_owned(),
        image: image.to_owned(),
        stream: if container == "istio-proxy" { "stdout" } else { "stderr" },
        path: None,
    };
    Pod { envelope: Envelope::new(&workload, random), offset: random.below(50_000_000) as u64, pid }
}
