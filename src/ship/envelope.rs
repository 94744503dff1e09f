//! The event Filebeat makes of a line: `filestream` input, `container` parser, `add_kubernetes_metadata`.
//!
//! A Beat keeps an event in Go maps and encodes them in the order a map happens to give, at every level. A receiver
//! that recognises a stream by its raw bytes has to live with that, so the keys are shuffled here for each event.

use super::Random;
use crate::record::time;

/// A container and where it runs: what its lines have in common.
#[derive(Debug, Clone)]
pub struct Workload {
    pub node: String,
    pub namespace: String,
    /// Owner (deployment or daemon set) and pod.
    pub app: String,
    pub pod: String,
    pub container: String,
    pub image: String,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// File path; `None` for the one the kubelet would give it.
    pub path: Option<String>,
}

/// A JSON object whose members are fixed and whose order is not.
#[derive(Debug, Clone)]
enum Node {
    /// Encoded JSON.
    Leaf(String),
    Object(Vec<(&'static str, Node)>),
}

/// Wraps the lines of one container.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The members that stay the same, `log.file` apart.
    members: Vec<(&'static str, Node)>,
    file: Node,
    path: String,
}

impl Envelope {
    /// Identifiers come from `random`: the same generator state gives the same container.
    pub fn new(workload: &Workload, random: &mut Random) -> Self {
        let mut seed = || random.bits();
        let (node_seed, pod_seed) = (hash(&workload.node), seed());
        let mut of_node = Random::new(node_seed);
        let mut of_pod = Random::new(pod_seed);
        let container_id = hex(&mut of_pod, 64);
        let path = workload.path.clone().unwrap_or_else(|| {
            format!(
                "/var/log/containers/{}_{}_{}-{container_id}.log",
                workload.pod, workload.namespace, workload.container
            )
        });
        let address = format!("10.{}.{}.{}", of_pod.below(256), of_pod.below(256), 1 + of_pod.below(254));
        let file = object([
            ("path", text(&path)),
            ("device_id", text(&(66_300 + of_node.below(8)).to_string())),
            ("inode", text(&(1_000_000 + of_pod.below(8_000_000)).to_string())),
            ("fingerprint", text(&hex(&mut of_pod, 64))),
        ]);
        let agent = object([
            ("id", text(&uuid(&mut of_node))),
            ("ephemeral_id", text(&uuid(&mut of_node))),
            ("name", text(&workload.node)),
            ("type", text("filebeat")),
            ("version", text("8.17.3")),
        ]);
        let pod = object([("name", text(&workload.pod)), ("uid", text(&uuid(&mut of_pod))), ("ip", text(&address))]);
        let node = object([
            ("name", text(&workload.node)),
            ("uid", text(&uuid(&mut of_node))),
            ("hostname", text(&workload.node)),
            (
                "labels",
                object([
                    ("kubernetes_io/hostname", text(&workload.node)),
                    ("topology_kubernetes_io/zone", text(of_node.pick(&["eu-1a", "eu-1b", "eu-1c"]))),
                ]),
            ),
        ]);
        let kubernetes = object([
            ("namespace", text(&workload.namespace)),
            ("pod", pod),
            ("node", node),
            ("container", object([("name", text(&workload.container))])),
            (
                "labels",
                object([
                    ("app", text(&workload.app)),
                    ("app_kubernetes_io/name", text(&workload.app)),
                    ("app_kubernetes_io/managed-by", text("Helm")),
                    ("pod-template-hash", text(&hex(&mut of_pod, 10))),
                ]),
            ),
            ("replicaset", object([("name", text(&format!("{}-{}", workload.app, hex(&mut of_pod, 9))))])),
            ("deployment", object([("name", text(&workload.app))])),
        ]);
        let container = object([
            ("id", text(&container_id)),
            ("runtime", text("containerd")),
            ("image", object([("name", text(&workload.image))])),
        ]);
        let metadata = object([("beat", text("filebeat")), ("type", text("_doc")), ("version", text("8.17.3"))]);
        let members = vec![
            ("@metadata", metadata),
            ("stream", text(workload.stream)),
            ("input", object([("type", text("filestream"))])),
            ("ecs", object([("version", text("8.0.0"))])),
            ("host", object([("name", text(&workload.node))])),
            ("agent", agent),
            ("kubernetes", kubernetes),
            ("container", container),
        ];
        Self { members, file, path }
    }

    /// `log.file.path`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Appends the event of `line`, which stands at byte `offset` of the file.
    pub fn write(&self, at_nanos: i64, line: &str, offset: u64, random: &mut Random, out: &mut Vec<u8>) {
        let members = self.members.len();
        out.push(b'{');
        for (i, which) in shuffled(members + 3, random).into_iter().take(members + 3).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match self.members.get(usize::from(which)) {
                Some((key, node)) => member(key, node, random, out),
                None => match usize::from(which) - members {
                    0 => {
                        // A Beat prints milliseconds; the rest of the instant is not on the wire.
                        out.extend_from_slice(b"\"@timestamp\":\"");
                        let millis = at_nanos - at_nanos.rem_euclid(1_000_000);
                        out.extend_from_slice(time::format_rfc3339(millis).as_bytes());
                        out.push(b'"');
                    }
                    1 => {
                        out.extend_from_slice(b"\"message\":");
                        write_string(line, out);
                    }
                    _ => self.write_log(offset, random, out),
                },
            }
        }
        out.push(b'}');
    }

    fn write_log(&self, offset: u64, random: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"log\":{");
        let offset_first = random.chance(0.5);
        if offset_first {
            out.extend_from_slice(format!("\"offset\":{offset},").as_bytes());
        }
        member("file", &self.file, random, out);
        if !offset_first {
            out.extend_from_slice(format!(",\"offset\":{offset}").as_bytes());
        }
        out.push(b'}');
    }
}

/// The most members an object of an event has here.
const MEMBERS_MAX: usize = 16;

/// The numbers `0..n` in random order, in the first n places.
fn shuffled(n: usize, random: &mut Random) -> [u8; MEMBERS_MAX] {
    debug_assert!(n <= MEMBERS_MAX);
    let mut order: [u8; MEMBERS_MAX] = std::array::from_fn(|i| i as u8);
    for i in (1..n).rev() {
        order.swap(i, random.below(i + 1));
    }
    order
}

fn member(key: &str, node: &Node, random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    write_node(node, random, out);
}

fn write_node(node: &Node, random: &mut Random, out: &mut Vec<u8>) {
    let members = match node {
        Node::Leaf(json) => return out.extend_from_slice(json.as_bytes()),
        Node::Object(members) => members,
    };
    out.push(b'{');
    for (i, which) in shuffled(members.len(), random).into_iter().take(members.len()).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let (key, node) = &members[usize::from(which)];
        member(key, node, random, out);
    }
    out.push(b'}');
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into a Vec does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn text(value: &str) -> Node {
    let mut json = Vec::with_capacity(value.len() + 2);
    write_string(value, &mut json);
    Node::Leaf(String::from_utf8_lossy(&json).into_owned())
}

fn object<const N: usize>(members: [(&'static str, Node); N]) -> Node {
    Node::Object(members.into())
}

fn hex(random: &mut Random, digits: usize) -> String {
    let mut out = String::with_capacity(digits);
    random.hex(digits, &mut out);
    out
}

fn uuid(random: &mut Random) -> String {
    let mut out = String::with_capacity(36);
    random.uuid(&mut out);
    out
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}
