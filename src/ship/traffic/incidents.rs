//! Incidents: a few minutes in which one thing is broken, and its lines show it.

use super::super::Random;
use super::cluster::{APPS, NODES};
use super::klog::{Template, parse_templates};

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One application's instances fail or are slow: 503 and 504 from the proxies.
    Upstream,
    /// etcd loses its leader: leases time out.
    Etcd,
    /// A node's network plugin fails: no pod sandbox can be made there.
    Network,
    /// The registry does not answer: images cannot be pulled.
    Registry,
    /// One instance of one application fails; only where it is planned.
    Host,
    /// One application answers slowly; only where it is planned.
    Slow,
}

const KINDS: [Kind; 4] = [Kind::Upstream, Kind::Etcd, Kind::Network, Kind::Registry];

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Incident {
    pub kind: Kind,
    /// Which application, node and instance; each counts from 0 and wraps around.
    pub app: usize,
    pub node: usize,
    pub replica: usize,
    /// Unix nanoseconds.
    pub start_nanos: i64,
    pub end_nanos: i64,
}

pub(super) struct Incidents {
    next: Incident,
    /// In place of random ones.
    planned: Option<Vec<Incident>>,
    templates: Vec<Template>,
}

const MINUTE: f64 = 60e9;

impl Incidents {
    pub fn new(start_nanos: i64, random: &mut Random) -> Self {
        let templates = parse_templates(include_str!("incidents.tsv"));
        Self { next: Incident::after(start_nanos, random), planned: None, templates }
    }

    /// These, and no others.
    pub fn plan(&mut self, incidents: &[Incident]) {
        self.planned = Some(incidents.to_vec());
    }

    /// The incident that goes on at this instant; times must not go back.
    pub fn at(&mut self, now_nanos: i64, random: &mut Random) -> Option<Incident> {
        if let Some(planned) = &self.planned {
            return planned.iter().find(|i| (i.start_nanos..i.end_nanos).contains(&now_nanos)).copied();
        }
        while now_nanos >= self.next.end_nanos {
            self.next = Incident::after(self.next.end_nanos, random);
        }
        (now_nanos >= self.next.start_nanos).then_some(self.next)
    }

    /// One of the klog lines that an incident of this kind brings.
    pub fn template(&self, kind: Kind, random: &mut Random) -> Option<&Template> {
        let name = match kind {
            Kind::Upstream | Kind::Host | Kind::Slow => return None,
            Kind::Etcd => "etcd",
            Kind::Network => "network",
            Kind::Registry => "registry",
        };
        let of_kind: Vec<&Template> = self.templates.iter().filter(|t| t.label == name).collect();
        of_kind.get(random.below(of_kind.len())).copied()
    }
}

impl Incident {
    /// The next one: 8 to 25 minutes later, 2 to 5 minutes long.
    fn after(nanos: i64, random: &mut Random) -> Self {
        let start_nanos = nanos + ((8.0 + 17.0 * random.unit()) * MINUTE) as i64;
        let end_nanos = start_nanos + ((2.0 + 3.0 * random.unit()) * MINUTE) as i64;
        let kind = KINDS[random.below(KINDS.len())];
        Self { kind, app: random.below(APPS.len()), node: random.below(NODES), replica: 0, start_nanos, end_nanos }
    }
}
