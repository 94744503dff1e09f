//! The whole of it: batches of records in, anomalies out. Knows no clock and no disk; the same batches give the same anomalies.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::anomaly::{Anomaly, Example, State, Words, sentence};
use super::entity::Entity;
use super::episode::{Episodes, SeriesKey, Verdict, id};
use super::finding::{Condition, Direction, Finding, Measure, NO_FIELD};
use super::influence::influencers;
use super::judge::{self, Ruling};
use super::names::Names;
use super::observe::Observations;
use super::score::{Severity, score};
use super::service::{Bucket, NODE_PLACE, Service, StreamInfo, Watch, holds, text_hash};
use super::watched::BUCKET_SECONDS;
use super::watermark::Sources;
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
/// Looks at a bucket until it is closed, which is as many chances to be wrong.
const LOOKS: f64 = BUCKET_SECONDS as f64 / LOOK_SECONDS as f64;
/// An open bucket is told of only from this score on: closing it is a minute away.
const OPEN_SCORE_MIN: f64 = 50.0;
/// A jump of all times by more than this is a gap in what was received, not a silence: seconds.
const GAP_SECONDS: i64 = 2 * 3_600;
/// Lines in a row that must agree before a jump is believed, so that one mad line moves nothing.
const GAP_LINES: u32 = 20;
/// Example lines of an anomaly.
const EXAMPLES_MAX: usize = 5;
/// A service silent for so long is forgotten: seconds.
const FORGOTTEN_SECONDS: i64 = 3 * 86_400;
/// Findings that have so large a part of their records in common are one.
const ALIKE: f64 = 0.7;
/// A service with little in it: bytes.
const SERVICE_BYTES: usize = 16 << 10;
/// A stream with its names: bytes.
const STREAM_BYTES: usize = size_of::<StreamInfo>() + 300;
/// What is given up in one minute at most.
const EVICTIONS_MAX: usize = 2_000;
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
            services: vec![Service::new(CLUSTER, 0)],
            by_name: HashMap::default(),
            streams: Vec::new(),
            by_key: HashMap::default(),
            sources: Sources::default(),
            source_names: Vec::new(),
            episodes: Episodes::default(),
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

    /// Settles for each source of a batch whether its clock is ahead.
    fn arrived(&mut self, batch: &Observations, streams: &[u32]) {
        let mut newest: Vec<(u32, i64)> = Vec::new();
        for record in &batch.records {
            let source = self.streams[streams[record.stream as usize] as usize].source;
            match newest.iter_mut().find(|(known, _)| *known == source) {
                Some((_, time)) => *time = (*time).max(record.time),
                None => newest.push((source, record.time)),
            }
        }
        let received_at = batch.received_at.div_euclid(NANOS_PER_SECOND);
        for (source, time) in newest {
            let seconds = time.div_euclid(NANOS_PER_SECOND);
            if self.sources.arrived(source, seconds, received_at) && self.sources.get(source).skew > 0 {
                self.skewed(source, seconds);
            }
            self.lag += ((received_at - seconds) as f64 - self.lag) * 0.2;
        }
    }

    /// Whether a time far ahead of all is where the lines go on.
    fn believe(&mut self, seconds: i64) -> bool {
        if self.sources.newest() == 0 {
            self.begin(seconds);
            return true;
        }
        let (at, lines) = self.jump;
        self.jump = if (seconds - at).abs() < GAP_SECONDS { (seconds, lines + 1) } else { (seconds, 1) };
        if self.jump.1 < GAP_LINES {
            return false;
        }
        // What was open is closed as it is, then all goes on behind the gap.
        self.jump = (0, 0);
        self.close_through(self.sources.newest() + BUCKET_SECONDS);
        self.begin(seconds);
        true
    }

    /// All time begins here, or goes on here.
    fn begin(&mut self, seconds: i64) {
        self.sources.advance(seconds);
        self.looked = seconds;
        let start = seconds - seconds.rem_euclid(BUCKET_SECONDS) - BUCKET_SECONDS;
        for service in &mut self.services {
            service.skip_to(start);
        }
    }

    /// A line from before a gap: its bucket is closed, or would be the first of many empty ones of a new service.
    fn long_late(&mut self, stream: u32, seconds: i64) {
        let info = &self.streams[stream as usize];
        let (service, places) = (info.service, [info.hashes[0], info.hashes[1]]);
        self.stats.records += 1;
        self.stats.late += 1;
        if service != u32::MAX {
            self.late(service, places, seconds);
        }
    }

    fn late(&mut self, service: u32, places: [Option<u64>; 2], seconds: i64) {
        if !self.episodes.is_empty() {
            let start = seconds - seconds.rem_euclid(BUCKET_SECONDS);
            self.episodes.late(service, places, start, &mut self.out);
        }
    }

    /// Closes what is due, looks at what is open, ends what is calm.
    fn look(&mut self) {
        let now = self.sources.newest();
        let minute = now.div_euclid(BUCKET_SECONDS) != self.looked.div_euclid(BUCKET_SECONDS);
        self.looked = now;
        let mut findings = Vec::new();
        for at in 0..self.services.len() {
            self.prepare(at);
            let watermark = self.sources.watermark(self.services[at].sources.iter().copied());
            while self.services[at].closed_until + BUCKET_SECONDS <= watermark || self.services[at].is_crowded() {
                self.close(at, &mut findings);
            }
            if self.services[at].peek(&mut findings).is_some() {
                self.report_open(at, &mut findings);
            }
        }
        if minute {
            self.episodes.end(now, &mut self.out);
            self.account(now);
        }
    }

    /// A service's first bucket is that of its first line.
    fn prepare(&mut self, at: usize) {
        let service = &mut self.services[at];
        if service.closed_until == i64::MIN || service.closed_until == 0 {
            let first = service.first_open().unwrap_or(self.looked - self.looked.rem_euclid(BUCKET_SECONDS));
            (service.closed_until, service.first) = (first, first);
        }
    }

    fn close_through(&mut self, end: i64) {
        let mut findings = Vec::new();
        for at in 0..self.services.len() {
            self.prepare(at);
            while self.services[at].closed_until < end {
                self.close(at, &mut findings);
            }
        }
        self.episodes.end(end, &mut self.out);
    }

    fn close(&mut self, at: usize, findings: &mut Vec<Finding>) {
        findings.clear();
        let bucket = self.services[at].close(findings);
        for finding in self.folded(at, &bucket, std::mem::take(findings)) {
            self.report(at, &bucket, finding, 1.0, self.settings.score_min);
        }
    }

    fn report_open(&mut self, at: usize, findings: &mut Vec<Finding>) {
        // Few are worth the copy of their bucket.
        let promising = |f: &Finding| score(f.p, f.bucket, self.looks(LOOKS)) >= OPEN_SCORE_MIN;
        findings.retain(promising);
        if findings.is_empty() {
            return;
        }
        if let Some(bucket) = self.services[at].take_first_open() {
            for finding in self.folded(at, &bucket, std::mem::take(findings)) {
                self.report(at, &bucket, finding, LOOKS, OPEN_SCORE_MIN);
            }
            self.services[at].put_back(bucket);
        }
    }

    /// Chances to be wrong in a bucket.
    fn looks(&self, times: f64) -> f64 {
        self.series as f64 * times
    }

    /// Of findings that speak of the same records only the most unlikely one: a file's name, its template and its logger rise
    /// together. What is told already goes on being told by the same series.
    fn folded(&self, at: usize, bucket: &Bucket, mut findings: Vec<Finding>) -> Vec<Finding> {
        let is_news = |finding: &Finding| self.episodes.is_news(&SeriesKey::of(at as u32, finding));
        findings.retain(|f| score(f.p, f.bucket, self.looks(1.0)) >= self.settings.score_min);
        findings.sort_by(|a, b| is_news(a).cmp(&is_news(b)).then(a.p.total_cmp(&b.p)).then(a.field.cmp(&b.field)));
        let mut masks: Vec<u128> = Vec::new();
        findings.retain(|finding| {
            if matches!(finding.condition, Condition::All | Condition::None) {
                return true;
            }
            let mask = bucket.sample.mask(|kept| holds(finding.condition, &kept.values, kept.parsed));
            let alike = |other: &u128| (mask & other).count_ones() as f64 >= ALIKE * (mask | other).count_ones() as f64;
            if mask != 0 && masks.iter().any(alike) {
                return false;
            }
            masks.push(mask);
            true
        });
        findings
    }

    fn report(&mut self, at: usize, bucket: &Bucket, finding: Finding, times: f64, score_min: f64) {
        let raw = score(finding.p, finding.bucket, self.looks(times));
        if raw < score_min {
            return;
        }
        let service = &self.services[at];
        let gone = |pod: u64| self.is_node_gone(at, pod);
        let Ruling { finding, score_max } = match judge::rule(service, bucket, finding, at == 0, gone) {
            Some(ruling) => ruling,
            None => return,
        };
        let score = raw.min(score_max);
        if score < score_min {
            return;
        }
        let key = SeriesKey::of(at as u32, &finding);
        let start = if finding.bucket as i64 == BUCKET_SECONDS {
            bucket.start
        } else {
            bucket.start - i64::from(finding.bucket)
        };
        match self.episodes.verdict(&key, score) {
            Verdict::Same => return self.episodes.goes_on(&key, start),
            Verdict::New => self.stats.anomalies += 1,
            Verdict::Worse => {}
        }
        let anomaly = self.describe(at, bucket, &finding, score, start);
        let anomaly = self.episodes.put(key, anomaly);
        self.out.push(anomaly);
    }

    /// Whether the node that a pod runs on is silent as a whole.
    fn is_node_gone(&self, service: usize, pod: u64) -> bool {
        let of_pod = |info: &&StreamInfo| info.service as usize == service && info.hashes[0] == Some(pod);
        let node = self.streams.iter().rev().find(of_pod).and_then(|info| info.hashes[1]);
        node.is_some_and(|node| self.services[0].is_silent(NODE_PLACE, node))
    }

    fn describe(&self, at: usize, bucket: &Bucket, finding: &Finding, score: f64, start: i64) -> Anomaly {
        let service = &self.services[at];
        let field = (finding.field != NO_FIELD).then(|| &*service.fields[finding.field as usize].name);
        let influencers = influencers(service, bucket, finding);
        let name = if at == 0 { finding.shown.as_str() } else { &service.name };
        let name = if name.is_empty() { CLUSTER } else { name };
        let value = (!finding.shown.is_empty()).then(|| finding.shown.clone());
        let series = [name, field.unwrap_or("-"), finding.measure.name(), value.as_deref().unwrap_or("-")].join("/");
        let text = sentence(&Words {
            service: name,
            field,
            value: &finding.shown,
            measure: finding.measure,
            actual: finding.actual,
            typical: finding.typical,
            low: finding.low,
            high: finding.high,
            bucket_seconds: finding.bucket,
            since: start,
            influencers: &influencers,
        });
        let id = id(&series, start);
        Anomaly {
            group: self.episodes.group(at as u32).unwrap_or_else(|| id.clone()),
            id,
            service: name.to_owned(),
            measure: finding.measure,
            field: field.map(str::to_owned),
            value,
            score,
            severity: Severity::of(score),
            probability: finding.p,
            direction: finding.direction,
            actual: finding.actual,
            typical: finding.typical,
            low: finding.low,
            high: finding.high,
            bucket_seconds: finding.bucket,
            since: start,
            last: start,
            found: self.sources.newest(),
            ended: None,
            state: State::Open,
            sentence: text,
            influencers,
            examples: Self::examples(bucket, finding.condition),
            late_lines: 0,
            template: None,
            series,
        }
    }

    fn examples(bucket: &Bucket, condition: Condition) -> Vec<Example> {
        let meant = bucket.sample.records().filter(|(kept, _)| holds(condition, &kept.values, kept.parsed));
        let mut kept: Vec<_> = meant.map(|(kept, _)| kept).collect();
        kept.sort_by_key(|kept| (kept.time, kept.id));
        kept.truncate(EXAMPLES_MAX);
        let example = |kept: &super::sample::Kept| Example {
            id: format!("{:016x}{:016x}", kept.stream, kept.id),
            time: kept.time,
            line: kept.line.to_string(),
        };
        kept.into_iter().map(example).collect()
    }

    /// One source's clock is ahead: a fact, not a probability.
    fn skewed(&mut self, source: u32, seconds: i64) {
        let ahead = self.sources.get(source).skew as f64;
        let name = self.source_names[source as usize].clone();
        let finding = Finding {
            measure: Measure::Clock,
            field: NO_FIELD,
            value: text_hash(&name),
            shown: name,
            bucket: BUCKET_SECONDS as u32,
            p: 0.0,
            direction: Direction::High,
            actual: ahead,
            typical: 0.0,
            low: 0.0,
            high: 0.0,
            condition: Condition::None,
        };
        let now = seconds - ahead as i64;
        let start = now - now.rem_euclid(BUCKET_SECONDS);
        let key = SeriesKey::of(0, &finding);
        if matches!(self.episodes.verdict(&key, SKEW_SCORE), Verdict::New) {
            let bucket = Bucket::at(start);
            let anomaly = self.describe(0, &bucket, &finding, SKEW_SCORE, start);
            let anomaly = self.episodes.put(key, anomaly);
            self.stats.anomalies += 1;
            self.out.push(anomaly);
        } else {
            self.episodes.goes_on(&key, start);
        }
    }

    /// Counts series and bytes; makes room.
    fn account(&mut self, now: i64) {
        self.series = self.services.iter().map(Service::series_count).sum::<usize>().max(1);
        let streams = self.streams.len() * STREAM_BYTES;
        self.bytes = self.services.iter().map(Service::bytes).sum::<usize>() + streams;
        self.make_room(now);
        for at in 1..self.services.len() {
            if self.services[at].last < now - FORGOTTEN_SECONDS && self.services[at].first < self.services[at].last {
                self.forget(at, now);
            }
        }
    }

    /// Gives up what is least useful until all fits: the service that has been silent longest; where none is, of the largest
    /// the field that was seen longest ago; where that is all it has, the largest itself.
    fn make_room(&mut self, now: i64) {
        for _ in 0..EVICTIONS_MAX {
            if self.bytes <= self.settings.bytes_max || self.services.len() < 2 {
                return;
            }
            let silent =
                |at: &usize| self.services[*at].last < now - 3_600 && self.services[*at].bytes() > 2 * SERVICE_BYTES;
            let longest = (1..self.services.len()).filter(silent).min_by_key(|at| self.services[*at].last);
            let largest = || (1..self.services.len()).max_by_key(|at| self.services[*at].bytes()).unwrap_or(1);
            let at = longest.unwrap_or_else(largest);
            let before = self.services[at].bytes();
            let field = if longest.is_none() { self.services[at].evict_field() } else { None };
            self.stats.evicted += field.unwrap_or_else(|| self.forget(at, now)) as u64;
            self.bytes = self.bytes.saturating_sub(before.saturating_sub(self.services[at].bytes()));
        }
    }

    /// Begins a service anew, its number staying; gives how many series that were.
    fn forget(&mut self, at: usize, now: i64) -> usize {
        let series = self.services[at].series_count();
        self.services[at].forget(now - now.rem_euclid(BUCKET_SECONDS));
        series
    }
}

/// A clock that is ahead makes every picture wrong, and pages nobody at night.
const SKEW_SCORE: f64 = 60.0;
