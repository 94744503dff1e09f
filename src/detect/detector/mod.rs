//! The whole of it: batches of records in, anomalies out. Knows no clock and no disk; the same batches give the same anomalies.
//!
//! `time` moves the lines' own time on and closes buckets, `report` makes anomalies of what they held, `room` keeps it all
//! within its memory.

mod report;
mod room;
mod time;
mod weigh;

pub use weigh::{NEVER_SEEN, Weighed, WeighedValue};

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::detect::anomaly::{Anomaly, STREAMING, State};
use crate::detect::common::Common;
use crate::detect::entity::Entity;
use crate::detect::episode::Episodes;
use crate::detect::names::Names;
use crate::detect::observe::Observations;
use crate::detect::score::Severity;
use crate::detect::service::{Service, StreamInfo, Watch, text_hash};
use crate::detect::watermark::Sources;
use crate::record::Stream;
use crate::record::time::NANOS_PER_SECOND;

/// What an operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Memory for all of it: bytes.
    pub bytes_max: usize,
    /// Anomalies below this score are not told: 0 to 100.
    pub score_min: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, score_min: Severity::Minor.score_min() }
    }
}

/// How often open buckets are looked at, in the lines' own time: seconds.
const LOOK_SECONDS: i64 = 5;
/// A jump of all times by more than this is a gap in what was received, not a silence: seconds.
const GAP_SECONDS: i64 = 2 * 3_600;
/// A service with little in it: bytes.
const SERVICE_BYTES: usize = 16 << 10;
/// A stream with its names: bytes.
const STREAM_BYTES: usize = size_of::<StreamInfo>() + 300;
/// The name of what has the lines of all services: nodes fall silent here.
pub const CLUSTER: &str = "(all)";

/// What is watched, for people and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub services: u64,
    pub series: u64,
    pub bytes: u64,
    /// Since the detector was made or loaded, as all below.
    pub records: u64,
    pub late: u64,
    pub anomalies: u64,
    /// Series given up for want of memory.
    pub evicted: u64,
    /// Lines not watched because there was no room for their service.
    pub not_covered: u64,
}

/// All that is watched and all that is known. Saved and loaded whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct Detector {
    #[serde(skip)]
    pub settings: Settings,
    #[serde(skip)]
    names: Arc<Names>,
    /// The name of the model that this one began as.
    version: String,
    services: Vec<Service>,
    #[serde(skip)]
    by_name: HashMap<String, u32, FixedState>,
    streams: Vec<StreamInfo>,
    #[serde(skip)]
    by_key: HashMap<u128, u32, FixedState>,
    sources: Sources,
    source_names: Vec<String>,
    /// Lines of all services, by node.
    episodes: Episodes,
    /// What of single services is a matter of all.
    common: Common,
    /// The position of the last batch taken.
    position: u64,
    looked: i64,
    /// A jump ahead that is not believed yet, and how many lines told of it.
    jump: (i64, u32),
    series: usize,
    /// How far arrival lags behind the lines' own time: seconds, averaged.
    lag: f64,
    /// As of the last minute.
    bytes: usize,
    #[serde(skip)]
    stats: Stats,
    #[serde(skip)]
    out: Vec<Anomaly>,
}

impl Detector {
    pub fn new(names: Arc<Names>, settings: Settings) -> Self {
        Self {
            settings,
            names,
            version: STREAMING.to_owned(),
            services: vec![Service::new(CLUSTER, 0)],
            by_name: HashMap::default(),
            streams: Vec::new(),
            by_key: HashMap::default(),
            sources: Sources::default(),
            source_names: Vec::new(),
            episodes: Episodes::default(),
            common: Common::default(),
            position: 0,
            looked: i64::MIN,
            jump: (0, 0),
            series: 1,
            lag: 0.0,
            bytes: 0,
            stats: Stats::default(),
            out: Vec::new(),
        }
    }

    /// After loading: what follows from the rest.
    pub(super) fn restore(&mut self, names: Arc<Names>, settings: Settings) {
        self.settings = settings;
        self.by_name = self.services.iter().enumerate().map(|(at, s)| (s.name.clone(), at as u32)).collect();
        self.by_key = self.streams.iter().enumerate().map(|(at, stream)| (stream.key, at as u32)).collect();
        for service in &mut self.services {
            service.restore(&names);
        }
        self.names = names;
    }

    /// The position of the last batch taken; 0 before any.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The same under a model's name.
    pub fn named(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// What this one has learned, to go on where `other` is: the next batch is the same. What is open in `other` ends there.
    pub fn in_place_of(mut self, other: &Self) -> Self {
        self.position = other.position;
        self.stats = other.stats;
        let now = self.sources.newest().max(other.sources.newest());
        for anomaly in other.episodes.iter() {
            let end = Some(anomaly.last + i64::from(anomaly.bucket_seconds));
            self.out.push(Anomaly { state: State::Ended, ended: end, ..anomaly.clone() });
        }
        // What the days it was made of left open was long told.
        self.episodes = Episodes::default();
        if now > self.sources.newest() {
            self.begin(now);
        }
        self
    }

    /// Nothing more comes: closes what is open and says what it was.
    pub fn finish(&mut self) {
        self.close_through(self.sources.newest() + 1);
        self.account(self.sources.newest());
    }

    /// The model it is, as anomalies name it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Takes a batch, unless its position was taken already. Batches come in the order of their positions.
    pub fn observe(&mut self, batch: &Observations) {
        if batch.position <= self.position {
            return;
        }
        self.position = batch.position;
        // They are found anew when their lines come.
        if self.streams.len() * STREAM_BYTES > self.settings.bytes_max / 4 {
            self.streams.clear();
            self.by_key.clear();
        }
        let streams: Vec<u32> = batch.streams.iter().map(|stream| self.stream(stream)).collect();
        self.arrived(batch, &streams);
        for record in &batch.records {
            let number = streams[record.stream as usize];
            let info = &self.streams[number as usize];
            let source = info.source;
            let seconds = record.time.div_euclid(NANOS_PER_SECOND) - self.sources.get(source).skew;
            if seconds > self.sources.newest() + GAP_SECONDS && !self.believe(seconds) {
                continue;
            }
            if seconds < self.sources.newest() - GAP_SECONDS {
                self.long_late(number, seconds);
                continue;
            }
            let time = self.sources.saw(source, record.time);
            let info = &self.streams[number as usize];
            self.stats.records += 1;
            if info.service == u32::MAX {
                self.stats.not_covered += 1;
                continue;
            }
            let (service, places) = (info.service, [info.hashes[0], info.hashes[1]]);
            let (names, cell) = (&self.names, &mut self.services);
            let added = cell[service as usize].add(names, batch, record, info, time);
            cell[0].add_node(info, time);
            if !added {
                self.late(service, places, time.div_euclid(NANOS_PER_SECOND));
            }
            if self.sources.newest() >= self.looked.saturating_add(LOOK_SECONDS) {
                self.look();
            }
        }
    }

    /// Moves time on where nothing came, `now` being the time of arrival: what is silent is known to be. Only where lines
    /// come as they are written; a replay has its own time.
    pub fn tick(&mut self, now: i64) {
        let expected = now - self.lag.ceil() as i64 - 2 * LOOK_SECONDS;
        if self.lag.abs() > 60.0 || self.sources.newest() == 0 || expected - self.sources.newest() > GAP_SECONDS {
            return;
        }
        self.sources.advance(expected);
        if self.sources.newest() >= self.looked.saturating_add(LOOK_SECONDS) {
            self.look();
        }
    }

    /// Anomalies that began, changed or ended since the last call, in order.
    pub fn take(&mut self) -> Vec<Anomaly> {
        std::mem::take(&mut self.out)
    }

    /// Anomalies that go on.
    pub fn open(&self) -> impl Iterator<Item = &Anomaly> {
        self.episodes.iter()
    }

    pub fn stats(&self) -> Stats {
        Stats {
            services: self.services.len() as u64 - 1,
            series: self.series as u64,
            bytes: self.bytes as u64,
            late: self.stats.late + self.services[1..].iter().map(|service| service.late).sum::<u64>(),
            ..self.stats
        }
    }

    /// How far time has come: Unix seconds.
    pub fn now(&self) -> i64 {
        self.sources.newest()
    }

    /// What is watched of a service, or of all.
    pub fn watches(&self, only: Option<&str>) -> Vec<Watch> {
        let mut watches = Vec::new();
        for service in self.services.iter().filter(|service| only.is_none_or(|name| service.name == name)) {
            service.watches(&mut watches);
        }
        watches
    }

    fn stream(&mut self, stream: &Arc<Stream>) -> u32 {
        if let Some(number) = self.by_key.get(&stream.key.0) {
            return *number;
        }
        let entity = Entity::of(stream);
        let source = self.source(&entity.sender);
        let service = self.service(&entity.service);
        if service != u32::MAX {
            let sources = &mut self.services[service as usize].sources;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let hashes = [&entity.pod, &entity.node, &entity.namespace].map(|text| text.as_deref().map(text_hash));
        let number = self.streams.len() as u32;
        self.streams.push(StreamInfo { service, source, key: stream.key.0, entity, hashes });
        self.by_key.insert(stream.key.0, number);
        number
    }

    fn source(&mut self, name: &str) -> u32 {
        if let Some(at) = self.source_names.iter().position(|known| known == name) {
            return at as u32;
        }
        self.source_names.push(name.to_owned());
        let number = self.sources.add();
        self.services[0].sources.push(number);
        number
    }

    /// `u32::MAX` where there is no room for another.
    fn service(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        if self.bytes > self.settings.bytes_max {
            return u32::MAX;
        }
        // What it will take is known in a minute; until then a guess keeps a flood of new ones out.
        self.bytes += 2 * SERVICE_BYTES;
        let number = self.services.len() as u32;
        self.services.push(Service::new(name, i64::MIN));
        self.by_name.insert(name.to_owned(), number);
        number
    }
}
